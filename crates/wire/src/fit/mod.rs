//! What a target of another dialect does not take, made to fit before the request is written.
//!
//! Here stands what every dialect's encoder would do alike: it works on the representation, by what the dialect
//! documents and by the target's quirks. A request that is fine as it is costs a look.

mod call_ids;
mod fitted;
mod members;
mod recursion;
mod schema;
mod schema_subset;
mod turns;

pub(crate) use call_ids::call_id;
pub(crate) use fitted::fitted;
pub use schema_subset::SchemaSubset;
pub(crate) use turns::ONLY_TEXT;

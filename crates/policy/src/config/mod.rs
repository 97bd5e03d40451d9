//! The configuration file: text to draft to snapshot, or every error at once.

mod authentication;
mod callers;
mod check;
mod compile;
mod concurrency;
mod draft;
mod encryption;
mod identity;
mod journal;
mod load;
mod models;
mod node;
mod problem;
mod providers;
mod reference;
mod roles;
mod rollout;
mod routing;
mod scim;
mod secrets;
mod sources;
mod store;
mod tenancy;
mod units;
mod zero;

pub use check::check_json;
pub use encryption::Offline;
pub use load::{Loaded, Unresolved, load, read};
pub use problem::{Problem, Problems, nearest};
pub use reference::{reference, schema};
pub use roles::unknown as unknown_role;
pub use sources::Sources;
pub use tenancy::moment;
pub use units::{Share, Span, span};
pub use zero::zero;

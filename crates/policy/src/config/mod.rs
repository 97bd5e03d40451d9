//! The configuration file: text to draft to snapshot, or every error at once.

mod check;
mod compile;
mod draft;
mod identity;
mod load;
mod node;
mod problem;
mod reference;
mod sources;
mod units;
mod zero;

pub use load::{Loaded, load};
pub use problem::{Problem, Problems};
pub use reference::{reference, schema};
pub use sources::Sources;
pub use zero::zero;

//! Commands over the registry as a whole, and over its things.

pub(crate) mod audit;
mod body;
mod counter;
pub(crate) mod export;
pub(crate) mod history;
pub(crate) mod plan;
mod shown;
pub(crate) mod things;

pub(crate) use body::Body;
pub(crate) use counter::Counter;

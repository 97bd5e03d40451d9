//! The commands, one file each.

pub(crate) mod accounts;
pub(crate) mod budgets;
pub(crate) mod catalog;
pub(crate) mod check;
pub(crate) mod credentials;
pub(crate) mod erase;
pub(crate) mod explain;
pub(crate) mod keys;
pub(crate) mod logs;
mod out;
mod place;
pub(crate) mod registry;
pub(crate) mod rollouts;
pub(crate) mod secrets;
pub(crate) mod serve;
pub(crate) mod simulate;

pub(crate) use out::{say, say_error, table};
pub(crate) use place::{Place, author, load};

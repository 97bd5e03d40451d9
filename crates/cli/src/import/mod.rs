//! `tollgate import`: from another gateway's configuration to one of Tollgate's, with a report on every field.

mod bifrost;
mod command;
mod draft;
mod fields;
mod litellm;
mod names;
mod one_api;
mod portkey;
mod prices;
mod registry;
mod report;
mod work;
pub(crate) mod yaml;

pub(crate) use command::{Arguments, run};

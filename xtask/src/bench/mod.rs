//! `cargo xtask bench`: what the gateway costs, beside nginx and beside no gateway, in one run.

mod gateways;
mod load;
mod mock;
mod process;
mod report;

pub(crate) use report::run;

//! Counters that limits are kept by: in memory for one replica, in Redis, Valkey or PostgreSQL for all of them.
//!
//! What is decided is decided by `policy::ledger`; here is only who keeps the numbers. A reservation takes one step in
//! memory and one round trip in a shared store, however many claims it has. A shared store that does not answer costs a
//! call a timeout once, and then nothing until it is back.

mod driver;
mod error;
mod fallback;
mod handle;
mod job;
mod link;
mod memory;
mod postgres;
mod redis;
mod shared;
mod state;

pub use driver::Driver;
pub use error::LedgerError;
pub use handle::{Ledger, LedgerFigures, LedgerSettings, Raise};

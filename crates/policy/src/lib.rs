//! Decisions: what the configuration means, who may do what, where a call goes, what it costs.
//!
//! Invariants
//! - Pure: nothing here awaits, opens a file or a socket, or reads a clock; time is an argument.
//! - A request sees exactly one [`Snapshot`].
//! - Money is whole numbers; an unknown price is `None`, never zero.
//! - Secrets are [`Secret`]: no `Debug`, no `Serialize`.
//!
//! What it refuses to know: bytes on a wire, sockets, SQL.

mod affinity;
pub mod allowance;
pub mod attempt;
pub mod authentication;
pub mod breaker;
pub mod budget;
pub mod classify;
pub mod concurrency;
pub mod config;
pub mod explain;
pub mod facts;
mod filter;
pub mod health;
pub mod health_check;
pub mod hedge;
pub mod identity;
pub mod judge;
pub mod key;
pub mod key_keeper;
pub mod label;
mod language;
mod leave_out;
pub mod ledger;
pub mod lesson;
pub mod limit;
pub mod moment;
mod money;
pub mod outlier;
pub mod pool;
pub mod preference;
pub mod price;
pub mod principal;
pub mod provisioning;
pub mod queue;
pub mod record;
mod resource;
pub mod role;
pub mod rollout;
pub mod route;
pub mod rule;
mod secret;
pub mod secret_store;
pub mod sign_in;
pub mod snapshot;
pub mod strategy;
mod target;
pub mod vitals;

pub use money::Money;
pub use secret::Secret;
pub use snapshot::Snapshot;

//! Decisions: what the configuration means, who may do what, where a call goes, what it costs.
//!
//! Invariants
//! - Pure: nothing here awaits, opens a file or a socket, or reads a clock; time is an argument.
//! - A request sees exactly one [`Snapshot`].
//! - Money is whole numbers; an unknown price is `None`, never zero.
//! - Secrets are [`Secret`]: no `Debug`, no `Serialize`.
//!
//! What it refuses to know: bytes on a wire, sockets, SQL.

pub mod attempt;
pub mod config;
pub mod identity;
pub mod key;
mod money;
pub mod price;
pub mod record;
pub mod route;
mod secret;
pub mod snapshot;

pub use money::Money;
pub use secret::Secret;
pub use snapshot::Snapshot;

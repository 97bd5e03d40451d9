//! Counting calls against limits: what a call claims before it goes out, and what it settles to when it has ended.
//!
//! Pure: every step takes the time, and says what follows of it. Who keeps the counters is the store's business; all of
//! its ledgers decide by what stands here.
//!
//! - Amounts are whole numbers: calls, tokens, picodollars.
//! - All claims of a call are granted together, or none is.
//! - What is claimed and not yet settled is held, and a hold that nobody settles ends by itself.

mod claim;
mod counter;
pub mod estimate;
mod outcome;
mod rule;

#[cfg(test)]
mod laws;

pub use claim::{Bucket, Claim, OnFailure, Tenant, hold_end};
pub use counter::Counter;
pub use outcome::{Cause, Held, Hold, Judged, Keeper, Reserved, Standing, conclude};
pub use rule::{Rule, Seen, Verdict};

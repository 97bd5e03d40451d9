//! What a call claims.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Rule;

/// A counter's name: a hash over whatever it counts for, so that no text of a caller gets as far as a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Bucket(pub u128);

/// Whose buckets they are: the organization. All buckets of one reservation are of one tenant, whose counters a store
/// keeps together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tenant(pub u128);

/// An amount that a call wants to have of one bucket. A bucket stands at most once among a call's claims, and keeps one
/// kind of rule, one length of window and one period for its life; limits may change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Claim {
    pub bucket: Bucket,
    pub rule: Rule,
    /// Not negative; a negative amount counts as none.
    pub amount: i64,
    /// Is counted and refuses nobody.
    pub shadow: bool,
    /// Its sums are kept in the database, too: a store that does not know the bucket says so, and is told.
    pub durable: bool,
    pub on_failure: OnFailure,
}

impl Claim {
    /// What looks at a bucket and takes nothing of it.
    pub fn look(bucket: Bucket, rule: Rule) -> Claim {
        Claim { bucket, rule, amount: 0, shadow: true, durable: false, on_failure: OnFailure::Allow }
    }
}

/// What becomes of a claim while the store that all replicas share does not answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnFailure {
    /// It is granted, and not counted until it is settled.
    Allow,
    /// It is refused.
    Refuse,
    /// It counts against this replica's share of the limit.
    Share,
}

/// When what is held until some moment stops counting by itself: at the end of that moment's minute, or of its hour where
/// it is more than an hour away, so that a bucket has few such ends however many calls hold it. Nothing is held for more
/// than a day.
pub fn hold_end(now_us: i64, until_us: i64) -> i64 {
    let until_us = until_us.clamp(now_us, now_us.saturating_add(HOLD_US_MAX));
    let grain_us = if until_us.saturating_sub(now_us) <= HOUR_US { MINUTE_US } else { HOUR_US };
    until_us.div_euclid(grain_us).saturating_add(1).saturating_mul(grain_us)
}

const MINUTE_US: i64 = 60_000_000;
const HOUR_US: i64 = 60 * MINUTE_US;
const HOLD_US_MAX: i64 = 24 * HOUR_US;

//! What a call tells of its side.

use super::Side;
use crate::vitals::RouteId;

/// A settled call of a rollout.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sample {
    pub route: RouteId,
    pub run: u64,
    pub side: Side,
    /// The candidate's share when the call came, in thousandths.
    pub share: u32,
    /// The side's own targets brought no complete answer.
    pub failed: bool,
    pub refused: bool,
    /// Whether the answer was no JSON, where JSON was asked for.
    pub invalid: Option<bool>,
    /// Of a complete answer.
    pub total_us: Option<u64>,
    pub first_us: Option<u64>,
    /// Of a complete answer, in picodollars.
    pub cost: Option<u64>,
}

/// How good somebody found an answer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Score {
    pub side: Side,
    /// The candidate's share when the call came, in thousandths.
    pub share: u32,
    /// In 0..=1.
    pub score: f64,
}

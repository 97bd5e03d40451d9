//! What sides are compared by.

use serde::{Deserialize, Serialize};

/// Which of the two a call belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Side {
    /// The one that is to come.
    Candidate,
    /// The one that is there.
    Current,
}

impl Side {
    pub fn name(self) -> &'static str {
        match self {
            Side::Candidate => "candidate",
            Side::Current => "current",
        }
    }
}

/// What sides are compared by. All are counted so that more is worse.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Measure {
    /// Calls that the side's own targets did not bring to a complete answer.
    Failures,
    /// Calls that the model or the provider's filter refused.
    Refusals,
    /// Answers that are no JSON where JSON was asked for.
    Schema,
    /// Time from a call's arrival to its end, as a logarithm.
    Latency,
    /// What a call costs, as a logarithm.
    Cost,
    /// How far scores are from 1.
    Score,
}

impl Measure {
    pub const ALL: [Measure; 6] = [
        Measure::Failures,
        Measure::Refusals,
        Measure::Schema,
        Measure::Latency,
        Measure::Cost,
        Measure::Score,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Measure::Failures => "failures",
            Measure::Refusals => "refusals",
            Measure::Schema => "schema",
            Measure::Latency => "latency",
            Measure::Cost => "cost",
            Measure::Score => "score",
        }
    }

    /// Whether each value is 0 or 1.
    pub(super) fn is_share(self) -> bool {
        match self {
            Measure::Failures | Measure::Refusals | Measure::Schema => true,
            Measure::Latency | Measure::Cost | Measure::Score => false,
        }
    }

    /// Whether values are logarithms, so that what is allowed is a factor.
    pub(super) fn is_logarithm(self) -> bool {
        match self {
            Measure::Latency | Measure::Cost => true,
            Measure::Failures | Measure::Refusals | Measure::Schema | Measure::Score => false,
        }
    }
}

//! A limit, checked and ready to be claimed from.

use std::{collections::BTreeMap, sync::Arc};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;
use wire::Operation;

use super::Window;
use crate::ledger::OnFailure;

/// How much of something may be used over a time.
#[derive(Clone, Debug, PartialEq)]
pub struct Limit {
    /// Follows from whose it is and what it counts, so that a change of the amount keeps what was counted.
    pub id: Uuid,
    /// As `requests per minute`.
    pub name: String,
    /// Whose it is, as `team search`.
    pub whose: Arc<str>,
    pub meter: Meter,
    /// In the meter's units; money in picodollars.
    pub amount: i64,
    pub window: Window,
    /// Which calls it holds for.
    pub only: Only,
    /// What is counted on its own.
    pub each: Vec<Each>,
    /// Whether it only tells what it would have refused.
    pub shadow: bool,
    /// From which share on it warns, in thousandths.
    pub warn_permille: Option<u32>,
    pub exceeded: Exceeded,
    pub on_failure: OnFailure,
    /// Whether what was left of one period is added to the next.
    pub carry_over: bool,
    /// Whether calls go on whose cost is not known, where money is counted.
    pub allows_unpriced: bool,
}

/// What a limit counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Meter {
    Requests,
    Tokens,
    InputTokens,
    OutputTokens,
    /// In picodollars.
    Money,
    /// Calls under way.
    Concurrency,
}

/// Which calls a limit holds for; what is empty asks for nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Only {
    /// Exact or with a trailing `*`.
    pub models: Vec<String>,
    pub operations: Vec<Operation>,
    pub tags: BTreeMap<String, String>,
}

/// What something is counted for on its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Each {
    /// The end user that the call names, by `x-tollgate-user` or in its body.
    EndUser,
    /// The model's name as the caller writes it.
    Model,
    Operation,
    /// The key, or whoever else calls.
    Key,
}

/// What becomes of a call beyond a limit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Exceeded {
    Refuse,
    /// It waits until it fits.
    Queue,
    /// A model of this name takes it.
    Downgrade(String),
}

impl Limit {
    /// Whether what was counted must outlive every process: money, and what is counted for an hour or longer.
    pub fn is_durable(&self) -> bool {
        const HOUR_US: i64 = 3_600_000_000;
        match &self.window {
            Window::Calendar(period, _) => self.meter == Meter::Money || period.length_us() >= HOUR_US,
            Window::Sliding { length_us } => self.meter == Meter::Money || *length_us >= HOUR_US,
            Window::Forever => true,
            Window::Bucket { .. } | Window::Concurrent => false,
        }
    }
}

impl Meter {
    /// As in the configuration.
    pub fn name(self) -> &'static str {
        match self {
            Meter::Requests => "requests",
            Meter::Tokens => "tokens",
            Meter::InputTokens => "input_tokens",
            Meter::OutputTokens => "output_tokens",
            Meter::Money => "usd",
            Meter::Concurrency => "concurrent",
        }
    }
}

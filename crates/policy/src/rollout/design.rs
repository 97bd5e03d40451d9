//! What the configuration says of a rollout.

use std::{sync::Arc, time::Duration};

use super::Measure;
use crate::{
    snapshot::AliasTarget,
    vitals::{RouteId, number},
};

/// A candidate for a name, and how it is brought in.
#[derive(Clone)]
pub struct Rollout {
    pub route: RouteId,
    pub name: Arc<str>,
    pub candidate: Vec<AliasTarget>,
    /// The candidate's share at each step, in thousandths, growing.
    pub steps: Vec<u32>,
    pub by: StickyBy,
    pub least: Least,
    pub promote_when: PromoteWhen,
    pub guard: Guard,
    pub verdict: VerdictMode,
    /// A number for all of this: another number is another rollout.
    pub design: u64,
}

/// What keeps its side.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum StickyBy {
    /// The session that the caller names; otherwise as `User`.
    #[default]
    Session,
    /// The end user that the request names; otherwise the key.
    User,
    Key,
    /// Nothing: each request by chance.
    Request,
}

/// The least that a step takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Least {
    /// Of the candidate.
    pub calls: u64,
    pub time: Duration,
}

/// When the next step is taken, once the least has passed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PromoteWhen {
    /// Nothing looks worse than is allowed.
    #[default]
    LooksGood,
    /// It is proven of every measure that it is not worse than is allowed.
    Proven,
}

/// Who acts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum VerdictMode {
    #[default]
    Auto,
    /// A person: what would have been done is told.
    Manual,
}

/// How much worse the candidate may be; nothing where a measure is not looked at.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Guard {
    /// In the order of [`Measure::ALL`]: a difference of shares, or a factor less one.
    pub margins: [Option<f64>; Measure::ALL.len()],
}

impl Default for Guard {
    fn default() -> Guard {
        Guard { margins: [Some(0.02), Some(0.02), Some(0.02), Some(0.3), Some(0.2), Some(0.05)] }
    }
}

impl Guard {
    pub fn margin(&self, measure: Measure) -> Option<f64> {
        self.margins.get(measure as usize).copied().flatten()
    }

    /// The most that the mean of a measure's values may be greater by.
    pub(super) fn allowed(&self, measure: Measure) -> Option<f64> {
        let margin = self.margin(measure)?;
        Some(if measure.is_logarithm() { margin.ln_1p() } else { margin })
    }

    /// How many measures are looked at.
    pub(super) fn count(&self) -> usize {
        self.margins.iter().flatten().count()
    }
}

impl Rollout {
    /// The number of a definition, given what it replaces.
    #[must_use]
    pub fn numbered(mut self, current: &[AliasTarget]) -> Rollout {
        let targets = |targets: &[AliasTarget]| {
            targets.iter().map(|target| format!("{}*{}", target.id.0, target.weight)).collect::<Vec<_>>()
        };
        let text = format!(
            "{:?} {:?} {:?} {:?} {:?} {:?} {:?} {:?}",
            targets(current),
            targets(&self.candidate),
            self.steps,
            self.by,
            self.least,
            self.promote_when,
            self.guard,
            self.verdict
        );
        self.design = number(&[self.name.as_bytes(), text.as_bytes()]);
        self
    }
}

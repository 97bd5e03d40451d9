//! What is known of a side.

use serde::{Deserialize, Serialize};

use super::{Measure, Sample};

/// The figures of one side, for people and for the reasons that are given.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Tally {
    pub failures: Shares,
    pub refusals: Shares,
    /// Of answers that were to be JSON.
    pub schema: Shares,
    pub latency_us: Amounts,
    pub first_us: Amounts,
    pub cost_picodollars: Amounts,
    pub score: Amounts,
}

/// How many of how many.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shares {
    pub of: u64,
    pub count: u64,
}

/// Amounts: of what many of them are like, the geometric mean says more than the sum does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Amounts {
    pub of: u64,
    pub sum: f64,
    /// Of the natural logarithms.
    pub sum_of_logs: f64,
}

impl Tally {
    pub fn calls(&self) -> u64 {
        self.failures.of
    }

    pub(super) fn add(&mut self, sample: &Sample) {
        self.failures.add(sample.failed);
        if !sample.failed {
            self.refusals.add(sample.refused);
        }
        if let Some(invalid) = sample.invalid {
            self.schema.add(invalid);
        }
        let amounts = [
            (&mut self.latency_us, sample.total_us),
            (&mut self.first_us, sample.first_us),
            (&mut self.cost_picodollars, sample.cost),
        ];
        for (amounts, amount) in amounts {
            if let Some(amount) = amount {
                amounts.add(amount as f64);
            }
        }
    }

    /// How many values there are of a measure.
    pub(super) fn count(&self, measure: Measure) -> u64 {
        match measure {
            Measure::Failures => self.failures.of,
            Measure::Refusals => self.refusals.of,
            Measure::Schema => self.schema.of,
            Measure::Latency => self.latency_us.of,
            Measure::Cost => self.cost_picodollars.of,
            Measure::Score => self.score.of,
        }
    }

    /// The figure of a measure: a share, a geometric mean, or the mean score.
    pub(super) fn figure(&self, measure: Measure) -> Option<f64> {
        match measure {
            Measure::Failures => self.failures.share(),
            Measure::Refusals => self.refusals.share(),
            Measure::Schema => self.schema.share(),
            Measure::Latency => self.latency_us.geometric_mean(),
            Measure::Cost => self.cost_picodollars.geometric_mean(),
            Measure::Score => self.score.mean(),
        }
    }
}

impl Shares {
    fn add(&mut self, counts: bool) {
        self.of += 1;
        self.count += u64::from(counts);
    }

    pub fn share(&self) -> Option<f64> {
        (self.of > 0).then(|| self.count as f64 / self.of as f64)
    }
}

impl Amounts {
    pub(super) fn add(&mut self, amount: f64) {
        self.of += 1;
        self.sum += amount;
        self.sum_of_logs += amount.max(1.0).ln();
    }

    pub fn mean(&self) -> Option<f64> {
        (self.of > 0).then(|| self.sum / self.of as f64)
    }

    pub fn geometric_mean(&self) -> Option<f64> {
        (self.of > 0).then(|| (self.sum_of_logs / self.of as f64).exp())
    }
}

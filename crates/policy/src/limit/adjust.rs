//! What budgets are given beside what is configured.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{Limit, Window};

/// Why a budget has more than is configured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AdjustmentKind {
    /// Somebody added to it.
    TopUp,
    /// What was used so far in its period is forgiven.
    Reset,
    /// What was left of the period before.
    CarryOver,
}

/// What each slot of each bucket has beside what is configured.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Adjustments(HashMap<(Uuid, i64), i64>);

impl AdjustmentKind {
    pub const ALL: [AdjustmentKind; 3] =
        [AdjustmentKind::TopUp, AdjustmentKind::Reset, AdjustmentKind::CarryOver];

    pub fn name(self) -> &'static str {
        match self {
            AdjustmentKind::TopUp => "top_up",
            AdjustmentKind::Reset => "reset",
            AdjustmentKind::CarryOver => "carry_over",
        }
    }
}

impl Adjustments {
    /// Buckets, the beginnings of slots, and amounts.
    pub fn new(entries: impl IntoIterator<Item = (Uuid, i64, i64)>) -> Adjustments {
        let mut sums: HashMap<(Uuid, i64), i64> = HashMap::new();
        for (bucket, slot_us, amount) in entries {
            let sum = sums.entry((bucket, slot_us)).or_default();
            *sum = sum.saturating_add(amount);
        }
        Adjustments(sums)
    }

    pub fn of(&self, bucket: Uuid, slot_us: i64) -> i64 {
        if self.0.is_empty() { 0 } else { self.0.get(&(bucket, slot_us)).copied().unwrap_or(0) }
    }
}

impl Limit {
    /// The beginning and the end of what is counted together now; nothing where that is no period.
    pub fn slot(&self, now_us: i64) -> Option<(i64, i64)> {
        match &self.window {
            Window::Calendar(period, zone) => Some(period.around(now_us, zone)),
            Window::Forever => Some((0, super::claims::FOREVER_US)),
            Window::Sliding { .. } | Window::Bucket { .. } | Window::Concurrent => None,
        }
    }

    /// What is carried over into a period: what was left of the amount that is configured, given what the period before
    /// used. A period in which nothing was used carries nothing: the budget may not have been there.
    pub fn carried(&self, used_before: i64) -> Option<i64> {
        let left = self.amount.saturating_sub(used_before);
        (self.carry_over && used_before > 0 && left > 0).then_some(left)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_add_up_by_slot() {
        let (one, other) = (Uuid::from_u128(1), Uuid::from_u128(2));
        let sums =
            Adjustments::new([(one, 0, 5), (one, 0, 7), (one, 60, 1), (other, 0, i64::MAX), (other, 0, 1)]);
        assert_eq!((sums.of(one, 0), sums.of(one, 60), sums.of(one, 120)), (12, 1, 0));
        assert_eq!(sums.of(other, 0), i64::MAX);
        assert_eq!(Adjustments::default().of(one, 0), 0);
    }
}

//! A second request to another target where the first takes longer to begin than it usually does: whichever answers first
//! is the answer. Bounded by a share of the calls and by a share of the money, so that a provider that is slow for everyone
//! is not asked for twice as much.

use std::time::Duration;

use crate::health::Health;

/// When a second target is asked, and how often that may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hedging {
    pub after: HedgeAfter,
    /// The most hedges, in thousandths of the calls.
    pub calls_permille: u32,
    /// The most that hedges may cost, in thousandths of what the calls cost.
    pub cost_permille: u32,
}

/// How long the first target has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HedgeAfter {
    /// As long as so many thousandths of its answers took to begin.
    Quantile(u32),
    Span(Duration),
}

impl Default for Hedging {
    fn default() -> Hedging {
        Hedging { after: HedgeAfter::Quantile(950), calls_permille: 50, cost_permille: 50 }
    }
}

impl Hedging {
    /// How long to wait for the first target; `None` where too little is known of it.
    pub fn delay(&self, health: Option<&Health>) -> Option<Duration> {
        match self.after {
            HedgeAfter::Span(span) => Some(span),
            HedgeAfter::Quantile(permille) => health.and_then(|health| health.wait_at(permille)),
        }
    }
}

/// The most that is saved up: hedges.
const SAVED_MAX: u32 = 50;

/// What hedges of one route may still cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HedgeAccount {
    /// Thousandths of hedges that were saved up.
    saved: u32,
    /// In picodollars, both.
    spent: u64,
    hedged: u64,
}

impl HedgeAccount {
    /// A call begins.
    pub fn pay_in(&mut self, hedging: &Hedging) {
        self.saved = (self.saved + hedging.calls_permille).min(SAVED_MAX * 1_000);
    }

    /// A call has ended: what it cost in all, and what of that were hedges.
    pub fn settle(&mut self, cost: u64, hedged: u64) {
        self.spent = self.spent.saturating_add(cost);
        self.hedged = self.hedged.saturating_add(hedged);
        if self.spent > u64::MAX / 4 {
            (self.spent, self.hedged) = (self.spent / 2, self.hedged / 2);
        }
    }

    /// Whether another hedge may be made; it is counted.
    pub fn take(&mut self, hedging: &Hedging) -> bool {
        let affordable =
            u128::from(self.hedged) * 1_000 <= u128::from(self.spent) * u128::from(hedging.cost_permille);
        match self.saved.checked_sub(1_000) {
            Some(saved) if affordable => {
                self.saved = saved;
                true
            }
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hedges_keep_to_their_share_of_calls_and_of_money() {
        let hedging = Hedging::default();
        let hedges = |cost: u64| {
            let mut account = HedgeAccount::default();
            let mut count = 0;
            for _ in 0..10_000 {
                account.pay_in(&hedging);
                let hedged = account.take(&hedging);
                count += u32::from(hedged);
                account.settle(100 + if hedged { cost } else { 0 }, if hedged { cost } else { 0 });
            }
            count
        };
        assert_eq!(hedges(0), 500, "a twentieth of the calls");
        let dear = hedges(1_000);
        assert!((40..=60).contains(&dear), "{dear}: a twentieth of the money");
    }
}

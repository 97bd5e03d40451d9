//! How many further attempts a route may make: a storm of failures must not become a storm of retries.
//!
//! Every call pays a share of an attempt in, every further attempt takes one out, and one that brings the answer gives it
//! back: what is bounded is the load of attempts that fail. A fallback that works costs nothing, so that a target that is
//! down does not use the budget up; where nothing works, the load on the providers grows by no more than the share.

/// Tokens are counted in thousandths.
const TOKEN: u32 = 1_000;
/// What a route may spend before it has saved anything: attempts.
const START: u32 = 20;
/// The most that it saves: attempts.
const SAVED_MAX: u32 = 200;

/// What is left for further attempts of one route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryBudget {
    left: u32,
}

impl Default for RetryBudget {
    fn default() -> RetryBudget {
        RetryBudget { left: START * TOKEN }
    }
}

impl RetryBudget {
    /// A call has made its first attempt. `permille` is the share of further attempts, in thousandths of the calls.
    pub fn pay_in(&mut self, permille: u32) {
        self.left = (self.left + permille).min(SAVED_MAX * TOKEN);
    }

    /// Takes a further attempt out; false where there is none left.
    pub fn take(&mut self) -> bool {
        match self.left.checked_sub(TOKEN) {
            Some(left) => {
                self.left = left;
                true
            }
            None => false,
        }
    }

    /// A further attempt brought the answer.
    pub fn give_back(&mut self) {
        self.left = (self.left + TOKEN).min(SAVED_MAX * TOKEN);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_storm_of_failures_adds_no_more_than_its_share() {
        let mut budget = RetryBudget::default();
        let further = (0..10_000).filter(|_| {
            budget.pay_in(200);
            budget.take()
        });
        assert_eq!(further.count(), 10_000 / 5 + START as usize);
    }

    #[test]
    fn attempts_that_answer_cost_nothing() {
        let mut budget = RetryBudget::default();
        for _ in 0..10_000 {
            budget.pay_in(0);
            assert!(budget.take());
            budget.give_back();
        }
    }
}

//! The one that did best so far, and at times another, to learn of it (an epsilon-greedy bandit whose memory fades, so that
//! it follows what changes).

use std::time::Duration;

use super::Choice;
use crate::vitals::TargetId;

/// What counts how much.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Adaptive {
    /// How many calls in a thousand go to one that chance names.
    pub explore_permille: u32,
    /// How much waiting counts, in 0..=1: what is lost of a reward by an answer that takes far longer than others.
    pub latency: f64,
    /// How much cost counts, in 0..=1.
    pub cost: f64,
}

impl Default for Adaptive {
    fn default() -> Adaptive {
        Adaptive { explore_permille: 50, latency: 0.3, cost: 0.3 }
    }
}

/// How much of what was learned counts beside what is new, once there is enough.
const MEMORY: f64 = 0.02;

/// What is known of the targets of a name.
#[derive(Clone, Debug, Default)]
pub struct Arms {
    arms: Vec<(TargetId, Arm)>,
    /// Of all arms together.
    wait_us: f64,
    cost: f64,
}

#[derive(Clone, Copy, Debug, Default)]
struct Arm {
    pulls: u32,
    reward: f64,
}

/// What became of a call.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Reaped {
    pub answered: bool,
    pub wait: Duration,
    /// In picodollars.
    pub cost: Option<u64>,
}

impl Adaptive {
    pub(super) fn pick(&self, choice: &mut Choice<'_>) -> usize {
        if choice.vitals.chance().u32(..1_000) < self.explore_permille {
            let at = choice.vitals.chance().usize(..choice.left.len().max(1));
            return choice.left.get(at).copied().unwrap_or_default();
        }
        let arms = choice.vitals.arms(choice.route, choice.now).clone();
        choice.least(|vitals, contender| match arms.find(contender.id) {
            Some(arm) => -arm.reward,
            // Better than any reward: each is tried once, and not by everyone at once.
            None => f64::from(vitals.in_flight(contender.id)) - 2.0,
        })
    }
}

impl Arms {
    /// A call has ended.
    pub fn learn(&mut self, id: TargetId, weights: &Adaptive, reaped: &Reaped) {
        let wait_us = reaped.wait.as_micros() as f64;
        let mut reward = 0.0;
        if reaped.answered {
            let wait = share(wait_us, &mut self.wait_us);
            let cost = reaped.cost.map_or(0.0, |cost| share(cost as f64, &mut self.cost));
            reward = 1.0 - weights.latency * wait - weights.cost * cost;
        }
        self.add(id, reward);
    }

    /// Somebody said how good an answer was, in 0..=1.
    pub(crate) fn judge(&mut self, id: TargetId, score: f64) {
        self.add(id, score.clamp(0.0, 1.0));
    }

    fn add(&mut self, id: TargetId, reward: f64) {
        let at = self.arms.iter().position(|(arm, _)| *arm == id).unwrap_or_else(|| {
            self.arms.push((id, Arm::default()));
            self.arms.len() - 1
        });
        let Some((_, arm)) = self.arms.get_mut(at) else { return };
        arm.pulls = arm.pulls.saturating_add(1);
        let new = (1.0 / f64::from(arm.pulls)).max(MEMORY);
        arm.reward += (reward - arm.reward) * new;
    }

    fn find(&self, id: TargetId) -> Option<&Arm> {
        self.arms.iter().find(|(arm, _)| *arm == id).map(|(_, arm)| arm)
    }
}

/// An amount next to what is usual, in 0..1: a half where it is as usual.
fn share(amount: f64, usual: &mut f64) -> f64 {
    *usual = if *usual == 0.0 { amount } else { *usual * (1.0 - MEMORY) + amount * MEMORY };
    if amount + *usual == 0.0 { 0.0 } else { amount / (amount + *usual) }
}

//! The better of two that chance names: by its calls in flight times the time to its answers, which rises at once and
//! falls slowly. Two are enough to keep away from what is slow, and few enough that callers do not all run to the same one
//! (Mitzenmacher, "The Power of Two Choices in Randomized Load Balancing", 2001; Finagle's `p2cPeakEwma`).

use super::{Choice, Contender};
use crate::{health::Health, moment::Moment, vitals::Vitals};

pub(super) fn pick(choice: &mut Choice<'_>) -> usize {
    let count = choice.left.len();
    let chance = choice.vitals.chance();
    let first = chance.usize(..count.max(1));
    // Another one than the first.
    let second = (first + 1 + chance.usize(..count.saturating_sub(1).max(1))) % count.max(1);
    let number = |at: usize| choice.left.get(at).copied().unwrap_or_default();
    let load = |number: usize| {
        choice
            .contenders
            .get(number)
            .map_or(f64::INFINITY, |contender| load(choice.vitals, contender, choice.now))
    };
    let (first, second) = (number(first), number(second));
    if load(second) < load(first) { second } else { first }
}

/// What one more call there would wait for. Of what nothing is known, it is the least: it is worth a try, but no more than
/// one at a time.
fn load(vitals: &Vitals, contender: &Contender, now: Moment) -> f64 {
    let Some(health) = vitals.health(contender.id) else { return 0.0 };
    let in_flight = f64::from(health.in_flight());
    waiting(health, now).max(1.0) * (in_flight + 1.0) * health.handicap(now)
        / f64::from(contender.weight.max(1))
}

/// How long its answers take to begin. Where the first call is still under way, nobody knows: longer than any other.
fn waiting(health: &Health, now: Moment) -> f64 {
    let known = health.wait_us(now);
    if known == 0.0 && health.in_flight() > 0 { 1e9 } else { known }
}

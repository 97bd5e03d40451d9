//! The one whose answers begin the soonest. Calls in flight count as longer waits, so that not all callers run to the same
//! one at once; what is known fades, so that each is tried again from time to time.

use super::Choice;

pub(super) fn pick(choice: &mut Choice<'_>) -> usize {
    let now = choice.now;
    choice.least(|vitals, contender| {
        let Some(health) = vitals.health(contender.id) else { return 0.0 };
        let known = health.wait_us(now);
        if known == 0.0 && health.in_flight() > 0 {
            return 1e9;
        }
        known * (1.0 + f64::from(health.in_flight()) / 8.0) * health.handicap(now)
    })
}

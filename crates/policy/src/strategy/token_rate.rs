//! The one whose answers come the fastest once they have begun. One of which nothing is known is tried first.

use super::Choice;

pub(super) fn pick(choice: &mut Choice<'_>) -> usize {
    choice.least(|vitals, contender| {
        let Some(health) = vitals.health(contender.id) else { return 0.0 };
        let rate = health.tokens_per_second();
        if rate == 0.0 {
            return if health.in_flight() > 0 { 1.0 } else { 0.0 };
        }
        1.0 / rate
    })
}

//! The fewest calls in flight for its weight. What fails counts as if it had more.

use super::Choice;
use crate::health::Health;

pub(super) fn pick(choice: &mut Choice<'_>) -> usize {
    let now = choice.now;
    choice.least(|vitals, contender| {
        let health = vitals.health(contender.id);
        let in_flight = health.map_or(0, Health::in_flight);
        let handicap = health.map_or(1.0, |health| health.handicap(now));
        f64::from(in_flight + 1) * handicap / f64::from(contender.weight.max(1))
    })
}

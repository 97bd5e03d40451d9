//! The fewest calls in flight for its weight.

use super::Choice;

pub(super) fn pick(choice: &mut Choice<'_>) -> usize {
    choice.least(|vitals, contender| {
        f64::from(vitals.in_flight(contender.id) + 1) / f64::from(contender.weight.max(1))
    })
}

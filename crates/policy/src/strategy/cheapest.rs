//! The one for which this request costs the least, by its own tokens. What has no price comes last.

use super::Choice;

pub(super) fn pick(choice: &mut Choice<'_>) -> usize {
    choice.least(|_, contender| contender.cost.map_or(f64::MAX, |cost| cost as f64))
}

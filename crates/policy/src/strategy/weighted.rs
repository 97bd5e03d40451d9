//! By chance, in proportion to weights.

use super::Choice;

pub(super) fn pick(choice: &mut Choice<'_>) -> usize {
    let weight =
        |number: &usize| choice.contenders.get(*number).map_or(0, |contender| u64::from(contender.weight));
    let all: u64 = choice.left.iter().map(weight).sum();
    if all == 0 {
        // Those without weight are asked only where nothing else is left.
        return super::ordered::pick(choice);
    }
    let mut at = choice.vitals.chance().u64(..all);
    let weight =
        |number: usize| choice.contenders.get(number).map_or(0, |contender| u64::from(contender.weight));
    for &number in choice.left {
        match at.checked_sub(weight(number)) {
            Some(rest) => at = rest,
            None => return number,
        }
    }
    choice.left.last().copied().unwrap_or_default()
}

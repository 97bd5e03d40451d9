//! Where a conversation's prompt cache lives, as long as that saves money; otherwise the cheapest.
//!
//! A conversation has its home by rendezvous, which needs no memory and is the same in every replica. It stays there while
//! what it costs there with its beginning read from the provider's cache, as often as that was so of late, is no more than
//! what the cheapest other costs without.

use super::{Choice, cheapest, sticky};

pub(super) fn pick(choice: &mut Choice<'_>) -> usize {
    let home = sticky::pick(choice);
    let cheapest = cheapest::pick(choice);
    let cost = |number: usize| choice.contenders.get(number).and_then(|contender| contender.cost);
    let at_home = choice.contenders.get(home).and_then(|contender| contender.cost_cached.or(contender.cost));
    match (at_home, cost(cheapest)) {
        (Some(at_home), Some(elsewhere)) if at_home > elsewhere => cheapest,
        (None, Some(_)) => cheapest,
        (Some(_) | None, _) => home,
    }
}

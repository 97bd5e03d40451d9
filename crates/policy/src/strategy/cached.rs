//! Where a conversation's prompt cache lives: always at the same one of those for which it costs the least while it goes on.
//!
//! What counts is what the request costs with its beginning read from the provider's cache. Among those that are equal in
//! that, a conversation has its home by rendezvous, which needs no memory and is the same in every core and replica. Its
//! first request goes there, too: it is what fills the cache.

use super::{Choice, ordered, sticky::distance};

pub(super) fn pick(choice: &mut Choice<'_>) -> usize {
    let known = |number: &usize| choice.contenders.get(*number);
    let cost = |number: &usize| known(number).and_then(|contender| contender.cost_cached.or(contender.cost));
    let least = choice.left.iter().filter_map(cost).min();
    // A hundredth is no reason to leave a cache.
    let equal = |number: &&usize| match (cost(number), least) {
        (Some(cost), Some(least)) => cost <= least.saturating_add(least / 100),
        (None, Some(_)) => false,
        (_, None) => true,
    };
    let near =
        |number: &usize| known(number).map_or(f64::MAX, |contender| distance(choice.affinity, contender));
    let home = choice.left.iter().filter(equal).min_by(|one, other| near(one).total_cmp(&near(other)));
    home.copied().unwrap_or_else(|| ordered::pick(choice))
}

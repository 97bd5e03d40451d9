//! What all strategies have in common, and their list.

use super::{
    adaptive::Adaptive, cached, cheapest, first_token, latency, least_in_flight, ordered, round_robin,
    sticky, token_rate, weighted,
};
use crate::{
    moment::Moment,
    vitals::{RouteId, TargetId, Vitals},
};

/// How the targets of a name are chosen.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Strategy {
    /// As they stand.
    #[default]
    Ordered,
    /// By chance, in proportion to their weights.
    Weighted,
    /// In turns, as often as their weights say.
    RoundRobin,
    /// The one with the fewest calls in flight for its weight.
    LeastInFlight,
    /// The better of two that chance names, by their calls in flight and the time to their answers ("power of two choices"
    /// with "peak EWMA").
    Latency,
    /// The one whose answers begin the soonest.
    FirstToken,
    /// The one whose answers come the fastest once they have begun.
    TokenRate,
    /// The one for which this request costs the least.
    Cheapest,
    /// Always the same one for the same session, user or beginning of a conversation.
    Sticky,
    /// Where a conversation's prompt cache lives: always the same one of those that cost the least while it goes on.
    Cached,
    /// The one that did best so far, and at times another to learn of it.
    Adaptive(Adaptive),
}

/// A target as strategies see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Contender {
    pub id: TargetId,
    pub weight: u32,
    /// What this request may cost there, in picodollars; `None` where there is no price.
    pub cost: Option<u64>,
    /// What it may cost where the provider's cache holds the conversation so far, as far as it caches.
    pub cost_cached: Option<u64>,
}

/// What a strategy picks from.
pub struct Choice<'a> {
    pub contenders: &'a [Contender],
    /// The numbers of those that are left; there is at least one.
    pub left: &'a [usize],
    pub vitals: &'a mut Vitals,
    pub route: RouteId,
    /// What stays the same for what is to stay together.
    pub affinity: u64,
    pub now: Moment,
}

impl Strategy {
    /// The number of the contender to ask.
    pub fn pick(&self, choice: &mut Choice<'_>) -> usize {
        match self {
            _ if choice.left.len() == 1 => ordered::pick(choice),
            Strategy::Ordered => ordered::pick(choice),
            Strategy::Weighted => weighted::pick(choice),
            Strategy::RoundRobin => round_robin::pick(choice),
            Strategy::LeastInFlight => least_in_flight::pick(choice),
            Strategy::Latency => latency::pick(choice),
            Strategy::FirstToken => first_token::pick(choice),
            Strategy::TokenRate => token_rate::pick(choice),
            Strategy::Cheapest => cheapest::pick(choice),
            Strategy::Sticky => sticky::pick(choice),
            Strategy::Cached => cached::pick(choice),
            Strategy::Adaptive(adaptive) => adaptive.pick(choice),
        }
    }

    /// Whether contenders need to know what a request costs.
    pub fn wants_cost(&self) -> bool {
        match self {
            Strategy::Cheapest | Strategy::Cached => true,
            Strategy::Ordered
            | Strategy::Weighted
            | Strategy::RoundRobin
            | Strategy::LeastInFlight
            | Strategy::Latency
            | Strategy::FirstToken
            | Strategy::TokenRate
            | Strategy::Sticky
            | Strategy::Adaptive(_) => false,
        }
    }

    /// Whether it matters to it what belongs together.
    pub(crate) fn keeps_together(&self) -> bool {
        matches!(self, Strategy::Sticky | Strategy::Cached)
    }

    pub fn name(&self) -> &'static str {
        match self {
            Strategy::Ordered => "ordered",
            Strategy::Weighted => "weighted",
            Strategy::RoundRobin => "round_robin",
            Strategy::LeastInFlight => "least_in_flight",
            Strategy::Latency => "latency",
            Strategy::FirstToken => "first_token",
            Strategy::TokenRate => "token_rate",
            Strategy::Cheapest => "cheapest",
            Strategy::Sticky => "sticky",
            Strategy::Cached => "cached",
            Strategy::Adaptive(_) => "adaptive",
        }
    }
}

impl Choice<'_> {
    /// The one with the least of something; the first of equals, which chance has put there.
    pub(super) fn least(&mut self, of: impl Fn(&Vitals, &Contender) -> f64) -> usize {
        let start = self.vitals.chance().usize(..self.left.len().max(1));
        let (before, from) = self.left.split_at_checked(start).unwrap_or((&[], self.left));
        let mut best = (f64::INFINITY, self.left.first().copied().unwrap_or_default());
        for &number in from.iter().chain(before) {
            let Some(contender) = self.contenders.get(number) else { continue };
            let amount = of(self.vitals, contender);
            if amount < best.0 {
                best = (amount, number);
            }
        }
        best.1
    }
}

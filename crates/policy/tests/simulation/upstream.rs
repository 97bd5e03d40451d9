//! A virtual upstream: how long its answers take, how many calls it serves at a time, and what goes wrong with it when.

use std::{cmp::Reverse, collections::BinaryHeap, time::Duration};

use tollgate_policy::moment::Moment;
use wire::{Fault, Kind, Origin, Retry};

/// A virtual upstream.
#[derive(Clone)]
pub(crate) struct Upstream {
    /// Half of its answers begin sooner.
    pub(crate) median: Duration,
    /// How far they spread: the deviation of the logarithm.
    pub(crate) spread: f64,
    /// When each of its places is free again; empty where it has places for all.
    places: BinaryHeap<Reverse<u64>>,
    /// The longest that a call waits for a place; who would wait for longer is refused.
    queue_max: Duration,
    pub(crate) spells: Vec<Spell>,
    /// What a call costs, in picodollars.
    pub(crate) price: u64,
}

/// What goes wrong for a while.
#[derive(Clone, Copy)]
pub(crate) struct Spell {
    pub(crate) from: Duration,
    pub(crate) until: Duration,
    /// The share of calls that it befalls, in 0..=1.
    pub(crate) share: f64,
    pub(crate) what: Trouble,
}

#[derive(Clone, Copy)]
pub(crate) enum Trouble {
    /// An error 500 after so long.
    Fails(Duration),
    /// An error 429, with so long in `Retry-After`.
    Refuses(Duration),
    /// No answer.
    Stalls,
    /// Answers take so many times as long.
    Slow(f64),
}

/// What becomes of a call.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Fate {
    Answered,
    Failed,
    Overloaded,
    Refused(Duration),
    TimedOut,
}

impl Upstream {
    /// One with places for all that never fails.
    pub(crate) fn new(median_ms: u64, spread: f64) -> Upstream {
        Upstream {
            median: Duration::from_millis(median_ms),
            spread,
            places: BinaryHeap::new(),
            queue_max: Duration::MAX,
            spells: Vec::new(),
            price: 1_000_000,
        }
    }

    pub(crate) fn places(mut self, count: usize, queue_max: Duration) -> Upstream {
        self.places = std::iter::repeat_n(Reverse(0), count).collect();
        self.queue_max = queue_max;
        self
    }

    pub(crate) fn price(mut self, price: u64) -> Upstream {
        self.price = price;
        self
    }

    /// Between these seconds this befalls such a share of the calls.
    pub(crate) fn spell(mut self, seconds: (u64, u64), share: f64, what: Trouble) -> Upstream {
        let (from, until) = (Duration::from_secs(seconds.0), Duration::from_secs(seconds.1));
        self.spells.push(Spell { from, until, share, what });
        self
    }

    /// Out, with errors that come at once.
    pub(crate) fn out(self, seconds: (u64, u64)) -> Upstream {
        self.spell(seconds, 1.0, Trouble::Fails(Duration::from_millis(5)))
    }

    /// A call comes: after how long it ends, and how. `patience` is the longest that the caller waits.
    pub(crate) fn ask(
        &mut self,
        now: Moment,
        patience: Duration,
        chance: &mut fastrand::Rng,
    ) -> (Duration, Fate) {
        let since_start = now.since(Moment(0));
        let mut slower = 1.0;
        for spell in &self.spells {
            let on = (spell.from..spell.until).contains(&since_start);
            if !on || (spell.share < 1.0 && chance.f64() >= spell.share) {
                continue;
            }
            match spell.what {
                Trouble::Fails(after) => return (after, Fate::Failed),
                Trouble::Refuses(after) => return (Duration::from_millis(5), Fate::Refused(after)),
                Trouble::Stalls => return (patience, Fate::TimedOut),
                Trouble::Slow(factor) => slower = factor,
            }
        }
        let work = self.median.mul_f64(slower * (self.spread * normal(chance)).exp());
        let mut queued = Duration::ZERO;
        if let Some(mut place) = self.places.peek_mut() {
            let start = place.0.max(now.0);
            queued = Moment(start).since(now);
            if queued > self.queue_max {
                return (Duration::from_millis(5), Fate::Overloaded);
            }
            *place = Reverse(Moment(start).after(work).0);
        }
        let wait = queued + work;
        if wait > patience { (patience, Fate::TimedOut) } else { (wait, Fate::Answered) }
    }
}

impl Fate {
    /// What the gateway makes of it; `None` where it was answered.
    pub(crate) fn fault(self) -> Option<Fault> {
        let (kind, status, retry) = match self {
            Fate::Answered => return None,
            Fate::Failed => (Kind::Internal, Some(500), Retry::Soon),
            Fate::Overloaded => (Kind::Overloaded, Some(503), Retry::Soon),
            Fate::Refused(after) => (Kind::RateLimited, Some(429), Retry::After(after)),
            Fate::TimedOut => (Kind::Timeout, None, Retry::Soon),
        };
        let mut fault = Fault::new(Origin::Upstream, kind, String::new()).retry(retry);
        fault.upstream_status = status;
        Some(fault)
    }
}

/// A number of the standard normal distribution (Box and Muller, 1958).
fn normal(chance: &mut fastrand::Rng) -> f64 {
    let (one, other) = (1.0 - chance.f64(), chance.f64());
    (-2.0 * one.ln()).sqrt() * (std::f64::consts::TAU * other).cos()
}

/// How long it is to the next call where they come by themselves, so many a second.
pub(crate) fn pause(rate: f64, chance: &mut fastrand::Rng) -> Duration {
    Duration::from_secs_f64(-(1.0 - chance.f64()).ln() / rate)
}

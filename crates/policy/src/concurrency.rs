//! How many calls at a time a provider takes: a number, or one that is learned from how it answers.
//!
//! - `aimd`: one more for every round that went well, three quarters of it where the provider is overloaded or late (additive
//!   increase, multiplicative decrease, <https://www.rfc-editor.org/rfc/rfc5681#section-3>).
//! - `gradient`: the time to answers, next to what it is where little is in flight, says whether calls wait for each other
//!   inside the provider (after "gradient2" of <https://github.com/Netflix/concurrency-limits>).
//!
//! Both begin at the least and double until they meet resistance. A round is as many answers as there are places, all of
//! calls that began after the last change. At times a gradient lets a round pass with half of its limit, to see what is
//! usual.

use std::time::Duration;

use wire::{Fault, Kind, Origin};

use crate::moment::{Moment, micros};

/// How many calls at a time a provider takes, and who may wait for a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConcurrencyPolicy {
    pub max: u32,
    /// The least that a learned limit falls to.
    pub min: u32,
    /// `None` where the limit is always the most.
    pub adapt: Option<Adapt>,
    /// The most that wait.
    pub queue_max: usize,
    /// How long they wait at most.
    pub queue_wait: Duration,
}

/// How a limit is learned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Adapt {
    /// From overload and timeouts.
    Aimd,
    /// From the time to answers, and from overload and timeouts.
    Gradient,
}

impl ConcurrencyPolicy {
    /// A limit that never changes, with the usual queue in front of it.
    pub fn fixed(max: u32) -> ConcurrencyPolicy {
        ConcurrencyPolicy {
            max,
            min: MIN.min(max),
            adapt: None,
            queue_max: QUEUE_MAX,
            queue_wait: QUEUE_WAIT,
        }
    }
}

/// What a call has shown of how busy its provider is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Seen {
    /// Nothing: its caller went away, or the fault was of another kind.
    #[default]
    Nothing,
    /// It was answered after so long.
    Answered(Pace, Duration),
    /// The provider had no room for it, or was late.
    Overloaded,
}

/// Which times can be compared with each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pace {
    /// From asking to the first piece of a stream.
    FirstPiece,
    /// From asking to a whole answer, for each of its tokens.
    Token,
    /// From asking to a whole answer that has no tokens.
    Answer,
}

impl Seen {
    pub fn fault(fault: &Fault) -> Seen {
        let busy = matches!(fault.kind, Kind::Overloaded | Kind::Timeout | Kind::RateLimited);
        if busy && fault.origin == Origin::Upstream { Seen::Overloaded } else { Seen::Nothing }
    }

    /// An answer whose first piece came after `wait`.
    pub fn answer(stream: bool, output_tokens: u64, wait: Duration) -> Seen {
        match u32::try_from(output_tokens) {
            _ if stream => Seen::Answered(Pace::FirstPiece, wait),
            Ok(0) | Err(_) => Seen::Answered(Pace::Answer, wait),
            Ok(tokens) => Seen::Answered(Pace::Token, wait / tokens),
        }
    }
}

/// A call that has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sample {
    pub began: Moment,
    /// How many were in flight when it began, itself among them, and how many could have been.
    pub in_flight: u32,
    pub limit: u32,
    pub seen: Seen,
}

/// Learns how many calls at a time a provider takes.
#[derive(Clone, Debug)]
pub struct Limiter {
    policy: ConcurrencyPolicy,
    limit: f64,
    /// Whether it still doubles.
    starting: bool,
    /// When it was last cut: what was sent before says nothing of what came of that.
    cut: Moment,
    round: Round,
    /// Rounds since half of the limit was tried.
    rounds: u32,
    /// The limit to go back to, while half of it is tried.
    probing: Option<f64>,
    /// The usual time of each pace where little is in flight, in microseconds; 0 where nothing is known.
    usual_us: [f64; 3],
}

/// What answers since the last change have shown.
#[derive(Clone, Copy, Debug, Default)]
struct Round {
    /// Calls that began before say nothing of it.
    since: Moment,
    answers: u32,
    /// The most that were in flight.
    busiest: u32,
    /// Sum and count of the times of each pace.
    times_us: [(f64, u32); 3],
}

/// Defaults.
const MIN: u32 = 4;
const QUEUE_MAX: usize = 100;
const QUEUE_WAIT: Duration = Duration::from_secs(5);

/// The fewest answers that say anything.
const ROUND_MIN: u32 = 20;
/// What is left of the limit where the provider is overloaded.
const CUT: f64 = 0.75;
/// How much longer than usual answers may take before calls are thought to wait for each other.
const TOLERANCE: f64 = 1.3;
/// The least that is left of the limit after one round of late answers.
const GRADIENT_MIN: f64 = 0.5;
/// After so many rounds half of the limit is tried for one.
const PROBE_ROUNDS: u32 = 32;
/// How much of the way to its new value the limit goes in a round.
const STEP: f64 = 0.5;
/// How much a round of quicker answers says of what is usual.
const QUICKER_STEP: f64 = 0.2;
/// How much one answer says of what is usual.
const USUAL_STEP: f64 = 0.1;

impl Limiter {
    pub fn new(policy: ConcurrencyPolicy) -> Limiter {
        let first = if policy.adapt.is_some() { policy.min } else { policy.max };
        Limiter {
            policy,
            limit: f64::from(first),
            starting: true,
            cut: Moment::default(),
            round: Round::default(),
            rounds: 0,
            probing: None,
            usual_us: [0.0; 3],
        }
    }

    pub fn policy(&self) -> &ConcurrencyPolicy {
        &self.policy
    }

    /// Takes up another policy; what was learned stays where it has a meaning.
    pub fn adopt(&mut self, policy: ConcurrencyPolicy) {
        if policy.adapt.is_none() || policy.adapt != self.policy.adapt {
            *self = Limiter::new(policy);
        }
        self.policy = policy;
    }

    /// How many calls may be in flight.
    pub fn limit(&self) -> u32 {
        (self.limit as u32).clamp(self.policy.min, self.policy.max)
    }

    /// Learns from a call that has ended.
    pub fn learn(&mut self, sample: &Sample, now: Moment) {
        let Some(adapt) = self.policy.adapt else { return };
        match sample.seen {
            Seen::Nothing => {}
            Seen::Overloaded if sample.began < self.cut => {}
            Seen::Overloaded => {
                self.cut = now;
                self.starting = false;
                self.probing = None;
                self.round = Round { since: now, ..Round::default() };
                self.set(self.limit * CUT);
            }
            Seen::Answered(..) if sample.began < self.round.since => {}
            Seen::Answered(pace, wait) => {
                self.note(pace, micros(wait) as f64, sample);
                if self.round.answers >= self.limit().max(ROUND_MIN) {
                    let round = std::mem::replace(&mut self.round, Round { since: now, ..Round::default() });
                    self.judge(adapt, &round);
                }
            }
        }
    }

    fn note(&mut self, pace: Pace, wait_us: f64, sample: &Sample) {
        self.round.answers += 1;
        self.round.busiest = self.round.busiest.max(sample.in_flight);
        let (sum, count) = &mut self.round.times_us[pace as usize];
        (*sum, *count) = (*sum + wait_us, *count + 1);
        // What is usual can be seen only where calls do not wait for each other.
        let quiet = self.probing.is_some() || sample.in_flight <= self.policy.min.max(sample.limit / 2);
        let usual = &mut self.usual_us[pace as usize];
        if *usual == 0.0 {
            *usual = wait_us;
        } else if quiet {
            *usual += (wait_us - *usual) * USUAL_STEP;
        }
    }

    fn judge(&mut self, adapt: Adapt, round: &Round) {
        if let Some(limit) = self.probing.take() {
            return self.set(limit);
        }
        let late = match adapt {
            Adapt::Aimd => 1.0,
            Adapt::Gradient => self.lateness(round),
        };
        self.rounds += 1;
        if self.rounds >= PROBE_ROUNDS && adapt == Adapt::Gradient {
            self.rounds = 0;
            self.probing = Some(self.limit);
            return self.set(self.limit / 2.0);
        }
        if late > TOLERANCE {
            self.starting = false;
            let gradient = (TOLERANCE / late).max(GRADIENT_MIN);
            let wanted = self.limit * gradient + self.headroom();
            return self.set(self.limit + (wanted - self.limit) * STEP);
        }
        // A limit that nobody comes near says nothing of the provider.
        if round.busiest.saturating_mul(2) < self.limit() {
            return;
        }
        self.set(match adapt {
            _ if self.starting => self.limit * 2.0,
            Adapt::Aimd => self.limit + 1.0,
            Adapt::Gradient => self.limit + self.headroom(),
        });
    }

    /// How long answers took next to what is usual. What is usual comes down where they took less.
    fn lateness(&mut self, round: &Round) -> f64 {
        let (mut sum, mut all) = (0.0, 0.0);
        for ((times, count), usual) in round.times_us.iter().zip(&mut self.usual_us) {
            if *count == 0 || *usual == 0.0 {
                continue;
            }
            let count = f64::from(*count);
            let mean = times / count;
            sum += mean / *usual * count;
            all += count;
            *usual += (mean - *usual).min(0.0) * QUICKER_STEP;
        }
        if all == 0.0 { 1.0 } else { sum / all }
    }

    /// How many more calls are tried: few enough that a provider that is slower for good brings the limit down to where it
    /// can be seen what is usual now.
    fn headroom(&self) -> f64 {
        self.limit.sqrt() / 2.0
    }

    fn set(&mut self, limit: f64) {
        self.limit = limit.clamp(f64::from(self.policy.min), f64::from(self.policy.max));
    }
}

#[cfg(test)]
mod tests {
    use std::{cmp::Reverse, collections::BinaryHeap};

    use super::*;

    fn policy(max: u32, min: u32, adapt: Adapt) -> ConcurrencyPolicy {
        ConcurrencyPolicy { min, adapt: Some(adapt), ..ConcurrencyPolicy::fixed(max) }
    }

    /// A provider that works on so many calls at a time, and lets the others wait.
    struct Provider {
        capacity: usize,
        service_us: u64,
        /// Whether it refuses what it cannot work on at once.
        refuses: bool,
    }

    /// Callers who always want more than there is room for.
    struct Run {
        limiter: Limiter,
        now: u64,
        chance: fastrand::Rng,
        /// When each place at work is free again.
        places: BinaryHeap<Reverse<u64>>,
        flying: BinaryHeap<Reverse<Flying>>,
    }

    /// A call in flight: when it ends, when it began, how many were in flight and could have been, whether it is refused.
    type Flying = (u64, u64, (u32, u32), bool);

    impl Run {
        fn new(policy: ConcurrencyPolicy) -> Run {
            let (places, flying) = (BinaryHeap::new(), BinaryHeap::new());
            Run { limiter: Limiter::new(policy), now: 1, chance: fastrand::Rng::with_seed(7), places, flying }
        }

        /// Lets so many calls end and tells the mean of the limit over the later half of them.
        fn calls(&mut self, provider: &Provider, calls: u32) -> f64 {
            let mut sum = 0.0;
            for number in 0..calls {
                while self.flying.len() < self.limiter.limit() as usize {
                    self.begin(provider);
                }
                let Some(Reverse((end, began, (in_flight, limit), refused))) = self.flying.pop() else {
                    break;
                };
                self.now = end;
                let wait = Duration::from_micros(end - began);
                let seen = if refused { Seen::Overloaded } else { Seen::answer(true, 9, wait) };
                self.limiter.learn(&Sample { began: Moment(began), in_flight, limit, seen }, Moment(end));
                let limit = self.limiter.limit();
                assert!((self.limiter.policy.min..=self.limiter.policy.max).contains(&limit), "{limit}");
                sum += if number >= calls / 2 { f64::from(limit) } else { 0.0 };
            }
            sum / f64::from(calls - calls / 2)
        }

        fn begin(&mut self, provider: &Provider) {
            while self.places.peek().is_some_and(|Reverse(free)| *free <= self.now) {
                self.places.pop();
            }
            let in_flight = (u32::try_from(self.flying.len()).unwrap() + 1, self.limiter.limit());
            if provider.refuses && self.places.len() >= provider.capacity {
                return self.flying.push(Reverse((self.now + 1_000, self.now, in_flight, true)));
            }
            let mut free = self.now;
            while self.places.len() >= provider.capacity {
                free = self.places.pop().map_or(free, |Reverse(free)| free);
            }
            // No two answers take the same time.
            let service = provider.service_us as f64 * (0.6 + 0.8 * self.chance.f64());
            let end = free + service as u64;
            self.places.push(Reverse(end));
            self.flying.push(Reverse((end, self.now, in_flight, false)));
        }
    }

    #[test]
    fn a_fixed_limit_stays() {
        let mut limiter = Limiter::new(ConcurrencyPolicy::fixed(3));
        for _ in 0..100 {
            let sample = Sample { began: Moment(5), in_flight: 3, limit: 3, seen: Seen::Overloaded };
            limiter.learn(&sample, Moment(9));
        }
        assert_eq!(limiter.limit(), 3);
        limiter.adopt(ConcurrencyPolicy::fixed(2));
        assert_eq!(limiter.limit(), 2);
    }

    #[test]
    fn a_gradient_finds_what_a_provider_that_queues_can_do() {
        for capacity in [4, 8, 16, 32] {
            let mut run = Run::new(policy(256, 2, Adapt::Gradient));
            let provider = Provider { capacity, service_us: 2_000_000, refuses: false };
            let mean = run.calls(&provider, 20_000);
            let share = mean / capacity as f64;
            assert!((0.9..2.6).contains(&share), "{mean} of {capacity}");
            assert!(capacity < 16 || share < 1.9, "{mean} of {capacity}");
        }
    }

    #[test]
    fn a_gradient_follows_a_provider_that_shrinks_slows_down_and_recovers() {
        let mut run = Run::new(policy(256, 2, Adapt::Gradient));
        let well = Provider { capacity: 32, service_us: 1_000_000, refuses: false };
        let before = run.calls(&well, 10_000);
        let shrunk = run.calls(&Provider { capacity: 8, ..well }, 10_000);
        assert!(shrunk < before / 2.0, "{before} to {shrunk}");
        let slow = Provider { capacity: 32, service_us: 5_000_000, refuses: false };
        let slower = run.calls(&slow, 20_000);
        assert!((28.0..70.0).contains(&slower), "slow alone is no overload: {slower}");
        let again = run.calls(&well, 20_000);
        assert!((28.0..70.0).contains(&again), "{again}");
    }

    #[test]
    fn aimd_keeps_below_where_a_provider_refuses() {
        for capacity in [4, 8, 32] {
            let mut run = Run::new(policy(256, 2, Adapt::Aimd));
            let provider = Provider { capacity, service_us: 1_000_000, refuses: true };
            let mean = run.calls(&provider, 20_000);
            let share = mean / capacity as f64;
            assert!((0.6..1.3).contains(&share), "{mean} of {capacity}");
        }
    }

    #[test]
    fn one_burst_of_refusals_cuts_once() {
        let mut limiter = Limiter::new(policy(64, 2, Adapt::Aimd));
        limiter.limit = 40.0;
        for number in 0..30 {
            let sample =
                Sample { began: Moment(100 + number), in_flight: 40, limit: 40, seen: Seen::Overloaded };
            limiter.learn(&sample, Moment(200 + number));
        }
        assert_eq!(limiter.limit(), 30);
        let later = Sample { began: Moment(300), in_flight: 30, limit: 30, seen: Seen::Overloaded };
        limiter.learn(&later, Moment(400));
        assert_eq!(limiter.limit(), 22);
    }

    #[test]
    fn a_limit_that_nobody_comes_near_does_not_grow() {
        let mut limiter = Limiter::new(policy(64, 4, Adapt::Aimd));
        let seen = Seen::answer(false, 10, Duration::from_secs(1));
        for number in 0..1_000 {
            limiter
                .learn(&Sample { began: Moment(number), in_flight: 3, limit: 4, seen }, Moment(number + 9));
        }
        assert_eq!(limiter.limit(), 8, "it has doubled as long as three were more than half of it");
    }
}

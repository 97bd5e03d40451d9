//! What is known of one target, learned from its calls.

use std::time::Duration;

use crate::{
    breaker::{Breaker, BreakerPolicy},
    moment::{Moment, micros},
};

/// How fast what was learned is forgotten.
const MEMORY: Duration = Duration::from_secs(30);
/// How much an attempt counts in the share of those that failed.
const FAILING_NEW: f64 = 0.05;
/// Fewer failures than this share make no difference.
const FAILING_MIN: f64 = 0.05;
/// Bounds of the histogram of waits grow by a quarter from one to the next.
const WAIT_STEPS: usize = 56;
/// Share of a conversation's input that is taken to be cached where nothing is known.
pub(crate) const CACHED_SHARE_GUESS: f64 = 0.8;
/// How long answers are taken to need where nothing is known.
const WAIT_GUESS: Duration = Duration::from_secs(2);
/// Waits of so many calls are remembered; older ones count half.
const WAITS_MAX: u32 = 512;

/// What is known of one target.
#[derive(Clone, Debug)]
pub struct Health {
    in_flight: u32,
    pub(crate) breaker: Breaker,
    /// The provider asked to be left alone until then.
    cooling: Moment,
    /// From asking to the first piece of an answer: rises at once, falls slowly ("peak EWMA").
    wait_us: f64,
    /// How that is spread.
    waits: Box<[u32; WAIT_STEPS]>,
    /// Tokens a second, once they come.
    tokens_per_second: f64,
    /// Tokens of an answer.
    output_tokens: f64,
    /// Share of the input that was read from the provider's prompt cache in conversations that went on.
    cached_share: Option<f64>,
    /// Share of the attempts that failed, and when the last of them did.
    failing: f64,
    failed: Moment,
    measured: Moment,
    used: Moment,
}

/// What an attempt that ended well has shown.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Shown {
    pub wait: Option<Duration>,
    /// From the first piece to the last.
    pub flow: Option<Duration>,
    pub output_tokens: u64,
    pub input_tokens: u64,
    pub cached_tokens: u64,
    /// Whether the conversation had an answer before, so that a cache may hold it.
    pub went_on: bool,
}

impl Default for Health {
    fn default() -> Health {
        Health {
            in_flight: 0,
            breaker: Breaker::default(),
            cooling: Moment(0),
            wait_us: 0.0,
            waits: Box::new([0; WAIT_STEPS]),
            tokens_per_second: 0.0,
            output_tokens: 0.0,
            cached_share: None,
            failing: 0.0,
            failed: Moment(0),
            measured: Moment(0),
            used: Moment(0),
        }
    }
}

impl Health {
    pub fn in_flight(&self) -> u32 {
        self.in_flight
    }

    /// Until when it rests or cools; `None` where it may be asked.
    pub fn resting(&self, now: Moment, policy: &BreakerPolicy) -> Option<Moment> {
        self.breaker.resting(now, policy).max(self.cooling(now))
    }

    pub(crate) fn cooling(&self, now: Moment) -> Option<Moment> {
        (self.cooling > now).then_some(self.cooling)
    }

    pub fn begin(&mut self, now: Moment) {
        self.in_flight += 1;
        self.used = now;
        self.breaker.begin(now);
    }

    /// The first piece of an answer came.
    pub fn answered(&mut self, now: Moment, wait: Duration) {
        self.breaker.answered(now, Moment(now.0.saturating_sub(micros(wait))));
        self.failing *= 1.0 - FAILING_NEW;
        self.expect(now, wait);
        if self.waits.iter().sum::<u32>() >= WAITS_MAX {
            self.waits.iter_mut().for_each(|count| *count /= 2);
        }
        if let Some(count) = self.waits.get_mut(step(micros(wait) as f64)) {
            *count += 1;
        }
    }

    /// An attempt was dropped before its answer began, because another target's came first: it took this long at least.
    pub fn outrun(&mut self, now: Moment, waited: Duration) {
        self.let_go();
        // The spread of waits is that of answers: where a target stalls at times, it would know no bound.
        if micros(waited) as f64 > self.wait_us {
            self.expect(now, waited);
        }
    }

    /// It was heard that it answers again.
    pub(crate) fn back(&mut self, now: Moment) {
        let usual = if self.wait_us == 0.0 { WAIT_GUESS } else { Duration::from_micros(self.wait_us as u64) };
        self.breaker.close(now.after(usual));
    }

    fn expect(&mut self, now: Moment, wait: Duration) {
        let wait_us = micros(wait) as f64;
        // A wait that is longer counts at once; a shorter one brings the estimate down over time.
        let kept = decay(now.since(self.measured));
        self.wait_us = if wait_us > self.wait_us || self.measured.0 == 0 {
            wait_us
        } else {
            self.wait_us * kept.min(0.9) + wait_us * (1.0 - kept.min(0.9))
        };
        self.measured = now;
    }

    /// An attempt has ended after it was answered.
    pub fn ended(&mut self, shown: &Shown) {
        self.leave();
        if shown.output_tokens > 0 {
            blend(&mut self.output_tokens, shown.output_tokens as f64);
            if let Some(flow) = shown.flow.filter(|flow| !flow.is_zero()) {
                blend(&mut self.tokens_per_second, shown.output_tokens as f64 / flow.as_secs_f64());
            }
        }
        if shown.went_on && shown.input_tokens > 0 {
            let share = shown.cached_tokens as f64 / shown.input_tokens as f64;
            // A hit proves that it caches; that a conversation was not there may be the doing of others.
            let known = self.cached_share.get_or_insert(CACHED_SHARE_GUESS);
            let new = if share > *known { 0.2 } else { 0.02 };
            *known += (share - *known) * new;
        }
    }

    /// An attempt has failed; tells whether the target rests now where it did not before.
    pub fn failed(&mut self, now: Moment, policy: &BreakerPolicy, jitter: f64) -> bool {
        self.leave();
        self.failing += (1.0 - self.failing) * FAILING_NEW;
        self.failed = now;
        self.breaker.failed(now, policy, jitter)
    }

    /// An attempt has ended, and what became of it is not the target's doing.
    pub fn let_go(&mut self) {
        self.leave();
        self.breaker.let_go();
    }

    /// The provider asked to be left alone.
    pub fn cool(&mut self, until: Moment) {
        self.cooling = self.cooling.max(until);
    }

    /// How much worse it counts than one that always answers: what fails at once has few calls in flight and would draw
    /// more of them. 1 where it did not fail of late.
    pub fn handicap(&self, now: Moment) -> f64 {
        let failing = self.failing * decay(now.since(self.failed));
        if failing < FAILING_MIN { 1.0 } else { (1.0 - failing).max(FAILING_MIN).powi(-2) }
    }

    /// How long it may take to the first piece of an answer, in microseconds; 0 where nothing is known. What is known
    /// fades while it is not asked, so that a target that was slow once is tried again, by one call and not by all at once.
    pub fn wait_us(&self, now: Moment) -> f64 {
        if self.in_flight > 0 {
            return self.wait_us;
        }
        self.wait_us * decay(now.since(self.measured).saturating_sub(MEMORY / 3))
    }

    /// The wait that so many thousandths of its answers keep to; `None` until enough is known.
    pub fn wait_at(&self, permille: u32) -> Option<Duration> {
        let all: u32 = self.waits.iter().sum();
        if all < 20 {
            return None;
        }
        let wanted = (u64::from(all) * u64::from(permille)).div_ceil(1_000);
        let mut sum = 0;
        let at = self.waits.iter().position(|count| {
            sum += u64::from(*count);
            sum >= wanted
        });
        Some(Duration::from_micros(bound_us(at.unwrap_or(WAIT_STEPS)) as u64))
    }

    /// Tokens a second; 0 where nothing is known.
    pub fn tokens_per_second(&self) -> f64 {
        self.tokens_per_second
    }

    /// Tokens that its answers have; `None` where nothing is known.
    pub fn output_tokens(&self) -> Option<u64> {
        (self.output_tokens > 0.0).then_some(self.output_tokens as u64)
    }

    /// Share of the input that is read from its prompt cache where a conversation goes on. What differs from one
    /// conversation to the next is no reason to move them: it is the usual one, unless it seldom caches at all.
    pub fn cached_share(&self) -> f64 {
        self.cached_share.filter(|share| *share < CACHED_SHARE_GUESS / 4.0).unwrap_or(CACHED_SHARE_GUESS)
    }

    pub(crate) fn last_used(&self) -> Moment {
        self.used
    }

    /// Whether it failed of late.
    pub(crate) fn is_suspect(&self) -> bool {
        self.breaker.is_suspect()
    }

    fn leave(&mut self) {
        self.in_flight = self.in_flight.saturating_sub(1);
    }
}

/// What is left of something after a while.
fn decay(age: Duration) -> f64 {
    (-age.as_secs_f64() / MEMORY.as_secs_f64()).exp()
}

fn blend(known: &mut f64, new: f64) {
    *known = if *known == 0.0 { new } else { *known * 0.9 + new * 0.1 };
}

/// The step of the histogram in which a wait falls: the first ends at a millisecond, the last has no end.
fn step(wait_us: f64) -> usize {
    let step = (wait_us / 1_000.0).max(1.0).ln() / 1.25_f64.ln();
    (step.ceil() as usize).min(WAIT_STEPS - 1)
}

fn bound_us(step: usize) -> f64 {
    1_000.0 * 1.25_f64.powi(i32::try_from(step).unwrap_or(i32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_rise_at_once_and_fade() {
        let mut health = Health::default();
        let at = |seconds: u64| Moment(seconds * 1_000_000 + 1);
        assert_eq!(health.wait_us(at(0)), 0.0);
        health.answered(at(0), Duration::from_millis(100));
        health.answered(at(1), Duration::from_millis(900));
        assert_eq!(health.wait_us(at(1)) as u64, 900_000);
        health.answered(at(2), Duration::from_millis(100));
        let after = health.wait_us(at(2));
        assert!((500_000.0..900_000.0).contains(&after), "{after}");
        assert!(health.wait_us(at(200)) < after / 100.0, "it is worth another try");
    }

    #[test]
    fn quantiles_are_within_a_step() {
        let mut health = Health::default();
        for call in 1..=100_u64 {
            health.answered(Moment(call), Duration::from_millis(call * 10));
        }
        let p95 = health.wait_at(950).unwrap();
        assert!((Duration::from_millis(950)..Duration::from_millis(1_200)).contains(&p95), "{p95:?}");
        assert_eq!(Health::default().wait_at(950), None);
    }
}

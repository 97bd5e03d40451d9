//! A circuit breaker: a target that keeps failing rests for a while, and comes back by a few probes.

use std::time::Duration;

use crate::moment::{Moment, micros};

/// When a target rests, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BreakerPolicy {
    /// So many failures in a row open it; 0 never.
    pub failures: u32,
    /// So many failures in a hundred attempts open it; 0 never.
    pub failure_percent: u32,
    /// Attempts within the last ten seconds before the share of failures says anything.
    pub calls_min: u32,
    /// More failures than this in a thousand attempts open it where its peers fail far less often; 0 never.
    pub outlier_permille: u32,
    /// How long it rests at first; twice as long each time that a probe fails.
    pub rest: Duration,
    pub rest_max: Duration,
    /// Probes at a time once it has rested.
    pub probes: u32,
}

impl Default for BreakerPolicy {
    fn default() -> BreakerPolicy {
        BreakerPolicy {
            failures: 5,
            failure_percent: 50,
            calls_min: 20,
            outlier_permille: 200,
            rest: Duration::from_secs(5),
            rest_max: Duration::from_secs(60),
            probes: 1,
        }
    }
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Breaker {
    state: State,
    /// Failures in a row.
    failed: u32,
    /// Failures before this say nothing: they come sooner than answers, and none can have come since it closed.
    grace: Moment,
    window: Window,
}

#[derive(Clone, Copy, Debug, Default)]
enum State {
    #[default]
    Closed,
    /// Rests; the number of times in a row.
    Open { since: Moment, until: Moment, times: u32 },
    /// Has rested: probes under way.
    Probing { since: Moment, probes: u32, times: u32 },
}

impl Breaker {
    /// Until when it rests; `None` where it may be asked.
    pub(crate) fn resting(&self, now: Moment, policy: &BreakerPolicy) -> Option<Moment> {
        match self.state {
            State::Closed => None,
            State::Open { until, .. } => (until > now).then_some(until),
            State::Probing { probes, .. } => (probes >= policy.probes.max(1)).then_some(now),
        }
    }

    /// Whether it rests, or has not yet come back from a rest.
    pub(crate) fn is_suspect(&self) -> bool {
        !matches!(self.state, State::Closed)
    }

    /// An attempt begins.
    pub(crate) fn begin(&mut self, now: Moment) {
        match &mut self.state {
            State::Closed => {}
            State::Open { since, until, times } if *until <= now => {
                self.state = State::Probing { since: *since, probes: 1, times: *times };
            }
            // Nothing else could be asked.
            State::Open { .. } => {}
            State::Probing { probes, .. } => *probes += 1,
        }
    }

    /// An attempt that began at some moment has brought an answer. One from before the target failed says nothing of it now.
    pub(crate) fn answered(&mut self, now: Moment, began: Moment) {
        self.failed = 0;
        self.window.add(now, false);
        match self.state {
            State::Closed => {}
            State::Open { since, .. } | State::Probing { since, .. } if began < since => {}
            State::Open { .. } | State::Probing { .. } => self.close(now.after(now.since(began))),
        }
    }

    /// An attempt has failed. `jitter` in 0..1 spreads the ends of rests, so that not all come back at once. Tells whether
    /// it rests now where it did not before.
    pub(crate) fn failed(&mut self, now: Moment, policy: &BreakerPolicy, jitter: f64) -> bool {
        if matches!(self.state, State::Closed) && now < self.grace {
            return false;
        }
        self.failed = self.failed.saturating_add(1);
        self.window.add(now, true);
        match self.state {
            State::Closed => {
                let row = policy.failures > 0 && self.failed >= policy.failures;
                if row || self.window.is_bad(now, policy) {
                    self.open(now, policy, 0, jitter);
                    return true;
                }
            }
            State::Probing { times, .. } => {
                self.open(now, policy, times + 1, jitter);
                return true;
            }
            State::Open { .. } => {}
        }
        false
    }

    /// An attempt has ended and says nothing of the target: its caller went away, or was at fault itself.
    pub(crate) fn let_go(&mut self) {
        if let State::Probing { probes, .. } = &mut self.state {
            *probes = probes.saturating_sub(1);
        }
    }

    /// Rests because its peers fail far less often; tells whether it did not before.
    pub(crate) fn eject(&mut self, now: Moment, policy: &BreakerPolicy, jitter: f64) -> bool {
        let closed = !self.is_suspect();
        if closed {
            self.open(now, policy, 0, jitter);
        }
        closed
    }

    /// Attempts of the last ten seconds, and how many of them failed.
    pub(crate) fn recent(&self, now: Moment) -> (u32, u32) {
        self.window.recent(now)
    }

    /// How many times in a row it rests; 0 the first time.
    pub(crate) fn times(&self) -> u32 {
        match self.state {
            State::Closed => 0,
            State::Open { times, .. } | State::Probing { times, .. } => times,
        }
    }

    /// Rests because others saw it fail, for longer where their probe has failed since.
    pub(crate) fn hear(&mut self, now: Moment, until: Moment, times: u32) {
        let longer = match self.state {
            State::Closed => true,
            State::Open { times: known, .. } => known < times,
            // Its own probe will tell.
            State::Probing { .. } => false,
        };
        if longer {
            self.state = State::Open { since: now, until, times };
            self.window = Window::default();
            self.failed = 0;
        }
    }

    /// Takes part again; failures count once answers can have come.
    pub(crate) fn close(&mut self, grace: Moment) {
        *self = Breaker { grace, ..Breaker::default() };
    }

    fn open(&mut self, now: Moment, policy: &BreakerPolicy, times: u32, jitter: f64) {
        let rest = micros(policy.rest).saturating_mul(1 << times.min(16)).min(micros(policy.rest_max));
        let until = Moment(now.0.saturating_add(rest).saturating_add((rest as f64 * 0.2 * jitter) as u64));
        self.state = State::Open { since: now, until, times };
        self.window = Window::default();
        self.failed = 0;
    }
}

/// What became of the attempts of the last ten seconds.
#[derive(Clone, Debug, Default)]
struct Window {
    seconds: [Second; 10],
}

#[derive(Clone, Copy, Debug, Default)]
struct Second {
    /// Which second it counts.
    number: u64,
    all: u32,
    failed: u32,
}

impl Window {
    fn add(&mut self, now: Moment, failed: bool) {
        let number = now.0 / 1_000_000;
        let at = (number % self.seconds.len() as u64) as usize;
        let Some(second) = self.seconds.get_mut(at) else { return };
        if second.number != number {
            *second = Second { number, all: 0, failed: 0 };
        }
        second.all += 1;
        second.failed += u32::from(failed);
    }

    fn recent(&self, now: Moment) -> (u32, u32) {
        let oldest = (now.0 / 1_000_000).saturating_sub(self.seconds.len() as u64 - 1);
        let recent = self.seconds.iter().filter(|second| second.number >= oldest);
        recent.fold((0, 0), |(all, failed), second| (all + second.all, failed + second.failed))
    }

    fn is_bad(&self, now: Moment, policy: &BreakerPolicy) -> bool {
        let (all, failed) = self.recent(now);
        let share = policy.failure_percent > 0
            && u64::from(failed) * 100 >= u64::from(policy.failure_percent) * u64::from(all);
        all >= policy.calls_min.max(1) && share
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const POLICY: BreakerPolicy = BreakerPolicy {
        failures: 3,
        failure_percent: 50,
        calls_min: 10,
        outlier_permille: 0,
        rest: Duration::from_secs(4),
        rest_max: Duration::from_secs(10),
        probes: 1,
    };

    fn at(seconds: u64) -> Moment {
        Moment(seconds * 1_000_000)
    }

    #[test]
    fn failures_in_a_row_open_it_and_a_probe_closes_it() {
        let mut breaker = Breaker::default();
        assert!(!breaker.failed(at(0), &POLICY, 0.0));
        breaker.answered(at(0), at(0));
        assert!(!breaker.failed(at(1), &POLICY, 0.0) && !breaker.failed(at(1), &POLICY, 0.0));
        assert!(breaker.failed(at(1), &POLICY, 0.0), "the third in a row");
        assert_eq!(breaker.resting(at(4), &POLICY), Some(at(5)));
        assert_eq!(breaker.resting(at(5), &POLICY), None);
        breaker.begin(at(5));
        assert!(breaker.resting(at(5), &POLICY).is_some(), "one probe at a time");
        breaker.let_go();
        assert!(
            breaker.resting(at(5), &POLICY).is_none(),
            "a probe that told nothing makes room for another"
        );
        breaker.begin(at(6));
        assert!(breaker.failed(at(6), &POLICY, 0.0));
        assert_eq!(breaker.resting(at(7), &POLICY), Some(at(14)), "twice as long");
        breaker.begin(at(14));
        breaker.failed(at(14), &POLICY, 0.0);
        assert_eq!(breaker.resting(at(15), &POLICY), Some(at(24)), "no longer than the most");
        breaker.begin(at(24));
        breaker.answered(at(24), at(24));
        assert!(breaker.resting(at(24), &POLICY).is_none());
        assert!(!breaker.failed(at(24), &POLICY, 0.0), "it has begun anew");
    }

    #[test]
    fn an_answer_from_before_it_failed_does_not_close_it() {
        let mut breaker = Breaker::default();
        for _ in 0..3 {
            breaker.failed(at(1), &POLICY, 0.0);
        }
        breaker.answered(at(2), at(0));
        assert_eq!(breaker.resting(at(2), &POLICY), Some(at(5)));
        breaker.answered(at(3), at(2));
        assert_eq!(breaker.resting(at(3), &POLICY), None, "nothing else could be asked, and it answered");
    }

    #[test]
    fn failures_count_once_answers_can_have_come() {
        let mut breaker = Breaker::default();
        breaker.close(at(2));
        assert!((0..50).all(|_| !breaker.failed(at(1), &POLICY, 0.0)), "answers take longer");
        assert!((0..3).any(|_| breaker.failed(at(2), &POLICY, 0.0)));
    }

    #[test]
    fn where_the_probe_of_another_fails_it_rests_on() {
        let mut breaker = Breaker::default();
        breaker.hear(at(0), at(5), 0);
        breaker.hear(at(1), at(6), 0);
        assert_eq!(breaker.resting(at(4), &POLICY), Some(at(5)), "the same is not heard twice");
        breaker.hear(at(4), at(14), 1);
        assert_eq!(breaker.resting(at(5), &POLICY), Some(at(14)));
    }

    #[test]
    fn a_share_of_failures_opens_it_once_there_are_enough() {
        let mut breaker = Breaker::default();
        let mut opened = Vec::new();
        for call in 0..12 {
            if call % 2 == 0 {
                breaker.answered(at(call / 4), at(call / 4));
            } else if breaker.failed(at(call / 4), &POLICY, 0.0) {
                opened.push(call);
            }
        }
        assert_eq!(opened, [9], "five of ten");
        let mut old = Breaker::default();
        for second in [0, 0, 20, 20, 40, 40, 60, 60, 80, 80, 100, 100] {
            old.failed(at(second), &BreakerPolicy { failures: 0, ..POLICY }, 0.0);
        }
        assert!(old.resting(at(100), &POLICY).is_none(), "what is old does not count");
    }
}

//! What is counted of a gateway's calls.

use std::time::Duration;

use tollgate_policy::moment::Moment;

use crate::figures::Waits;

/// What became of a gateway's calls.
#[derive(Clone, Default)]
pub(crate) struct Tally {
    targets: usize,
    pub(crate) calls: u64,
    pub(crate) answered: u64,
    /// Requests to targets.
    pub(crate) asks: u64,
    pub(crate) asks_failed: u64,
    /// Of those, the ones after a call's first.
    pub(crate) further_failed: u64,
    pub(crate) hedges: u64,
    pub(crate) hedges_won: u64,
    pub(crate) waits: Waits,
    /// In picodollars.
    pub(crate) cost: u64,
    pub(crate) hedge_cost: u64,
    /// By second.
    pub(crate) seconds: Vec<Second>,
}

/// One second of it.
#[derive(Clone, Default)]
pub(crate) struct Second {
    pub(crate) calls: u32,
    /// Of the calls that began in it.
    pub(crate) answered: u32,
    /// Of the calls that began in it.
    pub(crate) given_up: u32,
    pub(crate) asks_failed: u32,
    /// By target.
    pub(crate) asked: Vec<u32>,
    /// By target: only the first attempt of each call.
    pub(crate) asked_first: Vec<u32>,
}

impl Tally {
    pub(crate) fn new(targets: usize) -> Tally {
        Tally { targets, ..Tally::default() }
    }

    fn second(&mut self, at: Moment) -> &mut Second {
        let number = at.since(Moment(0)).as_secs() as usize;
        let new =
            Second { asked: vec![0; self.targets], asked_first: vec![0; self.targets], ..Second::default() };
        if self.seconds.len() <= number {
            self.seconds.resize(number + 1, new);
        }
        &mut self.seconds[number]
    }

    pub(crate) fn begins(&mut self, now: Moment) {
        self.calls += 1;
        self.second(now).calls += 1;
    }

    pub(crate) fn asks(&mut self, now: Moment, target: usize, first: bool) {
        self.asks += 1;
        let second = self.second(now);
        second.asked[target] += 1;
        second.asked_first[target] += u32::from(first);
    }

    pub(crate) fn fails(&mut self, now: Moment, number: u32) {
        self.asks_failed += 1;
        self.further_failed += u64::from(number > 1);
        self.second(now).asks_failed += 1;
    }

    pub(crate) fn answered(&mut self, began: Moment, now: Moment, hedge: bool) {
        self.answered += 1;
        self.hedges_won += u64::from(hedge);
        self.waits.add(now.since(began));
        self.second(began).answered += 1;
    }

    pub(crate) fn given_up(&mut self, began: Moment) {
        self.second(began).given_up += 1;
    }

    pub(crate) fn pays(&mut self, cost: u64, hedge_cost: u64) {
        self.cost += cost;
        self.hedge_cost += hedge_cost;
    }

    /// Requests to a target within these seconds.
    pub(crate) fn asked(&self, target: usize, seconds: (u64, u64)) -> u64 {
        self.between(seconds).map(|second| u64::from(second.asked[target])).sum()
    }

    /// The share of the calls within these seconds that were answered.
    pub(crate) fn success(&self, seconds: (u64, u64)) -> f64 {
        let sum =
            |of: fn(&Second) -> u32| self.between(seconds).map(|second| u64::from(of(second))).sum::<u64>();
        sum(|second| second.answered) as f64 / sum(|second| second.calls) as f64
    }

    pub(crate) fn between(&self, (from, until): (u64, u64)) -> impl Iterator<Item = &Second> {
        self.seconds.iter().skip(from as usize).take((until - from) as usize)
    }

    pub(crate) fn percentile(&mut self, permille: usize) -> Duration {
        self.waits.at(permille)
    }
}

//! Estimates of what a call will use, learned from what calls like it did use.
//!
//! A claim that is too small lets more calls out than the limit has room for; one that is too large refuses calls that
//! would have fitted. What a caller allows as a maximum is mostly far above what is used, and mostly it allows none.

use std::collections::{BTreeMap, HashMap};

/// What calls are alike by: hashes of the key and of the model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Pair {
    pub key: u128,
    pub model: u128,
}

/// What a call turned out to use, in tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Used {
    /// The input as it was estimated before any correction.
    pub input_estimated: u64,
    pub input: u64,
    pub output: u64,
}

/// What is learned of each pair; those that were not asked for longest are forgotten where there are too many.
#[derive(Debug)]
pub struct Estimates {
    prior_output: u64,
    pairs_max: usize,
    learned: HashMap<Pair, Learned>,
    /// Pairs by when they were last asked for or learned of.
    by_use: BTreeMap<u64, Pair>,
    uses: u64,
}

impl Estimates {
    /// `prior_output` tokens are expected of pairs that nothing is known of; [`PRIOR_OUTPUT`] is a choice for chats.
    pub fn new(pairs_max: usize, prior_output: u64) -> Estimates {
        Estimates {
            prior_output,
            pairs_max: pairs_max.max(1),
            learned: HashMap::new(),
            by_use: BTreeMap::new(),
            uses: 0,
        }
    }

    /// The tokens that a call's answer is expected to have: the mean and one deviation, at least 1 and at most the
    /// ceiling, which is what the caller asked for at most, or else the model's own limit.
    pub fn output(&mut self, pair: Pair, ceiling: u64) -> u64 {
        let expected = match self.touch(pair) {
            Some(learned) => learned.output.upper(),
            None => self.prior_output as f64,
        };
        whole(expected).clamp(1, ceiling.max(1))
    }

    /// The tokens that a call's input is expected to have, given an estimate that knows nothing of the model: corrected by
    /// how far such estimates were off, at most by a factor of [`RATIO_MAX`] either way.
    pub fn input(&mut self, pair: Pair, estimated: u64) -> u64 {
        let ratio = self.touch(pair).map_or(1.0, |learned| learned.ratio.upper());
        whole(estimated as f64 * ratio.clamp(1.0 / RATIO_MAX, RATIO_MAX))
    }

    pub fn learn(&mut self, pair: Pair, used: Used) {
        if self.touch(pair).is_none() {
            self.make_room();
            let prior = self.prior_output as f64;
            let learned = Learned {
                output: Mean::prior(prior, prior),
                ratio: Mean::prior(1.0, 0.0),
                used_at: self.uses,
            };
            self.by_use.insert(self.uses, pair);
            self.learned.insert(pair, learned);
        }
        let Some(learned) = self.learned.get_mut(&pair) else { return };
        learned.output.add(used.output as f64);
        if used.input_estimated > 0 && used.input > 0 {
            let ratio = used.input as f64 / used.input_estimated as f64;
            learned.ratio.add(ratio.clamp(1.0 / RATIO_MAX, RATIO_MAX));
        }
    }

    pub fn len(&self) -> usize {
        self.learned.len()
    }

    pub fn is_empty(&self) -> bool {
        self.learned.is_empty()
    }

    fn touch(&mut self, pair: Pair) -> Option<&Learned> {
        self.uses += 1;
        let learned = self.learned.get_mut(&pair)?;
        self.by_use.remove(&learned.used_at);
        learned.used_at = self.uses;
        self.by_use.insert(self.uses, pair);
        Some(learned)
    }

    fn make_room(&mut self) {
        while self.learned.len() >= self.pairs_max
            && let Some((_, oldest)) = self.by_use.pop_first()
        {
            self.learned.remove(&oldest);
        }
    }
}

#[derive(Debug)]
struct Learned {
    output: Mean,
    ratio: Mean,
    used_at: u64,
}

/// A mean and a deviation that forget: each value weighs a little less with each that follows.
#[derive(Debug)]
struct Mean {
    mean: f64,
    variance: f64,
    values: u32,
}

impl Mean {
    /// What is believed before anything is known, with the weight of one value.
    fn prior(mean: f64, deviation: f64) -> Mean {
        Mean { mean, variance: deviation * deviation, values: 1 }
    }

    /// The first values all weigh the same, so that a prior that is far off is soon outvoted.
    fn add(&mut self, value: f64) {
        self.values = self.values.saturating_add(1).min(MEMORY);
        let weight = 1.0 / f64::from(self.values);
        let off = value - self.mean;
        self.mean += weight * off;
        self.variance = (1.0 - weight) * (self.variance + weight * off * off);
    }

    fn upper(&self) -> f64 {
        self.mean + self.variance.sqrt()
    }
}

fn whole(tokens: f64) -> u64 {
    tokens.ceil() as u64
}

/// Tokens of an answer of which nothing is known.
pub const PRIOR_OUTPUT: u64 = 256;
/// The most that an estimate of an input is corrected by.
pub const RATIO_MAX: f64 = 4.0;
/// After so many values, the newest weighs one part in as many.
const MEMORY: u32 = 32;

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};

    use super::*;

    fn pair(key: u128) -> Pair {
        Pair { key, model: 1 }
    }

    fn used(output: u64) -> Used {
        Used { input_estimated: 100, input: 130, output }
    }

    #[test]
    fn a_pair_never_seen_has_the_prior() {
        let mut estimates = Estimates::new(10, PRIOR_OUTPUT);
        assert_eq!(estimates.output(pair(1), 4096), 256);
        assert_eq!(estimates.output(pair(1), 20), 20, "no more than was asked for");
        assert_eq!(estimates.input(pair(1), 70), 70);
    }

    #[test]
    fn the_pair_not_used_for_longest_is_forgotten() {
        let mut estimates = Estimates::new(2, PRIOR_OUTPUT);
        estimates.learn(pair(1), used(9000));
        estimates.learn(pair(2), used(9000));
        estimates.output(pair(1), 1);
        estimates.learn(pair(3), used(9000));
        assert_eq!(estimates.len(), 2);
        assert_eq!(estimates.output(pair(2), 100_000), 256);
        assert!(estimates.output(pair(1), 100_000) > 256);
        assert!(estimates.output(pair(3), 100_000) > 256);
    }

    proptest! {
        /// Whatever was learned, what is always used comes to be what is expected.
        #[test]
        fn converges(before in vec(0..100_000_u64, 0..50), output in 1..50_000_u64) {
            let mut estimates = Estimates::new(4, PRIOR_OUTPUT);
            for output in before {
                estimates.learn(pair(1), used(output));
            }
            for _ in 0..1000 {
                estimates.learn(pair(1), used(output));
            }
            let expected = estimates.output(pair(1), u64::MAX);
            prop_assert!(expected >= output && expected <= output + output / 100 + 2, "{expected} for {output}");
            let input = estimates.input(pair(1), 1000);
            prop_assert!((1300..=1314).contains(&input), "{input}");
        }

        #[test]
        fn stays_between_one_and_the_ceiling(outputs in vec(any::<u64>(), 0..50), ceiling in 0..10_000_u64) {
            let mut estimates = Estimates::new(4, PRIOR_OUTPUT);
            for output in outputs {
                estimates.learn(pair(1), Used { input_estimated: output / 7, input: output, output });
                let expected = estimates.output(pair(1), ceiling);
                prop_assert!((1..=ceiling.max(1)).contains(&expected));
                prop_assert!(estimates.input(pair(1), 1000) <= 4000);
            }
        }

        /// An estimate covers most of what is drawn from the same lot.
        #[test]
        fn covers_most_calls(outputs in vec(1..2_000_u64, 200..400)) {
            let mut estimates = Estimates::new(4, PRIOR_OUTPUT);
            let mut covered = 0;
            for output in &outputs {
                covered += usize::from(estimates.output(pair(1), u64::MAX) >= *output);
                estimates.learn(pair(1), used(*output));
            }
            prop_assert!(covered * 2 > outputs.len(), "{covered} of {}", outputs.len());
        }

        #[test]
        fn is_bounded(keys in vec(0..50_u128, 0..300)) {
            let mut estimates = Estimates::new(8, PRIOR_OUTPUT);
            for key in keys {
                estimates.learn(pair(key), used(1));
                prop_assert!(estimates.len() <= 8 && estimates.by_use.len() == estimates.learned.len());
            }
        }
    }
}

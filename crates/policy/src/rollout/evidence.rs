//! A comparison that may be looked at after every call: a wager against "the candidate is not worse than is allowed".
//!
//! Each call is given to a side by chance, with a share that is known. What is put on a call depends only on the calls
//! before it, and while the candidate is no worse than is allowed no stake gains on average, so that the wealth has an
//! expectation of at most 1 at every moment. That it ever reaches 1/α then has a chance of at most α, however often it
//! is looked at (Ville's inequality; "e-processes": Ramdas, Grünwald, Vovk and Shafer, "Game-theoretic statistics and
//! safe anytime-valid inference", <https://arxiv.org/abs/2210.01948>). The wager on means is that of Waudby-Smith and
//! Ramdas, "Estimating means of bounded random variables by betting", <https://arxiv.org/abs/2010.09686>, on what a
//! randomised experiment with a known share tells of a difference. The share may change from call to call.
//!
//! Where a value has no bounds, as the logarithm of a time, it is clipped around the mean of the current side. What is
//! said then holds for a candidate whose values are, as a distribution, at most the current's moved by what is allowed.

use serde::{Deserialize, Serialize};

use super::Side;

/// Values of each side before anything is put on unbounded values.
const WARM_UP: f64 = 20.0;
/// How many values of the current side's kind the candidate is taken to have had.
const PRIOR: f64 = 4.0;
/// The most of the wealth that one call can lose.
const STAKE_MAX: f64 = 0.75;
/// How many standard deviations around the mean are not clipped.
const CLIP: f64 = 3.0;
/// The least standard deviation of a logarithm, so that values that are all the same do not make a hair decide.
const DEVIATION_MIN: f64 = 0.01;
/// The wealth is kept within these bounds, in logarithms.
const LOG_MAX: f64 = 700.0;
/// Values of the current side after which they may stand in where there are no more of them.
const REFERENCE_MIN: f64 = 30.0;
/// How many standard errors a reference is moved to the safe side.
const REFERENCE_ERRORS: f64 = 3.0;

/// What the calls so far say of one measure.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Evidence {
    is_share: bool,
    current: Moments,
    candidate: Moments,
    /// The logarithm of what was won by putting on "worse than is allowed".
    harm: f64,
    /// The same for "not worse than is allowed".
    harmless: f64,
}

/// Mean and spread, kept as Welford's algorithm does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Moments {
    count: f64,
    mean: f64,
    squares: f64,
}

/// What is put on one call.
struct Wager {
    /// The value around which others are taken.
    centre: f64,
    /// What a value may be less and more than the centre.
    bounds: (f64, f64),
    /// How much worse than allowed the candidate seems to be; negative where it seems to be better.
    excess: f64,
    /// The mean square of what one call says of the difference.
    square: f64,
}

impl Evidence {
    pub(super) fn new(is_share: bool) -> Evidence {
        // Half a failure in one call, so that a side without failures is not taken to be without fail.
        let current =
            if is_share { Moments { count: 1.0, mean: 0.5, squares: 0.25 } } else { Moments::default() };
        Evidence { is_share, current, candidate: Moments::default(), harm: 0.0, harmless: 0.0 }
    }

    /// Takes in a value. `share` is the candidate's when the call came, in 0..=1; `allowed` the most that the
    /// candidate's mean may be greater by.
    pub(super) fn add(&mut self, side: Side, value: f64, share: f64, allowed: f64) {
        let mut value = value;
        if let Some(wager) = self.wager(share, allowed) {
            let (low, high) = wager.bounds;
            let moved = (value - wager.centre).clamp(low, high);
            value = wager.centre + moved;
            let (won, lost) = wager.outcome(side, moved, share, allowed);
            self.harm = (self.harm + won).clamp(-LOG_MAX, LOG_MAX);
            self.harmless = (self.harmless + lost).clamp(-LOG_MAX, LOG_MAX);
        }
        match side {
            Side::Candidate => self.candidate.add(value),
            Side::Current => self.current.add(value),
        }
    }

    /// How certain it is that the candidate is worse than is allowed: the logarithm of the odds that were beaten.
    pub(super) fn harm(&self) -> f64 {
        self.harm
    }

    /// The same for its not being worse than is allowed.
    pub(super) fn harmless(&self) -> f64 {
        self.harmless
    }

    fn wager(&self, share: f64, allowed: f64) -> Option<Wager> {
        let (mut current, candidate) = (self.current, self.candidate);
        if share <= 0.0 || (!self.is_share && current.count.min(candidate.count) < WARM_UP) {
            return None;
        }
        if share >= 1.0 {
            // There are no more calls to compare with: those so far stand in, at the upper end of their error.
            if current.count < REFERENCE_MIN {
                return None;
            }
            current.mean += REFERENCE_ERRORS * (current.variance() / current.count).sqrt();
        }
        let seen = candidate.count + PRIOR;
        let mean = (candidate.mean * candidate.count + current.mean * PRIOR) / seen;
        let spread = (candidate.squares + current.variance() * PRIOR) / seen;
        let excess = mean - current.mean - allowed;
        let of_candidate = (spread + excess * excess) / share;
        let of_current = if share < 1.0 { current.variance() / (1.0 - share) } else { 0.0 };
        let bounds = if self.is_share {
            (-current.mean, 1.0 - current.mean)
        } else {
            let deviation = current.variance().max(spread).sqrt().max(DEVIATION_MIN);
            let far = allowed + CLIP * deviation;
            (-far, far)
        };
        Some(Wager { centre: current.mean, bounds, excess, square: of_candidate + of_current })
    }
}

impl Wager {
    /// What both wagers come to, as logarithms.
    fn outcome(&self, side: Side, moved: f64, share: f64, allowed: f64) -> (f64, f64) {
        // What this call says of the difference of the means, less what is allowed: its expectation is the excess.
        let says = |side: Side, moved: f64| match side {
            Side::Candidate => (moved - allowed) / share,
            Side::Current if share < 1.0 => -moved / (1.0 - share),
            Side::Current => 0.0,
        };
        let (low, high) = self.bounds;
        let ends =
            [(Side::Candidate, low), (Side::Candidate, high), (Side::Current, low), (Side::Current, high)];
        let least = ends.iter().map(|(side, end)| says(*side, *end)).fold(0.0, f64::min);
        let most = ends.iter().map(|(side, end)| says(*side, *end)).fold(0.0, f64::max);
        let stake = |excess: f64, worst: f64| {
            let best = excess.max(0.0) / self.square.max(f64::MIN_POSITIVE);
            if worst > 0.0 { best.min(STAKE_MAX / worst) } else { 0.0 }
        };
        let said = says(side, moved);
        let harm = stake(self.excess, -least) * said;
        let harmless = stake(-self.excess, most) * -said;
        (harm.ln_1p(), harmless.ln_1p())
    }
}

impl Moments {
    fn add(&mut self, value: f64) {
        self.count += 1.0;
        let before = value - self.mean;
        self.mean += before / self.count;
        self.squares += before * (value - self.mean);
    }

    fn variance(&self) -> f64 {
        if self.count > 0.0 { self.squares / self.count } else { 0.0 }
    }
}

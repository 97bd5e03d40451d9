//! Quality and cost of sending the hardest prompts to a strong model and the others to a small one.

/// A prompt that both models answered.
#[derive(Clone, Copy)]
pub(crate) struct Trial {
    /// By which prompts are told apart: the greatest go to the strong model first.
    pub(crate) rank: f64,
    /// What the answers are worth.
    pub(crate) small: f64,
    pub(crate) strong: f64,
    /// What they cost.
    pub(crate) small_cost: f64,
    pub(crate) strong_cost: f64,
}

/// What a share of calls to the strong model gives. All means over prompts.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Point {
    pub(crate) share: f64,
    pub(crate) quality: f64,
    pub(crate) cost: f64,
}

/// Points from all prompts at the small model to all at the strong one; between two of them, calls are divided by
/// chance.
pub(crate) struct Curve(Vec<Point>);

impl Curve {
    /// One point for each threshold; prompts of the same rank go the same way.
    pub(crate) fn ranked(trials: &[Trial]) -> Curve {
        let mut trials = trials.to_vec();
        trials.sort_by(|one, other| other.rank.total_cmp(&one.rank));
        let whole = trials.len() as f64;
        let mean = |value: fn(&Trial) -> f64| trials.iter().map(value).sum::<f64>() / whole;
        let mut at =
            Point { share: 0.0, quality: mean(|trial| trial.small), cost: mean(|trial| trial.small_cost) };
        let mut points = vec![at];
        for same in trials.chunk_by(|one, other| one.rank.total_cmp(&other.rank).is_eq()) {
            for trial in same {
                at.share += 1.0 / whole;
                at.quality += (trial.strong - trial.small) / whole;
                at.cost += (trial.strong_cost - trial.small_cost) / whole;
            }
            points.push(at);
        }
        Curve(points)
    }

    pub(crate) fn points(&self) -> &[Point] {
        &self.0
    }

    pub(crate) fn small(&self) -> Point {
        self.0[0]
    }

    pub(crate) fn strong(&self) -> Point {
        self.0[self.0.len() - 1]
    }

    /// The part of the gap between the models that a quality closes.
    pub(crate) fn recovered(&self, quality: f64) -> f64 {
        (quality - self.small().quality) / (self.strong().quality - self.small().quality)
    }

    /// The recovered part, as a mean over all shares of calls to the strong model.
    pub(crate) fn recovered_mean(&self) -> f64 {
        let areas = self.0.windows(2).map(|pair| {
            let width = pair[1].share - pair[0].share;
            width * (self.recovered(pair[0].quality) + self.recovered(pair[1].quality)) / 2.0
        });
        areas.sum()
    }
}

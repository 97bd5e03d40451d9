//! What is read off a curve of quality and cost.

use crate::curve::{Curve, Point, Trial};

/// Calls divided by chance.
pub(crate) fn random(trials: &[Trial]) -> Curve {
    let same: Vec<Trial> = trials.iter().map(|trial| Trial { rank: 0.0, ..*trial }).collect();
    Curve::ranked(&same)
}

/// Calls divided by someone who knows both answers.
pub(crate) fn oracle(trials: &[Trial]) -> Curve {
    let known = trials.iter().map(|trial| Trial { rank: trial.strong - trial.small, ..*trial });
    Curve::ranked(&known.collect::<Vec<_>>())
}

/// The point where this share of calls goes to the strong model.
pub(crate) fn at_share(curve: &Curve, share: f64) -> Point {
    crossing(curve, |point| point.share - share).expect("a curve ends where all calls go to the strong model")
}

/// The smallest share of calls to the strong model that closes this part of the gap between the models.
pub(crate) fn share_for(curve: &Curve, part: f64) -> f64 {
    let [small, strong] = [curve.small(), curve.strong()].map(|point| point.quality);
    reaching(curve, small + part * (strong - small)).map_or(1.0, |point| point.share)
}

/// The part of the strong model's cost that is saved at this part of its quality; 0 where nothing is, and less
/// where the strong model is the cheaper one.
pub(crate) fn saved(curve: &Curve, part: f64) -> f64 {
    let found = reaching(curve, part * curve.strong().quality);
    found.map_or(0.0, |point| 1.0 - point.cost / curve.strong().cost)
}

/// The mean recovered part in 95 of 100 draws of as many prompts from these, with replacement.
pub(crate) fn recovered_range(trials: &[Trial]) -> [f64; 2] {
    let mut state = 1_u64;
    let mut draw = || {
        // Knuth's linear congruential generator: the same draws in each run.
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        trials[(state >> 33) as usize % trials.len()]
    };
    let mut found: Vec<f64> = (0..400)
        .map(|_| {
            let drawn: Vec<Trial> = trials.iter().map(|_| draw()).collect();
            Curve::ranked(&drawn).recovered_mean()
        })
        .collect();
    found.sort_by(f64::total_cmp);
    [found[10], found[389]]
}

/// The first point at which a quality is reached.
fn reaching(curve: &Curve, quality: f64) -> Option<Point> {
    crossing(curve, |point| point.quality - quality)
}

/// The first point at which a value is no longer negative, between two thresholds where it must be.
fn crossing(curve: &Curve, value: impl Fn(&Point) -> f64) -> Option<Point> {
    let mut before: Option<Point> = None;
    for point in curve.points() {
        let above = value(point);
        if above >= -1e-9 {
            let Some(before) = before else { return Some(*point) };
            let part = (value(&before) / (value(&before) - above)).clamp(0.0, 1.0);
            let between = |from: f64, to: f64| from + part * (to - from);
            return Some(Point {
                share: between(before.share, point.share),
                quality: between(before.quality, point.quality),
                cost: between(before.cost, point.cost),
            });
        }
        before = Some(*point);
    }
    None
}

#[test]
fn curves_are_those_computed_by_hand() {
    let trial = |rank, small, strong| Trial { rank, small, strong, small_cost: 1.0, strong_cost: 10.0 };
    let trials = [trial(0.9, 0.0, 1.0), trial(0.5, 1.0, 1.0), trial(0.4, 0.0, 1.0), trial(0.1, 1.0, 1.0)];
    let close = |found: f64, expected: f64| assert!((found - expected).abs() < 1e-9, "{found} {expected}");
    let curve = Curve::ranked(&trials);
    // Recovered at shares of 0, 1/4, …: 0, 1/2, 1/2, 1, 1.
    close(curve.recovered_mean(), (0.25 + 0.5 + 0.75 + 1.0) / 4.0);
    close(share_for(&curve, 0.5), 0.25);
    close(share_for(&curve, 0.8), 0.65);
    close(saved(&curve, 1.0), 1.0 - 7.75 / 10.0);
    close(at_share(&curve, 0.125).quality, 0.625);
    close(random(&trials).recovered_mean(), 0.5);
    close(saved(&random(&trials), 1.0), 0.0);
    close(oracle(&trials).recovered_mean(), (0.25 + 0.75 + 1.0 + 1.0) / 4.0);
    close(saved(&oracle(&trials), 1.0), 1.0 - 5.5 / 10.0);
}

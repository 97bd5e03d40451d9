//! How evenly calls are spread over many upstreams, and which conversations move where one of them leaves.

use std::time::Duration;

use tollgate_policy::{
    moment::Moment,
    strategy::{Choice, Strategy},
    vitals::{RouteId, Vitals},
};

use crate::{
    figures::{Table, percent, span, unevenness},
    fleet::{Fleet, contenders},
    size,
    upstream::Upstream,
};

const STRATEGIES: [Strategy; 6] = [
    Strategy::RoundRobin,
    Strategy::Weighted,
    Strategy::Sticky,
    Strategy::LeastInFlight,
    Strategy::Latency,
    Strategy::FirstToken,
];

/// How far waits spread, and what that makes the mean of the median.
const SPREAD: f64 = 0.5;
const MEAN: f64 = 1.133;

#[derive(Clone, Copy, PartialEq)]
enum World {
    /// Upstreams are as strong as their weights say.
    Weights,
    /// Weights are equal, and some upstreams are up to four times as slow as others.
    Speeds,
}

impl World {
    /// The weight of an upstream, the upstream, and the calls that it can serve a second.
    fn upstream(self, number: usize) -> (u32, Upstream, f64) {
        let step = number as u32 % 4 + 1;
        let (weight, places, median_ms) = match self {
            World::Weights => (step, 4 * step, 500),
            World::Speeds => (1, 10, 200 * u64::from(step)),
        };
        let upstream = Upstream::new(median_ms, SPREAD).places(places as usize, Duration::MAX);
        (weight, upstream, f64::from(places) * 1e3 / (median_ms as f64 * MEAN))
    }
}

pub(crate) fn weights_and_speeds() -> String {
    let head =
        ["strategy", "busiest / mean", "variation", "p50", "p99", "p50, speeds differ", "p99, speeds differ"];
    let mut table = Table::new(&head);
    let mut slow = Vec::new();
    for strategy in STRATEGIES {
        let mut cells = vec![strategy.name().to_owned()];
        for world in [World::Weights, World::Speeds] {
            let all: Vec<(u32, Upstream, f64)> =
                (0..size(1_000, 60)).map(|number| world.upstream(number)).collect();
            let rate = 0.7 * all.iter().map(|(_, _, strength)| strength).sum::<f64>();
            let weights: Vec<f64> = all.iter().map(|(weight, _, _)| f64::from(*weight)).collect();
            let upstreams = all.into_iter().map(|(weight, upstream, _)| (weight, upstream)).collect();
            let calls = size(200_000, 12_000);
            let mut spread = Fleet { strategy, upstreams, rate, calls, cores: 4 }.run();
            if world == World::Weights {
                let loads = spread.asked.iter().zip(&weights).map(|(asked, weight)| *asked as f64 / weight);
                let loads: Vec<f64> = loads.collect();
                let (most, variation) = unevenness(&loads);
                // What chance alone would do to those of the least weight.
                let chance = (weights.iter().sum::<f64>() / calls as f64).sqrt();
                let bound = match strategy {
                    Strategy::RoundRobin => 0.02,
                    Strategy::Weighted | Strategy::Sticky => 1.5 * chance,
                    _ => 0.6,
                };
                assert!(variation < bound, "{}: {variation}, at most {bound}", strategy.name());
                cells.extend([format!("{most:.2}"), percent(variation, 1.0)]);
            } else {
                slow.push((strategy.name(), spread.waits.at(990)));
            }
            cells.extend([span(spread.waits.at(500)), span(spread.waits.at(990))]);
        }
        table.row(&cells);
    }
    let p99 =
        |wanted: &str| slow.iter().find(|(name, _)| *name == wanted).map_or(Duration::MAX, |(_, p99)| *p99);
    for heeds in ["least_in_flight", "latency", "first_token"] {
        assert!(p99(heeds) * 2 < p99("round_robin"), "{heeds} keeps away from queues: {:?}", p99(heeds));
    }
    table.end()
}

/// Conversations that change their target when one leaves.
pub(crate) fn sessions_that_move() -> String {
    let head = ["targets", "conversations on the one that leaves", "of the others, moved", "busiest / mean"];
    let mut table = Table::new(&head);
    for (count, sessions) in [
        (3, size(200_000, 10_000)),
        (10, size(200_000, 10_000)),
        (100, size(200_000, 5_000)),
        (1_000, size(200_000, 3_000)),
    ] {
        let contenders = contenders(std::iter::repeat_n(1, count));
        let mut vitals = Vitals::new(1);
        let mut home = |left: &[usize], affinity: u64| {
            let (contenders, vitals) = (&contenders, &mut vitals);
            let route = RouteId::of("m");
            Strategy::Sticky.pick(&mut Choice { contenders, left, vitals, route, affinity, now: Moment(1) })
        };
        let (all, without): (Vec<usize>, Vec<usize>) = ((0..count).collect(), (1..count).collect());
        let (mut gone, mut moved) = (0_u64, 0_u64);
        let mut loads = vec![0.0; count];
        for session in 0..sessions {
            let affinity = fastrand::Rng::with_seed(session).u64(..);
            let (before, after) = (home(&all, affinity), home(&without, affinity));
            loads[before] += 1.0;
            gone += u64::from(before == 0);
            moved += u64::from(before != 0 && before != after);
        }
        assert_eq!(moved, 0, "only the conversations of the target that leaves move");
        let even = sessions as f64 / count as f64;
        let off = (gone as f64 - even).abs();
        assert!(
            off < 4.0 * even.sqrt(),
            "{gone} conversations live on one of {count} targets, {even} would be even"
        );
        let (most, _) = unevenness(&loads);
        let share = percent(gone as f64, sessions as f64);
        table.row(&[count.to_string(), share, moved.to_string(), format!("{most:.2}")]);
    }
    table.end()
}

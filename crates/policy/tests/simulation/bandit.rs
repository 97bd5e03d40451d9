//! The adaptive strategy: what is lost against somebody who knows which target is the best.

use std::time::Duration;

use tollgate_policy::{route::Wants, strategy::adaptive::Adaptive, vitals::Vitals};

use crate::{
    configured::{plan, snapshot},
    figures::Table,
    gateway::Gateway,
    size,
    upstream::{Trouble, Upstream},
};

/// The median of waits in milliseconds, the share of failures, and the price in USD per million input tokens: none is the
/// best in everything, and the last is the best in all.
const ARMS: [(u64, f64, f64); 5] =
    [(400, 0.02, 2.0), (600, 0.0, 1.0), (900, 0.01, 0.3), (300, 0.15, 0.8), (500, 0.0, 0.5)];
const BEST: usize = 4;

#[derive(Clone, Copy, Debug, PartialEq)]
enum World {
    Steady,
    /// At half time the best begins to fail 40 %.
    TurnsBad,
    /// The best fails 40 % until half time.
    TurnsGood,
}

const WORLDS: [World; 3] = [World::Steady, World::TurnsBad, World::TurnsGood];

pub(crate) fn regret() -> String {
    let mut table = Table::new(&["strategy", "steady", "the best turns bad", "a bad one turns best"]);
    let (mut fixed, mut adaptive) = (Vec::new(), Vec::new());
    let known = ["ordered", "round_robin", "latency", "cheapest"];
    for name in known {
        let lost = WORLDS.map(|world| lost(name, world));
        row(&mut table, name, lost);
        fixed.push(lost);
    }
    for explore in [0, 1, 5, 10] {
        let lost = WORLDS.map(|world| lost(&format!("{{ kind: adaptive, explore: {explore}% }}"), world));
        row(&mut table, &format!("adaptive, exploring {explore} %"), lost);
        adaptive.push(lost);
    }
    let (still, usual) = (adaptive[0], adaptive[2]);
    for (known, fixed) in known.iter().zip(&fixed) {
        assert!(usual[0] < fixed[0] && usual[1] < fixed[1], "{usual:?} is lost, {fixed:?} by {known}");
    }
    assert!(usual[1] < 2.5 * usual[0], "what turns bad is left soon: {usual:?}");
    assert!(usual[2] < 0.5 * still[2], "what turns good is found by exploring: {usual:?}, {still:?} without");
    table.end()
}

fn row(table: &mut Table, name: &str, lost: [f64; 3]) {
    let mut cells = vec![name.to_owned()];
    cells.extend(lost.map(|lost| format!("{lost:.1}")));
    table.row(&cells);
}

/// How much less the targets are worth that calls asked first than the best was at that time, in thousandths a call.
fn lost(strategy: &str, world: World) -> f64 {
    let seconds: u64 = size(1_200, 300);
    let half = seconds / 2;
    let mut upstreams = Vec::new();
    let (mut before, mut after) = (Vec::new(), Vec::new());
    let mut providers = Vec::new();
    for (number, (median, failing, price)) in ARMS.into_iter().enumerate() {
        let trouble = Trouble::Fails(Duration::from_millis(100));
        let mut upstream =
            Upstream::new(median, 0.4).price((price * 1e6) as u64).spell((0, seconds), failing, trouble);
        let good = worth(median, 1.0 - failing, price);
        let (mut early, mut late) = (good, good);
        match world {
            World::TurnsBad if number == BEST => {
                upstream = upstream.spell((half, seconds), 0.4, trouble);
                late = 0.6 * good;
            }
            World::TurnsGood if number == BEST => {
                upstream = upstream.spell((0, half), 0.4, trouble);
                early = 0.6 * good;
            }
            World::Steady | World::TurnsBad | World::TurnsGood => {}
        }
        upstreams.push(upstream);
        before.push(early);
        after.push(late);
        // Rests would hide what the strategy itself learns.
        providers.push(format!(
            "health: {{ failures: 0, failure_share: 0% }}, models: {{ m: {{ price: {{ input: {price}, output: 0 }} }} }}"
        ));
    }
    let providers: Vec<&str> = providers.iter().map(String::as_str).collect();
    let snapshot = snapshot(&providers, &format!("strategy: {strategy}"));
    let wants = Wants { tokens: 1_000, ..Wants::default() };
    let plan = plan(&snapshot, Some(&wants), &Vitals::new(0));
    let mut gateway = Gateway::new(&plan, upstreams);
    (gateway.rate, gateway.span) = (50.0, Duration::from_secs(seconds));
    let tally = gateway.run();
    let sum = |seconds: (u64, u64), worths: &[f64]| {
        let best = worths.iter().copied().fold(0.0, f64::max);
        let asked = tally.between(seconds).flat_map(|second| second.asked_first.iter().zip(worths));
        asked.map(|(asked, worth)| f64::from(*asked) * (best - worth)).sum::<f64>()
    };
    1e3 * (sum((0, half), &before) + sum((half, seconds), &after)) / tally.calls as f64
}

/// How good a target's answers are, as the strategy counts it: next to a wait of half a second and a thousandth of a dollar.
fn worth(median_ms: u64, success: f64, price: f64) -> f64 {
    let weights = Adaptive::default();
    let wait = median_ms as f64 / (median_ms as f64 + 500.0);
    success * (1.0 - weights.latency * wait - weights.cost * price / (price + 1.0))
}

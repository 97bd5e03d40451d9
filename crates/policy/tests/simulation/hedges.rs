//! Hedges: what a second request to another target wins, and what it costs.

use std::time::Duration;

use tollgate_policy::hedge::{HedgeAfter, Hedging};

use crate::{
    configured::usual,
    figures::{Table, percent, span},
    gateway::Gateway,
    size,
    tally::Tally,
    upstream::{Trouble, Upstream},
};

const WORLDS: [&str; 3] = ["heavy tails", "one stalls 2 %", "all slow at half time"];

/// The name of a policy, the policy, and whether a call that may not hedge asks again later.
fn policies() -> [(&'static str, Option<Hedging>, bool); 6] {
    let hedge = |after, calls_permille| Some(Hedging { after, calls_permille, cost_permille: 1_000 });
    [
        ("none", None, false),
        ("after p95, 5 %", Some(Hedging::default()), false),
        ("after p95, 5 %, asking again", Some(Hedging::default()), true),
        ("after p95, 10 %", hedge(HedgeAfter::Quantile(950), 100), false),
        ("after p99, 5 %", hedge(HedgeAfter::Quantile(990), 50), false),
        ("after 1 s, 5 %", hedge(HedgeAfter::Span(Duration::from_secs(1)), 50), false),
    ]
}

/// Three targets with heavy tails; one of them stalls at times, or all of them are slow for a while.
pub(crate) fn heavy_tails() -> String {
    let head = ["world", "hedge", "p50", "p95", "p99", "p99.9", "further requests", "further cost"];
    let mut table = Table::new(&head);
    for world in WORLDS {
        let mut unhedged = Duration::MAX;
        for (name, hedging, asks_again) in policies() {
            let mut tally = run(world, hedging, asks_again);
            let p999 = tally.percentile(999);
            match hedging {
                None => unhedged = p999,
                Some(hedging) => {
                    let bound = tally.calls * u64::from(hedging.calls_permille) / 1_000 + 50;
                    assert!(
                        tally.hedges <= bound,
                        "{world}, {name}: {} hedges, at most {bound}",
                        tally.hedges
                    );
                    if hedging.after == HedgeAfter::Quantile(950) {
                        assert!(p999 < unhedged, "{world}, {name}: {p999:?} with, {unhedged:?} without");
                    }
                }
            }
            table.row(&[
                world.to_owned(),
                name.to_owned(),
                span(tally.percentile(500)),
                span(tally.percentile(950)),
                span(tally.percentile(990)),
                span(p999),
                percent(tally.hedges as f64, tally.calls as f64),
                percent(tally.hedge_cost as f64, (tally.cost - tally.hedge_cost) as f64),
            ]);
        }
    }
    table.end()
}

fn run(world: &str, hedging: Option<Hedging>, asks_again: bool) -> Tally {
    let seconds = size(600, 120);
    let usually = Upstream::new(400, 0.6);
    let upstream = |number: usize| match world {
        "one stalls 2 %" if number == 0 => usually.clone().spell((0, seconds), 0.02, Trouble::Stalls),
        "all slow at half time" => usually.clone().spell((seconds / 2, seconds), 1.0, Trouble::Slow(5.0)),
        _ => usually.clone(),
    };
    let plan = usual(3, "strategy: round_robin, deadlines: { first_byte: 30s }");
    let mut gateway = Gateway::new(&plan, (0..3).map(upstream).collect());
    gateway.rate = size(500.0, 100.0);
    (gateway.hedging, gateway.asks_again, gateway.span) = (hedging, asks_again, Duration::from_secs(seconds));
    gateway.run()
}

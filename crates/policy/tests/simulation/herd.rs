//! Whether callers run to the same target at once: one of several was out or slow and is well again, or fails sooner than
//! others answer.

use std::time::Duration;

use crate::{
    configured::usual,
    figures::{Table, percent},
    gateway::Gateway,
    size,
    tally::Tally,
    upstream::{Trouble, Upstream},
};

/// When a target falls ill, and when it is well again, in seconds.
const ILL: u64 = 60;
const WELL: u64 = 360;

/// Ten targets, of which the first is special.
fn ten(first: Upstream, strategy: &str, rate: f64, seconds: u64) -> Tally {
    let mut upstreams = vec![Upstream::new(500, 0.3); 10];
    upstreams[0] = first;
    let plan = usual(10, &format!("strategy: {strategy}"));
    let mut gateway = Gateway::new(&plan, upstreams);
    (gateway.rate, gateway.cores, gateway.span) = (rate, 4, Duration::from_secs(seconds));
    gateway.run()
}

/// One of ten targets is out, or ten times as slow, for five minutes.
pub(crate) fn a_target_that_comes_back() -> String {
    let rate = size(1_000.0, 60.0);
    let even = rate / 10.0;
    let head = [
        "strategy",
        "for five minutes it is",
        "asked meanwhile",
        "half of its share after",
        "busiest second since",
    ];
    let mut table = Table::new(&head);
    for strategy in ["round_robin", "least_in_flight", "latency", "first_token"] {
        for what in ["out", "slow"] {
            let first = Upstream::new(500, 0.3);
            let first = match what {
                "out" => first.out((ILL, WELL)),
                _ => first.spell((ILL, WELL), 1.0, Trouble::Slow(10.0)),
            };
            let tally = ten(first, strategy, rate, WELL + 120);
            let meanwhile = tally.asked(0, (ILL + 5, WELL)) as f64 / ((WELL - ILL - 5) as f64 * even);
            let since = || tally.between((WELL, WELL + 120)).map(|second| f64::from(second.asked[0]) / even);
            let back = since().position(|share| share >= 0.5);
            let busiest = since().fold(0.0, f64::max);
            let name = format!("{strategy}, {what}");
            // The longest rest, and what chance adds to it.
            assert!(back.is_some_and(|second| second <= 73), "{name}: back after {back:?}");
            let chance = 5.0 / even.sqrt();
            assert!(busiest < 1.6 + chance, "{name}: {busiest} times its share in a second");
            if what == "out" || strategy != "round_robin" {
                assert!(meanwhile < 0.2, "{name}: {meanwhile} of its share");
            }
            let back = back.map_or("never".to_owned(), |second| format!("{second} s"));
            table.row(&[strategy, what, &percent(meanwhile, 1.0), &back, &format!("{busiest:.2}")]);
        }
    }
    table.end()
}

/// One of ten targets fails some of its calls at once, where good answers take half a second.
pub(crate) fn a_target_that_fails_fast() -> String {
    let rate = size(1_000.0, 60.0);
    let shares = [0.1, 0.3, 0.45, 0.6];
    let mut table = Table::new(&["strategy", "10 % failing", "30 %", "45 %", "60 %"]);
    for strategy in ["round_robin", "least_in_flight", "latency", "first_token"] {
        let mut cells = vec![strategy.to_owned()];
        for failing in shares {
            let trouble = Trouble::Fails(Duration::from_millis(5));
            let first = Upstream::new(500, 0.3).spell((ILL, 10_000), failing, trouble);
            let tally = ten(first, strategy, rate, 180);
            let asked = tally.asked(0, (ILL, 180)) as f64 / (120.0 * rate / 10.0);
            assert!(asked < 1.15, "{strategy}: failing {failing}, it is asked {asked} of an even share");
            assert!(failing < 0.5 || asked < 0.3, "{strategy}: failing {failing}, {asked} of an even share");
            assert!(
                failing > 0.2 || asked > 0.5,
                "{strategy}: most of its calls are answered, and it is asked {asked}"
            );
            cells.push(percent(asked, 1.0));
        }
        table.row(&cells);
    }
    table.end()
}

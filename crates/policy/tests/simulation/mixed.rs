//! One of three targets fails half of its calls, and another gives no answer at all.

use std::time::Duration;

use tollgate_policy::hedge::Hedging;

use crate::{
    configured::usual,
    figures::{Table, percent, span},
    gateway::{Gateway, Manner},
    size,
    upstream::{Trouble, Upstream},
};

/// When the trouble begins and when it ends, in seconds.
const TROUBLE: (u64, u64) = (60, 660);

pub(crate) fn one_fails_and_one_stalls() -> String {
    let mut table = Table::new(&["policy", "answered", "p50", "p95", "p99", "attempts a call"]);
    let policies: [(&str, &str, Manner, Option<Hedging>); 7] = [
        ("by chance, no retries", "", Manner::Plain { further: 0 }, None),
        ("by chance, three retries", "", Manner::Plain { further: 3 }, None),
        ("`round_robin`", "strategy: round_robin", Manner::Tollgate, None),
        (
            "`round_robin`, first byte in 5 s",
            "strategy: round_robin, deadlines: { first_byte: 5s }",
            Manner::Tollgate,
            None,
        ),
        ("`least_in_flight`", "strategy: least_in_flight", Manner::Tollgate, None),
        ("`latency`", "strategy: latency", Manner::Tollgate, None),
        ("`latency` and hedges", "strategy: latency", Manner::Tollgate, Some(Hedging::default())),
    ];
    for (name, settings, manner, hedging) in policies {
        let plan = usual(3, settings);
        let well = Upstream::new(500, 0.3);
        let upstreams = vec![
            well.clone().spell(TROUBLE, 0.5, Trouble::Fails(Duration::from_millis(50))),
            well.clone().spell(TROUBLE, 1.0, Trouble::Stalls),
            well,
        ];
        let mut gateway = Gateway::new(&plan, upstreams);
        (gateway.rate, gateway.manner, gateway.hedging) = (size(100.0, 30.0), manner, hedging);
        gateway.span = Duration::from_secs(TROUBLE.1);
        let mut tally = gateway.run();
        if manner == Manner::Tollgate {
            assert_eq!(tally.answered, tally.calls, "{name}: one target is well");
            let heeds = name != "`round_robin`";
            let p99 = tally.percentile(990);
            assert!(!heeds || p99 < Duration::from_secs(6), "{name}: {p99:?}");
        }
        table.row(&[
            name.to_owned(),
            percent(tally.success(TROUBLE), 1.0),
            span(tally.percentile(500)),
            span(tally.percentile(950)),
            span(tally.percentile(990)),
            format!("{:.2}", tally.asks as f64 / tally.calls as f64),
        ]);
    }
    table.end()
}

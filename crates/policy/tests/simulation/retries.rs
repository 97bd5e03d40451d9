//! Retries: what a storm of failures adds to the load of the providers.

use std::time::Duration;

use crate::{
    configured::usual,
    figures::{Table, percent, unevenness},
    gateway::{Gateway, Manner},
    size,
    upstream::{Trouble, Upstream},
};

/// When it begins and when it ends, in seconds.
const STORM: (u64, u64) = (10, 70);

/// All targets fail half of their calls, or all, for a minute.
pub(crate) fn a_storm_of_failures() -> String {
    let rate = size(1_000.0, 200.0);
    let head = ["targets", "failing", "policy", "answered", "attempts a call", "busiest target / mean"];
    let mut table = Table::new(&head);
    let policies: [(&str, &str, Manner); 3] = [
        ("Tollgate's defaults", "", Manner::Tollgate),
        ("a budget of 100 %", ", retries: { budget: 100% }", Manner::Tollgate),
        ("three retries, always", "", Manner::Plain { further: 3 }),
    ];
    for targets in [1, 3, 10] {
        for failing in [0.5, 1.0] {
            for (name, settings, manner) in policies {
                let plan = usual(targets, &format!("strategy: round_robin{settings}"));
                let trouble = Trouble::Fails(Duration::from_millis(50));
                let upstream = Upstream::new(500, 0.3).spell(STORM, failing, trouble);
                let mut gateway = Gateway::new(&plan, vec![upstream; targets]);
                (gateway.rate, gateway.manner, gateway.span) = (rate, manner, Duration::from_secs(STORM.1));
                let tally = gateway.run();
                let calls: u64 = tally.between(STORM).map(|second| u64::from(second.calls)).sum();
                let asked: Vec<f64> = (0..targets).map(|target| tally.asked(target, STORM) as f64).collect();
                let (most, _) = unevenness(&asked);
                if name == "Tollgate's defaults" {
                    let bound = tally.calls / 5 + 20;
                    let further = tally.further_failed;
                    assert!(further <= bound, "{further} further attempts failed, at most {bound}");
                    assert!(most < 1.3, "{most} times the mean goes to one of {targets}");
                }
                table.row(&[
                    targets.to_string(),
                    format!("{:.0} %", failing * 100.0),
                    name.to_owned(),
                    percent(tally.success(STORM), 1.0),
                    format!("{:.2}", asked.iter().sum::<f64>() / calls as f64),
                    format!("{most:.2}"),
                ]);
            }
        }
    }
    table.end()
}

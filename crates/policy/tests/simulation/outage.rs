//! Outages: what they cost while they last, and how soon their end is found.

use std::time::Duration;

use crate::{
    configured::usual,
    figures::Table,
    gateway::Gateway,
    size,
    tally::Second,
    upstream::{Trouble, Upstream},
};

/// One of three targets is out for a minute.
pub(crate) fn one_of_three() -> String {
    let rate = size(2_000.0, 300.0);
    let head = [
        "cores",
        "news",
        "asked in the first three seconds",
        "asked afterwards",
        "calls not answered",
        "found after",
    ];
    let mut table = Table::new(&head);
    for (cores, news) in [(1, false), (4, false), (4, true), (32, false), (32, true)] {
        let plan = usual(3, "strategy: round_robin");
        let well = Upstream::new(500, 0.3);
        let upstreams = vec![well.clone().out((30, 90)), well.clone(), well];
        let mut gateway = Gateway::new(&plan, upstreams);
        (gateway.rate, gateway.cores, gateway.span) = (rate, cores, Duration::from_secs(180));
        gateway.news = news.then_some(Duration::from_millis(1));
        let tally = gateway.run();
        let back = tally.between((90, 180)).position(|second| f64::from(second.asked[0]) > 0.25 * rate);
        let probes = tally.asked(0, (33, 90));
        let lost = tally.calls - tally.answered;
        let bound = if news { 8 } else { 8 * cores as u64 };
        assert_eq!(lost, 0, "each call that finds it out goes elsewhere");
        assert!(probes <= bound, "{cores} cores, news {news}: {probes} probes, at most {bound}");
        assert!(back.is_some_and(|second| second <= 60), "{cores} cores: found after {back:?}");
        table.row(&[
            cores.to_string(),
            if news { "yes" } else { "no" }.to_owned(),
            tally.asked(0, (30, 33)).to_string(),
            probes.to_string(),
            lost.to_string(),
            back.map_or("never".to_owned(), |second| format!("{second} s")),
        ]);
    }
    table.end()
}

/// One of three targets is over its limit for a minute and says so, with a `Retry-After` of twenty seconds.
pub(crate) fn a_limit() -> String {
    let rate = size(2_000.0, 300.0);
    let mut table = Table::new(&["cores", "news", "asked in that minute", "calls not answered"]);
    for (cores, news) in [(1, true), (32, false), (32, true)] {
        let plan = usual(3, "strategy: round_robin");
        let well = Upstream::new(500, 0.3);
        let limited = well.clone().spell((30, 90), 1.0, Trouble::Refuses(Duration::from_secs(20)));
        let mut gateway = Gateway::new(&plan, vec![limited, well.clone(), well]);
        (gateway.rate, gateway.cores, gateway.span) = (rate, cores, Duration::from_secs(120));
        gateway.news = news.then_some(Duration::from_millis(1));
        let tally = gateway.run();
        let asked = tally.asked(0, (30, 90));
        // What is under way before the first refusal, or the news of it, has come.
        let late = (rate / 3.0 * 0.007).ceil() as u64;
        let bound = 4 * (late + if news { 4 } else { 4 * cores as u64 });
        assert!(asked <= bound, "{cores} cores, news {news}: asked {asked} times, at most {bound}");
        assert_eq!(tally.calls, tally.answered);
        let news = if news { "yes" } else { "no" };
        table.row(&[&cores.to_string(), news, &asked.to_string(), "0"]);
    }
    table.end()
}

/// When all of them go out and when they come back, in seconds.
const OUT: u64 = 30;
const BACK: u64 = 150;
const END: u64 = 300;

/// All ten targets are out for two minutes; then one comes back, or all do.
pub(crate) fn all_of_them() -> String {
    let head = [
        "strategy",
        "back",
        "calls a second",
        "half are answered after",
        "99 % after",
        "busiest second of one",
    ];
    let mut table = Table::new(&head);
    let targets = 10;
    for strategy in ["ordered", "round_robin", "latency"] {
        for (back, rate) in [
            ("only the last", 10.0),
            ("only the last", size(500.0, 100.0)),
            ("all, with little to spare", size(500.0, 100.0)),
        ] {
            let upstream = |number: usize| match back {
                "only the last" if number + 1 == targets => Upstream::new(500, 0.3).out((OUT, BACK)),
                "only the last" => Upstream::new(500, 0.3).out((OUT, END)),
                // Places for half as many calls again.
                _ => Upstream::new(500, 0.3).places(size(40, 14), Duration::from_secs(1)).out((OUT, BACK)),
            };
            let plan = usual(targets, &format!("strategy: {strategy}"));
            let mut gateway = Gateway::new(&plan, (0..targets).map(upstream).collect());
            (gateway.rate, gateway.cores, gateway.span) = (rate, 4, Duration::from_secs(END));
            let tally = gateway.run();
            let bad =
                |second: &Second, share: f64| f64::from(second.answered) < share * f64::from(second.calls);
            let since: Vec<&Second> = tally.between((BACK, END)).collect();
            let half = since.iter().position(|second| !bad(second, 0.5)).unwrap_or(usize::MAX);
            let all = since.iter().rposition(|second| bad(second, 0.99)).map_or(0, |second| second + 1);
            let busiest = since.iter().flat_map(|second| &second.asked).max().copied().unwrap_or_default();
            let name = format!("{strategy}, {back}, {rate} calls a second");
            assert!(half <= 5, "{name}: half are answered after {half} s");
            assert!(all <= 10, "{name}: 99 % are answered after {all} s");
            table.row(&[
                strategy.to_owned(),
                back.to_owned(),
                rate.to_string(),
                format!("{half} s"),
                format!("{all} s"),
                format!("{:.1} %", f64::from(busiest) * 100.0 / rate),
            ]);
        }
    }
    table.end()
}

//! Prompt caches: what conversations cost where each turn goes.

use std::{collections::HashMap, time::Duration};

use tollgate_policy::{
    Snapshot,
    attempt::{Attempts, Step},
    health::Shown,
    moment::Moment,
    price,
    record::{Tokens, Units},
    route::Wants,
    vitals::Vitals,
};

use crate::{
    configured::{plan, snapshot},
    events::Queue,
    figures::{Table, percent},
    size,
    upstream::pause,
};

/// What is the same in all conversations: instructions and tools, in tokens.
const BEGINNING: u64 = 2_000;
/// How long a provider keeps what it has cached since it was last read: five minutes, as OpenAI and Anthropic document it.
const KEPT: Duration = Duration::from_secs(300);

/// Prices in USD per million tokens: input, cached input.
type Prices = &'static [(f64, f64)];

const WORLDS: [(&str, Prices); 5] = [
    ("equal prices, 90 % off", &[(3.0, 0.3); 4]),
    ("equal prices, 50 % off", &[(3.0, 1.5); 4]),
    ("uneven prices, 90 % off", &[(3.0, 0.3), (2.7, 0.27), (2.4, 0.24), (3.3, 0.33)]),
    ("the cheapest gives nothing off", &[(2.4, 2.4), (3.0, 0.3), (3.0, 0.3), (3.0, 0.3)]),
    ("the cheapest gives 50 % off, the others 90 %", &[(2.4, 1.2), (3.0, 0.3), (3.0, 0.3), (3.0, 0.3)]),
];

/// What was paid.
#[derive(Default)]
struct Bill {
    paid: f64,
    input: f64,
    cached: f64,
}

struct Turn {
    session: u64,
    number: u64,
    /// How many there will be.
    turns: u64,
    input: u64,
    /// Of what was said before this turn.
    known: u64,
}

/// Conversations of one to twenty turns, by strategy.
pub(crate) fn conversations() -> String {
    let count = size(4_000, 200);
    let mut table =
        Table::new(&["prices", "strategy", "input read from caches", "paid, next to the best target"]);
    for (world, prices) in WORLDS {
        let mut least = f64::INFINITY;
        let mut rows = Vec::new();
        for strategy in ["cached", "cheapest", "sticky", "round_robin"] {
            let settings = |(input, cached): &(f64, f64)| {
                format!("models: {{ m: {{ price: {{ input: {input}, cached: {cached}, output: 10 }} }} }}")
            };
            let providers: Vec<String> = prices.iter().map(settings).collect();
            let providers: Vec<&str> = providers.iter().map(String::as_str).collect();
            let snapshot = snapshot(&providers, &format!("strategy: {strategy}"));
            let bill = run(&snapshot, count, None);
            for only in 0..prices.len() {
                least = least.min(run(&snapshot, count, Some(only)).paid);
            }
            rows.push((strategy, bill));
        }
        let others = rows.iter().skip(1).map(|(_, bill)| bill.paid).fold(f64::INFINITY, f64::min);
        for (strategy, bill) in rows {
            if strategy == "cached" {
                let (paid, others) = (bill.paid / least, others / least);
                assert!(paid < 1.02 * others, "{world}: {paid} is paid, {others} by the best other strategy");
            }
            table.row(&[world, strategy, &percent(bill.cached, bill.input), &percent(bill.paid, least)]);
        }
    }
    table.end()
}

/// `only` asks always the same target.
fn run(snapshot: &Snapshot, count: u64, only: Option<usize>) -> Bill {
    let mut chance = fastrand::Rng::with_seed(3);
    let mut vitals = Vitals::new(1);
    let mut caches: HashMap<(u64, usize), (u64, Moment)> = HashMap::new();
    let mut queue = Queue::new();
    let mut bill = Bill::default();
    let mut at = Moment(1);
    for session in 0..count {
        at = at.after(pause(2.0, &mut chance));
        queue.put(
            at,
            Turn { session, number: 1, turns: chance.u64(1..=20), input: BEGINNING + 200, known: 0 },
        );
    }
    while let Some((now, turn)) = queue.next() {
        let affinity = fastrand::Rng::with_seed(turn.session).u64(..);
        let wants = Wants {
            tokens: turn.input,
            goes_on: turn.number > 1,
            affinity: Some(affinity),
            ..Wants::default()
        };
        let plan = plan(snapshot, Some(&wants), &vitals);
        let step = Attempts::new(Moment(u64::MAX)).first(&plan, &mut vitals, now);
        let Step::Try(number) = step else { continue };
        let number = only.unwrap_or(number);
        let target = &plan.targets[number];
        let cached = caches.insert((turn.session, number), (turn.input, now));
        let cached =
            cached.filter(|(_, at)| now.since(*at) < KEPT).map_or(0, |(tokens, _)| tokens.min(turn.known));
        let output = chance.u64(50..1_000);
        let tokens = Tokens { input: turn.input, cache_read: cached, output, ..Tokens::default() };
        let price = target.facts().and_then(|facts| facts.price.as_ref()).expect("it has a price");
        let cost = price::cost(price, &tokens, &Units::default()).expect("all of it has a price");
        bill.paid += cost.picodollars() as f64;
        bill.input += turn.input as f64;
        bill.cached += cached as f64;
        vitals.begin(target.id, now);
        vitals.answered(target.id, now, Duration::from_millis(500));
        let shown = Shown {
            input_tokens: turn.input,
            cached_tokens: cached,
            output_tokens: output,
            went_on: wants.goes_on,
            ..Shown::default()
        };
        vitals.ended(target.id, &shown);
        if turn.number < turn.turns {
            let next = Turn {
                number: turn.number + 1,
                input: turn.input + output + chance.u64(50..1_000),
                known: turn.input,
                ..turn
            };
            queue.put(now.after(pause(1.0 / 40.0, &mut chance)), next);
        }
    }
    bill
}

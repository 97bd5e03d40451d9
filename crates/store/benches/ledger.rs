//! What counting a call costs: `cargo bench -p tollgate-store`. Redis and PostgreSQL are measured where
//! `TOLLGATE_TEST_REDIS` and `TOLLGATE_TEST_POSTGRES` say where they are.

use std::{
    env, thread,
    time::{Duration, Instant},
};

use policy::{
    Secret,
    ledger::{Bucket, Claim, OnFailure, Reserved, Rule, Tenant},
};
use tollgate_store::ledger::{Driver, Ledger, LedgerSettings};

const KEYS: u128 = 10_000;
const TEAMS: u128 = 500;
const CALLS: u128 = 200_000;
const CALLS_SHARED: u128 = 20_000;
const SECOND_US: i64 = 1_000_000;
const START_US: i64 = 1_780_000_000 * SECOND_US;

fn main() {
    let settings = LedgerSettings { timeout: Duration::from_secs(10), ..LedgerSettings::default() };
    memory(&Ledger::memory(&settings));
    if let Ok(address) = env::var("TOLLGATE_TEST_REDIS") {
        shared("Redis", Ledger::redis(&Secret::new(address), &settings).expect("the address is sound"));
    }
    if let Ok(address) = env::var("TOLLGATE_TEST_POSTGRES") {
        shared(
            "PostgreSQL",
            Ledger::postgres(&Secret::new(address), &settings).expect("the address is sound"),
        );
    }
}

/// Calls one after the other, spread over ten minutes.
fn memory(ledger: &Ledger) {
    wait(async {
        let began = Instant::now();
        for call in 0..CALLS {
            once(ledger, call, START_US + call as i64 * 3000).await;
        }
        let each = began.elapsed() / CALLS as u32;
        println!(
            "memory       {each:>10.1?} for a call with six claims; {} buckets",
            ledger.figures().buckets
        );
    });
}

/// One call after the other, then sixty-four at a time.
fn shared(name: &str, (ledger, driver): (Ledger, Driver)) {
    thread::spawn(move || wait(driver.run()));
    wait(async {
        ledger.ready().await;
        let began = Instant::now();
        for call in 0..CALLS_SHARED / 10 {
            once(&ledger, call, START_US).await;
        }
        println!("{name:<12} {:>10.1?} for a call alone", began.elapsed() * 10 / CALLS_SHARED as u32);
        let began = Instant::now();
        let mut calls: u128 = 0;
        while calls < CALLS_SHARED {
            let group = (0..64).map(|at| once(&ledger, calls + at, START_US));
            futures_util::future::join_all(group).await;
            calls += 64;
        }
        let rate = calls as f64 / began.elapsed().as_secs_f64();
        ledger.flush().await;
        let settled = calls as f64 / began.elapsed().as_secs_f64();
        println!(
            "{name:<12} {rate:>10.0} calls a second, sixty-four at a time; {settled:.0} with their settlements"
        );
    });
}

async fn once(ledger: &Ledger, call: u128, now_us: i64) {
    let claims = claims(call, now_us);
    let until_us = now_us + 60 * SECOND_US;
    let reserved = ledger.reserve(Tenant(1), now_us, until_us, &claims).await.expect("the claims are sound");
    let Reserved::Granted { hold, .. } = reserved else { unreachable!("limits are wide") };
    ledger.settle(now_us, &hold, &[1, 900, 1, 900, 4_000_000, 4_000_000]);
}

/// A key's calls at a time and tokens a minute; its team's calls and tokens a minute; budgets of team and organization.
fn claims(call: u128, now_us: i64) -> [Claim; 6] {
    let key = call * 7919 % KEYS;
    let team = key % TEAMS;
    let minute = |limit: i64| Rule::sliding(limit, 60 * SECOND_US, now_us);
    let month_us = 30 * 86_400 * SECOND_US;
    let month = Rule::fixed(i64::MAX / 2, START_US - month_us / 2, START_US + month_us / 2);
    let rate = Rule::Rate { burst: 10_000, amount_per_period: 10_000, period_us: SECOND_US, wait_us_max: 0 };
    let claim = |bucket: u128, rule: Rule, amount: i64| Claim {
        bucket: Bucket(bucket.wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835)),
        rule,
        amount,
        shadow: false,
        durable: false,
        on_failure: OnFailure::Share,
    };
    [
        claim(1_000_000 + key, Rule::Places { limit: 1000 }, 1),
        claim(2_000_000 + key, minute(1_000_000_000), 1200),
        claim(3_000_000 + team, rate, 1),
        claim(4_000_000 + team, minute(1_000_000_000), 1200),
        claim(5_000_000 + team, month, 5_000_000),
        claim(6_000_000, month, 5_000_000),
    ]
}

fn wait<T>(work: impl Future<Output = T>) -> T {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime starts");
    runtime.block_on(work)
}

//! Many callers at once.

use std::{
    sync::atomic::{AtomicI64, Ordering},
    thread,
};

use policy::ledger::{Bucket, Claim, Rule};

use crate::stores::{SECOND_US, claim, claim_on, each, granted, hour, unique, wait};

const THREADS: i64 = 4;
const CALLS: i64 = 60;

/// So much is granted, however many ask.
#[test]
fn a_limit_is_reached_and_not_passed() {
    each(async |store| {
        let rate =
            Rule::Rate { burst: 100, amount_per_period: 1, period_us: 1000 * SECOND_US, wait_us_max: 0 };
        for rule in [
            hour(100, store.now_us),
            Rule::sliding(100, SECOND_US, store.now_us),
            rate,
            Rule::Places { limit: 100 },
        ] {
            let shared = claim(rule, 1);
            let sum = AtomicI64::new(0);
            crowd(|| async {
                // A bucket of the caller's own beside that of all.
                let claims = [claim(hour(10, store.now_us), 1), shared];
                if granted(store.reserve(&claims).await).is_some() {
                    sum.fetch_add(1, Ordering::Relaxed);
                }
            });
            assert_eq!(sum.into_inner(), 100, "{:?}: {rule:?}", store.kind);
        }
    });
}

/// Nobody waits for each other for ever, and sums are right, however claims overlap.
#[test]
fn overlapping_claims_settle_to_the_truth() {
    each(async |store| {
        let buckets: Vec<Bucket> = (0..6).map(|_| Bucket(unique())).collect();
        let sums: Vec<AtomicI64> = buckets.iter().map(|_| AtomicI64::new(0)).collect();
        let turn = AtomicI64::new(0);
        crowd(|| async {
            let turn = turn.fetch_add(1, Ordering::Relaxed) as usize;
            // Four of six, each caller in an order of its own.
            let chosen: Vec<usize> = (0..4).map(|at| (turn * 5 + at * (1 + turn % 2 * 4)) % 6).collect();
            let claims: Vec<Claim> =
                chosen.iter().map(|at| claim_on(buckets[*at], hour(1_000_000, store.now_us), 10)).collect();
            let hold = store.hold(&claims).await;
            let actual: Vec<i64> = chosen.iter().map(|at| (turn + at) as i64 % 17).collect();
            store.ledger.settle(store.now_us, &hold, &actual);
            for (at, actual) in chosen.iter().zip(actual) {
                sums[*at].fetch_add(actual, Ordering::Relaxed);
            }
        });
        store.ledger.flush().await;
        for (bucket, sum) in buckets.iter().zip(sums) {
            let claim = claim_on(*bucket, hour(1_000_000, store.now_us), 0);
            assert_eq!(1_000_000 - store.left(&claim).await, sum.into_inner(), "{:?}", store.kind);
        }
        assert_eq!(store.ledger.figures().outages, 0, "{:?}", store.kind);
    });
}

/// Calls from several threads, each with several at a time.
fn crowd<W: Future<Output = ()>>(call: impl Fn() -> W + Sync) {
    thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                wait(async {
                    for _ in 0..CALLS / 6 {
                        tokio::join!(call(), call(), call(), call(), call(), call());
                    }
                });
            });
        }
    });
}

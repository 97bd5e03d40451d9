//! What is granted, held, settled and given back.

use policy::ledger::{Bucket, Cause, Claim, OnFailure, Reserved, Rule, Tenant};
use tollgate_store::ledger::LedgerError;

use crate::stores::{HOUR_US, MINUTE_US, SECOND_US, claim, claim_on, each, granted, hour};

#[test]
fn a_window_holds_its_limit_and_no_more() {
    each(async |store| {
        let full = claim(hour(10, store.now_us), 4);
        let first = store.hold(&[full]).await;
        store.take(&[full]).await;
        let Reserved::Refused { claim, cause, limit, left, retry_us, standings } =
            store.reserve(&[full]).await
        else {
            panic!("{:?}: granted", store.kind);
        };
        assert_eq!((claim, cause, limit, left), (0, Cause::Limit, 10, 2), "{:?}", store.kind);
        assert_eq!(retry_us, Some(SECOND_US), "what is held may be free at any moment");
        assert!(standings[0].is_some_and(|standing| standing.exceeded));
        store.settle(&first, &[1]).await;
        assert_eq!(store.left(&full).await, 5, "{:?}", store.kind);
        store.take(&[full]).await;
    });
}

#[test]
fn all_claims_are_granted_or_none() {
    each(async |store| {
        let [wide, narrow] = [claim(hour(100, store.now_us), 5), claim(hour(3, store.now_us), 5)];
        let places = claim(Rule::Places { limit: 1 }, 1);
        let rate = Rule::Rate { burst: 5, amount_per_period: 1, period_us: SECOND_US, wait_us_max: 0 };
        let rate = claim(rate, 5);
        let Reserved::Refused { claim, retry_us, .. } = store.reserve(&[wide, places, rate, narrow]).await
        else {
            panic!("{:?}: granted", store.kind);
        };
        assert_eq!((claim, retry_us), (3, None), "five never fit into three");
        assert_eq!(store.left(&wide).await, 100);
        assert_eq!(store.left(&places).await, 1);
        assert_eq!(store.left(&rate).await, 5);
        store.take(&[wide, places, rate]).await;
        assert_eq!(store.left(&wide).await, 95);
        assert_eq!(store.left(&places).await, 0);
        assert_eq!(store.left(&rate).await, 0);
    });
}

#[test]
fn what_was_used_is_what_counts() {
    each(async |store| {
        let [tokens, cost] = [claim(hour(1000, store.now_us), 100), claim(hour(1000, store.now_us), 200)];
        let hold = store.hold(&[tokens, cost]).await;
        store.settle(&hold, &[30, 950]).await;
        assert_eq!((store.left(&tokens).await, store.left(&cost).await), (970, 50), "{:?}", store.kind);
        let hold = store.hold(&[Claim { amount: 50, ..cost }]).await;
        store.settle(&hold, &[900]).await;
        assert_eq!(store.left(&cost).await, 0, "more than was claimed may be used");
        assert!(granted(store.reserve(&[Claim { amount: 0, ..cost }]).await).is_none());
    });
}

#[test]
fn what_is_given_back_leaves_no_trace() {
    each(async |store| {
        let rate = Rule::Rate { burst: 8, amount_per_period: 1, period_us: SECOND_US, wait_us_max: 0 };
        let claims = [
            claim(hour(8, store.now_us), 8),
            claim(Rule::sliding(8, MINUTE_US, store.now_us), 8),
            claim(rate, 8),
            claim(Rule::Places { limit: 8 }, 8),
        ];
        for _ in 0..3 {
            let hold = store.hold(&claims).await;
            store.settle(&hold, &[0, 0, 0, 0]).await;
        }
        for claim in &claims {
            assert_eq!(store.left(claim).await, 8, "{:?}: {claim:?}", store.kind);
        }
    });
}

#[test]
fn a_hold_that_nobody_settles_ends() {
    each(async |store| {
        let [window, places] = [claim(hour(5, store.now_us), 5), claim(Rule::Places { limit: 5 }, 5)];
        let leaked = store.hold(&[window, places]).await;
        let held_us = store.now_us + 5 * MINUTE_US;
        assert!(granted(store.reserve_at(held_us, &[window]).await).is_none());
        assert_eq!(store.left_at(held_us, &places).await, 0);
        let over_us = store.now_us + 6 * MINUTE_US;
        assert_eq!(store.left_at(over_us, &window).await, 5, "{:?}", store.kind);
        assert_eq!(store.left_at(over_us, &places).await, 5, "{:?}", store.kind);
        let hold = granted(store.reserve_at(over_us, &[places]).await).expect("there is room again");
        // What was forgotten settles after all: it takes nothing from those that hold now.
        store.ledger.settle(over_us, &leaked, &[4, 0]);
        store.ledger.flush().await;
        assert_eq!(store.left_at(over_us, &window).await, 1);
        assert_eq!(store.left_at(over_us, &places).await, 0);
        store.ledger.settle(over_us, &hold, &[0]);
        store.ledger.flush().await;
        assert_eq!(store.left_at(over_us, &places).await, 5);
    });
}

#[test]
fn windows_of_several_lengths_hold_at_once() {
    each(async |store| {
        let (minute, hours) = (Bucket(crate::stores::unique()), Bucket(crate::stores::unique()));
        let claims = |now_us: i64| {
            let begins_us = now_us.div_euclid(MINUTE_US) * MINUTE_US;
            [
                claim_on(minute, Rule::fixed(2, begins_us, begins_us + MINUTE_US), 1),
                claim_on(hours, hour(5, store.now_us), 1),
            ]
        };
        let mut sent = Vec::new();
        for minute in 0..4 {
            let now_us = store.now_us + minute * MINUTE_US;
            for _ in 0..3 {
                let Some(hold) = granted(store.reserve_at(now_us, &claims(now_us)).await) else { continue };
                store.ledger.settle(now_us, &hold, &[1, 1]);
                store.ledger.flush().await;
                sent.push(minute);
            }
        }
        assert_eq!(sent, [0, 0, 1, 1, 2], "{:?}", store.kind);
    });
}

#[test]
fn a_sliding_window_says_when_there_is_room() {
    each(async |store| {
        let bucket = Bucket(crate::stores::unique());
        let at = |now_us: i64| claim_on(bucket, Rule::sliding(10, MINUTE_US, now_us), 6);
        for (after_us, fits) in [(0, true), (30 * SECOND_US, false), (61 * SECOND_US - 1, false)] {
            let now_us = store.now_us + after_us;
            let reserved = store.reserve_at(now_us, &[at(now_us)]).await;
            if let Reserved::Refused { retry_us, .. } = &reserved {
                assert_eq!(*retry_us, Some((61 * SECOND_US - after_us).max(SECOND_US)), "{:?}", store.kind);
            }
            let hold = granted(reserved);
            assert_eq!(hold.is_some(), fits, "{:?} after {after_us}", store.kind);
            if let Some(hold) = hold {
                store.settle(&hold, &[6]).await;
            }
        }
        let now_us = store.now_us + 61 * SECOND_US;
        assert!(granted(store.reserve_at(now_us, &[at(now_us)]).await).is_some());
    });
}

#[test]
fn a_rate_refuses_waits_and_is_given_back() {
    each(async |store| {
        let strict = Rule::Rate { burst: 4, amount_per_period: 2, period_us: SECOND_US, wait_us_max: 0 };
        let strict = claim(strict, 4);
        let hold = store.hold(&[strict]).await;
        let Reserved::Refused { retry_us, left, .. } = store.reserve(&[strict]).await else {
            panic!("{:?}: granted", store.kind);
        };
        assert_eq!((retry_us, left), (Some(2 * SECOND_US), 0), "{:?}", store.kind);
        store.settle(&hold, &[1]).await;
        assert_eq!(store.left(&strict).await, 3);
        let hold = store.hold(&[Claim { amount: 3, ..strict }]).await;
        store.settle(&hold, &[1_000_000]).await;
        let Reserved::Refused { retry_us, .. } = store.reserve(&[Claim { amount: 1, ..strict }]).await else {
            panic!("{:?}: granted", store.kind);
        };
        assert_eq!(retry_us, Some(SECOND_US + SECOND_US / 2), "a debt of one period at most");

        let patient =
            Rule::Rate { burst: 1, amount_per_period: 1, period_us: SECOND_US, wait_us_max: 2 * SECOND_US };
        let patient = claim(patient, 1);
        for wait in [0, 1, 2] {
            let Reserved::Granted { wait_us, .. } = store.reserve(&[patient]).await else {
                panic!("{:?}: refused", store.kind);
            };
            assert_eq!(wait_us, wait * SECOND_US, "{:?}", store.kind);
        }
        assert!(granted(store.reserve(&[patient]).await).is_none());
    });
}

#[test]
fn a_shadow_counts_and_refuses_nobody() {
    each(async |store| {
        let rate = Rule::Rate { burst: 1, amount_per_period: 1, period_us: HOUR_US, wait_us_max: 0 };
        let shadow = |rule: Rule| Claim { shadow: true, ..claim(rule, 1) };
        let shadows = [shadow(hour(1, store.now_us)), shadow(Rule::Places { limit: 1 }), shadow(rate)];
        let real = claim(hour(4, store.now_us), 1);
        for exceeded in [false, true, true] {
            let claims = [shadows[0], shadows[1], shadows[2], real];
            let Reserved::Granted { hold, wait_us, standings } = store.reserve(&claims).await else {
                panic!("{:?}: a shadow refused", store.kind);
            };
            let told =
                standings.iter().take(3).all(|standing| standing.is_some_and(|it| it.exceeded == exceeded));
            assert!(told && wait_us == 0, "{:?}: {standings:?}", store.kind);
            store.settle(&hold, &[1, 0, 1, 1]).await;
            let hold = store.reserve(&[shadows[1]]).await;
            assert!(granted(hold).is_some());
        }
        let window = Claim { rule: hour(10, store.now_us), ..shadows[0] };
        assert_eq!((store.left(&window).await, store.left(&real).await), (7, 1), "{:?}", store.kind);
    });
}

#[test]
fn budgets_of_millions_of_dollars_are_exact() {
    each(async |store| {
        let limit = 5_000_000_000_000_000_000;
        let budget = claim(hour(limit, store.now_us), limit - 3);
        let hold = store.hold(&[budget]).await;
        let one = Claim { amount: 1, ..budget };
        let held = store.hold(&[one]).await;
        assert_eq!(store.left(&budget).await, 2, "{:?}", store.kind);
        store.settle(&hold, &[limit - 4]).await;
        assert_eq!(store.left(&budget).await, 3, "{:?}", store.kind);
        assert!(granted(store.reserve(&[Claim { amount: 4, ..budget }]).await).is_none());
        store.take(&[Claim { amount: 3, ..budget }]).await;
        assert!(granted(store.reserve(&[one]).await).is_none());
        store.settle(&held, &[0]).await;
        store.take(&[one]).await;
        assert!(granted(store.reserve(&[one]).await).is_none());
    });
}

#[test]
fn extremes_break_nothing() {
    each(async |store| {
        let shadow = |bucket: u128, rule: Rule, amount: i64| Claim {
            shadow: true,
            ..claim_on(Bucket(bucket ^ store.tenant.0), rule, amount)
        };
        let rate =
            |burst, period_us| Rule::Rate { burst, amount_per_period: 1, period_us, wait_us_max: i64::MAX };
        let claims = [
            shadow(0, hour(i64::MAX, store.now_us), i64::MAX),
            shadow(u128::MAX, hour(-1, store.now_us), -5),
            shadow(1, Rule::sliding(0, 0, store.now_us), 0),
            shadow(2, Rule::Places { limit: i64::MIN }, i64::MAX),
            shadow(3, rate(i64::MAX, i64::MAX), i64::MAX),
            shadow(4, rate(0, 0), i64::MIN),
        ];
        for _ in 0..4 {
            let hold = store.hold(&claims).await;
            store.settle(&hold, &[i64::MAX; 6]).await;
        }
        assert_eq!(store.left(&claims[0]).await, 0, "{:?}", store.kind);
        assert_eq!(store.ledger.figures().dropped, 0, "{:?}", store.kind);
    });
}

/// Names are numbers, whatever their bytes spell.
#[test]
fn names_are_no_words_of_a_store() {
    each(async |store| {
        for (tenant, bucket) in [
            (*b"}:{a\r\nFLUSHALL\r\n", *b"\r\nSHUTDOWN\r\n\0\0\0\0"),
            (*b"'; DROP SCHEMA--", *b"'); DROP TABLE x"),
            (*b"{}{}{}{}{}{}{}{}", *b"return redis.cal"),
        ] {
            let tenant = Tenant(u128::from_be_bytes(tenant));
            let bucket = Bucket(u128::from_be_bytes(bucket) ^ store.tenant.0);
            let claims = [claim_on(bucket, hour(1, store.now_us), 1)];
            let reserve = || store.ledger.reserve(tenant, store.now_us, store.now_us, &claims);
            assert!(granted(reserve().await.expect("it is sound")).is_some(), "{:?}", store.kind);
            assert!(granted(reserve().await.expect("it is sound")).is_none(), "{:?}", store.kind);
        }
    });
}

#[test]
fn a_call_claims_a_bucket_once_and_not_too_many() {
    each(async |store| {
        let twice = claim(hour(1, store.now_us), 1);
        let reserve = async |claims: &[Claim]| {
            store.ledger.reserve(store.tenant, store.now_us, store.now_us, claims).await
        };
        assert!(matches!(reserve(&[twice, twice]).await, Err(LedgerError::Twice)));
        let many: Vec<Claim> = (0..65).map(|_| claim(hour(1, store.now_us), 1)).collect();
        assert!(matches!(reserve(&many).await, Err(LedgerError::TooMany(65))));
        assert!(matches!(reserve(&many[1..]).await, Ok(Reserved::Granted { .. })));
        assert!(matches!(reserve(&[]).await, Ok(Reserved::Granted { .. })));
    });
}

#[test]
fn memory_is_bounded() {
    let settings = tollgate_store::ledger::LedgerSettings { buckets_max: 100, ..Default::default() };
    let ledger = tollgate_store::ledger::Ledger::memory(&settings);
    crate::stores::wait(async {
        let names = std::cell::Cell::new(0);
        let reserve = async |now_us: i64, on_failure: OnFailure| {
            names.set(names.get() + 1);
            let claims = [Claim { on_failure, ..claim_on(Bucket(names.get()), Rule::fixed(1, 0, 1), 1) }];
            ledger.reserve(Tenant(1), now_us, now_us, &claims).await.expect("the claim is sound")
        };
        for _ in 0..100 {
            assert!(granted(reserve(0, OnFailure::Refuse).await).is_some());
        }
        assert!(matches!(
            reserve(0, OnFailure::Refuse).await,
            Reserved::Refused { cause: Cause::Away, retry_us: Some(_), .. }
        ));
        assert!(granted(reserve(0, OnFailure::Allow).await).is_some());
        assert_eq!((ledger.figures().buckets, ledger.figures().overflows), (100, 2));
        // Once nothing counts in them, buckets make room.
        for _ in 0..1000 {
            let _ = reserve(HOUR_US, OnFailure::Allow).await;
        }
        assert!(granted(reserve(2 * HOUR_US, OnFailure::Refuse).await).is_some());
    });
}

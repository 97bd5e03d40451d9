//! A shared store that goes away and comes back.

use std::{
    cell::Cell,
    sync::mpsc::{self, TryRecvError},
    thread,
    time::Duration,
};

use policy::{
    Secret,
    ledger::{Bucket, Cause, Claim, Hold, Keeper, OnFailure, Reserved, Rule, Tenant},
};
use tollgate_store::ledger::{Ledger, LedgerSettings, Raise};

use crate::{
    proxy::Proxy,
    stores::remove,
    stores::{
        HOUR_US, Kind, MINUTE_US, Opened, SECOND_US, apart, claim, forget, forget_scripts, granted, hour,
        now_us, open, unique, wait,
    },
};

/// Two replicas, of which the second has a way to the store that can be cut.
struct Pair {
    other: Opened,
    cuttable: Opened,
    proxy: Proxy,
    /// Where the store is.
    address: String,
}

/// Runs a case on each shared store, with a database of its own: how many replicas there are is known.
fn each_pair(number: u32, settings: &LedgerSettings, case: impl AsyncFn(Pair)) {
    for kind in [Kind::Redis, Kind::Postgres] {
        let Some(address) = apart(kind, number) else { continue };
        let (proxy, by_proxy) = Proxy::to(&address);
        let (tenant, now_us) = (Tenant(unique()), now_us());
        let opened = async |address: &str, settings: &LedgerSettings| {
            let settings = LedgerSettings { replica: unique(), ..settings.clone() };
            let ledger = open(kind, address, &settings);
            ledger.ready().await;
            Opened { kind, ledger, tenant, now_us }
        };
        wait(async {
            let other = opened(&address, &LedgerSettings { timeout: PATIENCE, ..Default::default() }).await;
            let cuttable = opened(&by_proxy, settings).await;
            assert_eq!(cuttable.ledger.figures().replicas, 2, "{kind:?}");
            case(Pair { other, cuttable, proxy, address: address.clone() }).await;
        });
        remove(kind, &address);
    }
}

fn patient() -> LedgerSettings {
    LedgerSettings { timeout: PATIENCE, ..LedgerSettings::default() }
}

impl Pair {
    /// Cuts the way, and asks until the ledger knows.
    async fn cut(&self) {
        self.proxy.cut();
        let probe = claim(hour(1, self.cuttable.now_us), 0);
        eventually(async || {
            let _ = self.cuttable.reserve(&[probe]).await;
            self.cuttable.ledger.figures().is_away
        })
        .await;
    }

    async fn restore(&self) {
        self.proxy.open();
        self.cuttable.ledger.ready().await;
        self.cuttable.ledger.flush().await;
    }
}

async fn eventually(holds: impl AsyncFn() -> bool) {
    while !holds().await {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

fn on_failure(on_failure: OnFailure, claim: Claim) -> Claim {
    Claim { on_failure, ..claim }
}

#[test]
fn each_claim_goes_its_own_way() {
    each_pair(1, &patient(), async |pair| {
        let store = &pair.cuttable;
        let window = || claim(hour(10, store.now_us), 4);
        let [allowed, shared] = [OnFailure::Allow, OnFailure::Share].map(|kind| on_failure(kind, window()));
        let refused = window();
        pair.cut().await;
        for _ in 0..4 {
            assert!(granted(store.reserve(&[allowed]).await).is_some(), "it is not counted");
        }
        let Reserved::Refused { claim, cause, retry_us, .. } =
            store.reserve(&[allowed, shared, refused]).await
        else {
            unreachable!("granted");
        };
        assert_eq!((claim, cause, retry_us.is_some()), (2, Cause::Away, true));
        let shadow = Claim { shadow: true, ..refused };
        let Reserved::Granted { hold, standings, .. } = store.reserve(&[shadow, shared, allowed]).await
        else {
            unreachable!("refused");
        };
        let keepers: Vec<Keeper> = hold.held.iter().map(|held| held.keeper).collect();
        assert_eq!(keepers, [Keeper::Nobody, Keeper::Replica, Keeper::Nobody]);
        assert_eq!(
            standings.iter().map(|it| it.map(|it| it.left)).collect::<Vec<_>>(),
            [None, Some(1), None]
        );
        let Reserved::Refused { claim, cause, limit, .. } = store.reserve(&[allowed, shared]).await else {
            unreachable!("granted");
        };
        assert_eq!((claim, cause, limit), (1, Cause::Limit, 5), "half of the limit is this replica's");
        pair.restore().await;
        assert_eq!(pair.other.left(&refused).await, 10, "what is not settled was never counted there");
    });
}

/// A replica that is alone goes on from what it has last seen, and what it grants is counted when the store is back.
#[test]
fn a_share_goes_on_from_what_was_seen() {
    each_pair(2, &patient(), async |pair| {
        let store = &pair.cuttable;
        let budget = on_failure(OnFailure::Share, claim(hour(100, store.now_us), 60));
        let hold = store.hold(&[budget]).await;
        store.settle(&hold, &[40]).await;
        let last = store.hold(&[Claim { amount: 20, ..budget }]).await;
        pair.cut().await;
        let amount = |amount: i64| Claim { amount, ..budget };
        assert!(granted(store.reserve(&[amount(21)]).await).is_none(), "a half of what is left");
        let alone = granted(store.reserve(&[amount(20)]).await).expect("a half of what is left");
        // What was held before, what was granted alone, and what was not counted at all.
        store.ledger.settle(store.now_us, &last, &[10]);
        store.ledger.settle(store.now_us, &alone, &[15]);
        let allowed = on_failure(OnFailure::Allow, amount(7));
        let uncounted = granted(store.reserve(&[allowed]).await).expect("it is allowed");
        store.ledger.settle(store.now_us, &uncounted, &[7]);
        assert_eq!(pair.other.left(&budget).await, 40);
        pair.restore().await;
        assert_eq!(pair.other.left(&budget).await, 100 - 40 - 10 - 15 - 7, "{:?}", store.kind);
        assert_eq!(store.ledger.figures().dropped, 0);
    });
}

/// What the journal has brought to the database is not added once more when the store is back.
#[test]
fn what_the_database_knew_is_not_counted_twice() {
    each_pair(9, &patient(), async |pair| {
        let (store, other) = (&pair.cuttable, &pair.other);
        let durable =
            Claim { durable: true, ..on_failure(OnFailure::Share, claim(hour(100, store.now_us), 10)) };
        let tell = async |now_us: i64, amount: i64| {
            let ends_us = store.now_us + HOUR_US;
            let raise = Raise { bucket: durable.bucket, slot_us: store.now_us, amount, ends_us };
            other.ledger.raise(other.tenant, now_us, &[raise]).await.expect("the store answers");
        };
        tell(store.now_us, 0).await;
        let before = store.hold(&[durable]).await;
        pair.cut().await;
        let alone = granted(store.reserve(&[durable]).await).expect("there is room");
        for (hold, after_us) in [(&before, 0), (&alone, 5 * SECOND_US)] {
            store.ledger.settle(store.now_us + after_us, hold, &[7]);
        }
        // By now the database has heard of the first.
        tell(store.now_us + 2 * SECOND_US, 7).await;
        pair.restore().await;
        assert_eq!(other.left(&durable).await, 100 - 7 - 7, "{:?}", store.kind);
    });
}

/// A durable bucket of which a replica has seen nothing is asked for as a shared store asks.
#[test]
fn a_share_is_seeded() {
    each_pair(3, &patient(), async |pair| {
        let store = &pair.cuttable;
        let durable =
            Claim { durable: true, ..on_failure(OnFailure::Share, claim(hour(100, store.now_us), 20)) };
        pair.cut().await;
        assert_eq!(store.reserve(&[durable]).await, Reserved::Unseeded(vec![durable.bucket]));
        let ends_us = store.now_us + HOUR_US;
        let raise = Raise { bucket: durable.bucket, slot_us: store.now_us, amount: 60, ends_us };
        store.ledger.raise(store.tenant, store.now_us, &[raise]).await.expect("it is told here");
        assert!(granted(store.reserve(&[durable]).await).is_some(), "50 less 30");
        assert!(granted(store.reserve(&[durable]).await).is_none());
    });
}

/// However often the way is cut, each settlement is counted once.
#[test]
fn settlements_count_once() {
    each_pair(4, &patient(), async |pair| {
        let store = &pair.cuttable;
        let budget = claim(hour(1_000_000, store.now_us), 50);
        let (turn, sum, calls) = (Cell::new(0), Cell::new(0), Cell::new(0));
        let call = async || {
            turn.set(turn.get() + 1);
            let actual = turn.get() % 13;
            if let Some(hold) = granted(store.reserve(&[budget]).await) {
                store.ledger.settle(store.now_us, &hold, &[actual]);
                sum.set(sum.get() + actual);
                calls.set(calls.get() + 1);
            }
            if turn.get() % 150 == 0 {
                pair.proxy.cut();
                pair.proxy.open();
                store.ledger.ready().await;
            }
        };
        while calls.get() < 600 {
            tokio::join!(call(), call(), call(), call(), call());
        }
        pair.restore().await;
        assert!(store.ledger.figures().outages > 0 && store.ledger.figures().dropped == 0);
        // Once what was granted on a way that was cut has ended by itself, sums are what was settled.
        let later_us = store.now_us + 6 * MINUTE_US;
        assert_eq!(1_000_000 - pair.other.left_at(later_us, &budget).await, sum.get(), "{:?}", store.kind);
    });
}

/// A store that has forgotten everything, with its connections or without, is told again; calls that were under way settle
/// to the truth.
#[test]
fn a_store_that_forgets_is_told_again() {
    each_pair(8, &patient(), async |pair| {
        let store = &pair.cuttable;
        for restarts in [false, true] {
            let durable = Claim { durable: true, ..claim(hour(100, store.now_us), 30) };
            let plain = claim(hour(100, store.now_us), 30);
            let tell = async |amount: i64| {
                let ends_us = store.now_us + HOUR_US;
                let raise = Raise { bucket: durable.bucket, slot_us: store.now_us, amount, ends_us };
                store.ledger.raise(store.tenant, store.now_us, &[raise]).await.expect("the store answers");
            };
            tell(0).await;
            let first = store.hold(&[durable, plain]).await;
            let second = store.hold(&[durable, plain]).await;
            store.settle(&first, &[20, 20]).await;
            if restarts {
                pair.cut().await;
            }
            forget(store.kind, &pair.address);
            if restarts {
                pair.restore().await;
            }
            let reserved = store.reserve(&[durable, plain]).await;
            assert_eq!(reserved, Reserved::Unseeded(vec![durable.bucket]), "{:?}", store.kind);
            tell(20).await;
            // A hold that the store has forgotten still adds what was used.
            store.settle(&second, &[25, 25]).await;
            assert_eq!((store.left(&durable).await, store.left(&plain).await), (55, 75), "{:?}", store.kind);
            store.take(&[durable, plain]).await;
        }
    });
}

/// A server that forgets its scripts all the time, as one does whose administrator flushes them, is not one that is away.
#[test]
fn scripts_that_are_flushed_are_no_outage() {
    each_pair(10, &patient(), async |pair| {
        if pair.cuttable.kind != Kind::Redis {
            return;
        }
        let store = &pair.cuttable;
        let budget = claim(hour(300, store.now_us), 1);
        let (_until_dropped, is_over) = mpsc::channel::<()>();
        let address = pair.address.clone();
        thread::spawn(move || {
            while is_over.try_recv() == Err(TryRecvError::Empty) {
                forget_scripts(&address);
            }
        });
        for _ in 0..300 {
            let hold = store.hold(&[budget]).await;
            store.settle(&hold, &[1]).await;
        }
        assert_eq!(store.ledger.figures().outages, 0);
        assert_eq!(pair.other.left(&budget).await, 0);
    });
}

/// Whoever goes away while the store is asked leaves nothing behind.
#[test]
fn a_caller_that_goes_away_holds_nothing() {
    each_pair(5, &patient(), async |pair| {
        let store = &pair.cuttable;
        let places = claim(Rule::Places { limit: 5 }, 1);
        pair.proxy.stall();
        for _ in 0..5 {
            let asked = tokio::time::timeout(Duration::ZERO, store.reserve(&[places])).await;
            assert!(asked.is_err(), "the way is stalled");
        }
        pair.proxy.open();
        // Calls after them find room as soon as theirs is given back.
        eventually(async || {
            let all: Reserved = store.reserve(&[Claim { amount: 5, ..places }]).await;
            granted(all).is_some()
        })
        .await;
    });
}

/// A store that does not answer is not asked any more, and is asked again once it does.
#[test]
fn a_store_that_stalls_is_let_alone() {
    let impatient = LedgerSettings { timeout: Duration::from_millis(10), ..LedgerSettings::default() };
    each_pair(6, &impatient, async |pair| {
        let store = &pair.cuttable;
        // What it was late for so far, on a machine that has other things to do.
        let before = store.ledger.figures().outages;
        let allowed = on_failure(OnFailure::Allow, claim(hour(10, store.now_us), 1));
        pair.proxy.stall();
        eventually(async || {
            assert!(granted(store.reserve(&[allowed]).await).is_some());
            store.ledger.figures().is_away
        })
        .await;
        assert_eq!(store.ledger.figures().outages, before + 1, "{:?}", store.kind);
        pair.restore().await;
        eventually(async || {
            let hold = granted(store.reserve(&[allowed]).await);
            hold.is_some_and(|hold| keeper(&hold) == Keeper::Ledger)
        })
        .await;
    });
}

fn keeper(hold: &Hold) -> Keeper {
    hold.held.first().expect("one was claimed").keeper
}

#[test]
fn what_waits_for_the_store_is_bounded() {
    let narrow = LedgerSettings { settlements_max: 10, ..patient() };
    each_pair(7, &narrow, async |pair| {
        let store = &pair.cuttable;
        let budget = claim(hour(100, store.now_us), 1);
        let mut holds = Vec::new();
        for _ in 0..15 {
            holds.push(store.hold(&[budget]).await);
        }
        pair.cut().await;
        for hold in &holds {
            store.ledger.settle(store.now_us, hold, &[1]);
        }
        let figures = store.ledger.figures();
        assert_eq!((figures.unsent, figures.dropped), (10, 5), "{:?}", store.kind);
        pair.restore().await;
        let later_us = store.now_us + 6 * MINUTE_US;
        assert_eq!(pair.other.left_at(later_us, &budget).await, 90, "{:?}", store.kind);
    });
}

/// A ledger that finds no store at first is one that is away.
#[test]
fn a_store_that_was_never_there() {
    for (kind, address) in
        [(Kind::Redis, "redis://127.0.0.1:1"), (Kind::Postgres, "postgres://nobody@127.0.0.1:1/nothing")]
    {
        let ledger = open(kind, address, &LedgerSettings::default());
        wait(async {
            let claims = [on_failure(OnFailure::Allow, claim(hour(10, now_us()), 1))];
            let reserved = ledger.reserve(Tenant(1), now_us(), now_us(), &claims).await.expect("sound");
            assert!(granted(reserved).is_some() && ledger.figures().is_away);
            assert!(ledger.used(Tenant(1), 0, &[(Bucket(1), claims[0].rule)]).await.is_err());
        });
    }
}

/// Passwords in addresses stay out of errors.
#[test]
fn an_address_that_is_none_says_so_without_its_words() {
    let told = |opened: Result<(Ledger, tollgate_store::ledger::Driver), tollgate_store::Error>| {
        opened.err().expect("it is no address").to_string()
    };
    let settings = LedgerSettings::default();
    for text in [
        told(Ledger::redis(&Secret::new("redis://user:hunter2@:x:y"), &settings)),
        told(Ledger::redis(&Secret::new("http://user:hunter2@host"), &settings)),
        told(Ledger::postgres(&Secret::new("postgres://user:hunter2@host:port/x?y=z"), &settings)),
    ] {
        assert!(text.starts_with("store.") && !text.contains("hunter2"), "{text}");
    }
}

const PATIENCE: Duration = Duration::from_secs(20);

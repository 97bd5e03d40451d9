//! Durable buckets: what the database knows is told to a store that does not.

use policy::ledger::{Bucket, Claim, Reserved};
use tollgate_store::ledger::{LedgerSettings, Raise};

use crate::stores::{HOUR_US, Kind, address, claim, each, granted, hour, now_us, open, unique, wait};

fn durable(limit: i64, amount: i64, now_us: i64) -> Claim {
    Claim { durable: true, ..claim(hour(limit, now_us), amount) }
}

fn raise(bucket: Bucket, amount: i64, now_us: i64) -> Raise {
    Raise { bucket, slot_us: now_us, amount, ends_us: now_us + HOUR_US }
}

#[test]
fn a_durable_bucket_is_asked_for_once() {
    each(async |store| {
        let [known, unknown] = [durable(100, 10, store.now_us), durable(100, 10, store.now_us)];
        let plain = claim(hour(100, store.now_us), 10);
        let tell = async |raises: &[Raise]| {
            store.ledger.raise(store.tenant, store.now_us, raises).await.expect("the store answers");
        };
        tell(&[raise(known.bucket, 0, store.now_us)]).await;
        let reserved = store.reserve(&[plain, unknown, known]).await;
        assert_eq!(reserved, Reserved::Unseeded(vec![unknown.bucket]), "{:?}", store.kind);
        assert_eq!(store.left(&plain).await, 100, "nothing is granted");
        for _ in 0..3 {
            tell(&[raise(unknown.bucket, 85, store.now_us)]).await;
        }
        let hold = store.hold(&[plain, unknown, known]).await;
        assert_eq!(store.left(&unknown).await, 5, "{:?}", store.kind);
        store.settle(&hold, &[10, 12, 10]).await;
        // The database hears of it later; what it knew is no reason to go back.
        tell(&[raise(unknown.bucket, 85, store.now_us)]).await;
        assert_eq!(store.left(&unknown).await, 3);
        tell(&[raise(unknown.bucket, 99, store.now_us)]).await;
        assert_eq!(store.left(&unknown).await, 1);
        assert!(granted(store.reserve(&[unknown]).await).is_none());
    });
}

/// A store that has forgotten everything is told again, and calls that were under way settle to the truth.
#[test]
fn a_store_that_forgets_is_told_again() {
    for (kind, forget) in [(Kind::Redis, forget_redis as fn(&str)), (Kind::Postgres, forget_postgres)] {
        let Some(address) = apart(kind) else { continue };
        let ledger = open(kind, &address, &LedgerSettings { timeout: PATIENCE, ..Default::default() });
        wait(async {
            ledger.ready().await;
            let (tenant, now_us) = (policy::ledger::Tenant(unique()), now_us());
            let claims = [durable(100, 30, now_us), claim(hour(100, now_us), 30)];
            let reserve = async || ledger.reserve(tenant, now_us, now_us, &claims).await.expect("sound");
            let tell = async |amount: i64| {
                let raises = [raise(claims[0].bucket, amount, now_us)];
                ledger.raise(tenant, now_us, &raises).await.expect("the store answers");
            };
            tell(0).await;
            let [first, second] =
                [reserve().await, reserve().await].map(|one| granted(one).expect("granted"));
            ledger.settle(now_us, &first, &[20, 20]);
            ledger.flush().await;
            forget(&address);
            ledger.ready().await;
            assert_eq!(reserve().await, Reserved::Unseeded(vec![claims[0].bucket]), "{kind:?}");
            tell(20).await;
            // A hold that the store has forgotten still adds what was used.
            ledger.settle(now_us, &second, &[25, 25]);
            ledger.flush().await;
            let left = async |claim: &Claim| {
                let used = ledger.used(tenant, now_us, &[(claim.bucket, claim.rule)]).await;
                used.expect("the store answers")[0].left
            };
            assert_eq!((left(&claims[0]).await, left(&claims[1]).await), (55, 75), "{kind:?}");
            assert!(granted(reserve().await).is_some());
        });
    }
}

const PATIENCE: std::time::Duration = std::time::Duration::from_secs(20);

/// A database that no other test uses.
fn apart(kind: Kind) -> Option<String> {
    let address = address(kind)?;
    match kind {
        Kind::Memory => None,
        Kind::Redis => Some(format!("{}/7", address.trim_end_matches('/'))),
        Kind::Postgres => {
            let name = format!("tollgate_{:x}", unique());
            postgres(&address, &format!("CREATE DATABASE {name}"));
            let (server, options) =
                address.split_once('?').map_or((&*address, ""), |(it, options)| (it, options));
            let (host, _) =
                server.rsplit_once('/').filter(|(host, _)| !host.ends_with('/')).unwrap_or((server, ""));
            Some(format!("{host}/{name}?{options}"))
        }
    }
}

fn forget_redis(address: &str) {
    let client = redis::Client::open(address).expect("the address is sound");
    let mut connection = client.get_connection().expect("the store answers");
    redis::cmd("FLUSHDB").exec(&mut connection).expect("the store forgets");
    redis::cmd("SCRIPT").arg("FLUSH").exec(&mut connection).expect("the store forgets scripts");
}

/// What a crash of the server does to tables that are not logged.
fn forget_postgres(address: &str) {
    let tables = ["buckets", "counters", "holds", "batches", "replicas"]
        .map(|table| format!("tollgate_ledger.{table}"));
    postgres(address, &format!("TRUNCATE {}", tables.join(", ")));
}

fn postgres(address: &str, statement: &str) {
    let work = async {
        let (client, connection) =
            tokio_postgres::connect(address, tokio_postgres::NoTls).await.expect("the store answers");
        tokio::select! {
            _ = connection => panic!("the connection ended"),
            done = client.batch_execute(statement) => done.expect("the statement is sound"),
        }
    };
    // A thread of its own, since this one may be in the middle of something.
    std::thread::scope(|scope| {
        scope.spawn(|| wait(work));
    });
}

//! The stores that cases run on, and words for writing cases.

use std::{
    env,
    pin::Pin,
    thread,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use policy::{
    Secret,
    ledger::{Bucket, Claim, Hold, OnFailure, Reserved, Rule, Tenant},
};
use tollgate_store::ledger::{Driver, Ledger, LedgerSettings};

pub(crate) const SECOND_US: i64 = 1_000_000;
pub(crate) const MINUTE_US: i64 = 60 * SECOND_US;
pub(crate) const HOUR_US: i64 = 60 * MINUTE_US;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Memory,
    Redis,
    Postgres,
}

/// A ledger for one case, whose buckets nobody else has.
pub(crate) struct Opened {
    pub(crate) kind: Kind,
    pub(crate) ledger: Ledger,
    pub(crate) tenant: Tenant,
    pub(crate) now_us: i64,
}

/// Runs a case on every store that there is.
pub(crate) fn each(case: impl AsyncFn(Opened)) {
    for kind in [Kind::Memory, Kind::Redis, Kind::Postgres] {
        on(kind, &case);
    }
}

/// Runs a case on the stores that replicas share.
pub(crate) fn each_shared(case: impl AsyncFn(Opened)) {
    for kind in [Kind::Redis, Kind::Postgres] {
        on(kind, &case);
    }
}

fn on(kind: Kind, case: &impl AsyncFn(Opened)) {
    let settings = LedgerSettings { timeout: Duration::from_secs(20), ..LedgerSettings::default() };
    let ledger = match kind {
        Kind::Memory => Ledger::memory(&settings),
        Kind::Redis | Kind::Postgres => {
            let Some(address) = address(kind) else { return };
            open(kind, &address, &settings)
        }
    };
    let tenant = Tenant(unique());
    wait(async {
        ledger.ready().await;
        case(Opened { kind, ledger, tenant, now_us: now_us() }).await;
    });
}

/// Where a store is, if there is one.
pub(crate) fn address(kind: Kind) -> Option<String> {
    let variable = match kind {
        Kind::Memory => return None,
        Kind::Redis => "TOLLGATE_TEST_REDIS",
        Kind::Postgres => "TOLLGATE_TEST_POSTGRES",
    };
    let address = env::var(variable).ok();
    if address.is_none() {
        println!("skipped: {variable} is not set");
    }
    address
}

/// A database that no other case uses, whatever runs beside it. Redis has sixteen, of which the first is everybody's.
pub(crate) fn apart(kind: Kind, number: u32) -> Option<String> {
    let address = address(kind)?;
    match kind {
        Kind::Memory => None,
        Kind::Redis => {
            let (scheme, server) = address.split_once("://").expect("an address has a scheme");
            let host = server.split_once('/').map_or(server, |(host, _)| host);
            let address = format!("{scheme}://{host}/{number}");
            forget(kind, &address);
            Some(address)
        }
        Kind::Postgres => {
            let name = format!("tollgate_{:x}", unique());
            postgres(&address, &format!("CREATE DATABASE {name}"));
            let (server, options) = address.split_once('?').unwrap_or((&address, ""));
            let (scheme, server) = server.split_once("://").expect("an address has a scheme");
            let host = server.split_once('/').map_or(server, |(host, _)| host);
            Some(format!("{scheme}://{host}/{name}?{options}"))
        }
    }
}

/// Removes the database of a case.
pub(crate) fn remove(kind: Kind, at: &str) {
    let (Kind::Postgres, Some(address)) = (kind, address(kind)) else { return };
    let server = at.split_once('?').map_or(at, |(server, _)| server);
    let (_, name) = server.rsplit_once('/').expect("an address names a database");
    postgres(&address, &format!("DROP DATABASE {name} WITH (FORCE)"));
}

/// What a store forgets when it starts again: Redis that keeps nothing on disk, PostgreSQL after a crash.
pub(crate) fn forget(kind: Kind, address: &str) {
    match kind {
        Kind::Memory => {}
        Kind::Redis => {
            let client = redis::Client::open(address).expect("the address is sound");
            let mut connection = client.get_connection().expect("the store answers");
            redis::cmd("FLUSHDB").exec(&mut connection).expect("the store forgets");
            forget_scripts(address);
        }
        Kind::Postgres => {
            let tables = ["buckets", "counters", "holds", "batches", "replicas"];
            let tables = tables.map(|table| format!("tollgate_ledger.{table}"));
            postgres(address, &format!("TRUNCATE {}", tables.join(", ")));
        }
    }
}

/// Makes a Redis forget the scripts of all its databases.
pub(crate) fn forget_scripts(address: &str) {
    let client = redis::Client::open(address).expect("the address is sound");
    let mut connection = client.get_connection().expect("the store answers");
    redis::cmd("SCRIPT").arg("FLUSH").exec(&mut connection).expect("the store forgets scripts");
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
    thread::scope(|scope| {
        scope.spawn(|| wait(work));
    });
}

/// A ledger whose driver runs on a thread of its own until the ledger is dropped.
pub(crate) fn open(kind: Kind, address: &str, settings: &LedgerSettings) -> Ledger {
    let (ledger, driver) = match kind {
        Kind::Memory => return Ledger::memory(settings),
        Kind::Redis => Ledger::redis(&Secret::new(address), settings),
        Kind::Postgres => Ledger::postgres(&Secret::new(address), settings),
    }
    .expect("the address is sound");
    drive(driver);
    ledger
}

fn drive(driver: Driver) {
    // Whoever runs it may do so on any thread.
    let runs: Pin<Box<dyn Future<Output = ()> + Send>> = Box::pin(driver.run());
    thread::spawn(move || wait(runs));
}

/// Runs to the end on this thread.
pub(crate) fn wait<T>(work: impl Future<Output = T>) -> T {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime starts");
    runtime.block_on(work)
}

pub(crate) fn unique() -> u128 {
    uuid::Uuid::now_v7().as_u128()
}

/// The beginning of this hour.
pub(crate) fn now_us() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("the clock is right");
    now.as_micros() as i64 / HOUR_US * HOUR_US
}

/// A claim on a bucket of its own.
pub(crate) fn claim(rule: Rule, amount: i64) -> Claim {
    claim_on(Bucket(unique()), rule, amount)
}

pub(crate) fn claim_on(bucket: Bucket, rule: Rule, amount: i64) -> Claim {
    Claim { bucket, rule, amount, shadow: false, durable: false, on_failure: OnFailure::Refuse }
}

pub(crate) fn hour(limit: i64, now_us: i64) -> Rule {
    let begins_us = now_us.div_euclid(HOUR_US) * HOUR_US;
    Rule::fixed(limit, begins_us, begins_us + HOUR_US)
}

impl Opened {
    /// Reserves at a moment, for five minutes at most.
    pub(crate) async fn reserve_at(&self, now_us: i64, claims: &[Claim]) -> Reserved {
        let reserved = self.ledger.reserve(self.tenant, now_us, now_us + 5 * MINUTE_US, claims).await;
        reserved.expect("the claims are sound")
    }

    pub(crate) async fn reserve(&self, claims: &[Claim]) -> Reserved {
        self.reserve_at(self.now_us, claims).await
    }

    pub(crate) async fn hold(&self, claims: &[Claim]) -> Hold {
        granted(self.reserve(claims).await)
            .unwrap_or_else(|| unreachable!("{:?}: refused {claims:?}", self.kind))
    }

    /// Reserves what is never settled.
    pub(crate) async fn take(&self, claims: &[Claim]) {
        let _ = self.hold(claims).await;
    }

    pub(crate) async fn settle(&self, hold: &Hold, actual: &[i64]) {
        self.ledger.settle(self.now_us, hold, actual);
        self.ledger.flush().await;
    }

    /// What is left of a bucket's limit at a moment.
    pub(crate) async fn left_at(&self, now_us: i64, claim: &Claim) -> i64 {
        let used = self.ledger.used(self.tenant, now_us, &[(claim.bucket, claim.rule)]).await;
        used.expect("the store answers").first().expect("one is asked for").left
    }

    pub(crate) async fn left(&self, claim: &Claim) -> i64 {
        self.left_at(self.now_us, claim).await
    }
}

pub(crate) fn granted(reserved: Reserved) -> Option<Hold> {
    match reserved {
        Reserved::Granted { hold, .. } => Some(hold),
        Reserved::Refused { .. } | Reserved::Unseeded(_) => None,
    }
}

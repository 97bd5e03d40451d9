//! What the database knows of counters, told to the ledger: one that was lost begins where it stood, and none stays below
//! what the journal has.

use std::{
    collections::{HashMap, HashSet},
    time::Duration,
};

use policy::{
    ledger::{Bucket, Claim, Rule, Tenant},
    record::Posting,
};
use store::{
    DataDir,
    ledger::{Driver, Ledger, Raise},
};
use tokio::sync::{mpsc, oneshot};
use uuid::Uuid;

use crate::{
    database::{DatabaseThread, Unanswered},
    tasks,
    world::now_us,
};

/// The most that wait to be looked up.
const WAITING_MAX: usize = 1_024;
/// How long a call waits for that.
const WAIT: Duration = Duration::from_secs(2);
/// The most settled calls whose counters wait to be compared with the journal; of further ones others will tell.
const POSTED_MAX: usize = 16_384;
/// How often counters are compared with the journal, and how long it takes to have what was settled.
const COMPARE: Duration = Duration::from_secs(5);
/// How often the database forgets what has not counted for long.
const SWEEP: Duration = Duration::from_secs(600);
/// How long the start waits for a shared store.
const READY_TIME_MAX: Duration = Duration::from_secs(2);

/// Asks the admin side to look up what was counted before.
#[derive(Clone)]
pub(crate) struct Seeds {
    sought: mpsc::Sender<Seed>,
    posted: mpsc::Sender<(Tenant, Uuid)>,
    is_shared: bool,
}

/// Buckets that the ledger does not know.
struct Seed {
    tenant: Tenant,
    claims: Vec<Claim>,
    done: oneshot::Sender<()>,
}

/// What has to run for calls to be counted.
pub(crate) struct Counting {
    ledger: Ledger,
    driver: Option<Driver>,
    sought: mpsc::Receiver<Seed>,
    posted: mpsc::Receiver<(Tenant, Uuid)>,
}

/// Opens what calls are counted by.
pub(crate) fn open(data: &DataDir) -> Result<((Ledger, Seeds), Counting), store::Error> {
    let (ledger, driver) = data.ledger()?;
    let (seeks, sought) = mpsc::channel(WAITING_MAX);
    let (posts, posted) = mpsc::channel(POSTED_MAX);
    let seeds = Seeds { sought: seeks, posted: posts, is_shared: driver.is_some() };
    Ok(((ledger.clone(), seeds), Counting { ledger, driver, sought, posted }))
}

impl Seeds {
    /// Waits until the ledger was told; `None` where nobody could, in time.
    pub(crate) async fn ask(&self, tenant: Tenant, claims: Vec<Claim>) -> Option<()> {
        let (done, told) = oneshot::channel();
        self.sought.try_send(Seed { tenant, claims, done }).ok()?;
        tokio::time::timeout(WAIT, told).await.ok()?.ok()
    }

    /// A call that the ledger counted has posted to these counters, of which a shared ledger may lose some.
    pub(crate) fn posted(&self, tenant: Tenant, postings: &[Posting]) {
        if self.is_shared {
            self.posted_alone(tenant, postings);
        }
    }

    /// The journal alone counts what was posted to these counters: the ledger hears of it when the journal has it.
    pub(crate) fn posted_alone(&self, tenant: Tenant, postings: &[Posting]) {
        for posting in postings {
            // Where too many wait, the next call of the same counter tells of it.
            let _ = self.posted.try_send((tenant, posting.bucket));
        }
    }
}

impl Counting {
    /// Runs until nobody can ask any more.
    pub(crate) async fn start(self, database: &DatabaseThread) {
        if let Some(driver) = self.driver {
            tasks::spawn("ledger", driver.run());
            if tokio::time::timeout(READY_TIME_MAX, self.ledger.ready()).await.is_err() {
                tracing::warn!("the store that counts limits does not answer yet");
            }
        }
        tasks::spawn("seeds", answer(self.ledger.clone(), database.clone(), self.sought));
        tasks::spawn("counters", compare(self.ledger, database.clone(), self.posted));
        tasks::spawn("ledger sweep", sweep(database.clone()));
    }
}

/// Tells the ledger of the counters that calls ask for.
async fn answer(ledger: Ledger, database: DatabaseThread, mut sought: mpsc::Receiver<Seed>) {
    while let Some(Seed { tenant, claims, done }) = sought.recv().await {
        let buckets = claims.iter().map(|claim| claim.bucket).collect();
        let now_us = now_us();
        let known = match raises(&database, buckets, now_us).await {
            Ok(known) => known,
            Err(error) => {
                tracing::error!(%error, "what was counted before cannot be looked up");
                continue;
            }
        };
        let unknown = claims.iter().filter(|claim| known.iter().all(|raise| raise.bucket != claim.bucket));
        let mut raises: Vec<Raise> = unknown.filter_map(nothing_known).collect();
        raises.extend(&known);
        if ledger.raise(tenant, now_us, &raises).await.is_ok() {
            // Who does not wait any more needs no answer.
            let _ = done.send(());
        }
    }
}

/// Brings counters that calls have posted to up to what the journal has, a while later: a shared store may have lost some.
async fn compare(ledger: Ledger, database: DatabaseThread, mut posted: mpsc::Receiver<(Tenant, Uuid)>) {
    while let Some(first) = posted.recv().await {
        tokio::time::sleep(COMPARE).await;
        let mut by_tenant: HashMap<Tenant, HashSet<Bucket>> = HashMap::new();
        let more = std::iter::from_fn(|| posted.try_recv().ok()).take(POSTED_MAX);
        for (tenant, bucket) in std::iter::once(first).chain(more) {
            by_tenant.entry(tenant).or_default().insert(Bucket(bucket.as_u128()));
        }
        for (tenant, buckets) in by_tenant {
            let now_us = now_us();
            let told = match raises(&database, buckets.into_iter().collect(), now_us).await {
                Ok(raises) => ledger.raise(tenant, now_us, &raises).await.map_err(|error| error.to_string()),
                Err(error) => Err(error.to_string()),
            };
            if let Err(error) = told {
                tracing::debug!(error, "counters could not be compared with the journal");
            }
        }
    }
}

async fn sweep(database: DatabaseThread) {
    loop {
        tokio::time::sleep(SWEEP).await;
        if let Err(error) = database.ask(|database| database.sweep_ledger(now_us())).await {
            tracing::debug!(%error, "the ledger was not swept");
        }
    }
}

/// What the database has of counters.
async fn raises(
    database: &DatabaseThread,
    buckets: Vec<Bucket>,
    now_us: i64,
) -> Result<Vec<Raise>, Unanswered> {
    let ids: Vec<Uuid> = buckets.iter().map(|bucket| Uuid::from_u128(bucket.0)).collect();
    let found = database.ask(move |database| database.ledger(&ids, now_us)).await?;
    let raise = |posting: &Posting| Raise {
        bucket: Bucket(posting.bucket.as_u128()),
        slot_us: posting.slot_us,
        amount: posting.amount,
        ends_us: posting.until_us,
    };
    Ok(found.iter().map(raise).collect())
}

fn nothing_known(claim: &Claim) -> Option<Raise> {
    let Rule::Window { slot_us, ends_us, .. } = claim.rule else { return None };
    Some(Raise { bucket: claim.bucket, slot_us, amount: 0, ends_us })
}

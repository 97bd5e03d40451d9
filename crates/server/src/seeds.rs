//! What the ledger does not know of, it is told by the database: a counter that was lost begins where it stood.

use std::time::Duration;

use policy::ledger::{Claim, Rule, Tenant};
use store::{
    DataDir,
    ledger::{Driver, Ledger, LedgerSettings, Raise},
};
use tokio::sync::{mpsc, oneshot};

use crate::{tasks, world::now_us};

/// The most that wait to be looked up.
const WAITING_MAX: usize = 1_024;
/// How long a call waits for that.
const WAIT: Duration = Duration::from_secs(2);

/// Asks the admin side to look up what was counted before.
#[derive(Clone)]
pub(crate) struct Seeds(mpsc::Sender<Seed>);

/// Buckets that the ledger does not know.
pub(crate) struct Seed {
    pub(crate) tenant: Tenant,
    pub(crate) claims: Vec<Claim>,
    pub(crate) done: oneshot::Sender<()>,
}

impl Seeds {
    /// Waits until the ledger was told; `None` where nobody could, in time.
    pub(crate) async fn ask(&self, tenant: Tenant, claims: Vec<Claim>) -> Option<()> {
        let (done, told) = oneshot::channel();
        self.0.try_send(Seed { tenant, claims, done }).ok()?;
        tokio::time::timeout(WAIT, told).await.ok()?.ok()
    }
}

/// What has to run for calls to be counted.
pub(crate) struct Counting {
    ledger: Ledger,
    driver: Option<Driver>,
    sought: mpsc::Receiver<Seed>,
}

/// Opens what calls are counted by.
pub(crate) fn open(data: &DataDir) -> Result<((Ledger, Seeds), Counting), store::Error> {
    let (ledger, driver) = data.ledger(&LedgerSettings::default())?;
    let (sender, sought) = mpsc::channel(WAITING_MAX);
    Ok(((ledger.clone(), Seeds(sender)), Counting { ledger, driver, sought }))
}

impl Counting {
    /// Runs until nobody can ask any more.
    pub(crate) fn start(self) {
        if let Some(driver) = self.driver {
            tasks::spawn("ledger", driver.run());
        }
        tasks::spawn("seeds", answer(self.ledger, self.sought));
    }
}

async fn answer(ledger: Ledger, mut sought: mpsc::Receiver<Seed>) {
    while let Some(Seed { tenant, claims, done }) = sought.recv().await {
        let raises: Vec<Raise> = claims.iter().filter_map(nothing_known).collect();
        if ledger.raise(tenant, now_us(), &raises).await.is_ok() {
            // Who does not wait any more needs no answer.
            let _ = done.send(());
        }
    }
}

fn nothing_known(claim: &Claim) -> Option<Raise> {
    let Rule::Window { slot_us, ends_us, .. } = claim.rule else { return None };
    Some(Raise { bucket: claim.bucket, slot_us, amount: 0, ends_us })
}

//! A ledger that all replicas share.

use std::{sync::Arc, time::Duration};

use policy::ledger::{Bucket, Claim, Hold, Keeper, OnFailure, Reserved, Rule, Standing, Tenant};
use tokio::{
    sync::{mpsc, oneshot},
    time::timeout,
};

use super::{
    Driver, LedgerError, LedgerFigures, LedgerSettings, Raise,
    fallback::{alone, part},
    job::{Answer, Ask, Job, Settlement},
    link::Target,
    memory::Memory,
    state::State,
};

/// Hands over to the driver, and falls back on each claim's `on_failure` where no answer comes in time.
pub(super) struct Shared {
    jobs: mpsc::Sender<Job>,
    settlements: mpsc::Sender<Settlement>,
    /// What this replica counts while it is alone.
    alone: Memory,
    state: Arc<State>,
    timeout: Duration,
}

pub(super) fn open(target: Target, settings: &LedgerSettings) -> (Shared, Driver) {
    let (jobs, jobs_taken) = mpsc::channel(JOBS_MAX);
    let (settlements, settlements_taken) = mpsc::channel(settings.settlements_max.max(1));
    let state = Arc::new(State::new());
    let driver = Driver::new(target, settings.replica, jobs_taken, settlements_taken, Arc::clone(&state));
    let alone = Memory::new(settings.buckets_max);
    (Shared { jobs, settlements, alone, state, timeout: settings.timeout }, driver)
}

impl Shared {
    pub(super) async fn reserve(
        &self,
        tenant: Tenant,
        now_us: i64,
        hold_until_us: i64,
        claims: &[Claim],
    ) -> Result<Reserved, LedgerError> {
        let ask = || Ask { tenant, now_us, hold_until_us, claims: claims.to_vec() };
        match self.ask(|answer| Job::Reserve(ask(), answer)).await {
            Some(reserved) => {
                self.remember(now_us, claims, &reserved);
                Ok(reserved)
            }
            None => alone(&self.alone, self.state.replicas(), tenant, (now_us, hold_until_us), claims),
        }
    }

    pub(super) fn settle(&self, now_us: i64, hold: &Hold, actual: &[i64]) {
        self.alone.settle(now_us, &hold.held, Keeper::Replica, actual);
        let settlement = Settlement::of(now_us, hold, actual);
        if settlement.postings.is_empty() {
            return;
        }
        self.state.enqueued();
        if self.settlements.try_send(settlement).is_err() {
            self.state.dropped(1);
        }
    }

    pub(super) async fn raise(
        &self,
        tenant: Tenant,
        now_us: i64,
        raises: &[Raise],
    ) -> Result<(), LedgerError> {
        let raises = raises.to_vec();
        let told = {
            let raises = raises.clone();
            self.ask(|answer| Job::Raise { tenant, now_us, raises, answer }).await
        };
        if told.is_some() {
            return Ok(());
        }
        // Alone, this replica takes its share of what was used as it does of the limit.
        let replicas = self.state.replicas();
        let share = |raise: Raise| Raise { amount: part(raise.amount, replicas), ..raise };
        let shares: Vec<Raise> = raises.into_iter().map(share).collect();
        self.alone.raise(now_us, &shares)
    }

    pub(super) async fn used(
        &self,
        tenant: Tenant,
        now_us: i64,
        buckets: &[(Bucket, Rule)],
    ) -> Result<Vec<Standing>, LedgerError> {
        let buckets = buckets.to_vec();
        let told = self.ask(|answer| Job::Used { tenant, now_us, buckets, answer }).await;
        told.ok_or(LedgerError::Away)
    }

    pub(super) async fn ready(&self) {
        self.wait(|state| !state.is_away()).await;
    }

    pub(super) async fn flush(&self) {
        self.wait(|state| state.unsent() == 0).await;
    }

    pub(super) fn figures(&self) -> LedgerFigures {
        LedgerFigures {
            buckets: self.alone.len(),
            overflows: self.alone.overflows(),
            is_away: self.state.is_away(),
            outages: self.state.outages(),
            replicas: self.state.replicas(),
            unsent: self.state.unsent(),
            dropped: self.state.lost(),
        }
    }

    /// The store's answer, where it comes in time. A store that is away is not asked.
    async fn ask<T>(&self, job: impl FnOnce(Answer<T>) -> Job) -> Option<T> {
        if self.state.is_away() {
            return None;
        }
        let (answer, answered) = oneshot::channel();
        if self.jobs.try_send(job(answer)).is_err() {
            self.state.failed("more is asked of it than it answers");
            return None;
        }
        match timeout(self.timeout, answered).await {
            Ok(Ok(Ok(told))) => {
                self.state.answered();
                Some(told)
            }
            Ok(Ok(Err(failure))) => {
                self.state.failed(failure.why());
                None
            }
            // The driver has given the connection up, and has said so.
            Ok(Err(_)) => None,
            Err(_) => {
                self.state.failed("it does not answer in time");
                None
            }
        }
    }

    /// Keeps what was last seen of buckets that are to be shared out should the store go away: what is used then is not
    /// forgotten. What is held counts as used.
    fn remember(&self, now_us: i64, claims: &[Claim], reserved: &Reserved) {
        let standings = match reserved {
            Reserved::Granted { standings, .. } | Reserved::Refused { standings, .. } => standings,
            Reserved::Unseeded(_) => return,
        };
        for (claim, standing) in claims.iter().zip(standings) {
            if let (OnFailure::Share, Rule::Window { slot_us, ends_us, .. }, Some(standing)) =
                (claim.on_failure, claim.rule, standing)
            {
                let used = standing.limit.saturating_sub(standing.left);
                let amount = part(used, self.state.replicas());
                self.alone.replace(now_us, &Raise { bucket: claim.bucket, slot_us, amount, ends_us });
            }
        }
    }

    async fn wait(&self, until: impl Fn(&State) -> bool) {
        loop {
            let changed = self.state.changed.notified();
            tokio::pin!(changed);
            // From here on nothing that changes is missed.
            changed.as_mut().enable();
            if until(&self.state) {
                return;
            }
            changed.await;
        }
    }
}

/// What callers ask for and the driver has not taken yet.
const JOBS_MAX: usize = 4096;

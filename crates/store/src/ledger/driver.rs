//! What runs behind a shared ledger: connects, asks, sends settlements in their order, and finds the store again.

use std::{
    collections::{HashMap, VecDeque},
    future::Future,
    pin::Pin,
    sync::Arc,
    time::Duration,
};

use futures_util::{StreamExt, stream::FuturesUnordered};
use policy::ledger::Reserved;
use tokio::{
    sync::mpsc,
    time::{Instant, MissedTickBehavior, interval, sleep, timeout},
};
use uuid::Uuid;

use super::{
    job::{Answer, Ask, Batch, Failure, Job, Settlement},
    link::{Background, Link, Target},
    state::State,
};

/// Runs until all handles on its ledger are gone and what they settled is sent. Whoever opens the ledger decides where.
#[must_use]
pub struct Driver {
    target: Target,
    replica: u128,
    jobs: mpsc::Receiver<Job>,
    settlements: mpsc::Receiver<Settlement>,
    state: Arc<State>,
    /// Batches that the store has not answered.
    outbox: VecDeque<Arc<Batch>>,
}

type Running = FuturesUnordered<Pin<Box<dyn Future<Output = Done> + Send>>>;

/// What has come of something that was under way.
enum Done {
    /// Reservations were answered; what nobody waited for any more is to be given back.
    Reserved {
        orphans: Vec<Settlement>,
        failure: Option<Failure>,
    },
    Other {
        failure: Option<Failure>,
    },
    Settled {
        batch: Arc<Batch>,
        failure: Option<Failure>,
    },
    Alive(Result<u32, Failure>),
}

enum Ended {
    /// Nobody uses the ledger any more.
    Closed,
    Lost(String),
}

/// What is under way on one connection.
#[derive(Default)]
struct Load {
    reserving: usize,
    settling: usize,
    /// The store could not take settlements: they wait for the next tick.
    is_resting: bool,
    beating: bool,
}

impl Driver {
    pub(super) fn new(
        target: Target,
        replica: u128,
        jobs: mpsc::Receiver<Job>,
        settlements: mpsc::Receiver<Settlement>,
        state: Arc<State>,
    ) -> Driver {
        Driver { target, replica, jobs, settlements, state, outbox: VecDeque::new() }
    }

    pub async fn run(mut self) {
        let mut rest = REST_MIN;
        loop {
            let began = Instant::now();
            let why = match timeout(OPERATION, self.target.connect()).await {
                Ok(Ok((link, background))) => match self.serve(link, background).await {
                    Ended::Closed => return,
                    Ended::Lost(why) => why,
                },
                Ok(Err(failure)) => failure.why().to_owned(),
                Err(_) => "no connection in time".to_owned(),
            };
            self.state.leave(&why);
            tracing::debug!(why, "the connection to the shared ledger");
            rest = if began.elapsed() > SETTLED { REST_MIN } else { (rest * 2).min(REST_MAX) };
            if self.refuse(rest).await.is_none() {
                return;
            }
        }
    }

    /// Answers what was asked before callers knew that the store is away. `None` where nobody will ask again.
    async fn refuse(&mut self, rest: Duration) -> Option<()> {
        let rested = sleep(rest);
        tokio::pin!(rested);
        loop {
            tokio::select! {
                () = &mut rested => return Some(()),
                job = self.jobs.recv() => refuse(job?),
            }
        }
    }

    async fn serve(&mut self, link: Link, mut background: Background) -> Ended {
        let (most, at_a_time) = self.target.reservations_max();
        let mut running: Running = FuturesUnordered::new();
        let mut load = Load::default();
        let mut asks = Vec::new();
        let mut tick = interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut ticks = 0_u32;
        let mut open = true;
        loop {
            self.send(&link, &mut running, &mut load);
            if !open && self.outbox.is_empty() && self.settlements.is_empty() {
                return Ended::Closed;
            }
            tokio::select! {
                () = &mut background => return Ended::Lost("the connection has ended".to_owned()),
                Some(done) = running.next(), if !running.is_empty() => {
                    if let Some(why) = self.take(done, &mut load) {
                        return Ended::Lost(why);
                    }
                }
                count = self.jobs.recv_many(&mut asks, most), if open && load.reserving < at_a_time => {
                    open = count > 0;
                    begin(&link, asks.drain(..), &running, &mut load);
                }
                Some(settlement) = self.settlements.recv(), if self.outbox.is_empty() => self.pack(settlement),
                _ = tick.tick() => {
                    load.is_resting = false;
                    if (ticks.is_multiple_of(BEAT_TICKS) || self.state.is_away()) && !load.beating {
                        load.beating = true;
                        running.push(Box::pin(beat(link.clone(), self.replica)));
                    }
                    if ticks % SWEEP_TICKS == SWEEP_TICKS - 1 {
                        running.push(Box::pin(sweep(link.clone())));
                    }
                    ticks = ticks.wrapping_add(1);
                }
            }
        }
    }

    /// Sends what is in the outbox, unless some of it is under way: settlements keep their order.
    fn send(&mut self, link: &Link, running: &mut Running, load: &mut Load) {
        if load.settling > 0 || load.is_resting {
            return;
        }
        // Batches of one round are of different tenants, or of one in the order of the outbox; each is all or nothing.
        for batch in self.outbox.iter().take(BATCHES_MAX) {
            load.settling += 1;
            running.push(Box::pin(settle(link.clone(), Arc::clone(batch))));
        }
    }

    /// Why the connection is given up, where it is.
    fn take(&mut self, done: Done, load: &mut Load) -> Option<String> {
        let failure = match done {
            Done::Reserved { orphans, failure } => {
                load.reserving = load.reserving.saturating_sub(1);
                for orphan in orphans {
                    self.state.enqueued();
                    self.outbox.push_back(Arc::new(batch(orphan.tenant, vec![orphan])));
                }
                failure
            }
            Done::Other { failure } => failure,
            Done::Settled { batch, failure } => {
                load.settling = load.settling.saturating_sub(1);
                match &failure {
                    None => {
                        self.outbox.retain(|waiting| waiting.id != batch.id);
                        self.state.done(batch.calls);
                    }
                    Some(Failure::Failed(why)) => {
                        tracing::warn!(why, calls = batch.calls, "settlements are dropped");
                        self.outbox.retain(|waiting| waiting.id != batch.id);
                        self.state.dropped(batch.calls);
                    }
                    Some(Failure::Busy(_)) => load.is_resting = true,
                    Some(Failure::Lost(_)) => {}
                }
                failure
            }
            Done::Alive(alive) => {
                load.beating = false;
                match alive {
                    Ok(replicas) => {
                        self.state.replicas_are(replicas);
                        self.state.come_back();
                        None
                    }
                    Err(failure) => Some(failure),
                }
            }
        };
        match failure? {
            Failure::Lost(why) => Some(why),
            Failure::Busy(_) | Failure::Failed(_) => None,
        }
    }

    /// Puts what waits into batches, each of one tenant.
    fn pack(&mut self, first: Settlement) {
        let mut waiting = vec![first];
        while waiting.len() < BATCH_CALLS * BATCHES_MAX
            && let Ok(next) = self.settlements.try_recv()
        {
            waiting.push(next);
        }
        let mut tenants: HashMap<_, Vec<Settlement>> = HashMap::new();
        for settlement in waiting {
            tenants.entry(settlement.tenant).or_default().push(settlement);
        }
        for (tenant, settlements) in tenants {
            let mut settlements = settlements.into_iter().peekable();
            while settlements.peek().is_some() {
                let some = settlements.by_ref().take(BATCH_CALLS).collect();
                self.outbox.push_back(Arc::new(batch(tenant, some)));
            }
        }
    }
}

fn begin(link: &Link, jobs: impl Iterator<Item = Job>, running: &Running, load: &mut Load) {
    let mut reservations = Vec::new();
    for job in jobs {
        match job {
            Job::Reserve(ask, answer) => reservations.push((ask, answer)),
            Job::Raise { .. } | Job::Used { .. } => running.push(Box::pin(other(link.clone(), job))),
        }
    }
    if !reservations.is_empty() {
        load.reserving += 1;
        running.push(Box::pin(reserve(link.clone(), reservations)));
    }
}

async fn reserve(link: Link, reservations: Vec<(Ask, Answer<Reserved>)>) -> Done {
    let (asks, answers): (Vec<Ask>, Vec<Answer<Reserved>>) = reservations.into_iter().unzip();
    let Ok(reserved) = timeout(OPERATION, link.reserve(&asks)).await else {
        return Done::Reserved { orphans: Vec::new(), failure: Some(late()) };
    };
    let mut orphans = Vec::new();
    let mut failure = None;
    for ((ask, answer), reserved) in asks.iter().zip(answers).zip(reserved) {
        if let Err(failed) = &reserved {
            failure = Some(failed.clone());
        }
        if let Err(Ok(Reserved::Granted { hold, .. })) = answer.send(reserved) {
            orphans.push(Settlement::release(ask.now_us, &hold));
        }
    }
    Done::Reserved { orphans, failure }
}

async fn other(link: Link, job: Job) -> Done {
    let failure = match job {
        Job::Raise { tenant, now_us, raises, answer } => {
            told(link.raise(tenant, now_us, &raises), answer).await
        }
        Job::Used { tenant, now_us, buckets, answer } => {
            told(link.used(tenant, now_us, &buckets), answer).await
        }
        Job::Reserve(..) => None,
    };
    Done::Other { failure }
}

async fn told<T>(work: impl Future<Output = Result<T, Failure>>, answer: Answer<T>) -> Option<Failure> {
    let result = timeout(OPERATION, work).await.unwrap_or_else(|_| Err(late()));
    let failure = result.as_ref().err().cloned();
    // Whoever asked may have gone.
    let _ = answer.send(result);
    failure
}

async fn settle(link: Link, batch: Arc<Batch>) -> Done {
    let settled = timeout(OPERATION, link.settle(&batch)).await.unwrap_or_else(|_| Err(late()));
    Done::Settled { batch, failure: settled.err() }
}

async fn beat(link: Link, replica: u128) -> Done {
    Done::Alive(timeout(OPERATION, link.beat(replica)).await.unwrap_or_else(|_| Err(late())))
}

async fn sweep(link: Link) -> Done {
    let swept = timeout(OPERATION, link.sweep()).await.unwrap_or(Ok(()));
    Done::Other { failure: swept.err() }
}

fn refuse(job: Job) {
    let away = || Failure::Lost("it is away".to_owned());
    // Whoever asked may have gone.
    let _ = match job {
        Job::Reserve(_, answer) => answer.send(Err(away())).is_ok(),
        Job::Raise { answer, .. } => answer.send(Err(away())).is_ok(),
        Job::Used { answer, .. } => answer.send(Err(away())).is_ok(),
    };
}

fn batch(tenant: policy::ledger::Tenant, settlements: Vec<Settlement>) -> Batch {
    let calls = settlements.len() as u64;
    let postings = settlements.into_iter().flat_map(|settlement| settlement.postings).collect();
    Batch { id: Uuid::now_v7().as_u128(), tenant, postings, calls }
}

fn late() -> Failure {
    Failure::Lost("it does not answer in time".to_owned())
}

/// What a store may take for anything, long after callers have given it up.
pub(super) const OPERATION: Duration = Duration::from_secs(2);
/// How long to wait before connecting again.
const REST_MIN: Duration = Duration::from_millis(50);
const REST_MAX: Duration = Duration::from_secs(2);
/// A connection that lasted so long was a good one.
const SETTLED: Duration = Duration::from_secs(5);
const TICK: Duration = Duration::from_millis(250);
/// Ticks between two signs of life.
const BEAT_TICKS: u32 = 12;
const SWEEP_TICKS: u32 = 240;
/// Calls that are settled at once: few enough that a store which does one thing at a time is soon free for a reservation.
const BATCH_CALLS: usize = 32;
/// Batches that are under way at a time.
const BATCHES_MAX: usize = 16;

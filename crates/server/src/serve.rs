//! Starts everything and stops it again.

use std::{
    net::SocketAddr,
    path::PathBuf,
    rc::Rc,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed},
    },
    thread::JoinHandle,
    time::Duration,
};

use policy::{Snapshot, snapshot::Encryption};
use store::{
    DataDir, Database, Lock, Sealer, Watch,
    spool::{Shipper, Writer},
};
use tokio::{
    net::TcpListener,
    sync::{mpsc, watch},
};

use crate::{
    admin::{self, Admin, AdminRequest},
    callers::Registry,
    carry_over, control,
    core::{Core, Shared},
    credentials::Fetcher,
    database::DatabaseThread,
    health_check, journal,
    kept::Kept,
    listen::{self, CoreLoop, Lane},
    metrics::CoreMetrics,
    reload::{Cause, Reloader, follow},
    retention,
    rollouts::{self, Rollouts, SAMPLES_MAX},
    secrets::{SecretStores, sealer},
    seeds, tasks,
    tls::{Listening, Unread},
    upstream::{Connector, Pool, TlsTrust},
    world::{World, now_us},
};

/// How long the end waits for a shared store to hear of what was settled.
const SETTLE_TIME_MAX: Duration = Duration::from_secs(5);
/// The most requests that wait for the admin side.
const ADMIN_QUEUE: usize = 64;

/// Where the configuration comes from, when it is loaded again.
#[derive(Clone, Debug)]
pub enum Source {
    /// There is none.
    None,
    File(PathBuf),
}

/// What a server is started with.
pub struct Options {
    pub snapshot: Snapshot,
    pub source: Source,
    pub data: DataDir,
    /// Those that the snapshot was loaded with.
    pub secrets: SecretStores,
}

/// Why a server cannot start.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("cannot listen on {address}: {error}; choose another address with --listen or server.listen")]
    Listen { address: SocketAddr, error: std::io::Error },
    #[error(transparent)]
    Certificate(#[from] Unread),
    #[error(transparent)]
    Store(#[from] store::Error),
    #[error("cannot start")]
    Start(#[from] std::io::Error),
}

/// What is known once it serves.
#[derive(Clone, Copy, Debug)]
pub struct Ready {
    pub address: SocketAddr,
    pub threads: usize,
}

/// A server that runs.
pub struct Server {
    ready: Ready,
    shared: Arc<Shared>,
    stop: watch::Sender<bool>,
    reload: mpsc::Sender<Cause>,
    cores: Vec<JoinHandle<()>>,
    shipper: JoinHandle<()>,
    ship_stop: Arc<AtomicBool>,
    rollouts: rollouts::Running,
    _watch: Watch,
    _lock: Lock,
}

impl Server {
    /// Starts to serve. Call it on the runtime of the admin side.
    pub async fn start(options: Options) -> Result<Server, Error> {
        let lock = options.data.lock()?;
        let opened = Opened::of(&options).await?;
        let settings = options.snapshot.server.clone();
        let certificates = Listening::load(&options.snapshot)?;
        let trust = TlsTrust::new();
        let fetcher = Fetcher::new(&trust);
        let world = World::new(Arc::new(options.snapshot), Arc::new(opened.kept), None, &fetcher);
        let (counted, counting) = seeds::open(&options.data)?;
        let (samples, settled) = mpsc::channel(SAMPLES_MAX);
        let shared = Arc::new(Shared::new(world, opened.registry, options.data.hasher(), samples, counted));
        let ours = Arc::clone(&shared);
        let rollouts = aside(move || Rollouts::new(ours, opened.rollouts_database, settled)).await?;
        let database = DatabaseThread::start(opened.databases)?;
        counting.start(&database).await;
        let (reload, causes) = mpsc::channel(8);
        let watch = watch(&options.data, &shared, &database, &reload).await?;
        // Nobody may connect before all is there that serving needs.
        let listener = bind(settings.listen).await?;
        let address = listener.local_addr()?;
        let (stop, stopped) = watch::channel(false);
        let (admin, admin_requests) = mpsc::channel(ADMIN_QUEUE);
        let threads = settings.threads.unwrap_or_else(processors);
        let start = CoreStart {
            shared: Arc::clone(&shared),
            trust,
            admin,
            tls: certificates.clone(),
            stop: stopped.clone(),
        };
        let (lanes, cores) = start.cores(threads, &options.data)?;
        let admin = Admin::new(admin::Settings {
            shared: Arc::clone(&shared),
            database: database.clone(),
            rollouts: rollouts.clone(),
            metrics: lanes.iter().map(|lane| Arc::clone(&lane.metrics)).collect(),
            secrets: options.secrets.clone(),
            sealer: opened.sealer.clone(),
            fetcher: fetcher.clone(),
        });
        background(&shared, &database, &fetcher);
        let reloader = Reloader {
            shared: Arc::clone(&shared),
            source: options.source,
            database: database.clone(),
            certificates,
            fetcher,
            rollouts: rollouts.clone(),
            secrets: options.secrets,
            sealer: opened.sealer,
        };
        tasks::spawn("admin", Arc::new(admin).run(admin_requests));
        tasks::spawn("reload", reloader.run(causes, reload.clone()));
        obey(&options.data, &shared, database)?;
        tasks::spawn("accept", listen::accept(listener, lanes, settings.limits.connections_max, stopped));
        let ship_stop = Arc::new(AtomicBool::new(false));
        let shipper = journal::ship(opened.shipper, Arc::clone(&shared.journal), Arc::clone(&ship_stop))?;
        Ok(Server {
            ready: Ready { address, threads },
            shared,
            stop,
            reload,
            cores,
            shipper,
            ship_stop,
            rollouts: rollouts.run()?,
            _watch: watch,
            _lock: lock,
        })
    }

    pub fn ready(&self) -> Ready {
        self.ready
    }

    /// Loads configuration, certificates and keys again.
    pub fn reload(&self) {
        // A full queue holds a cause already.
        let _ = self.reload.try_send(Cause::Signal);
    }

    /// Stops: no new connections, calls in flight finish within their time, the journal is completed.
    pub async fn stop(self) {
        let ledger = self.shared.ledger.clone();
        self.shared.draining.store(true, Relaxed);
        // Receivers are gone only when their threads are.
        let _ = self.stop.send(true);
        let joined = tokio::task::spawn_blocking(move || {
            for core in self.cores {
                if core.join().is_err() {
                    tracing::error!("a core ended in a panic");
                }
            }
            self.rollouts.finish();
            self.ship_stop.store(true, Relaxed);
            if self.shipper.join().is_err() {
                tracing::error!("the journal's thread ended in a panic");
            }
        });
        if let Err(error) = joined.await {
            tracing::error!(%error, "the end could not be waited for");
        }
        // What the last calls used reaches those who go on; where it does not, the journal has it.
        if tokio::time::timeout(SETTLE_TIME_MAX, ledger.flush()).await.is_err() {
            tracing::warn!("the shared store did not hear of all that was settled");
        }
    }
}

/// One core's thread for each of the machine's.
fn processors() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

async fn bind(address: SocketAddr) -> Result<TcpListener, Error> {
    TcpListener::bind(address).await.map_err(|error| Error::Listen { address, error })
}

/// What was opened before anything is served. Each user of the database has a connection of its own.
struct Opened {
    shipper: Shipper,
    /// For what is quick, and for what takes long.
    databases: [Database; 2],
    rollouts_database: Database,
    registry: Registry,
    kept: Kept,
    sealer: Option<Arc<Sealer>>,
}

impl Opened {
    async fn of(options: &Options) -> Result<Opened, Error> {
        let (data, encryption) = (options.data.clone(), options.snapshot.store.encryption.clone());
        aside(move || Opened::open(&data, encryption.as_ref())).await
    }

    fn open(data: &DataDir, encryption: Option<&Encryption>) -> Result<Opened, store::Error> {
        let (shipper, recovered) = Shipper::recover(&data.spool(), data.database()?)?;
        if recovered.records + recovered.unknown + recovered.torn > 0 {
            tracing::warn!(?recovered, "an earlier process ended without finishing its journal");
        }
        let mut database = data.database()?;
        let registry = Registry::read(&mut database)?;
        let sealer = encryption.map(sealer).transpose()?.map(Arc::new);
        if let Some(sealer) = &sealer {
            database.open_data_keys(sealer)?;
        }
        let kept = Kept::read(&mut database, sealer.as_ref(), None)?;
        let (databases, rollouts_database) = ([database, data.database()?], data.database()?);
        Ok(Opened { shipper, databases, rollouts_database, registry, kept, sealer })
    }
}

/// Starts what goes on beside calls.
fn background(shared: &Arc<Shared>, database: &DatabaseThread, fetcher: &Fetcher) {
    tasks::spawn("retention", retention::run(Arc::clone(shared), database.clone()));
    tasks::spawn("carry over", carry_over::run(Arc::clone(shared), database.clone()));
    tasks::spawn("health checks", health_check::run(Arc::clone(shared), fetcher.clone()));
}

/// Answers commands beside the gateway.
fn obey(data: &DataDir, shared: &Arc<Shared>, database: DatabaseThread) -> std::io::Result<()> {
    let socket = control::bind(&data.control_socket())?;
    tasks::spawn("control", control::listen(socket, Arc::clone(shared), database));
    Ok(())
}

/// Takes up what other replicas change.
async fn watch(
    data: &DataDir,
    shared: &Arc<Shared>,
    database: &DatabaseThread,
    reload: &mpsc::Sender<Cause>,
) -> Result<Watch, Error> {
    let (data, shared, database, reload) =
        (data.clone(), Arc::clone(shared), database.clone(), reload.clone());
    aside(move || follow(&data, shared, database, reload)).await
}

/// Asks the database where nothing waits for this thread.
async fn aside<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, store::Error> + Send + 'static,
) -> Result<T, Error> {
    let ended = || Error::Start(std::io::Error::other("the database's thread ended in a panic"));
    Ok(tasks::aside(work).await.ok_or_else(ended)??)
}

/// What every core's thread is given.
#[derive(Clone)]
struct CoreStart {
    shared: Arc<Shared>,
    trust: TlsTrust,
    admin: mpsc::Sender<AdminRequest>,
    tls: Option<Arc<Listening>>,
    stop: watch::Receiver<bool>,
}

impl CoreStart {
    /// Starts the threads, each with a spool of its own.
    fn cores(self, threads: usize, data: &DataDir) -> Result<(Vec<Lane>, Vec<JoinHandle<()>>), Error> {
        let mut lanes = Vec::with_capacity(threads);
        let mut cores = Vec::with_capacity(threads);
        let run = now_us().unsigned_abs();
        for number in 0..threads {
            let (sender, connections) = mpsc::unbounded_channel();
            let lane = Lane { connections: sender, open: Arc::default(), metrics: Arc::default() };
            let spool = Writer::open(&data.spool(), run, number)?;
            let (start, open, metrics) = (self.clone(), Arc::clone(&lane.open), Arc::clone(&lane.metrics));
            let run = move || start.run(connections, open, metrics, spool);
            cores.push(std::thread::Builder::new().name(format!("core-{number}")).spawn(run)?);
            lanes.push(lane);
        }
        Ok((lanes, cores))
    }

    fn run(
        self,
        connections: mpsc::UnboundedReceiver<std::net::TcpStream>,
        open: Arc<AtomicUsize>,
        metrics: Arc<CoreMetrics>,
        spool: Writer,
    ) {
        let pool = Pool::new(Connector::new(&self.trust));
        let core = Rc::new(Core::new(&self.shared, pool, metrics, spool, self.admin));
        let carried = CoreLoop { core, connections, open, tls: self.tls, stop: self.stop };
        if let Err(error) = carried.run() {
            tracing::error!(%error, "a core could not start");
        }
    }
}

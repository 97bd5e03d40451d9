//! What one core owns. Nothing here is shared with another core, so nothing here is locked.

use std::{
    cell::{Cell, RefCell, RefMut},
    hash::{BuildHasher, RandomState},
    rc::Rc,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed},
    },
    time::Instant,
};

use arc_swap::{ArcSwap, Cache};
use policy::{
    moment::Moment,
    rollout::{Sample, Stages},
    vitals::{News, Vitals},
};
use store::{ledger::Ledger, spool};
use tokio::sync::{Notify, mpsc};

use crate::{
    access::Seen,
    admin::AdminRequest,
    board::Board,
    call::Open,
    callers::{Callers, Registry},
    health_check::Checked,
    journal,
    limits::Learning,
    metrics::{CoreMetrics, Counter},
    seeds::Seeds,
    upstream::Pool,
    world::World,
};

/// What all cores are given.
pub(crate) struct Shared {
    pub(crate) world: ArcSwap<World>,
    pub(crate) callers: ArcSwap<Callers>,
    /// What they were made of. Whoever puts others in place holds it meanwhile, so that nobody puts older ones behind newer.
    pub(crate) registry: Mutex<Registry>,
    pub(crate) hasher: store::KeyHasher,
    pub(crate) draining: AtomicBool,
    /// Calls in flight over all cores, for `server.limits.calls`.
    pub(crate) calls_open: AtomicUsize,
    pub(crate) board: Board,
    pub(crate) checked: Checked,
    /// How far each rollout is.
    pub(crate) stages: ArcSwap<Stages>,
    /// How calls of rollouts ended, for the admin side.
    pub(crate) samples: mpsc::Sender<Sample>,
    pub(crate) journal: Arc<journal::Progress>,
    /// Cores that there are, to number them.
    pub(crate) cores: AtomicUsize,
    /// What calls claim of their limits.
    pub(crate) ledger: Ledger,
    /// Who looks up what was counted before.
    pub(crate) seeds: Seeds,
    /// Since when moments are counted.
    pub(crate) epoch: Instant,
}

impl Shared {
    pub(crate) fn new(
        world: World,
        registry: Registry,
        hasher: store::KeyHasher,
        samples: mpsc::Sender<Sample>,
        (ledger, seeds): (Ledger, Seeds),
    ) -> Shared {
        let callers = Callers::new(hasher.clone(), &registry, &world.snapshot);
        Shared {
            world: ArcSwap::from_pointee(world),
            callers: ArcSwap::from_pointee(callers),
            registry: Mutex::new(registry),
            hasher,
            draining: AtomicBool::new(false),
            calls_open: AtomicUsize::new(0),
            board: Board::default(),
            checked: Checked::default(),
            stages: ArcSwap::default(),
            samples,
            journal: Arc::default(),
            cores: AtomicUsize::new(0),
            ledger,
            seeds,
            epoch: Instant::now(),
        }
    }
}

/// One core's own.
pub(crate) struct Core {
    pub(crate) shared: Arc<Shared>,
    pub(crate) pool: Pool,
    pub(crate) metrics: Arc<CoreMetrics>,
    pub(crate) spool: Rc<RefCell<spool::Writer>>,
    pub(crate) admin: mpsc::Sender<AdminRequest>,
    /// Calls whose caller went away, to be settled by a task of their own.
    pub(crate) abandoned: RefCell<Vec<Open>>,
    pub(crate) abandoned_wake: Notify,
    pub(crate) connections: Cell<usize>,
    /// What this core has found of tokens.
    pub(crate) seen: Seen,
    number: usize,
    vitals: RefCell<Vitals>,
    /// What calls turn out to use.
    pub(crate) learning: RefCell<Learning>,
    /// How far the board was read.
    heard: Cell<u64>,
    world: RefCell<Pinned<World>>,
    callers: RefCell<Pinned<Callers>>,
    stages: RefCell<Pinned<Stages>>,
}

/// A shared value as one core holds it: clones touch a counter of this core only.
pub(crate) type Held<T> = Rc<Arc<T>>;

/// A core's own handle on a shared value: taking it for a request touches no counter that another core
/// touches.
struct Pinned<T> {
    cache: Cache<ArcSwapRef<T>, Arc<T>>,
    held: Held<T>,
}

/// Lets a cache look through the shared state at one of its members.
struct ArcSwapRef<T> {
    shared: Arc<Shared>,
    member: fn(&Shared) -> &ArcSwap<T>,
}

impl<T> std::ops::Deref for ArcSwapRef<T> {
    type Target = ArcSwap<T>;

    fn deref(&self) -> &ArcSwap<T> {
        (self.member)(&self.shared)
    }
}

impl<T> Pinned<T> {
    fn new(shared: &Arc<Shared>, member: fn(&Shared) -> &ArcSwap<T>) -> Pinned<T> {
        let mut cache = Cache::new(ArcSwapRef { shared: Arc::clone(shared), member });
        let held = Rc::new(Arc::clone(cache.load()));
        Pinned { cache, held }
    }

    fn take(&mut self) -> Held<T> {
        let current = self.cache.load();
        if !Arc::ptr_eq(current, &self.held) {
            self.held = Rc::new(Arc::clone(current));
        }
        Rc::clone(&self.held)
    }
}

impl Core {
    pub(crate) fn new(
        shared: &Arc<Shared>,
        pool: Pool,
        metrics: Arc<CoreMetrics>,
        spool: spool::Writer,
        admin: mpsc::Sender<AdminRequest>,
    ) -> Core {
        let number = shared.cores.fetch_add(1, Relaxed);
        // Each hasher of the standard library begins with chance of its own.
        let seed = RandomState::new().hash_one(number);
        Core {
            number,
            vitals: RefCell::new(Vitals::new(seed)),
            learning: RefCell::new(Learning::new()),
            heard: Cell::new(0),
            shared: Arc::clone(shared),
            pool,
            metrics,
            spool: Rc::new(RefCell::new(spool)),
            admin,
            abandoned: RefCell::default(),
            abandoned_wake: Notify::new(),
            connections: Cell::new(0),
            seen: Seen::default(),
            world: RefCell::new(Pinned::new(shared, |shared| &shared.world)),
            callers: RefCell::new(Pinned::new(shared, |shared| &shared.callers)),
            stages: RefCell::new(Pinned::new(shared, |shared| &shared.stages)),
        }
    }

    /// The configuration in force, for the whole life of one request.
    pub(crate) fn world(&self) -> Held<World> {
        self.world.borrow_mut().take()
    }

    /// Whoever may call.
    pub(crate) fn callers(&self) -> Held<Callers> {
        self.callers.borrow_mut().take()
    }

    /// What this core has learned, and others have told it.
    pub(crate) fn vitals(&self) -> RefMut<'_, Vitals> {
        let mut vitals = self.vitals.borrow_mut();
        let mut heard = self.heard.get();
        let news = self.shared.board.since(self.number, &mut heard);
        self.heard.set(heard);
        if !news.is_empty() {
            let now = self.now();
            news.into_iter().for_each(|news| vitals.hear(news, now));
        }
        let stages = self.stages.borrow_mut().take();
        if !Arc::ptr_eq(vitals.stages(), &stages) {
            vitals.set_stages(Arc::clone(&stages));
        }
        vitals
    }

    /// What this core has learned. Others are listened to once in each call, where it is planned.
    pub(crate) fn own_vitals(&self) -> RefMut<'_, Vitals> {
        self.vitals.borrow_mut()
    }

    /// Tells other cores what they ought to know.
    pub(crate) fn tell(&self, vitals: &mut Vitals) {
        if vitals.has_news() {
            let news = vitals.take_news();
            let opened = news.iter().filter(|news| matches!(news, News::Opened(..))).count();
            self.metrics.add(Counter::TargetsRested, opened as u64);
            self.shared.board.post(self.number, news);
        }
    }

    pub(crate) fn now(&self) -> Moment {
        self.moment(Instant::now())
    }

    pub(crate) fn moment(&self, at: Instant) -> Moment {
        let since = at.saturating_duration_since(self.shared.epoch);
        // No moment is the very first one, which stands for never.
        Moment(u64::try_from(since.as_micros()).unwrap_or(u64::MAX).saturating_add(1))
    }

    pub(crate) fn count(&self, counter: Counter) {
        self.metrics.add(counter, 1);
    }
}

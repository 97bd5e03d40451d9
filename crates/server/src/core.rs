//! What one core owns. Nothing here is shared with another core, so nothing here is locked.

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
    sync::{Arc, atomic::AtomicUsize},
};

use arc_swap::{ArcSwap, Cache};
use store::spool;
use tokio::sync::{Notify, mpsc};

use crate::{
    admin::AdminRequest,
    call::Open,
    metrics::{CoreMetrics, Counter},
    upstream::Pool,
    world::{Keys, World},
};

/// What all cores are given.
pub(crate) struct Shared {
    pub(crate) world: ArcSwap<World>,
    pub(crate) keys: ArcSwap<Keys>,
    pub(crate) hasher: store::KeyHasher,
    pub(crate) draining: std::sync::atomic::AtomicBool,
    /// Calls in flight over all cores, for `server.limits.calls`.
    pub(crate) calls_open: AtomicUsize,
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
    world: RefCell<Pinned<World>>,
    keys: RefCell<Pinned<Keys>>,
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
        Core {
            shared: Arc::clone(shared),
            pool,
            metrics,
            spool: Rc::new(RefCell::new(spool)),
            admin,
            abandoned: RefCell::default(),
            abandoned_wake: Notify::new(),
            connections: Cell::new(0),
            world: RefCell::new(Pinned::new(shared, |shared| &shared.world)),
            keys: RefCell::new(Pinned::new(shared, |shared| &shared.keys)),
        }
    }

    /// The configuration in force, for the whole life of one request.
    pub(crate) fn world(&self) -> Held<World> {
        self.world.borrow_mut().take()
    }

    pub(crate) fn keys(&self) -> Held<Keys> {
        self.keys.borrow_mut().take()
    }

    pub(crate) fn count(&self, counter: Counter) {
        self.metrics.add(counter, 1);
    }
}

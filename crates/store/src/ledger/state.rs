//! What callers and the driver of a shared ledger know in common.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed};

use tokio::sync::Notify;

/// Whether the store answers, by a breaker that any core reads with one load.
pub(super) struct State {
    away: AtomicBool,
    /// That it is away has been logged.
    is_told: AtomicBool,
    /// Callers in a row that waited in vain.
    failures: AtomicU32,
    replicas: AtomicU32,
    /// Calls settled whose settlement is not with the store yet.
    unsent: AtomicU64,
    dropped: AtomicU64,
    outages: AtomicU64,
    /// Something has changed that somebody waits for.
    pub(super) changed: Notify,
}

impl State {
    pub(super) fn new() -> State {
        State {
            away: AtomicBool::new(true),
            is_told: AtomicBool::new(false),
            failures: AtomicU32::new(0),
            replicas: AtomicU32::new(1),
            unsent: AtomicU64::new(0),
            dropped: AtomicU64::new(0),
            outages: AtomicU64::new(0),
            changed: Notify::new(),
        }
    }

    pub(super) fn is_away(&self) -> bool {
        self.away.load(Relaxed)
    }

    /// A caller has its answer.
    pub(super) fn answered(&self) {
        // Read first: a store that answers does not make cores write to one place.
        if self.failures.load(Relaxed) > 0 {
            self.failures.store(0, Relaxed);
        }
    }

    /// A caller has none.
    pub(super) fn failed(&self, why: &str) {
        if self.failures.fetch_add(1, Relaxed) + 1 >= FAILURES {
            self.leave(why);
        }
    }

    /// The store is away until the driver finds it again.
    pub(super) fn leave(&self, why: &str) {
        if !self.away.swap(true, Relaxed) {
            self.outages.fetch_add(1, Relaxed);
        }
        if !self.is_told.swap(true, Relaxed) {
            tracing::warn!(why, "the shared ledger is away: each limit follows its on_failure");
        }
    }

    pub(super) fn come_back(&self) {
        self.failures.store(0, Relaxed);
        if self.away.swap(false, Relaxed) {
            self.is_told.store(false, Relaxed);
            tracing::info!("the shared ledger answers");
        }
        self.changed.notify_waiters();
    }

    pub(super) fn replicas(&self) -> u32 {
        self.replicas.load(Relaxed).max(1)
    }

    pub(super) fn replicas_are(&self, replicas: u32) {
        self.replicas.store(replicas, Relaxed);
    }

    pub(super) fn enqueued(&self) {
        self.unsent.fetch_add(1, Relaxed);
    }

    /// So many calls' settlements are with the store, or were dropped.
    pub(super) fn done(&self, calls: u64) {
        self.unsent.fetch_sub(calls, Relaxed);
        self.changed.notify_waiters();
    }

    pub(super) fn dropped(&self, calls: u64) {
        self.dropped.fetch_add(calls, Relaxed);
        self.done(calls);
    }

    pub(super) fn unsent(&self) -> u64 {
        self.unsent.load(Relaxed)
    }

    pub(super) fn lost(&self) -> u64 {
        self.dropped.load(Relaxed)
    }

    pub(super) fn outages(&self) -> u64 {
        self.outages.load(Relaxed)
    }
}

/// So many callers in a row without an answer, and no more of them try.
const FAILURES: u32 = 3;

//! Keeps the keys of one issuer, and hands them to requests.

use std::{sync::Arc, time::Duration};

use arc_swap::ArcSwapOption;
use policy::authentication::Issuer;
use tokio::{
    sync::{Notify, watch},
    task::AbortHandle,
    time::{Instant, timeout_at},
};

use super::{discovery, key_set::KeySet};
use crate::{credentials::Fetcher, tasks};

/// How often keys are fetched out of turn, since a token names one that is not known: so many times in a row, and then once in
/// that long. Otherwise anybody could have the issuer asked as often as they like.
const EXTRA_MAX: u32 = 4;
const EXTRA_EVERY: Duration = Duration::from_secs(10);
/// How long a request waits for keys.
const WAIT_MAX: Duration = Duration::from_secs(5);
/// Between attempts that fail: doubled each time.
const BACKOFF_MIN: Duration = Duration::from_secs(1);
const BACKOFF_MAX: Duration = Duration::from_secs(60);

/// Keeps an issuer's keys. While the issuer is away, those that it had are used on.
pub(super) struct KeyKeeper {
    shelf: Arc<Shelf>,
    task: AbortHandle,
}

#[derive(Default)]
struct Shelf {
    keys: ArcSwapOption<KeySet>,
    /// How often it was tried to fetch them; only those that wait for it listen.
    tries: watch::Sender<u64>,
    /// A token names a key that is not known.
    wanted: Notify,
}

impl KeyKeeper {
    /// Begins to fetch. Call it on the admin runtime.
    pub(super) fn start(issuer: Arc<Issuer>, fetcher: &Fetcher) -> KeyKeeper {
        let shelf = Arc::<Shelf>::default();
        let task = tasks::spawn("issuer's keys", keep(issuer, fetcher.clone(), Arc::clone(&shelf)));
        KeyKeeper { shelf, task: task.abort_handle() }
    }

    /// The keys that there are.
    pub(super) fn kept(&self) -> Option<Arc<KeySet>> {
        self.shelf.keys.load_full()
    }

    /// Whether these are still the keys.
    pub(super) fn keeps(&self, keys: &Arc<KeySet>) -> bool {
        self.shelf.keys.load().as_ref().is_some_and(|kept| Arc::ptr_eq(kept, keys))
    }

    /// The keys, once they were fetched for the first time.
    pub(super) async fn first(&self) -> Option<Arc<KeySet>> {
        let mut tries = self.shelf.tries.subscribe();
        if self.kept().is_none() && *tries.borrow_and_update() == 0 {
            self.wait(tries).await;
        }
        self.kept()
    }

    /// Other keys than these, which the issuer may have by now.
    pub(super) async fn newer(&self, than: &Arc<KeySet>) -> Option<Arc<KeySet>> {
        let mut tries = self.shelf.tries.subscribe();
        tries.mark_unchanged();
        if self.keeps(than) {
            self.shelf.wanted.notify_one();
            self.wait(tries).await;
        }
        self.kept().filter(|kept| !Arc::ptr_eq(kept, than))
    }

    async fn wait(&self, mut tries: watch::Receiver<u64>) {
        // Whether it came in time or not, what there is then is what counts.
        let _ = timeout_at(Instant::now() + WAIT_MAX, tries.changed()).await;
    }
}

impl Drop for KeyKeeper {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Fetches, waits until it is time again or a token names an unknown key, and so on.
async fn keep(issuer: Arc<Issuer>, fetcher: Fetcher, shelf: Arc<Shelf>) {
    let mut backoff = BACKOFF_MIN;
    let mut extra = Extra { left: EXTRA_MAX, since: Instant::now() };
    loop {
        let wait = match discovery::keys(&issuer, &fetcher).await {
            Ok((fresh, lasts)) => {
                backoff = BACKOFF_MIN;
                shelf.put(fresh, &issuer.issuer);
                lasts
            }
            Err(error) => {
                tracing::warn!(issuer = issuer.issuer, error, "the issuer's keys could not be fetched");
                let wait = backoff;
                backoff = (backoff * 2).min(BACKOFF_MAX);
                wait
            }
        };
        shelf.tried();
        let due = Instant::now() + wait;
        loop {
            tokio::select! {
                () = tokio::time::sleep_until(due) => break,
                () = shelf.wanted.notified() => {
                    if extra.take(Instant::now()) {
                        break;
                    }
                    shelf.tried();
                }
            }
        }
    }
}

impl Shelf {
    /// Keys that are the same stay the same, so that what was found by them is still found.
    fn put(&self, fresh: KeySet, issuer: &str) {
        if !self.keys.load().as_ref().is_some_and(|kept| kept.is_same(&fresh)) {
            tracing::info!(issuer, keys = fresh.len(), "issuer's keys fetched");
            self.keys.store(Some(Arc::new(fresh)));
        }
    }

    fn tried(&self) {
        self.tries.send_modify(|tries| *tries += 1);
    }
}

/// How often keys may still be fetched out of turn.
struct Extra {
    left: u32,
    since: Instant,
}

impl Extra {
    fn take(&mut self, now: Instant) -> bool {
        while self.left < EXTRA_MAX && now.duration_since(self.since) >= EXTRA_EVERY {
            self.left += 1;
            self.since += EXTRA_EVERY;
        }
        if self.left == EXTRA_MAX {
            self.since = now;
        }
        let taken = self.left.checked_sub(1);
        self.left = taken.unwrap_or_default();
        taken.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_fetched_out_of_turn_only_so_often() {
        let start = Instant::now();
        let mut extra = Extra { left: EXTRA_MAX, since: start };
        let mut took = |seconds: u64| extra.take(start + Duration::from_secs(seconds));
        assert_eq!(
            [took(0), took(0), took(1), took(1), took(1), took(9)],
            [true, true, true, true, false, false]
        );
        assert_eq!([took(10), took(11), took(20), took(21)], [true, false, true, false]);
        let long = 1_000;
        assert_eq!(
            [took(long), took(long), took(long), took(long), took(long)],
            [true, true, true, true, false]
        );
    }
}

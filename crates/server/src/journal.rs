//! From the spool to the journal, on a thread of its own that goes on by itself when the database was away.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use store::spool::Shipper;

use crate::metrics;

/// How often the spool's records go to the journal.
const SHIP: Duration = Duration::from_millis(100);
/// After how many rounds of shipping the spool is synced to the disk.
const SYNC_ROUNDS: u32 = 10;
/// How often at most a failure that lasts is told.
const TOLD_EVERY: Duration = Duration::from_secs(10);

/// How the journal keeps up.
#[derive(Debug, Default)]
pub(crate) struct Progress {
    /// Bytes of the spool that the journal has not.
    lag_bytes: AtomicU64,
    /// Rounds in which the database took nothing.
    failures: AtomicU64,
    /// Records that the database refused for what is in them.
    refused: AtomicU64,
}

impl Progress {
    pub(crate) fn write(&self, text: &mut String) {
        use std::fmt::Write as _;
        let all = [
            (
                "tollgate_journal_lag_bytes",
                "gauge",
                "bytes of the spool that the journal has not",
                &self.lag_bytes,
            ),
            (
                "tollgate_journal_failures_total",
                "counter",
                "times that the database took no records, which the spool then keeps",
                &self.failures,
            ),
            (
                "tollgate_journal_refused_total",
                "counter",
                "records that the database refused and that were set aside",
                &self.refused,
            ),
        ];
        for (name, kind, help, value) in all {
            metrics::header(text, name, kind, help);
            let _ = writeln!(text, "{name} {}", value.load(Relaxed));
        }
    }
}

/// Ships until it is told to stop, and once more then.
pub(crate) fn ship(
    mut shipper: Shipper,
    progress: Arc<Progress>,
    stop: Arc<AtomicBool>,
) -> std::io::Result<JoinHandle<()>> {
    std::thread::Builder::new().name("journal".to_owned()).spawn(move || {
        let mut round: u32 = 0;
        let mut told: Option<Instant> = None;
        loop {
            let last = stop.load(Relaxed);
            match shipper.step() {
                Ok(_) if told.take().is_some() => tracing::info!("the journal takes records in again"),
                Ok(_) => {}
                Err(error) => {
                    progress.failures.fetch_add(1, Relaxed);
                    if told.is_none_or(|at| at.elapsed() >= TOLD_EVERY) {
                        tracing::error!(%error, "the journal could not take records in; the spool keeps them");
                        told = Some(Instant::now());
                    }
                }
            }
            progress.refused.store(shipper.refused(), Relaxed);
            progress.lag_bytes.store(shipper.lag_bytes(), Relaxed);
            round = round.wrapping_add(1);
            if round.is_multiple_of(SYNC_ROUNDS)
                && let Err(error) = shipper.sync()
            {
                tracing::error!(%error, "the spool could not be synced");
            }
            if last {
                return;
            }
            std::thread::sleep(SHIP);
        }
    })
}

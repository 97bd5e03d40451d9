//! Word of changes of the registry, also of those that other replicas make.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use crate::{DataDir, Database, Error};

/// How often the clock is looked at where nobody announces a change.
const LOOK: Duration = Duration::from_secs(1);

/// Looks at the registry's clock on a thread of its own, which ends soon after this is dropped.
pub struct Watch(Arc<AtomicBool>);

impl Watch {
    /// Calls back with how the clock stands when it has moved on since `seq`, and again each second until the callback
    /// says that it took the change up.
    pub fn start(
        data: &DataDir,
        seq: u64,
        changed: impl FnMut(u64) -> bool + Send + 'static,
    ) -> Result<Watch, Error> {
        let database = data.database()?;
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let run = move || watch(database, seq, changed, &stopped);
        let started = std::thread::Builder::new().name("registry".to_owned()).spawn(run);
        started.map_err(|error| Error::file(data.path(), error))?;
        Ok(Watch(stop))
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.0.store(true, Relaxed);
    }
}

fn watch(mut database: Database, mut seq: u64, mut changed: impl FnMut(u64) -> bool, stopped: &AtomicBool) {
    let mut failing = false;
    while !stopped.load(Relaxed) {
        match database.engine.wait(LOOK).and_then(|()| database.clock()) {
            Ok(now) => {
                failing = false;
                if now != seq && changed(now) {
                    seq = now;
                }
            }
            Err(error) => {
                if !std::mem::replace(&mut failing, true) {
                    tracing::error!(%error, "changes of other replicas are not seen until the database is back");
                }
                std::thread::sleep(LOOK);
            }
        }
    }
}

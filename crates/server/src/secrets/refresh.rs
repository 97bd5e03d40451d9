//! Asks stores from time to time whether anything has changed.

use std::{collections::HashMap, time::Duration};

use tokio::{
    sync::mpsc,
    time::{Instant, sleep_until},
};

use super::stores::{SecretStores, Store};
use crate::reload::Cause;

/// A store that did not answer is asked again after this, unless its own time is shorter.
const FAILED_PAUSE: Duration = Duration::from_secs(30);
/// With no stores there is nothing to do for so long.
const IDLE: Duration = Duration::from_secs(3_600);

impl SecretStores {
    /// Asks each store again when its time has come, and has a change taken up as a reload.
    pub(crate) async fn keep_fresh(self, reload: mpsc::Sender<Cause>) {
        let mut due: HashMap<String, Instant> = HashMap::new();
        loop {
            self.shelve().await;
            let stores = self.stores();
            due.retain(|name, _| stores.contains_key(name));
            for (name, store) in &stores {
                if !due.contains_key(name) {
                    due.insert(name.clone(), Instant::now() + self.pause(name, store).await);
                }
            }
            let first = due.iter().min_by_key(|(_, at)| **at).map(|(name, at)| (name.clone(), *at));
            let until = first.as_ref().map_or_else(|| Instant::now() + IDLE, |(_, at)| *at);
            tokio::select! {
                () = sleep_until(until) => {}
                () = self.changed() => continue,
            }
            let Some((name, _)) = first else { continue };
            due.remove(&name);
            let (items, _) = self.asked_of(&name);
            if self.ask(items).await {
                tracing::info!(store = name, "secrets have changed");
                // A full queue holds a cause already.
                let _ = reload.try_send(Cause::Secret);
            }
        }
    }

    async fn pause(&self, name: &str, store: &Store) -> Duration {
        let pause = store.client.rest().await.unwrap_or(Duration::MAX).min(store.settings.refresh);
        if self.asked_of(name).1 { pause } else { pause.min(FAILED_PAUSE) }
    }
}

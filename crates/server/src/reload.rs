//! New configurations and new keys, taken up while calls go on.

use std::{collections::HashSet, path::PathBuf, sync::Arc, time::Duration};

use notify::{RecommendedWatcher, RecursiveMode, Watcher};
use policy::Snapshot;
use store::{DataDir, Database, Sealer, Watch};
use tokio::sync::mpsc;

use crate::{
    Source,
    callers::Registry,
    core::Shared,
    credentials::Fetcher,
    database::{DatabaseThread, Unanswered},
    kept::Kept,
    rollouts::Rollouts,
    secrets::SecretStores,
    tasks,
    tls::Listening,
    world::World,
};

/// Editors write a file in several steps: changes are taken up when none has come for so long.
const QUIET: Duration = Duration::from_millis(200);
/// Credentials that the database did not tell are asked for again after this.
const AGAIN: Duration = Duration::from_secs(5);

/// Why something is loaded again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cause {
    File,
    Signal,
    /// A store of secrets says something else than before.
    Secret,
    /// The registry keeps other credentials of providers.
    Credential,
}

/// Loads the configuration again when a file changes or somebody asks.
pub(crate) struct Reloader {
    pub(crate) shared: Arc<Shared>,
    pub(crate) source: Source,
    pub(crate) database: DatabaseThread,
    pub(crate) certificates: Option<Arc<Listening>>,
    pub(crate) fetcher: Fetcher,
    pub(crate) rollouts: Rollouts,
    pub(crate) secrets: SecretStores,
    /// What opens the credentials that the registry keeps.
    pub(crate) sealer: Option<Arc<Sealer>>,
}

impl Reloader {
    pub(crate) async fn run(self, mut causes: mpsc::Receiver<Cause>, sender: mpsc::Sender<Cause>) {
        tasks::spawn("secrets", self.secrets.clone().keep_fresh(sender.clone()));
        let mut watch = self.watch(sender.clone());
        while let Some(cause) = causes.recv().await {
            while let Ok(Some(_)) = tokio::time::timeout(QUIET, causes.recv()).await {}
            self.reload(cause, &sender).await;
            watch = watch.and_then(|_| self.watch(sender.clone()));
        }
    }

    /// Prepares a new world, which may fail; putting it in place cannot.
    async fn reload(&self, cause: Cause, sender: &mpsc::Sender<Cause>) {
        let old = self.shared.world.load_full();
        let loaded = self.load(&old).await;
        let kept = self.kept(&old, sender).await;
        let is_loaded = loaded.is_some();
        if is_loaded || !Arc::ptr_eq(&kept, &old.kept) {
            let snapshot = loaded.unwrap_or_else(|| Arc::clone(&old.snapshot));
            self.shared.world.store(Arc::new(World::new(snapshot, kept, Some(&old), &self.fetcher)));
        }
        if is_loaded {
            let rollouts = self.rollouts.clone();
            tasks::aside(move || rollouts.adopt()).await;
            tracing::info!(?cause, "configuration reloaded");
        }
        if let Some(certificates) = &self.certificates {
            certificates.reload(&self.shared.world.load().snapshot);
        }
        if let Err(error) = refresh_callers(&self.shared, &self.database).await {
            tracing::error!(%error, "keys could not be read: the old ones serve on");
        }
    }

    /// The configuration as it is now; nothing where there is none, or none that holds.
    async fn load(&self, old: &World) -> Option<Arc<Snapshot>> {
        let Source::File(path) = &self.source else { return None };
        match self.secrets.load(path).await {
            Ok(loaded) => {
                for warning in &loaded.warnings {
                    tracing::warn!(%warning, "configuration");
                }
                for setting in needs_restart(&old.snapshot, &loaded.snapshot) {
                    tracing::warn!(setting, "this change needs a restart");
                }
                Some(Arc::new(loaded.snapshot))
            }
            Err(problems) => {
                for problem in &problems.0 {
                    tracing::error!(%problem, "configuration");
                }
                tracing::error!(
                    errors = problems.0.len(),
                    "the configuration is not valid: the old one serves on"
                );
                None
            }
        }
    }

    /// The registry's credentials as they are now; the last known ones while the database is away.
    async fn kept(&self, old: &World, sender: &mpsc::Sender<Cause>) -> Arc<Kept> {
        let (sealer, before) = (self.sealer.clone(), Arc::clone(&old.kept));
        let read = move |database: &mut Database| {
            if database.credential_versions()? == before.versions {
                return Ok(before);
            }
            Kept::read(database, sealer.as_ref(), Some(&before)).map(Arc::new)
        };
        match self.database.ask(read).await {
            Ok(kept) => kept,
            Err(error) => {
                tracing::error!(%error, "credentials of the registry could not be read: the last known ones stay");
                let sender = sender.clone();
                tasks::spawn("credentials again", async move {
                    tokio::time::sleep(AGAIN).await;
                    // A full queue holds a cause already.
                    let _ = sender.try_send(Cause::Credential);
                });
                Arc::clone(&old.kept)
            }
        }
    }

    /// Watches folders and not files, since Kubernetes and editors put new files in place of old ones.
    fn watch(&self, sender: mpsc::Sender<Cause>) -> Option<RecommendedWatcher> {
        let files = self.files();
        let watched = files.clone();
        let found = move |event: notify::Result<notify::Event>| {
            let Ok(event) = event else { return };
            let changed = !matches!(event.kind, notify::EventKind::Access(_));
            // A name such as `..data` is how Kubernetes swaps a whole folder.
            let ours = |path: &PathBuf| {
                watched.contains(path) || path.file_name().is_some_and(|name| name == "..data")
            };
            if changed && event.paths.iter().any(ours) {
                // A full queue holds a cause already.
                let _ = sender.try_send(Cause::File);
            }
        };
        let mut watcher = notify::recommended_watcher(found)
            .map_err(|error| tracing::warn!(%error, "files are not watched; send SIGHUP to reload"))
            .ok()?;
        let folders: HashSet<PathBuf> =
            files.iter().filter_map(|file| Some(file.parent()?.to_owned())).collect();
        for folder in folders {
            if let Err(error) = watcher.watch(&folder, RecursiveMode::NonRecursive) {
                tracing::warn!(%error, folder = %folder.display(), "not watched; send SIGHUP to reload");
            }
        }
        Some(watcher)
    }

    fn files(&self) -> HashSet<PathBuf> {
        let world = self.shared.world.load();
        let mut files: HashSet<PathBuf> = world.snapshot.files.iter().cloned().collect();
        if let Some(tls) = &world.snapshot.server.tls {
            files.extend([tls.certificate.clone(), tls.key.clone()]);
        }
        if let Some(clients) = &world.snapshot.authentication.certificates {
            files.insert(clients.authorities.clone());
            files.extend(clients.revoked.clone());
        }
        files.iter().filter_map(|file| std::path::absolute(file).ok()).collect()
    }
}

/// Reads the registry and puts its keys in place with the file's.
pub(crate) async fn refresh_callers(
    shared: &Arc<Shared>,
    database: &DatabaseThread,
) -> Result<(), Unanswered> {
    let shared = Arc::clone(shared);
    database.ask(move |database| put_callers(&shared, database)).await
}

/// Does the same whenever the registry changes, whoever changes it.
pub(crate) fn follow(
    data: &DataDir,
    shared: Arc<Shared>,
    database: DatabaseThread,
    reload: mpsc::Sender<Cause>,
) -> Result<Watch, store::Error> {
    Watch::start(data, 0, move |_| {
        let shared = Arc::clone(&shared);
        let done = database.ask_and_wait(move |database| {
            put_callers(&shared, database)?;
            Ok(database.credential_versions()? != shared.world.load().kept.versions)
        });
        match done {
            Ok(others) => {
                if others {
                    // A full queue holds a cause already.
                    let _ = reload.try_send(Cause::Credential);
                }
                true
            }
            Err(error) => {
                tracing::error!(%error, "keys could not be read: the old ones serve on");
                false
            }
        }
    })
}

fn put_callers(shared: &Shared, database: &mut Database) -> Result<(), store::Error> {
    let mut registry = shared.registry.lock().unwrap_or_else(|stopped_halfway| {
        let mut registry = stopped_halfway.into_inner();
        *registry = Registry::default();
        registry
    });
    let changed = registry.renew(database)?;
    let world = shared.world.load();
    let renewed = shared.callers.load().renewed(&registry, &changed, &world.snapshot);
    if let Some(callers) = renewed {
        shared.callers.store(Arc::new(callers));
    }
    Ok(())
}

fn needs_restart(old: &Snapshot, new: &Snapshot) -> Vec<&'static str> {
    let mut settings = Vec::new();
    if old.server.listen != new.server.listen {
        settings.push("server.listen");
    }
    if old.server.threads != new.server.threads {
        settings.push("server.threads");
    }
    if old.server.tls.is_some() != new.server.tls.is_some() {
        settings.push("server.tls");
    }
    if old.data_dir != new.data_dir {
        settings.push("data_dir");
    }
    if old.store != new.store {
        settings.push("store");
    }
    settings
}

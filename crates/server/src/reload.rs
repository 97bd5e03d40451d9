//! New configurations and new keys, taken up while calls go on.

use std::{collections::HashSet, path::PathBuf, sync::Arc, time::Duration};

use notify::{RecommendedWatcher, RecursiveMode, Watcher};
use store::{DataDir, Database, Watch};
use tokio::sync::mpsc;

use crate::{
    Source,
    core::Shared,
    credentials::Fetcher,
    database::{DatabaseThread, Unanswered},
    rollouts::Rollouts,
    secrets::SecretStores,
    tasks,
    tls::Listening,
    world::{Callers, Registry, World},
};

/// Editors write a file in several steps: changes are taken up when none has come for so long.
const QUIET: Duration = Duration::from_millis(200);

/// Why something is loaded again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cause {
    File,
    Signal,
    /// A store of secrets says something else than before.
    Secret,
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
}

impl Reloader {
    pub(crate) async fn run(self, mut causes: mpsc::Receiver<Cause>, sender: mpsc::Sender<Cause>) {
        tasks::spawn("secrets", self.secrets.clone().keep_fresh(sender.clone()));
        let mut watch = self.watch(sender.clone());
        while let Some(cause) = causes.recv().await {
            while let Ok(Some(_)) = tokio::time::timeout(QUIET, causes.recv()).await {}
            self.reload(cause).await;
            watch = watch.and_then(|_| self.watch(sender.clone()));
        }
    }

    /// Prepares a new world, which may fail; putting it in place cannot.
    async fn reload(&self, cause: Cause) {
        if let Source::File(path) = &self.source {
            match self.secrets.load(path).await {
                Ok(loaded) => {
                    for warning in &loaded.warnings {
                        tracing::warn!(%warning, "configuration");
                    }
                    let old = self.shared.world.load_full();
                    for setting in needs_restart(&old.snapshot, &loaded.snapshot) {
                        tracing::warn!(setting, "this change needs a restart");
                    }
                    self.shared.world.store(Arc::new(World::new(loaded.snapshot, Some(&old), &self.fetcher)));
                    let rollouts = self.rollouts.clone();
                    tasks::aside(move || rollouts.adopt()).await;
                    tracing::info!(?cause, "configuration reloaded");
                }
                Err(problems) => {
                    for problem in &problems.0 {
                        tracing::error!(%problem, "configuration");
                    }
                    tracing::error!(
                        errors = problems.0.len(),
                        "the configuration is not valid: the old one serves on"
                    );
                }
            }
        }
        if let Some(certificates) = &self.certificates {
            certificates.reload(&self.shared.world.load().snapshot);
        }
        if let Err(error) = refresh_callers(&self.shared, &self.database).await {
            tracing::error!(%error, "keys could not be read: the old ones serve on");
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
) -> Result<Watch, store::Error> {
    Watch::start(data, 0, move |_| {
        let shared = Arc::clone(&shared);
        let done = database.ask_and_wait(move |database| put_callers(&shared, database));
        if let Err(error) = &done {
            tracing::error!(%error, "keys could not be read: the old ones serve on");
        }
        done.is_ok()
    })
}

/// It runs on the database's thread, so that nobody puts older keys in place of newer ones.
fn put_callers(shared: &Shared, database: &mut Database) -> Result<(), store::Error> {
    let registry = Registry::read(database)?;
    let world = shared.world.load();
    shared.callers.store(Arc::new(Callers::new(shared.hasher.clone(), registry, &world.snapshot)));
    Ok(())
}

fn needs_restart(old: &policy::Snapshot, new: &policy::Snapshot) -> Vec<&'static str> {
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

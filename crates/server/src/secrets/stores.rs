//! The stores of a configuration, and what they have said last.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    fmt::Write as _,
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use futures_util::{StreamExt, stream};
use policy::{
    config::{self, Loaded, Offline, Problem, Problems, Sources, Unresolved},
    secret_store::{SecretStore, StoredName},
};
use tokio::{
    sync::Notify,
    time::{Instant, timeout_at},
};

use super::{
    client::{Client, Unread},
    content::Content,
    offline::{self, Shelf, Value},
};
use crate::{metrics, sources::System, tasks, world::now_us};

/// For all that a configuration asks of its stores.
const ASK_TIME_MAX: Duration = Duration::from_secs(10);
/// The most questions at a time.
const AT_ONCE_MAX: usize = 16;

/// The stores of secrets of a configuration. What they said last stays while they are away.
#[derive(Clone, Default)]
pub struct SecretStores(Arc<Inner>);

#[derive(Default)]
struct Inner {
    state: Mutex<State>,
    /// Where the process serves from: only there values are kept for a start without stores.
    serves: Option<Serves>,
    shelf: Mutex<Option<Arc<Shelf>>>,
    /// Says that the stores are others.
    changed: Notify,
}

struct Serves {
    /// The data directory, where it is not the configuration's.
    data_dir: Option<PathBuf>,
}

#[derive(Default)]
struct State {
    /// By name.
    stores: BTreeMap<String, Arc<Store>>,
    kept: BTreeMap<Item, Kept>,
    /// By the name of the store: questions that were not answered.
    failures: BTreeMap<String, u64>,
    /// The data directory that the configuration names.
    data_dir: Option<PathBuf>,
}

pub(super) struct Store {
    pub(super) settings: SecretStore,
    pub(super) client: Client,
}

/// The name of a store and a path in it.
pub(super) type Item = (String, String);

/// What a store has said of a path.
#[derive(Default)]
struct Kept {
    content: Option<Content>,
    /// When it said so, in microseconds since 1970.
    seen_us: i64,
    /// Why the last question was not answered.
    failure: Option<Unread>,
}

/// How a question to a store ended.
pub struct Tried {
    pub store: String,
    pub kind: &'static str,
    /// What was asked for; nothing where the store was only entered.
    pub reference: Option<String>,
    pub failure: Option<String>,
}

/// Everything that a configuration refers to.
struct Answered {
    found: HashMap<StoredName, Result<String, String>>,
}

impl SecretStores {
    /// For a process that serves, from this data directory or from the configuration's.
    pub fn serving(data_dir: Option<PathBuf>) -> SecretStores {
        SecretStores(Arc::new(Inner { serves: Some(Serves { data_dir }), ..Inner::default() }))
    }

    /// Loads a configuration with what it refers to in stores.
    pub async fn load(&self, path: &Path) -> Result<Loaded, Problems> {
        let unresolved = config::read(path, &System)?;
        let wanted = unresolved.wanted();
        self.ask_all(&unresolved, &wanted).await;
        let recalled = self.recall(unresolved.offline(), path).await;
        let mut loaded = unresolved.resolve(&self.answered(&wanted))?;
        loaded.warnings.extend(recalled);
        let items: BTreeSet<Item> = wanted.iter().map(item).collect();
        let mut state = self.state();
        state.kept.retain(|item, _| items.contains(item));
        state.data_dir = Some(loaded.snapshot.data_dir.clone());
        drop(state);
        Ok(loaded)
    }

    /// The same for a thread that runs no tasks.
    pub fn load_and_wait(&self, path: &Path) -> Result<Loaded, Problems> {
        let runtime = runtime().map_err(|error| problem(path, &error))?;
        runtime.block_on(self.load(path))
    }

    /// Asks every store for all that a configuration refers to, and tells which answered.
    pub fn try_all(&self, path: &Path) -> Result<Vec<Tried>, Problems> {
        let unresolved = config::read(path, &System)?;
        let runtime = runtime().map_err(|error| problem(path, &error))?;
        Ok(runtime.block_on(self.tried(&unresolved)))
    }

    async fn tried(&self, unresolved: &Unresolved) -> Vec<Tried> {
        let wanted = unresolved.wanted();
        self.ask_all(unresolved, &wanted).await;
        let answered = self.answered(&wanted);
        let mut tried = Vec::new();
        for (name, settings) in unresolved.stores() {
            let tell = |reference: Option<String>, failure: Option<String>| Tried {
                store: name.clone(),
                kind: settings.kind.name(),
                reference,
                failure,
            };
            let asked = wanted.iter().filter(|wanted| wanted.store == *name);
            let asked = asked.map(|wanted| tell(Some(wanted.to_string()), answered.stored(wanted).err()));
            let asked: Vec<Tried> = asked.collect();
            if asked.is_empty() {
                let store = self.state().stores.get(name).cloned();
                let entered = match store {
                    Some(store) => {
                        let entered = timeout_at(Instant::now() + ASK_TIME_MAX, store.client.enter()).await;
                        entered.unwrap_or_else(|_| Err(late()))
                    }
                    None => Ok(()),
                };
                tried.push(tell(None, entered.err().map(|unread| unread.message)));
            }
            tried.extend(asked);
        }
        tried
    }

    async fn ask_all(&self, unresolved: &Unresolved, wanted: &[StoredName]) {
        self.adopt(unresolved.stores());
        let items: BTreeSet<Item> = wanted.iter().map(item).collect();
        self.ask(items).await;
        self.0.changed.notify_one();
    }

    /// Stores that are the same go on with what they have.
    fn adopt(&self, settings: &BTreeMap<String, SecretStore>) {
        let mut state = self.state();
        let state = &mut *state;
        state.stores.retain(|name, store| settings.get(name) == Some(&store.settings));
        state.kept.retain(|(name, _), _| state.stores.contains_key(name));
        for (name, settings) in settings {
            state.stores.entry(name.clone()).or_insert_with(|| {
                Arc::new(Store { settings: settings.clone(), client: Client::new(settings) })
            });
        }
    }

    /// Asks for these, at the same time, and says whether any of them is another than before.
    pub(super) async fn ask(&self, items: impl IntoIterator<Item = Item>) -> bool {
        let deadline = Instant::now() + ASK_TIME_MAX;
        let stores = self.stores();
        let mut questions = Vec::new();
        for item in items {
            if let Some(store) = stores.get(&item.0) {
                questions.push(question(Arc::clone(store), item, deadline));
            }
        }
        let answers: Vec<(Item, Result<Content, Unread>)> =
            stream::iter(questions).buffer_unordered(AT_ONCE_MAX).collect().await;
        let mut state = self.state();
        let mut changed = false;
        for (item, answer) in answers {
            changed |= state.take_in(item, answer);
        }
        changed
    }

    fn answered(&self, wanted: &[StoredName]) -> Answered {
        let state = self.state();
        let found = wanted.iter().map(|name| {
            let kept = state.kept.get(&item(name));
            let answer = match kept {
                Some(Kept { content: Some(content), .. }) => content.find(name.field.as_deref()),
                Some(Kept { content: None, failure: Some(failure), .. }) => Err(failure.message.clone()),
                Some(Kept { content: None, failure: None, .. }) | None => Err(late().message),
            };
            (name.clone(), answer)
        });
        Answered { found: found.collect() }
    }

    pub(super) fn stores(&self) -> BTreeMap<String, Arc<Store>> {
        self.state().stores.clone()
    }

    /// What was asked of a store so far, and whether its last answers were all good.
    pub(super) fn asked_of(&self, store: &str) -> (Vec<Item>, bool) {
        let state = self.state();
        let of = state.kept.iter().filter(|((name, _), _)| name == store);
        let good = of.clone().all(|(_, kept)| kept.failure.is_none());
        (of.map(|(item, _)| item.clone()).collect(), good)
    }

    pub(super) async fn changed(&self) {
        self.0.changed.notified().await;
    }

    /// Prometheus' text: how often stores did not answer, and how many secrets may be old because of it.
    pub(crate) fn exposition(&self) -> String {
        let mut text = String::new();
        let state = self.state();
        if state.stores.is_empty() {
            return text;
        }
        let (failures, stale) = ("tollgate_secret_failures_total", "tollgate_secrets_stale");
        metrics::header(&mut text, failures, "counter", "questions that a store of secrets did not answer");
        for name in state.stores.keys() {
            let count = state.failures.get(name).copied().unwrap_or_default();
            let _ = writeln!(text, "{failures}{{store=\"{name}\"}} {count}");
        }
        metrics::header(
            &mut text,
            stale,
            "gauge",
            "secrets whose last known value is used, since their store did not answer",
        );
        for name in state.stores.keys() {
            let of = state.kept.iter().filter(|((store, _), kept)| store == name && kept.failure.is_some());
            let _ = writeln!(text, "{stale}{{store=\"{name}\"}} {}", of.count());
        }
        text
    }

    /// Puts what was last known in the place of what stores that are away did not say, and tells of it.
    async fn recall(&self, offline: Option<&Offline>, file: &Path) -> Vec<Problem> {
        let Some(serves) = &self.0.serves else { return Vec::new() };
        let data_dir = serves.data_dir.as_deref();
        let mut shelf = self.0.shelf.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if shelf.as_ref().zip(offline).is_none_or(|(shelf, offline)| !shelf.is_as(offline, data_dir)) {
            shelf = match offline.map(|offline| Shelf::new(offline, data_dir)).transpose() {
                Ok(shelf) => shelf.map(Arc::new),
                Err(error) => return vec![warning(file, "store.encryption", error)],
            };
            self.0.shelf.lock().unwrap_or_else(PoisonError::into_inner).clone_from(&shelf);
        }
        let Some(shelf) = shelf.filter(|_| self.state().lacks_any()) else { return Vec::new() };
        let read = tasks::aside(move || shelf.read()).await;
        match read.unwrap_or_else(|| Err("reading it panicked".to_owned())) {
            Ok(values) => self.state().recall(values, file),
            Err(error) => {
                vec![warning(file, "secrets", format!("last known values cannot be read: {error}"))]
            }
        }
    }

    /// Keeps what is known for a start without stores, or takes it away where none is to be kept.
    pub(super) async fn shelve(&self) {
        let Some(serves) = &self.0.serves else { return };
        let shelf = self.0.shelf.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let (values, configured) = {
            let state = self.state();
            (state.values(), state.data_dir.clone())
        };
        let folder = serves.data_dir.clone().or(configured);
        let kept = tasks::aside(move || match (shelf, folder) {
            (Some(shelf), _) => shelf.write(values),
            (None, Some(folder)) => {
                offline::clear(&folder);
                Ok(())
            }
            (None, None) => Ok(()),
        });
        if let Some(Err(error)) = kept.await {
            tracing::warn!(error, "the last known values of stores are not kept");
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Whether a store that may be started without said nothing of something.
    fn lacks_any(&self) -> bool {
        self.kept.iter().any(|(item, kept)| self.offline(item, kept).is_some())
    }

    /// How old its last known value may be, where it is to be taken.
    fn offline(&self, item: &Item, kept: &Kept) -> Option<Duration> {
        let is_away = kept.failure.as_ref().is_some_and(|failure| failure.is_away);
        self.stores.get(&item.0)?.settings.offline.filter(|_| kept.content.is_none() && is_away)
    }

    fn recall(&mut self, values: Vec<Value>, file: &Path) -> Vec<Problem> {
        let now_us = now_us();
        let mut told = Vec::new();
        for value in values {
            let item: Item = (value.store.clone(), value.path.clone());
            let Some(most) = self.kept.get(&item).and_then(|kept| self.offline(&item, kept)) else {
                continue;
            };
            if self.stores.get(&value.store).is_none_or(|store| store.settings.kind.place() != value.from) {
                continue;
            }
            // A clock that was turned back makes nothing younger.
            let age = Duration::from_micros(now_us.abs_diff(value.seen_us));
            let shown = format!("{}/{}: the store is away, and what it said", value.store, value.path);
            let path = format!("secrets.{}", value.store);
            if age > most {
                told.push(warning(
                    file,
                    &path,
                    format!("{shown} {} s ago is older than offline allows", age.as_secs()),
                ));
                continue;
            }
            told.push(warning(file, &path, format!("{shown} {} s ago is used", age.as_secs())));
            if let Some(kept) = self.kept.get_mut(&item) {
                (kept.content, kept.seen_us) = (Some(value.content), value.seen_us);
            }
        }
        told
    }

    /// What is known of stores that may be started without.
    fn values(&self) -> Vec<Value> {
        let value = |(item, kept): (&Item, &Kept)| {
            let store = self.stores.get(&item.0).filter(|store| store.settings.offline.is_some())?;
            Some(Value {
                store: item.0.clone(),
                from: store.settings.kind.place(),
                path: item.1.clone(),
                content: kept.content.clone()?,
                seen_us: kept.seen_us,
            })
        };
        self.kept.iter().filter_map(value).collect()
    }

    /// Whether it is another than before.
    fn take_in(&mut self, item: Item, answer: Result<Content, Unread>) -> bool {
        let kept = self.kept.entry(item.clone()).or_default();
        match answer {
            Ok(content) => {
                (kept.failure, kept.seen_us) = (None, now_us());
                let before = kept.content.replace(content);
                before != kept.content
            }
            Err(error) => {
                let (store, path) = item;
                if kept.content.is_some() {
                    tracing::warn!(
                        store,
                        path,
                        %error,
                        "a secret could not be read: its last known value stays"
                    );
                }
                kept.failure = Some(error);
                *self.failures.entry(store).or_default() += 1;
                false
            }
        }
    }
}

impl Sources for Answered {
    fn read_file(&self, path: &Path) -> io::Result<String> {
        System.read_file(path)
    }

    fn variable(&self, name: &str) -> Option<String> {
        System.variable(name)
    }

    fn command(&self, words: &[String]) -> Result<String, String> {
        System.command(words)
    }

    fn stored(&self, name: &StoredName) -> Result<String, String> {
        self.found.get(name).cloned().unwrap_or_else(|| Err("its store was not asked".to_owned()))
    }
}

async fn question(store: Arc<Store>, item: Item, deadline: Instant) -> (Item, Result<Content, Unread>) {
    let read = timeout_at(deadline, store.client.read(&item.1)).await;
    (item, read.unwrap_or_else(|_| Err(late())))
}

fn item(name: &StoredName) -> Item {
    (name.store.clone(), name.path.clone())
}

fn late() -> Unread {
    Unread { message: format!("it did not answer within {} s", ASK_TIME_MAX.as_secs()), is_away: true }
}

pub(super) fn runtime() -> io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()
}

fn problem(path: &Path, error: &io::Error) -> Problems {
    Problems(vec![warning(path, "secrets", format!("stores of secrets cannot be asked: {error}"))])
}

fn warning(file: &Path, path: &str, message: String) -> Problem {
    Problem { file: file.display().to_string(), line: 1, column: 1, path: path.to_owned(), message }
}

//! Whoever may call, kept in step with the registry: a change costs what it changes, however many keys there are.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::Arc,
};

use policy::{
    Snapshot,
    key::{IMPORTED_PREFIX, KEY_PREFIX, Key},
    limit::{Adjustments, Limit},
    principal::{Directory, Entity, Principal, Problem},
};
use store::{Adjustment, KeyHasher};
use uuid::Uuid;

use crate::world::now_us;

type Hash = [u8; 32];

/// Whoever may call: those with keys by their keyed hash, and the organizations that callers belong to. Looking a key up
/// compares hashes that a caller can neither choose nor predict, so that the time it takes says nothing of the key.
pub(crate) struct Callers {
    hasher: KeyHasher,
    /// The configuration that they were made with.
    snapshot: Arc<Snapshot>,
    /// The keys of the configuration, by their places in it.
    of_file: Arc<HashMap<Hash, usize>>,
    by_hash: HashMap<Hash, Arc<Principal>>,
    /// The organizations, for callers that show no key.
    pub(crate) directory: Arc<Directory>,
    /// What budgets have beside what is configured.
    pub(crate) given: Adjustments,
}

/// What the registry owns of those who call, as it was when its clock stood so.
#[derive(Default)]
pub(crate) struct Registry {
    clock: u64,
    entities: BTreeMap<Uuid, Entity>,
    keys: HashMap<Uuid, Vec<(Hash, Key)>>,
    given: Vec<Adjustment>,
}

/// What has changed in it since it was looked at last.
#[derive(Debug, Default)]
pub(crate) struct Changed {
    /// Nothing is as it was.
    whole: bool,
    given: bool,
    entities: HashSet<Uuid>,
    keys: Vec<Uuid>,
    /// The hashes by which changed keys were known before.
    gone: Vec<Hash>,
}

impl Registry {
    pub(crate) fn read(database: &mut store::Database) -> Result<Registry, store::Error> {
        let mut registry = Registry::default();
        registry.renew(database)?;
        Ok(registry)
    }

    /// Takes up what has changed.
    pub(crate) fn renew(&mut self, database: &mut store::Database) -> Result<Changed, store::Error> {
        let given = database.adjustments(now_us())?;
        // A clock that has gone back is that of a backup.
        let whole = self.clock == 0 || database.clock()? < self.clock;
        let since = database.callers_since(if whole { 0 } else { self.clock })?;
        if whole {
            *self = Registry::default();
        }
        let mut changed = Changed { whole, given: given != self.given, ..Changed::default() };
        (self.clock, self.given) = (since.clock, given);
        for (id, entity) in since.entities {
            changed.entities.insert(id);
            match entity {
                Some(entity) => self.entities.insert(id, entity),
                None => self.entities.remove(&id),
            };
        }
        for (id, hashes) in since.keys {
            changed.keys.push(id);
            let before = match hashes.is_empty() {
                true => self.keys.remove(&id),
                false => self.keys.insert(id, hashes),
            };
            changed.gone.extend(before.into_iter().flatten().map(|(hash, _)| hash));
        }
        Ok(changed)
    }
}

impl Changed {
    fn is_empty(&self) -> bool {
        !self.whole && !self.given && self.entities.is_empty() && self.keys.is_empty()
    }
}

impl Callers {
    /// What the file owns wins over the registry's where both hold the same key or name.
    pub(crate) fn new(hasher: KeyHasher, registry: &Registry, snapshot: &Arc<Snapshot>) -> Callers {
        let file = snapshot.keys.iter().enumerate();
        let of_file = file.map(|(at, file)| (hasher.hash(file.secret.expose()), at)).collect();
        let mut callers = Callers {
            hasher,
            snapshot: Arc::clone(snapshot),
            of_file: Arc::new(of_file),
            by_hash: HashMap::with_capacity(registry.keys.len() + snapshot.keys.len()),
            directory: directory(registry, snapshot),
            given: given(registry),
        };
        callers.put(registry, |_| true);
        callers
    }

    /// The same with what has changed in the registry or with another configuration; nothing where all stays as it is.
    pub(crate) fn renewed(
        &self,
        registry: &Registry,
        changed: &Changed,
        snapshot: &Arc<Snapshot>,
    ) -> Option<Callers> {
        if changed.whole || !Arc::ptr_eq(&self.snapshot, snapshot) {
            return Some(Callers::new(self.hasher.clone(), registry, snapshot));
        }
        if changed.is_empty() {
            return None;
        }
        let mut callers = Callers {
            hasher: self.hasher.clone(),
            snapshot: Arc::clone(snapshot),
            of_file: Arc::clone(&self.of_file),
            by_hash: self.by_hash.clone(),
            directory: Arc::clone(&self.directory),
            given: given(registry),
        };
        for hash in changed.gone.iter().filter(|hash| !self.of_file.contains_key(*hash)) {
            callers.by_hash.remove(hash);
        }
        if !changed.entities.is_empty() {
            callers.directory = directory(registry, snapshot);
            let directory = Arc::clone(&callers.directory);
            let above = |key: &Key| key.parent.or(key.organization);
            callers.put(registry, |key| {
                above(key).is_some_and(|above| directory.is_within(above, &changed.entities))
            });
        }
        for hashed in changed.keys.iter().filter_map(|id| registry.keys.get(id)).flatten() {
            callers.put_one(hashed.0, &hashed.1);
        }
        Some(callers)
    }

    /// Makes callers of those keys that are wanted.
    fn put(&mut self, registry: &Registry, is_wanted: impl Fn(&Key) -> bool) {
        for (hash, key) in registry.keys.values().flatten().filter(|(_, key)| is_wanted(key)) {
            self.put_one(*hash, key);
        }
        let (of_file, snapshot) = (Arc::clone(&self.of_file), Arc::clone(&self.snapshot));
        for (hash, at) in &*of_file {
            if let Some(file) = snapshot.keys.get(*at).filter(|file| is_wanted(&file.key)) {
                self.make(*hash, &file.key);
            }
        }
    }

    /// Makes a caller of a key of the registry.
    fn put_one(&mut self, hash: Hash, key: &Key) {
        if !self.of_file.contains_key(&hash) {
            self.make(hash, key);
        }
    }

    fn make(&mut self, hash: Hash, key: &Key) {
        let (principal, problems) = self.directory.principal(key);
        for problem in problems {
            told(&problem);
        }
        self.by_hash.insert(hash, Arc::new(principal));
    }

    /// Every limit that holds for somebody, once.
    pub(crate) fn limits(&self) -> Vec<Arc<Limit>> {
        let of_keys = self.by_hash.values().flat_map(|principal| &principal.limits);
        let mut seen = HashSet::new();
        let all = self.directory.limits().chain(of_keys);
        all.filter(|limit| seen.insert(limit.id)).cloned().collect()
    }

    /// The same, for somebody of an organization where one is named.
    pub(crate) fn limits_of(&self, organization: Option<Uuid>) -> Vec<Arc<Limit>> {
        let Some(organization) = organization else { return self.limits() };
        let own = self.by_hash.values().filter(|principal| principal.organization == Some(organization));
        let mut seen = HashSet::new();
        let all = self.directory.limits_of(organization).chain(own.flat_map(|principal| &principal.limits));
        all.filter(|limit| seen.insert(limit.id)).cloned().collect()
    }

    /// The caller whose key has this name.
    pub(crate) fn named(&self, name: &str) -> Option<Arc<Principal>> {
        self.by_hash.values().find(|principal| principal.name == name).cloned()
    }

    /// The caller whose key has this id; of several secrets, by one that is good where there is one.
    pub(crate) fn of_id(&self, id: Uuid, now_us: i64) -> Option<&Arc<Principal>> {
        let mut known = self.by_hash.values().filter(|principal| principal.id == id);
        known.clone().find(|principal| principal.check(now_us).is_ok()).or_else(|| known.next())
    }

    /// Whoever shows this key, good or not.
    pub(crate) fn find(&self, shown: &str) -> Option<&Arc<Principal>> {
        if shown.starts_with(IMPORTED_PREFIX) {
            return self.by_hash.get(&self.hasher.hash_imported(shown));
        }
        if !shown.starts_with(KEY_PREFIX) {
            return None;
        }
        self.by_hash.get(&self.hasher.hash(shown))
    }
}

/// Of two with one name or id the first is taken.
fn directory(registry: &Registry, snapshot: &Snapshot) -> Arc<Directory> {
    let entities = snapshot.entities.iter().chain(registry.entities.values()).cloned().collect();
    let (directory, problems) = Directory::new(entities);
    for problem in problems {
        told(&problem);
    }
    Arc::new(directory)
}

fn given(registry: &Registry) -> Adjustments {
    Adjustments::new(registry.given.iter().map(|entry| (entry.bucket, entry.slot_us, entry.amount)))
}

/// What is wrong closes what it is wrong with; somebody has to know.
fn told(problem: &Problem) {
    tracing::error!(
        kind = problem.kind,
        name = problem.name,
        path = problem.path,
        "refused until it is mended: {}",
        problem.message
    );
}

#[cfg(test)]
mod tests {
    use policy::{Secret, key::Scope};
    use serde_json::{Value as Json, json};
    use store::{Author, Change, DataDir, Database, NewKey, Tenancy};
    use tempfile::TempDir;

    use super::*;

    const TURNS: u32 = 600;

    /// Numbers that look random, the same each time.
    struct Numbers(u64);

    impl Numbers {
        fn below(&mut self, end: usize) -> usize {
            // Knuth's constants for a linear congruential generator.
            self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (self.0 >> 33) as usize % end
        }

        fn id(&mut self) -> u128 {
            (self.below(1 << 30) as u128) << 64 | self.below(1 << 30) as u128
        }

        fn one<T: Copy>(&mut self, of: &[T]) -> Option<T> {
            (!of.is_empty()).then(|| of[self.below(of.len())])
        }
    }

    /// A configuration with a key of its own, which is one of the registry's as well.
    fn configuration() -> Arc<Snapshot> {
        let folder = TempDir::new().unwrap();
        let file = folder.path().join("tollgate.yaml");
        let text =
            format!("teams: {{ filed: {{}} }}\nkeys: [ {{ name: filed, key: {FILED}, team: filed }} ]\n");
        std::fs::write(&file, text).unwrap();
        let loaded = policy::config::load(&file, &crate::System).map_err(|problems| problems.to_string());
        Arc::new(loaded.unwrap().snapshot)
    }

    const FILED: &str = "tg-0123456789abcdefghijklmnopqrstuvwxyz";

    /// A registry that somebody changes.
    struct Place {
        data: DataDir,
        database: Database,
        numbers: Numbers,
        objects: Vec<Uuid>,
        secrets: Vec<Secret>,
        _folder: TempDir,
    }

    impl Place {
        fn new() -> Place {
            let folder = TempDir::new().unwrap();
            let data = DataDir::open(folder.path()).unwrap();
            let database = data.database().unwrap();
            let numbers = Numbers(7);
            Place { data, database, numbers, objects: Vec::new(), secrets: Vec::new(), _folder: folder }
        }

        /// Settings, of which some are wrong.
        fn body(&mut self) -> Json {
            match self.numbers.below(6) {
                0 => json!({"models": ["fast", "smart"], "tags": {"cost": "1"}}),
                1 => json!({"limits": [{"requests": 5, "per": "minute"}]}),
                2 => json!({"budget": {"usd": 3, "per": "month"}, "models": ["fast"]}),
                3 => json!({"limits": [{"requests": 5}]}),
                4 => json!({"disabled": true}),
                _ => json!({}),
            }
        }

        fn change(&mut self, changes: &[Change]) {
            // What is refused changes nothing.
            let _ = self.database.apply(Tenancy::All, changes, &Author::system(), now_us());
        }

        fn create(&mut self) {
            let kinds = ["organization", "team", "team", "team", "project", "user", "key", "key", "key"];
            let kind = kinds[self.numbers.below(kinds.len())];
            let id = Uuid::from_u128(self.numbers.id());
            let parent = self.numbers.one(&self.objects).filter(|_| kind != "organization");
            let found = parent.and_then(|id| self.database.object(Tenancy::All, id).unwrap());
            let organization = found.as_ref().and_then(|parent| match &*parent.kind {
                "organization" => Some(parent.id),
                _ => parent.organization,
            });
            // Now and then it stands in the wrong place.
            let organization = organization.filter(|_| self.numbers.below(12) > 0);
            let parent = parent.filter(|parent| Some(*parent) != organization);
            let name = format!("n{}", self.numbers.below(40));
            let body = self.body();
            self.change(&[Change::Create { id, kind: kind.to_owned(), organization, parent, name, body }]);
            self.objects.push(id);
            if kind == "key" {
                self.add_secret(id);
            }
        }

        fn update(&mut self) {
            let Some(id) = self.numbers.one(&self.objects) else { return };
            let Some(object) = self.database.object(Tenancy::All, id).unwrap() else { return };
            let parent = match self.numbers.below(3) {
                0 => self.numbers.one(&self.objects),
                _ => object.parent,
            };
            let body = self.body();
            self.change(&[Change::Update { id, expected: None, name: object.name, parent, body }]);
        }

        fn delete(&mut self) {
            if let Some(id) = self.numbers.one(&self.objects) {
                self.change(&[Change::Delete { id, expected: None }]);
            }
        }

        fn add_secret(&mut self, key: Uuid) {
            let secret = match self.numbers.below(10) {
                0 => Secret::new(FILED),
                _ => store::new_key(KEY_PREFIX).unwrap(),
            };
            let author = Author::system();
            let made =
                self.database.write(Tenancy::All, (&author, now_us()), HashMap::new(), |transaction| {
                    transaction.add_secret(key, &secret)
                });
            // There may be no such key any more, or it has this secret.
            if made.is_ok() {
                self.secrets.push(secret);
            }
        }

        fn end_secrets(&mut self) {
            let Some(id) = self.numbers.one(&self.objects) else { return };
            let author = Author::system();
            let ended =
                self.database.write(Tenancy::All, (&author, now_us()), HashMap::new(), |transaction| {
                    transaction.end_secrets(id, now_us())
                });
            ended.unwrap();
        }

        fn go_on(&mut self) {
            match self.numbers.below(10) {
                0..=4 => self.create(),
                5 | 6 => self.update(),
                7 => self.delete(),
                8 => {
                    if let Some(id) = self.numbers.one(&self.objects) {
                        self.add_secret(id);
                    }
                }
                _ => self.end_secrets(),
            }
        }
    }

    /// Callers that were kept in step are what callers are that are made anew.
    #[test]
    fn changes_add_up_to_the_whole() {
        let mut place = Place::new();
        let snapshot = configuration();
        let mut registry = Registry::read(&mut place.database).unwrap();
        let mut callers = Callers::new(place.data.hasher(), &registry, &snapshot);
        let mut kept = 0;
        for turn in 0..TURNS {
            // Sometimes several changes come at once.
            for _ in 0..=place.numbers.below(3) {
                place.go_on();
            }
            let changed = registry.renew(&mut place.database).unwrap();
            assert!(turn == 0 || !changed.whole);
            if let Some(renewed) = callers.renewed(&registry, &changed, &snapshot) {
                kept += callers
                    .by_hash
                    .iter()
                    .filter(|(hash, before)| {
                        renewed.by_hash.get(*hash).is_some_and(|now| Arc::ptr_eq(now, before))
                    })
                    .count();
                callers = renewed;
            }
            let whole = Registry::read(&mut place.database).unwrap();
            let whole = Callers::new(place.data.hasher(), &whole, &snapshot);
            assert_eq!(callers.by_hash, whole.by_hash, "turn {turn}: {changed:?}");
        }
        assert!(kept > 1_000, "callers that nothing has changed stay: {kept}");
        assert!(
            callers.by_hash.len() > 50
                && place.secrets.iter().all(|secret| callers.find(secret.expose()).is_some())
        );
    }

    #[test]
    fn what_changes_nothing_makes_nothing() {
        let mut place = Place::new();
        let snapshot = configuration();
        let new =
            NewKey { name: "app".to_owned(), models: Vec::new(), scope: Scope::Calls, expires_us: None };
        let (_, secret) = place.database.create_key(&new, 1).unwrap();
        let mut registry = Registry::read(&mut place.database).unwrap();
        let callers = Callers::new(place.data.hasher(), &registry, &snapshot);
        assert!(callers.find(secret.expose()).is_some());
        let changed = registry.renew(&mut place.database).unwrap();
        assert!(callers.renewed(&registry, &changed, &snapshot).is_none());
        let other = configuration();
        assert!(callers.renewed(&registry, &changed, &other).is_some(), "another configuration");
        // A backup has an earlier clock.
        registry.clock = u64::MAX;
        let changed = registry.renew(&mut place.database).unwrap();
        assert!(changed.whole && registry.keys.len() == 1 && registry.clock < 10);
    }
}

//! Callers of another gateway into the registry. What is there already stays as it is, and what somebody has changed since an
//! earlier import is left alone.

use std::collections::HashSet;

use policy::{
    key::{Key, Owner},
    limit::Meter,
    principal::{Directory, Entity, EntityKind, Settings},
    record::Posting,
};
use serde_json::{Map, Value};
use store::{ActorKind, Author, Change, DataDir, Database, Import, ImportedKey, Object, Query, Tenancy};
use uuid::Uuid;

use super::report::Report;

/// How many objects are asked for at a time.
const PAGE: u32 = 500;
const PICODOLLARS: f64 = 1e12;

/// What a thing is in the registry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Kind {
    Part(EntityKind),
    Key,
}

/// Something that goes into the registry.
#[derive(Clone, Debug)]
pub(super) struct Thing {
    pub(super) kind: Kind,
    /// The same in each import; a key's is made of its hash.
    pub(super) id: Uuid,
    pub(super) organization: Option<Uuid>,
    pub(super) parent: Option<Uuid>,
    pub(super) name: String,
    pub(super) body: Map<String, Value>,
    /// Of a key, in lower-case hexadecimal digits.
    pub(super) sha256: Option<String>,
    /// What was spent in the period of its first budget that goes on, in USD.
    pub(super) spent: Option<f64>,
}

/// What became of the things.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Outcome {
    pub(super) created: usize,
    pub(super) updated: usize,
    pub(super) unchanged: usize,
    /// Changed or deleted here since.
    pub(super) left_alone: usize,
    pub(super) keys: usize,
    pub(super) spent: usize,
}

impl Kind {
    pub(super) fn name(self) -> &'static str {
        match self {
            Kind::Part(kind) => kind.name(),
            Kind::Key => "key",
        }
    }
}

impl Outcome {
    pub(super) fn changes_nothing(&self) -> bool {
        self.created + self.updated + self.keys + self.spent == 0
    }

    pub(super) fn shown(&self) -> String {
        format!(
            "{} created, {} updated, {} unchanged, {} left alone since they were changed or deleted here; {} keys and {} \
             amounts spent were added",
            self.created, self.updated, self.unchanged, self.left_alone, self.keys, self.spent
        )
    }
}

/// Takes over what is not there yet; in a dry run only says what that is.
pub(super) fn take_over(
    mut things: Vec<Thing>,
    data: &DataDir,
    now_us: i64,
    dry_run: bool,
    report: &mut Report,
) -> anyhow::Result<Outcome> {
    let mut database = data.database()?;
    let hasher = data.hasher();
    for thing in &mut things {
        if let Some(sha256) = &thing.sha256 {
            let hash = hasher.hash(&format!("import:{sha256}"));
            let [id @ .., _, _, _, _, _, _, _, _, _, _, _, _, _, _, _, _] = hash;
            thing.id = Uuid::new_v8(id);
        }
    }
    let author =
        Author { actor: "import".to_owned(), kind: ActorKind::Command, address: None, request_id: None };
    let mut outcome = Outcome::default();
    let mut wanted = Import::default();
    let mut names = names(&mut database, &things)?;
    for thing in &things {
        if !compare(thing, &mut database, &author, (&mut names, &mut wanted.changes), &mut outcome)? {
            continue;
        }
        if let Some(sha256) = &thing.sha256 {
            wanted.keys.push(ImportedKey { key_id: thing.id, sha256: sha256.clone() });
        }
        wanted.spent.extend(spent(thing, now_us, report));
    }
    let lacking = database.lacking(&wanted)?;
    (outcome.keys, outcome.spent) = (lacking.keys.len(), lacking.spent.len());
    if !dry_run && !lacking.is_empty() {
        database.import(&lacking, &author, now_us)?;
    }
    Ok(outcome)
}

/// Names that are taken already, by the things that there are.
type Names = HashSet<(String, Option<Uuid>, String)>;

fn names(database: &mut Database, things: &[Thing]) -> anyhow::Result<Names> {
    let kinds: HashSet<&str> = things.iter().map(|thing| thing.kind.name()).collect();
    let mut names = Names::new();
    for kind in kinds {
        let mut query = Query { kind: kind.to_owned(), limit: PAGE, ..Query::default() };
        loop {
            let page = database.objects(Tenancy::All, &query)?;
            query.after = page.last().map(|last| last.id);
            let is_last = page.len() < PAGE as usize;
            names.extend(page.into_iter().map(|object| (object.kind, object.organization, object.name)));
            if is_last {
                break;
            }
        }
    }
    Ok(names)
}

/// Adds the change that a thing needs, if any; `false` where it is to be left alone.
fn compare(
    thing: &Thing,
    database: &mut Database,
    author: &Author,
    (names, changes): (&mut Names, &mut Vec<Change>),
    outcome: &mut Outcome,
) -> anyhow::Result<bool> {
    let body = Value::from(thing.body.clone());
    let history = database.history(Tenancy::All, thing.id)?;
    let Some(latest) = history.first() else {
        outcome.created += 1;
        changes.push(Change::Create {
            id: thing.id,
            kind: thing.kind.name().to_owned(),
            organization: thing.organization,
            parent: thing.parent,
            name: free(thing, names),
            body,
        });
        return Ok(true);
    };
    let own = latest.changed_by == format!("{}:{}", author.kind.name(), author.actor);
    let current = database.object(Tenancy::All, thing.id)?;
    let same = |object: &Object| object.body == body && object.parent == thing.parent;
    match current {
        Some(object) if same(&object) => outcome.unchanged += 1,
        Some(object) if own => {
            outcome.updated += 1;
            let parent = thing.parent;
            changes.push(Change::Update {
                id: thing.id,
                expected: Some(object.version),
                name: object.name,
                parent,
                body,
            });
        }
        Some(_) => outcome.left_alone += 1,
        None => {
            outcome.left_alone += 1;
            return Ok(false);
        }
    }
    Ok(true)
}

/// Its name, or one like it where that is taken.
fn free(thing: &Thing, names: &mut Names) -> String {
    let numbered = (2..).map(|number| format!("{} ({number})", thing.name));
    let taken =
        |name: &String| names.contains(&(thing.kind.name().to_owned(), thing.organization, name.clone()));
    let name = std::iter::once(thing.name.clone()).chain(numbered).find(|name| !taken(name));
    let name = name.unwrap_or_else(|| thing.id.to_string());
    names.insert((thing.kind.name().to_owned(), thing.organization, name.clone()));
    name
}

/// What was spent, in the slot of the period that goes on of its first budget.
fn spent(thing: &Thing, now_us: i64, report: &mut Report) -> Option<Posting> {
    let settings: Settings = match serde_json::from_value(Value::from(thing.body.clone())) {
        Ok(settings) => settings,
        Err(error) => {
            report.manual(thing.kind.name(), format!("\"{}\" cannot be read again: {error}", thing.name));
            return None;
        }
    };
    // On its own: what stands above it has budgets of its own.
    let (principal, problems) = match thing.kind {
        Kind::Key => {
            let key = Key { id: thing.id, name: thing.name.clone(), settings, ..Key::unbound() };
            Directory::default().principal(&key)
        }
        Kind::Part(kind) => {
            let entity = Entity {
                id: thing.id,
                kind,
                name: thing.name.clone(),
                organization: None,
                parent: None,
                owner: Owner::Registry,
                settings,
            };
            let (directory, mut problems) = Directory::new(vec![entity]);
            let below = match kind {
                EntityKind::Organization => Key { organization: Some(thing.id), ..Key::unbound() },
                EntityKind::Team | EntityKind::Project | EntityKind::User | EntityKind::ServiceAccount => {
                    Key { parent: Some(thing.id), ..Key::unbound() }
                }
            };
            let (principal, more) = directory.principal(&below);
            problems.extend(more);
            (principal, problems)
        }
    };
    for problem in problems {
        let says = format!(
            "\"{}\", {}: {}; it opens nothing until that is mended",
            thing.name, problem.path, problem.message
        );
        report.manual(thing.kind.name(), says);
    }
    let amount = (thing.spent? * PICODOLLARS).round();
    let budget = principal.limits.iter().find(|limit| limit.meter == Meter::Money)?;
    let (slot_us, until_us) = budget.slot(now_us)?;
    let fits = amount >= 1.0 && amount < i64::MAX as f64;
    fits.then(|| Posting { bucket: budget.id, slot_us, amount: amount as i64, until_us })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn things() -> Vec<Thing> {
        let thing = |kind, number, name: &str, parent, body: Value| Thing {
            kind,
            id: Uuid::from_u128(number),
            organization: None,
            parent,
            name: name.to_owned(),
            body: body.as_object().unwrap().clone(),
            sha256: None,
            spent: None,
        };
        let team = Kind::Part(EntityKind::Team);
        let mut key = thing(Kind::Key, 0, "app", Some(Uuid::from_u128(1)), json!({"scope": "calls"}));
        key.sha256 = Some("ab".repeat(32));
        let budget = json!({"budget": {"usd": "10", "per": "month"}});
        let mut first = thing(team, 1, "search", None, budget.clone());
        first.spent = Some(2.5);
        vec![first, thing(team, 2, "search", None, json!({})), key]
    }

    #[test]
    fn a_second_import_changes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let data = DataDir::open(folder.path()).unwrap();
        let now_us = 1_795_000_000_000_000;
        let run =
            |things, dry_run| take_over(things, &data, now_us, dry_run, &mut Report::default()).unwrap();
        let first = Outcome { created: 3, keys: 1, spent: 1, ..Outcome::default() };
        assert_eq!(run(things(), true), first);
        assert_eq!(run(things(), false), first);
        let mut database = data.database().unwrap();
        let clock = database.clock().unwrap();
        let again = run(things(), false);
        assert_eq!((again.unchanged, again.changes_nothing()), (3, true));
        assert_eq!(database.clock().unwrap(), clock, "nobody is told of anything");
        let teams = Query { kind: "team".to_owned(), limit: 9, ..Query::default() };
        let named: Vec<String> =
            database.objects(Tenancy::All, &teams).unwrap().into_iter().map(|team| team.name).collect();
        assert_eq!(named, ["search", "search (2)"]);
        // More was spent there, and somebody changed a team here.
        let mut later = things();
        later[0].spent = Some(3.0);
        later[1].body = json!({"models": ["x"]}).as_object().unwrap().clone();
        let second = database.object(Tenancy::All, Uuid::from_u128(2)).unwrap().unwrap();
        let own = json!({"models": ["own"]});
        let change =
            Change::Update { id: second.id, expected: None, name: second.name, parent: None, body: own };
        database.apply(Tenancy::All, &[change], &Author::system(), now_us).unwrap();
        let third = run(later, false);
        assert_eq!((third.spent, third.left_alone, third.updated), (1, 1, 0));
        let mut first = things().swap_remove(0);
        first.spent = Some(3.0);
        let posting = spent(&first, now_us, &mut Report::default()).unwrap();
        assert_eq!(posting.amount, 3_000_000_000_000);
        assert!(posting.slot_us < now_us && now_us < posting.until_us);
        assert_eq!(database.ledger(&[posting.bucket], now_us).unwrap(), [posting], "added once");
    }
}

//! What has become of things: by changes of the registry, and by versions of one thing.

use std::collections::HashMap;

use policy::role::Permission;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value as Json};
use store::{Changed, Database, HistoryQuery, Object};
use uuid::Uuid;

use super::super::{find::Is, refusal::Refusal, resource::Resource};
use super::{
    desk::{Desk, Refused},
    difference::{Difference, differences},
    export::{Form, Names},
    plan::Doing,
    state::{Known, State},
};

/// One change of the registry: all that was done in one step.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[schemars(rename = "RegistryChange")]
pub struct Event {
    /// How the clock stood after it.
    pub clock: u64,
    /// Microseconds since 1970.
    pub at_us: i64,
    /// The kind of actor and its id or name, as `command:kim`.
    pub by: String,
    pub changes: Vec<Happening>,
}

/// What became of one thing.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[schemars(rename = "ObjectChange")]
pub struct Happening {
    pub action: Doing,
    pub kind: String,
    pub id: Uuid,
    /// As it was called then.
    pub name: String,
    pub organization: Option<Uuid>,
    /// The version that it has had since.
    pub version: u64,
    pub differences: Vec<Difference>,
}

/// A thing as it once was.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[schemars(rename = "ObjectVersion")]
pub(super) struct Past {
    version: u64,
    /// How the registry's clock stood after it; 0 for what is older than the clock.
    clock: u64,
    /// Microseconds since 1970.
    at_us: i64,
    /// The kind of actor and its id or name, as `key:…`.
    by: String,
    action: Doing,
    /// The thing, in the words of a registry file.
    is: Map<String, Json>,
    differences: Vec<Difference>,
}

impl Past {
    pub(super) fn clock(&self) -> u64 {
        self.clock
    }
}

impl Desk {
    /// Changes, the latest first; of one thing of this id or name, or of all.
    pub fn history(
        &self,
        database: &mut Database,
        object: Option<&str>,
        (before, limit): (Option<u64>, u32),
    ) -> Result<Vec<Event>, Refused> {
        Ok(self.events(database, object, (before, limit))?)
    }

    pub(super) fn events(
        &self,
        database: &mut Database,
        object: Option<&str>,
        (before, limit): (Option<u64>, u32),
    ) -> Result<Vec<Event>, Refusal> {
        self.who.may(Permission::AuditRead)?;
        let (all, state) = self.changed(database, object, &Resource::ALL, (before, limit))?;
        let names = self.names(&state, &all);
        let mut events: Vec<Event> = Vec::new();
        for changed in all {
            let (clock, at_us, by) =
                (changed.now.seq, changed.now.changed_us, changed.now.changed_by.clone());
            let happening = Happening {
                action: doing(&changed),
                kind: changed.kind.clone(),
                id: changed.id,
                name: changed.now.name.clone(),
                organization: changed.organization,
                version: changed.now.version,
                differences: made_different(&changed, &names),
            };
            match events.last_mut().filter(|event| event.clock == clock) {
                Some(event) => event.changes.push(happening),
                None => events.push(Event { clock, at_us, by, changes: vec![happening] }),
            }
        }
        Ok(events)
    }

    /// The versions of one thing, the latest first.
    pub(super) fn versions(
        &self,
        database: &mut Database,
        resource: Resource,
        (wanted, before, limit): (&str, Option<u64>, u32),
    ) -> Result<Vec<Past>, Refusal> {
        let (all, state) = self.changed(database, Some(wanted), &[resource], (before, limit))?;
        if all.is_empty() && before.is_none() {
            return Err(Refusal::not_found(resource.shown(), wanted));
        }
        let names = self.names(&state, &all);
        let past = all.into_iter().map(|changed| Past {
            version: changed.now.version,
            clock: changed.now.seq,
            at_us: changed.now.changed_us,
            by: changed.now.changed_by.clone(),
            action: doing(&changed),
            is: entry(&now(&changed), &names),
            differences: made_different(&changed, &names),
        });
        Ok(past.collect())
    }

    fn changed(
        &self,
        database: &mut Database,
        object: Option<&str>,
        resources: &[Resource],
        (before, limit): (Option<u64>, u32),
    ) -> Result<(Vec<Changed>, State), Refusal> {
        let mut look = database.look(self.tenancy());
        let state = State::read(&mut look)?;
        let object = object.map(|wanted| self.meant_by(&state, wanted, resources)).transpose()?;
        let kinds: Vec<&str> = resources.iter().map(|resource| resource.kind()).collect();
        Ok((look.history(&kinds, &HistoryQuery { object, before, limit })?, state))
    }

    /// The id of what is called so; an id may be that of something that has ended.
    fn meant_by(&self, state: &State, wanted: &str, resources: &[Resource]) -> Result<Uuid, Refusal> {
        if let Ok(id) = Uuid::parse_str(wanted) {
            return Ok(id);
        }
        let mut found = Vec::new();
        let mut refused = None;
        for resource in resources {
            match state.find(&self.finder(*resource), wanted) {
                Ok(known) => found.push(known),
                Err(refusal) => refused = refused.or(Some(refusal).filter(|refusal| !refusal.is_not_found())),
            }
        }
        match (found.as_slice(), refused) {
            ([known], _) => Ok(known.thing.id),
            ([], Some(refusal)) => Err(refusal),
            ([], None) => Err(Refusal::not_found("thing", wanted)),
            ([_, _, ..], _) => {
                let message = "several things have this name; use an id";
                Err(Refusal::new(http::StatusCode::CONFLICT, "name_ambiguous", message))
            }
        }
    }

    /// The names that parts have, or had last.
    fn names(&self, state: &State, all: &[Changed]) -> Names {
        let mut entities: HashMap<Uuid, _> = HashMap::new();
        // The latest come first.
        let past = all.iter().filter_map(|changed| store::entity_of(&now(changed)));
        for entity in past {
            entities.entry(entity.id).or_insert(entity);
        }
        let mut entities: Vec<_> = entities.into_values().collect();
        entities.extend(self.entities(state));
        Names::new(&entities)
    }
}

fn doing(changed: &Changed) -> Doing {
    match (&changed.before, changed.was_deleted) {
        (_, _) if changed.now.deleted => Doing::End,
        (None, _) => Doing::Create,
        (Some(_), true) => Doing::Revive,
        (Some(_), false) => Doing::Change,
    }
}

fn made_different(changed: &Changed, names: &Names) -> Vec<Difference> {
    if changed.now.deleted {
        return Vec::new();
    }
    let before = changed.before.as_ref().map(|(name, parent, body)| {
        let mut object = now(changed);
        (object.name, object.parent, object.body) = (name.clone(), *parent, body.clone());
        entry(&object, names)
    });
    differences(&before.unwrap_or_default(), &entry(&now(changed), names))
}

/// The object as it was made to be.
fn now(changed: &Changed) -> Object {
    Object {
        id: changed.id,
        kind: changed.kind.clone(),
        organization: changed.organization,
        parent: changed.now.parent,
        name: changed.now.name.clone(),
        body: changed.now.body.clone(),
        version: changed.now.version,
        seq: changed.now.seq,
        created_us: 0,
        updated_us: changed.now.changed_us,
        deleted_us: None,
    }
}

/// In the words of a registry file; a key's first characters tell of another secret.
fn entry(object: &Object, names: &Names) -> Map<String, Json> {
    let Some(known) = Known::of(object.clone()) else { return Map::new() };
    let mut members = names.entry(&Form::of(&known.thing));
    if let Is::Key(key) = &known.thing.is {
        members.insert("hint".to_owned(), key.hint.clone().into());
    }
    members
}

//! What a registry file says of things.

use std::collections::{HashMap, HashSet};

use policy::{
    principal::{Entity, EntityKind, Settings},
    role::RoleName,
};
use serde_json::{Map, Value as Json, json};
use uuid::Uuid;

use super::super::{
    examine::Sound,
    find::{Is, Thing},
    resource::Resource,
};
use super::{
    desk::Desk,
    file::section,
    state::{Known, State},
};

/// The names by which parts are referred to.
pub(super) struct Names {
    by_id: HashMap<Uuid, (EntityKind, Option<Uuid>, String)>,
    twins: HashSet<(EntityKind, Option<Uuid>, String)>,
}

/// What of a thing a file says.
pub(super) struct Form<'f> {
    pub(super) name: &'f str,
    pub(super) organization: Option<Uuid>,
    pub(super) parent: Option<Uuid>,
    pub(super) role: Option<RoleName>,
    pub(super) expires_us: Option<i64>,
    pub(super) settings: &'f Settings,
}

impl Names {
    /// Of parts with one id the last is taken.
    pub(super) fn new<'e>(entities: impl IntoIterator<Item = &'e Entity>) -> Names {
        let mut by_id = HashMap::new();
        for entity in entities {
            by_id.insert(entity.id, (entity.kind, entity.organization, entity.name.clone()));
        }
        let mut seen = HashSet::new();
        let twins = by_id.values().filter(|name| !seen.insert((*name).clone())).cloned().collect();
        Names { by_id, twins }
    }

    /// A name, or an id where a name does not tell.
    pub(super) fn written(&self, id: Uuid) -> String {
        match self.by_id.get(&id) {
            Some(name) if !self.twins.contains(name) => name.2.clone(),
            Some(_) | None => id.to_string(),
        }
    }

    /// The members that say where something stands.
    fn stand(&self, organization: Option<Uuid>, parent: Option<Uuid>) -> Map<String, Json> {
        let mut members = Map::new();
        if let Some(organization) = organization {
            members.insert("organization".to_owned(), self.written(organization).into());
        }
        let below = parent.and_then(|parent| Some((self.by_id.get(&parent)?.0, parent)));
        if let Some((kind, parent)) = below.filter(|(kind, _)| *kind != EntityKind::Organization) {
            members.insert(kind.name().to_owned(), self.written(parent).into());
        }
        members
    }

    /// An entry with its name in it.
    pub(super) fn entry(&self, form: &Form<'_>) -> Map<String, Json> {
        let mut members = Map::new();
        members.insert("name".to_owned(), form.name.into());
        members.extend(self.stand(form.organization, form.parent));
        if let Some(role) = &form.role {
            members.insert("role".to_owned(), json!(role));
        }
        let expires = form.expires_us.and_then(|us| jiff::Timestamp::from_microsecond(us).ok());
        if let Some(expires) = expires {
            members.insert("expires".to_owned(), expires.to_string().into());
        }
        if let Json::Object(settings) = json!(form.settings) {
            members.extend(settings);
        }
        members
    }
}

impl<'f> Form<'f> {
    pub(super) fn of(thing: &'f Thing) -> Form<'f> {
        let (settings, expires_us) = match &thing.is {
            Is::Part { settings, .. } => (&**settings, None),
            Is::Key(key) => (&key.settings, key.expires_us),
        };
        Form {
            name: &thing.name,
            organization: thing.organization,
            parent: thing.parent,
            role: thing.role(),
            expires_us,
            settings,
        }
    }

    pub(super) fn wanted(sound: &'f Sound) -> Form<'f> {
        Form {
            name: &sound.name,
            organization: sound.organization,
            parent: sound.parent,
            role: sound.role.clone(),
            expires_us: sound.expires_us,
            settings: &sound.settings,
        }
    }
}

impl Desk {
    /// All things as a file, in the order of their names.
    pub(super) fn written(&self, state: &State) -> Json {
        let names = Names::new(&self.entities(state));
        let mut file = Map::new();
        for resource in Resource::ALL {
            let mut known: Vec<&Known> = state.of_kind(resource).collect();
            known.sort_by_cached_key(|known| {
                let organization = known.thing.organization.map(|id| names.written(id));
                (known.thing.name.clone(), organization, known.thing.id)
            });
            let entries = known.iter().map(|known| {
                let mut entry = Map::new();
                entry.insert("id".to_owned(), json!(known.thing.id));
                entry.extend(names.entry(&Form::of(&known.thing)));
                (*known, entry)
            });
            let section_of = match resource {
                Resource::Key => Json::Array(entries.map(|(_, entry)| entry.into()).collect()),
                Resource::Part(_) => Json::Object(labelled(entries, &names)),
            };
            if !known.is_empty() {
                file.insert(section(resource), section_of);
            }
        }
        Json::Object(file)
    }
}

/// Under their names; those that share one with others have their organization before it.
fn labelled<'k>(
    entries: impl Iterator<Item = (&'k Known, Map<String, Json>)>,
    names: &Names,
) -> Map<String, Json> {
    let mut all = Map::new();
    for (known, mut entry) in entries {
        let name = known.thing.name.clone();
        let organization = known.thing.organization.map(|id| names.written(id));
        let shared = format!("{}/{name}", organization.unwrap_or_default());
        let free = [name.clone(), shared, known.thing.id.to_string()];
        let label = free.into_iter().find(|label| !all.contains_key(label)).unwrap_or_default();
        if label == name {
            entry.shift_remove("name");
        }
        all.insert(label, Json::Object(entry));
    }
    all
}

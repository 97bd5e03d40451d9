//! Finds things by id or name, in the file and in the registry, where their caller may see them.

use std::{collections::HashMap, sync::Arc};

use http::StatusCode;
use policy::{
    key::{Key, Owner},
    principal::{Entity, EntityKind, Settings, Stand},
    role::RoleName,
};
use store::{Database, Object, Query, Tenancy, Transaction};
use uuid::Uuid;

use super::{
    Reply, bodies,
    bodies::{Part, State},
    refusal::Refusal,
    resource::Resource,
    who::Who,
};
use crate::world::World;

/// One of the things that callers see.
#[derive(Clone, Debug)]
pub(super) struct Thing {
    pub(super) id: Uuid,
    pub(super) name: String,
    pub(super) organization: Option<Uuid>,
    pub(super) parent: Option<Uuid>,
    pub(super) state: State,
    pub(super) is: Is,
}

#[derive(Clone, Debug)]
pub(super) enum Is {
    Part { deleted_us: Option<i64>, settings: Box<Settings> },
    Key(Box<Key>),
}

/// What finding needs: who looks for which kind of thing, under which configuration.
#[derive(Clone)]
pub(super) struct Finder {
    pub(super) who: Who,
    pub(super) world: Arc<World>,
    pub(super) resource: Resource,
}

/// What it is that things stand below.
pub(super) type Kinds = HashMap<Uuid, EntityKind>;

impl Finder {
    /// What the file owns of this kind and the caller may see, by name.
    pub(super) fn of_file(&self) -> Vec<Thing> {
        let snapshot = &self.world.snapshot;
        let mut things: Vec<Thing> = match self.resource {
            Resource::Part(kind) => {
                let entities = snapshot.entities.iter().filter(|entity| entity.kind == kind);
                entities.map(Thing::of_entity).collect()
            }
            Resource::Key => snapshot.keys.iter().map(|file| Thing::of_file_key(&file.key)).collect(),
        };
        things.retain(|thing| self.sees(thing.id, thing.organization));
        things.sort_by(|one, other| one.name.cmp(&other.name));
        things
    }

    /// Whether the caller may know of it. An organization is part of itself.
    pub(super) fn sees(&self, id: Uuid, organization: Option<Uuid>) -> bool {
        let own = self.who.organization;
        own.is_none() || own == organization || (self.is_organization() && own == Some(id))
    }

    pub(super) fn is_organization(&self) -> bool {
        self.resource == Resource::Part(EntityKind::Organization)
    }

    /// The thing of this id or name.
    pub(super) fn find(&self, database: &mut Database, wanted: &str) -> Result<Thing, Refusal> {
        let id = Uuid::parse_str(wanted).ok();
        let fits = |thing: &Thing| id.map_or(thing.name == wanted, |id| thing.id == id);
        let mut found: Vec<Thing> = self.of_file().into_iter().filter(fits).collect();
        match id {
            Some(id) => {
                let object = database.object(self.tenancy(), id)?;
                found.extend(object.as_ref().filter(|found| self.is_mine(found)).map(Thing::of_object));
            }
            None => {
                let name = Some(wanted.to_owned());
                let query =
                    Query { kind: self.resource.kind().to_owned(), name, limit: 500, ..Query::default() };
                let objects = database.objects(self.tenancy(), &query)?;
                found.extend(objects.iter().filter(|object| self.is_mine(object)).map(Thing::of_object));
            }
        }
        // Of several, a name alone means the one of no organization.
        if found.len() > 1 && found.iter().any(|thing| thing.organization.is_none()) {
            found.retain(|thing| thing.organization.is_none());
        }
        let several = found.len() > 1;
        let found =
            found.into_iter().next().ok_or_else(|| Refusal::not_found(self.resource.shown(), wanted))?;
        if several {
            let shown = self.resource.shown();
            let message = format!("several organizations have a {shown} of this name; use its id");
            return Err(Refusal::new(StatusCode::CONFLICT, "name_ambiguous", message));
        }
        Ok(found)
    }

    /// Organizations stand in no organization, so that their callers are told apart here.
    pub(super) fn tenancy(&self) -> Tenancy {
        if self.is_organization() { Tenancy::All } else { self.who.tenancy() }
    }

    pub(super) fn is_mine(&self, object: &Object) -> bool {
        object.kind == self.resource.kind() && self.sees(object.id, object.organization)
    }

    /// What the things stand below, for those of the file and of the registry.
    pub(super) fn kinds(&self, database: &mut Database, things: &[Thing]) -> Result<Kinds, Refusal> {
        let mut kinds = self.kinds_of_file();
        for parent in things.iter().filter_map(|thing| thing.parent) {
            if kinds.contains_key(&parent) {
                continue;
            }
            let object = database.object(Tenancy::All, parent)?;
            let kind = object.and_then(|object| kind_named(&object.kind));
            kinds.extend(kind.map(|kind| (parent, kind)));
        }
        Ok(kinds)
    }

    /// The same while changes are made.
    pub(super) fn kinds_of_file(&self) -> Kinds {
        self.world.snapshot.entities.iter().map(|entity| (entity.id, entity.kind)).collect()
    }

    /// The thing as the registry has it while nobody else writes.
    pub(super) fn reread(&self, transaction: &mut Transaction<'_>, id: Uuid) -> Result<Thing, Refusal> {
        let object = transaction.object(self.resource.kind(), id)?;
        let object = object.filter(|object| self.is_mine(object));
        object
            .as_ref()
            .map(Thing::of_object)
            .ok_or_else(|| Refusal::not_found(self.resource.shown(), &id.to_string()))
    }
}

fn kind_named(name: &str) -> Option<EntityKind> {
    EntityKind::ALL.into_iter().find(|kind| kind.name() == name)
}

impl Thing {
    pub(super) fn of_entity(entity: &Entity) -> Thing {
        Thing {
            id: entity.id,
            name: entity.name.clone(),
            organization: entity.organization,
            parent: entity.parent,
            state: State { owner: entity.owner, version: 0, created_us: 0, updated_us: 0 },
            is: Is::Part { deleted_us: None, settings: Box::new(entity.settings.clone()) },
        }
    }

    fn of_file_key(key: &Key) -> Thing {
        Thing {
            id: key.id,
            name: key.name.clone(),
            organization: key.organization,
            parent: key.parent,
            state: State { owner: Owner::File, version: 0, created_us: 0, updated_us: 0 },
            is: Is::Key(Box::new(key.clone())),
        }
    }

    pub(super) fn of_object(object: &Object) -> Thing {
        let is = match store::entity_of(object) {
            Some(entity) => Is::Part { deleted_us: object.deleted_us, settings: Box::new(entity.settings) },
            None => Is::Key(Box::new(store::key_of(object))),
        };
        let (created_us, updated_us) = (object.created_us, object.updated_us);
        Thing {
            id: object.id,
            name: object.name.clone(),
            organization: object.organization,
            parent: object.parent,
            state: State { owner: Owner::Registry, version: object.version, created_us, updated_us },
            is,
        }
    }

    /// What it may administer, where it is a key that opens the admin API.
    pub(super) fn role(&self) -> Option<RoleName> {
        match &self.is {
            Is::Part { .. } => None,
            Is::Key(key) => policy::role::of_key(key),
        }
    }

    pub(super) fn is_of_file(&self) -> bool {
        self.state.owner == Owner::File
    }

    pub(super) fn stand(&self, kinds: &Kinds) -> Stand {
        let below = |kind: EntityKind| self.parent.filter(|parent| kinds.get(parent) == Some(&kind));
        Stand {
            organization: self.organization,
            team: below(EntityKind::Team),
            project: below(EntityKind::Project),
            user: below(EntityKind::User),
            service_account: below(EntityKind::ServiceAccount),
        }
    }

    pub(super) fn shown(&self, kinds: &Kinds) -> Shown {
        let (id, name, stand, state) = (self.id, self.name.clone(), self.stand(kinds), self.state.clone());
        match &self.is {
            Is::Part { deleted_us, settings } => {
                let (deleted_us, settings) = (*deleted_us, settings.clone());
                Shown::Part(Box::new(Part { id, name, stand, state, deleted_us, settings: *settings }))
            }
            Is::Key(key) => Shown::Key(Box::new(bodies::Key {
                id,
                name,
                stand,
                state,
                scope: key.scope,
                role: self.role(),
                hint: key.hint.clone(),
                expires_us: key.expires_us,
                revoked_us: key.revoked_us,
                last_used_us: None,
                settings: key.settings.clone(),
            })),
        }
    }
}

/// A thing as it is answered.
#[derive(Clone, Debug, serde::Serialize)]
#[serde(untagged)]
pub(super) enum Shown {
    Part(Box<Part>),
    Key(Box<bodies::Key>),
    /// A key that was just made, or has another secret.
    New(Box<bodies::KeyWithSecret>),
}

impl Shown {
    /// The same keys with when they were last used.
    pub(super) fn with_uses(mut all: Vec<Shown>, database: &mut Database) -> Result<Vec<Shown>, Refusal> {
        let mut keys: Vec<&mut bodies::Key> = all
            .iter_mut()
            .filter_map(|shown| match shown {
                Shown::Key(key) => Some(&mut **key),
                Shown::Part(_) | Shown::New(_) => None,
            })
            .collect();
        let ids: Vec<Uuid> = keys.iter().map(|key| key.id).collect();
        let used = database.last_used(&ids)?;
        for key in &mut keys {
            key.last_used_us = used.get(&key.id).copied();
        }
        Ok(all)
    }

    pub(super) fn reply(&self, status: StatusCode) -> Reply {
        let version = match self {
            Shown::Part(part) => part.state.version,
            Shown::Key(key) => key.state.version,
            Shown::New(key) => key.of.state.version,
        };
        let reply = Reply::json(status, self);
        // What the file owns has no versions.
        if version == 0 { reply } else { reply.with("etag", format!("\"{version}\"")) }
    }
}

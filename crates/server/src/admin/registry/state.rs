//! The registry as it is, with what the configuration file owns beside it.

use std::collections::HashMap;

use http::StatusCode;
use policy::principal::{Entity, EntityKind};
use store::{Look, Object, Tenancy};
use uuid::Uuid;

use super::super::{
    examine::owned_by_file,
    find::{Finder, Thing},
    refusal::Refusal,
    resource::Resource,
};
use super::desk::Desk;

/// What tells a thing from all others: its kind, its organization and its name.
pub(super) type Name = (&'static str, Option<Uuid>, String);

/// A thing of the registry.
#[derive(Clone, Debug)]
pub(super) struct Known {
    pub(super) resource: Resource,
    pub(super) thing: Thing,
    pub(super) object: Object,
}

/// All that somebody may see of it.
pub(super) struct State {
    pub(super) clock: u64,
    pub(super) known: Vec<Known>,
    /// What is of other kinds.
    pub(super) others: Vec<Object>,
    by_id: HashMap<Uuid, usize>,
    by_name: HashMap<Name, usize>,
}

impl Known {
    /// Nothing where it is of another kind.
    pub(super) fn of(object: Object) -> Option<Known> {
        let resource = Resource::ALL.into_iter().find(|resource| resource.kind() == object.kind)?;
        Some(Known { resource, thing: Thing::of_object(&object), object })
    }

    pub(super) fn name(&self) -> Name {
        (self.resource.kind(), self.thing.organization, self.thing.name.clone())
    }

    /// As in a sentence.
    pub(super) fn shown(&self) -> String {
        format!("{} \"{}\"", self.resource.shown(), self.thing.name)
    }

    /// The part that it is; nothing where it is a key.
    pub(super) fn entity(&self) -> Option<Entity> {
        store::entity_of(&self.object)
    }
}

impl State {
    pub(super) fn read(look: &mut Look<'_>) -> Result<State, store::Error> {
        let (objects, clock) = look.all()?;
        let mut state = State {
            clock,
            known: Vec::with_capacity(objects.len()),
            others: Vec::new(),
            by_id: HashMap::new(),
            by_name: HashMap::new(),
        };
        for object in objects {
            match Known::of(object.clone()) {
                Some(known) => {
                    state.by_id.insert(object.id, state.known.len());
                    state.by_name.insert(known.name(), state.known.len());
                    state.known.push(known);
                }
                None => state.others.push(object),
            }
        }
        Ok(state)
    }

    pub(super) fn by_id(&self, id: Uuid) -> Option<&Known> {
        self.known.get(*self.by_id.get(&id)?)
    }

    pub(super) fn by_name(&self, name: &Name) -> Option<&Known> {
        self.known.get(*self.by_name.get(name)?)
    }

    pub(super) fn of_kind(&self, resource: Resource) -> impl Iterator<Item = &Known> {
        self.known.iter().filter(move |known| known.resource == resource)
    }

    /// The registry's thing of this id or name.
    pub(super) fn find(&self, finder: &Finder, wanted: &str) -> Result<&Known, Refusal> {
        let id = Uuid::parse_str(wanted).ok();
        let fits = |thing: &Thing| id.map_or(thing.name == wanted, |id| thing.id == id);
        if let Some(thing) = finder.of_file().iter().find(|thing| fits(thing)) {
            return Err(owned_by_file(finder, thing));
        }
        let mut found: Vec<&Known> =
            self.of_kind(finder.resource).filter(|known| fits(&known.thing)).collect();
        // Of several, a name alone means the one of no organization.
        if found.len() > 1 && found.iter().any(|known| known.thing.organization.is_none()) {
            found.retain(|known| known.thing.organization.is_none());
        }
        match found.as_slice() {
            [found] => Ok(found),
            [] => Err(Refusal::not_found(finder.resource.shown(), wanted)),
            [_, _, ..] => {
                let shown = finder.resource.shown();
                let message = format!("several organizations have a {shown} of this name; use its id");
                Err(Refusal::new(StatusCode::CONFLICT, "name_ambiguous", message))
            }
        }
    }
}

impl Desk {
    /// Whose things are looked at.
    pub(super) fn tenancy(&self) -> Tenancy {
        self.within.map_or(Tenancy::All, Tenancy::Organization)
    }

    pub(super) fn finder(&self, resource: Resource) -> Finder {
        Finder { who: self.who.clone(), world: std::sync::Arc::clone(&self.world), resource }
    }

    /// What stands in the file and in the registry, the file's first.
    pub(super) fn entities(&self, state: &State) -> Vec<Entity> {
        let mut entities = self.world.snapshot.entities.clone();
        entities.extend(state.known.iter().filter_map(Known::entity));
        entities
    }

    /// Whether it may be changed here: it is in the organization that was asked for, or that organization itself.
    pub(super) fn is_within(&self, resource: Resource, id: Uuid, organization: Option<Uuid>) -> bool {
        let is_itself = resource == Resource::Part(EntityKind::Organization) && self.within == Some(id);
        self.within.is_none() || self.within == organization || is_itself
    }
}

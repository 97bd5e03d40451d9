//! What takes the registry back to what it was. History is not rewritten: this is a change like others.

use policy::principal::EntityKind;
use store::{HistoryQuery, Look, Object};
use uuid::Uuid;

use super::super::{
    examine::Sound,
    find::{Is, Thing},
    refusal::{Refusal, Wrong},
    resource::Resource,
};
use super::{
    file::section,
    plan::{Doing, Planner, Work},
    state::Known,
};

/// The most versions of one thing that are looked at.
const VERSIONS_MAX: u32 = 10_000;

impl Planner<'_> {
    /// What it was when the clock stood so.
    pub(super) fn back_to_clock(&mut self, clock: u64, look: &mut Look<'_>) -> Result<(), Refusal> {
        if clock == 0 || clock > self.state.clock {
            let message = format!("must be from 1 to {}, at which the clock stands", self.state.clock);
            self.wrong.push(Wrong::new("clock", message));
            return Ok(());
        }
        let past = look.at(clock)?;
        let mut changed: Vec<Known> = look.changed_since(clock)?.into_iter().filter_map(Known::of).collect();
        // The upper parts come first.
        let rank = |known: &Known| Resource::ALL.into_iter().position(|resource| resource == known.resource);
        changed.sort_by_key(|known| (rank(known), known.object.created_us, known.thing.id));
        for now in changed {
            let was = past.iter().find(|was| was.id == now.thing.id && was.deleted_us.is_none());
            let is_itself = self.desk.within == Some(now.thing.id);
            if is_itself && (was.is_none() || self.desk.who.organization.is_some()) {
                self.notes.push(format!("{} itself stays as it is", now.shown()));
                continue;
            }
            match (was, now.object.deleted_us.is_some()) {
                (None, true) => {}
                (None, false) => self.end(now),
                (Some(was), _) => self.back(was, now),
            }
        }
        Ok(())
    }

    /// What one thing was in one of its versions.
    pub(super) fn back_to_version(
        &mut self,
        (resource, id): (Resource, Uuid),
        version: u64,
        look: &mut Look<'_>,
    ) -> Result<(), Refusal> {
        let absent = || Refusal::not_found(resource.shown(), &id.to_string());
        let found = look.object(self.desk.tenancy(), id)?.and_then(Known::of);
        let now = found.filter(|known| known.resource == resource).ok_or_else(absent)?;
        let query = HistoryQuery { object: Some(id), before: None, limit: VERSIONS_MAX };
        let all = look.history(&[resource.kind()], &query)?;
        let Some(was) = all.into_iter().find(|was| was.now.version == version) else {
            self.wrong.push(Wrong::new("version", format!("there is no version {version} of it")));
            return Ok(());
        };
        if was.now.deleted {
            let message = format!("in version {version} it had ended; end it instead");
            self.wrong.push(Wrong::new("version", message));
            return Ok(());
        }
        let was = Object {
            name: was.now.name,
            parent: was.now.parent,
            body: was.now.body,
            deleted_us: None,
            ..now.object.clone()
        };
        self.back(&was, now);
        Ok(())
    }

    fn back(&mut self, was: &Object, now: Known) {
        let ended = now.object.deleted_us.is_some();
        if ended && now.resource == Resource::Key {
            let shown = now.shown();
            self.notes.push(format!(
                "{shown} has ended and stays so, since ended keys never open again; make another"
            ));
            return;
        }
        let thing = Thing::of_object(was);
        let (settings, role, expires_us) = match &thing.is {
            Is::Part { settings, .. } => ((**settings).clone(), None, None),
            Is::Key(key) => (key.settings.clone(), thing.role(), key.expires_us),
        };
        let sound = Sound {
            name: thing.name.clone(),
            organization: thing.organization,
            parent: thing.parent,
            role,
            expires_us,
            settings,
        };
        let doing = if ended { Doing::Revive } else { Doing::Change };
        let (resource, id) = (now.resource, now.thing.id);
        let path = format!("{}.{}", section(resource), thing.name);
        self.put(Work { doing, resource, id, path, has_id: true, before: Some(now), sound: Some(sound) });
    }
}

impl Resource {
    /// The kind of this name, as `service_account`.
    pub(super) fn named(kind: &str) -> Option<Resource> {
        Resource::ALL.into_iter().find(|resource| resource.kind() == kind)
    }

    pub(super) fn organization() -> Resource {
        Resource::Part(EntityKind::Organization)
    }
}

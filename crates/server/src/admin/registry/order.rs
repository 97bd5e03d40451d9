//! The order in which changes can be made: each needs what it stands below, and a name that is free.

use std::collections::{HashMap, HashSet};

use http::StatusCode;
use policy::principal::Entity;
use uuid::Uuid;

use super::super::{refusal::Refusal, resource::Resource};
use super::{
    plan::{Doing, Work},
    state::{Known, Name, State},
};

/// How many things a refusal names.
const NAMED_MAX: usize = 5;

/// The registry while changes are made one after the other.
struct Progress<'s> {
    state: &'s State,
    /// What is in the configuration file.
    outside: HashSet<Uuid>,
    /// Where each thing stands: its organization and what it is below.
    live: HashMap<Uuid, (Option<Uuid>, Option<Uuid>)>,
    /// How many belong to each.
    below: HashMap<Uuid, usize>,
    names: HashMap<Name, Uuid>,
    name_of: HashMap<Uuid, Name>,
}

/// Puts works into an order in which each can be done.
pub(super) fn ordered(works: Vec<Work>, state: &State, of_file: &[Entity]) -> Result<Vec<Work>, Refusal> {
    let mut progress = Progress::new(state, of_file);
    let (ends, mut pending): (Vec<Work>, Vec<Work>) =
        works.into_iter().partition(|work| work.doing == Doing::End);
    // The lower parts end first.
    pending.extend(ends.into_iter().rev());
    let mut done = Vec::with_capacity(pending.len());
    while !pending.is_empty() {
        let before = done.len();
        let mut left = Vec::new();
        for work in pending {
            if progress.is_possible(&work) {
                progress.make(&work);
                done.push(work);
            } else {
                left.push(work);
            }
        }
        pending = left;
        if done.len() == before {
            return Err(progress.stuck(&pending));
        }
    }
    Ok(done)
}

impl<'s> Progress<'s> {
    fn new(state: &'s State, of_file: &[Entity]) -> Progress<'s> {
        let mut progress = Progress {
            state,
            outside: of_file.iter().map(|entity| entity.id).collect(),
            live: HashMap::new(),
            below: HashMap::new(),
            names: HashMap::new(),
            name_of: HashMap::new(),
        };
        for object in &state.others {
            progress.stand(object.id, (object.organization, object.parent));
        }
        for known in &state.known {
            progress.stand(known.thing.id, (known.thing.organization, known.thing.parent));
            progress.call(known.thing.id, known.name());
        }
        progress
    }

    fn stand(&mut self, id: Uuid, place: (Option<Uuid>, Option<Uuid>)) {
        self.leave(id);
        for above in [place.0, place.1].into_iter().flatten() {
            *self.below.entry(above).or_default() += 1;
        }
        self.live.insert(id, place);
    }

    fn leave(&mut self, id: Uuid) {
        let Some((organization, parent)) = self.live.remove(&id) else { return };
        for above in [organization, parent].into_iter().flatten() {
            if let Some(count) = self.below.get_mut(&above) {
                *count = count.saturating_sub(1);
            }
        }
    }

    fn call(&mut self, id: Uuid, name: Name) {
        self.forget(id);
        self.names.insert(name.clone(), id);
        self.name_of.insert(id, name);
    }

    fn forget(&mut self, id: Uuid) {
        if let Some(name) = self.name_of.remove(&id) {
            self.names.remove(&name);
        }
    }

    fn is_possible(&self, work: &Work) -> bool {
        let Some(sound) = &work.sound else {
            return self.below.get(&work.id).copied().unwrap_or_default() == 0;
        };
        let is_there = |above: Option<Uuid>| {
            above.is_none_or(|above| self.live.contains_key(&above) || self.outside.contains(&above))
        };
        let name: Name = (work.resource.kind(), sound.organization, sound.name.clone());
        let is_free = self.names.get(&name).is_none_or(|holder| *holder == work.id);
        // What has lost its organization stays as it is.
        let organization = sound.organization.filter(|_| work.doing != Doing::Change);
        is_there(sound.parent) && is_there(organization) && is_free
    }

    fn make(&mut self, work: &Work) {
        match &work.sound {
            Some(sound) => {
                self.stand(work.id, (sound.organization, sound.parent));
                self.call(work.id, (work.resource.kind(), sound.organization, sound.name.clone()));
            }
            None => {
                self.leave(work.id);
                self.forget(work.id);
            }
        }
    }

    fn stuck(&self, pending: &[Work]) -> Refusal {
        let reasons: Vec<String> = pending.iter().take(NAMED_MAX).map(|work| self.reason(work)).collect();
        let code = if pending.iter().any(|work| work.sound.is_none()) { "in_use" } else { "no_order" };
        Refusal::new(StatusCode::CONFLICT, code, reasons.join("; "))
    }

    fn reason(&self, work: &Work) -> String {
        let shown = work.resource.shown();
        let Some(sound) = &work.sound else {
            let name = work.before.as_ref().map_or("", |known| &known.thing.name);
            return format!(
                "{shown} \"{name}\" cannot end: these belong to it: {}; end them first",
                self.users(work.id)
            );
        };
        let name: Name = (work.resource.kind(), sound.organization, sound.name.clone());
        if self.names.get(&name).is_some_and(|holder| *holder != work.id) {
            let name = &sound.name;
            return format!(
                "{shown} cannot be called \"{name}\" while another is; give one of them a third name first, in a change of \
                 its own"
            );
        }
        format!("what {shown} \"{}\" stands below is not there; bring that back first", sound.name)
    }

    fn users(&self, id: Uuid) -> String {
        let belongs = |id_of: &Uuid| {
            let place = self.live.get(id_of);
            place.is_some_and(|(organization, parent)| *organization == Some(id) || *parent == Some(id))
        };
        let known = self.state.known.iter().filter(|known| belongs(&known.thing.id)).map(Known::shown);
        let others = self.state.others.iter().filter(|object| belongs(&object.id));
        let others = others.map(|object| format!("{} \"{}\"", object.kind.replace('_', " "), object.name));
        let mut all: Vec<String> = known.chain(others).take(NAMED_MAX + 1).collect();
        if all.len() > NAMED_MAX {
            all.truncate(NAMED_MAX);
            all.push("and more".to_owned());
        }
        all.join(", ")
    }
}

impl Resource {
    /// Whether it has a secret.
    pub(super) fn is_key(self) -> bool {
        match self {
            Resource::Key => true,
            Resource::Part(_) => false,
        }
    }
}

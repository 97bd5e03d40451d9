//! What is to be changed so that the registry says what somebody wants.

use std::collections::{HashMap, HashSet};

use policy::{
    key::Owner,
    principal::{Directory, Entity, Problem},
};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Map;
use store::{Look, Tenancy};
use uuid::Uuid;

use super::super::{
    examine::{Examiner, Sound, draft, key, owned_by_file},
    refusal::{Refusal, Wrong},
    resource::Resource,
};
use super::{
    desk::Desk,
    difference::{Difference, differences},
    export::{Form, Names},
    file::{Entry, joined},
    order::ordered,
    state::{Known, Name, State},
};

/// After so many problems no more are looked for.
const WRONG_MAX: usize = 100;
/// The most entries that one file has: each is held against all others.
const ENTRIES_MAX: usize = 10_000;

/// What becomes of a thing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Doing {
    Create,
    Change,
    End,
    /// It had ended, and goes on under its id.
    Revive,
}

/// One change.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[schemars(rename = "PlanStep")]
pub struct Step {
    pub action: Doing,
    /// As `service_account`.
    pub kind: &'static str,
    /// Nothing for what is not made yet.
    pub id: Option<Uuid>,
    pub name: String,
    pub organization: Option<String>,
    pub differences: Vec<Difference>,
}

/// Something that stays as it is although the file does not have it.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct LeftAlone {
    pub kind: &'static str,
    pub id: Uuid,
    pub name: String,
    pub organization: Option<String>,
}

/// What would be changed.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Plan {
    /// How the registry's clock stood when it was made.
    pub clock: u64,
    /// In the order in which they are made.
    pub changes: Vec<Step>,
    /// What the registry has and the file has not.
    pub left_alone: Vec<LeftAlone>,
    /// What cannot be done, or is not.
    pub notes: Vec<String>,
}

/// A plan that was carried out.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "AppliedPlan")]
pub struct Done {
    /// Its clock is that of these changes.
    #[serde(flatten)]
    pub plan: Plan,
    /// The keys that were made.
    pub keys: Vec<NewSecret>,
}

/// A key that was made.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "MadeKey")]
pub struct NewSecret {
    pub id: Uuid,
    pub name: String,
    pub organization: Option<String>,
    /// The secret itself, this once: nothing where the same request came again.
    pub key: Option<String>,
}

/// One change, with all that it takes.
pub(super) struct Work {
    pub(super) doing: Doing,
    pub(super) resource: Resource,
    pub(super) id: Uuid,
    /// Where the file says it.
    pub(super) path: String,
    /// Whether others than this plan know the id.
    pub(super) has_id: bool,
    pub(super) before: Option<Known>,
    /// Nothing for what is to end.
    pub(super) sound: Option<Sound>,
}

/// A plan, and what it takes to carry it out.
pub(super) struct Planned {
    pub(super) plan: Plan,
    pub(super) works: Vec<Work>,
    pub(super) names: Names,
}

/// Works out what is to be changed.
pub(super) struct Planner<'p> {
    pub(super) desk: &'p Desk,
    pub(super) state: State,
    /// Every part as it will be, the file's first.
    pub(super) entities: Vec<Entity>,
    pub(super) works: Vec<Work>,
    pub(super) wrong: Vec<Wrong>,
    pub(super) notes: Vec<String>,
    left: Vec<Known>,
    claimed: HashSet<Uuid>,
}

impl<'p> Planner<'p> {
    pub(super) fn new(desk: &'p Desk, look: &mut Look<'_>) -> Result<Planner<'p>, Refusal> {
        let state = State::read(look)?;
        Ok(Planner {
            entities: desk.entities(&state),
            desk,
            state,
            works: Vec::new(),
            wrong: Vec::new(),
            notes: Vec::new(),
            left: Vec::new(),
            claimed: HashSet::new(),
        })
    }

    /// What entries want.
    pub(super) fn entries(&mut self, entries: Vec<Entry>, look: &mut Look<'_>) -> Result<(), Refusal> {
        if entries.len() > ENTRIES_MAX {
            let message = format!("has more than {ENTRIES_MAX} entries; make one file of each organization");
            self.wrong.push(Wrong::new("", message));
            return Ok(());
        }
        // Who is named by an id is nobody else's by name.
        for entry in &entries {
            if let Some(id) = entry.id
                && !self.claimed.insert(id)
            {
                self.wrong.push(Wrong::new(joined(&entry.path, "id"), "stands twice; keep one of them"));
            }
        }
        for entry in super::file::in_order(entries) {
            if self.wrong.len() >= WRONG_MAX {
                return Ok(());
            }
            self.entry(entry, look)?;
        }
        Ok(())
    }

    fn entry(&mut self, entry: Entry, look: &mut Look<'_>) -> Result<(), Refusal> {
        let Entry { path, resource, id, members } = entry;
        let read = match draft(resource, members, None) {
            Ok(read) => read,
            Err(refusal) => {
                self.refused(&path, &refusal);
                return Ok(());
            }
        };
        let mut before = match id {
            Some(id) => match self.meant(resource, id, look)? {
                Ok(before) => before,
                Err(message) => {
                    self.wrong.push(Wrong::new(joined(&path, "id"), message));
                    return Ok(());
                }
            },
            None => None,
        };
        let (mut sound, mut wrong) = self.read(resource, read.clone(), before.as_ref());
        if id.is_none() {
            let name: Name = (resource.kind(), sound.organization, sound.name.clone());
            let found = self.state.by_name(&name).filter(|found| !self.claimed.contains(&found.thing.id));
            if let Some(found) = found.cloned() {
                self.claimed.insert(found.thing.id);
                (sound, wrong) = self.read(resource, read, Some(&found));
                before = Some(found);
            }
        }
        let known = before.as_ref().map(|before| before.thing.id);
        let id_of = known.or(id).unwrap_or_else(Uuid::now_v7);
        if wrong.is_empty() && !self.desk.is_within(resource, id_of, sound.organization) {
            wrong.push(Wrong::new("organization", "is not the one that was asked for"));
        }
        self.wrong.extend(
            wrong.into_iter().map(|wrong| Wrong { path: joined(&path, &wrong.path), message: wrong.message }),
        );
        let doing = if before.is_some() { Doing::Change } else { Doing::Create };
        let has_id = known.or(id).is_some();
        self.put(Work { doing, resource, id: id_of, path, has_id, before, sound: Some(sound) });
        Ok(())
    }

    /// The thing of an id that somebody says, or nothing where it can be one of something new.
    fn meant(
        &self,
        resource: Resource,
        id: Uuid,
        look: &mut Look<'_>,
    ) -> Result<Result<Option<Known>, String>, Refusal> {
        if let Some(known) = self.state.by_id(id) {
            return Ok(if known.resource == resource {
                Ok(Some(known.clone()))
            } else {
                Err(format!("is the id of a {}; leave it out", known.resource.shown()))
            });
        }
        // Whoever administers one organization learns nothing of what others have.
        if self.desk.who.organization.is_some() {
            return Ok(Err("is of nothing here; leave it out for something new".to_owned()));
        }
        let snapshot = &self.desk.world.snapshot;
        let of_file = snapshot.entities.iter().map(|entity| entity.id);
        let of_file = of_file.chain(snapshot.keys.iter().map(|file| file.key.id));
        if id.is_nil() || of_file.into_iter().any(|known| known == id) {
            return Ok(Err(
                "is the id of something that the configuration file owns; leave it out".to_owned()
            ));
        }
        Ok(match look.object(Tenancy::All, id)? {
            Some(object) if object.deleted_us.is_some() => {
                Err("is the id of something that has ended; leave it out to make another".to_owned())
            }
            Some(_) => Err("is the id of something else; leave it out".to_owned()),
            None => Ok(None),
        })
    }

    fn read(
        &mut self,
        resource: Resource,
        draft: super::super::bodies::Draft,
        before: Option<&Known>,
    ) -> (Sound, Vec<Wrong>) {
        let finder = self.desk.finder(resource);
        let entities = std::mem::take(&mut self.entities);
        let examiner = Examiner { finder: &finder, entities, before: before.map(|known| &known.thing) };
        let mut wrong = Vec::new();
        let sound = examiner.read(draft, &mut wrong);
        self.entities = examiner.entities;
        (sound, wrong)
    }

    /// Takes a work in; what comes after it sees the parts as it leaves them.
    pub(super) fn put(&mut self, work: Work) {
        let at = self.entities.iter().position(|entity| entity.id == work.id);
        match (entity(&work), at) {
            (Some(entity), Some(at)) => {
                if let Some(place) = self.entities.get_mut(at) {
                    *place = entity;
                }
            }
            (Some(entity), None) => self.entities.push(entity),
            (None, Some(at)) => drop(self.entities.remove(at)),
            (None, None) => {}
        }
        self.works.push(work);
    }

    /// Ends what no entry wants, or leaves it alone.
    pub(super) fn others(&mut self, prune: bool) {
        let others = self.state.known.iter().filter(|known| !self.claimed.contains(&known.thing.id));
        let others: Vec<Known> =
            others.filter(|known| self.desk.within != Some(known.thing.id)).cloned().collect();
        for known in others {
            if prune {
                self.end(known);
            } else {
                self.left.push(known);
            }
        }
    }

    pub(super) fn end(&mut self, known: Known) {
        if known.thing.id == self.desk.who.id {
            self.notes.push(format!("{} asks for this, and does not end itself", known.shown()));
            return;
        }
        let (resource, id) = (known.resource, known.thing.id);
        self.put(Work {
            doing: Doing::End,
            resource,
            id,
            path: String::new(),
            has_id: true,
            before: Some(known),
            sound: None,
        });
    }

    fn refused(&mut self, path: &str, refusal: &Refusal) {
        let (_, message, wrong) = refusal.told();
        if wrong.is_empty() {
            self.wrong.push(Wrong::new(path, message));
        }
        for one in wrong {
            self.wrong.push(Wrong { path: joined(path, &one.path), message: one.message.clone() });
        }
    }

    /// The plan, where all of it holds together and may be carried out by whoever asks.
    pub(super) fn finish(mut self) -> Result<Planned, Refusal> {
        if self.wrong.is_empty() {
            self.check_names();
            self.check_whole();
        }
        if !self.wrong.is_empty() {
            self.wrong.truncate(WRONG_MAX);
            return Err(Refusal::invalid(self.wrong));
        }
        let mut all = self.desk.entities(&self.state);
        all.append(&mut self.entities);
        let names = Names::new(&all);
        let works = std::mem::take(&mut self.works);
        let works = works.into_iter().filter(|work| work.doing != Doing::Change || changes_it(work, &names));
        let works = ordered(works.collect(), &self.state, &self.desk.world.snapshot.entities)?;
        for work in &works {
            self.desk.permit(work)?;
        }
        let left_alone = self.left.iter().map(|known| LeftAlone {
            kind: known.resource.kind(),
            id: known.thing.id,
            name: known.thing.name.clone(),
            organization: known.thing.organization.map(|id| names.written(id)),
        });
        let plan = Plan {
            clock: self.state.clock,
            changes: works.iter().map(|work| step(work, &names)).collect(),
            left_alone: left_alone.collect(),
            notes: self.notes,
        };
        Ok(Planned { plan, works, names })
    }

    /// No two of a kind in one organization, and none that the configuration file owns.
    fn check_names(&mut self) {
        let touched: HashSet<Uuid> = self.works.iter().map(|work| work.id).collect();
        let untouched = self.state.known.iter().filter(|known| !touched.contains(&known.thing.id));
        let mut taken: HashSet<Name> = untouched.map(Known::name).collect();
        let finders = Resource::ALL.map(|resource| self.desk.finder(resource));
        let mut of_file = HashMap::new();
        for finder in &finders {
            for thing in finder.of_file() {
                of_file.insert(
                    (finder.resource.kind(), thing.organization, thing.name.clone()),
                    (finder, thing),
                );
            }
        }
        for work in &self.works {
            let Some(sound) = &work.sound else { continue };
            let name: Name = (work.resource.kind(), sound.organization, sound.name.clone());
            if let Some((finder, thing)) = of_file.get(&name) {
                let refusal = owned_by_file(finder, thing);
                self.wrong.push(Wrong::new(work.path.as_str(), refusal.told().1));
            } else if !taken.insert(name) {
                let shown = work.resource.shown();
                let message =
                    format!("there is a {shown} named \"{}\" already; choose another name", sound.name);
                self.wrong.push(Wrong::new(joined(&work.path, "name"), message));
            }
        }
    }

    /// What the whole would have that is wrong and was not before.
    fn check_whole(&mut self) {
        let (_, earlier) = Directory::new(self.desk.entities(&self.state));
        let (directory, problems) = Directory::new(self.entities.clone());
        let fresh = problems.into_iter().filter(|problem| !earlier.contains(problem));
        let mut wrong: Vec<Wrong> = fresh.map(|problem| self.placed(&problem)).collect();
        for work in &self.works {
            if let (Resource::Key, Some(sound)) = (work.resource, &work.sound) {
                let (_, problems) = directory.principal(&key(sound, work.id));
                let shown =
                    problems.into_iter().map(|one| Wrong::new(joined(&work.path, &one.path), one.message));
                wrong.extend(shown);
            }
        }
        self.wrong.append(&mut wrong);
    }

    fn placed(&self, problem: &Problem) -> Wrong {
        let of = |work: &&Work| {
            let name = work.sound.as_ref().map(|sound| sound.name.as_str());
            work.resource.kind() == problem.kind && name == Some(&problem.name)
        };
        match self.works.iter().find(of).filter(|work| !work.path.is_empty()) {
            // No entry has a member of this name: it says what it stands below by the other's kind.
            Some(work) if problem.path == "parent" => {
                Wrong::new(work.path.as_str(), problem.message.as_str())
            }
            Some(work) => Wrong::new(joined(&work.path, &problem.path), problem.message.as_str()),
            None => {
                let message =
                    format!("{} \"{}\": {}: {}", problem.kind, problem.name, problem.path, problem.message);
                Wrong::new("", message)
            }
        }
    }
}

impl Desk {
    /// Whether whoever asks may do this.
    fn permit(&self, work: &Work) -> Result<(), Refusal> {
        self.who.may(work.resource.write())?;
        if let Some(before) = &work.before {
            self.who.may_give(before.thing.role().as_ref())?;
        }
        if let Some(sound) = &work.sound {
            self.who.may_give(sound.role.as_ref())?;
        }
        Ok(())
    }
}

pub(super) fn entity(work: &Work) -> Option<Entity> {
    let (Resource::Part(kind), Some(sound)) = (work.resource, &work.sound) else { return None };
    Some(Entity {
        id: work.id,
        kind,
        name: sound.name.clone(),
        organization: sound.organization,
        parent: sound.parent,
        owner: Owner::Registry,
        settings: sound.settings.clone(),
    })
}

/// What a work makes different, in the words of the file.
fn made_different(work: &Work, names: &Names) -> Vec<Difference> {
    let before = work.before.as_ref().map(|known| names.entry(&Form::of(&known.thing)));
    let after = work.sound.as_ref().map(|sound| names.entry(&Form::wanted(sound)));
    match (before, after) {
        (before, Some(mut after)) => {
            let before = before.unwrap_or_else(|| {
                after.shift_remove("name");
                Map::new()
            });
            differences(&before, &after)
        }
        (_, None) => Vec::new(),
    }
}

fn changes_it(work: &Work, names: &Names) -> bool {
    !made_different(work, names).is_empty()
}

fn step(work: &Work, names: &Names) -> Step {
    let sound = work.sound.as_ref().map(|sound| (sound.name.as_str(), sound.organization));
    let before = work.before.as_ref().map(|known| (known.thing.name.as_str(), known.thing.organization));
    // What is renamed is told by the name that it has.
    let (name, organization) = before.or(sound).unwrap_or_default();
    Step {
        action: work.doing,
        kind: work.resource.kind(),
        id: work.has_id.then_some(work.id),
        name: name.to_owned(),
        organization: organization.map(|id| names.written(id)),
        differences: made_different(work, names),
    }
}

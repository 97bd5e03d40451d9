//! Where the registry is asked for as a whole, by commands and by the admin API.

use std::{collections::HashMap, fmt, net::Ipv4Addr, sync::Arc};

use policy::{
    Snapshot,
    authentication::Authentication,
    key::{Key, Scope},
    principal::Directory,
};
use serde_json::{Map, Value as Json, json};
use store::{ActorKind, Author, Database, Look};
use uuid::Uuid;

use super::super::{
    change::merged,
    examine::draft,
    find::Kinds,
    lockout,
    refusal::{Refusal, Wrong},
    resource::Resource,
    who::Who,
};
use super::{
    file::{Entry, entries},
    plan::{Done, Plan, Planned, Planner, Work, entity},
    state::{Known, State},
};
use crate::{
    credentials::Fetcher,
    upstream::TlsTrust,
    world::{World, now_us},
};

/// Whoever plans and applies, under a configuration.
#[derive(Clone)]
pub struct Desk {
    pub(super) who: Who,
    pub(super) world: Arc<World>,
    /// The one organization that is looked at; all where there is none.
    pub(super) within: Option<Uuid>,
    pub(super) author: Author,
}

/// What the registry is to be.
#[derive(Clone, Debug)]
pub enum Wanted {
    /// What a registry file says. Where it is pruned, what the file does not have is ended.
    File { file: Json, prune: bool },
    /// What it was when its clock stood so.
    Clock(u64),
    /// One thing, of this kind and of this id or name, as it was in one of its versions.
    Version { kind: String, name: String, version: u64 },
    /// A new thing of this kind, with this body.
    Create { kind: String, members: Map<String, Json> },
    /// One thing with a patch laid over it (<https://www.rfc-editor.org/rfc/rfc7396>).
    Merge { kind: String, name: String, patch: Map<String, Json> },
    /// One thing less.
    End { kind: String, name: String },
}

/// Why nothing was done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// A name for programs, as `in_use`.
    pub code: String,
    pub message: String,
    /// Everything that is wrong: its path and what is wrong with it.
    pub problems: Vec<(String, String)>,
}

impl fmt::Display for Refused {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.message)
    }
}

impl std::error::Error for Refused {}

impl From<Refusal> for Refused {
    fn from(refusal: Refusal) -> Refused {
        let (code, message, wrong) = refusal.told();
        Refused {
            code: code.to_owned(),
            message: message.to_owned(),
            problems: wrong.iter().map(|wrong| (wrong.path.clone(), wrong.message.clone())).collect(),
        }
    }
}

impl Desk {
    /// For a command of this person at the machine, who may do everything.
    pub fn of_command(snapshot: Snapshot, actor: &str) -> Desk {
        let key = Key { scope: Scope::Admin, ..Key::unbound() };
        let (principal, _) = Directory::default().principal(&key);
        let who = Who::new(&principal, &snapshot.roles, (Ipv4Addr::LOCALHOST.into(), Uuid::nil()));
        let author =
            Author { actor: actor.to_owned(), kind: ActorKind::Command, address: None, request_id: None };
        // What is served is of no concern here, and begins no work of its own.
        let snapshot = Snapshot {
            providers: Default::default(),
            models: Default::default(),
            authentication: Authentication::default(),
            ..snapshot
        };
        let world = World::new(Arc::new(snapshot), Arc::default(), None, &Fetcher::new(&TlsTrust::new()));
        Desk {
            who: who.expect("a key of the admin API opens it"),
            world: Arc::new(world),
            within: None,
            author,
        }
    }

    pub(in super::super) fn of_caller(who: &Who, world: &Arc<World>) -> Desk {
        Desk { who: who.clone(), world: Arc::clone(world), within: who.organization, author: who.author() }
    }

    /// The same for one organization only, by id or name.
    pub fn within(self, database: &mut Database, organization: &str) -> Result<Desk, Refused> {
        Ok(self.only(database, organization)?)
    }

    pub(super) fn only(self, database: &mut Database, organization: &str) -> Result<Desk, Refusal> {
        let found = self.finder(Resource::organization()).find(database, organization)?;
        Ok(Desk { within: Some(found.id), ..self })
    }

    /// Everything of the registry, as a registry file.
    pub fn export(&self, database: &mut Database) -> Result<Json, Refused> {
        Ok(self.written(&State::read(&mut database.look(self.tenancy())).map_err(Refusal::from)?))
    }

    /// What would be changed.
    pub fn plan(&self, database: &mut Database, wanted: &Wanted) -> Result<Plan, Refused> {
        Ok(self.planned(&mut database.look(self.tenancy()), wanted)?.plan)
    }

    /// Changes it, unless something that is touched has changed since the clock stood as expected.
    pub fn apply(
        &self,
        database: &mut Database,
        wanted: &Wanted,
        expected: Option<u64>,
    ) -> Result<Done, Refused> {
        let written =
            database.write(self.who.tenancy(), (&self.author, now_us()), self.outside(), |transaction| {
                let executed = self.execute(transaction, wanted, expected)?;
                // Where nothing is to be done, nobody is told.
                if executed.done.plan.changes.is_empty() {
                    Err(Unwritten::Nothing(Box::new(executed)))
                } else {
                    Ok(executed)
                }
            });
        match written {
            Ok(executed) => Ok(executed.revealed()),
            Err(Unwritten::Nothing(mut executed)) => {
                // The clock stands as it stood.
                executed.done.plan.clock = executed.done.plan.clock.saturating_sub(1);
                Ok(executed.done)
            }
            Err(Unwritten::Refused(refusal)) => Err(refusal.into()),
        }
    }

    /// Everything of a kind, of the file and of the registry, as the admin API shows it.
    pub fn list(&self, database: &mut Database, kind: &str) -> Result<Vec<Json>, Refused> {
        let resource = resource(kind)?;
        let state = State::read(&mut database.look(self.tenancy())).map_err(Refusal::from)?;
        let kinds = self.kinds(&state);
        let of_file = self.finder(resource).of_file();
        let of_file = of_file
            .iter()
            .filter(|thing| self.is_within(resource, thing.id, thing.organization))
            .map(|thing| json!(thing.shown(&kinds)));
        Ok(of_file.chain(state.of_kind(resource).map(|known| json!(known.thing.shown(&kinds)))).collect())
    }

    /// One thing of this id or name, as the admin API shows it.
    pub fn show(&self, database: &mut Database, kind: &str, name: &str) -> Result<Json, Refused> {
        let found = self.finder(resource(kind)?).find(database, name)?;
        let state = State::read(&mut database.look(self.tenancy())).map_err(Refusal::from)?;
        Ok(json!(found.shown(&self.kinds(&state))))
    }

    /// The names of all parts, by id.
    pub fn part_names(&self, database: &mut Database) -> Result<HashMap<Uuid, String>, Refused> {
        let state = State::read(&mut database.look(self.tenancy())).map_err(Refusal::from)?;
        let entities = self.entities(&state);
        Ok(entities.into_iter().map(|entity| (entity.id, entity.name)).collect())
    }

    pub(super) fn planned(&self, look: &mut Look<'_>, wanted: &Wanted) -> Result<Planned, Refusal> {
        let mut planner = Planner::new(self, look)?;
        match wanted {
            Wanted::File { file, prune } => {
                let entries = entries(file, &mut planner.wrong);
                planner.entries(entries, look)?;
                if planner.wrong.is_empty() {
                    planner.others(*prune);
                }
            }
            Wanted::Clock(clock) => planner.back_to_clock(*clock, look)?,
            Wanted::Version { kind, name, version } => {
                let resource = resource(kind)?;
                let id = match Uuid::parse_str(name) {
                    Ok(id) => id,
                    Err(_) => planner.state.find(&self.finder(resource), name)?.thing.id,
                };
                planner.back_to_version((resource, id), *version, look)?;
            }
            Wanted::Create { kind, members } => self.create(&mut planner, resource(kind)?, members, look)?,
            Wanted::Merge { kind, name, patch } => {
                let resource = resource(kind)?;
                let found = planner.state.find(&self.finder(resource), name)?.clone();
                let entry = self.merged(&planner.state, &found, patch)?;
                planner.entries(vec![entry], look)?;
            }
            Wanted::End { kind, name } => {
                let found = planner.state.find(&self.finder(resource(kind)?), name)?.clone();
                planner.end(found);
            }
        }
        let planned = planner.finish()?;
        let changed: Vec<_> = planned.works.iter().filter_map(changed).collect();
        lockout::check(&self.who, &self.world, look, &changed)?;
        Ok(planned)
    }

    fn create(
        &self,
        planner: &mut Planner<'_>,
        resource: Resource,
        members: &Map<String, Json>,
        look: &mut Look<'_>,
    ) -> Result<(), Refusal> {
        let entry = Entry { path: String::new(), resource, id: None, members: members.clone() };
        planner.entries(vec![entry], look)?;
        // An entry of a file means the one that is there.
        if let Some(known) = planner.works.iter().find_map(|work| work.before.as_ref()) {
            let message = format!("there is a {} already; choose another name", called(known));
            planner.wrong.push(Wrong::new("name", message));
        }
        Ok(())
    }

    fn merged(&self, state: &State, found: &Known, patch: &Map<String, Json>) -> Result<Entry, Refusal> {
        let shown = json!(found.thing.shown(&self.kinds(state)));
        let mut members = merged(&shown, patch);
        draft(found.resource, members.clone(), Some(&shown))?;
        for name in super::super::bodies::SET_BY_GATEWAY {
            members.shift_remove(name);
        }
        Ok(Entry { path: String::new(), resource: found.resource, id: Some(found.thing.id), members })
    }

    pub(super) fn kinds(&self, state: &State) -> Kinds {
        self.entities(state).iter().map(|entity| (entity.id, entity.kind)).collect()
    }

    /// What things may stand below that is in no registry.
    pub(super) fn outside(&self) -> HashMap<Uuid, Option<Uuid>> {
        let entities = &self.world.snapshot.entities;
        entities.iter().map(|entity| (entity.id, entity.organization)).collect()
    }
}

/// Why a transaction is not kept.
pub(super) enum Unwritten {
    Nothing(Box<super::apply::Executed>),
    Refused(Refusal),
}

impl From<Refusal> for Unwritten {
    fn from(refusal: Refusal) -> Unwritten {
        Unwritten::Refused(refusal)
    }
}

impl From<store::Error> for Unwritten {
    fn from(error: store::Error) -> Unwritten {
        Unwritten::Refused(error.into())
    }
}

/// What becomes of a part of an organization; what had ended was not there.
fn changed(work: &Work) -> Option<lockout::Changed> {
    let before = work.before.as_ref().filter(|known| known.object.deleted_us.is_none());
    let (before, after) = (before.and_then(Known::entity), entity(work));
    (!work.resource.is_key()).then_some(lockout::Changed { id: work.id, before, after })
}

fn called(known: &Known) -> String {
    format!("{} named \"{}\"", known.resource.shown(), known.thing.name)
}

fn resource(kind: &str) -> Result<Resource, Refusal> {
    Resource::named(kind).ok_or_else(|| Refusal::not_found("kind", kind))
}

#[cfg(test)]
mod tests {
    use store::DataDir;

    use super::{super::plan::Doing, *};
    use crate::sources::System;

    /// A registry of a test's own.
    struct Place {
        database: Database,
        desk: Desk,
        _folder: tempfile::TempDir,
    }

    impl Place {
        fn new() -> Place {
            let folder = tempfile::tempdir().unwrap();
            let database = DataDir::open(folder.path()).unwrap().database().unwrap();
            let desk = Desk::of_command(policy::config::zero(&System), "kim");
            Place { database, desk, _folder: folder }
        }

        fn apply(&mut self, file: Json, prune: bool) -> Result<Done, Refused> {
            self.desk.apply(&mut self.database, &Wanted::File { file, prune }, None)
        }

        fn export(&mut self) -> Json {
            self.desk.export(&mut self.database).unwrap()
        }
    }

    fn file() -> Json {
        json!({
            "organizations": {"acme": {}, "globex": {"models": ["fast"]}},
            "teams": {
                "low": {"team": "high", "organization": "acme"}, "high": {"organization": "acme"},
                "globex/high": {"name": "high", "organization": "globex"},
            },
            "users": {"kim": {"team": "low", "organization": "acme"}},
            "keys": [{"name": "app", "user": "kim", "organization": "acme"}],
        })
    }

    #[test]
    fn an_export_restores_things_under_their_ids() {
        let (mut one, mut other) = (Place::new(), Place::new());
        let done = one.apply(file(), false).unwrap();
        let order: Vec<&str> = done.plan.changes.iter().map(|step| step.name.as_str()).collect();
        assert_eq!(order, ["acme", "globex", "high", "high", "low", "kim", "app"]);
        assert!(done.keys.iter().all(|key| key.key.is_some()));
        let exported = one.export();
        let restored = other.apply(exported.clone(), true).unwrap();
        assert_eq!((restored.plan.changes.len(), other.export()), (7, exported.clone()));
        let clock = other.database.clock().unwrap();
        assert_eq!(other.apply(exported, true).unwrap().plan.changes, []);
        assert_eq!(other.database.clock().unwrap(), clock, "where nothing is to be done, nobody is told");
    }

    #[test]
    fn changes_find_an_order() {
        let mut place = Place::new();
        place.apply(file(), false).unwrap();
        // The upper team goes below the lower one, and a name goes from one team to another.
        let mut wanted = place.export();
        wanted["teams"]["low"].as_object_mut().unwrap().remove("team");
        wanted["teams"]["high"]["team"] = "low".into();
        assert_eq!(place.apply(wanted.clone(), true).unwrap().plan.changes.len(), 2);
        wanted = place.export();
        wanted["teams"]["high"]["name"] = "first".into();
        wanted["teams"]["fresh"] = json!({"name": "high", "organization": "acme", "team": "first"});
        let done = place.apply(wanted, true).unwrap().plan;
        let order: Vec<_> = done.changes.iter().map(|step| (step.action, step.name.as_str())).collect();
        assert_eq!(order, [(Doing::Change, "high"), (Doing::Create, "high")]);
        let ended = place.apply(json!({}), true).unwrap().plan.changes;
        assert!(ended.iter().all(|step| step.action == Doing::End) && ended.len() == 8);
        assert_eq!(place.export(), json!({}));
    }

    #[test]
    fn what_is_no_setting_of_a_thing_stays() {
        let mut place = Place::new();
        place.apply(file(), false).unwrap();
        let query = store::Query { kind: "user".to_owned(), limit: 1, ..store::Query::default() };
        let user = place.database.objects(store::Tenancy::All, &query).unwrap().remove(0);
        let body = json!({"models": ["fast"], "known_elsewhere": {"as": "kim"}});
        let (name, parent) = (user.name, user.parent);
        let change = store::Change::Update { id: user.id, expected: None, name, parent, body };
        let author = Author::system();
        place.database.apply(store::Tenancy::All, &[change], &author, 1).unwrap();
        assert_eq!(place.export()["users"]["kim"]["models"], json!(["fast"]));
        place.apply(file(), false).unwrap();
        let user = place.database.object(store::Tenancy::All, user.id).unwrap().unwrap();
        assert_eq!(user.body, json!({"known_elsewhere": {"as": "kim"}}));
    }
}

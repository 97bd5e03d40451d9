//! All parts of all organizations, with what follows for each.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use uuid::Uuid;

use super::{Ancestor, Entity, EntityKind, Principal, Proof, Settings, lineage::Lineage};
use crate::{
    authentication::{Claimed, Identified, Refusal},
    key::Key,
    limit::{Holder, Limit},
};

/// Finds entities, and makes callers of keys.
#[derive(Debug, Default)]
pub struct Directory {
    entities: HashMap<Uuid, Known>,
    by_name: HashMap<(EntityKind, Option<Uuid>, String), Uuid>,
}

/// An entity, and what holds for what stands below it.
#[derive(Debug)]
struct Known {
    entity: Entity,
    lineage: Arc<Lineage>,
}

/// What is wrong with an entity or a key; it is taken as disabled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    pub kind: &'static str,
    pub name: String,
    /// The field.
    pub path: String,
    pub message: String,
}

impl Directory {
    /// Puts entities in place, whatever their order. One that is wrong is disabled with all below it, so that a mistake
    /// opens nothing.
    pub fn new(entities: Vec<Entity>) -> (Directory, Vec<Problem>) {
        let mut waiting: HashMap<Uuid, Entity> = HashMap::with_capacity(entities.len());
        let mut directory = Directory::default();
        let mut order = Vec::with_capacity(entities.len());
        for entity in entities {
            let name = (entity.kind, entity.organization, entity.name.clone());
            directory.by_name.entry(name).or_insert(entity.id);
            order.push(entity.id);
            waiting.entry(entity.id).or_insert(entity);
        }
        let mut problems = Vec::new();
        for id in order {
            directory.place(id, &mut waiting, &mut problems);
        }
        (directory, problems)
    }

    pub fn entity(&self, id: Uuid) -> Option<&Entity> {
        self.entities.get(&id).map(|known| &known.entity)
    }

    pub fn find(&self, kind: EntityKind, organization: Option<Uuid>, name: &str) -> Option<&Entity> {
        self.entity(*self.by_name.get(&(kind, organization, name.to_owned()))?)
    }

    /// In no particular order.
    pub fn entities(&self) -> impl Iterator<Item = &Entity> {
        self.entities.values().map(|known| &known.entity)
    }

    /// Whether this is one of those, or stands below one.
    pub fn is_within(&self, id: Uuid, those: &HashSet<Uuid>) -> bool {
        let mut next = Some(id);
        for _ in 0..=self.entities.len() {
            let Some(at) = next else { return false };
            if those.contains(&at) {
                return true;
            }
            next = self.entity(at).and_then(|entity| entity.parent.or(entity.organization));
        }
        // What stands below itself may stand below anything.
        true
    }

    /// The limits of all entities; what stands above several comes several times.
    pub fn limits(&self) -> impl Iterator<Item = &Arc<Limit>> {
        self.entities.values().flat_map(|known| &known.lineage.limits)
    }

    /// The same of the entities of one organization.
    pub fn limits_of(&self, organization: Uuid) -> impl Iterator<Item = &Arc<Limit>> {
        let own = self.entities.values().filter(move |known| known.organization() == Some(organization));
        own.flat_map(|known| &known.lineage.limits)
    }

    /// The limits of an entity and of what it stands below.
    pub fn limits_above(&self, id: Uuid) -> &[Arc<Limit>] {
        self.entities.get(&id).map_or(&[], |known| &known.lineage.limits)
    }

    /// The caller that shows a key.
    pub fn principal(&self, key: &Key) -> (Principal, Vec<Problem>) {
        let holder = Holder { id: key.id, shown: format!("key \"{}\"", key.name).into() };
        let above = key.parent.or(key.organization);
        let (above, mut problems) = match above.map(|id| self.entities.get(&id)) {
            None => (Arc::default(), Vec::new()),
            Some(Some(known)) if known.organization() == key.organization => {
                (Arc::clone(&known.lineage), Vec::new())
            }
            Some(_) => {
                let message = "what the key belongs to is not there".to_owned();
                let problem =
                    Problem { kind: "key", name: key.name.clone(), path: "parent".to_owned(), message };
                (Arc::new(closed(&holder)), vec![problem])
            }
        };
        let (lineage, mut wrong) = above.below(&holder, &key.settings);
        wrong.extend(misplaced(None, &key.settings));
        problems.extend(wrong.into_iter().map(|(path, message)| Problem {
            kind: "key",
            name: key.name.clone(),
            path,
            message,
        }));
        let lineage = if problems.is_empty() { lineage } else { closed(&holder) };
        (Principal::of_key(key, lineage), problems)
    }

    /// The caller for whom a token or a certificate stands that was found good.
    pub fn identified(&self, found: &Identified, proof: Proof) -> Result<Principal, Refusal> {
        if found.models.as_ref().is_some_and(Vec::is_empty) {
            return Err(Refusal::NoModels);
        }
        let known = |kind: EntityKind, organization: Option<Uuid>, claimed: &Claimed| {
            let entity = claimed.names.iter().find_map(|name| self.find(kind, organization, name));
            match entity {
                None if claimed.required => Err(Refusal::Unmapped(kind.shown())),
                entity => Ok(entity.and_then(|entity| self.entities.get(&entity.id))),
            }
        };
        let organization = known(EntityKind::Organization, None, &found.organization)?;
        let id = organization.map(|known| known.entity.id);
        let parts = [
            known(EntityKind::ServiceAccount, id, &found.service_account)?,
            known(EntityKind::User, id, &found.user)?,
            known(EntityKind::Project, id, &found.project)?,
            known(EntityKind::Team, id, &found.team)?,
            organization,
        ];
        let above = parts.into_iter().flatten();
        let above = above.fold(Lineage::default(), |above, known| above.joined(&known.lineage));
        let holder = Holder { id: found.id, shown: format!("caller \"{}\"", found.name).into() };
        let settings = Settings {
            models: found.models.clone().unwrap_or_default(),
            tags: found.tags.clone(),
            ..Settings::default()
        };
        let (lineage, _) = above.below(&holder, &settings);
        Ok(Principal::identified(found, (proof, id), lineage))
    }

    /// Places an entity below what it stands below, which is placed first.
    fn place(&mut self, id: Uuid, waiting: &mut HashMap<Uuid, Entity>, problems: &mut Vec<Problem>) {
        // From the entity up to one that is placed, or to the top.
        let mut path = Vec::new();
        let mut seen = HashSet::new();
        let mut next = Some(id);
        while let Some(at) = next.filter(|at| !self.entities.contains_key(at)) {
            let Some(entity) = waiting.get(&at).filter(|_| seen.insert(at)) else { break };
            path.push(at);
            next = entity.parent.or(entity.organization);
        }
        for id in path.into_iter().rev() {
            let Some(entity) = waiting.remove(&id) else { continue };
            let (lineage, wrong) = self.lineage(&entity);
            problems.extend(wrong.into_iter().map(|(path, message)| Problem {
                kind: entity.kind.name(),
                name: entity.name.clone(),
                path,
                message,
            }));
            self.entities.insert(id, Known { entity, lineage: Arc::new(lineage) });
        }
    }

    fn lineage(&self, entity: &Entity) -> (Lineage, Vec<(String, String)>) {
        let holder =
            Holder { id: entity.id, shown: format!("{} {}", entity.kind.shown(), entity.name).into() };
        let parent = entity.parent.or(entity.organization);
        let above = parent.map(|id| self.entities.get(&id));
        let wrong = match above {
            None => None,
            Some(None) => Some("what it stands below is not there, or stands below it".to_owned()),
            Some(Some(above)) if above.organization() != entity.organization => {
                Some("what it stands below is of another organization".to_owned())
            }
            Some(Some(above)) if !entity.kind.may_be_below(above.entity.kind) => {
                let (own, other) = (entity.kind.shown(), above.entity.kind.shown());
                Some(format!("a {own} cannot stand below a {other}"))
            }
            Some(Some(_)) => None,
        };
        let none = Arc::default();
        let base = above.flatten().map_or(&none, |known| &known.lineage);
        let (mut lineage, mut faults) = base.below(&holder, &entity.settings);
        faults.extend(wrong.map(|message| ("parent".to_owned(), message)));
        faults.extend(misplaced(Some(entity.kind), &entity.settings));
        if !faults.is_empty() {
            lineage = closed(&holder);
        }
        let own = Ancestor { id: entity.id, kind: entity.kind, name: entity.name.clone() };
        lineage.ancestors.insert(0, own);
        (lineage, faults)
    }
}

impl Known {
    /// Of which organization it is a part; an organization is a part of itself.
    fn organization(&self) -> Option<Uuid> {
        match self.entity.kind {
            EntityKind::Organization => Some(self.entity.id),
            EntityKind::Team | EntityKind::Project | EntityKind::User | EntityKind::ServiceAccount => {
                self.entity.organization
            }
        }
    }
}

/// What may be said of organizations only.
fn misplaced(kind: Option<EntityKind>, settings: &Settings) -> Option<(String, String)> {
    let is_wrong = settings.keep_calls.is_some() && kind != Some(EntityKind::Organization);
    is_wrong.then(|| ("keep_calls".to_owned(), "is for organizations only; set it there".to_owned()))
}

/// A lineage that lets nothing through.
fn closed(holder: &Holder) -> Lineage {
    let settings = Settings { disabled: true, ..Settings::default() };
    Lineage::default().below(holder, &settings).0
}

#[cfg(test)]
mod tests {
    use wire::Operation;

    use super::*;
    use crate::key::Owner;

    fn entity(
        kind: EntityKind,
        name: &str,
        organization: Option<Uuid>,
        parent: Option<Uuid>,
        settings: &str,
    ) -> Entity {
        Entity {
            id: Entity::file_id(kind, organization, name),
            kind,
            name: name.to_owned(),
            organization,
            parent,
            owner: Owner::File,
            settings: serde_json::from_str(settings).unwrap(),
        }
    }

    fn key(organization: Option<Uuid>, parent: Option<Uuid>, settings: &str) -> Key {
        let settings: Settings = serde_json::from_str(settings).unwrap();
        Key { organization, parent, settings, ..Key::unbound() }
    }

    #[test]
    fn what_stands_above_holds_below() {
        let acme = entity(
            EntityKind::Organization,
            "acme",
            None,
            None,
            r#"{"models":["fast","smart"],"tags":{"bill":"acme","tier":"1"},"budget":{"usd":100,"per":"month"}}"#,
        );
        let research = entity(
            EntityKind::Team,
            "research",
            Some(acme.id),
            None,
            r#"{"limits":[{"requests":5,"per":"minute"}]}"#,
        );
        let search = entity(
            EntityKind::Team,
            "search",
            Some(acme.id),
            Some(research.id),
            r#"{"operations":["chat"],"tags":{"tier":"2"}}"#,
        );
        // The order says nothing.
        let (directory, problems) = Directory::new(vec![search.clone(), acme.clone(), research.clone()]);
        assert_eq!(problems, []);
        let own =
            key(Some(acme.id), Some(search.id), r#"{"models":["fast","other"],"limits":[{"concurrent":2}]}"#);
        let (principal, problems) = directory.principal(&own);
        assert_eq!(problems, []);
        let ancestors: Vec<&str> = principal.ancestors.iter().map(|above| above.name.as_str()).collect();
        assert_eq!(ancestors, ["search", "research", "acme"]);
        assert_eq!(principal.organization, Some(acme.id));
        let limits: Vec<String> =
            principal.limits.iter().map(|limit| format!("{}: {}", limit.whose, limit.name)).collect();
        assert_eq!(
            limits,
            [
                "key \"(any)\": concurrent requests",
                "team research: requests per minute",
                "organization acme: budget per month"
            ]
        );
        assert!(principal.may_use("fast").is_ok());
        let refused = principal.may_use("other").unwrap_err();
        assert_eq!(
            refused.message,
            "organization acme may not use model \"other\"; it may use: fast, smart; ask for it at POST /v1/access-requests"
        );
        assert!(principal.may_use("smart").unwrap_err().message.starts_with("key \"(any)\""));
        assert!(principal.may_do(Operation::Chat).is_ok());
        assert!(principal.may_do(Operation::Images).unwrap_err().message.starts_with("team search"));
        assert_eq!(principal.tags.get("tier").map(String::as_str), Some("2"));
        assert_eq!(principal.tags.get("bill").map(String::as_str), Some("acme"));
    }

    #[test]
    fn a_mistake_opens_nothing() {
        let check = |entities: Vec<Entity>, key: &Key, part: &str| {
            let (directory, mut problems) = Directory::new(entities);
            let (principal, more) = directory.principal(key);
            problems.extend(more);
            assert!(problems.iter().any(|problem| problem.message.contains(part)), "{part}: {problems:?}");
            let address = "127.0.0.1".parse().unwrap();
            assert!(principal.may_come_from(address).is_err(), "{part}");
        };
        let a = entity(EntityKind::Organization, "a", None, None, "{}");
        let b = entity(EntityKind::Organization, "b", None, None, "{}");
        let team = entity(EntityKind::Team, "t", Some(a.id), None, "{}");
        check(vec![], &key(None, Some(team.id), "{}"), "is not there");
        check(vec![a.clone(), team.clone()], &key(None, Some(team.id), "{}"), "is not there");
        check(
            vec![a.clone(), b.clone(), team.clone()],
            &key(Some(b.id), Some(team.id), "{}"),
            "is not there",
        );
        let astray = entity(EntityKind::Team, "x", Some(b.id), Some(team.id), "{}");
        check(
            vec![a.clone(), b.clone(), team.clone(), astray.clone()],
            &key(Some(b.id), Some(astray.id), "{}"),
            "another organization",
        );
        let project = entity(EntityKind::Project, "p", Some(a.id), None, "{}");
        let below = entity(EntityKind::Team, "q", Some(a.id), Some(project.id), "{}");
        check(
            vec![a.clone(), project, below.clone()],
            &key(Some(a.id), Some(below.id), "{}"),
            "cannot stand below",
        );
        let odd = entity(EntityKind::Team, "o", None, None, r#"{"limits":[{"requests":1}]}"#);
        check(vec![odd.clone()], &key(None, Some(odd.id), "{}"), "is missing");
        let (mut one, mut other) = (team.clone(), entity(EntityKind::Team, "u", Some(a.id), None, "{}"));
        (one.parent, other.parent) = (Some(other.id), Some(one.id));
        check(vec![a, one.clone(), other], &key(one.organization, Some(one.id), "{}"), "stands below it");
        check(vec![], &key(None, None, r#"{"addresses":["10.0.0.0/99"]}"#), "no range");
    }

    #[test]
    fn a_disabled_part_closes_what_is_below() {
        let team = entity(EntityKind::Team, "t", None, None, r#"{"disabled":true}"#);
        let (directory, problems) = Directory::new(vec![team.clone()]);
        assert_eq!(problems, []);
        let (principal, _) = directory.principal(&key(None, Some(team.id), "{}"));
        let refused = principal.may_come_from("127.0.0.1".parse().unwrap()).unwrap_err();
        assert_eq!(refused.code.as_deref(), Some("disabled"));
    }

    /// Whom a token stands for that names these.
    fn found(names: &[(EntityKind, &[&str])], models: Option<&[&str]>) -> Identified {
        let claimed = |kind: EntityKind| {
            let named = names.iter().find(|(known, _)| *known == kind);
            let names =
                named.map_or(Vec::new(), |(_, names)| names.iter().map(|&one| one.to_owned()).collect());
            Claimed { names, required: named.is_some() && kind != EntityKind::User }
        };
        Identified {
            id: Uuid::nil(),
            name: "kim".to_owned(),
            organization: claimed(EntityKind::Organization),
            team: claimed(EntityKind::Team),
            project: claimed(EntityKind::Project),
            user: claimed(EntityKind::User),
            service_account: claimed(EntityKind::ServiceAccount),
            roles: Vec::new(),
            models: models.map(|models| models.iter().map(|&one| one.to_owned()).collect()),
            tags: [("bill".to_owned(), "kim".to_owned())].into(),
        }
    }

    #[test]
    fn a_token_belongs_to_everything_that_it_names() {
        let acme =
            entity(EntityKind::Organization, "acme", None, None, r#"{"tags":{"bill":"acme","tier":"1"}}"#);
        let settings = r#"{"models":["fast","smart"],"limits":[{"requests":5,"per":"minute"}]}"#;
        let team = entity(EntityKind::Team, "data", Some(acme.id), None, settings);
        let project =
            entity(EntityKind::Project, "search", Some(acme.id), Some(team.id), r#"{"models":["fast"]}"#);
        let user = entity(
            EntityKind::User,
            "kim",
            Some(acme.id),
            Some(team.id),
            r#"{"budget":{"usd":1,"per":"day"}}"#,
        );
        let twin = entity(EntityKind::Team, "data", None, None, "{}");
        let (directory, problems) = Directory::new(vec![acme, team, project, user, twin]);
        assert_eq!(problems, []);
        let names: &[(EntityKind, &[&str])] = &[
            (EntityKind::Organization, &["acme"]),
            (EntityKind::Team, &["gone", "data"]),
            (EntityKind::Project, &["search"]),
            (EntityKind::User, &["kim"]),
        ];
        let made = directory.identified(&found(names, None), Proof::Token);
        let made = made.unwrap_or_else(|refusal| panic!("{refusal:?}"));
        let ancestors: Vec<&str> = made.ancestors.iter().map(|above| above.kind.name()).collect();
        assert_eq!(ancestors, ["user", "project", "team", "organization"]);
        let limits: Vec<&str> = made.limits.iter().map(|limit| &*limit.whose).collect();
        assert_eq!(limits, ["user kim", "team data"]);
        assert!(made.may_use("fast").is_ok() && made.may_use("smart").is_err());
        assert_eq!(made.tags.get("bill").map(String::as_str), Some("kim"));
        assert_eq!(made.tags.get("tier").map(String::as_str), Some("1"));
        let narrowed = directory.identified(&found(names, Some(&["f*", "other"])), Proof::Token);
        let narrowed = narrowed.unwrap_or_else(|refusal| panic!("{refusal:?}"));
        assert!(narrowed.may_use("fast").is_ok() && narrowed.may_use("other").is_err());
    }

    #[test]
    fn a_token_that_names_nothing_that_there_is_opens_nothing() {
        let acme = entity(EntityKind::Organization, "acme", None, None, "{}");
        let own = entity(EntityKind::Team, "own", Some(acme.id), None, "{}");
        let free = entity(EntityKind::Team, "free", None, None, "{}");
        let (directory, _) = Directory::new(vec![acme, own, free]);
        let check = |names: &[(EntityKind, &[&str])], models: Option<&[&str]>, expected: Option<Refusal>| {
            let refused = directory.identified(&found(names, models), Proof::Token).err();
            assert_eq!(refused, expected, "{names:?}");
        };
        let (organization, team) = (EntityKind::Organization, EntityKind::Team);
        check(&[], None, None);
        check(&[], Some(&[]), Some(Refusal::NoModels));
        check(&[(team, &[])], None, Some(Refusal::Unmapped("team")));
        check(&[(team, &["own"])], None, Some(Refusal::Unmapped("team")));
        check(&[(team, &["free"])], None, None);
        check(&[(organization, &["acme"]), (team, &["own"])], None, None);
        check(&[(organization, &["acme"]), (team, &["free"])], None, Some(Refusal::Unmapped("team")));
        check(&[(organization, &["other"])], None, Some(Refusal::Unmapped("organization")));
        check(&[(EntityKind::User, &["nobody"])], None, None);
    }
}

//! Holds what a caller wants to be against what there is, and tells everything that is wrong at once.

use std::sync::LazyLock;

use http::StatusCode;
use policy::{
    config::{check_json, moment, nearest, unknown_role},
    key::{Key, Owner, Scope},
    principal::{Directory, Entity, EntityKind, Problem},
    role::RoleName,
};
use schemars::{JsonSchema, schema_for};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value as Json};
use uuid::Uuid;

use super::{
    bodies::{AccountBody, Draft, OrganizationBody, PartBody, SET_BY_GATEWAY},
    find::{Finder, Thing},
    refusal::{Refusal, Wrong},
    resource::Resource,
};

/// The longest name, in characters.
const NAME_MAX: usize = 200;

/// What may be written down.
#[derive(Clone, Debug)]
pub(super) struct Sound {
    pub(super) name: String,
    pub(super) organization: Option<Uuid>,
    pub(super) parent: Option<Uuid>,
    pub(super) role: Option<RoleName>,
    pub(super) expires_us: Option<i64>,
    pub(super) settings: policy::principal::Settings,
}

/// What somebody wants, among everything that there is.
pub(super) struct Examiner<'e> {
    pub(super) finder: &'e Finder,
    /// Everybody's parts of organizations, the file's first.
    pub(super) entities: Vec<Entity>,
    /// What is to be replaced.
    pub(super) before: Option<&'e Thing>,
}

/// The body as an object.
pub(super) fn object(body: &[u8]) -> Result<Map<String, Json>, Refusal> {
    let invalid = |message: String| Refusal::invalid(vec![Wrong::new("", message)]);
    match serde_json::from_slice(body) {
        Ok(Json::Object(members)) => Ok(members),
        Ok(_) => Err(invalid("the body must be a JSON object".to_owned())),
        Err(error) => Err(invalid(format!("the body is no JSON: {error}"))),
    }
}

/// The same for a request that may come without a body.
pub(super) fn object_or_nothing(body: &[u8]) -> Result<Map<String, Json>, Refusal> {
    if body.is_empty() { Ok(Map::new()) } else { object(body) }
}

/// Reads a body by the schema of its kind. Members that the gateway sets may be repeated as they were shown.
pub(super) fn draft(
    resource: Resource,
    mut members: Map<String, Json>,
    shown: Option<&Json>,
) -> Result<Draft, Refusal> {
    let mut wrong = Vec::new();
    // It changes by itself.
    if shown.is_some() {
        members.shift_remove("last_used_us");
    }
    for name in SET_BY_GATEWAY {
        if let Some(shown) = shown.and_then(|shown| shown.get(name))
            && let Some(value) = members.shift_remove(name)
            && value != *shown
        {
            wrong.push(Wrong::new(name, "is set by the gateway; leave it out"));
        }
    }
    let body = Json::Object(members);
    wrong.extend(misfits(schema(resource), &body));
    if !wrong.is_empty() {
        return Err(Refusal::invalid(wrong));
    }
    serde_json::from_value(body).map_err(|error| Refusal::invalid(vec![Wrong::new("", error.to_string())]))
}

/// Reads a body by the schema of its type.
pub(super) fn read<T: DeserializeOwned + JsonSchema>(members: Map<String, Json>) -> Result<T, Refusal> {
    let body = Json::Object(members);
    let wrong = misfits(&schema_for!(T).to_value(), &body);
    if !wrong.is_empty() {
        return Err(Refusal::invalid(wrong));
    }
    serde_json::from_value(body).map_err(|error| Refusal::invalid(vec![Wrong::new("", error.to_string())]))
}

pub(super) fn misfits(schema: &Json, body: &Json) -> Vec<Wrong> {
    check_json(schema, body).into_iter().map(|(path, message)| Wrong { path, message }).collect()
}

static ORGANIZATION: LazyLock<Json> = LazyLock::new(|| schema_for!(OrganizationBody).to_value());
static PART: LazyLock<Json> = LazyLock::new(|| schema_for!(PartBody).to_value());
static ACCOUNT: LazyLock<Json> = LazyLock::new(|| schema_for!(AccountBody).to_value());
static KEY: LazyLock<Json> = LazyLock::new(|| schema_for!(Draft).to_value());

/// What bodies of a kind are held against.
pub(super) fn schema(resource: Resource) -> &'static Json {
    match resource {
        Resource::Part(EntityKind::Organization) => &ORGANIZATION,
        Resource::Part(EntityKind::Team | EntityKind::Project | EntityKind::User) => &PART,
        Resource::Part(EntityKind::ServiceAccount) => &ACCOUNT,
        Resource::Key => &KEY,
    }
}

impl Examiner<'_> {
    pub(super) fn examine(&self, draft: Draft, id: Uuid) -> Result<Sound, Refusal> {
        let mut wrong = Vec::new();
        let sound = self.read(draft, &mut wrong);
        wrong.extend(self.problems(&sound, id));
        if !wrong.is_empty() {
            return Err(Refusal::invalid(wrong));
        }
        self.finder.who.may_give(sound.role.as_ref())?;
        self.check_file(&sound)?;
        Ok(sound)
    }

    /// What a body means on its own: its names and its references.
    pub(super) fn read(&self, draft: Draft, wrong: &mut Vec<Wrong>) -> Sound {
        check_name(&draft.name, wrong);
        let (organization, parent) = self.stand(&draft, wrong);
        let role = self.role(&draft, wrong);
        let expires_us = expires_us(&draft, wrong);
        let Draft { name, settings, .. } = draft;
        Sound { name, organization, parent, role, expires_us, settings }
    }

    /// Its organization, and what it stands below.
    fn stand(&self, draft: &Draft, wrong: &mut Vec<Wrong>) -> (Option<Uuid>, Option<Uuid>) {
        let below = [
            (EntityKind::Team, &draft.team),
            (EntityKind::Project, &draft.project),
            (EntityKind::User, &draft.user),
            (EntityKind::ServiceAccount, &draft.service_account),
        ];
        let below: Vec<(EntityKind, &str)> =
            below.iter().filter_map(|(kind, name)| Some((*kind, name.as_deref()?))).collect();
        if let [_, (second, _), ..] = below.as_slice() {
            wrong.push(Wrong::new(second.name(), "it can belong to one of these only"));
        }
        let known = self.before.map(|before| before.organization);
        let named = draft.organization.as_deref();
        let named = named.and_then(|name| self.resolve(EntityKind::Organization, name, None, wrong));
        let own = known.flatten().or(self.finder.who.organization);
        let parent = below.first().and_then(|(kind, name)| {
            // Names are told apart by the organization, where one is known.
            self.resolve(*kind, name, named.map(|found| found.id).or(own), wrong)
        });
        if let (Some(parent), Some(named), Some((kind, _))) = (parent, named, below.first())
            && parent.organization != Some(named.id)
        {
            wrong.push(Wrong::new(kind.name(), "is not of this organization"));
        }
        let organization = match (parent, named) {
            (Some(parent), _) => parent.organization,
            (None, Some(named)) => Some(named.id),
            (None, None) => own,
        };
        let organization = if self.finder.is_organization() { None } else { organization };
        if known.is_some_and(|known| known != organization) && wrong.is_empty() {
            let message = "it stays in the organization that it was made in; make another in the other one";
            wrong.push(Wrong::new("organization", message));
        }
        (organization, parent.map(|parent| parent.id))
    }

    /// The entity of this id or name that the caller may know of.
    fn resolve(
        &self,
        kind: EntityKind,
        wanted: &str,
        organization: Option<Uuid>,
        wrong: &mut Vec<Wrong>,
    ) -> Option<&Entity> {
        let own = self.finder.who.organization;
        let seen = |entity: &&Entity| {
            let is_own = own.is_none() || entity.organization == own || own == Some(entity.id);
            entity.kind == kind && is_own
        };
        let seen: Vec<&Entity> = self.entities.iter().filter(seen).collect();
        let fits = |entity: &&&Entity| match Uuid::parse_str(wanted) {
            Ok(id) => entity.id == id,
            Err(_) => {
                entity.name == wanted && (organization.is_none() || entity.organization == organization)
            }
        };
        let mut fitting = seen.iter().filter(fits);
        match (fitting.next(), fitting.next()) {
            (Some(entity), None) => Some(entity),
            (Some(_), Some(_)) => {
                let message =
                    format!("several organizations have a {} of this name; write its id", kind.shown());
                wrong.push(Wrong::new(kind.name(), message));
                None
            }
            (None, _) => {
                let near = nearest(wanted, seen.iter().map(|entity| entity.name.as_str()));
                let remedy = near.map_or_else(
                    || "write its id or its name".to_owned(),
                    |near| format!("did you mean \"{near}\"?"),
                );
                let message = format!("there is no {} \"{wanted}\"; {remedy}", kind.shown());
                wrong.push(Wrong::new(kind.name(), message));
                None
            }
        }
    }

    /// What it may administer. What a key opens is the same for all its life: its first letters tell of it.
    fn role(&self, draft: &Draft, wrong: &mut Vec<Wrong>) -> Option<RoleName> {
        if draft.admin && draft.role.as_ref().is_some_and(|role| *role != RoleName::OWNER) {
            wrong.push(Wrong::new("admin", "is short for the role owner; write role alone"));
        }
        let role = draft.role.clone().or(draft.admin.then_some(RoleName::OWNER));
        let roles = &self.finder.world.snapshot.roles;
        if let Some(message) = role.as_ref().and_then(|role| unknown_role(role, roles)) {
            wrong.push(Wrong::new("role", message));
        }
        if self.before.is_some_and(|before| before.role().is_some() != role.is_some()) {
            let message =
                "a key opens models or, with a role, the admin API, for all its life; make another key";
            wrong.push(Wrong::new("role", message));
        }
        role
    }

    /// What the whole would have that is wrong and was not before.
    fn problems(&self, sound: &Sound, id: Uuid) -> Vec<Wrong> {
        let Resource::Part(kind) = self.finder.resource else {
            let (directory, _) = Directory::new(self.entities.clone());
            let (_, problems) = directory.principal(&key(sound, id));
            return problems.into_iter().map(|problem| Wrong::new(problem.path, problem.message)).collect();
        };
        let candidate = Entity {
            id,
            kind,
            name: sound.name.clone(),
            organization: sound.organization,
            parent: sound.parent,
            owner: Owner::Registry,
            settings: sound.settings.clone(),
        };
        let (_, earlier) = Directory::new(self.entities.clone());
        let mut entities: Vec<Entity> =
            self.entities.iter().filter(|entity| entity.id != id).cloned().collect();
        entities.push(candidate);
        let (_, problems) = Directory::new(entities);
        let own = |problem: &Problem| problem.kind == kind.name() && problem.name == sound.name;
        let fresh = problems.into_iter().filter(|problem| own(problem) || !earlier.contains(problem));
        let shown = fresh.map(|problem| {
            if own(&problem) {
                return Wrong::new(problem.path, problem.message);
            }
            Wrong::new(
                "",
                format!("{} \"{}\": {}: {}", problem.kind, problem.name, problem.path, problem.message),
            )
        });
        shown.collect()
    }

    /// What the file owns has its name already.
    fn check_file(&self, sound: &Sound) -> Result<(), Refusal> {
        let mut owned = self.finder.of_file().into_iter();
        match owned.find(|thing| thing.name == sound.name && thing.organization == sound.organization) {
            Some(thing) => Err(owned_by_file(self.finder, &thing)),
            None => Ok(()),
        }
    }
}

/// What the file owns is changed there.
pub(super) fn owned_by_file(finder: &Finder, thing: &Thing) -> Refusal {
    let file = finder.world.snapshot.files.first();
    let file = file.map_or_else(|| "the configuration file".to_owned(), |file| file.display().to_string());
    let message =
        format!("{} \"{}\" is owned by {file}; change it there", finder.resource.shown(), thing.name);
    Refusal::new(StatusCode::CONFLICT, "owned_by_file", message)
}

/// The key that somebody wants.
pub(super) fn key(sound: &Sound, id: Uuid) -> Key {
    Key {
        id,
        name: sound.name.clone(),
        organization: sound.organization,
        parent: sound.parent,
        settings: sound.settings.clone(),
        scope: if sound.role.is_some() { Scope::Admin } else { Scope::Calls },
        role: sound.role.clone(),
        owner: Owner::Registry,
        created_us: 0,
        expires_us: sound.expires_us,
        revoked_us: None,
        hint: String::new(),
    }
}

pub(super) fn check_name(name: &str, wrong: &mut Vec<Wrong>) {
    let length = name.chars().count();
    if length == 0 || length > NAME_MAX {
        wrong.push(Wrong::new("name", format!("must have between 1 and {NAME_MAX} characters")));
    }
    if name.trim() != name || name.contains(char::is_control) {
        wrong.push(Wrong::new("name", "must not begin or end with a space, nor have control characters"));
    }
    if Uuid::parse_str(name).is_ok() {
        wrong.push(Wrong::new("name", "looks like an id; choose another"));
    }
}

fn expires_us(draft: &Draft, wrong: &mut Vec<Wrong>) -> Option<i64> {
    let Some(text) = &draft.expires else { return draft.expires_us };
    if draft.expires_us.is_some() {
        wrong.push(Wrong::new("expires", "and expires_us say the same; write one"));
    }
    moment(text).map_err(|message| wrong.push(Wrong::new("expires", message))).ok()
}

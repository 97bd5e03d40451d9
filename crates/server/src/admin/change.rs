//! Makes, changes and ends things of the registry, and writes down what was answered.

use std::collections::HashMap;

use http::StatusCode;
use policy::{
    Secret,
    key::{ADMIN_PREFIX, KEY_PREFIX, Scope},
    principal::{Entity, EntityKind},
};
use serde_json::{Map, Value as Json, json};
use store::{Answer, Answered, Change, Database, Provisioned, Repeatable, Transaction};
use uuid::Uuid;

use super::{
    Reply,
    bodies::KeyWithSecret,
    examine::{Examiner, Sound, draft, owned_by_file},
    find::{Finder, Is, Shown, Thing},
    lockout,
    query::Expected,
    refusal::Refusal,
    resource::Resource,
};
use crate::world::now_us;

/// How many things a refusal names that stand below another.
const NAMED_MAX: u32 = 5;
/// How many characters of a secret are shown behind its prefix.
const HINT_CHARS: usize = 5;

/// A change that somebody wants.
pub(super) struct Wish {
    pub(super) finder: Finder,
    /// Where the request may come again.
    pub(super) repeatable: Option<Repeatable>,
    pub(super) expected: Expected,
}

impl Wish {
    /// Does the work unless it was done for the same request already.
    pub(super) fn once(
        &self,
        database: &mut Database,
        work: impl FnOnce(&mut Transaction<'_>) -> Result<(Reply, Option<Secret>), Refusal>,
    ) -> Result<Reply, Refusal> {
        let now_us = now_us();
        if let Some(repeatable) = &self.repeatable {
            match database.answered(repeatable, now_us)? {
                Answered::No => {}
                Answered::Same(answer) => return Ok(repeated(answer)),
                Answered::Other => {
                    let message = "this Idempotency-Key was used for another request; choose another";
                    let status = StatusCode::UNPROCESSABLE_ENTITY;
                    return Err(Refusal::new(status, "idempotency_key_reused", message));
                }
            }
        }
        let author = self.finder.who.author();
        let entities = &self.finder.world.snapshot.entities;
        let outside: HashMap<Uuid, Option<Uuid>> =
            entities.iter().map(|entity| (entity.id, entity.organization)).collect();
        let (reply, secret) =
            database.write(self.finder.tenancy(), (&author, now_us), outside, |transaction| {
                let (reply, secret) = work(transaction)?;
                self.check_lockout(transaction)?;
                if let Some(repeatable) = &self.repeatable {
                    let answer = Answer { status: reply.status.as_u16(), body: reply.body.clone() };
                    transaction.keep_answer(repeatable, &answer)?;
                }
                Ok::<_, Refusal>((reply, secret))
            })?;
        Ok(match secret {
            Some(secret) => with_secret(reply, &secret),
            None => reply,
        })
    }

    /// Whatever the work was, it keeps nobody out whom the caller may not touch.
    fn check_lockout(&self, transaction: &mut Transaction<'_>) -> Result<(), Refusal> {
        let changed: Vec<_> = transaction.changed().iter().filter_map(lockout::Changed::of_objects).collect();
        let finder = &self.finder;
        lockout::check(&finder.who, &finder.world, &mut transaction.look(finder.tenancy()), &changed)
    }

    pub(super) fn create(
        &self,
        members: &Map<String, Json>,
        database: &mut Database,
    ) -> Result<Reply, Refusal> {
        let finder = &self.finder;
        let draft = draft(finder.resource, members.clone(), None)?;
        self.once(database, |transaction| {
            let id = Uuid::now_v7();
            let sound = self.examiner(transaction, None)?.examine(draft, id)?;
            let secret = match finder.resource {
                Resource::Key => Some(secret(&sound)?),
                Resource::Part(_) => None,
            };
            let hint = secret.as_ref().map(hint).unwrap_or_default();
            let change = Change::Create {
                id,
                kind: finder.resource.kind().to_owned(),
                organization: sound.organization,
                parent: sound.parent,
                name: sound.name.clone(),
                body: body(finder.resource, &sound, &hint),
            };
            let made = Thing::of_object(&transaction.apply(&change)?);
            if let Some(secret) = &secret {
                transaction.add_secret(id, secret)?;
            }
            let path = format!("/admin/v1/{}/{id}", finder.resource.plural());
            let reply = self.shown(transaction, &made)?.with_secret_to_come().reply(StatusCode::CREATED);
            Ok((reply.with("location", path), secret))
        })
    }

    /// Replaces a thing by a body, or by what a body makes of it (<https://www.rfc-editor.org/rfc/rfc7396>).
    pub(super) fn update(
        &self,
        wanted: &str,
        members: &Map<String, Json>,
        is_merged: bool,
        database: &mut Database,
    ) -> Result<Reply, Refusal> {
        let found = self.owned(wanted, database)?;
        self.once(database, |transaction| {
            let before = self.reread(transaction, found.id)?;
            let shown = json!(self.shown(transaction, &before)?);
            let members = if is_merged { merged(&shown, members) } else { members.clone() };
            let draft = draft(self.finder.resource, members, Some(&shown))?;
            let sound = self.examiner(transaction, Some(&before))?.examine(draft, before.id)?;
            let hint = match &before.is {
                Is::Part { .. } => String::new(),
                Is::Key(key) => key.hint.clone(),
            };
            let change = Change::Update {
                id: before.id,
                expected: Some(before.state.version),
                name: sound.name.clone(),
                parent: sound.parent,
                body: self.with_kept(transaction, before.id, &body(self.finder.resource, &sound, &hint))?,
            };
            let after = Thing::of_object(&transaction.apply(&change)?);
            Ok((self.shown(transaction, &after)?.reply(StatusCode::OK), None))
        })
    }

    /// What identity providers say of somebody stays as it is.
    fn with_kept(&self, transaction: &mut Transaction<'_>, id: Uuid, body: &Json) -> Result<Json, Refusal> {
        let before = transaction.object(self.finder.resource.kind(), id)?;
        Ok(before.map(|object| Provisioned::of(&object)).unwrap_or_default().within(body))
    }

    /// Ends a thing that nothing stands below.
    pub(super) fn delete(&self, wanted: &str, database: &mut Database) -> Result<Reply, Refusal> {
        let found = self.owned(wanted, database)?;
        self.once(database, |transaction| {
            let before = self.reread(transaction, found.id)?;
            let below = transaction.below(before.id, NAMED_MAX + 1)?;
            if !below.is_empty() {
                let named = below.iter().take(NAMED_MAX as usize);
                let named: Vec<String> = named
                    .map(|object| format!("{} \"{}\"", object.kind.replace('_', " "), object.name))
                    .collect();
                let more = if below.len() > named.len() { ", and more" } else { "" };
                let message = format!("these belong to it: {}{more}; end them first", named.join(", "));
                return Err(Refusal::new(StatusCode::CONFLICT, "in_use", message));
            }
            let change = Change::Delete { id: before.id, expected: Some(before.state.version) };
            let gone = Thing::of_object(&transaction.apply(&change)?);
            Ok((self.shown(transaction, &gone)?.reply(StatusCode::OK), None))
        })
    }

    /// What the registry owns of this id or name, where it is what the caller believes it to be.
    pub(super) fn owned(&self, wanted: &str, database: &mut Database) -> Result<Thing, Refusal> {
        let found = self.finder.find(database, wanted)?;
        if found.is_of_file() {
            return Err(owned_by_file(&self.finder, &found));
        }
        Ok(found)
    }

    /// The same while nobody else writes.
    pub(super) fn reread(&self, transaction: &mut Transaction<'_>, id: Uuid) -> Result<Thing, Refusal> {
        let found = self.finder.reread(transaction, id)?;
        self.finder.who.may_give(found.role().as_ref())?;
        self.expected.check(found.state.version)?;
        Ok(found)
    }

    pub(super) fn shown(&self, transaction: &mut Transaction<'_>, thing: &Thing) -> Result<Shown, Refusal> {
        let mut kinds = self.finder.kinds_of_file();
        if thing.parent.is_some_and(|parent| !kinds.contains_key(&parent)) {
            kinds.extend(transaction.entities()?.iter().map(|entity| (entity.id, entity.kind)));
        }
        Ok(thing.shown(&kinds))
    }

    fn examiner<'e>(
        &'e self,
        transaction: &mut Transaction<'_>,
        before: Option<&'e Thing>,
    ) -> Result<Examiner<'e>, Refusal> {
        let mut entities: Vec<Entity> = self.finder.world.snapshot.entities.clone();
        entities.extend(transaction.entities()?);
        Ok(Examiner { finder: &self.finder, entities, before })
    }
}

/// What the registry keeps of a thing beside its name and place.
pub(super) fn body(resource: Resource, sound: &Sound, hint: &str) -> Json {
    let mut body = json!(sound.settings);
    match resource {
        Resource::Part(
            EntityKind::Organization
            | EntityKind::Team
            | EntityKind::Project
            | EntityKind::User
            | EntityKind::ServiceAccount,
        ) => {}
        Resource::Key => {
            body["scope"] = json!(if sound.role.is_some() { Scope::Admin } else { Scope::Calls });
            body["hint"] = hint.into();
            body["expires_us"] = json!(sound.expires_us);
            if let Some(role) = &sound.role {
                body["role"] = json!(role);
            }
        }
    }
    body
}

pub(super) fn secret(sound: &Sound) -> Result<Secret, store::Error> {
    store::new_key(if sound.role.is_some() { ADMIN_PREFIX } else { KEY_PREFIX })
}

pub(super) fn hint(secret: &Secret) -> String {
    let text = secret.expose();
    let prefix = if text.starts_with(ADMIN_PREFIX) { ADMIN_PREFIX } else { KEY_PREFIX };
    text.chars().take(prefix.len() + HINT_CHARS).collect()
}

/// What a thing is once a patch was laid over it.
pub(super) fn merged(shown: &Json, patch: &Map<String, Json>) -> Map<String, Json> {
    let mut target = shown.clone();
    // The two say the same.
    if patch.contains_key("expires")
        && let Some(members) = target.as_object_mut()
    {
        members.shift_remove("expires_us");
    }
    // So do those that it can stand below: the one that is named takes the place of the other.
    let stands = ["team", "project", "user", "service_account"];
    if stands.iter().any(|name| patch.get(*name).is_some_and(Json::is_string))
        && let Some(members) = target.as_object_mut()
    {
        stands.iter().for_each(|name| drop(members.shift_remove(*name)));
    }
    merge(&mut target, &Json::Object(patch.clone()));
    match target {
        Json::Object(members) => members,
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) | Json::Array(_) => Map::new(),
    }
}

fn merge(target: &mut Json, patch: &Json) {
    let Json::Object(patch) = patch else { return *target = patch.clone() };
    if !target.is_object() {
        *target = Json::Object(Map::new());
    }
    let Some(members) = target.as_object_mut() else { return };
    for (name, value) in patch {
        if value.is_null() {
            members.shift_remove(name);
        } else {
            merge(members.entry(name).or_insert(Json::Null), value);
        }
    }
}

/// What was answered before. Secrets are not kept, so that there is none in it.
fn repeated(answer: Answer) -> Reply {
    let status = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::OK);
    let body: Json = serde_json::from_str(&answer.body).unwrap_or_default();
    let version = body.get("version").and_then(Json::as_u64);
    let reply = Reply { body: answer.body, ..Reply::json(status, &()) };
    let reply = reply.with("idempotency-replayed", "true".to_owned());
    match version {
        Some(version) => reply.with("etag", format!("\"{version}\"")),
        None => reply,
    }
}

impl Shown {
    /// A key in the shape that has room for its secret.
    pub(super) fn with_secret_to_come(self) -> Shown {
        match self {
            Shown::Part(part) => Shown::Part(part),
            Shown::Key(key) => Shown::New(Box::new(KeyWithSecret { of: *key, key: None })),
            Shown::New(key) => Shown::New(key),
        }
    }
}

fn with_secret(reply: Reply, secret: &Secret) -> Reply {
    let mut body: Json = serde_json::from_str(&reply.body).unwrap_or_default();
    body["key"] = secret.expose().into();
    Reply { body: body.to_string(), ..reply }
}

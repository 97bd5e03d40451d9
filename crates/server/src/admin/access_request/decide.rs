//! Approves and denies. What is approved is added to the lists of whom it is for, and must be enough: where something else
//! refuses still, nothing is changed and the refusal names it.

use std::collections::HashMap;

use http::StatusCode;
use jiff::Timestamp;
use policy::{
    config::moment,
    key::{Key, Owner, Scope},
    principal::{Directory, Entity, EntityKind, Principal, Settings, Wanted, allow},
};
use schemars::{JsonSchema, schema_for};
use serde_json::{Map, Value as Json, json};
use store::{Change, Database, Object, Transaction};
use uuid::Uuid;

use super::record::{KIND, Kept, Shown, State, Subject, TEXT_CHARS_MAX, unknown};
use crate::{
    admin::{
        Reply,
        change::Wish,
        examine::misfits,
        find::Finder,
        refusal::{Refusal, Wrong},
    },
    world::now_us,
};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Decision {
    Approve,
    Deny,
}

/// How somebody decides.
pub(super) struct Order {
    decision: Decision,
    note: Option<String>,
    until_us: Option<i64>,
}

/// How a request is approved.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "bodies are held against its schema, and read by their members")]
pub(super) struct Approval {
    /// When it ends, as `2027-01-31` (the end of that day in UTC) or `2027-01-31T12:00:00Z`. Default: never.
    expires: Option<String>,
    /// What is said of it.
    note: Option<String>,
}

/// How a request is denied.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "bodies are held against its schema, and read by their members")]
pub(super) struct Denial {
    /// Why.
    note: String,
}

impl Order {
    pub(super) fn read(decision: Decision, members: Map<String, Json>) -> Result<Order, Refusal> {
        let schema = match decision {
            Decision::Approve => schema_for!(Approval),
            Decision::Deny => schema_for!(Denial),
        };
        let body = Json::Object(members);
        let mut wrong = misfits(&schema.to_value(), &body);
        let text = |name: &str| body.get(name).and_then(Json::as_str).map(str::to_owned);
        let note = text("note");
        let length = note.as_ref().map_or(1, |note| note.trim().len().min(note.chars().count()));
        if !(1..=TEXT_CHARS_MAX).contains(&length) {
            wrong.push(Wrong::new("note", format!("must have between 1 and {TEXT_CHARS_MAX} characters")));
        }
        let until_us = text("expires").map(|text| moment(&text)).transpose();
        let until_us = until_us.unwrap_or_else(|message| {
            wrong.push(Wrong::new("expires", message));
            None
        });
        if until_us.is_some_and(|until| until <= now_us()) {
            wrong.push(Wrong::new("expires", "is over already; write a moment to come"));
        }
        if wrong.is_empty() { Ok(Order { decision, note, until_us }) } else { Err(Refusal::invalid(wrong)) }
    }

    pub(super) fn perform(
        &self,
        wish: &Wish,
        wanted: &str,
        database: &mut Database,
    ) -> Result<Reply, Refusal> {
        wish.once(database, |transaction| {
            let now_us = now_us();
            let id = Uuid::parse_str(wanted).map_err(|_| unknown(wanted))?;
            let object = transaction.object(KIND, id)?.ok_or_else(|| unknown(wanted))?;
            let kept = Kept::of(&object).ok_or_else(|| unknown(wanted))?;
            wish.expected.check(object.version)?;
            kept.check_pending(now_us)?;
            let mut remark = None;
            if self.decision == Decision::Approve {
                check_other(&wish.finder, transaction, &kept)?;
                remark = self.allow(&wish.finder, transaction, &kept, now_us)?;
            }
            let decided = Kept {
                state: match self.decision {
                    Decision::Approve => State::Approved,
                    Decision::Deny => State::Denied,
                },
                decided_by: Some(wish.finder.who.id),
                decided_us: Some(now_us),
                note: self.note.clone(),
                until_us: self.until_us,
                ..kept
            };
            let after = transaction.apply(&update(&object, decided.body()))?;
            let mut shown = Shown::of(&after, now_us).ok_or_else(|| unknown(wanted))?;
            shown.remark = remark;
            Ok((shown.reply(StatusCode::OK), None))
        })
    }

    /// Adds what is asked for to the lists of whom it is for; returns what else the approver ought to know.
    fn allow(
        &self,
        finder: &Finder,
        transaction: &mut Transaction<'_>,
        kept: &Kept,
        now_us: i64,
    ) -> Result<Option<String>, Refusal> {
        let subject = subject(finder, transaction, &kept.subject)?;
        let settings = serde_json::from_value(subject.body.clone());
        let mut settings: Settings = settings
            .map_err(|_| conflict("subject_unreadable", &kept.subject, "cannot be read; mend it first"))?;
        let until = self.until_us.and_then(|until| Timestamp::from_microsecond(until).ok());
        let wanted = Wanted { models: &kept.models, operations: &kept.operations };
        let is_changed = allow(&mut settings, &wanted, until.map(|until| until.to_string()));
        let body = with_lists(subject.body.clone(), &settings);
        let changed = Object { body, ..subject.clone() };
        let caller = caller(finder, transaction, kept, &changed, now_us)?;
        let refused = kept.models.iter().map(|model| caller.may_use(model)).find_map(Result::err);
        let refused = refused
            .or_else(|| kept.operations.iter().map(|name| caller.may_do(name.0)).find_map(Result::err));
        if let Some(fault) = refused {
            let message = format!(
                "{}; {} \"{}\" was to be allowed more, which would not be enough: change that first. Nothing was changed",
                fault.message,
                kept.subject.kind.name(),
                kept.subject.name,
            );
            return Err(Refusal::new(StatusCode::CONFLICT, "still_refused", message));
        }
        if !is_changed {
            return Err(conflict(
                "already_allowed",
                &kept.subject,
                "and what is above it allow this already; deny the request",
            ));
        }
        transaction.apply(&update(&subject, changed.body))?;
        Ok(caller
            .has_rules()
            .then(|| "access rules hold for its calls beside this, and may deny them".to_owned()))
    }
}

/// Nobody approves what they asked for themselves: the user whose key decides, or who has the name of the person that does, is
/// not the one whose key asked.
fn check_other(finder: &Finder, transaction: &mut Transaction<'_>, kept: &Kept) -> Result<(), Refusal> {
    let id = finder.who.id;
    let of_file = finder.world.snapshot.keys.iter().find(|file| file.key.id == id);
    let user = match of_file {
        Some(file) => file.key.parent,
        None => transaction.object("key", id)?.and_then(|key| key.parent),
    };
    let mut is_own = kept.asked_by.id == id;
    if let Some(asker) = kept.asked_by.user {
        let name = name_of_user(finder, transaction, asker)?;
        let person = finder.who.person.as_ref();
        is_own |=
            user == Some(asker) || person.zip(name).is_some_and(|(person, name)| person.is_called(&name));
    }
    if !is_own {
        return Ok(());
    }
    let message = "nobody approves what they asked for themselves; let another administrator decide";
    Err(Refusal::new(StatusCode::FORBIDDEN, "own_request", message))
}

fn name_of_user(
    finder: &Finder,
    transaction: &mut Transaction<'_>,
    id: Uuid,
) -> Result<Option<String>, Refusal> {
    match finder.world.snapshot.entities.iter().find(|entity| entity.id == id) {
        Some(entity) => Ok(Some(entity.name.clone())),
        None => Ok(transaction.object(EntityKind::User.name(), id)?.map(|user| user.name)),
    }
}

/// Whom it is for, where the registry owns it.
fn subject(finder: &Finder, transaction: &mut Transaction<'_>, of: &Subject) -> Result<Object, Refusal> {
    let snapshot = &finder.world.snapshot;
    let is_of_file = snapshot.entities.iter().any(|entity| entity.id == of.id)
        || snapshot.keys.iter().any(|file| file.key.id == of.id);
    if is_of_file {
        let what =
            "is owned by the configuration file; add to its models or operations there. Nothing was changed";
        return Err(conflict("owned_by_file", of, what));
    }
    let found = transaction.object(of.kind.name(), of.id)?;
    found.ok_or_else(|| conflict("subject_ended", of, "has ended; deny the request"))
}

fn conflict(code: &str, subject: &Subject, what: &str) -> Refusal {
    let message = format!("{} \"{}\" {what}", subject.kind.name(), subject.name);
    Refusal::new(StatusCode::CONFLICT, code, message)
}

/// Whoever asked, as it would be with the subject so changed; for a token somebody who belongs to the subject.
fn caller(
    finder: &Finder,
    transaction: &mut Transaction<'_>,
    kept: &Kept,
    changed: &Object,
    now_us: i64,
) -> Result<Principal, Refusal> {
    let snapshot = &finder.world.snapshot;
    let mut entities: HashMap<Uuid, Entity> =
        transaction.entities()?.into_iter().map(|entity| (entity.id, entity)).collect();
    entities.extend(store::entity_of(changed).map(|entity| (entity.id, entity)));
    entities.extend(snapshot.entities.iter().map(|entity| (entity.id, entity.clone())));
    let (directory, _) = Directory::new(entities.into_values().collect());
    let id = kept.asked_by.id;
    let of_file = snapshot.keys.iter().find(|file| file.key.id == id);
    let key = match of_file {
        Some(file) => file.key.clone(),
        None if changed.id == id => store::key_of(changed),
        None => transaction.object("key", id)?.as_ref().map_or_else(
            || Key {
                organization: changed.organization,
                parent: Some(changed.id),
                scope: Scope::Calls,
                owner: Owner::Registry,
                ..Key::unbound()
            },
            store::key_of,
        ),
    };
    Ok(directory.principal(&key).0.without_lapsed(now_us))
}

/// A body with other lists, and all else as it was.
fn with_lists(mut body: Json, settings: &Settings) -> Json {
    for (name, list) in [
        ("models", json!(settings.models)),
        ("operations", json!(settings.operations)),
        ("temporary", json!(settings.temporary)),
    ] {
        if list.as_array().is_some_and(|list| !list.is_empty()) {
            body[name] = list;
        }
    }
    body
}

fn update(object: &Object, body: Json) -> Change {
    Change::Update {
        id: object.id,
        expected: Some(object.version),
        name: object.name.clone(),
        parent: object.parent,
        body,
    }
}

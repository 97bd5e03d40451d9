//! Makes, changes and ends users.

use http::StatusCode;
use serde_json::{Map, Value as Json, json};
use store::{Change, Database, Object, Provisioned, Roster, Transaction};
use uuid::Uuid;

use super::{
    body::{check_schemas, resource},
    patch,
    projection::Projection,
    record::{Record, View, nothing},
    refused::{ErrorType, owned_by_file},
    schema::ResourceType,
    tenant::Tenant,
};
use crate::admin::{Reply, change::Wish, examine::check_name, find::Thing, refusal::Refusal};

/// How many keys of a user are ended at a time.
const KEYS_AT_A_TIME: u32 = 100;

/// What a client wants of a resource.
pub(super) struct Order<'o> {
    pub(super) tenant: &'o Tenant,
    pub(super) wish: &'o Wish,
    pub(super) projection: &'o Projection,
}

/// What a body says of a user.
struct Wanted {
    name: String,
    /// Nothing where it says nothing of it.
    active: Option<bool>,
    attributes: Map<String, Json>,
}

impl Order<'_> {
    pub(super) fn create_user(
        &self,
        given: &Map<String, Json>,
        database: &mut Database,
    ) -> Result<Reply, Refusal> {
        check_schemas(given, ResourceType::User.schema())?;
        let wanted = Wanted::read(resource(ResourceType::User, given)?)?;
        self.wish.once(database, |transaction| {
            let id = Uuid::now_v7();
            self.check_free(transaction, ResourceType::User, &wanted.name, id)?;
            let kept = Provisioned { attributes: wanted.attributes.clone(), ..Provisioned::default() };
            let change = Change::Create {
                id,
                kind: ResourceType::User.kind().to_owned(),
                organization: self.tenant.organization(),
                parent: None,
                name: wanted.name.clone(),
                body: with_active(kept.within(&json!({})), wanted.active.unwrap_or(true)),
            };
            let made = transaction.apply(&change)?;
            Ok((self.shown(&made, &Roster::default(), StatusCode::CREATED), None))
        })
    }

    /// Replaces a user by what a body says, or changes it by a patch.
    pub(super) fn change_user(
        &self,
        wanted: &str,
        (given, is_patch): (&Map<String, Json>, bool),
        database: &mut Database,
    ) -> Result<Reply, Refusal> {
        self.wish.once(database, |transaction| {
            let before = self.owned(transaction, ResourceType::User, wanted)?;
            let record = Record::of_object(ResourceType::User, &before);
            let attributes = self.desired(&record, record.attributes(), (given, is_patch))?;
            let wanted = Wanted::read(attributes)?;
            if wanted.name != before.name {
                self.check_free(transaction, ResourceType::User, &wanted.name, before.id)?;
            }
            let kept = Provisioned { attributes: wanted.attributes, groups: record.kept.groups.clone() };
            // Where nothing is said of it, it stays as it is.
            let active = wanted.active.unwrap_or(record.is_active);
            let body = with_active(kept.within(&before.body), active);
            let roster = Roster::new(&transaction.groups(self.tenant.organization())?);
            if body == before.body && wanted.name == before.name {
                return Ok((self.shown(&before, &roster, StatusCode::OK), None));
            }
            let change = Change::Update {
                id: before.id,
                expected: Some(before.version),
                name: wanted.name,
                parent: before.parent,
                body,
            };
            let after = transaction.apply(&change)?;
            Ok((self.shown(&after, &roster, StatusCode::OK), None))
        })
    }

    /// Ends a user, and all of the user's keys.
    pub(super) fn delete_user(&self, wanted: &str, database: &mut Database) -> Result<Reply, Refusal> {
        self.wish.once(database, |transaction| {
            let before = self.owned(transaction, ResourceType::User, wanted)?;
            loop {
                let keys = transaction.below(before.id, KEYS_AT_A_TIME)?;
                if keys.is_empty() {
                    break;
                }
                for key in keys {
                    self.tenant.finder.who.may_give(Thing::of_object(&key).role().as_ref())?;
                    transaction.apply(&Change::Delete { id: key.id, expected: None })?;
                }
            }
            transaction.apply(&Change::Delete { id: before.id, expected: Some(before.version) })?;
            Ok((nothing(), None))
        })
    }

    /// What a resource is to be: as its body says, or as the patch makes it of what it is.
    pub(super) fn desired(
        &self,
        record: &Record,
        mut now: Map<String, Json>,
        (given, is_patch): (&Map<String, Json>, bool),
    ) -> Result<Map<String, Json>, Refusal> {
        if !is_patch {
            check_schemas(given, record.kind.schema())?;
            return resource(record.kind, given);
        }
        patch::apply(record.kind, &mut now, given)?;
        resource(record.kind, &now)
    }

    /// What the registry owns of this id, where it has the version that its client believes it to have.
    pub(super) fn owned(
        &self,
        transaction: &mut Transaction<'_>,
        kind: ResourceType,
        wanted: &str,
    ) -> Result<Object, Refusal> {
        let unknown = || Refusal::not_found(kind.kind(), wanted);
        let id = Uuid::parse_str(wanted).map_err(|_| unknown())?;
        if let Some(entity) = self.tenant.of_file().find(|entity| entity.id == id) {
            return Err(owned_by_file("user", &entity.name));
        }
        let found = transaction.object(kind.kind(), id)?;
        let found = found.filter(|object| object.organization == self.tenant.organization());
        let found = found.ok_or_else(unknown)?;
        self.wish.expected.check(found.version)?;
        Ok(found)
    }

    /// Whether nobody else has this name.
    pub(super) fn check_free(
        &self,
        transaction: &mut Transaction<'_>,
        kind: ResourceType,
        name: &str,
        own: Uuid,
    ) -> Result<(), Refusal> {
        let taken = |by: &str| {
            let message = format!("{}: \"{name}\" is the name of {by} already", kind.named_by());
            Err(ErrorType::Uniqueness.refusal(message))
        };
        let is_same = |other: &str| other.to_lowercase() == name.to_lowercase();
        if kind == ResourceType::User && self.tenant.of_file().any(|entity| is_same(&entity.name)) {
            return taken("a user that the configuration file owns");
        }
        let alike = transaction.alike(self.tenant.organization(), kind.kind(), name)?;
        match alike.iter().find(|object| object.id != own) {
            Some(other) => taken(&format!("the {} {}", kind.kind(), other.id)),
            None => Ok(()),
        }
    }

    fn shown(&self, object: &Object, roster: &Roster, status: StatusCode) -> Reply {
        let view = View { tenant: self.tenant, roster, projection: self.projection };
        view.reply(status, &Record::of_object(ResourceType::User, object), &[])
    }
}

impl Wanted {
    fn read(mut attributes: Map<String, Json>) -> Result<Wanted, Refusal> {
        let name = name(ResourceType::User, &mut attributes)?;
        let active = attributes.shift_remove("active").and_then(|active| active.as_bool());
        Ok(Wanted { name, active, attributes })
    }
}

/// Takes the name out of attributes.
pub(super) fn name(kind: ResourceType, attributes: &mut Map<String, Json>) -> Result<String, Refusal> {
    let named_by = kind.named_by();
    let name = attributes.shift_remove(named_by);
    let name = name.as_ref().and_then(Json::as_str).unwrap_or_default().to_owned();
    let mut wrong = Vec::new();
    check_name(&name, &mut wrong);
    match wrong.first() {
        None => Ok(name),
        Some(first) => Err(ErrorType::InvalidValue.refusal(format!("{named_by}: {}", first.message))),
    }
}

fn with_active(mut body: Json, active: bool) -> Json {
    if let Some(members) = body.as_object_mut() {
        if active {
            members.shift_remove("disabled");
        } else {
            members.insert("disabled".to_owned(), true.into());
        }
    }
    body
}

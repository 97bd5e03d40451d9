//! Changes of the registry: all or none, told to replicas, and written down in the audit.

use std::collections::HashMap;

use serde_json::{Value as Json, json};
use uuid::Uuid;

use crate::{
    Database, Error, Object, Tenancy,
    audit::{Event, Head},
    credentials::told,
    objects::{COLUMNS, object_of},
    sql::{Engine, transaction},
};

/// One change of an object.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    Create {
        id: Uuid,
        kind: String,
        organization: Option<Uuid>,
        parent: Option<Uuid>,
        name: String,
        body: Json,
    },
    Update {
        id: Uuid,
        /// The version that it must have, where that matters.
        expected: Option<u64>,
        name: String,
        parent: Option<Uuid>,
        body: Json,
    },
    Delete {
        id: Uuid,
        expected: Option<u64>,
    },
    /// Takes back that an object was deleted: it goes on under its id.
    Revive {
        id: Uuid,
        expected: Option<u64>,
        name: String,
        parent: Option<Uuid>,
        body: Json,
    },
}

/// Who changes something, and whence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Author {
    pub actor: String,
    pub kind: ActorKind,
    /// The caller's network address.
    pub address: Option<String>,
    pub request_id: Option<Uuid>,
}

/// What an actor is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ActorKind {
    /// A key of the admin API.
    Key,
    User,
    /// Somebody who has signed in, with the id of the account or of the person at a provider.
    Person(Uuid),
    /// Somebody at the machine, by a command.
    Command,
    /// The gateway itself.
    System,
}

impl Author {
    /// The gateway itself, or a command beside it.
    pub fn system() -> Author {
        Author { actor: "tollgate".to_owned(), kind: ActorKind::System, address: None, request_id: None }
    }

    fn shown(&self) -> String {
        format!("{}:{}", self.kind.name(), self.actor)
    }
}

impl ActorKind {
    pub fn name(self) -> &'static str {
        match self {
            ActorKind::Key => "key",
            ActorKind::User | ActorKind::Person(_) => "user",
            ActorKind::Command => "command",
            ActorKind::System => "system",
        }
    }

    /// Who it is, whatever the name.
    pub(crate) fn person(self) -> Option<Uuid> {
        match self {
            ActorKind::Person(id) => Some(id),
            ActorKind::Key | ActorKind::User | ActorKind::Command | ActorKind::System => None,
        }
    }
}

impl Database {
    /// Does all of these changes or none, and returns what became of the objects.
    pub fn apply(
        &mut self,
        tenancy: Tenancy,
        changes: &[Change],
        author: &Author,
        now_us: i64,
    ) -> Result<Vec<Object>, Error> {
        transaction(&mut *self.engine, |engine| {
            let mut writer = Writer::begin(engine, tenancy, author, now_us)?;
            let applied = changes.iter().map(|change| writer.apply(change)).collect::<Result<_, _>>()?;
            writer.finish()?;
            Ok(applied)
        })
    }
}

/// Writes within one transaction.
pub(crate) struct Writer<'w> {
    pub(crate) engine: &'w mut dyn Engine,
    pub(crate) tenancy: Tenancy,
    /// Parents that are in no registry, with their organizations.
    pub(crate) outside: HashMap<Uuid, Option<Uuid>>,
    /// Every change so far: what was there before, and what is there now.
    pub(crate) changed: Vec<(Option<Object>, Object)>,
    author: &'w Author,
    now_us: i64,
    /// The clock of this transaction.
    seq: u64,
    head: Head,
}

impl<'w> Writer<'w> {
    /// Moves the clock on, which makes other writers wait for the end of this transaction.
    pub(crate) fn begin(
        engine: &'w mut dyn Engine,
        tenancy: Tenancy,
        author: &'w Author,
        now_us: i64,
    ) -> Result<Writer<'w>, Error> {
        let tick = "UPDATE clock SET seq = seq + 1 RETURNING seq, audited, audit_hash";
        let row = engine.query_first(tick, &[])?;
        let row = row.ok_or_else(|| Error::Database("its clock is missing".to_owned()))?;
        let head = Head { seq: row.get(1)?, hash: row.get(2)? };
        let (outside, changed) = (HashMap::new(), Vec::new());
        Ok(Writer { seq: row.get(0)?, head, engine, tenancy, outside, changed, author, now_us })
    }

    /// Writes down what is no change of an object.
    pub(crate) fn tell(&mut self, event: &Event) -> Result<(), Error> {
        self.head.append(self.engine, event, self.author, self.now_us)
    }

    /// Says that something beside an object has changed that is told with it: replicas look at it again.
    pub(crate) fn touch(&mut self, id: Uuid) -> Result<(), Error> {
        self.engine.execute("UPDATE objects SET seq = ?2 WHERE id = ?1", &[id.into(), self.seq.into()])?;
        Ok(())
    }

    /// Tells replicas. What was audited is part of the clock.
    pub(crate) fn finish(self) -> Result<(), Error> {
        self.head.keep(self.engine)?;
        self.engine.announce()
    }

    pub(crate) fn apply(&mut self, change: &Change) -> Result<Object, Error> {
        let (before, after) = match change {
            Change::Create { id, kind, organization, parent, name, body } => {
                let object = Object {
                    id: *id,
                    kind: kind.clone(),
                    organization: *organization,
                    parent: *parent,
                    name: clean(name),
                    body: body.clone(),
                    version: 1,
                    seq: self.seq,
                    created_us: self.now_us,
                    updated_us: self.now_us,
                    deleted_us: None,
                };
                if !self.tenancy.covers(*organization) {
                    return Err(Error::NoObject(*id));
                }
                self.create(&object)?;
                (None, object)
            }
            Change::Update { id, expected, name, parent, body } => {
                let before = self.current(*id, *expected)?;
                let after = self.replaced(&before, (name, *parent, body));
                self.update(&after)?;
                (Some(before), after)
            }
            Change::Revive { id, expected, name, parent, body } => {
                let before = self.deleted(*id, *expected)?;
                let after = self.replaced(&before, (name, *parent, body));
                self.update(&after)?;
                (None, after)
            }
            Change::Delete { id, expected } => {
                let before = self.current(*id, *expected)?;
                let after = Object {
                    version: before.version + 1,
                    seq: self.seq,
                    updated_us: self.now_us,
                    deleted_us: Some(self.now_us),
                    body: told(&before).into_owned(),
                    ..before.clone()
                };
                self.update(&after)?;
                (Some(before), after)
            }
        };
        self.remember(&after)?;
        self.audit(before.as_ref(), &after)?;
        self.changed.push((before, after.clone()));
        Ok(after)
    }

    /// The same object with another name, place and body.
    fn replaced(&self, before: &Object, (name, parent, body): (&str, Option<Uuid>, &Json)) -> Object {
        Object {
            name: clean(name),
            parent,
            body: body.clone(),
            version: before.version + 1,
            seq: self.seq,
            updated_us: self.now_us,
            deleted_us: None,
            ..before.clone()
        }
    }

    /// The object as it is, where it may be seen and is what the author believes it to be.
    fn current(&mut self, id: Uuid, expected: Option<u64>) -> Result<Object, Error> {
        self.found(id, expected, "deleted_us IS NULL")
    }

    /// The same for one that was deleted.
    fn deleted(&mut self, id: Uuid, expected: Option<u64>) -> Result<Object, Error> {
        self.found(id, expected, "deleted_us IS NOT NULL")
    }

    fn found(&mut self, id: Uuid, expected: Option<u64>, state: &str) -> Result<Object, Error> {
        let select = format!(
            "SELECT {COLUMNS} FROM objects WHERE (organization = ?1 OR ?1 IS NULL) AND id = ?2 AND {state}"
        );
        let row = self.engine.query_first(&select, &[self.tenancy.value(), id.into()])?;
        let found = row.as_ref().map(object_of).transpose()?.ok_or(Error::NoObject(id))?;
        if expected.is_some_and(|expected| expected != found.version) {
            return Err(Error::VersionMismatch { found: found.version });
        }
        Ok(found)
    }

    fn create(&mut self, object: &Object) -> Result<(), Error> {
        self.check_parent(object)?;
        let insert =
            format!("INSERT INTO objects ({COLUMNS}) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, NULL)");
        let values = [
            object.id.into(),
            (&object.kind).into(),
            object.organization.into(),
            object.parent.into(),
            (&object.name).into(),
            object.body.to_string().into(),
            object.version.into(),
            object.seq.into(),
            object.created_us.into(),
            object.updated_us.into(),
        ];
        self.engine.execute(&insert, &values).map_err(|error| taken(error, object))?;
        Ok(())
    }

    fn update(&mut self, object: &Object) -> Result<(), Error> {
        self.check_parent(object)?;
        let update = "UPDATE objects SET parent = ?3, name = ?4, body = ?5, version = ?6, seq = ?7, \
                      updated_us = ?8, deleted_us = ?9 WHERE (organization = ?1 OR ?1 IS NULL) AND id = ?2";
        let values = [
            self.tenancy.value(),
            object.id.into(),
            object.parent.into(),
            (&object.name).into(),
            object.body.to_string().into(),
            object.version.into(),
            object.seq.into(),
            object.updated_us.into(),
            object.deleted_us.into(),
        ];
        match self.engine.execute(update, &values).map_err(|error| taken(error, object))? {
            0 => Err(Error::NoObject(object.id)),
            _ => Ok(()),
        }
    }

    /// A parent is there, and in the same organization, or the organization itself, or nobody's; tenants reach only the
    /// first two.
    fn check_parent(&mut self, object: &Object) -> Result<(), Error> {
        let Some(parent) = object.parent.filter(|_| object.deleted_us.is_none()) else { return Ok(()) };
        let organization = match self.outside.get(&parent) {
            Some(organization) => *organization,
            None => {
                let select = "SELECT organization FROM objects WHERE id = ?1 AND deleted_us IS NULL";
                let row = self.engine.query_first(select, &[parent.into()])?;
                row.ok_or(Error::NoObject(parent))?.get(0)?
            }
        };
        let nobodys = organization.is_none() && self.tenancy == Tenancy::All;
        let own = organization == object.organization || object.organization == Some(parent);
        if parent == object.id || !(own || nobodys) { Err(Error::NoObject(parent)) } else { Ok(()) }
    }

    fn remember(&mut self, object: &Object) -> Result<(), Error> {
        let insert = "INSERT INTO object_versions \
                      (id, version, body, name, parent, changed_us, changed_by, deleted, seq) \
                      VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)";
        let values = [
            object.id.into(),
            object.version.into(),
            told(object).to_string().into(),
            (&object.name).into(),
            object.parent.into(),
            self.now_us.into(),
            self.author.shown().into(),
            object.deleted_us.is_some().into(),
            object.seq.into(),
        ];
        self.engine.execute(insert, &values)?;
        Ok(())
    }

    fn audit(&mut self, before: Option<&Object>, after: &Object) -> Result<(), Error> {
        let action = match (before, after.deleted_us) {
            (None, _) => "create",
            (Some(_), None) => "update",
            (Some(_), Some(_)) => "delete",
        };
        let shown = |object: &Object| {
            json!({"name": object.name, "parent": object.parent, "body": told(object)}).to_string()
        };
        let event = Event {
            action: action.to_owned(),
            kind: Some(after.kind.clone()),
            object_id: Some(after.id),
            object_name: Some(after.name.clone()),
            organization: after.organization,
            before: before.map(shown),
            after: after.deleted_us.is_none().then(|| shown(after)),
        };
        self.tell(&event)
    }
}

/// PostgreSQL has no texts with a zero in them, and what is hashed must be what is kept.
pub(crate) fn clean(text: &str) -> String {
    text.replace('\0', "\u{fffd}")
}

fn taken(error: Error, object: &Object) -> Error {
    match error {
        Error::Duplicate(_) => Error::NameTaken { kind: object.kind.clone(), name: object.name.clone() },
        error => error,
    }
}

//! The registry: objects of every kind, each in a tenant's scope, with versions.

use serde::Serialize;
use serde_json::Value as Json;
use uuid::Uuid;

use crate::{
    Database, Error,
    sql::{Row, Value},
};

pub(crate) const COLUMNS: &str =
    "id, kind, organization, parent, name, body, version, seq, created_us, updated_us, deleted_us";

/// Whose objects may be seen and changed: everything that touches objects asks for it, and puts it into its statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tenancy {
    /// Everybody's.
    All,
    /// Those of this organization, and no others.
    Organization(Uuid),
}

/// Something of the registry, as it is now.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Object {
    pub id: Uuid,
    pub kind: String,
    pub organization: Option<Uuid>,
    pub parent: Option<Uuid>,
    /// There are no two of one kind in one organization.
    pub name: String,
    pub body: Json,
    /// 1 at first, and one more with each change.
    pub version: u64,
    /// The registry's clock at its last change, or at the last change of what opens it.
    pub seq: u64,
    /// Microseconds since 1970.
    pub created_us: i64,
    pub updated_us: i64,
    pub deleted_us: Option<i64>,
}

/// Which objects to list, in the order of their ids.
#[derive(Clone, Debug, Default)]
pub struct Query {
    pub kind: String,
    pub parent: Option<Uuid>,
    /// The name itself.
    pub name: Option<String>,
    /// Letters that stand in the name, in either case.
    pub search: Option<String>,
    /// Only those behind this one.
    pub after: Option<Uuid>,
    pub limit: u32,
}

/// An object as it once was.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Version {
    pub version: u64,
    /// The registry's clock at this change; 0 for changes of before it was kept.
    pub seq: u64,
    pub name: String,
    pub parent: Option<Uuid>,
    pub body: Json,
    pub changed_us: i64,
    /// Who did it: the kind of actor and its name, as `key:ops`.
    pub changed_by: String,
    pub deleted: bool,
}

impl Tenancy {
    /// For `(organization = ?1 OR ?1 IS NULL)`.
    pub(crate) fn value(self) -> Value<'static> {
        match self {
            Tenancy::All => Value::Null,
            Tenancy::Organization(id) => Value::Uuid(id),
        }
    }

    pub(crate) fn covers(self, organization: Option<Uuid>) -> bool {
        match self {
            Tenancy::All => true,
            Tenancy::Organization(id) => organization == Some(id),
        }
    }
}

impl Database {
    /// The objects that there are.
    pub fn objects(&mut self, tenancy: Tenancy, query: &Query) -> Result<Vec<Object>, Error> {
        let select = format!(
            "SELECT {COLUMNS} FROM objects WHERE (organization = ?1 OR ?1 IS NULL) AND kind = ?2 AND id > ?3 \
             AND deleted_us IS NULL AND (parent = ?4 OR ?4 IS NULL) AND (name = ?5 OR ?5 IS NULL) \
             AND (lower(name) LIKE ?6 ESCAPE '!' OR ?6 IS NULL) ORDER BY id LIMIT ?7"
        );
        let values = [
            tenancy.value(),
            (&query.kind).into(),
            query.after.unwrap_or_default().into(),
            query.parent.into(),
            query.name.as_ref().into(),
            query.search.as_deref().map(pattern).into(),
            query.limit.into(),
        ];
        self.engine.query(&select, &values)?.iter().map(object_of).collect()
    }

    /// One object, unless it was deleted.
    pub fn object(&mut self, tenancy: Tenancy, id: Uuid) -> Result<Option<Object>, Error> {
        let select = format!(
            "SELECT {COLUMNS} FROM objects \
             WHERE (organization = ?1 OR ?1 IS NULL) AND id = ?2 AND deleted_us IS NULL"
        );
        let row = self.engine.query_first(&select, &[tenancy.value(), id.into()])?;
        row.as_ref().map(object_of).transpose()
    }

    /// What an object was, the latest first; also of one that was deleted.
    pub fn history(&mut self, tenancy: Tenancy, id: Uuid) -> Result<Vec<Version>, Error> {
        let select = "SELECT v.version, v.name, v.parent, v.body, v.changed_us, v.changed_by, v.deleted, v.seq \
                      FROM object_versions v JOIN objects o ON o.id = v.id \
                      WHERE (o.organization = ?1 OR ?1 IS NULL) AND o.id = ?2 ORDER BY v.version DESC";
        let version_of = |row: &Row| {
            Ok(Version {
                version: row.get(0)?,
                name: row.get(1)?,
                parent: row.get(2)?,
                body: body_of(row, 3)?,
                changed_us: row.get(4)?,
                changed_by: row.get(5)?,
                deleted: row.get(6)?,
                seq: row.get(7)?,
            })
        };
        self.engine.query(select, &[tenancy.value(), id.into()])?.iter().map(version_of).collect()
    }

    /// A number that grows with every change of the registry.
    pub fn clock(&mut self) -> Result<u64, Error> {
        let row = self.engine.query_first("SELECT seq FROM clock", &[])?;
        row.map_or(Ok(0), |row| row.get(0))
    }
}

pub(crate) fn object_of(row: &Row) -> Result<Object, Error> {
    Ok(Object {
        id: row.get(0)?,
        kind: row.get(1)?,
        organization: row.get(2)?,
        parent: row.get(3)?,
        name: row.get(4)?,
        body: body_of(row, 5)?,
        version: row.get(6)?,
        seq: row.get(7)?,
        created_us: row.get(8)?,
        updated_us: row.get(9)?,
        deleted_us: row.get(10)?,
    })
}

pub(crate) fn body_of(row: &Row, column: usize) -> Result<Json, Error> {
    serde_json::from_str(&row.get::<String>(column)?)
        .map_err(|error| Error::Database(format!("column {column}: {error}")))
}

/// For `LIKE … ESCAPE '!'`.
pub(crate) fn pattern(search: &str) -> String {
    let lower = search.to_lowercase().replace('!', "!!").replace('%', "!%").replace('_', "!_");
    format!("%{lower}%")
}

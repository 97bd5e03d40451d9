//! The registry as a whole: as it is, as it was, and what has changed.

use policy::principal::Entity;
use serde_json::Value as Json;
use uuid::Uuid;

use crate::{
    Database, Error, Object, Tenancy, Transaction, Version,
    objects::{COLUMNS, body_of, object_of},
    sql::{Engine, Row, Value},
};

/// Reads all of the registry that somebody may see. An organization is part of itself.
pub struct Look<'l> {
    pub(crate) engine: &'l mut dyn Engine,
    pub(crate) tenancy: Tenancy,
}

/// Which changes to tell of, the latest first.
#[derive(Clone, Debug, Default)]
pub struct HistoryQuery {
    pub object: Option<Uuid>,
    /// Only changes of before the clock stood so.
    pub before: Option<u64>,
    /// How many numbers of the clock to tell of.
    pub limit: u32,
}

/// One change of an object.
#[derive(Clone, Debug, PartialEq)]
pub struct Changed {
    pub id: Uuid,
    pub kind: String,
    pub organization: Option<Uuid>,
    /// What it was made to be.
    pub now: Version,
    /// What it was before: its name, what it stood below, and its body.
    pub before: Option<(String, Option<Uuid>, Json)>,
    pub was_deleted: bool,
}

impl Database {
    pub fn look(&mut self, tenancy: Tenancy) -> Look<'_> {
        Look { engine: &mut *self.engine, tenancy }
    }
}

impl Transaction<'_> {
    /// Includes what this transaction has changed so far.
    pub fn look(&mut self, tenancy: Tenancy) -> Look<'_> {
        Look { engine: self.writer.engine, tenancy }
    }
}

impl Look<'_> {
    /// Everything that there is, of every kind, and how the clock stood then.
    pub fn all(&mut self) -> Result<(Vec<Object>, u64), Error> {
        // One statement sees one state of the database.
        let select = format!(
            "SELECT {}, c.seq FROM clock c LEFT JOIN objects o ON o.deleted_us IS NULL \
             AND (o.organization = ?1 OR o.id = ?1 OR ?1 IS NULL) ORDER BY o.id",
            columns("o")
        );
        let rows = self.engine.query(&select, &[self.tenancy.value()])?;
        let clock = rows.first().map_or(Ok(0), |row| row.get(11))?;
        let mut objects = Vec::with_capacity(rows.len());
        for row in &rows {
            // Without any object there is a row for the clock alone.
            if row.get::<Option<Uuid>>(0)?.is_some() {
                objects.push(object_of(row)?);
            }
        }
        Ok((objects, clock))
    }

    /// Everybody's parts of organizations.
    pub fn entities(&mut self) -> Result<Vec<Entity>, Error> {
        crate::entities::entities(self.engine)
    }

    /// The keys and accounts that administer, and few others.
    pub fn administrators(&mut self) -> Result<Vec<Object>, Error> {
        let select = format!(
            "SELECT {COLUMNS} FROM objects WHERE (organization = ?1 OR ?1 IS NULL) AND deleted_us IS NULL \
             AND (kind = ?2 OR (kind = ?3 AND body LIKE '%\"admin\"%')) ORDER BY id"
        );
        let values = [self.tenancy.value(), crate::accounts::KIND.into(), crate::keys::KIND.into()];
        self.engine.query(&select, &values)?.iter().map(object_of).collect()
    }

    /// What has changed since the clock stood so, as it is now; what was deleted is among it.
    pub fn changed_since(&mut self, clock: u64) -> Result<Vec<Object>, Error> {
        let select = format!(
            "SELECT {COLUMNS} FROM objects WHERE (organization = ?1 OR id = ?1 OR ?1 IS NULL) AND seq > ?2 \
             ORDER BY id"
        );
        let rows = self.engine.query(&select, &[self.tenancy.value(), clock.into()])?;
        rows.iter().map(object_of).collect()
    }

    /// The same things as they were when the clock stood so; those that were not there yet are not among them.
    pub fn at(&mut self, clock: u64) -> Result<Vec<Object>, Error> {
        let select = "SELECT o.id, o.kind, o.organization, v.parent, v.name, v.body, v.version, v.seq, o.created_us, \
                      v.changed_us, CASE WHEN v.deleted THEN v.changed_us END \
                      FROM objects o JOIN object_versions v ON v.id = o.id \
                      WHERE (o.organization = ?1 OR o.id = ?1 OR ?1 IS NULL) AND o.seq > ?2 AND v.version = \
                      (SELECT max(w.version) FROM object_versions w WHERE w.id = o.id AND w.seq <= ?2) \
                      ORDER BY o.id";
        let rows = self.engine.query(select, &[self.tenancy.value(), clock.into()])?;
        rows.iter().map(object_of).collect()
    }

    /// An object as it is, also one that was deleted, where this tenancy has it.
    pub fn object(&mut self, tenancy: Tenancy, id: Uuid) -> Result<Option<Object>, Error> {
        let select = format!(
            "SELECT {COLUMNS} FROM objects WHERE (organization = ?1 OR id = ?1 OR ?1 IS NULL) AND id = ?2"
        );
        let row = self.engine.query_first(&select, &[tenancy.value(), id.into()])?;
        row.as_ref().map(object_of).transpose()
    }

    /// Changes of objects of these kinds, by the numbers of the clock at which they were made.
    pub fn history(&mut self, kinds: &[&str], query: &HistoryQuery) -> Result<Vec<Changed>, Error> {
        let kinds: Vec<String> = kinds.iter().map(|kind| format!("'{}'", kind.replace('\'', ""))).collect();
        let wanted = format!(
            "FROM object_versions v JOIN objects o ON o.id = v.id \
             LEFT JOIN object_versions p ON p.id = v.id AND p.version = v.version - 1 \
             WHERE (o.organization = ?1 OR o.id = ?1 OR ?1 IS NULL) AND o.kind IN ({}) AND v.seq > 0 \
             AND v.seq < ?2 AND (v.id = ?3 OR ?3 IS NULL)",
            kinds.join(", ")
        );
        let before = query.before.map_or(Value::Int(i64::MAX), Value::from);
        let values = [self.tenancy.value(), before, query.object.into(), query.limit.into()];
        let first = format!("SELECT v.seq {wanted} GROUP BY v.seq ORDER BY v.seq DESC LIMIT ?4");
        let numbers = self.engine.query(&first, &values)?;
        let Some(last) = numbers.last() else { return Ok(Vec::new()) };
        let select = format!(
            "SELECT v.version, v.name, v.parent, v.body, v.changed_us, v.changed_by, v.deleted, v.seq, o.id, o.kind, \
             o.organization, p.body, p.name, p.parent, p.deleted \
             {wanted} AND v.seq >= ?4 ORDER BY v.seq DESC, o.kind, v.name, v.id"
        );
        let [tenancy, before, object, _] = values;
        let last: u64 = last.get(0)?;
        let rows = self.engine.query(&select, &[tenancy, before, object, last.into()])?;
        rows.iter().map(changed_of).collect()
    }
}

fn columns(of: &str) -> String {
    let columns: Vec<String> = COLUMNS.split(", ").map(|column| format!("{of}.{column}")).collect();
    columns.join(", ")
}

fn changed_of(row: &Row) -> Result<Changed, Error> {
    let before: Option<String> = row.get(11)?;
    let name: Option<String> = row.get(12)?;
    let parent: Option<Uuid> = row.get(13)?;
    let before = before.zip(name).map(|(body, name)| {
        let body: Json = serde_json::from_str(&body).unwrap_or_default();
        (name, parent, body)
    });
    Ok(Changed {
        id: row.get(8)?,
        kind: row.get(9)?,
        organization: row.get(10)?,
        before,
        was_deleted: row.get::<Option<bool>>(14)?.unwrap_or_default(),
        now: Version {
            version: row.get(0)?,
            seq: row.get(7)?,
            name: row.get(1)?,
            parent: row.get(2)?,
            body: body_of(row, 3)?,
            changed_us: row.get(4)?,
            changed_by: row.get(5)?,
            deleted: row.get(6)?,
        },
    })
}

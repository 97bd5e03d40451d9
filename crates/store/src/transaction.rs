//! Several reads and changes of the registry that belong together.

use std::collections::HashMap;

use policy::Secret;
use uuid::Uuid;

use crate::{
    Adjustment, Author, Change, Database, Error, KeyHasher, Object, Tenancy, adjustments,
    changes::Writer,
    keys::KIND,
    objects::{COLUMNS, object_of},
    sql::transaction,
};

/// The registry while nobody else writes to it: what is read here is true until the end.
pub struct Transaction<'t> {
    pub(crate) writer: Writer<'t>,
    pub(crate) hasher: &'t KeyHasher,
    pub(crate) now_us: i64,
}

impl Database {
    /// Does all of this work or nothing. `outside` are parents that are in no registry, with their organizations.
    pub fn write<T, E: From<Error>>(
        &mut self,
        tenancy: Tenancy,
        (author, now_us): (&Author, i64),
        outside: HashMap<Uuid, Option<Uuid>>,
        work: impl FnOnce(&mut Transaction<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        let hasher = &self.hasher;
        transaction(&mut *self.engine, |engine| {
            let mut writer = Writer::begin(engine, tenancy, author, now_us)?;
            writer.outside = outside;
            let mut transaction = Transaction { writer, hasher, now_us };
            let done = work(&mut transaction)?;
            transaction.writer.finish()?;
            Ok(done)
        })
    }
}

impl Transaction<'_> {
    pub fn apply(&mut self, change: &Change) -> Result<Object, Error> {
        self.writer.apply(change)
    }

    /// Every change so far, the earliest first: what was there before, and what is there now.
    pub fn changed(&self) -> &[(Option<Object>, Object)] {
        &self.writer.changed
    }

    /// One object of a kind, where it may be seen.
    pub fn object(&mut self, kind: &str, id: Uuid) -> Result<Option<Object>, Error> {
        let select = format!(
            "SELECT {COLUMNS} FROM objects WHERE (organization = ?1 OR ?1 IS NULL) AND kind = ?2 AND id = ?3 \
             AND deleted_us IS NULL"
        );
        let values = [self.writer.tenancy.value(), kind.into(), id.into()];
        let row = self.writer.engine.query_first(&select, &values)?;
        row.as_ref().map(object_of).transpose()
    }

    /// Everybody's parts of organizations.
    pub fn entities(&mut self) -> Result<Vec<policy::principal::Entity>, Error> {
        crate::entities::entities(self.writer.engine)
    }

    /// Some of what belongs to this, the keys among it. What was once asked for holds up nothing.
    pub fn below(&mut self, id: Uuid, limit: u32) -> Result<Vec<Object>, Error> {
        let select = format!(
            "SELECT {COLUMNS} FROM objects WHERE (parent = ?1 OR organization = ?1) AND deleted_us IS NULL \
             AND kind <> 'access_request' ORDER BY id LIMIT ?2"
        );
        let rows = self.writer.engine.query(&select, &[id.into(), limit.into()])?;
        rows.iter().map(object_of).collect()
    }

    /// Adds an entry to a budget of an organization, or of nobody's, and writes it into the audit.
    pub fn adjust(&mut self, entry: &Adjustment, organization: Option<Uuid>) -> Result<bool, Error> {
        adjustments::add(&mut self.writer, entry, organization)
    }

    /// Makes a key known by this secret as well.
    pub fn add_secret(&mut self, key_id: Uuid, secret: &Secret) -> Result<(), Error> {
        let hash = self.hasher.hash(secret.expose());
        let insert = "INSERT INTO key_hashes (hash, key_id, created_us) \
                      SELECT ?1, id, ?3 FROM objects WHERE id = ?2 AND kind = ?4 AND deleted_us IS NULL";
        let values = [(&hash).into(), key_id.into(), self.now_us.into(), KIND.into()];
        match self.writer.engine.execute(insert, &values)? {
            0 => Err(Error::NoObject(key_id)),
            _ => self.writer.touch(key_id),
        }
    }

    /// Ends all secrets by which a key is known, where they do not end before.
    pub fn end_secrets(&mut self, key_id: Uuid, until_us: i64) -> Result<(), Error> {
        let update = "UPDATE key_hashes SET until_us = ?2 \
                      WHERE key_id = ?1 AND (until_us IS NULL OR until_us > ?2)";
        self.writer.engine.execute(update, &[key_id.into(), until_us.into()])?;
        self.writer.touch(key_id)
    }
}

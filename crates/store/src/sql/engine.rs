//! What both databases can do.

use std::{collections::HashSet, time::Duration};

use uuid::Uuid;

use super::{Row, Value};
use crate::Error;

/// An open connection.
///
/// What is asked for outside a transaction may be asked for twice, when the connection was lost meanwhile: writing
/// belongs into a [`transaction`].
pub(crate) trait Engine: Send {
    /// Begins a transaction that will write.
    fn begin(&mut self) -> Result<(), Error>;

    fn commit(&mut self) -> Result<(), Error>;

    fn roll_back(&mut self);

    /// Returns how many rows were changed.
    fn execute(&mut self, sql: &str, values: &[Value<'_>]) -> Result<u64, Error>;

    fn query(&mut self, sql: &str, values: &[Value<'_>]) -> Result<Vec<Row>, Error>;

    /// Several statements without values.
    fn batch(&mut self, sql: &str) -> Result<(), Error>;

    /// Inserts many rows and returns the ids of those that were not there.
    fn insert_new(&mut self, bulk: &Bulk<'_>) -> Result<HashSet<Uuid>, Error>;

    /// Makes room for calls of these moments, in microseconds since 1970. Not inside a transaction.
    fn make_room(&mut self, started_us: &[i64]) -> Result<(), Error>;

    /// Drops the tables of the months that were over at a moment, in microseconds since 1970, where months have tables of
    /// their own. Whether there were any. Not inside a transaction.
    fn drop_months(&mut self, before_us: i64) -> Result<bool, Error>;

    /// Brings the schema to this program's version; both engines keep the number where they find it before anything
    /// else. Not inside a transaction.
    fn migrate(&mut self) -> Result<(), Error>;

    /// Tells everyone who waits that objects have changed, once this transaction is committed.
    fn announce(&mut self) -> Result<(), Error>;

    /// Waits until somebody announces a change, or for as long as this. An embedded database announces nothing.
    fn wait(&mut self, time_max: Duration) -> Result<(), Error>;

    /// The first row, where there is one.
    fn query_first(&mut self, sql: &str, values: &[Value<'_>]) -> Result<Option<Row>, Error> {
        Ok(self.query(sql, values)?.into_iter().next())
    }
}

/// Rows of one table, to be inserted where their ids are not there yet. The first column is the id.
pub(crate) struct Bulk<'b> {
    pub(crate) table: &'b str,
    pub(crate) columns: &'b str,
    pub(crate) rows: Vec<Vec<Value<'b>>>,
}

/// Does everything or nothing.
pub(crate) fn transaction<T, E: From<Error>>(
    engine: &mut dyn Engine,
    work: impl FnOnce(&mut dyn Engine) -> Result<T, E>,
) -> Result<T, E> {
    engine.begin()?;
    match work(engine).and_then(|done| Ok(engine.commit().map(|()| done)?)) {
        Ok(done) => Ok(done),
        Err(error) => {
            engine.roll_back();
            Err(error)
        }
    }
}

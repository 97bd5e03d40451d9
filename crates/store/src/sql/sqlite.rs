//! The embedded engine: one file, or memory of this process.

use std::{borrow::Cow, collections::HashSet, path::Path, time::Duration};

use rusqlite::{
    Connection, ErrorCode, OpenFlags, ToSql, ffi,
    types::{ToSqlOutput, ValueRef},
};
use uuid::Uuid;

use super::{Bulk, Engine, Row, Value};
use crate::Error;

/// For how long one connection waits for another's transaction.
const BUSY_TIME_MAX: Duration = Duration::from_secs(10);
/// Statements that are kept ready.
const STATEMENTS_MAX: usize = 128;

/// The schema's versions; each is applied once, in order.
const MIGRATIONS: [&str; 13] = [
    include_str!("../schema/sqlite/1.sql"),
    include_str!("../schema/sqlite/2.sql"),
    include_str!("../schema/sqlite/3.sql"),
    include_str!("../schema/sqlite/4.sql"),
    include_str!("../schema/sqlite/5.sql"),
    include_str!("../schema/sqlite/6.sql"),
    include_str!("../schema/sqlite/7.sql"),
    include_str!("../schema/sqlite/8.sql"),
    include_str!("../schema/sqlite/9.sql"),
    include_str!("../schema/sqlite/10.sql"),
    include_str!("../schema/sqlite/11.sql"),
    include_str!("../schema/sqlite/12.sql"),
    include_str!("../schema/sqlite/13.sql"),
];

pub(crate) struct Sqlite(Connection);

impl Sqlite {
    pub(crate) fn open(path: &Path) -> Result<Sqlite, Error> {
        let sqlite = Sqlite::new(Connection::open(path)?)?;
        // Takes hold in a new file only: fewer, larger writes for a journal that mostly grows.
        sqlite.0.pragma_update(None, "page_size", 16_384)?;
        // Write-ahead logging lets commands read and write beside a serving process.
        sqlite.0.pragma_update(None, "journal_mode", "WAL")?;
        sqlite.0.pragma_update(None, "synchronous", "NORMAL")?;
        Ok(sqlite)
    }

    /// A file of another program's, which stays as it is.
    pub(crate) fn read_only(path: &Path) -> Result<Sqlite, Error> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        Sqlite::new(Connection::open_with_flags(path, flags)?)
    }

    /// One of the connections to a database in memory, which is there as long as one of them is
    /// (<https://www.sqlite.org/src/file/src/memdb.c>).
    pub(crate) fn in_memory(name: &str) -> Result<Sqlite, Error> {
        Sqlite::new(Connection::open(format!("file:/{name}?vfs=memdb"))?)
    }

    fn new(connection: Connection) -> Result<Sqlite, Error> {
        connection.busy_timeout(BUSY_TIME_MAX)?;
        connection.set_prepared_statement_cache_capacity(STATEMENTS_MAX);
        Ok(Sqlite(connection))
    }
}

impl Engine for Sqlite {
    fn begin(&mut self) -> Result<(), Error> {
        // A transaction that began by reading could not wait for another's writing.
        Ok(self.0.execute_batch("BEGIN IMMEDIATE")?)
    }

    fn commit(&mut self) -> Result<(), Error> {
        Ok(self.0.execute_batch("COMMIT")?)
    }

    fn roll_back(&mut self) {
        // Some errors have rolled back already.
        if !self.0.is_autocommit()
            && let Err(error) = self.0.execute_batch("ROLLBACK")
        {
            tracing::error!(%error, "a transaction could not be rolled back");
        }
    }

    fn execute(&mut self, sql: &str, values: &[Value<'_>]) -> Result<u64, Error> {
        Ok(self.0.prepare_cached(sql)?.execute(rusqlite::params_from_iter(values))? as u64)
    }

    fn query(&mut self, sql: &str, values: &[Value<'_>]) -> Result<Vec<Row>, Error> {
        let mut statement = self.0.prepare_cached(sql)?;
        let columns = statement.column_count();
        let rows = statement.query_map(rusqlite::params_from_iter(values), |row| {
            let values = (0..columns).map(|column| row.get_ref(column).map(owned));
            values.collect::<Result<_, _>>().map(Row)
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    fn batch(&mut self, sql: &str) -> Result<(), Error> {
        Ok(self.0.execute_batch(sql)?)
    }

    fn insert_new(&mut self, bulk: &Bulk<'_>) -> Result<HashSet<Uuid>, Error> {
        let places: Vec<String> =
            (1..=bulk.columns.split(',').count()).map(|place| format!("?{place}")).collect();
        let (table, columns, places) = (bulk.table, bulk.columns, places.join(", "));
        let insert = format!("INSERT INTO {table} ({columns}) VALUES ({places}) ON CONFLICT DO NOTHING");
        let mut statement = self.0.prepare_cached(&insert)?;
        let mut inserted = HashSet::new();
        for row in &bulk.rows {
            if statement.execute(rusqlite::params_from_iter(row))? > 0
                && let Some(Value::Uuid(id)) = row.first()
            {
                inserted.insert(*id);
            }
        }
        Ok(inserted)
    }

    fn make_room(&mut self, _: &[i64]) -> Result<(), Error> {
        Ok(())
    }

    fn drop_months(&mut self, _: i64) -> Result<bool, Error> {
        Ok(false)
    }

    fn announce(&mut self) -> Result<(), Error> {
        Ok(())
    }

    fn wait(&mut self, time_max: Duration) -> Result<(), Error> {
        std::thread::sleep(time_max);
        Ok(())
    }

    fn migrate(&mut self) -> Result<(), Error> {
        let known = MIGRATIONS.len() as i64;
        let transaction = self.0.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
        let found: i64 = transaction.pragma_query_value(None, "user_version", |row| row.get(0))?;
        if found > known {
            return Err(Error::Newer { found, known });
        }
        for migration in MIGRATIONS.iter().skip(usize::try_from(found).unwrap_or_default()) {
            transaction.execute_batch(migration)?;
        }
        transaction.pragma_update(None, "user_version", known)?;
        Ok(transaction.commit()?)
    }
}

impl ToSql for Value<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(match self {
            Value::Null => ToSqlOutput::Borrowed(ValueRef::Null),
            Value::Int(number) => ToSqlOutput::Borrowed(ValueRef::Integer(*number)),
            Value::Real(number) => ToSqlOutput::Borrowed(ValueRef::Real(*number)),
            Value::Text(text) => ToSqlOutput::Borrowed(ValueRef::Text(text.as_bytes())),
            Value::Bytes(bytes) => ToSqlOutput::Borrowed(ValueRef::Blob(bytes)),
            Value::Uuid(id) => ToSqlOutput::Borrowed(ValueRef::Blob(id.as_bytes())),
            Value::Bool(value) => ToSqlOutput::Borrowed(ValueRef::Integer((*value).into())),
        })
    }
}

fn owned(value: ValueRef<'_>) -> Value<'static> {
    match value {
        ValueRef::Null => Value::Null,
        ValueRef::Integer(number) => Value::Int(number),
        ValueRef::Real(number) => Value::Real(number),
        ValueRef::Text(text) => Value::Text(Cow::Owned(String::from_utf8_lossy(text).into_owned())),
        ValueRef::Blob(bytes) => Value::Bytes(Cow::Owned(bytes.to_vec())),
    }
}

impl From<rusqlite::Error> for Error {
    fn from(error: rusqlite::Error) -> Error {
        let unique = [ffi::SQLITE_CONSTRAINT_UNIQUE, ffi::SQLITE_CONSTRAINT_PRIMARYKEY];
        let refused = [ErrorCode::ConstraintViolation, ErrorCode::TooBig, ErrorCode::TypeMismatch];
        match error.sqlite_error() {
            Some(failure) if unique.contains(&failure.extended_code) => Error::Duplicate(error.to_string()),
            Some(failure) if refused.contains(&failure.code) => Error::Refused(error.to_string()),
            Some(_) | None => Error::Database(error.to_string()),
        }
    }
}

//! The embedded database: one file, one connection for each user of it.

mod journal;
mod registry;
mod rollouts;

use std::{path::Path, time::Duration};

use rusqlite::Connection;

pub use journal::{Filter, Summary};
pub use registry::NewKey;
pub use rollouts::Feedback;

use crate::{Error, KeyHasher};

/// The schema's versions; each is applied once, in order.
const MIGRATIONS: [&str; 5] = [
    include_str!("schema.sql"),
    include_str!("schema_2.sql"),
    include_str!("schema_3.sql"),
    include_str!("schema_4.sql"),
    include_str!("schema_5.sql"),
];

/// An open database.
pub struct Database {
    connection: Connection,
    hasher: KeyHasher,
}

impl Database {
    pub(crate) fn open(path: &Path, hasher: KeyHasher) -> Result<Database, Error> {
        let connection = Connection::open(path)?;
        connection.busy_timeout(Duration::from_secs(10))?;
        // Takes hold in a new file only: fewer, larger writes for a journal that mostly grows.
        connection.pragma_update(None, "page_size", 16_384)?;
        // Write-ahead logging lets commands read and write beside a serving process.
        connection.pragma_update(None, "journal_mode", "WAL")?;
        connection.pragma_update(None, "synchronous", "NORMAL")?;
        let mut database = Database { connection, hasher };
        database.migrate()?;
        Ok(database)
    }

    fn migrate(&mut self) -> Result<(), Error> {
        let known = MIGRATIONS.len() as i64;
        let transaction =
            self.connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
        let found: i64 = transaction.pragma_query_value(None, "user_version", |row| row.get(0))?;
        if found > known {
            return Err(Error::Newer { found, known });
        }
        for migration in MIGRATIONS.iter().skip(usize::try_from(found).unwrap_or_default()) {
            transaction.execute_batch(migration)?;
        }
        transaction.pragma_update(None, "user_version", known)?;
        transaction.commit()?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::DataDir;

    #[test]
    fn a_newer_database_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let data = DataDir::open(folder.path()).unwrap();
        data.database().unwrap().connection.pragma_update(None, "user_version", 99).unwrap();
        assert!(matches!(data.database(), Err(Error::Newer { found: 99, .. })));
    }
}

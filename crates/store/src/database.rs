//! The database: one connection for each user of it.

use std::{
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
};

use policy::snapshot;
use uuid::Uuid;

use crate::{
    Error, KeyHasher,
    sql::{Engine, Postgres, Server, Sqlite, transaction},
    uses::Uses,
};

/// An open database. Everything it does waits: keep it off threads that run tasks.
pub struct Database {
    pub(crate) engine: Box<dyn Engine>,
    pub(crate) hasher: KeyHasher,
    pub(crate) replica: Uuid,
    pub(crate) uses: Uses,
}

/// Where the database is.
#[derive(Clone)]
pub(crate) enum Place {
    File(PathBuf),
    Memory(Memory),
    Server(Box<Server>),
}

/// A database in memory is there as long as a connection to it is: this one.
#[derive(Clone)]
pub(crate) struct Memory {
    name: Arc<str>,
    keeper: Arc<Mutex<Option<Sqlite>>>,
}

/// Under which the fingerprint of the installation's secret is kept.
const FINGERPRINT: &str = "secret_fingerprint";

impl Place {
    /// What the configuration names; `file` is where the embedded database is.
    pub(crate) fn new(database: &snapshot::Database, file: PathBuf) -> Result<Place, Error> {
        Ok(match database {
            snapshot::Database::Sqlite => Place::File(file),
            snapshot::Database::Memory => Place::Memory(Memory {
                name: format!("tollgate-{}", Uuid::now_v7()).into(),
                keeper: Arc::default(),
            }),
            snapshot::Database::Postgres(address) => Place::Server(Box::new(Server::parse(address)?)),
        })
    }

    fn engine(&self) -> Result<Box<dyn Engine>, Error> {
        Ok(match self {
            Place::File(file) => Box::new(Sqlite::open(file)?),
            Place::Memory(memory) => {
                let mut keeper = memory.keeper.lock().unwrap_or_else(PoisonError::into_inner);
                if keeper.is_none() {
                    *keeper = Some(Sqlite::in_memory(&memory.name)?);
                }
                Box::new(Sqlite::in_memory(&memory.name)?)
            }
            Place::Server(server) => Box::new(Postgres::open(Server::clone(server))?),
        })
    }
}

impl Database {
    pub(crate) fn open(place: &Place, hasher: KeyHasher, replica: Uuid) -> Result<Database, Error> {
        let mut engine = place.engine()?;
        engine.migrate()?;
        let mut database = Database { engine, hasher, replica, uses: Uses::default() };
        database.check_secret()?;
        Ok(database)
    }

    /// Keys are of no use under another secret than the one that they were hashed under.
    fn check_secret(&mut self) -> Result<(), Error> {
        let ours = self.hasher.fingerprint();
        let kept = self.setting(FINGERPRINT)?;
        let kept = match kept {
            Some(kept) => kept,
            None => {
                transaction(&mut *self.engine, |engine| {
                    let insert = "INSERT INTO settings (name, value) VALUES (?1, ?2) ON CONFLICT DO NOTHING";
                    engine.execute(insert, &[FINGERPRINT.into(), (&ours).into()])
                })?;
                // Another replica may have been first.
                self.setting(FINGERPRINT)?.unwrap_or_default()
            }
        };
        if kept == ours { Ok(()) } else { Err(Error::OtherSecret) }
    }

    pub(crate) fn setting(&mut self, name: &str) -> Result<Option<String>, Error> {
        let select = "SELECT value FROM settings WHERE name = ?1";
        let row = self.engine.query_first(select, &[name.into()])?;
        row.map(|row| row.get(0)).transpose()
    }
}

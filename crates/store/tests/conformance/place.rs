//! A database of a case's own.

use std::env;

use policy::{
    Secret,
    snapshot::{Database, Store},
};
use postgres::{Client, NoTls};
use tempfile::TempDir;
use tollgate_store::DataDir;
use uuid::Uuid;

pub(crate) struct Place {
    pub(crate) store: Store,
    pub(crate) folder: TempDir,
    pub(crate) data: DataDir,
    made: Option<Made>,
}

/// A database that is removed with the case.
struct Made {
    server: String,
    name: String,
    address: String,
}

impl Place {
    pub(crate) fn file() -> Place {
        Place::of(Database::Sqlite, None)
    }

    pub(crate) fn memory() -> Place {
        Place::of(Database::Memory, None)
    }

    /// `None` where there is no PostgreSQL to test with.
    pub(crate) fn server() -> Option<Place> {
        let Ok(server) = env::var("TOLLGATE_TEST_POSTGRES") else {
            assert!(
                env::var_os("CI").is_none(),
                "TOLLGATE_TEST_POSTGRES names no PostgreSQL, which CI must have"
            );
            eprintln!("skipped: TOLLGATE_TEST_POSTGRES names no PostgreSQL");
            return None;
        };
        let name = format!("tollgate_{}", Uuid::now_v7().simple());
        let mut client = Client::connect(&server, NoTls).expect("PostgreSQL answers");
        client.batch_execute(&format!("CREATE DATABASE {name}")).unwrap();
        let (start, _) = server.rsplit_once('/').expect("the address names a database");
        let address = format!("{start}/{name}");
        let database = Database::Postgres(Secret::new(address.clone()));
        Some(Place::of(database, Some(Made { server, name, address })))
    }

    fn of(database: Database, made: Option<Made>) -> Place {
        let secret = Some(Secret::new("s".repeat(32)));
        let store = Store { database, secret, ..Store::default() };
        let folder = TempDir::new().unwrap();
        let data = DataDir::open_with(folder.path(), &store).unwrap();
        Place { store, folder, data, made }
    }

    pub(crate) fn database(&self) -> tollgate_store::Database {
        self.data.database().unwrap()
    }

    /// Does something behind the store's back.
    pub(crate) fn tamper(&mut self, statement: &str) {
        if let Some(mut client) = self.client() {
            return client.batch_execute(statement).unwrap();
        }
        let file = rusqlite::Connection::open(self.folder.path().join("tollgate.db")).unwrap();
        file.execute_batch(statement).unwrap();
    }

    /// A client of PostgreSQL beside the store, where this is one.
    pub(crate) fn client(&self) -> Option<Client> {
        self.made.as_ref().map(|made| Client::connect(&made.address, NoTls).unwrap())
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some(made) = &self.made {
            let mut client = Client::connect(&made.server, NoTls).unwrap();
            client.batch_execute(&format!("DROP DATABASE {} WITH (FORCE)", made.name)).unwrap();
        }
    }
}

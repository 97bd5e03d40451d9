use policy::snapshot::Database;
use tollgate_store::Error;

use crate::place::Place;

pub(crate) fn a_schema_is_made_once(place: &mut Place) {
    let data = &place.data;
    let opened = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..4).map(|_| scope.spawn(|| data.database().map(|_| ()))).collect();
        threads.into_iter().all(|thread| thread.join().unwrap().is_ok())
    });
    assert!(opened);
    let mut database = place.database();
    database.keep_rollout("kept", 1, "{}", 1).unwrap();
    assert_eq!(place.database().rollouts().unwrap().len(), 1);
}

pub(crate) fn a_newer_schema_is_refused(place: &mut Place) {
    drop(place.database());
    match &place.store.database {
        // Nobody else reaches it.
        Database::Memory => return,
        Database::Sqlite => {
            let file = rusqlite::Connection::open(place.folder.path().join("tollgate.db")).unwrap();
            file.pragma_update(None, "user_version", 99).unwrap();
        }
        Database::Postgres(_) => {
            place.client().unwrap().execute("UPDATE schema_version SET version = 99", &[]).unwrap();
        }
    }
    assert!(matches!(place.data.database(), Err(Error::Newer { found: 99, .. })));
}

pub(crate) fn a_lost_connection_is_made_again(place: &mut Place) {
    let mut database = place.database();
    database.keep_rollout("kept", 1, "1", 1).unwrap();
    if let Some(mut client) = place.client() {
        let end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
                   WHERE datname = current_database() AND pid <> pg_backend_pid()";
        assert!(!client.query(end, &[]).unwrap().is_empty());
    }
    database.keep_rollout("kept", 1, "2", 2).unwrap();
    assert_eq!(database.rollout("kept", 1).unwrap().as_deref(), Some("2"));
}

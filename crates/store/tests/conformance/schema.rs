use policy::key::Scope;
use tollgate_store::{Author, Change, Error, Tenancy};

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
    match place.client() {
        Some(_) => place.tamper("UPDATE schema_version SET version = 99"),
        None => place.tamper("PRAGMA user_version = 99"),
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

/// A file of the version that had a table for keys.
#[test]
fn keys_of_an_older_file_go_on() {
    let place = Place::file();
    let file = rusqlite::Connection::open(place.folder.path().join("tollgate.db")).unwrap();
    for number in 1..=5 {
        let path = format!("{}/src/schema/sqlite/{number}.sql", env!("CARGO_MANIFEST_DIR"));
        file.execute_batch(&std::fs::read_to_string(path).unwrap()).unwrap();
    }
    let insert = "INSERT INTO keys VALUES (?1, ?2, ?3, '[\"fast\"]', 'admin', 'tg-admin-abc', 5, 90, ?4)";
    for (number, revoked_us) in [(1, None), (2, Some(7))] {
        let (id, hash) = (uuid::Uuid::from_u128(number), [u8::try_from(number).unwrap(); 32]);
        file.execute(insert, rusqlite::params![id, hash, "ops", revoked_us]).unwrap();
    }
    file.pragma_update(None, "user_version", 5).unwrap();
    drop(file);
    let mut database = place.database();
    let keys = database.keys().unwrap();
    let shown: Vec<_> = keys.iter().map(|(hash, key)| (hash[0], key.expires_us, key.revoked_us)).collect();
    assert_eq!(shown, [(1, Some(90), None), (2, Some(90), Some(7))]);
    let (_, key) = &keys[0];
    assert_eq!(
        (&*key.name, &*key.settings.models, key.scope, key.created_us),
        ("ops", &["fast".to_owned()][..], Scope::Admin, 5)
    );
    let change = Change::Delete { id: uuid::Uuid::from_u128(1), expected: None };
    database.apply(Tenancy::All, &[change], &Author::system(), 9).unwrap();
    assert_eq!(database.history(Tenancy::All, key.id).unwrap().len(), 2);
}

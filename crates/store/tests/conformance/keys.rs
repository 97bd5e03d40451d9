use std::collections::HashMap;

use policy::{Secret, key::Scope};
use tollgate_store::{Author, Change, DataDir, Database, Error, NewKey, Tenancy, Transaction};
use uuid::Uuid;

use crate::place::Place;

pub(crate) fn keys_live_from_creation_to_revocation(place: &mut Place) {
    let mut database = place.database();
    let new = NewKey {
        name: "app".to_owned(),
        models: vec!["fast".to_owned()],
        scope: Scope::Calls,
        expires_us: Some(9),
    };
    let (key, secret) = database.create_key(&new, 1).unwrap();
    assert!(matches!(database.create_key(&new, 1), Err(Error::KeyExists(_))));
    let stored = place.database().keys().unwrap();
    assert_eq!(stored, vec![(place.data.hasher().hash(secret.expose()), key.clone())]);
    for entry in std::fs::read_dir(place.folder.path()).unwrap() {
        let file = std::fs::read(entry.unwrap().path()).unwrap_or_default();
        assert!(!file.windows(20).any(|bytes| secret.expose().as_bytes().starts_with(bytes)));
    }
    revoke(&mut database, key.id, 5).unwrap();
    assert!(database.keys().unwrap().iter().all(|(_, key)| key.revoked_us == Some(5)));
    assert!(matches!(revoke(&mut database, key.id, 6), Err(Error::NoObject(_))));
    let (second, _) = database.create_key(&NewKey { scope: Scope::Admin, ..new }, 7).unwrap();
    assert_eq!(second.scope, Scope::Admin);
    assert_eq!(place.database().keys().unwrap().len(), 2, "revoked ones included");
}

pub(crate) fn another_secret_is_refused(place: &mut Place) {
    drop(place.database());
    let mut store = place.store.clone();
    store.secret = Some(Secret::new("t".repeat(32)));
    let other = DataDir::open_with(place.folder.path(), &store).unwrap();
    let error = other.database().err().expect("none of its keys would be known");
    assert!(matches!(error, Error::OtherSecret));
    assert!(error.to_string().contains("store.secret"));
    assert!(place.data.database().is_ok());
}

/// Whatever changes what opens a key, replicas that look at changes only hear of it.
pub(crate) fn replicas_see_what_opens_a_key(place: &mut Place) {
    let (mut database, mut replica) = (place.database(), place.database());
    let new = NewKey { name: "app".to_owned(), models: Vec::new(), scope: Scope::Calls, expires_us: None };
    let mut clock = replica.callers_since(0).unwrap().clock;
    let (key, _) = database.create_key(&new, 1).unwrap();
    let mut told = |database: &mut Database| {
        let since = replica.callers_since(clock).unwrap();
        clock = since.clock;
        let mut whole = replica.callers_since(0).unwrap().keys;
        let mut as_listed = database.keys().unwrap();
        as_listed.sort_by_key(|(hash, _)| *hash);
        let [(id, hashes)] = &mut whole[..] else { unreachable!("one key") };
        assert_eq!((*id, &since.keys), (key.id, &vec![(*id, hashes.clone())]));
        hashes.sort_by_key(|(hash, _)| *hash);
        assert_eq!(*hashes, as_listed);
        since.keys
    };
    assert_eq!(told(&mut database).len(), 1);
    add_secret(&mut database, key.id, "tg-another").unwrap();
    assert_eq!(told(&mut database)[0].1.len(), 2);
    end_secrets(&mut database, key.id, 40);
    assert!(told(&mut database)[0].1.iter().all(|(_, key)| key.expires_us == Some(40)));
    revoke(&mut database, key.id, 9).unwrap();
    assert!(told(&mut database)[0].1.iter().all(|(_, key)| key.revoked_us == Some(9)));
}

pub(crate) fn a_key_may_have_several_hashes(place: &mut Place) {
    let mut database = place.database();
    let new =
        NewKey { name: "app".to_owned(), models: Vec::new(), scope: Scope::Calls, expires_us: Some(90) };
    let (key, secret) = database.create_key(&new, 1).unwrap();
    let first = place.data.hasher().hash(secret.expose());
    let clock = database.clock().unwrap();
    end_secrets(&mut database, key.id, 50);
    add_secret(&mut database, key.id, "tg-another").unwrap();
    let second = place.data.hasher().hash("tg-another");
    assert_eq!(database.clock().unwrap(), clock + 2, "replicas are told");
    let mut ends: Vec<_> =
        database.keys().unwrap().iter().map(|(hash, key)| (*hash, key.expires_us)).collect();
    ends.sort_by_key(|(_, until_us)| *until_us);
    assert_eq!(ends, [(first, Some(50)), (second, Some(90))]);
    let hashes = database.key_hashes().unwrap();
    assert!(hashes.len() == 2 && hashes.iter().all(|hash| hash.key_id == key.id));
    assert!(add_secret(&mut database, key.id, "tg-another").is_err(), "it opens something already");
    revoke(&mut database, key.id, 4).unwrap();
    assert!(matches!(add_secret(&mut database, key.id, "tg-third"), Err(Error::NoObject(_))));
    assert!(database.keys().unwrap().iter().all(|(_, key)| key.revoked_us == Some(4)));
}

fn revoke(database: &mut Database, id: Uuid, now_us: i64) -> Result<(), Error> {
    let change = Change::Delete { id, expected: None };
    database.apply(Tenancy::All, &[change], &Author::system(), now_us).map(drop)
}

fn add_secret(database: &mut Database, id: Uuid, secret: &str) -> Result<(), Error> {
    write(database, |transaction| transaction.add_secret(id, &Secret::new(secret)))
}

fn end_secrets(database: &mut Database, id: Uuid, until_us: i64) {
    write(database, |transaction| transaction.end_secrets(id, until_us)).unwrap();
}

fn write(
    database: &mut Database,
    work: impl FnOnce(&mut Transaction<'_>) -> Result<(), Error>,
) -> Result<(), Error> {
    database.write(Tenancy::All, (&Author::system(), 5), HashMap::new(), work)
}

use std::collections::HashMap;

use policy::{Secret, key::Scope};
use tollgate_store::{Author, DataDir, Database, Error, NewKey, Tenancy, Transaction};

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
    assert_eq!(database.revoke_key("app", 5).unwrap().revoked_us, Some(5));
    assert!(matches!(database.revoke_key("app", 6), Err(Error::NoKey(_))));
    let (second, _) = database.create_key(&NewKey { scope: Scope::Admin, ..new }, 7).unwrap();
    assert_eq!(database.revoke_key(&second.id.to_string(), 8).unwrap().scope, Scope::Admin, "by its id");
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
    database.add_key_hash(key.id, &[7; 32], 2).unwrap();
    assert_eq!(told(&mut database)[0].1.len(), 2);
    database.end_key_hash(&[7; 32], 50).unwrap();
    told(&mut database);
    let author = Author::system();
    let write = |database: &mut Database, work: &dyn Fn(&mut Transaction<'_>) -> Result<(), Error>| {
        database.write(Tenancy::All, (&author, 5), HashMap::new(), |transaction| work(transaction)).unwrap();
    };
    write(&mut database, &|transaction| transaction.add_secret(key.id, &Secret::new("tg-another")));
    assert_eq!(told(&mut database)[0].1.len(), 3);
    write(&mut database, &|transaction| transaction.end_secrets(key.id, 40));
    assert!(told(&mut database)[0].1.iter().all(|(_, key)| key.expires_us.is_some_and(|at| at <= 50)));
    database.revoke_key("app", 9).unwrap();
    assert!(told(&mut database)[0].1.iter().all(|(_, key)| key.revoked_us == Some(9)));
}

pub(crate) fn a_key_may_have_several_hashes(place: &mut Place) {
    let mut database = place.database();
    let new =
        NewKey { name: "app".to_owned(), models: Vec::new(), scope: Scope::Calls, expires_us: Some(90) };
    let (key, secret) = database.create_key(&new, 1).unwrap();
    let first = place.data.hasher().hash(secret.expose());
    let clock = database.clock().unwrap();
    database.add_key_hash(key.id, &[7; 32], 2).unwrap();
    database.end_key_hash(&first, 50).unwrap();
    assert_eq!(database.clock().unwrap(), clock + 2, "replicas are told");
    let ends: Vec<_> = database.keys().unwrap().iter().map(|(hash, key)| (*hash, key.expires_us)).collect();
    assert_eq!(ends, [(first, Some(50)), ([7; 32], Some(90))]);
    let hashes = database.key_hashes().unwrap();
    assert_eq!((hashes.len(), hashes[0].until_us, hashes[1].key_id), (2, Some(50), key.id));
    assert!(database.add_key_hash(key.id, &[7; 32], 3).is_err(), "it opens something already");
    database.revoke_key("app", 4).unwrap();
    assert!(matches!(database.add_key_hash(key.id, &[8; 32], 5), Err(Error::NoObject(_))));
    assert!(matches!(database.end_key_hash(&[9; 32], 5), Err(Error::NoKey(_))));
    assert!(database.keys().unwrap().iter().all(|(_, key)| key.revoked_us == Some(4)));
}

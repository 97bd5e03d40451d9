use std::collections::HashMap;

use tollgate_store::{
    ActorKind, AuditQuery, Author, Database, Error, NewAccount, NewSession, PasswordHash, Renewed, Session,
    Tenancy, Transaction, Way,
};
use uuid::Uuid;

use crate::place::Place;

const MINUTE_US: i64 = 60_000_000;

fn write<T>(
    database: &mut Database,
    tenancy: Tenancy,
    now_us: i64,
    work: impl FnOnce(&mut Transaction<'_>) -> Result<T, Error>,
) -> T {
    let author = Author { actor: "kim".to_owned(), kind: ActorKind::User, address: None, request_id: None };
    database.write(tenancy, (&author, now_us), HashMap::new(), work).unwrap()
}

fn new(person: u128, organization: Option<Uuid>) -> NewSession {
    NewSession {
        person: Uuid::from_u128(person),
        name: "kim".to_owned(),
        way: Way::Provider,
        source: Some("house".to_owned()),
        matched: Some("owners".to_owned()),
        role: "owner".to_owned(),
        organization,
        address: "::1".to_owned(),
        until_us: 100 * MINUTE_US,
    }
}

fn begin(database: &mut Database, new: &NewSession, now_us: i64) -> (Session, String) {
    let (session, token) =
        write(database, Tenancy::All, now_us, |transaction| transaction.create_session(new));
    (session, token.expose().to_owned())
}

pub(crate) fn sessions_are_known_by_their_token_until_they_end(place: &mut Place) {
    let (mut one, mut other) = (place.database(), place.database());
    let (session, token) = begin(&mut one, &new(1, None), MINUTE_US);
    assert_eq!(token.len(), 43);
    let found = |database: &mut Database, since_us: i64, now_us: i64| {
        database.session(&token, since_us, now_us).unwrap().map(|session| session.id)
    };
    let known = other.session(&token, 0, MINUTE_US + 1).unwrap();
    assert_eq!(known, Some(session.clone()), "in all replicas");
    assert_eq!(other.session("x", 0, MINUTE_US).unwrap(), None);
    assert_eq!(found(&mut one, MINUTE_US, MINUTE_US), None, "it was not used since");
    assert_eq!(found(&mut one, 0, 100 * MINUTE_US), None, "it has ended");
    assert_eq!(found(&mut one, 0, 50 * MINUTE_US), Some(session.id));
    assert_eq!(found(&mut other, 40 * MINUTE_US, 51 * MINUTE_US), Some(session.id), "it was used");
    for entry in std::fs::read_dir(place.folder.path()).unwrap() {
        let file = std::fs::read(entry.unwrap().path()).unwrap_or_default();
        assert!(!file.windows(token.len()).any(|bytes| bytes == token.as_bytes()));
    }
    let end = |transaction: &mut Transaction<'_>| transaction.end_session(session.id, "sign_out");
    let ended = write(&mut other, Tenancy::All, 52 * MINUTE_US, end);
    assert_eq!(ended.map(|session| session.id), Some(session.id));
    assert_eq!(found(&mut one, 0, 53 * MINUTE_US), None);
    assert_eq!(write(&mut other, Tenancy::All, 54 * MINUTE_US, end), None);
    let told = one.audit(Tenancy::All, &AuditQuery { limit: 10, ..AuditQuery::default() }).unwrap();
    let told: Vec<&str> = told.iter().map(|entry| entry.action.as_str()).collect();
    assert_eq!(told, ["sign_out", "sign_in"]);
    assert_eq!(one.verify_audit().unwrap(), None);
}

pub(crate) fn tenants_do_not_see_each_others_sessions(place: &mut Place) {
    let mut database = place.database();
    let (acme, globex) = (Uuid::from_u128(7), Uuid::from_u128(8));
    let (own, _) = begin(&mut database, &new(1, Some(acme)), 1);
    let (their, _) = begin(&mut database, &new(2, Some(globex)), 2);
    let (whole, _) = begin(&mut database, &new(1, None), 3);
    let mut listed = |tenancy: Tenancy, person: Option<u128>| {
        let person = person.map(Uuid::from_u128);
        let found = database.sessions(tenancy, person, (0, 5, 10)).unwrap();
        found.iter().map(|session| session.id).collect::<Vec<_>>()
    };
    assert_eq!(listed(Tenancy::All, None), [whole.id, their.id, own.id]);
    assert_eq!(listed(Tenancy::All, Some(1)), [whole.id, own.id]);
    assert_eq!(listed(Tenancy::Organization(acme), None), [own.id]);
    assert!(listed(Tenancy::Organization(acme), Some(2)).is_empty());
    for id in [their.id, whole.id] {
        let ended = write(&mut database, Tenancy::Organization(acme), 6, |transaction| {
            assert_eq!(transaction.session(id)?, None);
            transaction.end_session(id, "delete")
        });
        assert_eq!(ended, None);
    }
    assert_eq!(database.sessions(Tenancy::All, None, (0, 5, 10)).unwrap().len(), 3);
}

pub(crate) fn a_person_has_so_many_sessions(place: &mut Place) {
    let mut database = place.database();
    let tokens: Vec<String> = (0..52).map(|at| begin(&mut database, &new(1, None), 10 + at).1).collect();
    let is_open: Vec<bool> =
        tokens.iter().map(|token| database.session(token, 0, 100).unwrap().is_some()).collect();
    assert_eq!(is_open.iter().filter(|open| **open).count(), 50);
    assert!(!is_open[0] && !is_open[1] && is_open[2]);
    let (_, other) = begin(&mut database, &new(2, None), 200);
    assert!(database.session(&other, 0, 201).unwrap().is_some());
    let person = Uuid::from_u128(1);
    let ended = write(&mut database, Tenancy::All, 300, |transaction| transaction.end_sessions_of(person));
    assert_eq!(ended, 50);
    assert!(database.session(&other, 0, 301).unwrap().is_some());
}

pub(crate) fn a_change_of_an_account_ends_its_sessions(place: &mut Place) {
    let mut database = place.database();
    let hash = PasswordHash::of_nobody();
    let wanted =
        NewAccount { name: "kim".to_owned(), organization: None, role: "owner".to_owned(), disabled: false };
    let account =
        write(&mut database, Tenancy::All, 1, |transaction| transaction.create_account(&wanted, &hash));
    let of_account = NewSession { person: account.id, ..new(0, None) };
    let renewed = Renewed { name: "kim".to_owned(), role: "viewer".to_owned(), disabled: false };
    type Work<'w> = Box<dyn FnOnce(&mut Transaction<'_>) -> Result<(), Error> + 'w>;
    let works: Vec<Work<'_>> = vec![
        Box::new(|transaction| transaction.set_password(&account, &hash, true).map(drop)),
        Box::new(|transaction| transaction.change_account(&account, &renewed).map(drop)),
        Box::new(|transaction| {
            let account = transaction.account(account.id)?.ok_or(Error::NoObject(account.id))?;
            transaction.delete_account(&account).map(drop)
        }),
    ];
    for (at, work) in works.into_iter().enumerate() {
        let (_, token) = begin(&mut database, &of_account, 10);
        assert!(database.session(&token, 0, 11).unwrap().is_some());
        write(&mut database, Tenancy::All, 12, work);
        assert!(database.session(&token, 0, 13).unwrap().is_none(), "{at}");
    }
}

pub(crate) fn a_login_comes_back_once(place: &mut Place) {
    let (mut one, mut other) = (place.database(), place.database());
    assert!(one.use_login(&[1; 32], 100, 1).unwrap());
    assert!(!other.use_login(&[1; 32], 100, 2).unwrap());
    assert!(other.use_login(&[2; 32], 100, 3).unwrap());
    // What is too old to come back is forgotten.
    assert!(other.use_login(&[1; 32], 300, 100).unwrap());
}

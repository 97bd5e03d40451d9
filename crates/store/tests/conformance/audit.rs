use policy::key::Scope;
use serde_json::json;
use tollgate_store::{ActorKind, AuditQuery, Author, Change, Database, Event, NewKey, Tenancy};
use uuid::Uuid;

use crate::place::Place;

const ONE: Uuid = Uuid::from_u128(1);

fn author() -> Author {
    Author {
        actor: "ops\0".to_owned(),
        kind: ActorKind::Key,
        address: Some("10.0.0.1".to_owned()),
        request_id: Some(Uuid::from_u128(77)),
    }
}

/// An entry tells of a person, who can be neither taken out nor put in.
pub(crate) fn people_are_told_by_their_ids(place: &mut Place) {
    // Nobody reaches into memory.
    let mut fresh = match place.client() {
        Some(_) => Place::server().unwrap(),
        None => Place::file(),
    };
    let mut database = fresh.database();
    fill(&mut database);
    let author = Author { kind: ActorKind::Person(ONE), ..author() };
    let event = Event { action: "sign_out".to_owned(), ..Event::default() };
    database.append_audit(&event, &author, 9).unwrap();
    let all = AuditQuery { limit: 10, ..AuditQuery::default() };
    let found = database.audit(Tenancy::All, &all).unwrap();
    let told: Vec<_> = found.iter().map(|entry| (entry.actor_kind.as_str(), entry.person)).take(3).collect();
    assert_eq!(told, [("user", Some(ONE)), ("system", None), ("key", None)]);
    assert_eq!(database.verify_audit().unwrap(), None);
    fresh.tamper("UPDATE audit SET person = NULL WHERE seq = 6");
    assert_eq!(database.verify_audit().unwrap(), Some(6));
    fresh.tamper("UPDATE audit SET person = object_id WHERE seq = 5");
    assert_eq!(database.verify_audit().unwrap(), Some(5));
}

/// Five entries.
fn fill(database: &mut Database) {
    let id = Uuid::from_u128(10);
    let (kind, name) = ("team".to_owned(), "red".to_owned());
    let create = Change::Create {
        id,
        kind,
        organization: Some(ONE),
        parent: None,
        name: name.clone(),
        body: json!({"limit": 1}),
    };
    let update = Change::Update { id, expected: None, name, parent: None, body: json!({"limit": 2}) };
    let delete = Change::Delete { id, expected: None };
    database.apply(Tenancy::All, &[create, update], &author(), 5).unwrap();
    database.apply(Tenancy::All, &[delete], &author(), 6).unwrap();
    let refused = Event { action: "sign_in_refused".to_owned(), ..Event::default() };
    database.append_audit(&refused, &author(), 7).unwrap();
    let new = NewKey { name: "app".to_owned(), models: Vec::new(), scope: Scope::Calls, expires_us: None };
    database.create_key(&new, 8).unwrap();
}

pub(crate) fn who_did_what_is_written_down(place: &mut Place) {
    let mut database = place.database();
    fill(&mut database);
    let all = AuditQuery { limit: 10, ..AuditQuery::default() };
    let found = database.audit(Tenancy::All, &all).unwrap();
    let shown: Vec<_> = found.iter().map(|entry| (entry.seq, entry.at_us, &*entry.action)).collect();
    let expected =
        [(5, 8, "create"), (4, 7, "sign_in_refused"), (3, 6, "delete"), (2, 5, "update"), (1, 5, "create")];
    assert_eq!(shown, expected);
    let update = &found[3];
    assert_eq!((&*update.actor_kind, update.address.as_deref()), ("key", Some("10.0.0.1")));
    assert!(update.before.as_ref().unwrap().contains("\"limit\":1"));
    assert!(update.after.as_ref().unwrap().contains("\"limit\":2"));
    assert_eq!(found[2].after, None);
    let tenant = Tenancy::Organization(ONE);
    assert_eq!(database.audit(tenant, &all).unwrap().len(), 3);
    assert!(database.audit(Tenancy::Organization(Uuid::from_u128(9)), &all).unwrap().is_empty());
    let seqs = |database: &mut Database, query: AuditQuery| {
        let found = database.audit(Tenancy::All, &query).unwrap();
        found.into_iter().map(|entry| entry.seq).collect::<Vec<_>>()
    };
    assert_eq!(seqs(&mut database, AuditQuery { before_seq: Some(3), ..all.clone() }), [2, 1]);
    assert_eq!(seqs(&mut database, AuditQuery { limit: 1, ..all.clone() }), [5]);
    assert_eq!(seqs(&mut database, AuditQuery { kind: Some("key".to_owned()), ..all.clone() }), [5]);
    assert_eq!(seqs(&mut database, AuditQuery { actor: Some("tollgate".to_owned()), ..all.clone() }), [5]);
    assert_eq!(seqs(&mut database, AuditQuery { object_id: Some(Uuid::from_u128(10)), ..all }), [3, 2, 1]);
    assert_eq!(database.verify_audit().unwrap(), None);
}

pub(crate) fn what_was_changed_behind_its_back_is_found(place: &mut Place) {
    let tampered = [
        (1, "UPDATE audit SET actor = 'nobody' WHERE seq = 1"),
        (2, "UPDATE audit SET before = NULL WHERE seq = 2"),
        (3, "DELETE FROM audit WHERE seq = 3"),
        (
            4,
            "UPDATE audit SET seq = 9 WHERE seq = 4; UPDATE audit SET seq = 4 WHERE seq = 5; UPDATE audit SET seq = 5 WHERE seq = 9",
        ),
        (5, "DELETE FROM audit WHERE seq = 5"),
        (1, "DELETE FROM audit"),
    ];
    for (broken, statement) in tampered {
        let mut fresh = match place.client() {
            Some(_) => Place::server().unwrap(),
            None => Place::file(),
        };
        let mut database = fresh.database();
        fill(&mut database);
        assert_eq!(database.verify_audit().unwrap(), None);
        fresh.tamper(statement);
        assert_eq!(database.verify_audit().unwrap(), Some(broken), "{statement}");
    }
}

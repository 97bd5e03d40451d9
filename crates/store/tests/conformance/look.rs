use serde_json::json;
use tollgate_store::{Author, Change, Database, Error, HistoryQuery, Object, Tenancy};
use uuid::Uuid;

use crate::place::Place;

const ACME: u128 = 1;
const GLOBEX: u128 = 2;

fn create(id: u128, kind: &str, organization: Option<u128>, name: &str) -> Change {
    Change::Create {
        id: Uuid::from_u128(id),
        kind: kind.to_owned(),
        organization: organization.map(Uuid::from_u128),
        parent: None,
        name: name.to_owned(),
        body: json!({"n": 1}),
    }
}

fn update(id: u128, name: &str, number: u64) -> Change {
    let (id, name) = (Uuid::from_u128(id), name.to_owned());
    Change::Update { id, expected: None, name, parent: None, body: json!({"n": number}) }
}

fn revive(id: u128, expected: Option<u64>) -> Change {
    let (id, name) = (Uuid::from_u128(id), "again".to_owned());
    Change::Revive { id, expected, name, parent: None, body: json!({"n": 9}) }
}

fn delete(id: u128) -> Change {
    Change::Delete { id: Uuid::from_u128(id), expected: None }
}

/// Returns how the clock stands then.
fn apply(database: &mut Database, changes: &[Change]) -> u64 {
    database.apply(Tenancy::All, changes, &Author::system(), 5).unwrap();
    database.clock().unwrap()
}

fn shown(objects: &[Object]) -> Vec<(u128, &str, bool)> {
    objects
        .iter()
        .map(|object| (object.id.as_u128(), object.name.as_str(), object.deleted_us.is_some()))
        .collect()
}

pub(crate) fn the_registry_is_seen_as_it_was(place: &mut Place) {
    let mut database = place.database();
    assert_eq!(database.look(Tenancy::All).all().unwrap(), (vec![], database.clock().unwrap()));
    let first = apply(
        &mut database,
        &[
            create(ACME, "organization", None, "acme"),
            create(GLOBEX, "organization", None, "globex"),
            create(10, "team", Some(ACME), "red"),
            create(20, "team", Some(GLOBEX), "blue"),
        ],
    );
    let second = apply(&mut database, &[update(10, "crimson", 2), create(11, "team", Some(ACME), "new")]);
    let third = apply(&mut database, &[delete(10)]);
    let acme = Tenancy::Organization(Uuid::from_u128(ACME));
    let (all, clock) = database.look(acme).all().unwrap();
    assert_eq!((shown(&all), clock), (vec![(ACME, "acme", false), (11, "new", false)], third));
    let mut look = database.look(Tenancy::All);
    assert_eq!(shown(&look.at(first).unwrap()), [(10, "red", false)], "what has changed since");
    assert_eq!(shown(&look.at(second).unwrap()), [(10, "crimson", false)]);
    assert_eq!(look.at(third).unwrap(), []);
    assert_eq!(shown(&look.changed_since(first).unwrap()), [(10, "crimson", true), (11, "new", false)]);
    let globex = Tenancy::Organization(Uuid::from_u128(GLOBEX));
    assert_eq!(look.object(globex, Uuid::from_u128(10)).unwrap(), None);
    assert!(look.object(Tenancy::All, Uuid::from_u128(10)).unwrap().is_some(), "also when it was deleted");
    let mut foreign = database.look(globex);
    assert_eq!((foreign.at(first).unwrap(), foreign.changed_since(first).unwrap()), (vec![], vec![]));
}

pub(crate) fn history_goes_by_the_clock(place: &mut Place) {
    let mut database = place.database();
    let first = apply(&mut database, &[create(10, "team", None, "red"), create(11, "team", None, "blue")]);
    let second = apply(&mut database, &[update(10, "crimson", 2), create(12, "vault", None, "hush")]);
    let third = apply(&mut database, &[delete(10)]);
    let fourth = apply(&mut database, &[revive(10, Some(3))]);
    let history = |database: &mut Database, query: &HistoryQuery| {
        let all = database.look(Tenancy::All).history(&["team"], query).unwrap();
        all.into_iter().map(|one| (one.now.seq, one.now.name, one.now.version)).collect::<Vec<_>>()
    };
    let row = |seq: u64, name: &str, version: u64| (seq, name.to_owned(), version);
    let expected = [
        row(fourth, "again", 4),
        row(third, "crimson", 3),
        row(second, "crimson", 2),
        row(first, "blue", 1),
        row(first, "red", 1),
    ];
    let query = HistoryQuery { limit: 9, ..HistoryQuery::default() };
    assert_eq!(history(&mut database, &query), expected);
    let query = HistoryQuery { before: Some(third), limit: 1, object: None };
    assert_eq!(history(&mut database, &query), [row(second, "crimson", 2)]);
    let query = HistoryQuery { object: Some(Uuid::from_u128(11)), limit: 9, before: None };
    assert_eq!(history(&mut database, &query), [row(first, "blue", 1)]);
    let query = HistoryQuery { limit: 9, ..HistoryQuery::default() };
    let all = database.look(Tenancy::All).history(&["team"], &query).unwrap();
    assert!(all[0].was_deleted && !all[1].was_deleted && all[1].now.deleted);
    let before = Some(("red".to_owned(), None, json!({"n": 1})));
    assert_eq!((&all[2].before, &all[3].before), (&before, &None));
}

pub(crate) fn what_was_deleted_goes_on_under_its_id(place: &mut Place) {
    let mut database = place.database();
    apply(&mut database, &[create(10, "team", Some(ACME), "red")]);
    let refused = |database: &mut Database, tenancy, change: Change| {
        database.apply(tenancy, &[change], &Author::system(), 5).unwrap_err()
    };
    assert!(
        matches!(refused(&mut database, Tenancy::All, revive(10, None)), Error::NoObject(_)),
        "it is there"
    );
    apply(&mut database, &[delete(10)]);
    let foreign = Tenancy::Organization(Uuid::from_u128(GLOBEX));
    assert!(matches!(refused(&mut database, foreign, revive(10, None)), Error::NoObject(_)));
    let late = refused(&mut database, Tenancy::All, revive(10, Some(1)));
    assert!(matches!(late, Error::VersionMismatch { found: 2 }));
    let revived = database.apply(Tenancy::All, &[revive(10, Some(2))], &Author::system(), 7).unwrap();
    assert_eq!((revived[0].version, revived[0].deleted_us, revived[0].created_us), (3, None, 5));
    assert_eq!(database.object(Tenancy::All, Uuid::from_u128(10)).unwrap(), Some(revived[0].clone()));
    apply(&mut database, &[delete(10), create(11, "team", Some(ACME), "again")]);
    assert!(matches!(refused(&mut database, Tenancy::All, revive(10, None)), Error::NameTaken { .. }));
    assert_eq!(database.verify_audit().unwrap(), None);
}

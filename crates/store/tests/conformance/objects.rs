use serde_json::json;
use tollgate_store::{Author, Change, Database, Error, Object, Query, Tenancy};
use uuid::Uuid;

use crate::place::Place;

const ONE: Uuid = Uuid::from_u128(1);
const OTHER: Uuid = Uuid::from_u128(2);

fn create(id: u128, organization: Option<Uuid>, parent: Option<u128>, name: &str) -> Change {
    let (id, parent) = (Uuid::from_u128(id), parent.map(Uuid::from_u128));
    Change::Create {
        id,
        kind: "team".to_owned(),
        organization,
        parent,
        name: name.to_owned(),
        body: json!({"a": 1}),
    }
}

fn update(id: u128, expected: Option<u64>, parent: Option<u128>, name: &str) -> Change {
    let (id, parent) = (Uuid::from_u128(id), parent.map(Uuid::from_u128));
    Change::Update { id, expected, name: name.to_owned(), parent, body: json!({"a": 2}) }
}

fn delete(id: u128, expected: Option<u64>) -> Change {
    Change::Delete { id: Uuid::from_u128(id), expected }
}

fn apply(database: &mut Database, tenancy: Tenancy, changes: &[Change]) -> Result<Vec<Object>, Error> {
    database.apply(tenancy, changes, &Author::system(), 5)
}

fn names(database: &mut Database, tenancy: Tenancy, query: &Query) -> Vec<String> {
    let query = Query { kind: "team".to_owned(), limit: query.limit.max(1), ..query.clone() };
    database.objects(tenancy, &query).unwrap().into_iter().map(|object| object.name).collect()
}

pub(crate) fn objects_have_versions(place: &mut Place) {
    let mut database = place.database();
    let made = apply(&mut database, Tenancy::All, &[create(10, Some(ONE), None, "red")]).unwrap();
    assert_eq!((made[0].version, &made[0].body), (1, &json!({"a": 1})));
    assert_eq!(place.database().object(Tenancy::All, Uuid::from_u128(10)).unwrap(), Some(made[0].clone()));
    let changed = apply(&mut database, Tenancy::All, &[update(10, Some(1), None, "blue")]).unwrap();
    assert_eq!((changed[0].version, &*changed[0].name, changed[0].created_us), (2, "blue", 5));
    assert!(changed[0].seq > made[0].seq);
    let late = apply(&mut database, Tenancy::All, &[update(10, Some(1), None, "green")]);
    assert!(matches!(late, Err(Error::VersionMismatch { found: 2 })), "{late:?}");
    let late = apply(&mut database, Tenancy::All, &[delete(10, Some(1))]);
    assert!(matches!(late, Err(Error::VersionMismatch { found: 2 })), "{late:?}");
    apply(&mut database, Tenancy::All, &[delete(10, Some(2))]).unwrap();
    assert_eq!(database.object(Tenancy::All, Uuid::from_u128(10)).unwrap(), None);
    let gone = apply(&mut database, Tenancy::All, &[delete(10, None)]);
    assert!(matches!(gone, Err(Error::NoObject(id)) if id == Uuid::from_u128(10)), "{gone:?}");
    let history = database.history(Tenancy::All, Uuid::from_u128(10)).unwrap();
    let shown: Vec<_> = history.iter().map(|was| (was.version, &*was.name, was.deleted)).collect();
    assert_eq!(shown, [(3, "blue", true), (2, "blue", false), (1, "red", false)]);
    assert_eq!(history[0].changed_by, "system:tollgate");
}

pub(crate) fn names_are_taken_once_in_each_organization(place: &mut Place) {
    let mut database = place.database();
    let all = [
        create(10, Some(ONE), None, "red"),
        create(11, Some(OTHER), None, "red"),
        create(12, None, None, "red"),
    ];
    apply(&mut database, Tenancy::All, &all).unwrap();
    for organization in [Some(ONE), None] {
        let twice = apply(&mut database, Tenancy::All, &[create(13, organization, None, "red")]);
        assert!(matches!(&twice, Err(Error::NameTaken { name, .. }) if name == "red"), "{twice:?}");
    }
    apply(&mut database, Tenancy::All, &[create(14, Some(ONE), None, "blue")]).unwrap();
    let renamed = apply(&mut database, Tenancy::All, &[update(14, None, None, "red")]);
    assert!(matches!(renamed, Err(Error::NameTaken { .. })));
    apply(&mut database, Tenancy::All, &[delete(10, None), update(14, None, None, "red")]).unwrap();
}

pub(crate) fn changes_are_made_all_or_none(place: &mut Place) {
    let mut database = place.database();
    let clock = database.clock().unwrap();
    let failed = apply(&mut database, Tenancy::All, &[create(10, None, None, "red"), delete(99, None)]);
    assert!(matches!(failed, Err(Error::NoObject(_))));
    assert_eq!(names(&mut database, Tenancy::All, &Query { limit: 9, ..Query::default() }), [""; 0]);
    assert_eq!((database.clock().unwrap(), database.verify_audit().unwrap()), (clock, None));
    apply(&mut database, Tenancy::All, &[create(10, None, None, "red"), create(11, None, Some(10), "blue")])
        .unwrap();
    assert_eq!(database.clock().unwrap(), clock + 1);
}

pub(crate) fn lists_are_filtered_and_go_on(place: &mut Place) {
    let mut database = place.database();
    let all = [
        create(10, None, None, "Red 1%"),
        create(11, None, Some(10), "blue"),
        create(12, None, Some(10), "red_2"),
        create(13, None, None, "green"),
    ];
    apply(&mut database, Tenancy::All, &all).unwrap();
    let mut found = |query: Query| names(&mut database, Tenancy::All, &query);
    assert_eq!(found(Query { limit: 2, ..Query::default() }), ["Red 1%", "blue"]);
    let after = Some(Uuid::from_u128(11));
    assert_eq!(found(Query { limit: 9, after, ..Query::default() }), ["red_2", "green"]);
    let parent = Some(Uuid::from_u128(10));
    assert_eq!(found(Query { limit: 9, parent, ..Query::default() }), ["blue", "red_2"]);
    let search = |text: &str| Query { limit: 9, search: Some(text.to_owned()), ..Query::default() };
    assert_eq!(found(search("RED")), ["Red 1%", "red_2"]);
    assert_eq!((found(search("1%")).len(), found(search("%")).len(), found(search("d_")).len()), (1, 1, 1));
    assert_eq!(found(Query { limit: 9, name: Some("blue".to_owned()), ..Query::default() }), ["blue"]);
}

/// Every way in, from another organization and from none.
pub(crate) fn tenants_cannot_cross(place: &mut Place) {
    let mut database = place.database();
    let all = [
        create(10, Some(ONE), None, "red"),
        create(20, Some(OTHER), None, "blue"),
        create(30, None, None, "all"),
    ];
    apply(&mut database, Tenancy::All, &all).unwrap();
    let one = Tenancy::Organization(ONE);
    let list = Query { limit: 9, ..Query::default() };
    assert_eq!(names(&mut database, one, &list), ["red"]);
    assert_eq!(names(&mut database, Tenancy::All, &list).len(), 3);
    for (foreign, organization) in [(20, Some(OTHER)), (30, None)] {
        let id = Uuid::from_u128(foreign);
        assert_eq!(database.object(one, id).unwrap(), None);
        assert!(database.history(one, id).unwrap().is_empty());
        let crossings = [
            update(foreign, None, None, "mine"),
            delete(foreign, None),
            create(11, organization, None, "new"),
            create(11, Some(ONE), Some(foreign), "new"),
            update(10, None, Some(foreign), "red"),
        ];
        for crossing in crossings {
            let crossed = apply(&mut database, one, std::slice::from_ref(&crossing));
            assert!(matches!(crossed, Err(Error::NoObject(_))), "{crossing:?}: {crossed:?}");
        }
        let by_parent = Query { parent: Some(id), limit: 9, ..Query::default() };
        assert!(names(&mut database, one, &by_parent).is_empty());
    }
    let foreign = create(21, Some(ONE), Some(20), "new");
    assert!(
        matches!(apply(&mut database, Tenancy::All, &[foreign]), Err(Error::NoObject(_))),
        "not even for all"
    );
    apply(&mut database, one, &[create(11, Some(ONE), Some(10), "own"), update(10, Some(1), None, "red")])
        .unwrap();
    assert_eq!(database.object(Tenancy::All, Uuid::from_u128(20)).unwrap().unwrap().version, 1);
}

pub(crate) fn replicas_see_what_has_changed(place: &mut Place) {
    let (mut database, mut replica) = (place.database(), place.database());
    let start = replica.callers_since(0).unwrap().clock;
    apply(&mut database, Tenancy::All, &[create(10, None, None, "red"), create(11, None, None, "blue")])
        .unwrap();
    let since = replica.callers_since(start).unwrap();
    assert_eq!((since.entities.len(), since.clock), (2, start + 1));
    let none = replica.callers_since(since.clock).unwrap();
    assert!(none.entities.is_empty() && none.keys.is_empty() && none.clock == since.clock);
    apply(&mut database, Tenancy::All, &[delete(10, None)]).unwrap();
    let changed = replica.callers_since(since.clock).unwrap();
    assert_eq!(changed.entities, [(Uuid::from_u128(10), None)]);
    let all = replica.callers_since(0).unwrap();
    let names = all.entities.iter().map(|(_, entity)| entity.as_ref().map(|entity| &*entity.name));
    assert_eq!(names.collect::<Vec<_>>(), [Some("blue")], "what is gone is not told of at first");
}

/// Writers at once: no number of the clock is passed over, none is used twice.
pub(crate) fn the_clock_has_no_gaps(place: &mut Place) {
    let start = place.database().clock().unwrap();
    std::thread::scope(|scope| {
        for writer in 0..3_u128 {
            let mut database = place.database();
            scope.spawn(move || {
                for turn in 0..10 {
                    let id = 100 + writer * 100 + turn;
                    apply(&mut database, Tenancy::All, &[create(id, None, None, &id.to_string())]).unwrap();
                }
            });
        }
    });
    let mut database = place.database();
    let now = database.clock().unwrap();
    let query = Query { kind: "team".to_owned(), limit: 100, ..Query::default() };
    let mut numbers: Vec<u64> =
        database.objects(Tenancy::All, &query).unwrap().iter().map(|object| object.seq).collect();
    numbers.sort_unstable();
    assert_eq!(numbers, (start + 1..=now).collect::<Vec<_>>());
    assert_eq!((numbers.len(), database.verify_audit().unwrap()), (30, None));
}

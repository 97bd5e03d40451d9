use serde_json::{Map, json};
use tollgate_store::{Author, Change, Database, Object, Provisioned, Tenancy};
use uuid::Uuid;

use crate::place::Place;

const ACME: Uuid = Uuid::from_u128(1);
const GLOBEX: Uuid = Uuid::from_u128(2);

/// A user or group of one organization, in these groups.
fn make(database: &mut Database, (id, kind, name): (u128, &str, &str), organization: Uuid, groups: &[u128]) {
    let kept = Provisioned {
        attributes: Map::new(),
        groups: groups.iter().map(|group| Uuid::from_u128(*group)).collect(),
    };
    let change = Change::Create {
        id: Uuid::from_u128(id),
        kind: kind.to_owned(),
        organization: Some(organization),
        parent: None,
        name: name.to_owned(),
        body: kept.within(&json!({"models": ["fast"]})),
    };
    database.apply(Tenancy::All, &[change], &Author::system(), 5).unwrap();
}

fn names(objects: &[Object]) -> Vec<&str> {
    objects.iter().map(|object| object.name.as_str()).collect()
}

pub(crate) fn groups_of_a_user_are_followed_upwards(place: &mut Place) {
    let mut database = place.database();
    make(&mut database, (10, "group", "staff"), ACME, &[]);
    make(&mut database, (11, "group", "guides"), ACME, &[10]);
    make(&mut database, (12, "group", "others"), GLOBEX, &[]);
    make(&mut database, (20, "user", "Mira"), ACME, &[11, 12, 99]);
    make(&mut database, (21, "user", "mira"), GLOBEX, &[12]);
    // A group of another organization, or one that has ended, is none of theirs.
    assert_eq!(database.groups_of(Uuid::from_u128(20)).unwrap(), ["guides", "staff"]);
    assert_eq!(database.groups_of(Uuid::from_u128(21)).unwrap(), ["others"]);
    assert_eq!(database.groups_of(Uuid::from_u128(10)).unwrap(), [""; 0], "a group is no user");
    assert_eq!(database.groups_of(Uuid::from_u128(98)).unwrap(), [""; 0]);

    assert_eq!(names(&database.members(Some(ACME), Uuid::from_u128(11)).unwrap()), ["Mira"]);
    assert_eq!(names(&database.members(Some(ACME), Uuid::from_u128(10)).unwrap()), ["guides"]);
    assert_eq!(names(&database.members(Some(ACME), Uuid::from_u128(12)).unwrap()), ["Mira"]);
    assert_eq!(names(&database.groups(Some(GLOBEX)).unwrap()), ["others"]);
    assert_eq!(database.groups(None).unwrap(), []);
    let page = |database: &mut Database, letters: Option<&str>, after: u128| {
        let found = database.people(Some(ACME), "group", letters, (Uuid::from_u128(after), 5)).unwrap();
        found.iter().map(|object| object.name.clone()).collect::<Vec<_>>()
    };
    assert_eq!(page(&mut database, None, 0), ["staff", "guides"]);
    assert_eq!(page(&mut database, Some("GUI"), 0), ["guides"]);
    assert_eq!(page(&mut database, None, 10), ["guides"]);
    let alike = database.write(Tenancy::All, (&Author::system(), 6), [].into(), |transaction| {
        transaction.alike(Some(ACME), "user", "MIRA")
    });
    assert_eq!(names(&alike.unwrap()), ["Mira"]);

    let end = Change::Delete { id: Uuid::from_u128(11), expected: None };
    database.apply(Tenancy::Organization(ACME), &[end], &Author::system(), 7).unwrap();
    assert_eq!(database.groups_of(Uuid::from_u128(20)).unwrap(), [""; 0]);
}

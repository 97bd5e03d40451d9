use std::collections::HashMap;

use serde_json::json;
use tollgate_store::{Answer, Answered, Author, Change, Database, Error, Repeatable, Tenancy, Transaction};
use uuid::Uuid;

use crate::place::Place;

const DAY_US: i64 = 24 * 3_600 * 1_000_000;

fn write<T>(
    database: &mut Database,
    now_us: i64,
    work: impl FnOnce(&mut Transaction<'_>) -> Result<T, Error>,
) -> Result<T, Error> {
    database.write(Tenancy::All, (&Author::system(), now_us), HashMap::new(), work)
}

fn create(id: u128, parent: Option<Uuid>, name: &str) -> Change {
    Change::Create {
        id: Uuid::from_u128(id),
        kind: "team".to_owned(),
        organization: None,
        parent,
        name: name.to_owned(),
        body: json!({}),
    }
}

pub(crate) fn a_request_that_comes_again_has_its_answer(place: &mut Place) {
    let mut database = place.database();
    let asked = Repeatable { caller: Uuid::from_u128(1), name: "a".to_owned(), request: "POST x".to_owned() };
    let answer = Answer { status: 201, body: "{}".to_owned() };
    let now_us = 10 * DAY_US;
    assert_eq!(database.answered(&asked, now_us).unwrap(), Answered::No);
    write(&mut database, now_us, |transaction| transaction.keep_answer(&asked, &answer)).unwrap();
    let mut replica = place.database();
    assert_eq!(replica.answered(&asked, now_us + 1).unwrap(), Answered::Same(answer.clone()));
    let other = Repeatable { request: "POST y".to_owned(), ..asked.clone() };
    assert_eq!(replica.answered(&other, now_us + 1).unwrap(), Answered::Other);
    let stranger = Repeatable { caller: Uuid::from_u128(2), ..asked.clone() };
    assert_eq!(replica.answered(&stranger, now_us + 1).unwrap(), Answered::No);
    let late = write(&mut replica, now_us + 1, |transaction| {
        transaction.apply(&create(10, None, "red"))?;
        transaction.keep_answer(&asked, &answer)
    });
    assert!(matches!(late, Err(Error::Duplicate(_))), "{late:?}");
    assert_eq!(replica.object(Tenancy::All, Uuid::from_u128(10)).unwrap(), None, "nothing was done twice");
    assert_eq!(replica.answered(&asked, now_us + DAY_US).unwrap(), Answered::No, "forgotten after a day");
    write(&mut replica, now_us + DAY_US, |transaction| transaction.keep_answer(&other, &answer)).unwrap();
}

pub(crate) fn a_transaction_reads_what_it_writes(place: &mut Place) {
    let mut database = place.database();
    let (file, id) = (Uuid::from_u128(7), Uuid::from_u128(10));
    let lost = write(&mut database, 5, |transaction| transaction.apply(&create(10, Some(file), "red")));
    assert!(matches!(lost, Err(Error::NoObject(parent)) if parent == file), "{lost:?}");
    let author = Author::system();
    let outside = HashMap::from([(file, None)]);
    let seen = database.write(Tenancy::All, (&author, 5), outside, |transaction| {
        transaction.apply(&create(10, Some(file), "red"))?;
        transaction.apply(&create(11, Some(id), "blue"))?;
        let below = transaction.below(id, 9)?;
        Ok::<_, Error>((transaction.object("team", id)?, transaction.object("key", id)?, below.len()))
    });
    let (red, key, below) = seen.unwrap();
    assert_eq!((red.map(|object| object.name).as_deref(), key, below), (Some("red"), None, 1));
    assert_eq!(database.entities().unwrap().len(), 2);
}

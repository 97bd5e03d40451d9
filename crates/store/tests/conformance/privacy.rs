use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use policy::{
    Money,
    limit::{AdjustmentKind, Limit},
    principal::{Directory, Stand},
    record::{Note, Outcome, Record},
};
use serde_json::json;
use tollgate_store::{
    Adjustment, Answer, Answered, AuditQuery, Author, Change, Database, Error, Feedback, Filter, Kept,
    Repeatable, Subject, Tenancy,
    spool::{Shipper, Writer},
};
use uuid::Uuid;

use crate::place::Place;

const SECOND_US: i64 = 1_000_000;
const DAY_US: i64 = 24 * 3_600 * SECOND_US;
/// 2026-11-21 00:00:00 UTC.
const NOW_US: i64 = 1_795_219_200_000_000;
const ACME: Uuid = Uuid::from_u128(1);
const GLOBEX: Uuid = Uuid::from_u128(2);
const KIM: Uuid = Uuid::from_u128(3);

/// Some seconds after [`NOW_US`]; ids tell calls of one moment apart.
fn call(number: u64, started_us: i64, organization: Option<Uuid>) -> Record<'static> {
    let ms = u128::try_from(started_us / 1000).unwrap();
    let note = Note {
        id: Uuid::from_u128(ms << 80 | u128::from(number)),
        started_us,
        key_id: Uuid::from_u128(100 + u128::from(number)),
        key_name: format!("key {number}").into(),
        operation: "chat".into(),
        dialect: "openai_chat".into(),
        model_asked: "m".into(),
        provider: "p".into(),
        model: "m".into(),
        stream: false,
        stand: Stand { organization, user: (number == 1).then_some(KIM), ..Stand::default() },
        end_user: number.is_multiple_of(2).then(|| "sam@example.com".into()),
        experiment: None,
    };
    let tags = [("tier".to_owned(), number.to_string())].into();
    Record { outcome: Outcome::Complete, cost: Some(Money(5)), tags, ..Record::from(note) }
}

fn ship(place: &Place, run: u64, records: &[Record<'_>]) {
    let (mut shipper, _) = Shipper::recover(&place.data.spool(), place.database()).unwrap();
    let mut writer = Writer::open(&place.data.spool(), run, 0).unwrap();
    for record in records {
        writer.done(record).unwrap();
    }
    writer.flush().unwrap();
    assert_eq!(shipper.step().unwrap(), records.len());
}

fn names(database: &mut Database, tenancy: Tenancy, filter: Filter) -> Vec<String> {
    let calls = database.calls(tenancy, &Filter { limit: 5_000, ..filter }).unwrap();
    calls.iter().map(|call| call.key_name.to_string()).collect()
}

pub(crate) fn calls_are_found_by_whose_they_are(place: &mut Place) {
    let calls = [call(1, NOW_US, Some(ACME)), call(2, NOW_US, Some(GLOBEX)), call(3, NOW_US + 5, None)];
    ship(place, 1, &calls);
    let mut database = place.database();
    let all = Filter::default;
    let mut check = |tenancy: Tenancy, filter: Filter, expected: &[&str]| {
        assert_eq!(names(&mut database, tenancy, filter.clone()), expected, "{tenancy:?} {filter:?}");
    };
    check(Tenancy::All, all(), &["key 3", "key 2", "key 1"]);
    check(Tenancy::Organization(ACME), all(), &["key 1"]);
    check(Tenancy::Organization(GLOBEX), Filter { of: Some(KIM), ..all() }, &[]);
    check(Tenancy::All, Filter { of: Some(KIM), ..all() }, &["key 1"]);
    check(Tenancy::All, Filter { of: Some(GLOBEX), ..all() }, &["key 2"]);
    check(Tenancy::All, Filter { end_user: Some("sam@example.com".to_owned()), ..all() }, &["key 2"]);
    check(Tenancy::All, Filter { since_us: Some(NOW_US + 5), ..all() }, &["key 3"]);
    let found = database.calls(Tenancy::Organization(ACME), &Filter { limit: 9, ..all() }).unwrap();
    assert_eq!(found, calls[..1], "everything comes back");
}

pub(crate) fn calls_are_kept_for_as_long_as_is_said(place: &mut Place) {
    let at = |number: u64, days: i64, organization| call(number, NOW_US - days * DAY_US, organization);
    let mut calls = vec![at(1, 1, Some(ACME)), at(2, 40, Some(ACME)), at(3, 40, Some(GLOBEX))];
    calls.extend([at(4, 100, Some(GLOBEX)), at(5, 40, None), at(6, 1, None)]);
    // More than one step takes.
    calls.extend((0..1_500).map(|number| at(1_000 + number, 41, None)));
    ship(place, 1, &calls);
    let mut database = place.database();
    let thought = Feedback { call_id: calls[4].id, score: 0.5, comment: None, given_us: NOW_US };
    database.keep_feedback(&thought).unwrap();
    let days = |days: i64| NOW_US - days * DAY_US;
    let mut forget = |kept: &Kept, expected: &[&str]| {
        let mut steps = 0;
        while database.expire(kept).unwrap() > 0 {
            steps += 1;
        }
        let found = names(&mut database, Tenancy::All, Filter::default());
        let few = found.iter().filter(|name| name.len() < 8).collect::<Vec<_>>();
        assert_eq!(few, expected, "{kept:?}");
        steps
    };
    assert_eq!(forget(&Kept::default(), &["key 6", "key 1", "key 5", "key 3", "key 2", "key 4"]), 0);
    let own = Kept { since_us: None, by_organization: vec![(ACME, days(30))] };
    assert_eq!(forget(&own, &["key 6", "key 1", "key 5", "key 3", "key 4"]), 1);
    let longer =
        Kept { since_us: Some(days(30)), by_organization: vec![(ACME, days(30)), (GLOBEX, days(365))] };
    assert!(forget(&longer, &["key 6", "key 1", "key 3", "key 4"]) > 1, "in steps");
    let all = Kept { since_us: Some(days(30)), by_organization: Vec::new() };
    forget(&all, &["key 6", "key 1"]);
    assert_eq!(database.call_count().unwrap(), 2);
    assert_eq!(database.feedback(calls[4].id).unwrap(), None);
}

pub(crate) fn who_made_calls_is_forgotten(place: &mut Place) {
    let calls: Vec<Record<'_>> = (1..=6)
        .map(|number| {
            call(
                number,
                NOW_US + i64::try_from(number).unwrap(),
                Some(if number < 5 { ACME } else { GLOBEX }),
            )
        })
        .collect();
    ship(place, 1, &calls);
    let mut database = place.database();
    let sam = Subject::EndUser("sam@example.com".to_owned());
    let author = Author::system();
    let told =
        database.erase(Tenancy::Organization(ACME), (&sam, false), &author, NOW_US + SECOND_US).unwrap();
    assert_eq!((told.calls, told.organization), (2, Some(ACME)));
    let shown = |database: &mut Database| {
        let calls = database.calls(Tenancy::All, &Filter { limit: 9, ..Filter::default() }).unwrap();
        let sum: i64 = calls.iter().filter_map(|call| call.cost).map(Money::picodollars).sum();
        let users = calls.iter().filter(|call| call.end_user.is_some()).count();
        (calls.len(), users, calls.iter().filter(|call| call.tags.is_empty()).count(), sum)
    };
    assert_eq!(shown(&mut database), (6, 1, 2, 30), "another tenant's stay as they are, and so do sums");
    // What was on its way then is forgotten when it comes, for a day.
    ship(place, 2, &[call(8, NOW_US + 100, Some(ACME))]);
    database.erase_late(NOW_US + 2 * SECOND_US).unwrap();
    assert_eq!(shown(&mut database), (7, 1, 3, 35));
    // What begins after it was asked for is no part of it.
    ship(place, 4, &[call(12, NOW_US + 3 * SECOND_US, Some(ACME))]);
    database.erase_late(NOW_US + 4 * SECOND_US).unwrap();
    assert_eq!(shown(&mut database), (8, 2, 3, 40));
    database.erase_late(NOW_US + 2 * DAY_US).unwrap();
    ship(place, 3, &[call(10, NOW_US + 200, Some(ACME))]);
    database.erase_late(NOW_US + 2 * DAY_US).unwrap();
    assert_eq!(shown(&mut database), (9, 3, 3, 45));
    let told = database.erasures(Tenancy::Organization(ACME), 10).unwrap();
    assert_eq!(told.iter().map(|one| (&*one.subject, one.calls)).collect::<Vec<_>>(), [("(erased)", 3)]);
    assert!(database.erasures(Tenancy::Organization(GLOBEX), 10).unwrap().is_empty());
    let gone = database.erase(Tenancy::All, (&sam, true), &author, NOW_US + SECOND_US).unwrap();
    assert_eq!((gone.calls, shown(&mut database)), (2, (7, 1, 3, 35)), "not what came after it");
    let caller = Subject::Caller("key 3".to_owned());
    assert_eq!(database.erase(Tenancy::All, (&caller, false), &author, NOW_US + SECOND_US).unwrap().calls, 1);
    assert!(!names(&mut database, Tenancy::All, Filter::default()).contains(&"key 3".to_owned()));
}

pub(crate) fn a_user_is_forgotten_and_the_audit_is_whole(place: &mut Place) {
    ship(place, 1, &[call(1, NOW_US, None)]);
    let mut database = place.database();
    let author = Author::system();
    let name = "kim@example.com";
    let change = Change::Create {
        id: KIM,
        kind: "user".to_owned(),
        organization: None,
        parent: None,
        name: name.to_owned(),
        body: json!({"tags": {"phone": "555-0100"}}),
    };
    let end = Change::Delete { id: KIM, expected: None };
    let request = Change::Create {
        id: Uuid::from_u128(9),
        kind: "access_request".to_owned(),
        organization: None,
        parent: None,
        name: "a request".to_owned(),
        body: json!({"asked_by": {"user": KIM, "name": name}}),
    };
    database.apply(Tenancy::All, &[change, end, request], &author, NOW_US).unwrap();
    let other = database.erase(Tenancy::Organization(GLOBEX), (&Subject::User(KIM), false), &author, NOW_US);
    assert!(matches!(other, Err(Error::NoObject(KIM))), "another tenant's: {other:?}");
    let told = |database: &mut Database| {
        let entries = database.audit(Tenancy::All, &AuditQuery { limit: 100, ..AuditQuery::default() });
        let versions = [KIM, Uuid::from_u128(9)].map(|id| database.history(Tenancy::All, id).unwrap());
        format!("{:?} {versions:?}", entries.unwrap())
    };
    assert!(told(&mut database).contains(name));
    let erased = database.erase(Tenancy::All, (&Subject::User(KIM), false), &author, NOW_US).unwrap();
    assert_eq!(erased.calls, 1);
    let left = told(&mut database);
    assert!(!left.contains(name) && !left.contains("555-0100"), "{left}");
    assert_eq!(database.verify_audit().unwrap(), None, "the chain is whole without the texts");
    assert_eq!(names(&mut database, Tenancy::All, Filter::default()), ["(erased)"]);
    assert!(database.last_used(&[Uuid::from_u128(101)]).unwrap().is_empty());
}

fn create(id: u128, kind: &str, parent: Option<Uuid>, body: serde_json::Value) -> Change {
    let (id, kind, name) = (Uuid::from_u128(id), kind.to_owned(), format!("{kind} {id}"));
    Change::Create { id, kind, organization: None, parent, name, body }
}

fn end(id: u128) -> Change {
    Change::Delete { id: Uuid::from_u128(id), expected: None }
}

fn told_of(database: &mut Database, id: u128) -> String {
    let id = Uuid::from_u128(id);
    let query = AuditQuery { object_id: Some(id), limit: 100, ..AuditQuery::default() };
    let entries = database.audit(Tenancy::All, &query).unwrap();
    let texts =
        entries.into_iter().rev().map(|entry| (entry.action, entry.object_name, entry.before, entry.after));
    let bodies = database.history(Tenancy::All, id).unwrap().into_iter().map(|version| version.body);
    format!("{:?} {:?}", texts.collect::<Vec<_>>(), bodies.collect::<Vec<_>>())
}

pub(crate) fn only_users_are_forgotten(place: &mut Place) {
    ship(place, 1, &[call(1, NOW_US, None)]);
    let mut database = place.database();
    let author = Author::system();
    let team = Uuid::from_u128(20);
    let changes = [
        create(20, "team", None, json!({"models": ["m"]})),
        create(21, "key", Some(team), json!({"scope": "calls"})),
        end(21),
        create(22, "key", None, json!({"scope": "admin", "role": "owner"})),
        end(22),
        create(23, "account", None, json!({"role": "owner"})),
        end(23),
        create(24, "team", None, json!({})),
        end(24),
        create(25, "user", None, json!({})),
    ];
    database.apply(Tenancy::All, &changes, &author, NOW_US).unwrap();
    let before: Vec<String> = (20..=25).map(|id| told_of(&mut database, id)).collect();
    let mut refused = |id: u128| {
        let subject = Subject::User(Uuid::from_u128(id));
        database.erase(Tenancy::All, (&subject, false), &author, NOW_US).unwrap_err().to_string()
    };
    for (id, is) in
        [(20, "of the kind team"), (22, "key"), (23, "account"), (24, "team"), (25, "there still")]
    {
        let message = refused(id);
        assert!(message.contains(is) && message.contains("only a user that has ended"), "{id}: {message}");
    }
    assert!(refused(404).contains("there is no object"));
    let after: Vec<String> = (20..=25).map(|id| told_of(&mut database, id)).collect();
    assert_eq!(before, after);
    assert!(database.erasures(Tenancy::All, 9).unwrap().is_empty());
    // One that only the journal knows.
    let kim = database.erase(Tenancy::All, (&Subject::User(KIM), false), &author, NOW_US).unwrap();
    assert_eq!(kim.calls, 1);
}

pub(crate) fn that_there_was_an_administrator_is_not_forgotten(place: &mut Place) {
    let mut database = place.database();
    let author = Author::system();
    let changes = [
        create(20, "user", None, json!({"tags": {"secret": "s"}})),
        create(
            21,
            "key",
            Some(Uuid::from_u128(20)),
            json!({"scope": "admin", "role": "owner", "tags": {"secret": "s"}}),
        ),
        create(22, "key", Some(Uuid::from_u128(20)), json!({"scope": "calls", "tags": {"secret": "s"}})),
        create(23, "service_account", Some(Uuid::from_u128(20)), json!({"tags": {"other": "o"}})),
        end(21),
        end(22),
        end(23),
        end(20),
    ];
    database.apply(Tenancy::All, &changes, &author, NOW_US).unwrap();
    let subject = Subject::User(Uuid::from_u128(20));
    database.erase(Tenancy::All, (&subject, false), &author, NOW_US).unwrap();
    let mut left = |id: u128| told_of(&mut database, id);
    for id in 20..=22 {
        let told = left(id);
        let (made, ended) = ("(\"create\", None, None, ", "(\"delete\", None, ");
        assert!(told.contains(made) && told.contains(ended) && !told.contains("secret"), "{told}");
        assert_eq!(told.matches("owner").count(), if id == 21 { 4 } else { 0 }, "{told}");
    }
    assert!(left(23).contains("other"), "only keys are forgotten with whom they belong to");
    assert_eq!(database.verify_audit().unwrap(), None);
}

pub(crate) fn what_others_asked_for_stays(place: &mut Place) {
    let mut database = place.database();
    let author = Author::system();
    let (user, key, other) = (Uuid::from_u128(20), Uuid::from_u128(21), Uuid::from_u128(30));
    let request = |id: u128, asked_by: serde_json::Value, subject: Uuid, decided_by: Uuid| {
        let reason = format!("as {user} and {key} have");
        let body = json!({"asked_by": asked_by, "subject": {"id": subject}, "decided_by": decided_by, "reason": reason});
        create(id, "access_request", None, body)
    };
    let changes = [
        create(20, "user", None, json!({})),
        create(21, "key", Some(user), json!({"scope": "admin", "role": "admin"})),
        request(40, json!({"id": other}), other, key),
        request(41, json!({"id": other, "user": other}), other, user),
        request(50, json!({"id": key, "user": user}), other, other),
        request(51, json!({"id": other, "user": user}), other, other),
        request(52, json!({"id": other}), user, other),
        request(53, json!({"id": other}), key, other),
        end(21),
        end(20),
    ];
    database.apply(Tenancy::All, &changes, &author, NOW_US).unwrap();
    let before = [40, 41].map(|id| told_of(&mut database, id));
    database.erase(Tenancy::All, (&Subject::User(user), false), &author, NOW_US).unwrap();
    assert_eq!([40, 41].map(|id| told_of(&mut database, id)), before);
    for id in 50..=53 {
        assert_eq!(told_of(&mut database, id), "[(\"create\", None, None, None)] []");
    }
}

pub(crate) fn whose_a_budget_was_is_forgotten(place: &mut Place) {
    let mut database = place.database();
    let author = Author::system();
    let budget = |id: u128, kind: &str, parent: Option<u128>| {
        create(id, kind, parent.map(Uuid::from_u128), json!({"budget": {"usd": 1, "per": "month"}}))
    };
    let changes = [budget(20, "user", None), budget(21, "key", Some(20)), budget(30, "user", None)];
    database.apply(Tenancy::All, &changes, &author, NOW_US).unwrap();
    let (directory, _) = Directory::new(database.entities().unwrap());
    let key = tollgate_store::key_of(&database.object(Tenancy::All, Uuid::from_u128(21)).unwrap().unwrap());
    let limits: BTreeMap<Uuid, Arc<Limit>> = directory
        .principal(&key)
        .0
        .limits
        .iter()
        .chain(directory.limits())
        .map(|limit| (limit.id, Arc::clone(limit)))
        .collect();
    assert_eq!(limits.len(), 3);
    for limit in limits.values() {
        let entry = Adjustment {
            id: Uuid::now_v7(),
            bucket: limit.id,
            slot_us: 0,
            until_us: NOW_US * 2,
            kind: AdjustmentKind::TopUp,
            amount: 7_777_777_777,
            of: format!("budget per month of {}", limit.whose),
            note: Some(format!("for {}", limit.whose)),
            at_us: NOW_US,
        };
        assert!(database.adjust(&entry, &author).unwrap());
    }
    let repeatable = |name: &str| Repeatable { caller: KIM, name: name.to_owned(), request: name.to_owned() };
    let bodies = [
        ("made", json!({"id": Uuid::from_u128(20)})),
        ("of another", json!({"id": Uuid::from_u128(30), "name": "user 20"})),
        ("applied", json!({"changes": [{"kind": "user", "name": "user 20"}]})),
        ("applied another", json!({"changes": [{"kind": "user", "name": "user 30"}]})),
    ];
    database
        .write(Tenancy::All, (&author, NOW_US), HashMap::new(), |transaction| {
            bodies.iter().try_for_each(|(name, body)| {
                let answer = Answer { status: 200, body: body.to_string() };
                transaction.keep_answer(&repeatable(name), &answer)
            })
        })
        .unwrap();
    database.apply(Tenancy::All, &[end(21), end(20)], &author, NOW_US).unwrap();
    let subject = Subject::User(Uuid::from_u128(20));
    database.erase(Tenancy::All, (&subject, false), &author, NOW_US).unwrap();
    let query = AuditQuery { kind: Some("budget".to_owned()), limit: 9, ..AuditQuery::default() };
    let told = format!(
        "{:?} {:?}",
        database.audit(Tenancy::All, &query).unwrap(),
        database.adjustments(NOW_US).unwrap()
    );
    assert!(!told.contains("user 20") && !told.contains("key 21") && told.contains("user 30"), "{told}");
    assert_eq!(told.matches("7777777777").count(), 6, "what was given stays: {told}");
    assert_eq!(database.verify_audit().unwrap(), None);
    let kept = bodies.map(|(name, _)| database.answered(&repeatable(name), NOW_US).unwrap() != Answered::No);
    assert_eq!(kept, [false, true, false, true]);
}

pub(crate) fn callers_are_seen_to_the_minute(place: &mut Place) {
    let key = Uuid::from_u128(101);
    let at = |seconds: i64| {
        let call = call(1, NOW_US + seconds * SECOND_US, None);
        Record { id: Uuid::from_u128(call.id.as_u128() + u128::try_from(seconds).unwrap()), ..call }
    };
    ship(place, 1, &[at(9), at(5)]);
    let mut database = place.database();
    assert_eq!(database.last_used(&[key, KIM]).unwrap(), [(key, NOW_US + 9 * SECOND_US)].into());
    ship(place, 2, &[at(7), at(200)]);
    ship(place, 3, &[at(100)]);
    assert_eq!(database.last_used(&[key]).unwrap(), [(key, NOW_US + 200 * SECOND_US)].into());
}

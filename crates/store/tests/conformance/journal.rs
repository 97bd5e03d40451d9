use policy::{
    Money,
    principal::Stand,
    record::{Note, Outcome, Posting, Record},
};
use tollgate_store::{
    Database, Filter, Tenancy,
    spool::{Recovered, Shipper, Writer},
};
use uuid::Uuid;

use crate::place::Place;

/// 2026-11-21 00:00:00 UTC.
const NOW_US: i64 = 1_795_219_200_000_000;

/// A call that begins some seconds after [`NOW_US`].
fn note(second: i64, key_name: &'static str) -> Note<'static> {
    at(NOW_US + second * 1_000_000, key_name)
}

fn at(started_us: i64, key_name: &'static str) -> Note<'static> {
    let ms = u128::try_from(started_us / 1000).unwrap();
    Note {
        id: Uuid::from_u128(ms << 80 | 7),
        started_us,
        key_id: Uuid::from_u128(if key_name == "other" { 6 } else { 5 }),
        key_name: key_name.into(),
        operation: "chat".into(),
        dialect: "openai_chat".into(),
        model_asked: "m".into(),
        provider: "p".into(),
        model: "m".into(),
        stream: true,
        stand: Stand::default(),
        end_user: None,
        experiment: None,
    }
}

fn record(note: Note<'static>) -> Record<'static> {
    let mut record = Record { outcome: Outcome::Complete, status: 200, ..Record::from(note) };
    record.tokens.input = 3;
    record.cost = Some(Money(5));
    record
}

fn all(database: &mut Database) -> Vec<Record<'static>> {
    database.calls(Tenancy::All, &Filter { limit: 1_000, ..Filter::default() }).unwrap()
}

/// Ships these records from a spool file of a run of its own.
fn ship(place: &Place, run: u64, records: &[Record<'_>]) {
    let (mut shipper, _) = Shipper::recover(&place.data.spool(), place.database()).unwrap();
    let mut writer = Writer::open(&place.data.spool(), run, 0).unwrap();
    for record in records {
        writer.done(record).unwrap();
    }
    writer.flush().unwrap();
    assert_eq!(shipper.step().unwrap(), records.len());
    assert_eq!(shipper.lag_bytes(), 0);
}

pub(crate) fn records_are_taken_in_exactly_once(place: &mut Place) {
    let (mut shipper, recovered) = Shipper::recover(&place.data.spool(), place.database()).unwrap();
    assert_eq!(recovered, Recovered::default());
    let mut writer = Writer::open(&place.data.spool(), 1, 0).unwrap();
    writer.note(&note(1, "app")).unwrap();
    assert!(shipper.lag_bytes() > 0);
    writer.done(&record(note(1, "app"))).unwrap();
    writer.note(&note(2, "app")).unwrap();
    assert_eq!(shipper.step().unwrap(), 1);
    assert_eq!(shipper.step().unwrap(), 0);
    let mut database = place.database();
    assert_eq!(all(&mut database), [record(note(1, "app"))]);
    assert_eq!(database.call(note(1, "app").id).unwrap(), Some(record(note(1, "app"))));
    assert_eq!(database.call(Uuid::nil()).unwrap(), None);
    // The same record again, as from a file whose position was lost.
    drop(shipper);
    ship(place, 2, &[record(note(1, "app"))]);
    let outcomes: Vec<Outcome> = all(&mut database).iter().map(|record| record.outcome).collect();
    assert_eq!(outcomes, [Outcome::Unknown, Outcome::Complete]);
}

pub(crate) fn a_crash_between_two_steps_repeats_nothing(place: &mut Place) {
    let (mut shipper, _) = Shipper::recover(&place.data.spool(), place.database()).unwrap();
    let mut writer = Writer::open(&place.data.spool(), 1, 0).unwrap();
    for second in 1..=3 {
        writer.note(&note(second, "app")).unwrap();
    }
    writer.done(&record(note(1, "app"))).unwrap();
    writer.flush().unwrap();
    shipper.step().unwrap();
    writer.done(&record(note(2, "app"))).unwrap();
    writer.flush().unwrap();
    drop((shipper, writer));
    let (shipper, recovered) = Shipper::recover(&place.data.spool(), place.database()).unwrap();
    assert_eq!((recovered.unknown, recovered.torn), (1, 0));
    drop(shipper);
    let outcomes: Vec<Outcome> = all(&mut place.database()).iter().map(|record| record.outcome).collect();
    assert_eq!(outcomes, [Outcome::Unknown, Outcome::Complete, Outcome::Complete]);
    assert_eq!(std::fs::read_dir(place.data.spool()).unwrap().count(), 0);
}

pub(crate) fn filters_and_sums_agree(place: &mut Place) {
    let mut unpriced = record(note(3, "other"));
    unpriced.cost = None;
    let mut dear = record(note(4, "other"));
    dear.cost = Some(Money(i64::MAX));
    let mut dearer = record(note(5, "other"));
    dearer.cost = Some(Money(i64::MAX));
    ship(place, 1, &[record(note(1, "app")), record(note(2, "app")), unpriced, dear, dearer]);
    let mut database = place.database();
    assert_eq!(database.call_count().unwrap(), 5);
    let mut named = |key_name: Option<&str>, before_us: Option<i64>, limit: u32| {
        let key_name = key_name.map(str::to_owned);
        let calls = database
            .calls(Tenancy::All, &Filter { key_name, before_us, limit, ..Filter::default() })
            .unwrap();
        calls.iter().map(|call| (call.started_us - NOW_US) / 1_000_000).collect::<Vec<_>>()
    };
    assert_eq!(named(None, None, 10), [5, 4, 3, 2, 1]);
    assert_eq!(named(None, None, 2), [5, 4]);
    assert_eq!(named(Some("app"), None, 10), [2, 1]);
    assert_eq!(named(None, Some(NOW_US + 3_000_000), 10), [2, 1]);
    assert!(named(Some("nobody"), None, 10).is_empty());
    let sums = database.summary(0, None).unwrap();
    let shown = sums
        .iter()
        .map(|sum| (&*sum.key_name, sum.calls, sum.input_tokens, sum.cost_picodollars, sum.unpriced));
    let shown: Vec<_> = shown.collect();
    assert_eq!(shown, [("app", 2, 6, 10, 0), ("other", 3, 9, 2 * i128::from(i64::MAX), 1)]);
    assert_eq!(database.summary(NOW_US + 4_000_000, None).unwrap().len(), 1);
    let named = database.summary(0, Some("app")).unwrap();
    assert_eq!(named.iter().map(|sum| sum.calls).collect::<Vec<_>>(), [2]);
}

pub(crate) fn keys_of_one_name_are_summed_apart(place: &mut Place) {
    let [acme, globex] = [1, 2].map(|id| Some(Uuid::from_u128(id)));
    let by = |second: i64, name: &'static str, key: u128, organization: Option<Uuid>| {
        let stand = Stand { organization, ..Stand::default() };
        record(Note { key_id: Uuid::from_u128(key), stand, ..note(second, name) })
    };
    let calls = [
        by(1, "svc", 11, acme),
        by(2, "svc", 12, globex),
        by(3, "svc", 11, acme),
        by(4, "old", 13, acme),
        by(5, "new", 13, acme),
        // What was erased has one id and one name everywhere.
        by(6, "(erased)", 0, acme),
        by(7, "(erased)", 0, globex),
    ];
    ship(place, 1, &calls);
    let mut database = place.database();
    let mut sums = |name: Option<&str>| {
        let sums = database.summary(0, name).unwrap().into_iter();
        sums.map(|sum| (sum.key_name, sum.organization, sum.calls, sum.cost_picodollars)).collect::<Vec<_>>()
    };
    let row =
        |name: &str, organization, calls: u64| (name.to_owned(), organization, calls, i128::from(calls) * 5);
    let svc = [row("svc", acme, 2), row("svc", globex, 1)];
    let others = [row("(erased)", acme, 1), row("(erased)", globex, 1), row("new", acme, 2)];
    assert_eq!(sums(None), [&others[..], &svc[..]].concat());
    assert_eq!(sums(Some("svc")), svc);
    assert_eq!(sums(Some("nobody")), []);
}

pub(crate) fn months_and_wrong_clocks_have_a_place(place: &mut Place) {
    let month_us = 31 * 86_400 * 1_000_000;
    let moments = [1, NOW_US - month_us, NOW_US, NOW_US + month_us, NOW_US + 12 * month_us];
    let records: Vec<Record<'_>> = moments.into_iter().map(|moment| record(at(moment, "app"))).collect();
    ship(place, 1, &records);
    let mut found = all(&mut place.database());
    found.reverse();
    assert_eq!(found, records);
    if let Some(mut client) = place.client() {
        let select = "SELECT tableoid::regclass::text, count(*) FROM calls GROUP BY 1 ORDER BY 1";
        let rows = client.query(select, &[]).unwrap();
        let tables: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
        assert_eq!(
            tables,
            ["calls_2026_10", "calls_2026_11", "calls_2026_12", "calls_2027_11", "calls_other"]
        );
        let next = client.query_one("SELECT to_regclass('calls_2027_12') IS NOT NULL", &[]).unwrap();
        assert!(next.get::<_, bool>(0), "the month ahead is there");
    }
}

pub(crate) fn texts_of_any_kind_are_kept(place: &mut Place) {
    let mut odd = record(note(1, "app"));
    odd.model_asked = "a\0b ' \" \\ ü \u{1f600}\n".into();
    odd.losses = vec!["a\0".to_owned()];
    odd.fault = Some("?1".into());
    ship(place, 1, &[odd.clone()]);
    let found = all(&mut place.database());
    // PostgreSQL has no texts with a zero in them.
    let model_asked = found[0].model_asked.replace('\u{fffd}', "\0");
    assert_eq!(model_asked, odd.model_asked);
    assert_eq!((&found[0].losses, &found[0].fault), (&odd.losses, &odd.fault));
}

/// However often a record comes, it posts once.
pub(crate) fn postings_are_added_once(place: &mut Place) {
    let (bucket, other) = (Uuid::from_u128(1), Uuid::from_u128(2));
    let posted = |second: i64, postings: &[(Uuid, i64, i64)]| {
        let postings = postings.iter().map(|&(bucket, slot_us, amount)| posting(bucket, slot_us, amount));
        Record { postings: postings.collect(), ..record(note(second, "app")) }
    };
    let one = posted(1, &[(bucket, 0, 5), (bucket, 60, 7), (other, 60, 1)]);
    let two = posted(2, &[(bucket, 60, -2)]);
    ship(place, 1, &[one.clone(), one.clone(), two.clone()]);
    ship(place, 2, &[one, two, posted(3, &[(other, 120, i64::MAX)])]);
    let mut database = place.database();
    let (first, second) = (posting(bucket, 0, 5), posting(bucket, 60, 5));
    assert_eq!(database.ledger(&[bucket], 0).unwrap(), [first, second]);
    let all: Vec<Uuid> = (1..=120).map(Uuid::from_u128).collect();
    let found = database.ledger(&all, 0).unwrap();
    assert_eq!(found, [first, second, posting(other, 60, 1), posting(other, 120, i64::MAX)]);
    assert_eq!(database.ledger(&all, 60).unwrap(), found[1..], "what has ended does not count");
    assert!(database.ledger(&[], 0).unwrap().is_empty());
    let week_us = 7 * 24 * 3_600 * 1_000_000;
    assert_eq!(database.sweep_ledger(week_us + 61).unwrap(), 1);
    assert_eq!(database.ledger(&all, 0).unwrap(), found[1..]);
    assert!(all_calls_without_postings(&mut database));
}

pub(crate) fn sums_end_at_the_most_that_is_held(place: &mut Place) {
    let bucket = Uuid::from_u128(1);
    let posted = |second: i64, slot_us: i64, amount: i64| {
        let postings = vec![posting(bucket, slot_us, amount)];
        Record { postings, ..record(note(second, "app")) }
    };
    let sums = [
        (i64::MAX, 7, i64::MAX),
        (7, i64::MAX, i64::MAX),
        (i64::MIN, -7, -i64::MAX),
        (-7, i64::MIN, -i64::MAX),
        (i64::MAX, i64::MIN, 0),
        (i64::MIN, i64::MAX, 0),
        (i64::MAX - 7, 7, i64::MAX),
        (-5, 3, -2),
    ];
    for (slot, (first, second, sum)) in (1..).zip(sums) {
        ship(place, 1, &[posted(slot, slot, first)]);
        ship(place, 2, &[posted(slot + 100, slot, second)]);
        let found = place.database().ledger(&[bucket], slot + 59).unwrap();
        assert_eq!(found, [posting(bucket, slot, sum)], "{first} and {second}");
    }
}

/// The database refuses a text, whatever is shipped with it. Nothing of it is lost, and a second start goes on too.
pub(crate) fn one_refused_record_holds_up_no_other(place: &mut Place) {
    let folder = place.data.spool();
    let refused = || std::fs::read_to_string(folder.join("refused.jsonl")).unwrap_or_default();
    let bucket = Uuid::from_u128(1);
    let odd = Record { postings: vec![posting(bucket, 0, 9)], ..record(note(3, "odd")) };
    let all_of = |from: i64| (from..from + 5).map(|second| record(note(second, "app")));
    let (mut shipper, _) = Shipper::recover(&folder, place.database()).unwrap();
    refuse_odd(place);
    let mut writer = Writer::open(&folder, 1, 0).unwrap();
    all_of(10).chain([odd.clone()]).chain(all_of(20)).for_each(|record| writer.done(&record).unwrap());
    writer.flush().unwrap();
    assert_eq!(shipper.step().unwrap(), 11);
    assert_eq!((shipper.refused(), shipper.lag_bytes()), (1, 0));
    assert_eq!(all(&mut place.database()).len(), 10);
    let line: serde_json::Value = serde_json::from_str(&refused()).unwrap();
    assert_eq!(line["record"]["id"], odd.id.to_string());
    assert_eq!(line["postings"][0]["amount"], 9);
    drop(shipper);
    // The same at the next start, for what had not been shipped.
    writer.done(&Record { id: Uuid::from_u128(odd.id.as_u128() + 1), ..odd }).unwrap();
    writer.done(&record(note(40, "app"))).unwrap();
    writer.flush().unwrap();
    let (shipper, recovered) = Shipper::recover(&folder, place.database()).unwrap();
    assert_eq!((shipper.refused(), recovered.unknown), (1, 0));
    assert_eq!(all(&mut place.database()).len(), 11);
    assert_eq!(refused().lines().count(), 2);
}

/// Has the database refuse calls of the key `odd`.
fn refuse_odd(place: &mut Place) {
    if place.client().is_some() {
        place.tamper("ALTER TABLE calls ADD CONSTRAINT even CHECK (key_name <> 'odd')");
    } else {
        place.tamper(
            "CREATE TRIGGER even BEFORE INSERT ON calls WHEN NEW.key_name = 'odd' \
             BEGIN SELECT RAISE(ABORT, 'odd'); END",
        );
    }
}

fn posting(bucket: Uuid, slot_us: i64, amount: i64) -> Posting {
    Posting { bucket, slot_us, amount, until_us: slot_us + 60 }
}

fn all_calls_without_postings(database: &mut Database) -> bool {
    all(database).iter().all(|record| record.postings.is_empty())
}

pub(crate) fn two_handles_write_at_once(place: &mut Place) {
    std::thread::scope(|scope| {
        for writer in 0..4_i64 {
            let mut database = place.database();
            scope.spawn(move || {
                for turn in 0..25 {
                    let name = format!("model-{writer}");
                    database.keep_rollout(&name, 1, &format!("{turn}"), turn).unwrap();
                    assert_eq!(database.rollout(&name, 1).unwrap().as_deref(), Some(&*format!("{turn}")));
                }
            });
        }
    });
    assert_eq!(place.database().rollouts().unwrap().len(), 4);
}

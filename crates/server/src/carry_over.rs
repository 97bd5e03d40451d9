//! What a period left of a budget is added to the next, once, whichever replica comes to it first.

use std::{collections::HashSet, sync::Arc, time::Duration};

use policy::limit::{AdjustmentKind, Limit};
use store::{Adjustment, Author, Database};
use uuid::Uuid;

use crate::{core::Shared, database::DatabaseThread, world::now_us};

/// How often it is looked for periods that have begun.
const LOOK: Duration = Duration::from_secs(30);
/// How long after its beginning a period is given what the one before left: until then calls of that end, and the journal
/// takes them in.
const SETTLED_US: i64 = 60_000_000;

pub(crate) async fn run(shared: Arc<Shared>, database: DatabaseThread) {
    loop {
        tokio::time::sleep(LOOK).await;
        let carrying = shared.callers.load().limits().into_iter().filter(|limit| limit.carry_over);
        let carrying: Vec<Arc<Limit>> = carrying.collect();
        if carrying.is_empty() {
            continue;
        }
        let done = database.ask(move |database| carry_all(database, &carrying, now_us()));
        if let Err(error) = done.await {
            tracing::warn!(%error, "what budgets have left could not be carried over; it is tried again");
        }
    }
}

fn carry_all(database: &mut Database, limits: &[Arc<Limit>], now_us: i64) -> Result<(), store::Error> {
    let done: HashSet<Uuid> = database.adjustments(now_us)?.iter().map(|entry| entry.id).collect();
    limits.iter().try_for_each(|limit| carry(database, limit, &done, now_us))
}

fn carry(
    database: &mut Database,
    limit: &Limit,
    done: &HashSet<Uuid>,
    now_us: i64,
) -> Result<(), store::Error> {
    let Some((start_us, until_us)) = limit.slot(now_us).filter(|(start, _)| now_us > start + SETTLED_US)
    else {
        return Ok(());
    };
    // The same in every replica, so that one of them adds it.
    let id = Uuid::new_v5(&limit.id, format!("carry over {start_us}").as_bytes());
    if done.contains(&id) {
        return Ok(());
    }
    let Some((before_us, _)) = limit.slot(start_us - 1) else { return Ok(()) };
    let used = database.ledger(&[limit.id], start_us - 1)?;
    let used = used.iter().find(|posting| posting.slot_us == before_us).map_or(0, |posting| posting.amount);
    let Some(amount) = limit.carried(used) else { return Ok(()) };
    let entry = Adjustment {
        id,
        bucket: limit.id,
        slot_us: start_us,
        until_us,
        kind: AdjustmentKind::CarryOver,
        amount,
        of: format!("{} of {}", limit.name, limit.whose),
        note: None,
        at_us: now_us,
    };
    if database.adjust(&entry, &Author::system())? {
        tracing::info!(of = entry.of, amount, "what a budget has left was carried over");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use policy::{
        key::Key,
        principal::{Directory, Settings, Stand},
        record::{Note, Posting, Record},
    };
    use store::{DataDir, spool};

    use super::*;

    const DAY: i64 = 24 * 3_600 * 1_000_000;

    fn limit() -> Arc<Limit> {
        let settings: Settings =
            serde_json::from_str(r#"{"budget":{"usd":10,"per":"day","carry_over":true}}"#).unwrap();
        let (principal, problems) = Directory::default().principal(&Key { settings, ..Key::unbound() });
        assert_eq!(problems, []);
        Arc::clone(&principal.limits[0])
    }

    fn spend(data: &DataDir, limit: &Limit, slot_us: i64, amount: i64) {
        let note = Note {
            id: Uuid::now_v7(),
            started_us: slot_us,
            key_id: Uuid::nil(),
            key_name: "a".into(),
            operation: "chat".into(),
            dialect: "openai_chat".into(),
            model_asked: "m".into(),
            provider: "p".into(),
            model: "m".into(),
            stream: false,
            stand: Stand::default(),
            end_user: None,
            experiment: None,
        };
        let posting = Posting { bucket: limit.id, slot_us, amount, until_us: slot_us + DAY };
        let record = Record { postings: vec![posting], ..Record::from(note) };
        std::fs::create_dir_all(data.spool()).unwrap();
        let mut writer = spool::Writer::open(&data.spool(), slot_us.unsigned_abs(), 0).unwrap();
        writer.done(&record).unwrap();
        writer.flush().unwrap();
        spool::Shipper::recover(&data.spool(), data.database().unwrap()).unwrap();
    }

    #[test]
    fn what_is_left_is_carried_once() {
        let folder = tempfile::tempdir().unwrap();
        let data = DataDir::open(folder.path()).unwrap();
        let limit = limit();
        let limits = [Arc::clone(&limit)];
        let day = 20_000 * DAY;
        spend(&data, &limit, day, 3_000_000_000_000);
        let mut database = data.database().unwrap();
        let given = |database: &mut Database, now_us| {
            let entries = database.adjustments(now_us).unwrap();
            entries.iter().map(|entry| (entry.slot_us, entry.amount)).collect::<Vec<_>>()
        };
        carry_all(&mut database, &limits, day + DAY + 1).unwrap();
        assert_eq!(given(&mut database, day + DAY + 1), [], "calls of the day before may still end");
        for _ in 0..3 {
            carry_all(&mut database, &limits, day + DAY + 2 * SETTLED_US).unwrap();
        }
        assert_eq!(given(&mut database, day + DAY), [(day + DAY, 7_000_000_000_000)]);
        carry_all(&mut database, &limits, day + 2 * DAY + 2 * SETTLED_US).unwrap();
        assert_eq!(
            given(&mut database, day + 2 * DAY),
            [],
            "a day in which nothing was used carries nothing"
        );
        assert_eq!(database.verify_audit().unwrap(), None);
    }
}

//! What was used, by bucket and slot of time: sums of the postings of records that are in the journal.

use std::collections::{BTreeMap, HashSet};

use policy::record::{Posting, Record};
use uuid::Uuid;

use crate::{
    Database, Error,
    sql::{Engine, Row},
};

/// How many buckets are asked for at once.
const BATCH: usize = 50;
/// How long a slot is kept after it has stopped to count.
const KEPT_US: i64 = 7 * 24 * 3_600 * 1_000_000;
/// Adds to a slot. Both engines refuse a sum that their integers do not hold: it ends at the most that they do.
const ADD: &str = "INSERT INTO ledger (bucket, slot_us, amount, until_us) VALUES (?1, ?2, ?3, ?4) \
    ON CONFLICT (bucket, slot_us) DO UPDATE SET amount = excluded.amount + CASE WHEN excluded.amount >= 0 \
    THEN CASE WHEN ledger.amount > 9223372036854775807 - excluded.amount \
    THEN 9223372036854775807 - excluded.amount ELSE ledger.amount END \
    ELSE CASE WHEN ledger.amount < -9223372036854775807 - excluded.amount \
    THEN -9223372036854775807 - excluded.amount ELSE ledger.amount END END";

impl Database {
    /// What these buckets hold in slots that count at a moment.
    pub fn ledger(&mut self, buckets: &[Uuid], now_us: i64) -> Result<Vec<Posting>, Error> {
        let places: Vec<String> = (2..BATCH + 2).map(|place| format!("?{place}")).collect();
        let select = format!(
            "SELECT bucket, slot_us, amount, until_us FROM ledger WHERE until_us > ?1 AND bucket IN ({}) \
             ORDER BY bucket, slot_us",
            places.join(", ")
        );
        let mut found = Vec::new();
        for batch in buckets.chunks(BATCH) {
            // One statement serves all batches: the last is filled up with a bucket that it names already.
            let filled = batch.iter().chain(batch.iter().cycle()).take(BATCH);
            let values = std::iter::once(now_us.into()).chain(filled.map(|&bucket| bucket.into()));
            let values: Vec<_> = values.collect();
            for row in &self.engine.query(&select, &values)? {
                found.push(posting_of(row)?);
            }
        }
        Ok(found)
    }

    /// Forgets slots that have not counted for a while.
    pub fn sweep_ledger(&mut self, now_us: i64) -> Result<u64, Error> {
        let delete = "DELETE FROM ledger WHERE until_us < ?1";
        self.engine.execute(delete, &[now_us.saturating_sub(KEPT_US).into()])
    }
}

/// Adds the postings of those records that were not in the journal yet.
pub(crate) fn post(
    engine: &mut dyn Engine,
    records: &[Record<'_>],
    mut inserted: HashSet<Uuid>,
) -> Result<(), Error> {
    // In one order, so that two replicas never wait for each other.
    let mut sums: BTreeMap<(Uuid, i64), (i64, i64)> = BTreeMap::new();
    for record in records.iter().filter(|record| inserted.remove(&record.id)) {
        for posting in &record.postings {
            let (sum, until_us) = sums.entry((posting.bucket, posting.slot_us)).or_default();
            *sum = sum.saturating_add(posting.amount);
            *until_us = posting.until_us.max(*until_us);
        }
    }
    for ((bucket, slot_us), (amount, until_us)) in sums {
        add(engine, &Posting { bucket, slot_us, amount, until_us })?;
    }
    Ok(())
}

/// Adds to what a slot holds.
pub(crate) fn add(engine: &mut dyn Engine, posting: &Posting) -> Result<(), Error> {
    let Posting { bucket, slot_us, amount, until_us } = *posting;
    let amount = amount.max(-i64::MAX);
    engine.execute(ADD, &[bucket.into(), slot_us.into(), amount.into(), until_us.into()])?;
    Ok(())
}

fn posting_of(row: &Row) -> Result<Posting, Error> {
    Ok(Posting { bucket: row.get(0)?, slot_us: row.get(1)?, amount: row.get(2)?, until_us: row.get(3)? })
}

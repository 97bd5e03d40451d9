//! What was used, by bucket and slot of time: sums of the postings of records that are in the journal.

use std::collections::{BTreeMap, HashSet};

use policy::record::Record;
use uuid::Uuid;

use crate::{
    Database, Error,
    sql::{Engine, Row},
};

/// How many buckets are asked for at once.
const BATCH: usize = 50;

impl Database {
    /// What these buckets hold: bucket, slot, amount.
    pub fn ledger(&mut self, buckets: &[Uuid]) -> Result<Vec<(Uuid, i64, i64)>, Error> {
        let places: Vec<String> = (1..=BATCH).map(|place| format!("?{place}")).collect();
        let select = format!(
            "SELECT bucket, slot_us, amount FROM ledger WHERE bucket IN ({}) ORDER BY bucket, slot_us",
            places.join(", ")
        );
        let mut found = Vec::new();
        for batch in buckets.chunks(BATCH) {
            // One statement serves all batches: the last is filled up with a bucket that it names already.
            let filled = batch.iter().chain(batch.iter().cycle()).take(BATCH);
            let values: Vec<_> = filled.map(|&bucket| bucket.into()).collect();
            for row in &self.engine.query(&select, &values)? {
                found.push(sum_of(row)?);
            }
        }
        Ok(found)
    }

    /// What all buckets hold in slots from this one on.
    pub fn ledger_since(&mut self, slot_us: i64) -> Result<Vec<(Uuid, i64, i64)>, Error> {
        let select =
            "SELECT bucket, slot_us, amount FROM ledger WHERE slot_us >= ?1 ORDER BY bucket, slot_us";
        self.engine.query(select, &[slot_us.into()])?.iter().map(sum_of).collect()
    }
}

/// Adds the postings of those records that were not in the journal yet.
pub(crate) fn post(
    engine: &mut dyn Engine,
    records: &[Record<'_>],
    mut inserted: HashSet<Uuid>,
) -> Result<(), Error> {
    // In one order, so that two replicas never wait for each other.
    let mut sums: BTreeMap<(Uuid, i64), i64> = BTreeMap::new();
    for record in records.iter().filter(|record| inserted.remove(&record.id)) {
        for posting in &record.postings {
            let sum = sums.entry((posting.bucket, posting.slot_us)).or_default();
            *sum = sum.saturating_add(posting.amount);
        }
    }
    let add = "INSERT INTO ledger (bucket, slot_us, amount) VALUES (?1, ?2, ?3) \
               ON CONFLICT (bucket, slot_us) DO UPDATE SET amount = ledger.amount + excluded.amount";
    for ((bucket, slot_us), amount) in sums {
        engine.execute(add, &[bucket.into(), slot_us.into(), amount.into()])?;
    }
    Ok(())
}

fn sum_of(row: &Row) -> Result<(Uuid, i64, i64), Error> {
    Ok((row.get(0)?, row.get(1)?, row.get(2)?))
}

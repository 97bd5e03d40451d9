//! When callers were last seen.

use std::collections::{BTreeMap, HashMap};

use policy::record::Record;
use uuid::Uuid;

use crate::{Database, Error, sql::Engine};

/// How much later a caller must be seen to be written down again.
const STEP_US: i64 = 60_000_000;
/// The most callers that are remembered.
const REMEMBERED_MAX: usize = 100_000;

/// What was written down of each, so that a busy caller is not written down with every call.
#[derive(Default)]
pub(crate) struct Uses(HashMap<Uuid, i64>);

impl Uses {
    /// Writes down whoever was not seen for a while.
    pub(crate) fn write(&mut self, engine: &mut dyn Engine, records: &[Record<'_>]) -> Result<(), Error> {
        // In one order, so that two replicas never wait for each other.
        let mut seen: BTreeMap<Uuid, i64> = BTreeMap::new();
        for record in records {
            let last_us = seen.entry(record.key_id).or_insert(record.started_us);
            *last_us = record.started_us.max(*last_us);
        }
        seen.retain(|caller, at_us| {
            self.0.get(caller).is_none_or(|last_us| at_us.saturating_sub(*last_us) >= STEP_US)
        });
        let upsert = "INSERT INTO uses (caller, last_us) VALUES (?1, ?2) ON CONFLICT (caller) \
                      DO UPDATE SET last_us = excluded.last_us WHERE excluded.last_us > uses.last_us";
        for (&caller, &last_us) in &seen {
            engine.execute(upsert, &[caller.into(), last_us.into()])?;
        }
        if self.0.len() + seen.len() > REMEMBERED_MAX {
            self.0.clear();
        }
        self.0.extend(seen);
        Ok(())
    }
}

impl Database {
    /// When these callers were last seen, to about a minute, in microseconds since 1970.
    pub fn last_used(&mut self, callers: &[Uuid]) -> Result<HashMap<Uuid, i64>, Error> {
        let select = "SELECT last_us FROM uses WHERE caller = ?1";
        let mut found = HashMap::with_capacity(callers.len());
        for &caller in callers {
            if let Some(row) = self.engine.query_first(select, &[caller.into()])? {
                found.insert(caller, row.get(0)?);
            }
        }
        Ok(found)
    }
}

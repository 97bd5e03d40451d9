//! What comes from another gateway: objects, keys of which only a hash is known, and what was spent.

use std::collections::HashMap;

use policy::record::Posting;
use uuid::Uuid;

use crate::{Author, Change, Database, Error, Tenancy, changes::Writer, postings::add, sql::transaction};

/// What is to be taken over.
#[derive(Clone, Debug, Default)]
pub struct Import {
    pub changes: Vec<Change>,
    pub keys: Vec<ImportedKey>,
    /// All that the other gateway has counted in each slot, and not only what has come since the last import.
    pub spent: Vec<Posting>,
}

/// A key that another gateway kept as its SHA-256.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImportedKey {
    pub key_id: Uuid,
    /// 64 hexadecimal digits in lower case.
    pub sha256: String,
}

impl Import {
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty() && self.keys.is_empty() && self.spent.is_empty()
    }
}

impl Database {
    /// What of it is not there yet. What was spent is all that was counted, of which earlier imports are taken off: their
    /// sum is never added twice.
    pub fn lacking(&mut self, import: &Import) -> Result<Import, Error> {
        let known = self.key_hashes()?;
        let is_known = |key: &&ImportedKey| {
            let hash = self.hasher.hash_of_sha256(&key.sha256);
            known.iter().any(|known| known.hash == hash)
        };
        let keys = import.keys.iter().filter(|key| !is_known(key)).cloned().collect();
        let select = "SELECT bucket, slot_us, amount FROM imported";
        let mut taken: HashMap<(Uuid, i64), i64> = HashMap::new();
        for row in &self.engine.query(select, &[])? {
            taken.insert((row.get(0)?, row.get(1)?), row.get(2)?);
        }
        let spent = import.spent.iter().filter(|spent| {
            spent.amount > taken.get(&(spent.bucket, spent.slot_us)).copied().unwrap_or_default()
        });
        Ok(Import { changes: import.changes.clone(), keys, spent: spent.copied().collect() })
    }

    /// Takes over all of it or nothing.
    pub fn import(&mut self, import: &Import, author: &Author, now_us: i64) -> Result<(), Error> {
        let hashes: Vec<(Uuid, [u8; 32])> =
            import.keys.iter().map(|key| (key.key_id, self.hasher.hash_of_sha256(&key.sha256))).collect();
        transaction(&mut *self.engine, |engine| {
            let mut writer = Writer::begin(engine, Tenancy::All, author, now_us)?;
            for change in &import.changes {
                writer.apply(change)?;
            }
            let insert =
                "INSERT INTO key_hashes (hash, key_id, created_us, made_of) VALUES (?1, ?2, ?3, 'sha256')";
            for (key_id, hash) in &hashes {
                writer.engine.execute(insert, &[hash.into(), (*key_id).into(), now_us.into()])?;
                writer.touch(*key_id)?;
            }
            for spent in &import.spent {
                post(&mut writer, spent)?;
            }
            writer.finish()
        })
    }
}

/// Adds to the ledger what has come on top of earlier imports.
fn post(writer: &mut Writer<'_>, spent: &Posting) -> Result<(), Error> {
    let place = [spent.bucket.into(), spent.slot_us.into()];
    let select = "SELECT amount FROM imported WHERE bucket = ?1 AND slot_us = ?2";
    let before = writer.engine.query_first(select, &place)?;
    let before: i64 = before.map_or(Ok(0), |row| row.get(0))?;
    let keep = "INSERT INTO imported (bucket, slot_us, amount) VALUES (?1, ?2, ?3) \
                ON CONFLICT (bucket, slot_us) DO UPDATE SET amount = excluded.amount";
    let [bucket, slot_us] = place;
    writer.engine.execute(keep, &[bucket, slot_us, spent.amount.into()])?;
    let more = Posting { amount: spent.amount.saturating_sub(before), ..*spent };
    add(writer.engine, &more)
}

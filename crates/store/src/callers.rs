//! Who may call, for replicas that keep up with the registry.

use policy::{
    key::Key,
    principal::{Entity, EntityKind},
};
use uuid::Uuid;

use crate::{
    Database, Error,
    entities::entity_of,
    keys::{self, hashed},
    objects::{COLUMNS, object_of},
};

/// A key, and a hash by which it is known.
pub type HashedKey = ([u8; 32], Key);

/// Of the callers that the registry owns those that have changed, each as it is now.
#[derive(Debug, Default)]
pub struct CallersSince {
    /// How the registry's clock stands now.
    pub clock: u64,
    /// Parts of organizations; nothing where one is gone.
    pub entities: Vec<(Uuid, Option<Entity>)>,
    /// Keys with all their hashes, as [`Database::keys`] tells them: without any where one is forgotten.
    pub keys: Vec<(Uuid, Vec<HashedKey>)>,
}

impl Database {
    /// What has changed since the clock stood so; at 0 everything is told that there is.
    pub fn callers_since(&mut self, seq: u64) -> Result<CallersSince, Error> {
        let columns: Vec<String> = COLUMNS.split(", ").map(|column| format!("o.{column}")).collect();
        let kinds: Vec<String> = EntityKind::ALL.iter().map(|kind| format!("'{}'", kind.name())).collect();
        // One look, so that no key is seen with the hashes of another moment. What changes after the clock was read has a
        // later number, and comes with the next.
        let select = format!(
            "SELECT {}, h.hash, h.until_us FROM objects o LEFT JOIN key_hashes h ON h.key_id = o.id \
             WHERE o.seq > ?1 AND o.seq <= ?2 \
             AND (o.kind = ?3 OR o.kind IN ({}) AND (o.deleted_us IS NULL OR ?1 > 0)) ORDER BY o.id, h.created_us",
            columns.join(", "),
            kinds.join(", ")
        );
        let clock = self.clock()?;
        let rows = self.engine.query(&select, &[seq.into(), clock.into(), keys::KIND.into()])?;
        let mut since = CallersSince { clock, ..CallersSince::default() };
        for row in &rows {
            let object = object_of(row)?;
            if object.kind != keys::KIND {
                let entity = entity_of(&object).filter(|_| object.deleted_us.is_none());
                since.entities.push((object.id, entity));
                continue;
            }
            let known = match row.get::<Option<[u8; 32]>>(11)? {
                Some(_) => Some(hashed(row, &object)?),
                None => None,
            };
            match since.keys.last_mut().filter(|(id, _)| *id == object.id) {
                Some((_, hashes)) => hashes.extend(known),
                None => since.keys.push((object.id, known.into_iter().collect())),
            }
        }
        Ok(since)
    }
}

//! How long calls are kept.

use uuid::Uuid;

use crate::{
    Database, Error,
    journal::id_at,
    sql::{Value, transaction},
};

/// How many calls one transaction forgets, so that nobody waits long for its end.
const BATCH: u32 = 1_000;

/// From which moment on calls are kept, in microseconds since 1970.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Kept {
    /// Of organizations that say nothing themselves, and of nobody's; for ever where there is no such moment.
    pub since_us: Option<i64>,
    /// Of organizations that say so themselves.
    pub by_organization: Vec<(Uuid, i64)>,
}

impl Database {
    /// Forgets some of the calls that are not kept any longer, with what was thought of them. Returns how many; call it
    /// again until there are none.
    pub fn expire(&mut self, kept: &Kept) -> Result<u64, Error> {
        self.expire_months(kept)?;
        for (organization, since_us) in &kept.by_organization {
            let mine = "organization_id = ?2";
            let gone = self.forget(mine, &[id_at(*since_us).into(), (*organization).into()])?;
            if gone > 0 {
                return Ok(gone);
            }
        }
        let Some(since_us) = kept.since_us else { return Ok(0) };
        let others: Vec<String> = (0..kept.by_organization.len()).map(|at| format!("?{}", at + 2)).collect();
        let nobodys = match others.is_empty() {
            true => "1 = 1".to_owned(),
            false => format!("(organization_id IS NULL OR organization_id NOT IN ({}))", others.join(", ")),
        };
        let values = kept.by_organization.iter().map(|(organization, _)| (*organization).into());
        let values: Vec<Value<'_>> = std::iter::once(id_at(since_us).into()).chain(values).collect();
        self.forget(&nobodys, &values)
    }

    /// Months that nobody keeps go at once, where each has a table of its own.
    fn expire_months(&mut self, kept: &Kept) -> Result<(), Error> {
        let Some(since_us) = kept.since_us else { return Ok(()) };
        let oldest_us = kept.by_organization.iter().map(|(_, since_us)| *since_us).fold(since_us, i64::min);
        if self.engine.drop_months(oldest_us)? {
            transaction(&mut *self.engine, |engine| {
                engine.execute("DELETE FROM feedback WHERE call_id < ?1", &[id_at(oldest_us).into()])
            })?;
        }
        Ok(())
    }

    /// Forgets calls before an id, the first value, that are these.
    fn forget(&mut self, these: &str, values: &[Value<'_>]) -> Result<u64, Error> {
        let select = format!("SELECT id FROM calls WHERE id < ?1 AND {these} ORDER BY id LIMIT {BATCH}");
        let ids: Vec<Uuid> =
            self.engine.query(&select, values)?.iter().map(|row| row.get(0)).collect::<Result<_, _>>()?;
        self.forget_calls(&ids)
    }

    /// Forgets calls, with what was thought of them.
    pub(crate) fn forget_calls(&mut self, ids: &[Uuid]) -> Result<u64, Error> {
        transaction(&mut *self.engine, |engine| {
            let mut gone = 0;
            for &id in ids {
                engine.execute("DELETE FROM feedback WHERE call_id = ?1", &[id.into()])?;
                gone += engine.execute("DELETE FROM calls WHERE id = ?1", &[id.into()])?;
            }
            Ok(gone)
        })
    }
}

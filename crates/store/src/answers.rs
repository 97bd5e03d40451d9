//! What was answered to requests that may come again, so that what they ask for is done once.

use uuid::Uuid;

use crate::{Database, Error, Transaction};

/// For how long answers are kept.
const KEPT_US: i64 = 24 * 3_600 * 1_000_000;
/// The most answers that are kept for one caller.
const ANSWERS_MAX: u64 = 10_000;

/// An answer that was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    pub status: u16,
    pub body: String,
}

/// What was found under a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answered {
    /// Nothing, or nothing any more.
    No,
    /// The answer to the same request.
    Same(Answer),
    /// Something else was asked for under this name.
    Other,
}

/// A request that may come again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Repeatable {
    pub caller: Uuid,
    /// What the caller calls it.
    pub name: String,
    /// What is asked for: all that tells it from other requests.
    pub request: String,
}

impl Database {
    /// What was answered to this request already.
    pub fn answered(&mut self, asked: &Repeatable, now_us: i64) -> Result<Answered, Error> {
        let select =
            "SELECT request, status, body FROM answers WHERE caller = ?1 AND name = ?2 AND at_us > ?3";
        let values = [asked.caller.into(), (&asked.name).into(), now_us.saturating_sub(KEPT_US).into()];
        let Some(row) = self.engine.query_first(select, &values)? else { return Ok(Answered::No) };
        if row.get::<[u8; 32]>(0)? != self.hasher.hash(&asked.request) {
            return Ok(Answered::Other);
        }
        Ok(Answered::Same(Answer { status: row.get(1)?, body: row.get(2)? }))
    }
}

impl Transaction<'_> {
    /// Keeps an answer together with what was done; `Duplicate` where somebody else was faster.
    pub fn keep_answer(&mut self, asked: &Repeatable, answer: &Answer) -> Result<(), Error> {
        let engine = &mut *self.writer.engine;
        let old = self.now_us.saturating_sub(KEPT_US);
        engine.execute("DELETE FROM answers WHERE at_us <= ?1", &[old.into()])?;
        let count = "SELECT count(*) FROM answers WHERE caller = ?1";
        let row = engine.query_first(count, &[asked.caller.into()])?;
        if row.map_or(Ok(0), |row| row.get::<u64>(0))? >= ANSWERS_MAX {
            return Err(Error::TooManyAnswers(ANSWERS_MAX));
        }
        let insert = "INSERT INTO answers (caller, name, request, status, body, at_us) \
                      VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
        let hash = self.hasher.hash(&asked.request);
        let values = [
            asked.caller.into(),
            (&asked.name).into(),
            (&hash).into(),
            answer.status.into(),
            (&answer.body).into(),
            self.now_us.into(),
        ];
        engine.execute(insert, &values)?;
        Ok(())
    }
}

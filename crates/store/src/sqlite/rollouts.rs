//! How far rollouts are, and what callers thought of answers.

use rusqlite::{OptionalExtension, params};
use serde::Serialize;
use uuid::Uuid;

use crate::{Database, Error};

/// What a caller thought of an answer.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Feedback {
    pub call_id: Uuid,
    /// In 0..=1.
    pub score: f64,
    pub comment: Option<String>,
    /// Microseconds since 1970.
    pub given_us: i64,
}

impl Database {
    /// The state that was kept of a rollout, where its definition is still this one.
    pub fn rollout(&self, name: &str, design: u64) -> Result<Option<String>, Error> {
        let select = "SELECT state FROM rollouts WHERE name = ?1 AND design = ?2";
        let state = self.connection.query_row(select, params![name, signed(design)], |row| row.get(0));
        Ok(state.optional()?)
    }

    /// The name and state of each rollout that was kept.
    pub fn rollouts(&self) -> Result<Vec<(String, String)>, Error> {
        let mut statement = self.connection.prepare("SELECT name, state FROM rollouts ORDER BY name")?;
        let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    pub fn keep_rollout(&mut self, name: &str, design: u64, state: &str, now_us: i64) -> Result<(), Error> {
        let upsert = "INSERT INTO rollouts (name, design, state, updated_us) VALUES (?1, ?2, ?3, ?4) \
                      ON CONFLICT (name) DO UPDATE SET design = excluded.design, state = excluded.state, \
                      updated_us = excluded.updated_us";
        self.connection.execute(upsert, params![name, signed(design), state, now_us])?;
        Ok(())
    }

    /// Keeps what a caller thought of an answer; `false` where it had said so before, which this replaces.
    pub fn keep_feedback(&mut self, feedback: &Feedback) -> Result<bool, Error> {
        let Feedback { call_id, score, comment, given_us } = feedback;
        let update = "UPDATE feedback SET score = ?2, comment = ?3, given_us = ?4 WHERE call_id = ?1";
        if self.connection.execute(update, params![call_id, score, comment, given_us])? > 0 {
            return Ok(false);
        }
        let insert = "INSERT INTO feedback (call_id, score, comment, given_us) VALUES (?1, ?2, ?3, ?4)";
        self.connection.execute(insert, params![call_id, score, comment, given_us])?;
        Ok(true)
    }

    /// What was said of a call.
    pub fn feedback(&self, call_id: Uuid) -> Result<Option<Feedback>, Error> {
        let select = "SELECT score, comment, given_us FROM feedback WHERE call_id = ?1";
        let found = self.connection.prepare_cached(select)?.query_row([call_id], |row| {
            Ok(Feedback { call_id, score: row.get(0)?, comment: row.get(1)?, given_us: row.get(2)? })
        });
        Ok(found.optional()?)
    }
}

/// SQLite's integers have a sign.
fn signed(number: u64) -> i64 {
    i64::from_ne_bytes(number.to_ne_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::DataDir;

    #[test]
    fn states_and_scores_are_kept() {
        let folder = tempfile::tempdir().unwrap();
        let data = DataDir::open(folder.path()).unwrap();
        let mut database = data.database().unwrap();
        database.keep_rollout("smart", u64::MAX, "{}", 1).unwrap();
        database.keep_rollout("smart", 3, "{\"a\":1}", 2).unwrap();
        assert_eq!(database.rollout("smart", u64::MAX).unwrap(), None, "another definition");
        assert_eq!(data.database().unwrap().rollout("smart", 3).unwrap().as_deref(), Some("{\"a\":1}"));
        let said = |score| Feedback { call_id: Uuid::from_u128(1), score, comment: None, given_us: 5 };
        assert!(database.keep_feedback(&said(0.5)).unwrap());
        assert!(!database.keep_feedback(&said(1.0)).unwrap());
        assert_eq!(database.feedback(Uuid::from_u128(1)).unwrap(), Some(said(1.0)));
        assert_eq!(database.feedback(Uuid::from_u128(2)).unwrap(), None);
    }
}

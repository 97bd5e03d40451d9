//! How far rollouts are, and what callers thought of answers.

use serde::Serialize;
use uuid::Uuid;

use crate::{Database, Error, sql::transaction};

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
    pub fn rollout(&mut self, name: &str, design: u64) -> Result<Option<String>, Error> {
        let select = "SELECT state FROM rollouts WHERE name = ?1 AND design = ?2";
        let row = self.engine.query_first(select, &[name.into(), signed(design).into()])?;
        row.map(|row| row.get(0)).transpose()
    }

    /// The name and state of each rollout that was kept.
    pub fn rollouts(&mut self) -> Result<Vec<(String, String)>, Error> {
        let rows = self.engine.query("SELECT name, state FROM rollouts ORDER BY name", &[])?;
        rows.iter().map(|row| Ok((row.get(0)?, row.get(1)?))).collect()
    }

    pub fn keep_rollout(&mut self, name: &str, design: u64, state: &str, now_us: i64) -> Result<(), Error> {
        let upsert = "INSERT INTO rollouts (name, design, state, updated_us) VALUES (?1, ?2, ?3, ?4) \
                      ON CONFLICT (name) DO UPDATE SET design = excluded.design, state = excluded.state, \
                      updated_us = excluded.updated_us";
        transaction(&mut *self.engine, |engine| {
            let values = [name.into(), signed(design).into(), state.into(), now_us.into()];
            engine.execute(upsert, &values).map(|_| ())
        })
    }

    /// Keeps what a caller thought of an answer; `false` where it had said so before, which this replaces.
    pub fn keep_feedback(&mut self, feedback: &Feedback) -> Result<bool, Error> {
        let Feedback { call_id, score, comment, given_us } = feedback;
        let values = [(*call_id).into(), (*score).into(), comment.as_ref().into(), (*given_us).into()];
        transaction(&mut *self.engine, |engine| {
            let insert = "INSERT INTO feedback (call_id, score, comment, given_us) VALUES (?1, ?2, ?3, ?4) \
                          ON CONFLICT DO NOTHING";
            if engine.execute(insert, &values)? > 0 {
                return Ok(true);
            }
            let update = "UPDATE feedback SET score = ?2, comment = ?3, given_us = ?4 WHERE call_id = ?1";
            engine.execute(update, &values)?;
            Ok(false)
        })
    }

    /// What was said of a call.
    pub fn feedback(&mut self, call_id: Uuid) -> Result<Option<Feedback>, Error> {
        let select = "SELECT score, comment, given_us FROM feedback WHERE call_id = ?1";
        let row = self.engine.query_first(select, &[call_id.into()])?;
        let feedback = row.map(|row| {
            Ok(Feedback { call_id, score: row.get(0)?, comment: row.get(1)?, given_us: row.get(2)? })
        });
        feedback.transpose()
    }
}

/// Both engines' integers have a sign.
fn signed(number: u64) -> i64 {
    i64::from_ne_bytes(number.to_ne_bytes())
}

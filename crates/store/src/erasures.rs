//! What was asked to be forgotten: who made calls, or for whom they were made.

use serde::Serialize;
use serde_json::json;
use uuid::Uuid;

use crate::{
    Author, Database, Error, Tenancy,
    audit::Event,
    changes::{Writer, clean},
    forget::{self, NOBODY},
    sql::{Row, Value, transaction},
};

/// How many calls one transaction changes, so that nobody waits long for its end.
const BATCH: u32 = 1_000;
/// For how long records may come that were on their way, from this replica or another.
const LATE_US: i64 = 24 * 3_600 * 1_000_000;
const COLUMNS: &str = "id, kind, subject, organization, deletes, calls, asked_us";

/// Who is to be forgotten.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subject {
    /// A user of the registry or of the file.
    User(Uuid),
    /// Who made calls, by the name that the journal shows: of a token, a certificate or a key.
    Caller(String),
    /// For whom callers ask, in their words.
    EndUser(String),
}

/// That somebody is to be forgotten.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Erasure {
    pub id: Uuid,
    /// `user`, `caller` or `end_user`.
    pub kind: String,
    /// Who: forgotten too, a day later.
    pub subject: String,
    /// Whose calls; everybody's where it is none.
    pub organization: Option<Uuid>,
    /// Whether the calls are deleted; otherwise they stay without the one who made them.
    pub deletes: bool,
    /// How many calls there were.
    pub calls: u64,
    /// Microseconds since 1970.
    pub asked_us: i64,
}

impl Subject {
    fn kind(&self) -> &'static str {
        match self {
            Subject::User(_) => "user",
            Subject::Caller(_) => "caller",
            Subject::EndUser(_) => "end_user",
        }
    }

    fn shown(&self) -> String {
        match self {
            Subject::User(id) => id.to_string(),
            Subject::Caller(name) | Subject::EndUser(name) => clean(name),
        }
    }

    /// What is true of its calls.
    fn condition(&self) -> &'static str {
        match self {
            Subject::User(_) => "user_id = ?1",
            Subject::Caller(_) => "key_name = ?1",
            Subject::EndUser(_) => "end_user = ?1",
        }
    }

    fn value(&self) -> Value<'_> {
        match self {
            Subject::User(id) => (*id).into(),
            Subject::Caller(name) | Subject::EndUser(name) => name.as_str().into(),
        }
    }

    fn of(erasure: &Erasure) -> Option<Subject> {
        match erasure.kind.as_str() {
            _ if erasure.subject == NOBODY => None,
            "user" => erasure.subject.parse().ok().map(Subject::User),
            "caller" => Some(Subject::Caller(erasure.subject.clone())),
            "end_user" => Some(Subject::EndUser(erasure.subject.clone())),
            _ => None,
        }
    }
}

impl Database {
    /// Writes down that somebody is to be forgotten, takes a user out of the registry's past and out of the audit's texts,
    /// and forgets what the journal has. A user must have ended before, and the registry or the journal must know it.
    pub fn erase(
        &mut self,
        tenancy: Tenancy,
        (subject, deletes): (&Subject, bool),
        author: &Author,
        now_us: i64,
    ) -> Result<Erasure, Error> {
        if let Subject::User(id) = subject
            && !self.knows(tenancy, *id)?
        {
            return Err(Error::NoObject(*id));
        }
        let erasure = Erasure {
            id: Uuid::now_v7(),
            kind: subject.kind().to_owned(),
            subject: subject.shown(),
            organization: match tenancy {
                Tenancy::All => None,
                Tenancy::Organization(id) => Some(id),
            },
            deletes,
            calls: 0,
            asked_us: now_us,
        };
        transaction(&mut *self.engine, |engine| {
            let mut writer = Writer::begin(engine, tenancy, author, now_us)?;
            let insert = format!("INSERT INTO erasures ({COLUMNS}) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)");
            let values = [
                erasure.id.into(),
                (&erasure.kind).into(),
                (&erasure.subject).into(),
                erasure.organization.into(),
                deletes.into(),
                0_i64.into(),
                now_us.into(),
            ];
            writer.engine.execute(&insert, &values)?;
            if let Subject::User(id) = subject {
                forget::user(&mut writer, *id)?;
            }
            // Who it is stays out of the audit.
            writer.tell(&Event {
                action: "erase".to_owned(),
                kind: Some(erasure.kind.clone()),
                object_id: Some(erasure.id),
                organization: erasure.organization,
                after: Some(json!({ "deletes": deletes }).to_string()),
                ..Event::default()
            })?;
            writer.finish()
        })?;
        let calls = self.erase_calls(&erasure)?;
        Ok(Erasure { calls, ..erasure })
    }

    /// The latest first.
    pub fn erasures(&mut self, tenancy: Tenancy, limit: u32) -> Result<Vec<Erasure>, Error> {
        let select = format!(
            "SELECT {COLUMNS} FROM erasures WHERE (organization = ?1 OR ?1 IS NULL) ORDER BY id DESC LIMIT ?2"
        );
        self.engine.query(&select, &[tenancy.value(), limit.into()])?.iter().map(erasure_of).collect()
    }

    /// Does once more what was asked for lately, since records may have come that were on their way, and forgets the
    /// subjects of what was asked for before.
    pub fn erase_late(&mut self, now_us: i64) -> Result<(), Error> {
        let since_us = now_us.saturating_sub(LATE_US);
        let select = format!("SELECT {COLUMNS} FROM erasures WHERE asked_us >= ?1 ORDER BY id");
        let late: Vec<Erasure> = self
            .engine
            .query(&select, &[since_us.into()])?
            .iter()
            .map(erasure_of)
            .collect::<Result<_, _>>()?;
        for erasure in &late {
            self.erase_calls(erasure)?;
        }
        let update = "UPDATE erasures SET subject = ?2 WHERE asked_us < ?1 AND subject <> ?2";
        transaction(&mut *self.engine, |engine| engine.execute(update, &[since_us.into(), NOBODY.into()]))?;
        Ok(())
    }

    /// Whether the registry or the journal has anything of this id. Users that a file named are in the journal alone.
    fn knows(&mut self, tenancy: Tenancy, id: Uuid) -> Result<bool, Error> {
        let selects = [
            "SELECT id FROM objects WHERE (organization = ?1 OR ?1 IS NULL) AND id = ?2",
            "SELECT id FROM calls WHERE (organization_id = ?1 OR ?1 IS NULL) AND user_id = ?2 LIMIT 1",
        ];
        for select in selects {
            if self.engine.query_first(select, &[tenancy.value(), id.into()])?.is_some() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Forgets what the journal has of a subject now, of calls that began before that was asked for; returns how many there
    /// were.
    fn erase_calls(&mut self, erasure: &Erasure) -> Result<u64, Error> {
        let Some(subject) = Subject::of(erasure) else { return Ok(0) };
        let select = format!(
            "SELECT id, key_id FROM calls WHERE {} AND (organization_id = ?2 OR ?2 IS NULL) AND started_us <= ?3 \
             ORDER BY id LIMIT {BATCH}",
            subject.condition()
        );
        let values = [subject.value(), erasure.organization.into(), erasure.asked_us.into()];
        let mut total = 0;
        loop {
            let rows = self.engine.query(&select, &values)?;
            let found: Vec<(Uuid, Uuid)> =
                rows.iter().map(|row| Ok((row.get(0)?, row.get(1)?))).collect::<Result<_, Error>>()?;
            if found.is_empty() {
                break;
            }
            let ids: Vec<Uuid> = found.iter().map(|(id, _)| *id).collect();
            if erasure.deletes {
                self.forget_calls(&ids)?;
            } else {
                self.strip(&subject, &found)?;
            }
            total += ids.len() as u64;
        }
        if total > 0 {
            let update = "UPDATE erasures SET calls = calls + ?2 WHERE id = ?1";
            let values = [erasure.id.into(), total.into()];
            transaction(&mut *self.engine, |engine| engine.execute(update, &values))?;
        }
        Ok(total)
    }

    /// Takes out of calls who made them. What they cost stays, so that sums do.
    fn strip(&mut self, subject: &Subject, calls: &[(Uuid, Uuid)]) -> Result<(), Error> {
        let update = match subject {
            Subject::User(_) | Subject::Caller(_) => {
                "UPDATE calls SET user_id = NULL, end_user = NULL, tags = NULL, key_id = ?2, key_name = ?3 WHERE id = ?1"
            }
            Subject::EndUser(_) => "UPDATE calls SET end_user = NULL, tags = NULL WHERE id = ?1",
        };
        transaction(&mut *self.engine, |engine| {
            for &(id, key_id) in calls {
                match subject {
                    Subject::User(_) | Subject::Caller(_) => {
                        engine.execute(update, &[id.into(), Uuid::nil().into(), NOBODY.into()])?;
                        engine.execute("DELETE FROM uses WHERE caller = ?1", &[key_id.into()])?;
                    }
                    Subject::EndUser(_) => {
                        engine.execute(update, &[id.into()])?;
                    }
                }
                engine.execute("UPDATE feedback SET comment = NULL WHERE call_id = ?1", &[id.into()])?;
            }
            Ok(())
        })
    }
}

fn erasure_of(row: &Row) -> Result<Erasure, Error> {
    Ok(Erasure {
        id: row.get(0)?,
        kind: row.get(1)?,
        subject: row.get(2)?,
        organization: row.get(3)?,
        deletes: row.get(4)?,
        calls: row.get(5)?,
        asked_us: row.get(6)?,
    })
}

//! Sessions of people who have signed in, which all replicas share; and logins at a provider that are used up.

use policy::Secret;
use uuid::Uuid;

use crate::{
    Database, Error, Look, Tenancy, Transaction,
    audit::Event,
    hash::new_key,
    sql::{Row, Value, transaction},
};

/// The most sessions of one person; the oldest end.
const SESSIONS_MAX: u32 = 50;
/// How often it is written down that a session is used, in microseconds.
const SEEN_EVERY_US: i64 = 60_000_000;
/// The most logins that have come back and are remembered.
const LOGINS_MAX: u64 = 10_000;
const COLUMNS: &str =
    "id, person, name, way, source, matched, role, organization, address, created_us, seen_us, until_us";

/// How somebody signed in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// With an account's password.
    Account,
    /// With a key of the admin API.
    Key,
    /// At an identity provider.
    Provider,
}

/// Somebody who has signed in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    pub id: Uuid,
    /// The account, the key, or what the provider calls the person by.
    pub person: Uuid,
    pub name: String,
    pub way: Way,
    /// The provider's name.
    pub source: Option<String>,
    /// The group that gave the role.
    pub matched: Option<String>,
    pub role: String,
    /// The one that is administered; all where there is none.
    pub organization: Option<Uuid>,
    /// Where the person came from.
    pub address: String,
    /// Microseconds since 1970.
    pub created_us: i64,
    /// When it was used last, to the minute.
    pub seen_us: i64,
    /// When it ends, however much it is used.
    pub until_us: i64,
}

/// A session to be made.
#[derive(Clone, Debug)]
pub struct NewSession {
    pub person: Uuid,
    pub name: String,
    pub way: Way,
    pub source: Option<String>,
    pub matched: Option<String>,
    pub role: String,
    pub organization: Option<Uuid>,
    pub address: String,
    pub until_us: i64,
}

impl Way {
    pub const ALL: [Way; 3] = [Way::Account, Way::Key, Way::Provider];

    pub fn name(self) -> &'static str {
        match self {
            Way::Account => "account",
            Way::Key => "key",
            Way::Provider => "provider",
        }
    }
}

impl Session {
    /// What the audit tells of it.
    pub fn event(&self, action: &str) -> Event {
        let after = serde_json::json!({
            "way": self.way.name(), "source": self.source, "matched": self.matched, "role": self.role,
            "person": self.person,
        });
        Event {
            action: action.to_owned(),
            kind: Some("session".to_owned()),
            object_id: Some(self.id),
            object_name: Some(self.name.clone()),
            organization: self.organization,
            before: None,
            after: Some(after.to_string()),
        }
    }
}

impl Database {
    /// The session that this token opens, where it was used since then and has not ended.
    pub fn session(
        &mut self,
        token: &str,
        seen_since_us: i64,
        now_us: i64,
    ) -> Result<Option<Session>, Error> {
        let hash = self.hasher.hash(token);
        let select =
            format!("SELECT {COLUMNS} FROM sessions WHERE hash = ?1 AND seen_us > ?2 AND until_us > ?3");
        let row = self.engine.query_first(&select, &[(&hash).into(), seen_since_us.into(), now_us.into()])?;
        let Some(session) = row.as_ref().map(session_of).transpose()? else { return Ok(None) };
        if now_us.saturating_sub(session.seen_us) >= SEEN_EVERY_US {
            transaction(&mut *self.engine, |engine| {
                let update = "UPDATE sessions SET seen_us = ?2 WHERE hash = ?1 AND seen_us < ?2";
                engine.execute(update, &[(&hash).into(), now_us.into()])
            })?;
        }
        Ok(Some(session))
    }

    /// Sessions that have not ended, of one person or of all, the latest first.
    pub fn sessions(
        &mut self,
        tenancy: Tenancy,
        person: Option<Uuid>,
        (seen_since_us, now_us, limit): (i64, i64, u32),
    ) -> Result<Vec<Session>, Error> {
        let select = format!(
            "SELECT {COLUMNS} FROM sessions WHERE (organization = ?1 OR ?1 IS NULL) AND (person = ?2 OR ?2 IS NULL) \
             AND seen_us > ?3 AND until_us > ?4 ORDER BY created_us DESC, id DESC LIMIT ?5"
        );
        let values = [tenancy.value(), person.into(), seen_since_us.into(), now_us.into(), limit.into()];
        self.engine.query(&select, &values)?.iter().map(session_of).collect()
    }

    /// Uses a login up: false where it was, or where more have come back than are remembered.
    pub fn use_login(&mut self, state: &[u8; 32], until_us: i64, now_us: i64) -> Result<bool, Error> {
        transaction(&mut *self.engine, |engine| {
            engine.execute("DELETE FROM logins WHERE until_us <= ?1", &[now_us.into()])?;
            let row = engine.query_first("SELECT count(*) FROM logins", &[])?;
            if row.map_or(Ok(0), |row| row.get::<u64>(0))? >= LOGINS_MAX {
                return Ok(false);
            }
            let insert = "INSERT INTO logins (state, until_us) VALUES (?1, ?2) ON CONFLICT DO NOTHING";
            Ok(engine.execute(insert, &[state.into(), until_us.into()])? > 0)
        })
    }
}

impl Transaction<'_> {
    /// Makes a session and returns its token, which is kept nowhere.
    pub fn create_session(&mut self, new: &NewSession) -> Result<(Session, Secret), Error> {
        let token = new_key("")?;
        let hash = self.hasher.hash(token.expose());
        let session = Session {
            id: Uuid::now_v7(),
            person: new.person,
            name: crate::changes::clean(&new.name),
            way: new.way,
            source: new.source.clone(),
            matched: new.matched.as_deref().map(crate::changes::clean),
            role: new.role.clone(),
            organization: new.organization,
            address: new.address.clone(),
            created_us: self.now_us,
            seen_us: self.now_us,
            until_us: new.until_us,
        };
        self.make_room(session.person)?;
        let insert = format!(
            "INSERT INTO sessions (hash, {COLUMNS}) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)"
        );
        let values = [
            (&hash).into(),
            session.id.into(),
            session.person.into(),
            (&session.name).into(),
            session.way.name().into(),
            session.source.as_ref().into(),
            session.matched.as_ref().into(),
            (&session.role).into(),
            session.organization.into(),
            (&session.address).into(),
            session.created_us.into(),
            session.seen_us.into(),
            session.until_us.into(),
        ];
        self.writer.engine.execute(&insert, &values)?;
        self.writer.tell(&session.event("sign_in"))?;
        Ok((session, token))
    }

    /// Ends a session that may be seen, and tells so by this word.
    pub fn end_session(&mut self, id: Uuid, action: &str) -> Result<Option<Session>, Error> {
        let delete = format!(
            "DELETE FROM sessions WHERE (organization = ?1 OR ?1 IS NULL) AND id = ?2 RETURNING {COLUMNS}"
        );
        let values: [Value<'_>; 2] = [self.writer.tenancy.value(), id.into()];
        let row = self.writer.engine.query_first(&delete, &values)?;
        let Some(session) = row.as_ref().map(session_of).transpose()? else { return Ok(None) };
        self.writer.tell(&session.event(action))?;
        Ok(Some(session))
    }

    /// The sessions of a person.
    pub fn session_ids_of(&mut self, person: Uuid) -> Result<Vec<Uuid>, Error> {
        let rows = self.writer.engine.query("SELECT id FROM sessions WHERE person = ?1", &[person.into()])?;
        rows.iter().map(|row| row.get(0)).collect()
    }

    /// Ends all sessions of a person.
    pub fn end_sessions_of(&mut self, person: Uuid) -> Result<u64, Error> {
        self.writer.engine.execute("DELETE FROM sessions WHERE person = ?1", &[person.into()])
    }

    /// One session that may be seen, while nobody else writes.
    pub fn session(&mut self, id: Uuid) -> Result<Option<Session>, Error> {
        let select =
            format!("SELECT {COLUMNS} FROM sessions WHERE (organization = ?1 OR ?1 IS NULL) AND id = ?2");
        let row = self.writer.engine.query_first(&select, &[self.writer.tenancy.value(), id.into()])?;
        row.as_ref().map(session_of).transpose()
    }

    /// Forgets what has ended, and the oldest of too many.
    fn make_room(&mut self, person: Uuid) -> Result<(), Error> {
        let engine = &mut *self.writer.engine;
        engine.execute("DELETE FROM sessions WHERE until_us <= ?1", &[self.now_us.into()])?;
        let select =
            "SELECT id FROM sessions WHERE person = ?1 ORDER BY created_us DESC, id DESC LIMIT 1 OFFSET ?2";
        let values = [person.into(), (SESSIONS_MAX - 1).into()];
        if let Some(row) = engine.query_first(select, &values)? {
            let oldest: Uuid = row.get(0)?;
            let delete = "DELETE FROM sessions WHERE person = ?1 AND id <= ?2";
            engine.execute(delete, &[person.into(), oldest.into()])?;
        }
        Ok(())
    }
}

impl Look<'_> {
    /// Sessions that have not ended and were used since then.
    pub fn sessions(&mut self, seen_since_us: i64, now_us: i64) -> Result<Vec<Session>, Error> {
        let select = format!(
            "SELECT {COLUMNS} FROM sessions WHERE (organization = ?1 OR ?1 IS NULL) AND seen_us > ?2 \
             AND until_us > ?3 ORDER BY id"
        );
        let values = [self.tenancy.value(), seen_since_us.into(), now_us.into()];
        self.engine.query(&select, &values)?.iter().map(session_of).collect()
    }
}

/// What cannot be read opens nothing.
fn session_of(row: &Row) -> Result<Session, Error> {
    let way: String = row.get(3)?;
    let known = Way::ALL.into_iter().find(|known| known.name() == way);
    Ok(Session {
        id: row.get(0)?,
        person: row.get(1)?,
        name: row.get(2)?,
        way: known.ok_or_else(|| Error::Database(format!("a session of an unknown way, \"{way}\"")))?,
        source: row.get(4)?,
        matched: row.get(5)?,
        role: row.get(6)?,
        organization: row.get(7)?,
        address: row.get(8)?,
        created_us: row.get(9)?,
        seen_us: row.get(10)?,
        until_us: row.get(11)?,
    })
}

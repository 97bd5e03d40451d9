//! The audit: who did what, in a chain that shows what was changed, taken out or put in between.

use serde::Serialize;
use serde_json::Value as Json;
use uuid::Uuid;

use crate::{
    Author, Database, Error, Tenancy,
    changes::clean,
    sql::{Engine, Row, Value, transaction},
};

const COLUMNS: &str = "seq, at_us, actor, actor_kind, address, request_id, action, kind, object_id, object_name, \
                       organization, before, after, previous, hash, erased, person";
/// How many entries are read at a time while the chain is looked at.
const BATCH: u32 = 1_000;

/// What happened.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Event {
    /// As `create` or `sign_in_refused`.
    pub action: String,
    pub kind: Option<String>,
    pub object_id: Option<Uuid>,
    pub object_name: Option<String>,
    pub organization: Option<Uuid>,
    /// JSON.
    pub before: Option<String>,
    pub after: Option<String>,
}

/// One entry of the audit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Entry {
    pub seq: u64,
    /// Microseconds since 1970.
    pub at_us: i64,
    pub actor: String,
    pub actor_kind: String,
    pub address: Option<String>,
    pub request_id: Option<Uuid>,
    pub action: String,
    pub kind: Option<String>,
    pub object_id: Option<Uuid>,
    pub object_name: Option<String>,
    pub organization: Option<Uuid>,
    /// JSON.
    pub before: Option<String>,
    pub after: Option<String>,
    /// The hash of the entry before.
    #[serde(skip)]
    pub previous: [u8; 32],
    #[serde(skip)]
    pub hash: [u8; 32],
    /// The digest of its texts, where those were taken out.
    #[serde(skip)]
    erased: Option<[u8; 32]>,
    /// The person's id, where the actor is one who has signed in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub person: Option<Uuid>,
}

/// Which entries to show, the latest first.
#[derive(Clone, Debug, Default)]
pub struct AuditQuery {
    /// Only entries with a lesser number.
    pub before_seq: Option<u64>,
    pub kind: Option<String>,
    pub object_id: Option<Uuid>,
    pub actor: Option<String>,
    pub action: Option<String>,
    /// Microseconds since 1970; the first that counts, and the first that does not.
    pub since_us: Option<i64>,
    pub until_us: Option<i64>,
    pub limit: u32,
}

/// The chain's last entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) seq: u64,
    pub(crate) hash: [u8; 32],
}

impl Database {
    /// Writes down what changes no object, such as somebody who was refused.
    pub fn append_audit(&mut self, event: &Event, author: &Author, now_us: i64) -> Result<(), Error> {
        transaction(&mut *self.engine, |engine| {
            // Writing to the row makes other writers wait.
            let hold = "UPDATE clock SET audited = audited RETURNING audited, audit_hash";
            let row = engine.query_first(hold, &[])?;
            let row = row.ok_or_else(|| Error::Database("its clock is missing".to_owned()))?;
            let mut head = Head { seq: row.get(0)?, hash: row.get(1)? };
            head.append(engine, event, author, now_us)?;
            head.keep(engine)
        })
    }

    pub fn audit(&mut self, tenancy: Tenancy, query: &AuditQuery) -> Result<Vec<Entry>, Error> {
        let select = format!(
            "SELECT {COLUMNS} FROM audit WHERE (organization = ?1 OR ?1 IS NULL) AND seq < ?2 \
             AND (kind = ?3 OR ?3 IS NULL) AND (object_id = ?4 OR ?4 IS NULL) \
             AND (actor = ?5 OR ?5 IS NULL) AND (action = ?6 OR ?6 IS NULL) AND at_us >= ?7 AND at_us < ?8 \
             ORDER BY seq DESC LIMIT ?9"
        );
        let values = [
            tenancy.value(),
            query.before_seq.map_or(Value::Int(i64::MAX), Value::from),
            query.kind.as_ref().into(),
            query.object_id.into(),
            query.actor.as_ref().into(),
            query.action.as_ref().into(),
            query.since_us.unwrap_or(i64::MIN).into(),
            query.until_us.unwrap_or(i64::MAX).into(),
            query.limit.into(),
        ];
        self.engine.query(&select, &values)?.iter().map(entry_of).collect()
    }

    /// The first number at which the chain is broken: the entry there was changed, or is missing. `None` where all is as
    /// it was written.
    pub fn verify_audit(&mut self) -> Result<Option<u64>, Error> {
        let row = self.engine.query_first("SELECT audited, audit_hash FROM clock", &[])?;
        let row = row.ok_or_else(|| Error::Database("its clock is missing".to_owned()))?;
        let end = Head { seq: row.get(0)?, hash: row.get(1)? };
        let mut head = Head { seq: 0, hash: [0; 32] };
        let select =
            format!("SELECT {COLUMNS} FROM audit WHERE seq > ?1 AND seq <= ?2 ORDER BY seq LIMIT ?3");
        while head.seq < end.seq {
            let rows = self.engine.query(&select, &[head.seq.into(), end.seq.into(), BATCH.into()])?;
            if rows.is_empty() {
                return Ok(Some(head.seq + 1));
            }
            for row in &rows {
                let entry = entry_of(row)?;
                if entry.seq != head.seq + 1 || entry.previous != head.hash || entry.hash != entry.digest() {
                    return Ok(Some(head.seq + 1));
                }
                head = Head { seq: entry.seq, hash: entry.hash };
            }
        }
        Ok((head != end).then_some(end.seq))
    }
}

impl Head {
    /// Puts an entry behind the last one. The caller holds the clock.
    pub(crate) fn append(
        &mut self,
        engine: &mut dyn Engine,
        event: &Event,
        author: &Author,
        now_us: i64,
    ) -> Result<(), Error> {
        let cleaned = |text: &Option<String>| text.as_deref().map(clean);
        let mut entry = Entry {
            seq: self.seq + 1,
            at_us: now_us,
            actor: clean(&author.actor),
            actor_kind: author.kind.name().to_owned(),
            address: cleaned(&author.address),
            request_id: author.request_id,
            action: clean(&event.action),
            kind: cleaned(&event.kind),
            object_id: event.object_id,
            object_name: cleaned(&event.object_name),
            organization: event.organization,
            before: cleaned(&event.before),
            after: cleaned(&event.after),
            previous: self.hash,
            hash: [0; 32],
            erased: None,
            person: author.kind.person(),
        };
        entry.hash = entry.digest();
        let places = "?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, NULL, ?16";
        let insert = format!("INSERT INTO audit ({COLUMNS}) VALUES ({places})");
        let mut values: Vec<Value<'_>> = entry.values();
        values.extend([(&entry.hash).into(), entry.person.into()]);
        engine.execute(&insert, &values)?;
        *self = Head { seq: entry.seq, hash: entry.hash };
        Ok(())
    }

    /// So that an end that was cut off is missed.
    pub(crate) fn keep(&self, engine: &mut dyn Engine) -> Result<(), Error> {
        engine.execute(
            "UPDATE clock SET audited = ?1, audit_hash = ?2",
            &[self.seq.into(), (&self.hash).into()],
        )?;
        Ok(())
    }
}

impl Entry {
    /// Everything but the hash and the person, in the order of the columns.
    fn values(&self) -> Vec<Value<'_>> {
        vec![
            self.seq.into(),
            self.at_us.into(),
            (&self.actor).into(),
            (&self.actor_kind).into(),
            self.address.as_ref().into(),
            self.request_id.into(),
            (&self.action).into(),
            self.kind.as_ref().into(),
            self.object_id.into(),
            self.object_name.as_ref().into(),
            self.organization.into(),
            self.before.as_ref().into(),
            self.after.as_ref().into(),
            (&self.previous).into(),
        ]
    }

    /// Over the texts that may be taken out: the object's name, and what it was before and after.
    fn digest_of_texts(&self) -> [u8; 32] {
        let texts = [&self.object_name, &self.before, &self.after];
        digest(texts.map(|text| text.as_ref().into()))
    }

    /// Over everything. Texts that may be taken out stand in it by their digest, so that the chain is whole without them. A person
    /// stands in it where there is one: entries without one have the digest that they always had.
    fn digest(&self) -> [u8; 32] {
        let texts = self.erased.unwrap_or_else(|| self.digest_of_texts());
        let bare = Entry { object_name: None, before: None, after: None, ..self.clone() };
        let person = self.person.map(Value::from);
        digest(bare.values().into_iter().chain([(&texts).into()]).chain(person))
    }
}

/// Over values, each with a byte for its kind and its length before it: no two lists have the same bytes.
fn digest<'v>(values: impl IntoIterator<Item = Value<'v>>) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new();
    let mut add = |kind: u8, bytes: &[u8]| {
        hasher.update(&[kind]).update(&(bytes.len() as u64).to_le_bytes()).update(bytes);
    };
    for value in values {
        match &value {
            Value::Null => add(0, &[]),
            Value::Int(number) => add(1, &number.to_le_bytes()),
            Value::Real(number) => add(2, &number.to_le_bytes()),
            Value::Text(text) => add(3, text.as_bytes()),
            Value::Bytes(bytes) => add(4, bytes),
            Value::Uuid(id) => add(5, id.as_bytes()),
            Value::Bool(value) => add(6, &[u8::from(*value)]),
        }
    }
    *hasher.finalize().as_bytes()
}

/// Takes the texts out of every entry about an object, but for what is to be kept of what it was before and after. That it
/// was changed, when and by whom stays.
pub(crate) fn erase(
    engine: &mut dyn Engine,
    object_id: Uuid,
    kept: impl Fn(&Json) -> Option<Json>,
) -> Result<(), Error> {
    let select = format!("SELECT {COLUMNS} FROM audit WHERE object_id = ?1 AND erased IS NULL");
    let update = "UPDATE audit SET object_name = NULL, before = ?3, after = ?4, erased = ?2 WHERE seq = ?1";
    let left = |text: &Option<String>| {
        let text = serde_json::from_str(text.as_deref()?).ok()?;
        kept(&text).map(|kept| kept.to_string())
    };
    for row in engine.query(&select, &[object_id.into()])? {
        let entry = entry_of(&row)?;
        let digest = entry.digest_of_texts();
        let values =
            [entry.seq.into(), (&digest).into(), left(&entry.before).into(), left(&entry.after).into()];
        engine.execute(update, &values)?;
    }
    Ok(())
}

fn entry_of(row: &Row) -> Result<Entry, Error> {
    Ok(Entry {
        seq: row.get(0)?,
        at_us: row.get(1)?,
        actor: row.get(2)?,
        actor_kind: row.get(3)?,
        address: row.get(4)?,
        request_id: row.get(5)?,
        action: row.get(6)?,
        kind: row.get(7)?,
        object_id: row.get(8)?,
        object_name: row.get(9)?,
        organization: row.get(10)?,
        before: row.get(11)?,
        after: row.get(12)?,
        previous: row.get(13)?,
        hash: row.get(14)?,
        erased: row.get(15)?,
        person: row.get(16)?,
    })
}

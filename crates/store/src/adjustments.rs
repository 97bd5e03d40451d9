//! What budgets are given beside what is configured: credit that was paid for, a fresh start, what an earlier period left.

use policy::limit::AdjustmentKind;
use serde::Serialize;
use uuid::Uuid;

use crate::{
    Author, Database, Error, Tenancy,
    audit::Event,
    changes::{Writer, clean},
    sql::{Row, transaction},
};

/// An amount that is added to the limit of one slot of a bucket. Entries are added and never changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Adjustment {
    /// One that is there already is not added again.
    pub id: Uuid,
    pub bucket: Uuid,
    /// When the slot begins, in microseconds since 1970.
    pub slot_us: i64,
    /// Until when the slot counts.
    pub until_us: i64,
    pub kind: AdjustmentKind,
    /// In picodollars.
    pub amount: i64,
    /// Whose limit it is, and which, for people.
    pub of: String,
    pub note: Option<String>,
    pub at_us: i64,
}

const COLUMNS: &str = "id, bucket, slot_us, until_us, kind, amount, of_limit, note, at_us";

impl Database {
    /// Adds an entry, and writes it into the audit; `false` where it was there.
    pub fn adjust(&mut self, entry: &Adjustment, author: &Author) -> Result<bool, Error> {
        transaction(&mut *self.engine, |engine| {
            let mut writer = Writer::begin(engine, Tenancy::All, author, entry.at_us)?;
            let added = add(&mut writer, entry, None)?;
            writer.finish()?;
            Ok(added)
        })
    }

    /// The entries of slots that count at a moment, oldest first.
    pub fn adjustments(&mut self, now_us: i64) -> Result<Vec<Adjustment>, Error> {
        let select = format!("SELECT {COLUMNS} FROM adjustments WHERE until_us > ?1 ORDER BY at_us, id");
        self.engine.query(&select, &[now_us.into()])?.iter().map(adjustment_of).collect()
    }
}

pub(crate) fn add(
    writer: &mut Writer<'_>,
    entry: &Adjustment,
    organization: Option<Uuid>,
) -> Result<bool, Error> {
    let insert = format!(
        "INSERT INTO adjustments ({COLUMNS}) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9) \
         ON CONFLICT (id) DO NOTHING"
    );
    let values = [
        entry.id.into(),
        entry.bucket.into(),
        entry.slot_us.into(),
        entry.until_us.into(),
        entry.kind.name().into(),
        entry.amount.into(),
        clean(&entry.of).into(),
        entry.note.as_deref().map(clean).into(),
        entry.at_us.into(),
    ];
    let added = writer.engine.execute(&insert, &values)? > 0;
    if added {
        let after = serde_json::to_string(entry).map_err(|error| Error::Database(error.to_string()))?;
        writer.tell(&Event {
            action: entry.kind.name().to_owned(),
            kind: Some("budget".to_owned()),
            object_id: Some(entry.bucket),
            object_name: Some(clean(&entry.of)),
            organization,
            after: Some(after),
            ..Event::default()
        })?;
    }
    Ok(added)
}

fn adjustment_of(row: &Row) -> Result<Adjustment, Error> {
    let kind: String = row.get(4)?;
    let known = AdjustmentKind::ALL.into_iter().find(|known| known.name() == kind);
    Ok(Adjustment {
        id: row.get(0)?,
        bucket: row.get(1)?,
        slot_us: row.get(2)?,
        until_us: row.get(3)?,
        kind: known.ok_or_else(|| Error::Database(format!("\"{kind}\" is no kind of adjustment")))?,
        amount: row.get(5)?,
        of: row.get(6)?,
        note: row.get(7)?,
        at_us: row.get(8)?,
    })
}

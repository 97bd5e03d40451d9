//! The journal in the database.

use std::{
    borrow::Cow,
    collections::{BTreeMap, HashMap},
};

use policy::{
    Money,
    principal::Stand,
    record::{AppliedPrice, Counted, Outcome, Record, Routed, Tokens, Tried, Units},
};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{
    Database, Error, Tenancy, postings,
    sql::{Bulk, Row, Value, transaction},
};

const COLUMNS: &str = "id, started_us, key_id, key_name, dialect, model_asked, provider, model, stream, \
                       outcome, status, fault, stop, input_tokens, cache_read_tokens, cache_write_tokens, \
                       cache_write_1h_tokens, output_tokens, reasoning_tokens, counted, cost_picodollars, \
                       price, first_byte_us, total_us, losses, attempts, operation, units, routed, experiment, \
                       organization_id, team_id, project_id, user_id, service_account_id, end_user, tags";

/// An id is made at most this long before or after its call is said to have started.
const ID_SLACK_US: i64 = 1_000_000;

/// Which records to show; the latest come first.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    pub key_name: Option<String>,
    /// Only calls of this team, project, user or service account, or of this organization.
    pub of: Option<Uuid>,
    pub end_user: Option<String>,
    /// Microseconds since 1970; the first that counts, and the first that does not.
    pub since_us: Option<i64>,
    pub before_us: Option<i64>,
    pub limit: u32,
}

/// Sums over one model of one key within one organization.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// Several keys may have one name.
    pub key_id: Uuid,
    /// Where it stood when it made the calls.
    pub organization: Option<Uuid>,
    pub key_name: String,
    pub provider: String,
    pub model: String,
    pub calls: u64,
    pub input_tokens: u64,
    pub output_tokens: u64,
    pub cost_picodollars: i128,
    /// Calls whose cost is not known, and so is not in the sum.
    pub unpriced: u64,
}

impl Database {
    /// Takes in records with their postings, and remembers how far the spool file was read: all or nothing. A record that
    /// is there already stays as it is, and posts nothing.
    pub(crate) fn take_in(&mut self, records: &[Record<'_>], file: &str, position: u64) -> Result<(), Error> {
        let started_us: Vec<i64> = records.iter().map(|record| record.started_us).collect();
        self.engine.make_room(&started_us)?;
        let file = self.spool_name(file);
        let uses = &mut self.uses;
        transaction(&mut *self.engine, |engine| {
            if !records.is_empty() {
                let rows = records.iter().map(values_of).collect();
                let inserted = engine.insert_new(&Bulk { table: "calls", columns: COLUMNS, rows })?;
                postings::post(engine, records, inserted)?;
                uses.write(engine, records)?;
            }
            let upsert = "INSERT INTO spool (file, position) VALUES (?1, ?2) \
                          ON CONFLICT (file) DO UPDATE SET position = excluded.position";
            engine.execute(upsert, &[(&file).into(), position.into()])?;
            Ok(())
        })
    }

    pub(crate) fn spool_position(&mut self, file: &str) -> Result<u64, Error> {
        let select = "SELECT position FROM spool WHERE file = ?1";
        let row = self.engine.query_first(select, &[self.spool_name(file).into()])?;
        row.map_or(Ok(0), |row| row.get(0))
    }

    pub(crate) fn forget_spool(&mut self, file: &str) -> Result<(), Error> {
        let file = self.spool_name(file);
        transaction(&mut *self.engine, |engine| {
            engine.execute("DELETE FROM spool WHERE file = ?1", &[file.into()])?;
            Ok(())
        })
    }

    pub(crate) fn has_call(&mut self, id: Uuid) -> Result<bool, Error> {
        Ok(self.engine.query_first("SELECT 1 FROM calls WHERE id = ?1", &[id.into()])?.is_some())
    }

    /// The record of one call.
    pub fn call(&mut self, id: Uuid) -> Result<Option<Record<'static>>, Error> {
        let select = format!("SELECT {COLUMNS} FROM calls WHERE id = ?1");
        self.engine.query_first(&select, &[id.into()])?.as_ref().map(record_of).transpose()
    }

    pub fn call_count(&mut self) -> Result<u64, Error> {
        let row = self.engine.query_first("SELECT count(*) FROM calls", &[])?;
        row.map_or(Ok(0), |row| row.get(0))
    }

    pub fn calls(&mut self, tenancy: Tenancy, filter: &Filter) -> Result<Vec<Record<'static>>, Error> {
        // Each has an index of its own.
        let mine = match tenancy {
            Tenancy::All => "(organization_id = ?1 OR ?1 IS NULL)",
            Tenancy::Organization(_) => "organization_id = ?1",
        };
        let select = format!(
            "SELECT {COLUMNS} FROM calls WHERE {mine} \
             AND (CAST(?2 AS TEXT) IS NULL OR key_name = ?2) AND (CAST(?3 AS TEXT) IS NULL OR end_user = ?3) \
             AND (?4 IN (organization_id, team_id, project_id, user_id, service_account_id) OR ?4 IS NULL) \
             AND id < ?5 AND started_us < ?6 AND id >= ?7 AND started_us >= ?8 ORDER BY id DESC LIMIT ?9"
        );
        let before_us = filter.before_us.unwrap_or(i64::MAX);
        let bound = id_at(before_us.saturating_add(ID_SLACK_US));
        let since_us = filter.since_us.unwrap_or_default();
        let values = [
            tenancy.value(),
            filter.key_name.as_deref().into(),
            filter.end_user.as_deref().into(),
            filter.of.into(),
            bound.into(),
            before_us.into(),
            id_at(since_us.saturating_sub(ID_SLACK_US)).into(),
            since_us.into(),
            filter.limit.into(),
        ];
        self.engine.query(&select, &values)?.iter().map(record_of).collect()
    }

    /// Sums since a moment, by key, organization and model, of all keys or of those of a name. Cost is summed in two parts,
    /// since a sum of picodollars may pass what the engines' integers hold.
    pub fn summary(&mut self, since_us: i64, key_name: Option<&str>) -> Result<Vec<Summary>, Error> {
        let select = "SELECT key_id, organization_id, key_name, provider, model, count(*), \
                      CAST(sum(input_tokens) AS BIGINT), CAST(sum(output_tokens) AS BIGINT), \
                      sum(CASE WHEN cost_picodollars IS NULL THEN 1 ELSE 0 END), \
                      CAST(coalesce(sum(cost_picodollars / 1000000), 0) AS BIGINT), \
                      CAST(coalesce(sum(cost_picodollars % 1000000), 0) AS BIGINT) \
                      FROM calls WHERE id >= ?1 AND started_us >= ?2 \
                      AND (CAST(?3 AS TEXT) IS NULL OR key_name = ?3) \
                      GROUP BY key_id, organization_id, key_name, provider, model ORDER BY max(started_us) DESC";
        let since = id_at(since_us.saturating_sub(ID_SLACK_US));
        let rows = self.engine.query(select, &[since.into(), since_us.into(), key_name.into()])?;
        let mut names: HashMap<Uuid, String> = HashMap::new();
        let mut sums: BTreeMap<_, Summary> = BTreeMap::new();
        for row in &rows {
            let mut sum = summary_of(row)?;
            // A key is called what it was called last.
            sum.key_name = names.entry(sum.key_id).or_insert(sum.key_name).clone();
            let same = (
                (sum.key_name.clone(), sum.organization, sum.key_id),
                (sum.provider.clone(), sum.model.clone()),
            );
            sums.entry(same).and_modify(|known| known.add(&sum)).or_insert(sum);
        }
        Ok(sums.into_values().collect())
    }

    /// Files belong to a replica: others have files of the same names.
    fn spool_name(&self, file: &str) -> String {
        format!("{}/{file}", self.replica)
    }
}

impl Summary {
    /// Adds what the same key did under another name.
    fn add(&mut self, other: &Summary) {
        self.calls += other.calls;
        self.input_tokens += other.input_tokens;
        self.output_tokens += other.output_tokens;
        self.cost_picodollars += other.cost_picodollars;
        self.unpriced += other.unpriced;
    }
}

fn summary_of(row: &Row) -> Result<Summary, Error> {
    let (whole, rest): (i64, i64) = (row.get(9)?, row.get(10)?);
    Ok(Summary {
        key_id: row.get(0)?,
        organization: row.get(1)?,
        key_name: row.get(2)?,
        provider: row.get(3)?,
        model: row.get(4)?,
        calls: row.get(5)?,
        input_tokens: row.get(6)?,
        output_tokens: row.get(7)?,
        unpriced: row.get(8)?,
        cost_picodollars: i128::from(whole) * 1_000_000 + i128::from(rest),
    })
}

/// The values of a record's columns, in their order.
fn values_of<'r>(record: &'r Record<'_>) -> Vec<Value<'r>> {
    let tokens = &record.tokens;
    vec![
        record.id.into(),
        record.started_us.into(),
        record.key_id.into(),
        (&record.key_name).into(),
        (&record.dialect).into(),
        (&record.model_asked).into(),
        (&record.provider).into(),
        (&record.model).into(),
        record.stream.into(),
        record.outcome.name().into(),
        record.status.into(),
        record.fault.as_ref().into(),
        record.stop.as_ref().into(),
        tokens.input.into(),
        tokens.cache_read.into(),
        tokens.cache_write.into(),
        tokens.cache_write_1h.into(),
        tokens.output.into(),
        tokens.reasoning.into(),
        json(&record.counted).trim_matches('"').to_owned().into(),
        record.cost.map(Money::picodollars).into(),
        record.price.as_ref().map(|price| &price.0).into(),
        record.first_byte_us.into(),
        record.total_us.into(),
        json(&record.losses).into(),
        json(&record.attempts.iter().map(Kept::from).collect::<Vec<_>>()).into(),
        (&record.operation).into(),
        (record.units != Units::default()).then(|| json(&record.units)).into(),
        record.routed.as_ref().map(json).into(),
        record.experiment.as_ref().into(),
        record.stand.organization.into(),
        record.stand.team.into(),
        record.stand.project.into(),
        record.stand.user.into(),
        record.stand.service_account.into(),
        record.end_user.as_ref().into(),
        (!record.tags.is_empty()).then(|| json(&record.tags)).into(),
    ]
}

/// An attempt as it is kept: what there is nothing of is left out.
#[derive(Serialize)]
struct Kept<'a> {
    provider: &'a str,
    model: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    credential: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    fault: Option<&'a str>,
    began_us: u64,
    total_us: u64,
    sent: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    cost: Option<Money>,
    #[serde(skip_serializing_if = "Option::is_none")]
    told_chars: Option<u64>,
}

impl<'a> From<&'a Tried<'_>> for Kept<'a> {
    fn from(tried: &'a Tried<'_>) -> Kept<'a> {
        Kept {
            provider: &tried.provider,
            model: &tried.model,
            credential: tried.credential.as_deref(),
            status: tried.status,
            fault: tried.fault.as_deref(),
            began_us: tried.began_us,
            total_us: tried.total_us,
            sent: tried.sent,
            cost: tried.cost,
            told_chars: tried.told_chars,
        }
    }
}

fn record_of(row: &Row) -> Result<Record<'static>, Error> {
    let outcome: String = row.get(9)?;
    let counted: String = row.get(19)?;
    let attempts: String = row.get(25)?;
    let units: Option<String> = row.get(27)?;
    let routed: Option<String> = row.get(28)?;
    let tags: Option<String> = row.get(36)?;
    Ok(Record {
        id: row.get(0)?,
        started_us: row.get(1)?,
        key_id: row.get(2)?,
        key_name: text(row, 3)?,
        operation: text(row, 26)?,
        dialect: text(row, 4)?,
        model_asked: text(row, 5)?,
        provider: text(row, 6)?,
        model: text(row, 7)?,
        stream: row.get(8)?,
        outcome: Outcome::ALL.into_iter().find(|known| known.name() == outcome).unwrap_or(Outcome::Unknown),
        status: row.get(10)?,
        fault: row.get::<Option<String>>(11)?.map(Cow::Owned),
        stop: row.get::<Option<String>>(12)?.map(Cow::Owned),
        tokens: Tokens {
            input: row.get(13)?,
            cache_read: row.get(14)?,
            cache_write: row.get(15)?,
            cache_write_1h: row.get(16)?,
            output: row.get(17)?,
            reasoning: row.get(18)?,
        },
        units: units.map(|units| parse(27, &units)).transpose()?.unwrap_or_default(),
        counted: parse::<Counted>(19, &format!("\"{counted}\""))?,
        cost: row.get::<Option<i64>>(20)?.map(Money),
        price: row.get::<Option<String>>(21)?.map(|json| AppliedPrice(Cow::Owned(json))),
        first_byte_us: row.get(22)?,
        total_us: row.get(23)?,
        losses: parse(24, &row.get::<String>(24)?)?,
        attempts: parse::<Vec<Tried<'_>>>(25, &attempts)?.into_iter().map(Tried::into_owned).collect(),
        routed: routed.map(|routed| parse::<Routed<'_>>(28, &routed).map(Routed::into_owned)).transpose()?,
        experiment: row.get::<Option<String>>(29)?.map(Cow::Owned),
        stand: Stand {
            organization: row.get(30)?,
            team: row.get(31)?,
            project: row.get(32)?,
            user: row.get(33)?,
            service_account: row.get(34)?,
        },
        end_user: row.get::<Option<String>>(35)?.map(Cow::Owned),
        tags: tags.map(|tags| parse(36, &tags)).transpose()?.unwrap_or_default(),
        postings: Vec::new(),
    })
}

fn text(row: &Row, column: usize) -> Result<Cow<'static, str>, Error> {
    row.get::<String>(column).map(Cow::Owned)
}

/// The least id of a call that arrived at this moment: ids begin with milliseconds (RFC 9562, section 5.7).
pub(crate) fn id_at(us: i64) -> Uuid {
    let ms = u128::try_from(us / 1000).unwrap_or_default().min((1 << 48) - 1);
    Uuid::from_u128(ms << 80)
}

fn json<T: Serialize>(value: &T) -> String {
    serde_json::to_string(value).expect("plain data always serialises")
}

fn parse<'a, T: Deserialize<'a>>(column: usize, text: &'a str) -> Result<T, Error> {
    serde_json::from_str(text).map_err(|error| Error::Database(format!("column {column}: {error}")))
}

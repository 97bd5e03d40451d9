//! `tollgate logs`.

use std::collections::HashMap;

use clap::Args;
use policy::{Money, Snapshot, principal::EntityKind, record::Record};
use serde_json::json;
use store::{Database, Filter, Summary, Tenancy};
use uuid::Uuid;

use super::{Place, say, say_error, table};

#[derive(Args)]
#[command(after_help = "Examples: tollgate logs --limit 20\n          tollgate logs --sum")]
pub(crate) struct Arguments {
    #[command(flatten)]
    place: Place,
    /// Only calls with keys of this name.
    #[arg(long)]
    key: Option<String>,
    /// The most calls to show.
    #[arg(long, default_value_t = 50)]
    limit: u32,
    /// Sums by key, organization and model over all calls instead.
    #[arg(long)]
    sum: bool,
    /// Print as JSON.
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let (data, snapshot) = arguments.place.open_configured()?;
    let mut database = data.database()?;
    let key = arguments.key.as_deref();
    let organizations = Organizations::of(&snapshot, &mut database)?;
    let (is_empty, shown) = if arguments.sum {
        let sums = database.summary(0, key)?;
        let shown = if arguments.json { json!(sums).to_string() } else { sum_table(&sums, &organizations) };
        (sums.is_empty(), shown)
    } else {
        let filter = Filter { key_name: arguments.key.clone(), limit: arguments.limit, ..Filter::default() };
        let calls = database.calls(Tenancy::All, &filter)?;
        let shown =
            if arguments.json { json!(calls).to_string() } else { call_table(&calls, &organizations) };
        (calls.is_empty(), shown)
    };
    say(&shown);
    if let Some(key) = key.filter(|_| is_empty) {
        say_error(&nothing_by(key, &snapshot, &mut database)?);
    }
    Ok(())
}

/// Tells a key that has made no calls from a name that was mistyped.
fn nothing_by(name: &str, snapshot: &Snapshot, database: &mut Database) -> anyhow::Result<String> {
    let is_key = snapshot.keys.iter().any(|file| file.key.name == name)
        || database.keys()?.iter().any(|(_, key)| key.name == name);
    Ok(if is_key {
        format!("the key \"{name}\" has made no calls")
    } else {
        format!(
            "nothing has the name \"{name}\": no key, and no call of the journal; tollgate keys list tells names"
        )
    })
}

/// What organizations are called.
struct Organizations(HashMap<Uuid, String>);

impl Organizations {
    fn of(snapshot: &Snapshot, database: &mut Database) -> anyhow::Result<Organizations> {
        let all = snapshot.entities.iter().cloned().chain(database.entities()?);
        let all = all.filter(|entity| entity.kind == EntityKind::Organization);
        Ok(Organizations(all.map(|entity| (entity.id, entity.name)).collect()))
    }

    /// The id of one that has ended.
    fn shown(&self, organization: Option<Uuid>) -> String {
        let name = |id: Uuid| self.0.get(&id).cloned().unwrap_or_else(|| id.to_string());
        organization.map_or_else(String::new, name)
    }
}

fn call_table(calls: &[Record<'_>], organizations: &Organizations) -> String {
    let row = |call: &Record<'_>| {
        let at = jiff::Timestamp::from_microsecond(call.started_us).unwrap_or_default();
        vec![
            at.strftime("%Y-%m-%d %H:%M:%S").to_string(),
            call.key_name.to_string(),
            organizations.shown(call.stand.organization),
            call.operation.to_string(),
            format!("{}/{}", call.provider, call.model),
            call.outcome.name().to_owned(),
            call.status.to_string(),
            call.tokens.input.to_string(),
            call.tokens.output.to_string(),
            call.cost.map_or_else(|| "unpriced".to_owned(), |cost| cost.to_string()),
            format!("{} ms", call.total_us / 1000),
        ]
    };
    let rows: Vec<Vec<String>> = calls.iter().map(row).collect();
    table(
        &[
            "time (UTC)",
            "key",
            "organization",
            "operation",
            "target",
            "outcome",
            "status",
            "in",
            "out",
            "USD",
            "took",
        ],
        &rows,
    )
}

fn sum_table(sums: &[Summary], organizations: &Organizations) -> String {
    let row = |sum: &Summary| {
        let cost = i64::try_from(sum.cost_picodollars)
            .map_or_else(|_| "over 9 million".to_owned(), |cost| Money(cost).to_string());
        vec![
            sum.key_name.clone(),
            organizations.shown(sum.organization),
            format!("{}/{}", sum.provider, sum.model),
            sum.calls.to_string(),
            sum.input_tokens.to_string(),
            sum.output_tokens.to_string(),
            cost,
            sum.unpriced.to_string(),
        ]
    };
    let rows: Vec<Vec<String>> = sums.iter().map(row).collect();
    table(&["key", "organization", "target", "calls", "in", "out", "USD", "unpriced calls"], &rows)
}

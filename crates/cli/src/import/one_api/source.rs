//! Everything of an installation: its channels, and those who call.

use std::path::Path;

use anyhow::Context;
use policy::Secret;
use serde_json::{Map, Value};
use store::Foreign;

use super::{callers, channels};
use crate::import::{fields::Fields, registry::Thing, work::Work};

/// One row of a table.
pub(super) type Row = Map<String, Value>;

/// Which of the two wrote the database: they number channels differently.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Writer {
    OneApi,
    NewApi,
}

/// Tables of which only is told how many rows there are, and what to do about them.
const TOLD: [(&str, bool, &str); 8] = [
    ("abilities", false, "follows from the channels, which were read"),
    ("redemptions", true, "codes are not redeemed; `tollgate budgets top-up` adds to credit"),
    ("logs", false, "single calls of the past stay where they are"),
    ("midjourneys", false, "tasks of the past stay where they are"),
    ("tasks", false, "tasks of the past stay where they are"),
    ("top_ups", false, "payments of the past stay where they are"),
    ("quota_data", false, "sums of the past stay where they are"),
    ("vendors", false, "the catalogue knows who makes models"),
];

/// Options that were looked at, and what there is to say of them.
const OPTIONS: [(&str, &str); 6] = [
    (
        "ModelRatio",
        "prices are the catalogue's, in USD; write `price` at a provider's models where they differ",
    ),
    (
        "CompletionRatio",
        "prices are the catalogue's, in USD; write `price` at a provider's models where they differ",
    ),
    (
        "ModelPrice",
        "prices are the catalogue's, in USD; write `price` at a provider's models where they differ",
    ),
    ("GroupRatio", "groups pay what calls cost; write larger or smaller budgets at the teams"),
    ("RetryTimes", "write `retries`; calls are tried again by default"),
    ("ChannelDisableThreshold", "write `health`; what fails is left alone by default"),
];

/// Reads all of it: channels into the draft, and callers into what is returned.
pub(in crate::import) fn read(
    file: Option<&Path>,
    address: Option<&Secret>,
    work: &mut Work,
) -> anyhow::Result<Vec<Thing>> {
    let mut foreign = match (file, address) {
        (Some(file), None) => Foreign::sqlite(file).with_context(|| file.display().to_string())?,
        (None, Some(address)) => Foreign::postgres(address).context("--database")?,
        (Some(_), Some(_)) | (None, None) => {
            anyhow::bail!("name the SQLite file, or the PostgreSQL with --database; MySQL is not read")
        }
    };
    let rows = foreign.table("channels")?;
    let rows = rows.context("there is no table `channels` in it; name the database of one-api or new-api")?;
    // Only the later of the two knows this column.
    let is_new = rows.first().is_some_and(|row| row.contains_key("auto_ban"));
    let writer = if is_new { Writer::NewApi } else { Writer::OneApi };
    let mut groups = channels::read(&rows, writer, work);
    let unit = options(&foreign.table("options")?.unwrap_or_default(), work);
    let users = foreign.table("users")?.unwrap_or_default();
    let tokens = foreign.table("tokens")?.unwrap_or_default();
    for (name, is_manual, says) in TOLD {
        match (foreign.count(name)?, is_manual) {
            (0, _) => {}
            (count, true) => work.report.manual(name, format!("{count} rows: {says}")),
            (count, false) => work.report.unsupported(name, format!("{count} rows: {says}")),
        }
    }
    Ok(callers::read(&users, &tokens, &mut groups, unit, work))
}

/// How many units of quota are one USD; the other options are told.
fn options(rows: &[Row], work: &mut Work) -> f64 {
    let mut unit = callers::UNITS_PER_USD;
    for row in rows {
        let text = |name: &str| row.get(name).and_then(Value::as_str).unwrap_or_default();
        let name = text("key");
        let path = format!("options.{name}");
        if name == "QuotaPerUnit" {
            match text("value").parse::<f64>() {
                Ok(told) if told > 0.0 && told.is_finite() => {
                    work.report.exact(&path, "is by what quotas were divided for USD");
                    unit = told;
                }
                Ok(_) | Err(_) => {
                    work.report.manual(&path, "is no number; 500000 units were taken for one USD");
                }
            }
            continue;
        }
        match OPTIONS.iter().find(|(known, _)| *known == name) {
            Some((_, says)) => work.report.manual(&path, *says),
            None => work.report.unsupported("options", "others of its options were left out"),
        }
    }
    unit
}

/// The parts of a list that is written with commas.
pub(super) fn listed(text: Option<&str>) -> Vec<String> {
    let parts = text.unwrap_or_default().split(',').map(str::trim).filter(|part| !part.is_empty());
    parts.map(str::to_owned).collect()
}

/// Whether a row's `status` says that it is in force; later states of both are others.
pub(super) fn is_enabled(fields: &mut Fields<'_>, work: &mut Work) -> bool {
    fields.number("status", &mut work.report).is_none_or(|status| status == 1.0)
}

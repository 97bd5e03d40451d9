//! `tollgate logs`.

use clap::Args;
use policy::{Money, record::Record};
use serde_json::json;
use store::{Filter, Summary, Tenancy};

use super::{Place, say, table};

#[derive(Args)]
#[command(after_help = "Examples: tollgate logs --limit 20\n          tollgate logs --sum")]
pub(crate) struct Arguments {
    #[command(flatten)]
    place: Place,
    /// Only calls with the key of this name.
    #[arg(long)]
    key: Option<String>,
    /// The most calls to show.
    #[arg(long, default_value_t = 50)]
    limit: u32,
    /// Sums by key and model over all calls instead.
    #[arg(long)]
    sum: bool,
    /// Print as JSON.
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let mut database = arguments.place.open()?.database()?;
    if arguments.sum {
        let sums = database.summary(0)?;
        say(&if arguments.json { json!(sums).to_string() } else { sum_table(&sums) });
        return Ok(());
    }
    let filter = Filter { key_name: arguments.key.clone(), limit: arguments.limit, ..Filter::default() };
    let calls = database.calls(Tenancy::All, &filter)?;
    say(&if arguments.json { json!(calls).to_string() } else { call_table(&calls) });
    Ok(())
}

fn call_table(calls: &[Record<'_>]) -> String {
    let row = |call: &Record<'_>| {
        let at = jiff::Timestamp::from_microsecond(call.started_us).unwrap_or_default();
        vec![
            at.strftime("%Y-%m-%d %H:%M:%S").to_string(),
            call.key_name.to_string(),
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
        &["time (UTC)", "key", "operation", "target", "outcome", "status", "in", "out", "USD", "took"],
        &rows,
    )
}

fn sum_table(sums: &[Summary]) -> String {
    let row = |sum: &Summary| {
        let cost = i64::try_from(sum.cost_picodollars)
            .map_or_else(|_| "over 9 million".to_owned(), |cost| Money(cost).to_string());
        vec![
            sum.key_name.clone(),
            format!("{}/{}", sum.provider, sum.model),
            sum.calls.to_string(),
            sum.input_tokens.to_string(),
            sum.output_tokens.to_string(),
            cost,
            sum.unpriced.to_string(),
        ]
    };
    let rows: Vec<Vec<String>> = sums.iter().map(row).collect();
    table(&["key", "target", "calls", "in", "out", "USD", "unpriced calls"], &rows)
}

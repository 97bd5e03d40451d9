//! `tollgate history` and `tollgate rollback`.

use anyhow::{Context, bail};
use clap::Args;
use server::registry::{Event, Happening, Wanted};

use super::{Counter, counter::Consent, shown};
use crate::commands::{Place, say};

#[derive(Args)]
#[command(after_help = "Example: tollgate history --object search --limit 5")]
pub(crate) struct HistoryArguments {
    #[command(flatten)]
    place: Place,
    /// Only changes of the thing of this name or id.
    #[arg(long)]
    object: Option<String>,
    /// How many changes.
    #[arg(long, default_value_t = 20)]
    limit: u32,
    /// Only changes of before the registry's clock stood so.
    #[arg(long, value_name = "CLOCK")]
    before: Option<u64>,
    /// Print as JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
#[command(
    after_help = "Example: tollgate rollback 41\n         tollgate rollback --object search --version 3"
)]
pub(crate) struct RollbackArguments {
    #[command(flatten)]
    place: Place,
    /// The clock, as the history tells it, at which the registry was as it is to be again.
    #[arg(required_unless_present = "object", conflicts_with = "object")]
    clock: Option<u64>,
    /// Only the thing of this name or id.
    #[arg(long, requires = "version")]
    object: Option<String>,
    /// The version that it is to have again.
    #[arg(long = "version", id = "version", value_name = "VERSION", requires = "object")]
    of_object: Option<u64>,
    /// Only this organization, by name or id.
    #[arg(long)]
    organization: Option<String>,
    /// Show the plan, and do nothing.
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    consent: Consent,
    /// Print as JSON.
    #[arg(long)]
    json: bool,
}

pub(crate) fn history(arguments: &HistoryArguments) -> anyhow::Result<()> {
    let mut counter = Counter::open(&arguments.place, None)?;
    let place = (arguments.before, arguments.limit.max(1));
    let events = counter.desk.history(&mut counter.database, arguments.object.as_deref(), place)?;
    if arguments.json {
        say(&serde_json::to_string(&events)?);
        return Ok(());
    }
    let shown: Vec<String> = events.iter().map(event).collect();
    say(&if shown.is_empty() { "nothing has changed yet".to_owned() } else { shown.join("\n") });
    Ok(())
}

fn event(event: &Event) -> String {
    let at = jiff::Timestamp::from_microsecond(event.at_us);
    let at = at.map_or_else(|_| "?".to_owned(), |at| at.strftime("%Y-%m-%d %H:%M:%S").to_string());
    let mut lines = vec![format!("{}  {at}  {}", event.clock, event.by)];
    for one in &event.changes {
        lines.push(format!("  {}", happening(one)));
        lines.extend(one.differences.iter().map(|one| format!("      {}", shown::difference(one))));
    }
    lines.join("\n")
}

fn happening(one: &Happening) -> String {
    let kind = one.kind.replace('_', " ");
    format!("{} {kind} \"{}\" {}, version {}", shown::sign(one.action), one.name, one.id, one.version)
}

pub(crate) fn rollback(arguments: &RollbackArguments) -> anyhow::Result<()> {
    let mut counter = Counter::open(&arguments.place, arguments.organization.as_deref())?;
    let wanted = match (&arguments.object, arguments.clock, arguments.of_object) {
        (Some(object), _, Some(version)) => {
            let latest = counter.desk.history(&mut counter.database, Some(object), (None, 1))?;
            let one = latest.first().and_then(|event| event.changes.first());
            let one =
                one.with_context(|| format!("nothing is called \"{object}\" here; name it by its id"))?;
            Wanted::Version { kind: one.kind.clone(), name: one.id.to_string(), version }
        }
        (None, Some(clock), _) => Wanted::Clock(clock),
        (Some(_), _, None) | (None, None, _) => bail!("say a clock, or --object and --version"),
    };
    let plan = counter.plan(&wanted)?;
    if arguments.dry_run {
        say(&if arguments.json { serde_json::to_string(&plan)? } else { shown::plan(&plan) });
        return Ok(());
    }
    counter.agree(&wanted, &plan, (&arguments.consent, arguments.json))
}

//! `tollgate organizations`, `teams`, `projects`, `users` and `service-accounts`.

use anyhow::Context;
use clap::{Args, Subcommand};
use policy::principal::EntityKind;
use serde_json::{Map, Value};
use server::registry::{Plan, Wanted};

use super::{Body, Counter, body::patch, shown};
use crate::commands::{Place, say, table};

#[derive(Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    place: Place,
    /// Print as JSON.
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// List them, those of the configuration file included.
    List {
        /// Only what belongs to this organization, by name or id.
        #[arg(long)]
        organization: Option<String>,
    },
    /// Show one, by name or id.
    Show { name: String },
    /// Make one.
    Create {
        name: String,
        /// A model name that it may ask for, exact or with a trailing *. Default: all.
        #[arg(long = "model")]
        models: Vec<String>,
        #[command(flatten)]
        body: Box<Body>,
    },
    /// Change some settings of one, by their paths; without a value one is taken out.
    #[command(after_help = "Example: tollgate teams set search budget.usd=300 tags.floor=3 disabled=")]
    Set {
        name: String,
        /// As budget.usd=300.
        #[arg(value_name = "PATH=VALUE")]
        settings: Vec<String>,
        /// The same as a JSON merge patch, as '{"limits": [{"requests": 60, "per": "minute"}]}'.
        #[arg(long, value_name = "JSON")]
        patch: Option<String>,
    },
    /// End one that nothing stands below.
    Delete { name: String },
}

pub(crate) fn run(kind: EntityKind, arguments: &Arguments) -> anyhow::Result<()> {
    let of = match &arguments.verb {
        Verb::List { organization } => organization.as_deref(),
        Verb::Show { .. } | Verb::Create { .. } | Verb::Set { .. } | Verb::Delete { .. } => None,
    };
    let mut counter = Counter::open(&arguments.place, of)?;
    let kind = kind.name().to_owned();
    let wanted = match &arguments.verb {
        Verb::List { .. } => return list(&mut counter, &kind, arguments.json),
        Verb::Show { name } => {
            let shown = counter.desk.show(&mut counter.database, &kind, name)?;
            say(&if arguments.json { shown.to_string() } else { serde_json::to_string_pretty(&shown)? });
            return Ok(());
        }
        Verb::Create { name, models, body } => {
            Wanted::Create { kind: kind.clone(), members: members(name, models, body)? }
        }
        Verb::Set { name, settings, patch: text } => {
            let mut merged = patch(settings)?;
            if let Some(text) = text {
                let read: Map<String, Value> = serde_json::from_str(text).context("--patch")?;
                merged.extend(read);
            }
            Wanted::Merge { kind: kind.clone(), name: name.clone(), patch: merged }
        }
        Verb::Delete { name } => Wanted::End { kind: kind.clone(), name: name.clone() },
    };
    let plan = counter.apply(&wanted, None)?.plan;
    told(&mut counter, &kind, (&wanted, &plan), arguments.json)
}

/// The body of something new.
pub(crate) fn members(name: &str, models: &[String], body: &Body) -> anyhow::Result<Map<String, Value>> {
    let mut members = Map::new();
    members.insert("name".to_owned(), name.into());
    if !models.is_empty() {
        members.insert("models".to_owned(), models.into());
    }
    members.extend(body.members()?);
    Ok(members)
}

fn told(
    counter: &mut Counter,
    kind: &str,
    (wanted, plan): (&Wanted, &Plan),
    as_json: bool,
) -> anyhow::Result<()> {
    if !as_json {
        say(&shown::plan(plan));
        return Ok(());
    }
    let id = plan.changes.first().and_then(|step| step.id).map(|id| id.to_string());
    match (wanted, id) {
        (Wanted::End { .. }, _) => say(&serde_json::to_string(plan)?),
        (Wanted::Merge { name, .. }, None) => {
            say(&counter.desk.show(&mut counter.database, kind, name)?.to_string());
        }
        (_, Some(id)) => say(&counter.desk.show(&mut counter.database, kind, &id)?.to_string()),
        (_, None) => say(&serde_json::to_string(plan)?),
    }
    Ok(())
}

fn list(counter: &mut Counter, kind: &str, as_json: bool) -> anyhow::Result<()> {
    let all = counter.desk.list(&mut counter.database, kind)?;
    if as_json {
        say(&Value::from(all).to_string());
        return Ok(());
    }
    let names = counter.desk.part_names(&mut counter.database)?;
    let name_of = |one: &Value, member: &str| {
        let id = one.get(member).and_then(Value::as_str)?;
        let name = id.parse().ok().and_then(|id| names.get(&id)).map_or(id, String::as_str);
        Some(name.to_owned())
    };
    let text = |one: &Value, member: &str| {
        one.get(member).and_then(Value::as_str).map(str::to_owned).unwrap_or_default()
    };
    let row = |one: &Value| {
        let below = ["team", "project"].into_iter().find_map(|member| name_of(one, member));
        vec![
            text(one, "name"),
            name_of(one, "organization").unwrap_or_default(),
            below.unwrap_or_default(),
            text(one, "owner"),
            text(one, "id"),
        ]
    };
    let rows: Vec<Vec<String>> = all.iter().map(row).collect();
    say(&table(&["name", "organization", "below", "owner", "id"], &rows));
    Ok(())
}

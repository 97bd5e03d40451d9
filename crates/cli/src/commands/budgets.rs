//! `tollgate budgets`.

use std::{collections::HashSet, sync::Arc};

use anyhow::{Context, bail};
use clap::{Args, Subcommand};
use jiff::Timestamp;
use policy::{
    Money, Snapshot,
    limit::{AdjustmentKind, Adjustments, Limit, Meter, parse_usd},
    principal::Directory,
};
use serde_json::json;
use store::{ActorKind, Adjustment, Author, Database};
use uuid::Uuid;

use super::{Place, say, table};

#[derive(Args)]
#[command(after_help = "Example: tollgate budgets top-up \"credit of team search\" 50 --note \"invoice 17\"")]
pub(crate) struct Arguments {
    #[command(flatten)]
    place: Place,
    /// Print as JSON.
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// List every budget, what was used of it and what is left (what happens without a command).
    List,
    /// Add to what a budget has in its period, or to credit for good.
    TopUp {
        /// The budget, as the list shows it.
        budget: String,
        /// In USD.
        usd: String,
        /// Why, for the list and the audit.
        #[arg(long)]
        note: Option<String>,
    },
    /// Forgive what was used so far in a budget's period.
    Reset {
        /// The budget, as the list shows it.
        budget: String,
        /// Why, for the list and the audit.
        #[arg(long)]
        note: Option<String>,
    },
}

/// A budget, and how it stands by the journal.
struct Standing {
    limit: Arc<Limit>,
    slot: (i64, i64),
    given: i64,
    used: i64,
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let (data, snapshot) = arguments.place.open_configured()?;
    let mut database = data.database()?;
    let now_us = server::now_us();
    let all = standings(snapshot, &mut database, now_us)?;
    let (budget, kind, amount, note) = match arguments.command.as_ref().unwrap_or(&Command::List) {
        Command::List => {
            list(&all, arguments.json);
            return Ok(());
        }
        Command::TopUp { budget, usd, note } => {
            let amount = parse_usd(usd).map_err(anyhow::Error::msg)?.picodollars();
            (find(&all, budget)?, AdjustmentKind::TopUp, amount, note)
        }
        Command::Reset { budget, note } => {
            let found = find(&all, budget)?;
            (
                found,
                AdjustmentKind::Reset,
                found.used.saturating_sub(forgiven(&mut database, found, now_us)?),
                note,
            )
        }
    };
    if amount <= 0 {
        bail!("nothing is added: the amount is {} USD", Money(amount));
    }
    let entry = Adjustment {
        id: Uuid::now_v7(),
        bucket: budget.limit.id,
        slot_us: budget.slot.0,
        until_us: budget.slot.1,
        kind,
        amount,
        of: shown(&budget.limit),
        note: note.clone(),
        at_us: now_us,
    };
    let actor = std::env::var("USER").unwrap_or_else(|_| "somebody".to_owned());
    let author = Author { actor, kind: ActorKind::Command, address: None, request_id: None };
    database.adjust(&entry, &author)?;
    super::keys::tell(&data)?;
    let total = budget.limit.amount.saturating_add(budget.given).saturating_add(amount);
    say(&if arguments.json {
        json!(entry).to_string()
    } else {
        format!(
            "{} has {} USD more: {} of {} are used",
            entry.of,
            Money(amount),
            Money(budget.used),
            Money(total)
        )
    });
    Ok(())
}

/// What was forgiven already in this period.
fn forgiven(database: &mut Database, budget: &Standing, now_us: i64) -> anyhow::Result<i64> {
    let entries = database.adjustments(now_us)?;
    let own = entries.iter().filter(|entry| {
        entry.bucket == budget.limit.id
            && entry.slot_us == budget.slot.0
            && entry.kind == AdjustmentKind::Reset
    });
    Ok(own.map(|entry| entry.amount).sum())
}

/// The budgets of the file and of the registry.
fn standings(snapshot: Snapshot, database: &mut Database, now_us: i64) -> anyhow::Result<Vec<Standing>> {
    let entities = snapshot.entities.into_iter().chain(database.entities()?).collect();
    let (directory, _) = Directory::new(entities);
    let file = snapshot.keys.iter().map(|file| file.key.clone());
    let keys: Vec<_> = file.chain(database.keys()?.into_iter().map(|(_, key)| key)).collect();
    let of_keys = keys.iter().flat_map(|key| directory.principal(key).0.limits);
    let mut seen = HashSet::new();
    let limits = directory.limits().cloned().chain(of_keys);
    let limits = limits.filter(|limit| limit.meter == Meter::Money && seen.insert(limit.id));
    let limits: Vec<Arc<Limit>> = limits.collect();
    let entries = database.adjustments(now_us)?;
    let given = Adjustments::new(entries.iter().map(|entry| (entry.bucket, entry.slot_us, entry.amount)));
    let ids: Vec<Uuid> = limits.iter().map(|limit| limit.id).collect();
    let used = database.ledger(&ids, now_us)?;
    let standing = |limit: Arc<Limit>| {
        let slot = limit.slot(now_us)?;
        let posted = used.iter().find(|posting| posting.bucket == limit.id && posting.slot_us == slot.0);
        let used = posted.map_or(0, |posting| posting.amount);
        Some(Standing { given: given.of(limit.id, slot.0), used, slot, limit })
    };
    let mut standings: Vec<Standing> = limits.into_iter().filter_map(standing).collect();
    standings.sort_by_key(|standing| shown(&standing.limit));
    Ok(standings)
}

fn find<'s>(all: &'s [Standing], name: &str) -> anyhow::Result<&'s Standing> {
    let found = all.iter().find(|standing| shown(&standing.limit) == name);
    let found = found.with_context(|| {
        let names: Vec<String> =
            all.iter().map(|standing| format!("\"{}\"", shown(&standing.limit))).collect();
        format!("there is no budget \"{name}\"; there are: {}", names.join(", "))
    })?;
    if !found.limit.each.is_empty() {
        bail!("\"{name}\" is counted apart for each of something; change its amount instead");
    }
    Ok(found)
}

fn shown(limit: &Limit) -> String {
    format!("{} of {}", limit.name, limit.whose)
}

fn list(all: &[Standing], as_json: bool) {
    let renews = |standing: &Standing| {
        let (at, _) = standing.limit.renews_us(standing.slot.0)?;
        Some(Timestamp::from_microsecond(at).ok()?.strftime("%Y-%m-%d %H:%M UTC").to_string())
    };
    let left = |standing: &Standing| {
        standing.limit.amount.saturating_add(standing.given).saturating_sub(standing.used)
    };
    if as_json {
        let listed = all.iter().map(|standing| {
            json!({"budget": shown(&standing.limit), "id": standing.limit.id,
                   "usd": Money(standing.limit.amount).to_string(), "given_usd": Money(standing.given).to_string(),
                   "used_usd": Money(standing.used).to_string(), "left_usd": Money(left(standing)).to_string(),
                   "renews": renews(standing)})
        });
        say(&json!(listed.collect::<Vec<_>>()).to_string());
        return;
    }
    let rows = all.iter().map(|standing| {
        vec![
            shown(&standing.limit),
            Money(standing.limit.amount).to_string(),
            Money(standing.given).to_string(),
            Money(standing.used).to_string(),
            Money(left(standing)).to_string(),
            renews(standing).unwrap_or_else(|| "never".to_owned()),
        ]
    });
    say(&table(&["budget", "USD", "given", "used", "left", "renews"], &rows.collect::<Vec<_>>()));
}

//! `tollgate budgets`.

use anyhow::{Context, anyhow, bail};
use clap::{Args, Subcommand};
use jiff::Timestamp;
use policy::{Money, limit::parse_usd};
use serde_json::json;
use server::budgets::{Budget, budgets, find_one, limits};

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
        /// The budget's name, as the list shows it, or its id.
        budget: String,
        /// In USD.
        usd: String,
        /// Why, for the list and the audit.
        #[arg(long)]
        note: Option<String>,
    },
    /// Forgive what was used so far in a budget's period.
    Reset {
        /// The budget's name, as the list shows it, or its id.
        budget: String,
        /// Why, for the list and the audit.
        #[arg(long)]
        note: Option<String>,
    },
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let (data, snapshot) = arguments.place.open_configured()?;
    let mut database = data.database()?;
    let now_us = server::now_us();
    let limits = limits(snapshot, &mut database)?;
    let all = budgets(limits, &mut database, now_us)?;
    let (budget, entry) = match arguments.command.as_ref().unwrap_or(&Command::List) {
        Command::List => {
            list(&all, arguments.json);
            return Ok(());
        }
        Command::TopUp { budget, usd, note } => {
            let amount = parse_usd(usd).map_err(anyhow::Error::msg)?.picodollars();
            let budget = find(&all, budget)?;
            (budget, budget.top_up(amount, note.clone(), now_us))
        }
        Command::Reset { budget, note } => {
            let budget = find(&all, budget)?;
            (budget, budget.reset(&database.adjustments(now_us)?, note.clone(), now_us))
        }
    };
    if entry.amount <= 0 {
        bail!("nothing is added: the amount is {} USD", Money(entry.amount));
    }
    database.adjust(&entry, &super::author())?;
    super::keys::tell(&data)?;
    let total = budget.total().saturating_add(entry.amount);
    say(&if arguments.json {
        json!(entry).to_string()
    } else {
        format!(
            "{} has {} USD more: {} of {} are used",
            entry.of,
            Money(entry.amount),
            Money(budget.used),
            Money(total)
        )
    });
    Ok(())
}

fn find<'b>(all: &'b [Budget], name: &str) -> anyhow::Result<&'b Budget> {
    let found = find_one(all, name).map_err(|several| {
        anyhow!("several budgets are called \"{name}\"; write one of their ids: {}", several.join(", "))
    })?;
    let found = found.with_context(|| {
        let names: Vec<String> = all.iter().map(|budget| format!("\"{}\"", budget.shown())).collect();
        format!("there is no budget \"{name}\"; there are: {}", names.join(", "))
    })?;
    if !found.limit.each.is_empty() {
        bail!("\"{name}\" is counted apart for each of something; change its amount instead");
    }
    Ok(found)
}

fn list(all: &[Budget], as_json: bool) {
    let renews = |budget: &Budget| {
        let at = Timestamp::from_microsecond(budget.renews_us()?).ok()?;
        Some(at.strftime("%Y-%m-%d %H:%M UTC").to_string())
    };
    if as_json {
        let listed = all.iter().map(|budget| {
            let is_whole = budget.limit.each.is_empty();
            let of_whole = |amount: i64| is_whole.then(|| Money(amount).to_string());
            json!({"budget": budget.shown(), "id": budget.limit.id, "each": &budget.limit.each,
                   "usd": Money(budget.limit.amount).to_string(), "given_usd": Money(budget.given).to_string(),
                   "used_usd": of_whole(budget.used), "left_usd": of_whole(budget.left()),
                   "renews": renews(budget)})
        });
        say(&json!(listed.collect::<Vec<_>>()).to_string());
        return;
    }
    let rows = all.iter().map(|budget| {
        let is_whole = budget.limit.each.is_empty();
        let of_whole = |amount: i64| if is_whole { Money(amount).to_string() } else { "apart".to_owned() };
        vec![
            budget.shown(),
            budget.limit.id.to_string(),
            Money(budget.limit.amount).to_string(),
            Money(budget.given).to_string(),
            of_whole(budget.used),
            of_whole(budget.left()),
            renews(budget).unwrap_or_else(|| "never".to_owned()),
        ]
    });
    say(&table(&["budget", "id", "USD", "given", "used", "left", "renews"], &rows.collect::<Vec<_>>()));
}

//! `tollgate audit`.

use std::{fmt::Write, process::ExitCode};

use clap::{Args, Subcommand};
use serde_json::{Value, json};
use store::{AuditQuery, Database, Entry, Tenancy};
use uuid::Uuid;

use crate::commands::{Place, say, say_error, table};

/// How many entries are asked for at a time.
const PAGE: u32 = 1_000;

#[derive(Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    place: Place,
    /// Print as JSON.
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// List who did what, the latest first.
    #[command(after_help = "Example: tollgate audit list --kind key --limit 5")]
    List {
        #[command(flatten)]
        which: Which,
        /// How many entries.
        #[arg(long, default_value_t = 20)]
        limit: u32,
    },
    /// Look at the whole chain: whether the audit is as it was written. Exit code 1 where it is not.
    Verify,
    /// Print every entry, the latest first, as lines of JSON.
    #[command(after_help = "Example: tollgate audit export > audit.jsonl")]
    Export {
        #[command(flatten)]
        which: Which,
    },
}

#[derive(Args)]
struct Which {
    /// Only changes of this kind of object, as key.
    #[arg(long)]
    kind: Option<String>,
    /// Only changes of the object of this id.
    #[arg(long)]
    object: Option<Uuid>,
    /// Only what this actor did.
    #[arg(long)]
    actor: Option<String>,
    /// create, update, delete or sign_in_refused.
    #[arg(long)]
    action: Option<String>,
}

impl Which {
    fn query(&self, before_seq: Option<u64>, limit: u32) -> AuditQuery {
        AuditQuery {
            before_seq,
            kind: self.kind.clone(),
            object_id: self.object,
            actor: self.actor.clone(),
            action: self.action.clone(),
            limit,
            ..AuditQuery::default()
        }
    }
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let mut database = arguments.place.open()?.database()?;
    match &arguments.command {
        Command::List { which, limit } => {
            let entries = database.audit(Tenancy::All, &which.query(None, (*limit).max(1)))?;
            list(&entries, arguments.json);
        }
        Command::Verify => return verify(&mut database, arguments.json),
        Command::Export { which } => export(&mut database, which)?,
    }
    Ok(ExitCode::SUCCESS)
}

fn list(entries: &[Entry], as_json: bool) {
    if as_json {
        return say(&Value::from(entries.iter().map(told).collect::<Vec<Value>>()).to_string());
    }
    let row = |entry: &Entry| {
        let at = jiff::Timestamp::from_microsecond(entry.at_us);
        vec![
            entry.seq.to_string(),
            at.map_or_else(|_| "?".to_owned(), |at| at.strftime("%Y-%m-%d %H:%M:%S").to_string()),
            format!("{}:{}", entry.actor_kind, entry.actor),
            entry.address.clone().unwrap_or_default(),
            entry.action.clone(),
            entry.kind.clone().unwrap_or_default(),
            entry.object_name.clone().unwrap_or_default(),
        ]
    };
    let rows: Vec<Vec<String>> = entries.iter().map(row).collect();
    say(&table(&["number", "at", "who", "from", "did", "kind", "name"], &rows));
}

fn verify(database: &mut Database, as_json: bool) -> anyhow::Result<ExitCode> {
    let broken = database.verify_audit()?;
    if as_json {
        say(&json!({"whole": broken.is_none(), "broken_at": broken}).to_string());
    } else if let Some(number) = broken {
        say_error(&format!("the audit was changed: entry {number} is not as it was written, or is missing"));
    } else {
        say("the audit is as it was written");
    }
    Ok(if broken.is_none() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn export(database: &mut Database, which: &Which) -> anyhow::Result<()> {
    let mut before = None;
    loop {
        let page = database.audit(Tenancy::All, &which.query(before, PAGE))?;
        let Some(last) = page.last() else { return Ok(()) };
        before = Some(last.seq);
        let lines: Vec<String> = page.iter().map(|entry| told(entry).to_string()).collect();
        say(&lines.join("\n"));
    }
}

/// An entry with its hash, and with JSON where it holds JSON.
fn told(entry: &Entry) -> Value {
    let mut shown = json!(entry);
    for (name, text) in [("before", &entry.before), ("after", &entry.after)] {
        let read = text.as_deref().and_then(|text| serde_json::from_str(text).ok());
        shown[name] = read.unwrap_or(Value::Null);
    }
    let mut hash = String::with_capacity(64);
    for byte in entry.hash {
        let _ = write!(hash, "{byte:02x}");
    }
    shown["hash"] = hash.into();
    shown
}

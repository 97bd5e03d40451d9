//! `tollgate keys`.

use std::collections::HashMap;

use anyhow::Context;
use clap::{Args, Subcommand};
use serde_json::{Map, Value};
use server::registry::Wanted;
use store::DataDir;
use uuid::Uuid;

use super::{
    Place,
    registry::{Body, Counter, things::members},
    say, say_error, table,
};

#[derive(Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    place: Place,
    /// Print as JSON.
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Subcommand)]
enum Command {
    /// Make a key and show it, once.
    #[command(
        after_help = "Example: tollgate keys create search --model fast --model 'openai/*' --expires 2027-01-31"
    )]
    Create {
        name: String,
        /// A model name that it may ask for, exact or with a trailing *. Default: all.
        #[arg(long = "model")]
        models: Vec<String>,
        /// When it ends, as 2027-01-31 (the end of that day in UTC) or 2027-01-31T12:00:00Z.
        #[arg(long)]
        expires: Option<String>,
        /// Make a key for the admin API and metrics instead.
        #[arg(long)]
        admin: bool,
        #[command(flatten)]
        more: Box<More>,
    },
    /// List keys.
    #[command(after_help = "Example: tollgate keys list --json")]
    List,
    /// Revoke a key by its name or id, at once.
    #[command(after_help = "Example: tollgate keys revoke search")]
    Revoke { name: String },
    /// Give a key, by its name or id, another secret and show it, once. Everything else of it stays.
    #[command(after_help = "Example: tollgate keys rotate admin --overlap 24h")]
    Rotate {
        name: String,
        /// For how long the earlier secret goes on to be good, as 24h. Default: not at all.
        #[arg(long)]
        overlap: Option<String>,
    },
    /// Print a random key for a configuration file; nothing is stored.
    Generate,
}

/// Whom a key belongs to, and what it may do.
#[derive(Args)]
struct More {
    #[command(flatten)]
    body: Body,
    /// The user it belongs to, by name or id.
    #[arg(long)]
    user: Option<String>,
    /// The service account it belongs to, by name or id.
    #[arg(long)]
    service_account: Option<String>,
    /// What it may administer, as viewer; it opens the admin API instead of models.
    #[arg(long)]
    role: Option<String>,
}

impl More {
    fn members(&self, name: &str, models: &[String]) -> anyhow::Result<Map<String, Value>> {
        let mut members = members(name, models, &self.body)?;
        let more = [("user", &self.user), ("service_account", &self.service_account), ("role", &self.role)];
        for (name, text) in more {
            members.extend(text.as_ref().map(|text| (name.to_owned(), text.as_str().into())));
        }
        Ok(members)
    }
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let Arguments { command, place, json: as_json } = arguments;
    match command {
        Command::Generate => {
            say(store::new_key(policy::key::KEY_PREFIX)?.expose());
            Ok(())
        }
        Command::Create { name, models, expires, admin, more } => {
            let mut members = more.members(name, models)?;
            members.extend(expires.as_ref().map(|expires| ("expires".to_owned(), expires.as_str().into())));
            members.extend(admin.then(|| ("admin".to_owned(), true.into())));
            create(&mut Counter::open(place, None)?, members, *as_json)
        }
        Command::List => list(&mut Counter::open(place, None)?, *as_json),
        Command::Revoke { name } => revoke(&mut Counter::open(place, None)?, name, *as_json),
        Command::Rotate { name, overlap } => {
            let overlap = overlap.as_deref().unwrap_or("0s");
            rotate(&mut Counter::open(place, None)?, (name, overlap), *as_json)
        }
    }
}

fn create(counter: &mut Counter, members: Map<String, Value>, as_json: bool) -> anyhow::Result<()> {
    let done = counter.apply(&Wanted::Create { kind: KIND.to_owned(), members }, None)?;
    let made = done.keys.first().context("no key was made")?;
    let secret = made.key.clone().unwrap_or_default();
    let shown = counter.desk.show(&mut counter.database, KIND, &made.id.to_string())?;
    show(shown, &secret, as_json);
    Ok(())
}

fn revoke(counter: &mut Counter, name: &str, as_json: bool) -> anyhow::Result<()> {
    let shown = counter.desk.show(&mut counter.database, KIND, name)?;
    let id = text(&shown, "id").to_owned();
    let done = counter.apply(&Wanted::End { kind: KIND.to_owned(), name: id }, None)?;
    say(&match as_json {
        true => serde_json::to_string(&done.plan)?,
        false => format!("{} is revoked", text(&shown, "name")),
    });
    Ok(())
}

fn rotate(counter: &mut Counter, (name, overlap): (&str, &str), as_json: bool) -> anyhow::Result<()> {
    let (shown, secret) = counter.desk.rotate(&mut counter.database, name, overlap)?;
    counter.tell()?;
    show(shown, secret.expose(), as_json);
    Ok(())
}

fn show(mut shown: Value, secret: &str, as_json: bool) {
    if as_json {
        shown["key"] = secret.into();
        say(&shown.to_string());
    } else {
        say(secret);
        say_error("This key is shown once; keep it now.");
    }
}

/// A process that serves takes the change up before this command ends.
pub(crate) fn tell(data: &DataDir) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(server::keys_changed(data)).context("the serving process could not be told")?;
    Ok(())
}

/// Those of the configuration file included.
fn list(counter: &mut Counter, as_json: bool) -> anyhow::Result<()> {
    let keys = counter.desk.list(&mut counter.database, KIND)?;
    if as_json {
        say(&Value::from(keys).to_string());
        return Ok(());
    }
    let names = counter.desk.part_names(&mut counter.database)?;
    let now_us = server::now_us();
    let rows: Vec<Vec<String>> = keys.iter().map(|key| row(key, &names, now_us)).collect();
    say(&table(&["name", "key", "opens", "of", "models", "expires", "state", "owner"], &rows));
    Ok(())
}

fn row(key: &Value, names: &HashMap<Uuid, String>, now_us: i64) -> Vec<String> {
    let above = ["organization", "team", "project", "user", "service_account"].into_iter();
    let above: Vec<&str> = above
        .filter_map(|part| text(key, part).parse().ok().and_then(|id: Uuid| names.get(&id)))
        .map(String::as_str)
        .collect();
    let models = key.get("models").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let models: Vec<&str> = models.iter().filter_map(Value::as_str).collect();
    let expires_us = key.get("expires_us").and_then(Value::as_i64);
    let expires = expires_us.and_then(|us| jiff::Timestamp::from_microsecond(us).ok());
    let state = match key.get("disabled").and_then(Value::as_bool) {
        Some(true) => "disabled",
        _ if expires_us.is_some_and(|at| at <= now_us) => "expired",
        _ => "good",
    };
    vec![
        text(key, "name").to_owned(),
        key.get("hint").and_then(Value::as_str).map_or_else(String::new, |hint| format!("{hint}…")),
        match key.get("role").and_then(Value::as_str) {
            Some(role) => format!("the admin API, as {role}"),
            None => "models".to_owned(),
        },
        above.join("/"),
        if models.is_empty() { "all".to_owned() } else { models.join(", ") },
        expires.map_or_else(|| "never".to_owned(), |at| at.strftime("%Y-%m-%d %H:%M").to_string()),
        state.to_owned(),
        text(key, "owner").to_owned(),
    ]
}

fn text<'v>(of: &'v Value, member: &str) -> &'v str {
    of.get(member).and_then(Value::as_str).unwrap_or_default()
}

const KIND: &str = "key";

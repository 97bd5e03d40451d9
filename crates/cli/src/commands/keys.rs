//! `tollgate keys`.

use anyhow::Context;
use clap::{Args, Subcommand};
use policy::key::{Key, Scope};
use serde_json::json;
use store::{DataDir, NewKey};

use super::{Place, say, say_error, table};

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
    },
    /// List keys.
    #[command(after_help = "Example: tollgate keys list --json")]
    List,
    /// Revoke a key by its name or id, at once.
    #[command(after_help = "Example: tollgate keys revoke search")]
    Revoke { name: String },
    /// Revoke a key and make another of the same name and rights.
    #[command(after_help = "Example: tollgate keys rotate admin")]
    Rotate { name: String },
    /// Print a random key for a configuration file; nothing is stored.
    Generate,
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    if matches!(arguments.command, Command::Generate) {
        say(store::new_key(policy::key::KEY_PREFIX)?.expose());
        return Ok(());
    }
    let data = arguments.place.open()?;
    let mut database = data.database()?;
    let now_us = server::now_us();
    match &arguments.command {
        Command::Generate => {}
        Command::List => {
            list(&database.keys()?.into_iter().map(|(_, key)| key).collect::<Vec<_>>(), arguments.json);
        }
        Command::Create { name, models, expires, admin } => {
            let scope = if *admin { Scope::Admin } else { Scope::Calls };
            let expires_us = expires.as_deref().map(moment).transpose()?;
            let new = NewKey { name: name.clone(), models: models.clone(), scope, expires_us };
            create(&mut database, &new, now_us, arguments.json)?;
            tell(&data)?;
        }
        Command::Revoke { name } => {
            let key = database.revoke_key(name, now_us)?;
            tell(&data)?;
            say(&if arguments.json { json!(key).to_string() } else { format!("{} is revoked", key.name) });
        }
        Command::Rotate { name } => {
            let old = database.revoke_key(name, now_us)?;
            let new = NewKey {
                name: old.name,
                models: old.settings.models,
                scope: old.scope,
                expires_us: old.expires_us,
            };
            create(&mut database, &new, now_us, arguments.json)?;
            tell(&data)?;
        }
    }
    Ok(())
}

fn create(database: &mut store::Database, new: &NewKey, now_us: i64, as_json: bool) -> anyhow::Result<()> {
    let (key, secret) = database.create_key(new, now_us)?;
    if as_json {
        let mut shown = json!(key);
        shown["key"] = secret.expose().into();
        say(&shown.to_string());
    } else {
        say(secret.expose());
        say_error("This key is shown once; keep it now.");
    }
    Ok(())
}

/// A process that serves takes the change up before this command ends.
pub(super) fn tell(data: &DataDir) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(server::keys_changed(data)).context("the serving process could not be told")?;
    Ok(())
}

fn list(keys: &[Key], as_json: bool) {
    if as_json {
        return say(&json!(keys).to_string());
    }
    let row = |key: &Key| {
        let state = if key.revoked_us.is_some() { "revoked" } else { "good" };
        let models =
            if key.settings.models.is_empty() { "all".to_owned() } else { key.settings.models.join(", ") };
        let scope = match key.scope {
            Scope::Calls => "calls",
            Scope::Admin => "admin",
        };
        let time = |at: Option<i64>| {
            at.and_then(|us| jiff::Timestamp::from_microsecond(us).ok())
                .map_or_else(|| "never".to_owned(), |at| at.strftime("%Y-%m-%d %H:%M").to_string())
        };
        vec![
            key.name.clone(),
            format!("{}…", key.hint),
            scope.to_owned(),
            models,
            time(key.expires_us),
            state.to_owned(),
        ]
    };
    let rows: Vec<Vec<String>> = keys.iter().map(row).collect();
    say(&table(&["name", "key", "opens", "models", "expires", "state"], &rows));
}

/// A date is good to its end.
fn moment(text: &str) -> anyhow::Result<i64> {
    if let Ok(moment) = text.parse::<jiff::Timestamp>() {
        return Ok(moment.as_microsecond());
    }
    let date: jiff::civil::Date =
        text.parse().with_context(|| format!("--expires: \"{text}\" is no date; write it as 2027-01-31"))?;
    Ok(date.tomorrow()?.to_zoned(jiff::tz::TimeZone::UTC)?.timestamp().as_microsecond())
}

//! `tollgate keys`.

use std::collections::HashMap;

use anyhow::Context;
use clap::{Args, Subcommand};
use policy::key::{Key, Scope};
use serde_json::{Map, Value, json};
use server::registry::Wanted;
use store::{DataDir, NewKey};
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
    /// Revoke a key and make another of the same name and rights; with --overlap, give the same key another secret.
    #[command(after_help = "Example: tollgate keys rotate admin --overlap 24h")]
    Rotate {
        name: String,
        /// For how long the earlier secret goes on to be good, as 24h.
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
    fn is_empty(&self) -> bool {
        let texts = [&self.user, &self.service_account, &self.role];
        self.body.is_empty() && texts.iter().all(|text| text.is_none())
    }

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
    if matches!(arguments.command, Command::Generate) {
        say(store::new_key(policy::key::KEY_PREFIX)?.expose());
        return Ok(());
    }
    if let Command::Create { name, models, expires, admin, more } = &arguments.command
        && !more.is_empty()
    {
        let mut members = more.members(name, models)?;
        members.extend(expires.as_ref().map(|expires| ("expires".to_owned(), expires.as_str().into())));
        members.extend(admin.then(|| ("admin".to_owned(), true.into())));
        return create_placed(&arguments.place, members, arguments.json);
    }
    if let Command::Rotate { name, overlap: Some(overlap) } = &arguments.command {
        return rotate(&arguments.place, (name, overlap), arguments.json);
    }
    let (data, snapshot) = arguments.place.open_configured()?;
    let mut database = data.database()?;
    let now_us = server::now_us();
    match &arguments.command {
        Command::Generate => {}
        Command::List => {
            let mut names: Names = snapshot.entities.iter().map(|one| (one.id, one.name.clone())).collect();
            names.extend(database.entities()?.into_iter().map(|one| (one.id, one.name)));
            list(
                &database.keys()?.into_iter().map(|(_, key)| key).collect::<Vec<_>>(),
                &names,
                arguments.json,
            );
        }
        Command::Create { name, models, expires, admin, more: _ } => {
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
        Command::Rotate { name, overlap: _ } => {
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

/// Makes a key with its place and settings, as the admin API does.
fn create_placed(place: &Place, members: Map<String, Value>, as_json: bool) -> anyhow::Result<()> {
    let mut counter = Counter::open(place, None)?;
    let done = counter.apply(&Wanted::Create { kind: "key".to_owned(), members }, None)?;
    let made = done.keys.first().context("no key was made")?;
    let secret = made.key.clone().unwrap_or_default();
    let shown = counter.desk.show(&mut counter.database, "key", &made.id.to_string())?;
    show(shown, &secret, as_json);
    Ok(())
}

fn rotate(place: &Place, (name, overlap): (&str, &str), as_json: bool) -> anyhow::Result<()> {
    let mut counter = Counter::open(place, None)?;
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

fn create(database: &mut store::Database, new: &NewKey, now_us: i64, as_json: bool) -> anyhow::Result<()> {
    let (key, secret) = database.create_key(new, now_us)?;
    show(json!(key), secret.expose(), as_json);
    Ok(())
}

/// A process that serves takes the change up before this command ends.
pub(crate) fn tell(data: &DataDir) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(server::keys_changed(data)).context("the serving process could not be told")?;
    Ok(())
}

/// The names of all parts of organizations.
type Names = HashMap<Uuid, String>;

fn list(keys: &[Key], names: &Names, as_json: bool) {
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
        let above = [key.organization, key.parent].into_iter().flatten();
        let above: Vec<&str> = above.filter_map(|id| names.get(&id)).map(String::as_str).collect();
        let of = above.join("/");
        vec![
            key.name.clone(),
            format!("{}…", key.hint),
            scope.to_owned(),
            of,
            models,
            time(key.expires_us),
            state.to_owned(),
        ]
    };
    let rows: Vec<Vec<String>> = keys.iter().map(row).collect();
    say(&table(&["name", "key", "opens", "of", "models", "expires", "state"], &rows));
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

//! `tollgate credentials`.

use std::io::Read;

use anyhow::{Context, bail, ensure};
use clap::{Args, Subcommand};
use policy::{Secret, Snapshot};
use serde_json::{Value, json};
use store::{ActorKind, Author, CREDENTIAL, Change, Database, NewCredential, Object, Query, Tenancy};

use super::{Place, say, table};

/// The longest credential, in bytes.
const SECRET_BYTES_MAX: u64 = 16 << 10;

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
    /// List the credentials of providers that the registry keeps. None is shown.
    #[command(after_help = "Example: tollgate credentials list --config tollgate.yaml")]
    List,
    /// Keep a credential, in place of one of the same name. It is read from the standard input.
    #[command(after_help = "Example: tollgate credentials set main --provider openai < key.txt")]
    Set {
        /// What api_key: credential:NAME names.
        name: String,
        /// The provider under providers that it opens.
        #[arg(long)]
        provider: String,
    },
    /// Delete a credential that no provider of the configuration names.
    #[command(after_help = "Example: tollgate credentials delete main")]
    Delete { name: String },
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let (data, snapshot) = arguments.place.open_configured()?;
    let mut database = data.database()?;
    let done = match &arguments.command {
        Command::List => return list(&mut database, &snapshot, arguments.json),
        Command::Set { name, provider } => set(&mut database, &snapshot, name, provider)?,
        Command::Delete { name } => delete(&mut database, &snapshot, name)?,
    };
    say(&if arguments.json { shown(&done, &snapshot).to_string() } else { told(&done) });
    Ok(())
}

fn set(database: &mut Database, snapshot: &Snapshot, name: &str, provider: &str) -> anyhow::Result<Object> {
    let encryption = snapshot.store.encryption.as_ref();
    let encryption = encryption
        .context("store.encryption is not set, so that no credentials are kept; tollgate secrets generate prints a key")?;
    let mut text = String::new();
    std::io::stdin()
        .take(SECRET_BYTES_MAX)
        .read_to_string(&mut text)
        .context("the standard input is no text")?;
    let secret = Secret::new(text.trim());
    let is_sound = !secret.expose().is_empty() && secret.expose().bytes().all(|byte| byte.is_ascii_graphic());
    ensure!(
        is_sound,
        "the standard input holds no credential: one word of letters, digits and signs is expected"
    );
    ensure!(
        !name.trim().is_empty() && name.trim() == name,
        "a credential's name does not begin or end with a space"
    );
    let new = NewCredential { organization: None, name: name.to_owned(), provider: provider.to_owned() };
    Ok(database.keep_credential(&server::sealer(encryption)?, &new, &secret, &author(), server::now_us())?)
}

fn delete(database: &mut Database, snapshot: &Snapshot, name: &str) -> anyhow::Result<Object> {
    let found = objects(database)?.into_iter().find(|object| object.name == name);
    let found = found.with_context(|| format!("there is no credential \"{name}\""))?;
    let provider = member(&found, "provider");
    if snapshot.is_opened_by(&provider, name) {
        bail!("it opens the provider {provider}; take credential:{name} out of the configuration first");
    }
    let change = Change::Delete { id: found.id, expected: Some(found.version) };
    let gone = database.apply(Tenancy::All, &[change], &author(), server::now_us())?;
    gone.into_iter().next().context("it was deleted meanwhile")
}

fn list(database: &mut Database, snapshot: &Snapshot, as_json: bool) -> anyhow::Result<()> {
    let found = objects(database)?;
    if as_json {
        let all: Vec<Value> = found.iter().map(|object| shown(object, snapshot)).collect();
        say(&Value::from(all).to_string());
        return Ok(());
    }
    let row = |object: &Object| {
        let in_use = if is_in_use(object, snapshot) { "yes" } else { "no" };
        vec![object.name.clone(), member(object, "provider"), member(object, "hint"), in_use.to_owned()]
    };
    say(&table(&["name", "provider", "ends with", "in use"], &found.iter().map(row).collect::<Vec<_>>()));
    Ok(())
}

fn objects(database: &mut Database) -> anyhow::Result<Vec<Object>> {
    let query = Query { kind: CREDENTIAL.to_owned(), limit: 10_000, ..Query::default() };
    let found = database.objects(Tenancy::All, &query)?;
    Ok(found.into_iter().filter(|object| object.organization.is_none()).collect())
}

fn shown(object: &Object, snapshot: &Snapshot) -> Value {
    json!({
        "id": object.id, "name": object.name, "provider": member(object, "provider"),
        "hint": member(object, "hint"), "in_use": is_in_use(object, snapshot), "version": object.version,
        "updated_us": object.updated_us, "deleted_us": object.deleted_us,
    })
}

fn is_in_use(object: &Object, snapshot: &Snapshot) -> bool {
    snapshot.is_opened_by(&member(object, "provider"), &object.name)
}

fn told(object: &Object) -> String {
    let done = if object.deleted_us.is_some() { "is deleted" } else { "is kept" };
    format!("{} {done}; gateways that serve take it up within two seconds", object.name)
}

fn member(object: &Object, name: &str) -> String {
    object.body.get(name).and_then(Value::as_str).unwrap_or_default().to_owned()
}

fn author() -> Author {
    Author { actor: "tollgate".to_owned(), kind: ActorKind::Command, address: None, request_id: None }
}

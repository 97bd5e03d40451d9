//! `tollgate secrets`.

use std::process::ExitCode;

use anyhow::Context;
use clap::{Args, Subcommand};
use serde_json::{Value, json};
use server::{SecretStores, Tried};

use super::{Place, say, table};

#[derive(Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    place: Place,
}

#[derive(Subcommand)]
enum Command {
    /// Ask every store for all that the configuration refers to, and say which answers. No value is shown.
    #[command(after_help = "Example: tollgate secrets check --config tollgate.yaml")]
    Check {
        /// Print as JSON.
        #[arg(long)]
        json: bool,
    },
    /// Print a random key for store.encryption; nothing is stored.
    Generate,
    /// Wrap the database's data keys under store.encryption.key (of a keeper, under its newest version), those under a previous key
    /// included.
    #[command(after_help = "Example: tollgate secrets rotate --config tollgate.yaml")]
    Rotate,
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    match &arguments.command {
        Command::Check { json } => return check(&arguments.place, *json),
        Command::Generate => say(store::new_encryption_key()?.expose()),
        Command::Rotate => rotate(&arguments.place)?,
    }
    Ok(ExitCode::SUCCESS)
}

fn rotate(place: &Place) -> anyhow::Result<()> {
    let (data, snapshot) = place.open_configured()?;
    let encryption = snapshot.store.encryption;
    let encryption =
        encryption.context("store.encryption is not set; tollgate secrets generate prints a key")?;
    let done = data.database()?.rewrap(&server::sealer(&encryption)?)?;
    say(&format!(
        "{} of {} data keys are wrapped anew; previous keys are not needed any more",
        done.changed, done.total
    ));
    Ok(())
}

fn check(place: &Place, as_json: bool) -> anyhow::Result<ExitCode> {
    let config = place.config().context("name the configuration file with --config")?;
    let tried = SecretStores::default().try_all(config);
    let tried = tried.map_err(|problems| anyhow::anyhow!("the configuration is not valid\n{problems}"))?;
    if as_json {
        say(&Value::from(tried.iter().map(told).collect::<Vec<Value>>()).to_string());
    } else if tried.is_empty() {
        say("the configuration has no stores under secrets");
    } else {
        say(&table(&["store", "kind", "secret", "answer"], &tried.iter().map(row).collect::<Vec<_>>()));
    }
    let good = tried.iter().all(|one| one.failure.is_none());
    Ok(if good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn told(tried: &Tried) -> Value {
    json!({
        "store": tried.store, "kind": tried.kind, "secret": tried.reference,
        "good": tried.failure.is_none(), "error": tried.failure,
    })
}

fn row(tried: &Tried) -> Vec<String> {
    let secret = tried.reference.clone().unwrap_or_else(|| "(the store itself)".to_owned());
    let answer = tried.failure.clone().unwrap_or_else(|| "good".to_owned());
    vec![tried.store.clone(), tried.kind.to_owned(), secret, answer]
}

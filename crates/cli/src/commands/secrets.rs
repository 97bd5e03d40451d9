//! `tollgate secrets`.

use std::{path::PathBuf, process::ExitCode};

use clap::{Args, Subcommand};
use serde_json::{Value, json};
use server::{SecretStores, Tried};

use super::{say, say_error, table};

#[derive(Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Ask every store for all that the configuration refers to, and say which answers. No value is shown.
    #[command(after_help = "Example: tollgate secrets check --config tollgate.yaml")]
    Check {
        /// The configuration file.
        #[arg(long, short, env = "TOLLGATE_CONFIG")]
        config: PathBuf,
        /// Print as JSON.
        #[arg(long)]
        json: bool,
    },
}

pub(crate) fn run(arguments: &Arguments) -> ExitCode {
    let Command::Check { config, json } = &arguments.command;
    let tried = match SecretStores::default().try_all(config) {
        Ok(tried) => tried,
        Err(problems) => {
            say_error(&problems.to_string());
            return ExitCode::FAILURE;
        }
    };
    if *json {
        say(&Value::from(tried.iter().map(told).collect::<Vec<Value>>()).to_string());
    } else if tried.is_empty() {
        say("the configuration has no stores under secrets");
    } else {
        say(&table(&["store", "kind", "secret", "answer"], &tried.iter().map(row).collect::<Vec<_>>()));
    }
    if tried.iter().all(|one| one.failure.is_none()) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
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

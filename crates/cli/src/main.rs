//! The binary `tollgate`.

mod commands;
mod import;
mod welcome;

use std::{path::PathBuf, process::ExitCode};

use clap::{Parser, Subcommand};

use commands::{
    accounts, budgets, catalog, check, credentials, erase, explain, keys, logs,
    registry::{audit, export, history, plan, things},
    rollouts, secrets, serve, simulate,
};
use policy::principal::EntityKind;

/// An LLM gateway: one address for every provider, with keys, costs and a journal.
#[derive(Parser)]
#[command(version, after_help = "Example: tollgate serve --config tollgate.yaml")]
struct CommandLine {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    serve: serve::Arguments,
}

#[derive(Subcommand)]
enum Command {
    /// Serve (what happens without a command).
    #[command(after_help = "Example: tollgate serve --config tollgate.yaml")]
    Serve(serve::Arguments),
    /// Check a configuration file and report every error.
    #[command(after_help = "Example: tollgate check tollgate.yaml")]
    Check {
        file: PathBuf,
        /// Print as JSON.
        #[arg(long)]
        json: bool,
    },
    /// Print the JSON Schema of the configuration, for editors.
    #[command(after_help = "Example: tollgate schema > tollgate.schema.json")]
    Schema,
    /// Print the description of the admin API (OpenAPI 3.1).
    #[command(after_help = "Example: tollgate openapi > openapi.json")]
    Openapi,
    /// Tell where a request would go, and why, and send nothing.
    Explain(explain::Arguments),
    /// Make, list and revoke keys.
    Keys(keys::Arguments),
    /// List, make, change and end organizations.
    #[command(after_help = "Example: tollgate organizations create acme --budget 10000/month")]
    Organizations(things::Arguments),
    /// List, make, change and end teams.
    #[command(after_help = "Example: tollgate teams create search --organization acme --budget 3000/month")]
    Teams(things::Arguments),
    /// List, make, change and end projects.
    #[command(after_help = "Example: tollgate projects create indexer --team search")]
    Projects(things::Arguments),
    /// List, make, change and end users.
    #[command(after_help = "Example: tollgate users create kim --team search --budget 20/day")]
    Users(things::Arguments),
    /// List, make, change and end service accounts.
    #[command(after_help = "Example: tollgate service-accounts create bot --project indexer")]
    ServiceAccounts(things::Arguments),
    /// Print what the registry owns as a registry file.
    Export(export::Arguments),
    /// Show what a registry file would change.
    Plan(plan::PlanArguments),
    /// Make the registry say what a registry file says.
    Apply(plan::ApplyArguments),
    /// Show what has changed in the registry, and who changed it.
    History(history::HistoryArguments),
    /// Take the registry, or one thing, back to what it was, by a new change.
    Rollback(history::RollbackArguments),
    /// Read the audit, and look whether it is as it was written.
    Audit(audit::Arguments),
    /// Make, list and disable accounts of people who sign in with a password.
    Accounts(accounts::Arguments),
    /// List budgets, top them up, and start them anew.
    Budgets(budgets::Arguments),
    /// Forget everything about somebody.
    Erase(erase::Arguments),
    /// Ask the stores of secrets; make and change the key that secrets in the database are sealed under.
    Secrets(secrets::Arguments),
    /// Keep credentials of providers in the registry, sealed.
    Credentials(credentials::Arguments),
    /// List the providers of the catalogue.
    #[command(after_help = "Example: tollgate providers --json")]
    Providers {
        /// Print as JSON.
        #[arg(long)]
        json: bool,
    },
    /// List the models of the catalogue with their limits and prices.
    #[command(after_help = "Example: tollgate models --can vision,tools --max-price 0.5")]
    Models(catalog::Wish),
    /// Show the journal: the latest calls, or sums by key and model.
    Logs(logs::Arguments),
    /// List rollouts: how far each is, how both sides do, and why it is where it is.
    Rollouts(rollouts::Arguments),
    /// Make a configuration of another gateway's, and take over its keys.
    Import(import::Arguments),
    /// Run the provider simulator on its own.
    #[command(after_help = "Example: tollgate sim --listen 127.0.0.1:9090")]
    Sim(simulate::Arguments),
}

fn main() -> ExitCode {
    let arguments = CommandLine::parse();
    let done = match arguments.command {
        None => serve::run(&arguments.serve),
        Some(Command::Serve(arguments)) => serve::run(&arguments),
        Some(Command::Check { file, json }) => return check::run(&file, json),
        Some(Command::Schema) => check::schema(),
        Some(Command::Openapi) => check::openapi(),
        Some(Command::Explain(arguments)) => explain::run(&arguments),
        Some(Command::Keys(arguments)) => keys::run(&arguments),
        Some(Command::Organizations(arguments)) => things::run(EntityKind::Organization, &arguments),
        Some(Command::Teams(arguments)) => things::run(EntityKind::Team, &arguments),
        Some(Command::Projects(arguments)) => things::run(EntityKind::Project, &arguments),
        Some(Command::Users(arguments)) => things::run(EntityKind::User, &arguments),
        Some(Command::ServiceAccounts(arguments)) => things::run(EntityKind::ServiceAccount, &arguments),
        Some(Command::Export(arguments)) => export::run(&arguments),
        Some(Command::Plan(arguments)) => return code(plan::plan(&arguments)),
        Some(Command::Apply(arguments)) => plan::apply(&arguments),
        Some(Command::History(arguments)) => history::history(&arguments),
        Some(Command::Rollback(arguments)) => history::rollback(&arguments),
        Some(Command::Audit(arguments)) => return code(audit::run(&arguments)),
        Some(Command::Accounts(arguments)) => accounts::run(&arguments),
        Some(Command::Budgets(arguments)) => budgets::run(&arguments),
        Some(Command::Erase(arguments)) => erase::run(&arguments),
        Some(Command::Secrets(arguments)) => return code(secrets::run(&arguments)),
        Some(Command::Credentials(arguments)) => credentials::run(&arguments),
        Some(Command::Providers { json }) => catalog::providers(json),
        Some(Command::Models(wish)) => catalog::models(&wish),
        Some(Command::Logs(arguments)) => logs::run(&arguments),
        Some(Command::Rollouts(arguments)) => rollouts::run(&arguments),
        Some(Command::Import(arguments)) => import::run(&arguments),
        Some(Command::Sim(arguments)) => simulate::run(&arguments),
    };
    code(done.map(|()| ExitCode::SUCCESS))
}

fn code(done: anyhow::Result<ExitCode>) -> ExitCode {
    done.unwrap_or_else(|error| {
        commands::say_error(&format!("tollgate: {error:#}"));
        ExitCode::FAILURE
    })
}

//! `tollgate accounts`.

use std::collections::HashMap;

use anyhow::{Context, bail};
use clap::{Args, Subcommand};
use policy::{Secret, Snapshot, config::unknown_role, principal::EntityKind, role::RoleName};
use serde_json::json;
use store::{Account, ActorKind, Author, Database, NewAccount, PasswordHash, Renewed, Tenancy, Transaction};
use uuid::Uuid;

use super::{Place, say, say_error, table};

/// The most accounts that are listed.
const LISTED_MAX: u32 = 10_000;

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
    /// Make an account and show its one-time password, once.
    #[command(after_help = "Example: tollgate accounts create kim@example.com --role owner")]
    Create {
        /// What its owner signs in by.
        name: String,
        /// What it may administer, as owner, admin or viewer.
        #[arg(long)]
        role: String,
        /// The organization it administers, by name or id. Default: the whole gateway.
        #[arg(long)]
        organization: Option<String>,
    },
    /// List accounts.
    #[command(after_help = "Example: tollgate accounts list --json")]
    List,
    /// Let nobody sign in with an account, and end its sessions at once.
    #[command(after_help = "Example: tollgate accounts disable kim@example.com")]
    Disable { name: String },
    /// Let its owner sign in again.
    #[command(after_help = "Example: tollgate accounts enable kim@example.com")]
    Enable { name: String },
    /// Give an account another one-time password and show it, once; its sessions end.
    #[command(after_help = "Example: tollgate accounts password kim@example.com")]
    Password { name: String },
}

/// What a command does its work with.
struct Desk {
    database: Database,
    hasher: store::KeyHasher,
    as_json: bool,
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let (data, snapshot) = arguments.place.open_configured()?;
    let mut desk = Desk { database: data.database()?, hasher: data.hasher(), as_json: arguments.json };
    match &arguments.command {
        Command::Create { name, role, organization } => {
            let organization = organization.as_deref();
            let organization =
                organization.map(|wanted| found(&snapshot, &mut desk.database, wanted)).transpose()?;
            desk.create(NewAccount {
                name: name.clone(),
                organization,
                role: known(&snapshot, role)?,
                disabled: false,
            })
        }
        Command::List => desk.list(),
        Command::Disable { name } => desk.switch(name, true),
        Command::Enable { name } => desk.switch(name, false),
        Command::Password { name } => desk.password(name),
    }
}

impl Desk {
    fn create(&mut self, new: NewAccount) -> anyhow::Result<()> {
        if new.name.trim() != new.name || new.name.is_empty() || new.name.contains(char::is_control) {
            bail!("the name must not be empty, nor begin or end with a space");
        }
        let (password, hash) = self.made_up()?;
        let account = self.write(|transaction| transaction.create_account(&new, &hash))?;
        self.show_once(&account, &password);
        Ok(())
    }

    fn password(&mut self, name: &str) -> anyhow::Result<()> {
        let (password, hash) = self.made_up()?;
        let id = self.find(name)?.id;
        let account = self.write(|transaction| {
            let account = transaction.account(id)?.ok_or(store::Error::NoObject(id))?;
            transaction.set_password(&account, &hash, true)
        })?;
        self.show_once(&account, &password);
        Ok(())
    }

    fn switch(&mut self, name: &str, disabled: bool) -> anyhow::Result<()> {
        let id = self.find(name)?.id;
        let account = self.write(|transaction| {
            let before = transaction.account(id)?.ok_or(store::Error::NoObject(id))?;
            let renewed = Renewed { name: before.name.clone(), role: before.role.clone(), disabled };
            transaction.change_account(&before, &renewed)
        })?;
        let word = if disabled { "disabled" } else { "enabled" };
        say(&if self.as_json { shown(&account).to_string() } else { format!("{} is {word}", account.name) });
        Ok(())
    }

    fn list(&mut self) -> anyhow::Result<()> {
        let accounts = self.database.accounts(Tenancy::All, None, (None, LISTED_MAX))?;
        if self.as_json {
            say(&json!(accounts.iter().map(shown).collect::<Vec<_>>()).to_string());
            return Ok(());
        }
        let now_us = server::now_us();
        let row = |account: &Account| {
            let state = match account {
                _ if account.disabled => "disabled",
                _ if account.locked_until_us > now_us => "locked",
                _ => one_time(account.one_time_until_us, now_us),
            };
            let organization = account.organization.map_or_else(String::new, |id| id.to_string());
            vec![account.name.clone(), account.role.clone(), organization, state.to_owned()]
        };
        let rows: Vec<Vec<String>> = accounts.iter().map(row).collect();
        say(&table(&["name", "role", "organization", "state"], &rows));
        Ok(())
    }

    fn find(&mut self, name: &str) -> anyhow::Result<Account> {
        let found = match Uuid::parse_str(name) {
            Ok(id) => self.database.account(Tenancy::All, id)?,
            Err(_) => self.database.account_named(Tenancy::All, name)?,
        };
        found.with_context(|| format!("there is no account named \"{name}\"; see tollgate accounts list"))
    }

    fn made_up(&self) -> anyhow::Result<(Secret, PasswordHash)> {
        let password = store::new_password()?;
        let hash = PasswordHash::new(&self.hasher, &password)?;
        Ok((password, hash))
    }

    fn write(
        &mut self,
        work: impl FnOnce(&mut Transaction<'_>) -> Result<Account, store::Error>,
    ) -> anyhow::Result<Account> {
        let author = Author {
            actor: "tollgate accounts".to_owned(),
            kind: ActorKind::Command,
            address: None,
            request_id: None,
        };
        Ok(self.database.write(Tenancy::All, (&author, server::now_us()), HashMap::new(), work)?)
    }

    fn show_once(&self, account: &Account, password: &Secret) {
        if self.as_json {
            let mut shown = shown(account);
            shown["password"] = password.expose().into();
            return say(&shown.to_string());
        }
        say(password.expose());
        say_error(
            "This password is shown once, opens the account for a week and must be changed when it is used; keep it now.",
        );
    }
}

fn one_time(until_us: Option<i64>, now_us: i64) -> &'static str {
    match until_us {
        None => "good",
        Some(until_us) if until_us > now_us => "one-time password",
        Some(_) => "one-time password, too old",
    }
}

fn shown(account: &Account) -> serde_json::Value {
    json!({
        "id": account.id, "name": account.name, "role": account.role, "organization": account.organization,
        "disabled": account.disabled, "one_time_password": account.one_time_until_us.is_some(),
        "one_time_until_us": account.one_time_until_us,
    })
}

fn known(snapshot: &Snapshot, role: &str) -> anyhow::Result<String> {
    match unknown_role(&RoleName::new(role), &snapshot.roles) {
        Some(message) => bail!(message),
        None => Ok(role.to_owned()),
    }
}

/// The organization of a name or id, of the file or of the registry.
fn found(snapshot: &Snapshot, database: &mut Database, wanted: &str) -> anyhow::Result<Uuid> {
    let mut entities = snapshot.entities.clone();
    entities.extend(database.entities()?);
    let id = Uuid::parse_str(wanted).ok();
    let found = entities.iter().find(|entity| {
        entity.kind == EntityKind::Organization && id.map_or(entity.name == wanted, |id| entity.id == id)
    });
    found
        .map(|entity| entity.id)
        .with_context(|| format!("there is no organization \"{wanted}\"; write its name or its id"))
}

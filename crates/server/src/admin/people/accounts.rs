//! Local accounts: who may sign in with a password.

use std::collections::HashMap;

use http::StatusCode;
use policy::{Secret, config::unknown_role, principal::EntityKind, role::RoleName};
use store::{Account, Database, NewAccount, Renewed, Tenancy};
use uuid::Uuid;

use super::{
    bodies::{LocalAccount, LocalAccountBody, LocalAccountPatch, LocalAccountWithPassword, OneTimePassword},
    local::read_body,
    passwords,
};
use crate::{
    admin::{
        Admin, Reply,
        bodies::List,
        examine::check_name,
        query::{Expected, LISTED_MAX, cursor, is_known, no_cursor},
        refusal::{Refusal, Wrong},
        side::Asked,
        who::Who,
    },
    world::{World, now_us},
};

impl Admin {
    pub(super) async fn accounts(&self, asked: &Asked<'_>) -> Result<Reply, Refusal> {
        let limit = asked.parameters.limit(LISTED_MAX)?;
        let after = asked.parameters.cursor()?;
        let after = after.map(|text| Uuid::parse_str(&text).map_err(|_| no_cursor())).transpose()?;
        let search = asked.parameters.text("search").map(str::to_owned);
        let tenancy = asked.who.tenancy();
        let mut found =
            self.database.ask(move |database| database.accounts(tenancy, search, (after, limit + 1))).await?;
        let is_last = found.len() <= limit as usize;
        found.truncate(limit as usize);
        let next_cursor = found.last().filter(|_| !is_last).map(|account| cursor(&account.id.to_string()));
        let now_us = now_us();
        let data = found.iter().map(|account| LocalAccount::new(account, now_us)).collect();
        Ok(Reply::ok(&List { data, next_cursor }))
    }

    pub(super) async fn read_account(&self, asked: &Asked<'_>) -> Result<Reply, Refusal> {
        let (tenancy, wanted) = (asked.who.tenancy(), asked.name.clone());
        let account = self.database.ask(move |database| Ok(find(database, tenancy, &wanted))).await??;
        if is_known(&asked.request.headers, account.version) {
            let reply = Reply::json(StatusCode::NOT_MODIFIED, &());
            return Ok(Reply { body: String::new(), ..reply }.with("etag", tag(&account)));
        }
        Ok(shown(StatusCode::OK, &account))
    }

    pub(super) async fn create_account(&self, asked: &Asked<'_>) -> Result<Reply, Refusal> {
        let body: LocalAccountBody = read_body(&asked.request.body)?;
        let mut wrong = Vec::new();
        check_name(&body.name, &mut wrong);
        let world = self.shared.world.load_full();
        let role = role(&body.role, &world, &mut wrong);
        if !wrong.is_empty() {
            return Err(Refusal::invalid(wrong));
        }
        asked.who.may_give(role.as_ref())?;
        let password = store::new_password()?;
        let hash = self.people.passwords.hash(self.shared.hasher.clone(), password.clone()).await?;
        let who = asked.who.clone();
        let account = self.read_as(move |database| {
            let organization = organization(&who, &world, database, body.organization.as_deref())?;
            let new = NewAccount { name: body.name, organization, role: body.role, disabled: body.disabled };
            let author = who.author();
            database.write(who.tenancy(), (&author, now_us()), HashMap::new(), |transaction| {
                Ok::<_, Refusal>(transaction.create_account(&new, &hash)?)
            })
        });
        let account = account.await?;
        let reply = with_password(StatusCode::CREATED, &account, Some(&password));
        Ok(reply.with("location", format!("/admin/v1/accounts/{}", account.id)))
    }

    pub(super) async fn merge_account(&self, asked: &Asked<'_>) -> Result<Reply, Refusal> {
        let patch: LocalAccountPatch = read_body(&asked.request.body)?;
        let mut wrong = Vec::new();
        if let Some(name) = &patch.name {
            check_name(name, &mut wrong);
        }
        let world = self.shared.world.load_full();
        let given = patch.role.as_ref().and_then(|name| role(name, &world, &mut wrong));
        if !wrong.is_empty() {
            return Err(Refusal::invalid(wrong));
        }
        asked.who.may_give(given.as_ref())?;
        let (who, wanted) = (asked.who.clone(), asked.name.clone());
        let expected = Expected::read(&asked.request.headers);
        let account = self.read_as(move |database| {
            let found = find(database, who.tenancy(), &wanted)?;
            let author = who.author();
            database.write(who.tenancy(), (&author, now_us()), HashMap::new(), |transaction| {
                let before = transaction.account(found.id)?;
                let before = before.ok_or_else(|| Refusal::not_found("account", &wanted))?;
                may_touch(&who, &before)?;
                expected.check(before.version)?;
                let renewed = Renewed {
                    name: patch.name.unwrap_or_else(|| before.name.clone()),
                    role: patch.role.unwrap_or_else(|| before.role.clone()),
                    disabled: patch.disabled.unwrap_or(before.disabled),
                };
                Ok::<_, Refusal>(transaction.change_account(&before, &renewed)?)
            })
        });
        Ok(shown(StatusCode::OK, &account.await?))
    }

    pub(super) async fn delete_account(&self, asked: &Asked<'_>) -> Result<Reply, Refusal> {
        let (who, wanted) = (asked.who.clone(), asked.name.clone());
        let expected = Expected::read(&asked.request.headers);
        let account = self.read_as(move |database| {
            let found = find(database, who.tenancy(), &wanted)?;
            let author = who.author();
            database.write(who.tenancy(), (&author, now_us()), HashMap::new(), |transaction| {
                let before = transaction.account(found.id)?;
                let before = before.ok_or_else(|| Refusal::not_found("account", &wanted))?;
                may_touch(&who, &before)?;
                expected.check(before.version)?;
                Ok::<_, Refusal>(transaction.delete_account(&before)?)
            })
        });
        Ok(shown(StatusCode::OK, &account.await?))
    }

    /// Gives somebody else a password for one time.
    pub(super) async fn set_password(&self, asked: &Asked<'_>) -> Result<Reply, Refusal> {
        let body: OneTimePassword = read_body(&asked.request.body)?;
        let (who, wanted) = (asked.who.clone(), asked.name.clone());
        let tenancy = who.tenancy();
        let found = self.database.ask(move |database| Ok(find(database, tenancy, &wanted))).await??;
        may_touch(&who, &found)?;
        if who.id == found.id {
            let message =
                "change your own password with POST /admin/v1/me/password, which asks for the old one";
            return Err(Refusal::new(StatusCode::CONFLICT, "own_password", message));
        }
        let made_up = match &body.password {
            Some(_) => None,
            None => Some(store::new_password()?),
        };
        if let Some(chosen) = &body.password {
            passwords::check(chosen, &found.name, "password")
                .map_err(|wrong| Refusal::invalid(vec![wrong]))?;
        }
        let password = made_up.clone().unwrap_or_else(|| Secret::new(body.password.unwrap_or_default()));
        let hash = self.people.passwords.hash(self.shared.hasher.clone(), password).await?;
        let account = self.read_as(move |database| {
            let author = who.author();
            database.write(who.tenancy(), (&author, now_us()), HashMap::new(), |transaction| {
                let account = transaction.account(found.id)?;
                let account = account.ok_or_else(|| Refusal::not_found("account", &found.name))?;
                may_touch(&who, &account)?;
                Ok::<_, Refusal>(transaction.set_password(&account, &hash, true)?)
            })
        });
        Ok(with_password(StatusCode::OK, &account.await?, made_up.as_ref()))
    }

    async fn read_as(
        &self,
        work: impl FnOnce(&mut Database) -> Result<Account, Refusal> + Send + 'static,
    ) -> Result<Account, Refusal> {
        self.database.ask(move |database| Ok(work(database))).await?
    }
}

/// The account of an id or a name, where it may be seen.
fn find(database: &mut Database, tenancy: Tenancy, wanted: &str) -> Result<Account, Refusal> {
    let found = match Uuid::parse_str(wanted) {
        Ok(id) => database.account(tenancy, id)?,
        Err(_) => database.account_named(tenancy, wanted)?,
    };
    found.ok_or_else(|| Refusal::not_found("account", wanted))
}

/// Nobody touches an account whose role is above their own.
fn may_touch(who: &Who, account: &Account) -> Result<(), Refusal> {
    Ok(who.may_give(Some(&RoleName::new(&account.role)))?)
}

fn role(name: &str, world: &World, wrong: &mut Vec<Wrong>) -> Option<RoleName> {
    let role = RoleName::new(name);
    match unknown_role(&role, &world.snapshot.roles) {
        Some(message) => {
            wrong.push(Wrong::new("role", message));
            None
        }
        None => Some(role),
    }
}

/// The organization that somebody names for an account: whoever administers one makes accounts for that one only.
fn organization(
    who: &Who,
    world: &World,
    database: &mut Database,
    wanted: Option<&str>,
) -> Result<Option<Uuid>, Refusal> {
    let Some(wanted) = wanted else { return Ok(who.organization) };
    let mut entities = world.snapshot.entities.clone();
    entities.extend(database.entities()?);
    let id = Uuid::parse_str(wanted).ok();
    let mut fitting = entities.iter().filter(|entity| {
        entity.kind == EntityKind::Organization
            && who.organization.is_none_or(|own| own == entity.id)
            && id.map_or(entity.name == wanted, |id| entity.id == id)
    });
    let found = fitting.next().ok_or_else(|| {
        let message = format!("there is no organization \"{wanted}\"; write its id or its name");
        Refusal::invalid(vec![Wrong::new("organization", message)])
    })?;
    Ok(Some(found.id))
}

fn shown(status: StatusCode, account: &Account) -> Reply {
    Reply::json(status, &LocalAccount::new(account, now_us())).with("etag", tag(account))
}

fn with_password(status: StatusCode, account: &Account, password: Option<&Secret>) -> Reply {
    let password = password.map(|password| password.expose().to_owned());
    let account_shown = LocalAccount::new(account, now_us());
    let reply = Reply::json(status, &LocalAccountWithPassword { account: account_shown, password });
    reply.with("etag", tag(account))
}

fn tag(account: &Account) -> String {
    format!("\"{}\"", account.version)
}

//! Accounts of people who sign in with a password: objects of the kind `account`, and the passwords beside them.

use std::collections::HashMap;

use serde_json::json;
use uuid::Uuid;

use crate::{
    Author, Change, Database, Error, Object, PasswordHash, Tenancy, Transaction,
    audit::Event,
    objects::Query,
    password::Cost,
    sql::{Row, transaction},
};

pub(crate) const KIND: &str = "account";

/// So many wrong passwords in a row lock an account.
const TRIES_MAX: u64 = 5;
/// For how long it is locked at first, in microseconds: 15 minutes. Each time doubles it.
const LOCKED_US: i64 = 15 * 60 * 1_000_000;
const LOCKED_US_MAX: i64 = 24 * 3_600 * 1_000_000;
/// After how long wrong passwords are forgotten, in microseconds.
const TRIES_US: i64 = 24 * 3_600 * 1_000_000;
/// For how long a one-time password opens an account, in microseconds: a week.
const ONE_TIME_US: i64 = 7 * 24 * 3_600 * 1_000_000;

/// An account as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    pub id: Uuid,
    /// What its owner signs in by: there are no two that differ in case only.
    pub name: String,
    /// The one that it administers; all where there is none.
    pub organization: Option<Uuid>,
    pub role: String,
    pub disabled: bool,
    /// Where its password must be changed before anything else is answered: until when it opens the account, in microseconds
    /// since 1970.
    pub one_time_until_us: Option<i64>,
    /// Until when no password opens it, in microseconds since 1970.
    pub locked_until_us: i64,
    pub version: u64,
    pub created_us: i64,
    pub updated_us: i64,
}

/// An account to be made.
#[derive(Clone, Debug)]
pub struct NewAccount {
    pub name: String,
    pub organization: Option<Uuid>,
    pub role: String,
    pub disabled: bool,
}

/// What of an account may be changed.
#[derive(Clone, Debug)]
pub struct Renewed {
    pub name: String,
    pub role: String,
    pub disabled: bool,
}

/// What is known when somebody tries a password.
#[derive(Clone, Debug)]
pub struct Try {
    pub account: Account,
    /// What the password must fit.
    pub hash: PasswordHash,
    /// Whether a password that fits may open it: it is not locked, and its one-time password is not too old.
    pub granted: bool,
    /// Whether it is locked if this password does not fit.
    pub last: bool,
}

/// What the registry says of an account, without what its password says.
pub fn account_of(object: &Object) -> Account {
    let text = |name: &str| object.body.get(name).and_then(|value| value.as_str()).map(str::to_owned);
    let disabled = object.body.get("disabled").and_then(serde_json::Value::as_bool).unwrap_or_default();
    let role = text("role");
    Account {
        id: object.id,
        name: object.name.clone(),
        organization: object.organization,
        // What cannot be read opens nothing.
        disabled: disabled || role.is_none() || object.deleted_us.is_some(),
        role: role.unwrap_or_default(),
        one_time_until_us: None,
        locked_until_us: 0,
        version: object.version,
        created_us: object.created_us,
        updated_us: object.updated_us,
    }
}

/// Names are told apart without their case.
fn lower(name: &str) -> String {
    crate::changes::clean(&name.to_lowercase())
}

impl Database {
    /// Accounts in the order of their ids.
    pub fn accounts(
        &mut self,
        tenancy: Tenancy,
        search: Option<String>,
        (after, limit): (Option<Uuid>, u32),
    ) -> Result<Vec<Account>, Error> {
        let query = Query { kind: KIND.to_owned(), search, after, limit, ..Query::default() };
        let objects = self.objects(tenancy, &query)?;
        let select = "SELECT one_time, changed_us, locked_until_us, account FROM account_passwords";
        let rows = self.engine.query(select, &[])?;
        let mut states = HashMap::with_capacity(rows.len());
        for row in &rows {
            states.insert(row.get::<Uuid>(3)?, State::read(row)?);
        }
        let with_state = |object: &Object| {
            let state = states.get(&object.id).copied().unwrap_or_default();
            state.of(account_of(object))
        };
        Ok(objects.iter().map(with_state).collect())
    }

    pub fn account(&mut self, tenancy: Tenancy, id: Uuid) -> Result<Option<Account>, Error> {
        let object = self.object(tenancy, id)?.filter(|object| object.kind == KIND);
        let Some(object) = object else { return Ok(None) };
        let row = self.engine.query_first(STATE, &[id.into()])?;
        let state = row.map(|row| State::read(&row)).transpose()?;
        Ok(Some(state.unwrap_or_default().of(account_of(&object))))
    }

    /// The account of this name, without its case.
    pub fn account_named(&mut self, tenancy: Tenancy, name: &str) -> Result<Option<Account>, Error> {
        let select = "SELECT account FROM account_passwords WHERE name = ?1";
        match self.engine.query_first(select, &[lower(name).into()])? {
            Some(row) => self.account(tenancy, row.get(0)?),
            None => Ok(None),
        }
    }

    /// Whether there are accounts at all.
    pub fn has_accounts(&mut self) -> Result<bool, Error> {
        Ok(self.engine.query_first("SELECT account FROM account_passwords LIMIT 1", &[])?.is_some())
    }

    /// Counts a try before it is made, so that however many come at a time, only so many are. [`Transaction::opened`] forgets them.
    pub fn try_password(&mut self, name: &str, now_us: i64) -> Result<Option<Try>, Error> {
        let counted = transaction(&mut *self.engine, |engine| {
            // Writing to the row first makes others who try wait.
            let hold = "UPDATE account_passwords SET tried_us = tried_us WHERE name = ?1 RETURNING account, salt, hash, \
                        memory_kib, passes, lanes, tries, tried_us, lockouts, locked_until_us";
            let Some(row) = engine.query_first(hold, &[lower(name).into()])? else { return Ok(None) };
            let (account, hash) = (row.get::<Uuid>(0)?, hash_of(&row)?);
            let tried = Tried {
                tries: row.get(6)?,
                tried_us: row.get(7)?,
                lockouts: row.get(8)?,
                locked_until_us: row.get(9)?,
            };
            let Some(next) = tried.next(now_us) else { return Ok(Some((account, hash, None))) };
            let update = "UPDATE account_passwords SET tries = ?2, tried_us = ?3, lockouts = ?4, locked_until_us = ?5 \
                          WHERE account = ?1";
            let values = [
                account.into(),
                next.tries.into(),
                next.tried_us.into(),
                next.lockouts.into(),
                next.locked_until_us.into(),
            ];
            engine.execute(update, &values)?;
            Ok::<_, Error>(Some((account, hash, Some(next.locked_until_us > now_us))))
        })?;
        let Some((id, hash, granted)) = counted else { return Ok(None) };
        let account = self.account(Tenancy::All, id)?;
        let found = |account: Account| {
            let is_over = account.one_time_until_us.is_some_and(|until_us| until_us <= now_us);
            Try { account, hash, granted: granted.is_some() && !is_over, last: granted == Some(true) }
        };
        Ok(account.map(found))
    }

    /// Puts an event into the audit that changes nothing: somebody was refused, or an account was locked.
    pub fn tell_of_account(
        &mut self,
        action: &str,
        account: &Account,
        after: Option<String>,
        (author, now_us): (&Author, i64),
    ) -> Result<(), Error> {
        self.append_audit(&event(action, account, after), author, now_us)
    }
}

/// What an account's password says of it.
#[derive(Clone, Copy, Default)]
struct State {
    one_time_until_us: Option<i64>,
    locked_until_us: i64,
}

impl State {
    fn read(row: &Row) -> Result<State, Error> {
        let (one_time, changed_us) = (row.get::<bool>(0)?, row.get(1)?);
        let one_time_until_us = one_time.then(|| one_time_until(changed_us));
        Ok(State { one_time_until_us, locked_until_us: row.get(2)? })
    }

    fn of(self, account: Account) -> Account {
        let State { one_time_until_us, locked_until_us } = self;
        Account { one_time_until_us, locked_until_us, ..account }
    }
}

fn one_time_until(given_us: i64) -> i64 {
    given_us.saturating_add(ONE_TIME_US)
}

const STATE: &str = "SELECT one_time, changed_us, locked_until_us FROM account_passwords WHERE account = ?1";

/// How often a password was tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Tried {
    tries: u64,
    tried_us: i64,
    lockouts: u64,
    locked_until_us: i64,
}

impl Tried {
    /// The same with one more; nothing where it is locked.
    fn next(self, now_us: i64) -> Option<Tried> {
        if self.locked_until_us > now_us {
            return None;
        }
        let is_old = now_us.saturating_sub(self.tried_us) >= TRIES_US;
        let tries = if is_old { 1 } else { self.tries + 1 };
        if tries < TRIES_MAX {
            return Some(Tried { tries, tried_us: now_us, ..self });
        }
        let doubled = LOCKED_US.saturating_mul(1 << self.lockouts.min(16));
        let locked_until_us = now_us.saturating_add(doubled.min(LOCKED_US_MAX));
        Some(Tried { tries: 0, tried_us: now_us, lockouts: self.lockouts + 1, locked_until_us })
    }
}

fn hash_of(row: &Row) -> Result<PasswordHash, Error> {
    let count = |column: usize| {
        u32::try_from(row.get::<u64>(column)?)
            .map_err(|_| Error::Database(format!("column {column} holds no cost of a password")))
    };
    let cost = Cost { memory_kib: count(3)?, passes: count(4)?, lanes: count(5)? };
    Ok(PasswordHash { salt: row.get(1)?, hash: row.get(2)?, cost })
}

fn event(action: &str, account: &Account, after: Option<String>) -> Event {
    Event {
        action: action.to_owned(),
        kind: Some(KIND.to_owned()),
        object_id: Some(account.id),
        object_name: Some(account.name.clone()),
        organization: account.organization,
        before: None,
        after,
    }
}

impl Transaction<'_> {
    /// Makes an account that a one-time password opens.
    pub fn create_account(&mut self, new: &NewAccount, hash: &PasswordHash) -> Result<Account, Error> {
        let change = Change::Create {
            id: Uuid::now_v7(),
            kind: KIND.to_owned(),
            organization: new.organization,
            parent: None,
            name: new.name.clone(),
            body: json!({"role": new.role, "disabled": new.disabled}),
        };
        let account = account_of(&self.apply(&change)?);
        self.put_password(&account, hash, true)?;
        Ok(Account { one_time_until_us: Some(one_time_until(self.now_us)), ..account })
    }

    /// Changes an account; all its sessions end.
    pub fn change_account(&mut self, account: &Account, renewed: &Renewed) -> Result<Account, Error> {
        let change = Change::Update {
            id: account.id,
            expected: Some(account.version),
            name: renewed.name.clone(),
            parent: None,
            body: json!({"role": renewed.role, "disabled": renewed.disabled}),
        };
        let after = account_of(&self.apply(&change)?);
        let update = "UPDATE account_passwords SET name = ?2 WHERE account = ?1";
        let values = [account.id.into(), lower(&after.name).into()];
        self.writer.engine.execute(update, &values).map_err(|error| taken(error, &after.name))?;
        self.end_sessions_of(account.id)?;
        let (one_time_until_us, locked_until_us) = (account.one_time_until_us, account.locked_until_us);
        Ok(Account { one_time_until_us, locked_until_us, ..after })
    }

    /// Ends an account with its sessions.
    pub fn delete_account(&mut self, account: &Account) -> Result<Account, Error> {
        let change = Change::Delete { id: account.id, expected: Some(account.version) };
        let after = account_of(&self.apply(&change)?);
        let delete = "DELETE FROM account_passwords WHERE account = ?1";
        self.writer.engine.execute(delete, &[account.id.into()])?;
        self.end_sessions_of(account.id)?;
        Ok(after)
    }

    /// Gives an account another password, which unlocks it; all its sessions end.
    pub fn set_password(
        &mut self,
        account: &Account,
        hash: &PasswordHash,
        one_time: bool,
    ) -> Result<Account, Error> {
        self.put_password(account, hash, one_time)?;
        self.end_sessions_of(account.id)?;
        let after = json!({"one_time": one_time}).to_string();
        self.writer.tell(&event("password", account, Some(after)))?;
        let one_time_until_us = one_time.then(|| one_time_until(self.now_us));
        Ok(State { one_time_until_us, locked_until_us: 0 }.of(account.clone()))
    }

    /// Forgets the tries of somebody whose password fits, and keeps it at today's cost where it is given.
    pub fn opened(&mut self, account: Uuid, hash: Option<&PasswordHash>) -> Result<(), Error> {
        let update =
            "UPDATE account_passwords SET tries = 0, lockouts = 0, locked_until_us = 0 WHERE account = ?1";
        self.writer.engine.execute(update, &[account.into()])?;
        let Some(hash) = hash else { return Ok(()) };
        let update = "UPDATE account_passwords SET salt = ?2, hash = ?3, memory_kib = ?4, passes = ?5, lanes = ?6 \
                      WHERE account = ?1";
        let cost = hash.cost;
        let values = [
            account.into(),
            (&hash.salt).into(),
            (&hash.hash).into(),
            cost.memory_kib.into(),
            cost.passes.into(),
            cost.lanes.into(),
        ];
        self.writer.engine.execute(update, &values)?;
        Ok(())
    }

    /// One account while nobody else writes.
    pub fn account(&mut self, id: Uuid) -> Result<Option<Account>, Error> {
        let Some(object) = self.object(KIND, id)? else { return Ok(None) };
        let row = self.writer.engine.query_first(STATE, &[id.into()])?;
        let row = row.ok_or(Error::NoObject(id))?;
        Ok(Some(State::read(&row)?.of(account_of(&object))))
    }

    /// Whether the password is the one that was looked at: nobody has changed it meanwhile.
    pub fn has_password(&mut self, account: Uuid, hash: &PasswordHash) -> Result<bool, Error> {
        let select = "SELECT account FROM account_passwords WHERE account = ?1 AND hash = ?2";
        Ok(self.writer.engine.query_first(select, &[account.into(), (&hash.hash).into()])?.is_some())
    }

    fn put_password(&mut self, account: &Account, hash: &PasswordHash, one_time: bool) -> Result<(), Error> {
        let delete = "DELETE FROM account_passwords WHERE account = ?1";
        self.writer.engine.execute(delete, &[account.id.into()])?;
        let insert = "INSERT INTO account_passwords (account, name, salt, hash, memory_kib, passes, lanes, one_time, \
                      changed_us, tries, tried_us, lockouts, locked_until_us) \
                      VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, 0, 0, 0, 0)";
        let cost = hash.cost;
        let values = [
            account.id.into(),
            lower(&account.name).into(),
            (&hash.salt).into(),
            (&hash.hash).into(),
            cost.memory_kib.into(),
            cost.passes.into(),
            cost.lanes.into(),
            one_time.into(),
            self.now_us.into(),
        ];
        self.writer.engine.execute(insert, &values).map_err(|error| taken(error, &account.name))?;
        Ok(())
    }
}

/// Names are taken over all organizations, since whoever signs in names none.
fn taken(error: Error, name: &str) -> Error {
    match error {
        Error::Duplicate(_) => Error::NameTaken { kind: KIND.to_owned(), name: name.to_owned() },
        error => error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrong_passwords_lock_longer_each_time() {
        let mut tried = Tried { tries: 0, tried_us: 0, lockouts: 0, locked_until_us: 0 };
        let mut now_us = TRIES_US;
        for minutes in [15, 30, 60] {
            for _ in 0..4 {
                tried = tried.next(now_us).unwrap();
                assert!(tried.locked_until_us <= now_us);
            }
            tried = tried.next(now_us).unwrap();
            assert_eq!(tried.locked_until_us, now_us + minutes * 60_000_000);
            assert_eq!(tried.next(tried.locked_until_us - 1), None);
            now_us = tried.locked_until_us;
        }
        let many = Tried { tries: 4, lockouts: 60, ..tried };
        assert_eq!(many.next(now_us).unwrap().locked_until_us, now_us + LOCKED_US_MAX);
        let forgotten = Tried { tries: 4, tried_us: now_us - TRIES_US, ..tried };
        assert_eq!(forgotten.next(now_us).unwrap().tries, 1);
    }
}

//! Keys in the database.

use policy::{
    Secret,
    key::{ADMIN_PREFIX, KEY_PREFIX, Key, Owner, Scope},
    principal::Settings,
};
use uuid::Uuid;

use crate::{
    Database, Error, new_key,
    sql::{Row, transaction},
};

/// A key to be made.
#[derive(Clone, Debug)]
pub struct NewKey {
    pub name: String,
    pub models: Vec<String>,
    pub scope: Scope,
    /// Microseconds since 1970.
    pub expires_us: Option<i64>,
}

impl Database {
    /// Makes a key. The secret is returned here and never again.
    pub fn create_key(&mut self, new: &NewKey, now_us: i64) -> Result<(Key, Secret), Error> {
        let prefix = match new.scope {
            Scope::Calls => KEY_PREFIX,
            Scope::Admin => ADMIN_PREFIX,
        };
        let secret = new_key(prefix)?;
        let key = Key {
            id: Uuid::now_v7(),
            name: new.name.clone(),
            organization: None,
            parent: None,
            settings: Settings { models: new.models.clone(), ..Settings::default() },
            scope: new.scope,
            owner: Owner::Registry,
            created_us: now_us,
            expires_us: new.expires_us,
            revoked_us: None,
            hint: secret.expose().chars().take(prefix.len() + 5).collect(),
        };
        let models = serde_json::to_string(&key.settings.models).expect("a list of texts always serialises");
        let insert = "INSERT INTO keys (id, hash, name, models, scope, hint, created_us, expires_us) \
                      VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";
        let hash = self.hasher.hash(secret.expose());
        let inserted = transaction(&mut *self.engine, |engine| {
            let (hash, scope) = ((&hash).into(), scope_name(key.scope).into());
            let names = [key.id.into(), hash, (&key.name).into(), models.into(), scope, (&key.hint).into()];
            let values: Vec<_> = names.into_iter().chain([now_us.into(), key.expires_us.into()]).collect();
            engine.execute(insert, &values)
        });
        match inserted {
            Ok(_) => Ok((key, secret)),
            Err(Error::Duplicate(_)) => Err(Error::KeyExists(new.name.clone())),
            Err(error) => Err(error),
        }
    }

    /// Revokes the key of this name or id.
    pub fn revoke_key(&mut self, name: &str, now_us: i64) -> Result<Key, Error> {
        let id = Uuid::parse_str(name).ok();
        let update = "UPDATE keys SET revoked_us = ?1 WHERE (name = ?2 OR id = ?3) AND revoked_us IS NULL \
                      RETURNING id";
        let revoked = transaction(&mut *self.engine, |engine| {
            engine.query_first(update, &[now_us.into(), name.into(), id.into()])
        })?;
        let revoked: Option<Uuid> = revoked.map(|row| row.get(0)).transpose()?;
        let key = self.keys()?.into_iter().map(|(_, key)| key).find(|key| Some(key.id) == revoked);
        key.ok_or_else(|| Error::NoKey(name.to_owned()))
    }

    /// Every key with its hash, revoked ones included, oldest first.
    pub fn keys(&mut self) -> Result<Vec<([u8; 32], Key)>, Error> {
        let select = "SELECT hash, id, name, models, scope, hint, created_us, expires_us, revoked_us \
                      FROM keys ORDER BY created_us, id";
        self.engine.query(select, &[])?.iter().map(key_of).collect()
    }
}

fn key_of(row: &Row) -> Result<([u8; 32], Key), Error> {
    let models: String = row.get(3)?;
    let scope: String = row.get(4)?;
    let key = Key {
        id: row.get(1)?,
        name: row.get(2)?,
        organization: None,
        parent: None,
        settings: Settings {
            models: serde_json::from_str(&models).unwrap_or_default(),
            ..Settings::default()
        },
        scope: if scope == scope_name(Scope::Admin) { Scope::Admin } else { Scope::Calls },
        owner: Owner::Registry,
        hint: row.get(5)?,
        created_us: row.get(6)?,
        expires_us: row.get(7)?,
        revoked_us: row.get(8)?,
    };
    Ok((row.get(0)?, key))
}

fn scope_name(scope: Scope) -> &'static str {
    match scope {
        Scope::Calls => "calls",
        Scope::Admin => "admin",
    }
}

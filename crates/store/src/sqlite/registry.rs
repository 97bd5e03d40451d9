//! Keys in the database.

use policy::{
    Secret,
    key::{ADMIN_PREFIX, KEY_PREFIX, Key, Owner, Scope},
    principal::Settings,
};
use rusqlite::{OptionalExtension, Row, params};
use uuid::Uuid;

use crate::{Database, Error, new_key};

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
        let inserted = self.connection.execute(
            insert,
            params![key.id, hash, key.name, models, scope_name(key.scope), key.hint, now_us, key.expires_us],
        );
        match inserted {
            Ok(_) => Ok((key, secret)),
            Err(error) if error.sqlite_error_code() == Some(rusqlite::ErrorCode::ConstraintViolation) => {
                Err(Error::KeyExists(new.name.clone()))
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Revokes the key of this name or id.
    pub fn revoke_key(&mut self, name: &str, now_us: i64) -> Result<Key, Error> {
        let id = Uuid::parse_str(name).ok();
        let update = "UPDATE keys SET revoked_us = ?1 WHERE (name = ?2 OR id = ?3) AND revoked_us IS NULL \
                      RETURNING id";
        let revoked: Option<Uuid> =
            self.connection.query_row(update, params![now_us, name, id], |row| row.get(0)).optional()?;
        let revoked = revoked.ok_or_else(|| Error::NoKey(name.to_owned()))?;
        let key = self.keys()?.into_iter().map(|(_, key)| key).find(|key| key.id == revoked);
        key.ok_or_else(|| Error::NoKey(name.to_owned()))
    }

    /// Every key with its hash, revoked ones included, oldest first.
    pub fn keys(&self) -> Result<Vec<([u8; 32], Key)>, Error> {
        let select = "SELECT hash, id, name, models, scope, hint, created_us, expires_us, revoked_us \
                      FROM keys ORDER BY created_us, id";
        let mut statement = self.connection.prepare(select)?;
        let keys = statement.query_map([], key_of)?.collect::<Result<_, _>>()?;
        Ok(keys)
    }
}

fn key_of(row: &Row<'_>) -> rusqlite::Result<([u8; 32], Key)> {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::DataDir;

    #[test]
    fn keys_live_from_creation_to_revocation() {
        let folder = tempfile::tempdir().unwrap();
        let data = DataDir::open(folder.path()).unwrap();
        let mut database = data.database().unwrap();
        let new = NewKey {
            name: "app".to_owned(),
            models: vec!["fast".to_owned()],
            scope: Scope::Calls,
            expires_us: Some(9),
        };
        let (key, secret) = database.create_key(&new, 1).unwrap();
        assert!(matches!(database.create_key(&new, 1), Err(Error::KeyExists(_))));
        let stored = data.database().unwrap().keys().unwrap();
        assert_eq!(stored, vec![(data.hasher().hash(secret.expose()), key.clone())]);
        let file = std::fs::read(folder.path().join("tollgate.db-wal")).unwrap_or_default();
        assert!(!file.windows(20).any(|bytes| secret.expose().as_bytes().starts_with(bytes)));
        assert_eq!(database.revoke_key("app", 5).unwrap().revoked_us, Some(5));
        assert!(matches!(database.revoke_key("app", 6), Err(Error::NoKey(_))));
        assert!(database.create_key(&new, 7).is_ok(), "the name is free again");
    }
}

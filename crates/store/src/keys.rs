//! Keys: objects of the kind `key`, and the hashes by which they are known.

use policy::{
    Secret,
    key::{ADMIN_PREFIX, KEY_PREFIX, Key, Owner, Scope},
    principal::Settings,
    role::RoleName,
};
use serde_json::json;
use uuid::Uuid;

use crate::{
    Author, Change, Database, Error, Object, Tenancy,
    changes::Writer,
    new_key,
    objects::{COLUMNS, object_of},
    sql::{Row, transaction},
};

pub(crate) const KIND: &str = "key";

/// A key to be made.
#[derive(Clone, Debug)]
pub struct NewKey {
    pub name: String,
    pub models: Vec<String>,
    pub scope: Scope,
    /// Microseconds since 1970.
    pub expires_us: Option<i64>,
}

/// A hash by which a key is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyHash {
    pub hash: [u8; 32],
    pub key_id: Uuid,
    pub created_us: i64,
    /// Until when it is; for ever where there is no such moment.
    pub until_us: Option<i64>,
}

impl Database {
    /// Makes a key. The secret is returned here and never again.
    pub fn create_key(&mut self, new: &NewKey, now_us: i64) -> Result<(Key, Secret), Error> {
        let prefix = match new.scope {
            Scope::Calls => KEY_PREFIX,
            Scope::Admin => ADMIN_PREFIX,
        };
        let secret = new_key(prefix)?;
        let hint: String = secret.expose().chars().take(prefix.len() + 5).collect();
        let change = Change::Create {
            id: Uuid::now_v7(),
            kind: KIND.to_owned(),
            organization: None,
            parent: None,
            name: new.name.clone(),
            body: json!({
                "models": new.models, "scope": new.scope, "hint": hint, "expires_us": new.expires_us,
            }),
        };
        let hash = self.hasher.hash(secret.expose());
        let made = transaction(&mut *self.engine, |engine| {
            let author = Author::system();
            let mut writer = Writer::begin(engine, Tenancy::All, &author, now_us)?;
            let object = writer.apply(&change)?;
            let insert = "INSERT INTO key_hashes (hash, key_id, created_us) VALUES (?1, ?2, ?3)";
            writer.engine.execute(insert, &[(&hash).into(), object.id.into(), now_us.into()])?;
            writer.finish()?;
            Ok(object)
        });
        match made {
            Ok(object) => Ok((key_of(&object), secret)),
            Err(Error::NameTaken { name, .. }) => Err(Error::KeyExists(name)),
            Err(error) => Err(error),
        }
    }

    /// Every key with its hash, revoked ones included, oldest first. A key with several hashes comes once for each, and
    /// ends with the hash where that ends before it.
    pub fn keys(&mut self) -> Result<Vec<([u8; 32], Key)>, Error> {
        let columns: Vec<String> = COLUMNS.split(", ").map(|column| format!("o.{column}")).collect();
        let select = format!(
            "SELECT {}, h.hash, h.until_us FROM objects o JOIN key_hashes h ON h.key_id = o.id \
             WHERE o.kind = ?1 ORDER BY o.created_us, o.id, h.created_us",
            columns.join(", ")
        );
        let rows = self.engine.query(&select, &[KIND.into()])?;
        rows.iter().map(|row| hashed(row, &object_of(row)?)).collect()
    }

    /// Every hash of every key.
    pub fn key_hashes(&mut self) -> Result<Vec<KeyHash>, Error> {
        let select = "SELECT hash, key_id, created_us, until_us FROM key_hashes ORDER BY created_us, hash";
        let rows = self.engine.query(select, &[])?;
        let hashes = rows.iter().map(|row| {
            Ok(KeyHash {
                hash: row.get(0)?,
                key_id: row.get(1)?,
                created_us: row.get(2)?,
                until_us: row.get(3)?,
            })
        });
        hashes.collect()
    }
}

/// A key by one of its hashes, which stand with their ends behind the object's columns.
pub(crate) fn hashed(row: &Row, object: &Object) -> Result<([u8; 32], Key), Error> {
    let mut key = key_of(object);
    let until_us: Option<i64> = row.get(12)?;
    key.expires_us = [key.expires_us, until_us].into_iter().flatten().min();
    Ok((row.get(11)?, key))
}

/// What cannot be read of a body opens nothing.
pub fn key_of(object: &Object) -> Key {
    let member = |name: &str| object.body.get(name);
    let settings = serde_json::from_value(object.body.clone());
    let scope = member("scope").and_then(|scope| serde_json::from_value(scope.clone()).ok());
    let role = member("role").map_or(Ok(None), |role| serde_json::from_value(role.clone()));
    let settings = if role.is_ok() { settings } else { Ok(closed()) };
    Key {
        id: object.id,
        name: object.name.clone(),
        organization: object.organization,
        parent: object.parent,
        settings: settings.unwrap_or_else(|_| closed()),
        scope: scope.unwrap_or(Scope::Calls),
        role: role.unwrap_or(Some(RoleName::NONE)),
        owner: Owner::Registry,
        hint: member("hint").and_then(|hint| hint.as_str()).unwrap_or_default().to_owned(),
        created_us: object.created_us,
        expires_us: member("expires_us").and_then(serde_json::Value::as_i64),
        revoked_us: object.deleted_us,
    }
}

fn closed() -> Settings {
    Settings { disabled: true, ..Settings::default() }
}

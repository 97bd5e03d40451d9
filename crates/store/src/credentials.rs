//! Credentials of providers that the registry keeps: objects of the kind `provider_credential` with the credential sealed.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use policy::Secret;
use serde_json::json;
use uuid::Uuid;

use crate::{
    Author, Change, Database, Error, Object, Query, Sealer, Tenancy,
    seal::{Place, SealingKey},
    sql::transaction,
};

const KIND: &str = "provider_credential";
/// The settings with the wrapped data keys of credentials; an id follows.
const DATA_KEYS: &str = "data_key.provider_credential.";

/// A credential to be kept.
#[derive(Clone, Debug)]
pub struct NewCredential {
    pub organization: Option<Uuid>,
    pub name: String,
    /// The provider that it opens.
    pub provider: String,
}

/// How many data keys there are, and how many of them were wrapped anew.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rewrapped {
    pub total: usize,
    pub changed: usize,
}

impl Database {
    /// Keeps a credential, in place of one of the same name.
    pub fn keep_credential(
        &mut self,
        sealer: &Sealer,
        new: &NewCredential,
        secret: &Secret,
        author: &Author,
        now_us: i64,
    ) -> Result<Object, Error> {
        let tenancy = new.organization.map_or(Tenancy::All, Tenancy::Organization);
        let query =
            Query { kind: KIND.to_owned(), name: Some(new.name.clone()), limit: 100, ..Query::default() };
        let known = self.objects(tenancy, &query)?;
        let known = known.into_iter().find(|object| object.organization == new.organization);
        let id = known.as_ref().map_or_else(Uuid::now_v7, |object| object.id);
        let (data_key_id, data_key) = self.data_key(sealer)?;
        let sealed = data_key.seal(credential_place(id), secret.expose().as_bytes())?;
        let body = json!({
            "provider": new.provider, "data_key": data_key_id, "sealed": STANDARD.encode(sealed),
        });
        let change = match known {
            Some(known) => Change::Update {
                id,
                expected: Some(known.version),
                name: known.name,
                parent: known.parent,
                body,
            },
            None => Change::Create {
                id,
                kind: KIND.to_owned(),
                organization: new.organization,
                parent: new.organization,
                name: new.name.clone(),
                body,
            },
        };
        let applied = self.apply(tenancy, &[change], author, now_us)?;
        applied.into_iter().next().ok_or(Error::NoObject(id))
    }

    /// A credential in the clear.
    pub fn credential(&mut self, sealer: &Sealer, tenancy: Tenancy, id: Uuid) -> Result<Secret, Error> {
        let object =
            self.object(tenancy, id)?.filter(|object| object.kind == KIND && object.deleted_us.is_none());
        let object = object.ok_or(Error::NoObject(id))?;
        let member = |name: &str| object.body.get(name).and_then(serde_json::Value::as_str);
        let damaged = || Error::Encryption(format!("the credential {id} is damaged"));
        let sealed = member("sealed").and_then(|text| STANDARD.decode(text).ok()).ok_or_else(damaged)?;
        let data_key_id = member("data_key").and_then(|text| text.parse().ok()).ok_or_else(damaged)?;
        let wrapped = self.setting(&format!("{DATA_KEYS}{data_key_id}"))?.ok_or_else(damaged)?;
        let wrapped = STANDARD.decode(wrapped).map_err(|_| damaged())?;
        let key = sealer.unwrap(key_place(data_key_id), &wrapped)?;
        let text = key.open(credential_place(id), &sealed)?;
        let text = std::str::from_utf8(&text).map_err(|_| damaged())?;
        Ok(Secret::new(text))
    }

    /// Wraps every data key under the current key. Each is a step of its own: what was done before an interruption stays done.
    pub fn rewrap(&mut self, sealer: &Sealer) -> Result<Rewrapped, Error> {
        let keys = self.data_keys()?;
        let mut rewrapped = Rewrapped { total: keys.len(), changed: 0 };
        for (id, wrapped) in keys {
            if sealer.is_current(&wrapped) {
                continue;
            }
            let key = sealer.unwrap(key_place(id), &wrapped)?;
            let anew = STANDARD.encode(sealer.wrap(key_place(id), &key)?);
            transaction(&mut *self.engine, |engine| {
                let update = "UPDATE settings SET value = ?2 WHERE name = ?1 AND value = ?3";
                let before = STANDARD.encode(&wrapped);
                engine.execute(update, &[format!("{DATA_KEYS}{id}").into(), anew.into(), before.into()])
            })?;
            rewrapped.changed += 1;
        }
        Ok(rewrapped)
    }

    /// The data key of credentials; the first one is made here.
    fn data_key(&mut self, sealer: &Sealer) -> Result<(Uuid, SealingKey), Error> {
        if let Some((id, wrapped)) = self.data_keys()?.into_iter().next() {
            return Ok((id, sealer.unwrap(key_place(id), &wrapped)?));
        }
        let (id, key) = (Uuid::now_v7(), SealingKey::random()?);
        let wrapped = STANDARD.encode(sealer.wrap(key_place(id), &key)?);
        transaction(&mut *self.engine, |engine| {
            let insert = "INSERT INTO settings (name, value) VALUES (?1, ?2)";
            engine.execute(insert, &[format!("{DATA_KEYS}{id}").into(), wrapped.into()])
        })?;
        Ok((id, key))
    }

    fn data_keys(&mut self) -> Result<Vec<(Uuid, Vec<u8>)>, Error> {
        let select = "SELECT name, value FROM settings WHERE name LIKE ?1 ORDER BY name";
        let rows = self.engine.query(select, &[format!("{DATA_KEYS}%").into()])?;
        let mut keys = Vec::with_capacity(rows.len());
        for row in rows {
            let (name, value): (String, String) = (row.get(0)?, row.get(1)?);
            let id = name.strip_prefix(DATA_KEYS).and_then(|id| id.parse().ok());
            let key = id.zip(STANDARD.decode(&value).ok());
            keys.push(key.ok_or_else(|| Error::Encryption(format!("the setting {name} is damaged")))?);
        }
        Ok(keys)
    }
}

fn credential_place(row: Uuid) -> Place<'static> {
    Place { table: "objects", row, column: "body.sealed" }
}

fn key_place(row: Uuid) -> Place<'static> {
    Place { table: "settings", row, column: "value" }
}

//! Credentials of providers that the registry keeps: objects of the kind `provider_credential` with the credential sealed.

use std::borrow::Cow;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use policy::Secret;
use serde_json::{Value as Json, json};
use uuid::Uuid;

use crate::{
    Author, Change, Database, Error, Object, Query, Sealer, Tenancy,
    seal::{Place, SealingKey},
    sql::transaction,
};

/// Of an object.
pub const CREDENTIAL: &str = "provider_credential";
/// The last characters that are shown of a credential, and how long one must be for it.
const HINT_CHARS: usize = 4;
const HINTED_CHARS_MIN: usize = 16;
/// How many are read at a time.
const BATCH: u32 = 500;
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

/// A credential in the clear, or why it cannot be opened.
pub struct OpenedCredential {
    pub id: Uuid,
    pub version: u64,
    pub name: String,
    pub provider: String,
    pub secret: Result<Secret, Error>,
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
        let query = Query {
            kind: CREDENTIAL.to_owned(),
            name: Some(new.name.clone()),
            limit: 100,
            ..Query::default()
        };
        let known = self.objects(tenancy, &query)?;
        let known = known.into_iter().find(|object| object.organization == new.organization);
        let id = known.as_ref().map_or_else(Uuid::now_v7, |object| object.id);
        let body = self.sealed_credential(sealer, id, &new.provider, secret)?;
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
                kind: CREDENTIAL.to_owned(),
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
        let object = self.object(tenancy, id)?.filter(|object| object.kind == CREDENTIAL);
        self.opened(sealer, &object.ok_or(Error::NoObject(id))?)
    }

    /// The body of a credential's object, which opens nowhere else.
    pub fn sealed_credential(
        &mut self,
        sealer: &Sealer,
        id: Uuid,
        provider: &str,
        secret: &Secret,
    ) -> Result<Json, Error> {
        let (data_key_id, data_key) = self.data_key(sealer)?;
        let sealed = data_key.seal(credential_place(id), secret.expose().as_bytes())?;
        Ok(json!({
            "provider": provider, "hint": hint(secret), "data_key": data_key_id, "sealed": STANDARD.encode(sealed),
        }))
    }

    /// Those that belong to no organization, in the clear.
    pub fn credentials(&mut self, sealer: &Sealer) -> Result<Vec<OpenedCredential>, Error> {
        let mut all = Vec::new();
        let mut query = Query { kind: CREDENTIAL.to_owned(), limit: BATCH, ..Query::default() };
        loop {
            let objects = self.objects(Tenancy::All, &query)?;
            query.after = objects.last().map(|object| object.id);
            let is_last = objects.len() < BATCH as usize;
            for object in objects.into_iter().filter(|object| object.organization.is_none()) {
                let provider =
                    object.body.get("provider").and_then(Json::as_str).unwrap_or_default().to_owned();
                let secret = self.opened(sealer, &object);
                let (id, version) = (object.id, object.version);
                all.push(OpenedCredential { id, version, name: object.name, provider, secret });
            }
            if is_last {
                return Ok(all);
            }
        }
    }

    /// Whether one of them is another than before, without opening any.
    pub fn credential_versions(&mut self) -> Result<Vec<(Uuid, u64)>, Error> {
        let select = "SELECT id, version FROM objects \
                      WHERE kind = ?1 AND organization IS NULL AND deleted_us IS NULL ORDER BY id";
        let rows = self.engine.query(select, &[CREDENTIAL.into()])?;
        rows.iter().map(|row| Ok((row.get(0)?, row.get(1)?))).collect()
    }

    /// Has every data key unwrapped, so that later nothing waits for whoever keeps the key above them; the first one is made
    /// here.
    pub fn open_data_keys(&mut self, sealer: &Sealer) -> Result<(), Error> {
        self.data_key(sealer)?;
        for (id, wrapped) in self.data_keys()? {
            sealer.unwrap(key_place(id), &wrapped)?;
        }
        Ok(())
    }

    fn opened(&mut self, sealer: &Sealer, object: &Object) -> Result<Secret, Error> {
        let id = object.id;
        let member = |name: &str| object.body.get(name).and_then(Json::as_str);
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

/// What others may be told of an object: of a credential not even what it is sealed to.
pub(crate) fn told(object: &Object) -> Cow<'_, Json> {
    let mut body = Cow::Borrowed(&object.body);
    if object.kind == CREDENTIAL
        && let Some(members) = body.to_mut().as_object_mut()
    {
        members.remove("sealed");
    }
    body
}

/// The last characters, by which people tell one credential from another.
fn hint(secret: &Secret) -> String {
    let count = secret.expose().chars().count();
    if count < HINTED_CHARS_MIN {
        return String::new();
    }
    secret.expose().chars().skip(count - HINT_CHARS).collect()
}

fn credential_place(row: Uuid) -> Place<'static> {
    Place { table: "objects", row, column: "body.sealed" }
}

fn key_place(row: Uuid) -> Place<'static> {
    Place { table: "settings", row, column: "value" }
}

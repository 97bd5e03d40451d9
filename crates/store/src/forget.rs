//! Takes a user that has ended out of the registry's past and out of the audit's texts.
//!
//! What shows what administrators did stays: that there was a key, when it was made and ended, by whom, and which role it had.

use std::collections::{BTreeSet, HashSet};

use policy::principal::Directory;
use serde_json::{Map, Value as Json, json};
use uuid::Uuid;

use crate::{Error, Object, audit, changes::Writer, entity_of, key_of, keys, objects::body_of};

/// What stands in place of what was forgotten.
pub(crate) const NOBODY: &str = "(erased)";
const USER: &str = "user";

/// What is to be kept of a body.
type Keeps = fn(&Json) -> Option<Map<String, Json>>;

/// Empties what the registry remembers of a user, and of the keys that stood below it. The registry may know nothing of it;
/// what it has must be a user that has ended.
pub(crate) fn user(writer: &mut Writer<'_>, id: Uuid) -> Result<(), Error> {
    let select = "SELECT kind, deleted_us FROM objects WHERE (organization = ?1 OR ?1 IS NULL) AND id = ?2";
    let Some(row) = writer.engine.query_first(select, &[writer.tenancy.value(), id.into()])? else {
        return Ok(());
    };
    let (kind, deleted_us): (String, Option<i64>) = (row.get(0)?, row.get(1)?);
    if kind != USER || deleted_us.is_none() {
        let is = if kind == USER { "there still".to_owned() } else { format!("of the kind {kind}") };
        return Err(Error::NotErasable { id, is });
    }
    let mut forgotten = Forgotten::default();
    forgotten.object(writer, id, |_| None)?;
    let select = "SELECT id FROM objects WHERE (organization = ?1 OR ?1 IS NULL) AND parent = ?2 AND kind = ?3 \
                  AND deleted_us IS NOT NULL";
    let values = [writer.tenancy.value(), id.into(), keys::KIND.into()];
    let rows = writer.engine.query(select, &values)?;
    for row in &rows {
        forgotten.object(writer, row.get(0)?, of_administrator)?;
    }
    forgotten.answers(writer)
}

/// What was forgotten so far.
#[derive(Default)]
struct Forgotten {
    /// Of the user, its keys, what they asked for and their budgets.
    ids: Vec<Uuid>,
    /// What the user and its keys were called.
    names: HashSet<String>,
}

impl Forgotten {
    /// Empties what is remembered of one object, but for what is to be kept of its bodies.
    fn object(&mut self, writer: &mut Writer<'_>, id: Uuid, kept: Keeps) -> Result<(), Error> {
        let name = format!("{NOBODY} {id}");
        let select = "SELECT v.version, v.body, v.name, o.kind FROM object_versions v JOIN objects o ON o.id = v.id \
                      WHERE v.id = ?1 ORDER BY v.version";
        let mut buckets = BTreeSet::new();
        for row in &writer.engine.query(select, &[id.into()])? {
            let (version, body): (u64, Json) = (row.get(0)?, body_of(row, 1)?);
            let left = bare(&body, kept);
            let values = [id.into(), version.into(), name.as_str().into(), left.as_str().into()];
            let update = "UPDATE object_versions SET name = ?3, body = ?4 WHERE id = ?1 AND version = ?2";
            writer.engine.execute(update, &values)?;
            // The last version is the object as it is.
            let update = "UPDATE objects SET name = ?3, body = ?4 WHERE id = ?1 AND version = ?2";
            writer.engine.execute(update, &values)?;
            buckets.extend(buckets_of(id, &row.get::<String>(3)?, body));
            self.names.insert(row.get(2)?);
        }
        writer.engine.execute("DELETE FROM key_hashes WHERE key_id = ?1", &[id.into()])?;
        writer.touch(id)?;
        audit::erase(writer.engine, id, |text| {
            let body = kept(text.get("body")?)?;
            Some(json!({ "body": body }))
        })?;
        self.ids.push(id);
        buckets.into_iter().try_for_each(|bucket| self.bucket(writer, bucket))?;
        self.requests(writer, id)
    }

    /// Takes out whose a budget was, and what was said of it. What it was given stays.
    fn bucket(&mut self, writer: &mut Writer<'_>, bucket: Uuid) -> Result<(), Error> {
        let update = "UPDATE adjustments SET of_limit = ?2, note = NULL WHERE bucket = ?1";
        writer.engine.execute(update, &[bucket.into(), NOBODY.into()])?;
        self.ids.push(bucket);
        audit::erase(writer.engine, bucket, |text| {
            let mut left = text.as_object()?.clone();
            left.insert("of".to_owned(), NOBODY.into());
            left.insert("note".to_owned(), Json::Null);
            Some(Json::Object(left))
        })
    }

    /// Takes out what somebody asked for or was to be allowed: requests for access name who asked, and say why. What others asked
    /// for stays, also where this one decided on it: that has its id only.
    fn requests(&mut self, writer: &mut Writer<'_>, of: Uuid) -> Result<(), Error> {
        let select = "SELECT id, body FROM objects WHERE (organization = ?1 OR ?1 IS NULL) AND kind = 'access_request' \
                      AND body LIKE ?2";
        let whose = of.to_string();
        let rows = writer.engine.query(select, &[writer.tenancy.value(), format!("%{whose}%").into()])?;
        for row in &rows {
            let (id, body): (Uuid, Json) = (row.get(0)?, body_of(row, 1)?);
            let is = |path: &str| body.pointer(path).and_then(Json::as_str) == Some(&*whose);
            if !["/asked_by/id", "/asked_by/user", "/subject/id"].into_iter().any(is) {
                continue;
            }
            writer.engine.execute("DELETE FROM object_versions WHERE id = ?1", &[id.into()])?;
            writer.engine.execute("DELETE FROM objects WHERE id = ?1", &[id.into()])?;
            audit::erase(writer.engine, id, |_| None)?;
            self.ids.push(id);
        }
        Ok(())
    }

    /// Takes out what was answered to requests that may come again. What a plan has made is told by name alone: to apply it
    /// once more changes nothing.
    fn answers(&self, writer: &mut Writer<'_>) -> Result<(), Error> {
        for id in &self.ids {
            let delete = "DELETE FROM answers WHERE body LIKE ?1";
            writer.engine.execute(delete, &[format!("%{id}%").into()])?;
        }
        let told: Vec<String> = self.names.iter().map(|name| Json::from(name.as_str()).to_string()).collect();
        let select = "SELECT caller, name, body FROM answers WHERE body LIKE ?1";
        for row in &writer.engine.query(select, &["%\"changes\":[%".into()])? {
            let (caller, name, body): (Uuid, String, String) = (row.get(0)?, row.get(1)?, row.get(2)?);
            if told.iter().any(|told| body.contains(told.trim_matches('"'))) {
                let delete = "DELETE FROM answers WHERE caller = ?1 AND name = ?2";
                writer.engine.execute(delete, &[caller.into(), (&name).into()])?;
            }
        }
        Ok(())
    }
}

/// The budgets and limits of an object, as one version of it says.
fn buckets_of(id: Uuid, kind: &str, body: Json) -> Vec<Uuid> {
    // Whatever it stood below has buckets of its own.
    let object = Object {
        id,
        kind: kind.to_owned(),
        organization: None,
        parent: None,
        name: String::new(),
        body,
        version: 0,
        seq: 0,
        created_us: 0,
        updated_us: 0,
        deleted_us: None,
    };
    match entity_of(&object) {
        Some(entity) => Directory::new(vec![entity]).0.limits().map(|limit| limit.id).collect(),
        None => {
            Directory::default().principal(&key_of(&object)).0.limits.iter().map(|limit| limit.id).collect()
        }
    }
}

/// What is left of a body.
fn bare(body: &Json, kept: Keeps) -> String {
    let mut bare = kept(body).unwrap_or_default();
    bare.insert("disabled".to_owned(), true.into());
    Json::Object(bare).to_string()
}

/// What a key might administer; nothing where it opened models only.
fn of_administrator(body: &Json) -> Option<Map<String, Json>> {
    let is_admin = body.get("role").is_some() || body.get("scope").is_some_and(|scope| scope == "admin");
    let member = |name: &str| Some((name.to_owned(), body.get(name)?.clone()));
    is_admin.then(|| ["scope", "role"].into_iter().filter_map(member).collect())
}

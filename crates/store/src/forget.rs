//! Takes a user that has ended out of the registry's past and out of the audit's texts.
//!
//! What shows what administrators did stays: that there was a key, when it was made and ended, by whom, and which role it had.

use serde_json::{Map, Value as Json, json};
use uuid::Uuid;

use crate::{Error, audit, changes::Writer, keys, objects::body_of};

/// What stands in place of what was forgotten.
pub(crate) const NOBODY: &str = "(erased)";
const USER: &str = "user";

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
    object(writer, id, |_| None)?;
    let select = "SELECT id FROM objects WHERE (organization = ?1 OR ?1 IS NULL) AND parent = ?2 AND kind = ?3 \
                  AND deleted_us IS NOT NULL";
    let values = [writer.tenancy.value(), id.into(), keys::KIND.into()];
    let rows = writer.engine.query(select, &values)?;
    for row in &rows {
        object(writer, row.get(0)?, of_administrator)?;
    }
    Ok(())
}

/// Empties what is remembered of one object, but for what is to be kept of its bodies.
fn object(
    writer: &mut Writer<'_>,
    id: Uuid,
    kept: fn(&Json) -> Option<Map<String, Json>>,
) -> Result<(), Error> {
    let name = format!("{NOBODY} {id}");
    let select = "SELECT version, body FROM object_versions WHERE id = ?1 ORDER BY version";
    for row in &writer.engine.query(select, &[id.into()])? {
        let (version, body): (u64, String) = (row.get(0)?, bare(&body_of(row, 1)?, kept));
        let update = "UPDATE object_versions SET name = ?3, body = ?4 WHERE id = ?1 AND version = ?2";
        writer
            .engine
            .execute(update, &[id.into(), version.into(), name.as_str().into(), body.as_str().into()])?;
        // The last version is the object as it is.
        let update = "UPDATE objects SET name = ?3, body = ?4 WHERE id = ?1 AND version = ?2";
        writer
            .engine
            .execute(update, &[id.into(), version.into(), name.as_str().into(), body.as_str().into()])?;
    }
    writer.engine.execute("DELETE FROM key_hashes WHERE key_id = ?1", &[id.into()])?;
    writer.touch(id)?;
    audit::erase(writer.engine, id, |text| {
        let body = kept(text.get("body")?)?;
        Some(json!({ "body": body }))
    })?;
    requests(writer, id)
}

/// What is left of a body.
fn bare(body: &Json, kept: fn(&Json) -> Option<Map<String, Json>>) -> String {
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

/// Takes out what somebody asked for or was to be allowed: requests for access name who asked, and say why. What others asked
/// for stays, also where this one decided on it: that has its id only.
fn requests(writer: &mut Writer<'_>, of: Uuid) -> Result<(), Error> {
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
    }
    Ok(())
}

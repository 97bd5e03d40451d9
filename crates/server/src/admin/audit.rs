//! `GET /admin/v1/audit`: who did what, and whether it is as it was written.

use std::fmt::Write;

use http::{HeaderMap, StatusCode};
use policy::principal::EntityKind;
use serde_json::Value as Json;
use store::{AuditQuery, Author, Database, Entry, Event};

use super::{
    Reply,
    bodies::{AuditEntry, List, Verified},
    find::Finder,
    list::wanted_organization,
    query::{LISTED_MAX, Parameters, cursor, no_cursor},
    refusal::Refusal,
    resource::Resource,
    who::Who,
};

/// The most lines that one answer has.
const LINES_MAX: u32 = 10_000;
const LINES: &str = "application/x-ndjson";

/// Entries, the latest first.
pub(super) fn list(
    finder: &Finder,
    parameters: &Parameters,
    headers: &HeaderMap,
    database: &mut Database,
) -> Result<Reply, Refusal> {
    let accepted = headers.get("accept").and_then(|value| value.to_str().ok());
    let as_lines = accepted.is_some_and(|accepted| accepted.contains(LINES));
    let limit = parameters.limit(if as_lines { LINES_MAX } else { LISTED_MAX })?;
    let before_seq = match parameters.cursor()? {
        Some(text) => Some(text.parse().map_err(|_| no_cursor())?),
        None => None,
    };
    let text = |name: &str| parameters.text(name).map(str::to_owned);
    let query = AuditQuery {
        before_seq,
        kind: text("kind"),
        object_id: parameters.id("object")?,
        actor: text("actor"),
        action: text("action"),
        since_us: parameters.number("since_us")?,
        until_us: parameters.number("until_us")?,
        limit: limit + 1,
    };
    let mut entries = match wanted_organization(finder, parameters, database)? {
        Some(tenancy) => database.audit(tenancy, &query)?,
        None => Vec::new(),
    };
    let is_last = entries.len() <= limit as usize;
    entries.truncate(limit as usize);
    let next = entries.last().filter(|_| !is_last).map(|entry| cursor(&entry.seq.to_string()));
    let data: Vec<AuditEntry> = entries.into_iter().map(shown).collect();
    if !as_lines {
        return Ok(Reply::ok(&List { data, next_cursor: next }));
    }
    let mut body = String::new();
    for entry in &data {
        body.push_str(&serde_json::to_string(entry).expect("plain data always serialises"));
        body.push('\n');
    }
    let reply = Reply { kind: LINES, body, ..Reply::json(StatusCode::OK, &()) };
    Ok(match next {
        Some(next) => reply.with("x-tollgate-next-cursor", next),
        None => reply,
    })
}

/// Looks at the whole chain.
pub(super) fn verify(database: &mut Database) -> Result<Reply, Refusal> {
    let broken_at = database.verify_audit()?;
    Ok(Reply::ok(&Verified { whole: broken_at.is_none(), broken_at }))
}

/// Writes down that somebody did not get in.
pub(super) fn refused(
    author: &Author,
    code: &str,
    path: &str,
    database: &mut Database,
) -> Result<(), store::Error> {
    let shown: String = path.chars().take(200).collect();
    let event = Event {
        action: "sign_in_refused".to_owned(),
        after: Some(serde_json::json!({"code": code, "path": shown}).to_string()),
        ..Event::default()
    };
    database.append_audit(&event, author, crate::world::now_us())
}

/// For filters by organization.
pub(super) fn finder(who: &Who, world: &std::sync::Arc<crate::world::World>) -> Finder {
    // Entries of one organization are all that its callers see, so that the kind is not that of organizations.
    Finder {
        who: who.clone(),
        world: std::sync::Arc::clone(world),
        resource: Resource::Part(EntityKind::Team),
    }
}

fn shown(entry: Entry) -> AuditEntry {
    let json =
        |text: Option<String>| text.map(|text| serde_json::from_str(&text).unwrap_or(Json::String(text)));
    let mut hash = String::with_capacity(64);
    for byte in entry.hash {
        let _ = write!(hash, "{byte:02x}");
    }
    AuditEntry {
        seq: entry.seq,
        at_us: entry.at_us,
        actor: entry.actor,
        actor_kind: entry.actor_kind,
        person: entry.person,
        address: entry.address,
        request_id: entry.request_id,
        action: entry.action,
        kind: entry.kind,
        object_id: entry.object_id,
        object_name: entry.object_name,
        organization: entry.organization,
        before: json(entry.before),
        after: json(entry.after),
        hash,
    }
}

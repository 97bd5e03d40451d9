//! `GET /v1/models`, in the shape of either SDK.

use std::rc::Rc;

use http::{HeaderMap, Response, StatusCode};
use policy::{
    Snapshot,
    key::{Key, Scope},
};
use serde_json::{Value, json};
use wire::{Dialect, Fault};

use crate::{authenticate::authenticate, core::Core, relay::Body, respond};

/// Lists the names that a key may ask for: the configured ones first, then every model of every provider.
pub(crate) fn list(
    core: &Rc<Core>,
    headers: &HeaderMap,
    dialect: Dialect,
    now_us: i64,
) -> Result<Response<Body>, Fault> {
    let key = authenticate(&core.keys(), headers, Scope::Calls, now_us)?;
    let world = core.world();
    let names = names(&world.snapshot, &key);
    let body = if dialect == Dialect::AnthropicMessages {
        let model = |(name, _): &(String, String)| json!({"type": "model", "id": name, "display_name": name, "created_at": "1970-01-01T00:00:00Z"});
        let first = names.first().map(|(name, _)| name);
        let last = names.last().map(|(name, _)| name);
        let data: Vec<Value> = names.iter().map(model).collect();
        json!({"data": data, "has_more": false, "first_id": first, "last_id": last})
    } else {
        let model = |(name, owner): &(String, String)| json!({"id": name, "object": "model", "created": 0, "owned_by": owner});
        json!({"object": "list", "data": names.iter().map(model).collect::<Vec<Value>>()})
    };
    Ok(respond::json(StatusCode::OK, body.to_string()))
}

fn names(snapshot: &Snapshot, key: &Key) -> Vec<(String, String)> {
    let aliases = snapshot.models.keys().map(|name| (name.clone(), "tollgate".to_owned()));
    let listed = snapshot.providers.iter().flat_map(|(id, provider)| {
        provider.facts.models().iter().map(move |model| (format!("{id}/{}", model.id), id.clone()))
    });
    aliases.chain(listed).filter(|(name, _)| key.may_use(name).is_ok()).collect()
}

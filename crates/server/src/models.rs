//! `GET /v1/models`, in the shape of either SDK.

use std::rc::Rc;

use http::{HeaderMap, Response, StatusCode};
use policy::{
    Snapshot,
    key::{Key, Scope},
};
use serde_json::{Value, json};
use wire::{Fault, Kind, Origin};

use crate::{authenticate::authenticate, core::Core, operation, relay::Body, respond};

/// Lists the names that a key may ask for: the configured ones first, then every model of every provider.
pub(crate) fn list(core: &Rc<Core>, headers: &HeaderMap, now_us: i64) -> Result<Response<Body>, Fault> {
    let key = authenticate(&core.keys(), headers, Scope::Calls, now_us)?;
    let names = names(&core.world().snapshot, &key);
    let body = if asks_anthropic(headers) {
        let (first, last) = (names.first(), names.last());
        let (first, last) = (first.map(|named| &named.name), last.map(|named| &named.name));
        let data: Vec<Value> = names.iter().map(Named::anthropic).collect();
        json!({"data": data, "has_more": false, "first_id": first, "last_id": last})
    } else {
        json!({"object": "list", "data": names.iter().map(Named::openai).collect::<Vec<Value>>()})
    };
    Ok(respond::json(StatusCode::OK, body.to_string()))
}

/// Tells of one name that a key may ask for.
pub(crate) fn one(
    core: &Rc<Core>,
    headers: &HeaderMap,
    encoded: &str,
    now_us: i64,
) -> Result<Response<Body>, Fault> {
    let key = authenticate(&core.keys(), headers, Scope::Calls, now_us)?;
    let name = operation::model_name(encoded)?;
    let named = names(&core.world().snapshot, &key).into_iter().find(|named| named.name == name);
    let Some(named) = named else {
        let shown: String = name.chars().take(100).collect();
        let message =
            format!("there is no model \"{shown}\" for this key; GET /v1/models lists those there are");
        return Err(Fault::new(Origin::Client, Kind::NotFound, message).code("model_not_found"));
    };
    let body = if asks_anthropic(headers) { named.anthropic() } else { named.openai() };
    Ok(respond::json(StatusCode::OK, body.to_string()))
}

/// A name that can be asked for.
struct Named {
    name: String,
    owner: String,
}

impl Named {
    fn openai(&self) -> Value {
        json!({"id": self.name, "object": "model", "created": 0, "owned_by": self.owner})
    }

    fn anthropic(&self) -> Value {
        let name = &self.name;
        json!({"type": "model", "id": name, "display_name": name, "created_at": "1970-01-01T00:00:00Z"})
    }
}

/// Both APIs list their models at the same path; Anthropic's SDK names its version.
fn asks_anthropic(headers: &HeaderMap) -> bool {
    headers.contains_key("anthropic-version")
}

fn names(snapshot: &Snapshot, key: &Key) -> Vec<Named> {
    let aliases =
        snapshot.models.keys().map(|name| Named { name: name.clone(), owner: "tollgate".to_owned() });
    let listed = snapshot.providers.iter().flat_map(|(id, provider)| {
        let models = provider.facts.models().iter();
        models.map(move |model| Named { name: format!("{id}/{}", model.id), owner: id.clone() })
    });
    aliases.chain(listed).filter(|named| key.may_use(&named.name).is_ok()).collect()
}

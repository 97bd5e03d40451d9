//! `GET /v1/models` and its like, in the shape that the asking SDK knows.

use std::rc::Rc;

use http::{Response, StatusCode, request};
use policy::{
    Snapshot,
    key::{Key, Scope},
};
use serde_json::{Value, json};
use wire::{Dialect, Fault, Kind, Origin};

use crate::{
    authenticate::{Shown, authenticate},
    core::Core,
    entry,
    relay::Body,
    respond,
};

/// Lists the names that a key may ask for: the configured ones first, then every model of every provider.
pub(crate) fn list(core: &Rc<Core>, parts: &request::Parts, now_us: i64) -> Result<Response<Body>, Fault> {
    let key = authenticate(&core.keys(), Shown::by(parts), Scope::Calls, now_us)?;
    let names = names(&core.world().snapshot, &key);
    let told = |tell: fn(&Named) -> Value| names.iter().map(tell).collect::<Vec<Value>>();
    let body = match entry::dialect(parts.uri.path(), &parts.headers) {
        Dialect::AnthropicMessages => {
            let (first, last) = (names.first(), names.last());
            let (first, last) = (first.map(|named| &named.name), last.map(|named| &named.name));
            json!({"data": told(Named::anthropic), "has_more": false, "first_id": first, "last_id": last})
        }
        Dialect::Gemini => json!({"models": told(Named::gemini)}),
        Dialect::Ollama => json!({"models": told(Named::ollama)}),
        Dialect::CohereV2 => json!({"models": told(Named::cohere)}),
        Dialect::OpenaiChat | Dialect::OpenaiResponses | Dialect::BedrockConverse => {
            json!({"object": "list", "data": told(Named::openai)})
        }
    };
    Ok(respond::json(StatusCode::OK, body.to_string()))
}

/// Tells of one name that a key may ask for.
pub(crate) fn one(
    core: &Rc<Core>,
    parts: &request::Parts,
    encoded: &str,
    now_us: i64,
) -> Result<Response<Body>, Fault> {
    let key = authenticate(&core.keys(), Shown::by(parts), Scope::Calls, now_us)?;
    let name = entry::model_name(encoded)?;
    let name = name.strip_prefix("models/").unwrap_or(&name);
    let named = names(&core.world().snapshot, &key).into_iter().find(|named| named.name == name);
    let Some(named) = named else {
        let shown: String = name.chars().take(100).collect();
        let message =
            format!("there is no model \"{shown}\" for this key; GET /v1/models lists those there are");
        return Err(Fault::new(Origin::Client, Kind::NotFound, message).code("model_not_found"));
    };
    let body = match entry::dialect(parts.uri.path(), &parts.headers) {
        Dialect::AnthropicMessages => named.anthropic(),
        Dialect::Gemini => named.gemini(),
        Dialect::Ollama => named.ollama(),
        Dialect::CohereV2 => named.cohere(),
        Dialect::OpenaiChat | Dialect::OpenaiResponses | Dialect::BedrockConverse => named.openai(),
    };
    Ok(respond::json(StatusCode::OK, body.to_string()))
}

/// A name that can be asked for.
struct Named {
    name: String,
    owner: String,
    /// Limits, where they are known.
    input_tokens: Option<u64>,
    output_tokens: Option<u64>,
}

impl Named {
    fn openai(&self) -> Value {
        json!({"id": self.name, "object": "model", "created": 0, "owned_by": self.owner})
    }

    fn gemini(&self) -> Value {
        let Named { name, input_tokens, output_tokens, .. } = self;
        json!({
            "name": format!("models/{name}"), "displayName": name, "inputTokenLimit": input_tokens,
            "outputTokenLimit": output_tokens,
            "supportedGenerationMethods": ["generateContent", "streamGenerateContent"],
        })
    }

    /// <https://docs.cohere.com/reference/list-models>
    fn cohere(&self) -> Value {
        json!({"name": self.name, "endpoints": [], "finetuned": false, "context_length": self.input_tokens})
    }

    fn ollama(&self) -> Value {
        let name = &self.name;
        let details = json!({"format": "", "family": self.owner, "families": null, "parameter_size": "",
                             "quantization_level": ""});
        json!({"name": name, "model": name, "modified_at": "1970-01-01T00:00:00Z", "size": 0, "digest": "",
               "details": details})
    }

    fn anthropic(&self) -> Value {
        let name = &self.name;
        json!({"type": "model", "id": name, "display_name": name, "created_at": "1970-01-01T00:00:00Z"})
    }
}

fn names(snapshot: &Snapshot, key: &Key) -> Vec<Named> {
    let aliases = snapshot.models.keys().map(|name| Named {
        name: name.clone(),
        owner: "tollgate".to_owned(),
        input_tokens: None,
        output_tokens: None,
    });
    let listed = snapshot.providers.iter().flat_map(|(id, provider)| {
        provider.facts.models().iter().map(move |model| Named {
            name: format!("{id}/{}", model.id),
            owner: id.clone(),
            input_tokens: model.context_tokens,
            output_tokens: model.output_tokens,
        })
    });
    aliases.chain(listed).filter(|named| key.may_use(&named.name).is_ok()).collect()
}

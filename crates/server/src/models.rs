//! `GET /v1/models` and its like, and what each model can do, in the shape that the asking SDK knows.

use std::{rc::Rc, sync::Arc};

use catalog::{Capability, Model};
use http::{Response, StatusCode, request};
use hyper::body::Incoming;
use policy::{Snapshot, principal::Principal};
use serde_json::{Value, json};
use wire::{Dialect, Fault, Kind, Origin};

use crate::{authenticate::caller, call::Arrival, core::Core, entry, front, relay::Body, respond};

/// A date for what has none.
const NEVER: &str = "1970-01-01T00:00:00Z";

/// Lists the names that a key may ask for: the configured ones first, then every model of every provider.
pub(crate) async fn list(
    core: &Rc<Core>,
    parts: &request::Parts,
    arrival: &Arrival,
) -> Result<Response<Body>, Fault> {
    let principal = caller(core, parts, arrival).await?;
    let names = names(&core.world().snapshot, &principal);
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
pub(crate) async fn one(
    core: &Rc<Core>,
    parts: &request::Parts,
    encoded: &str,
    arrival: &Arrival,
) -> Result<Response<Body>, Fault> {
    let principal = caller(core, parts, arrival).await?;
    let name = entry::model_name(encoded)?;
    let name = name.strip_prefix("models/").unwrap_or(&name);
    let named = find(&core.world().snapshot, &principal, name, "/v1/models")?;
    let body = match entry::dialect(parts.uri.path(), &parts.headers) {
        Dialect::AnthropicMessages => named.anthropic(),
        Dialect::Gemini => named.gemini(),
        Dialect::Ollama => named.ollama(),
        Dialect::CohereV2 => named.cohere(),
        Dialect::OpenaiChat | Dialect::OpenaiResponses | Dialect::BedrockConverse => named.openai(),
    };
    Ok(respond::json(StatusCode::OK, body.to_string()))
}

/// Tells an Ollama client what a model can do (<https://docs.ollama.com/api-reference/show-model-details>).
pub(crate) async fn show(
    core: &Rc<Core>,
    parts: &request::Parts,
    body: Incoming,
    arrival: &Arrival,
) -> Result<Response<Body>, Fault> {
    let world = core.world();
    let principal = caller(core, parts, arrival).await?;
    let body = front::body(body, &world.snapshot.server.limits).await?;
    let body: Value = serde_json::from_slice(&body)
        .map_err(|error| Fault::invalid("", format!("the body is no valid JSON request: {error}")))?;
    // Older clients have it under `name`.
    let name = ["model", "name"].iter().find_map(|member| body.get(member)?.as_str());
    let name = name.ok_or_else(|| Fault::invalid("model", "is missing; name the model to tell of"))?;
    let named = find(&world.snapshot, &principal, name, "/api/tags")?;
    Ok(respond::json(StatusCode::OK, named.shown().to_string()))
}

/// Tells an Ollama client which models are loaded: none, for none runs here.
pub(crate) async fn running(
    core: &Rc<Core>,
    parts: &request::Parts,
    arrival: &Arrival,
) -> Result<Response<Body>, Fault> {
    caller(core, parts, arrival).await?;
    Ok(respond::json(StatusCode::OK, "{\"models\":[]}"))
}

/// A name that can be asked for.
struct Named {
    name: String,
    owner: String,
    /// What is known of the model; of a configured name, of its first target.
    facts: Option<Arc<Model>>,
}

impl Named {
    fn limit(&self, limit: fn(&Model) -> Option<u64>) -> Option<u64> {
        self.facts.as_deref().and_then(limit)
    }

    fn openai(&self) -> Value {
        json!({"id": self.name, "object": "model", "created": 0, "owned_by": self.owner})
    }

    fn gemini(&self) -> Value {
        let name = &self.name;
        json!({
            "name": format!("models/{name}"), "displayName": name,
            "inputTokenLimit": self.limit(|facts| facts.context_tokens),
            "outputTokenLimit": self.limit(|facts| facts.output_tokens),
            "supportedGenerationMethods": ["generateContent", "streamGenerateContent"],
        })
    }

    /// <https://docs.cohere.com/reference/list-models>
    fn cohere(&self) -> Value {
        json!({"name": self.name, "endpoints": [], "finetuned": false, "context_length": self.limit(|facts| facts.context_tokens)})
    }

    fn ollama(&self) -> Value {
        let name = &self.name;
        json!({"name": name, "model": name, "modified_at": NEVER, "size": 0, "digest": "",
               "details": self.details()})
    }

    fn details(&self) -> Value {
        json!({"format": "", "family": self.owner, "families": null, "parameter_size": "",
               "quantization_level": ""})
    }

    fn shown(&self) -> Value {
        let mut info = json!({"general.architecture": self.owner});
        if let Some(tokens) = self.facts.as_ref().and_then(|facts| facts.context_tokens) {
            info[format!("{}.context_length", self.owner)] = json!(tokens);
        }
        let can = self.facts.as_ref().map_or(&[][..], |facts| &facts.can);
        json!({"modified_at": NEVER, "details": self.details(), "model_info": info,
               "capabilities": capabilities(can), "license": "", "modelfile": "", "parameters": "",
               "template": ""})
    }

    fn anthropic(&self) -> Value {
        let name = &self.name;
        json!({"type": "model", "id": name, "display_name": name, "created_at": NEVER})
    }
}

/// What a model can do, in Ollama's words: it answers texts, unless it is there for something else.
fn capabilities(can: &[Capability]) -> Vec<&'static str> {
    let word = |capability: &Capability| match capability {
        Capability::Tools => Some("tools"),
        Capability::Vision => Some("vision"),
        Capability::Reasoning => Some("thinking"),
        Capability::Embeddings => Some("embedding"),
        Capability::Pdf
        | Capability::Audio
        | Capability::JsonSchema
        | Capability::Caching
        | Capability::Rerank
        | Capability::Images
        | Capability::Speech
        | Capability::Transcription
        | Capability::Moderation => None,
    };
    let other = [
        Capability::Embeddings,
        Capability::Rerank,
        Capability::Images,
        Capability::Speech,
        Capability::Transcription,
        Capability::Moderation,
    ];
    let answers = !other.iter().any(|capability| can.contains(capability));
    answers.then_some("completion").into_iter().chain(can.iter().filter_map(word)).collect()
}

/// The one of a name, as `list` lists it.
fn find(snapshot: &Snapshot, principal: &Principal, name: &str, list: &str) -> Result<Named, Fault> {
    names(snapshot, principal).into_iter().find(|named| named.name == name).ok_or_else(|| {
        let shown: String = name.chars().take(100).collect();
        let message = format!("there is no model \"{shown}\" for this key; GET {list} lists those there are");
        Fault::new(Origin::Client, Kind::NotFound, message).code("model_not_found")
    })
}

fn names(snapshot: &Snapshot, principal: &Principal) -> Vec<Named> {
    let aliases = snapshot.models.iter().map(|(name, alias)| {
        let facts = alias.targets.first().and_then(|target| target.provider.facts.model(&target.model));
        Named { name: name.clone(), owner: "tollgate".to_owned(), facts: facts.cloned() }
    });
    let listed = snapshot.providers.iter().flat_map(|(id, provider)| {
        provider.facts.models().iter().map(move |model| Named {
            name: format!("{id}/{}", model.id),
            owner: id.clone(),
            facts: Some(Arc::clone(model)),
        })
    });
    aliases.chain(listed).filter(|named| principal.may_use(&named.name).is_ok()).collect()
}

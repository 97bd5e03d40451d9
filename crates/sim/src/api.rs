//! The APIs that are spoken: what each one's file provides, and where each is found.

use serde_json::Value;

use crate::{
    account::{Account, Headers},
    answer::{Asked, Scene},
    anthropic, bedrock,
    calls::Calls,
    cohere, gemini, ollama, openai,
    refusal::Refusal,
    responses,
};

/// A status and its error body.
pub(crate) type Refused = (u16, Value);

/// One API in its provider's own wire form.
pub(crate) struct Api {
    /// Reads a request, as strictly as the provider does: the body, and the model's name without its script.
    pub(crate) read: fn(&Value, &str, &Calls) -> Result<Asked, Refused>,
    pub(crate) whole: fn(&Scene<'_>) -> Value,
    /// The bytes of each event of a streamed answer.
    pub(crate) stream: fn(&Scene<'_>) -> Vec<Vec<u8>>,
    pub(crate) stream_type: &'static str,
    /// Whether a request that says nothing of it is answered with a stream.
    pub(crate) streams_unasked: bool,
    /// The bytes of an error event.
    pub(crate) broken: fn() -> Vec<u8>,
    /// The error of a request that is not understood.
    pub(crate) invalid: fn(&str) -> Refused,
    /// The error of a status.
    pub(crate) scripted: fn(u16, &str) -> Refused,
    /// The error of a reason.
    pub(crate) refuse: fn(Refusal, &str) -> Refused,
    /// How answers tell what is left of an account's limit.
    pub(crate) limits: fn(&Account) -> Headers,
}

/// Where a request went.
pub(crate) struct Address {
    pub(crate) api: &'static Api,
    /// What the path says of the model and of streaming.
    pub(crate) model: Option<String>,
    pub(crate) stream: Option<bool>,
}

/// The content type of server-sent events.
pub(crate) const EVENT_STREAM: &str = "text/event-stream; charset=utf-8";

/// Finds the API at a path.
pub(crate) fn find(path: &str) -> Option<Address> {
    let plain = |api| Some(Address { api, model: None, stream: None });
    match path {
        "/v1/chat/completions" => plain(&openai::API),
        "/v1/responses" => plain(&responses::API),
        "/v1/messages" => plain(&anthropic::API),
        "/api/chat" => plain(&ollama::API),
        "/api/generate" => plain(&ollama::GENERATE),
        "/v2/chat" => plain(&cohere::API),
        _ if path.contains("/publishers/anthropic/models/") => {
            let (model, method) = path.rsplit_once("/models/")?.1.rsplit_once(':')?;
            let stream = match method {
                "rawPredict" => false,
                "streamRawPredict" => true,
                _ => return None,
            };
            Some(Address { api: &anthropic::VERTEX, model: Some(decoded(model)), stream: Some(stream) })
        }
        _ if path.starts_with("/model/") => {
            let (model, method) = path.strip_prefix("/model/")?.rsplit_once('/')?;
            let stream = match method {
                "converse" => false,
                "converse-stream" => true,
                _ => return None,
            };
            Some(Address { api: &bedrock::API, model: Some(decoded(model)), stream: Some(stream) })
        }
        _ => {
            let (model, method) = gemini_path(path)?;
            let stream = match method {
                "generateContent" => false,
                "streamGenerateContent" => true,
                _ => return None,
            };
            Some(Address { api: &gemini::API, model: Some(decoded(model)), stream: Some(stream) })
        }
    }
}

/// The model and the method of one of Gemini's paths.
pub(crate) fn gemini_path(path: &str) -> Option<(&str, &str)> {
    let below = path.strip_prefix("/v1beta/models/").or_else(|| path.strip_prefix("/v1/models/"))?;
    below.rsplit_once(':')
}

/// A name as it stood in a path, in percent encoding.
pub(crate) fn decoded(name: &str) -> String {
    percent_encoding::percent_decode_str(name).decode_utf8_lossy().into_owned()
}

/// Server-sent events that have only data.
pub(crate) fn data_events(list: impl IntoIterator<Item = String>) -> Vec<Vec<u8>> {
    list.into_iter().map(|data| format!("data: {data}\n\n").into_bytes()).collect()
}

/// Server-sent events that are named by their `type`.
pub(crate) fn typed_events(list: &[Value]) -> Vec<Vec<u8>> {
    let named = |event: &Value| {
        let name = event["type"].as_str().unwrap_or_default();
        format!("event: {name}\ndata: {event}\n\n").into_bytes()
    };
    list.iter().map(named).collect()
}

//! Where a request enters, by its method and path.

use std::borrow::Cow;

use http::{HeaderMap, Method};
use wire::{Asked, AskedForm, Dialect, Fault, Form, Kind, Origin, Upload};

use crate::path;

/// What a request asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Entry<'a> {
    /// A model's answer, in a dialect.
    Complete(Asked<'a>),
    /// Another operation, in a form.
    Perform(AskedForm<'a>),
    /// The models that a key may use.
    Models,
    /// One of them.
    Model(&'a str),
    /// What one of them can do, as Ollama's clients ask for it.
    Show,
    /// The models that are loaded, as Ollama's clients ask for them.
    Running,
    /// The version, as Ollama's clients ask for it.
    Version,
    Health,
    Ready,
    /// A dry run, answered by the core that takes it, since it knows what that core has learned.
    Explain,
    /// How good a caller found an answer.
    Feedback,
    /// What a caller asks to be allowed.
    AccessRequest,
    /// The admin side: metrics, keys, calls, rollouts.
    Admin,
}

/// Whether a stream is told as one JSON array: Gemini's, unless the address asks for server-sent events
/// (<https://ai.google.dev/api/generate-content#method:-models.streamgeneratecontent>).
pub(crate) fn is_array(asked: Asked<'_>, query: &str) -> bool {
    let streamed = asked.dialect == Dialect::Gemini && asked.stream == Some(true);
    streamed && !query.split('&').any(|pair| pair == "alt=sse")
}

/// Finds what is asked for. What is found nowhere may still be a path that a provider knows.
pub(crate) fn entry<'a>(method: &Method, path: &'a str) -> Result<Entry<'a>, Fault> {
    let (entry, allowed) = match path {
        "/v1/models" | "/v1beta/models" | "/api/tags" => (Entry::Models, Method::GET),
        "/api/show" => (Entry::Show, Method::POST),
        "/api/ps" => (Entry::Running, Method::GET),
        "/api/version" => (Entry::Version, Method::GET),
        "/healthz" => (Entry::Health, Method::GET),
        "/readyz" => (Entry::Ready, Method::GET),
        crate::feedback::PATH => (Entry::Feedback, Method::POST),
        "/metrics" => (Entry::Admin, Method::GET),
        "/admin/v1/explain" => (Entry::Explain, Method::POST),
        _ if crate::access_request::behind(path).is_some() => return Ok(Entry::AccessRequest),
        _ if path.starts_with("/admin/") || is_scim(path) => return Ok(Entry::Admin),
        _ => {
            if let Some(asked) = Dialect::at(path) {
                (Entry::Complete(asked), Method::POST)
            } else if let Some(asked) = Form::at(path) {
                if asked.form.upload() == Upload::Any {
                    asked.form.check_resource(method.as_str(), asked.method)?;
                    return Ok(Entry::Perform(asked));
                }
                (Entry::Perform(asked), Method::POST)
            } else if let Some(name) = one_model(path) {
                (Entry::Model(name), Method::GET)
            } else {
                return Err(nothing(path));
            }
        }
    };
    if *method == allowed || (allowed == Method::GET && *method == Method::HEAD) {
        return Ok(entry);
    }
    let message = format!("{path} takes {allowed}, not {method}");
    Err(Fault::new(Origin::Client, Kind::MethodNotAllowed, message).code("method_not_allowed"))
}

/// Whether a path is one of those that identity providers put people and groups in by.
pub(crate) fn is_scim(path: &str) -> bool {
    path.strip_prefix("/scim/v2").is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

fn one_model(path: &str) -> Option<&str> {
    path.strip_prefix("/v1/models/").or_else(|| path.strip_prefix("/v1beta/models/"))
}

/// The dialect in which to talk to a caller before its operation is known: by its path, and by what its SDK sends
/// along.
pub(crate) fn dialect(path: &str, headers: &HeaderMap) -> Dialect {
    if let Some(asked) = Dialect::at(path) {
        return asked.dialect;
    }
    if let Some(asked) = Form::at(path) {
        return asked.form.dialect();
    }
    if headers.contains_key("anthropic-version") || path.starts_with("/v1/messages") {
        return Dialect::AnthropicMessages;
    }
    if headers.contains_key("x-goog-api-key") || path.starts_with("/v1beta") {
        return Dialect::Gemini;
    }
    if path.starts_with("/api/") {
        return Dialect::Ollama;
    }
    // Cohere's SDKs ask for models at the same address as OpenAI's.
    let sdk = headers.get("x-fern-sdk-name").and_then(|name| name.to_str().ok());
    if sdk.is_some_and(|name| name.starts_with("cohere")) || path.starts_with("/v2/") {
        return Dialect::CohereV2;
    }
    if path.starts_with("/model/") {
        return Dialect::BedrockConverse;
    }
    Dialect::OpenaiChat
}

/// A model's name as it stood in a path, in percent encoding and perhaps as the name of a resource.
pub(crate) fn model_name(encoded: &str) -> Result<Cow<'_, str>, Fault> {
    let decoded =
        path::decoded(encoded).ok_or_else(|| Fault::invalid("model", "is not UTF-8 in the path"))?;
    Ok(wire::model_of(&decoded).map_or(decoded, Cow::Owned))
}

fn nothing(path: &str) -> Fault {
    let shown: String = path.chars().take(100).collect();
    let message = format!(
        "there is nothing at {shown}; see /v1/chat/completions, /v1/responses, /v1/messages, /v1beta/models, /v2/chat, \
         /model/{{id}}/converse, /api/chat, /v1/completions, /api/generate, /v1/embeddings, /v1/models, or a provider's own paths below /NAME/"
    );
    Fault::new(Origin::Client, Kind::NotFound, message).code("path_not_found")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_name_operations() {
        let complete = |path: &str, dialect, model: Option<&str>| {
            let found = entry(&Method::POST, path).unwrap();
            assert_eq!(found, Entry::Complete(Asked { dialect, model, stream: None }), "{path}");
        };
        complete("/v1/chat/completions", Dialect::OpenaiChat, None);
        complete("/openai/deployments/a%2Fb/chat/completions", Dialect::OpenaiChat, Some("a%2Fb"));
        complete("/v1/responses", Dialect::OpenaiResponses, None);
        complete("/v1/messages", Dialect::AnthropicMessages, None);
        for (path, stream) in [
            ("/v1beta/models/a/b:generateContent", false),
            ("/v1beta/a/b:generateContent", false),
            ("/v1/a/b:streamGenerateContent", true),
        ] {
            let asked = Asked { dialect: Dialect::Gemini, model: Some("a/b"), stream: Some(stream) };
            assert_eq!(entry(&Method::POST, path).unwrap(), Entry::Complete(asked), "{path}");
        }
        assert_eq!(entry(&Method::GET, "/v1/models/a/b").unwrap(), Entry::Model("a/b"));
        assert_eq!(model_name("a%2Fb").unwrap(), "a/b");
        assert_eq!(model_name("projects/p/locations/l/publishers/google/models/m").unwrap(), "m");
        assert_eq!(model_name("publishers/openai/models/m").unwrap(), "openai/m");
        for (method, path) in [
            (Method::POST, "/v1/files/%2e%2e/chat/completions"),
            (Method::POST, "/v1/files/../chat/completions"),
            (Method::POST, "/v1/batches/..%2fchat/completions"),
            (Method::POST, "/v1/responses/"),
            (Method::GET, "/v1/responses/compact/x"),
        ] {
            assert_eq!(entry(&method, path).unwrap_err().kind, Kind::NotFound, "{path}");
        }
        let refused = entry(&Method::GET, "/v1/messages").unwrap_err();
        assert_eq!(refused.kind, Kind::MethodNotAllowed);
        assert_eq!(
            entry(&Method::GET, "/openai/deployments//chat/completions").unwrap_err().kind,
            Kind::NotFound
        );
    }
}

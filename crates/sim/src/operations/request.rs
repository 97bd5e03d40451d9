//! Which operation a path asks for, and what its request holds.

use std::collections::BTreeMap;

use bytes::Bytes;
use http::Method;
use serde_json::Value;

use super::{audio, count, embed, files, images, multipart, rerank, text};
use crate::{
    api::{Api, Refused},
    calls::Calls,
    cohere, gemini, ollama, openai,
};

/// An operation: how it is answered, and whose errors it has.
pub(crate) struct Operation {
    pub(crate) api: &'static Api,
    pub(crate) answer: fn(&Sent<'_>) -> Result<Reply, Refused>,
    /// What the path says of the model.
    pub(crate) model: Option<String>,
}

/// A request.
pub(crate) struct Sent<'a> {
    pub(crate) method: &'a Method,
    pub(crate) path: &'a str,
    /// The model without its script.
    pub(crate) model: &'a str,
    /// The body, where it is JSON.
    pub(crate) json: Value,
    /// The fields of a form with files.
    pub(crate) fields: BTreeMap<String, multipart::Field>,
    pub(crate) number: u64,
    pub(crate) calls: &'a Calls,
}

/// An answer.
pub(crate) enum Reply {
    Json(Value),
    Bytes(&'static str, Vec<u8>),
    Events(Vec<Vec<u8>>),
}

impl<'a> Sent<'a> {
    pub(crate) fn new(
        method: &'a Method,
        path: &'a str,
        kind: &str,
        body: &Bytes,
        calls: &'a Calls,
    ) -> Sent<'a> {
        let fields = multipart::fields(kind, body).unwrap_or_default();
        let json = serde_json::from_slice(body).unwrap_or(Value::Null);
        Sent { method, path, model: "", json, fields, number: 0, calls }
    }

    /// The model that the body names.
    pub(crate) fn named(&self) -> String {
        let named = self.json["model"].as_str().map(ToOwned::to_owned);
        named.or_else(|| self.field("model")).unwrap_or_default()
    }

    pub(super) fn field(&self, name: &str) -> Option<String> {
        let field = self.fields.get(name)?;
        Some(String::from_utf8_lossy(&field.bytes).into_owned())
    }

    /// A member of the body that is a text.
    pub(super) fn text(&self, name: &str) -> &str {
        self.json[name].as_str().unwrap_or_default()
    }
}

/// Finds the operation at a path.
pub(crate) fn find(path: &str) -> Option<Operation> {
    let plain = |api, answer| Some(Operation { api, answer, model: None });
    match path {
        "/v1/embeddings" => plain(&openai::API, embed::openai),
        "/voyage/v1/embeddings" => plain(&openai::API, embed::voyage),
        "/v2/embed" => plain(&cohere::API, embed::cohere),
        "/api/embed" => plain(&ollama::API, embed::ollama),
        "/api/embeddings" => plain(&ollama::API, embed::ollama_one),
        "/v2/rerank" => plain(&cohere::API, rerank::cohere),
        "/v1/rerank" => plain(&openai::API, rerank::jina),
        "/voyage/v1/rerank" => plain(&openai::API, rerank::voyage),
        "/v1/completions" => plain(&openai::API, text::completions),
        "/v1/moderations" => plain(&openai::API, text::moderations),
        "/v1/images/generations" => plain(&openai::API, images::generations),
        "/v1/images/edits" | "/v1/images/variations" => plain(&openai::API, images::edits),
        "/v1/audio/speech" => plain(&openai::API, audio::speech),
        "/v1/audio/transcriptions" | "/v1/audio/translations" => plain(&openai::API, audio::transcription),
        "/v1/messages/count_tokens" => plain(&crate::anthropic::API, count::anthropic),
        _ if path.starts_with("/v1/files") => plain(&openai::API, files::files),
        _ if path.starts_with("/v1/responses/") => plain(&openai::API, files::responses),
        _ if path.starts_with("/v1/batches") => plain(&openai::API, files::batches),
        _ => {
            let (model, method) = crate::api::gemini_path(path)?;
            let answer: fn(&Sent<'_>) -> Result<Reply, Refused> = match method {
                "embedContent" => embed::gemini_one,
                "batchEmbedContents" => embed::gemini,
                "countTokens" => count::gemini,
                _ => return None,
            };
            Some(Operation { api: &gemini::API, answer, model: Some(crate::api::decoded(model)) })
        }
    }
}

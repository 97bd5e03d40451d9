//! Token counts: words.

use serde_json::{Value, json};

use super::{Reply, Sent};
use crate::{anthropic, api::Refused};

fn words(value: &Value) -> usize {
    match value {
        Value::String(text) => text.split_whitespace().count(),
        Value::Array(items) => items.iter().map(words).sum(),
        Value::Object(members) => members
            .iter()
            .filter(|(name, _)| !matches!(name.as_str(), "role" | "type" | "model"))
            .map(|(_, value)| words(value))
            .sum(),
        Value::Null | Value::Bool(_) | Value::Number(_) => 0,
    }
}

pub(super) fn anthropic(sent: &Sent<'_>) -> Result<Reply, Refused> {
    if !sent.json["messages"].is_array() {
        return Err((anthropic::API.invalid)("messages: Field required"));
    }
    Ok(Reply::Json(json!({"input_tokens": words(&sent.json)})))
}

pub(super) fn gemini(sent: &Sent<'_>) -> Result<Reply, Refused> {
    let total = words(&sent.json);
    Ok(Reply::Json(json!({
        "totalTokens": total, "promptTokensDetails": [{"modality": "TEXT", "tokenCount": total}],
    })))
}

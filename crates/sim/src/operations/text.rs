//! Completions and moderations.

use serde_json::{Value, json};

use super::{Reply, Sent};
use crate::{
    answer::words,
    api::{Refused, data_events},
    openai,
};

pub(super) fn completions(sent: &Sent<'_>) -> Result<Reply, Refused> {
    let prompt = match &sent.json["prompt"] {
        Value::String(prompt) => prompt.clone(),
        Value::Null => return Err((openai::API.invalid)("you must provide a prompt")),
        other => other.to_string(),
    };
    let text = format!("{prompt} and so on, word by word");
    let usage = json!({
        "prompt_tokens": words(&prompt).len(), "completion_tokens": words(&text).len(),
        "total_tokens": words(&prompt).len() + words(&text).len(),
    });
    let id = format!("cmpl-sim{}", sent.number);
    let one = |text: &str, reason: Value, usage: Value| {
        json!({
            "id": id, "object": "text_completion", "created": 1_790_000_000, "model": sent.model,
            "choices": [{"index": 0, "text": text, "logprobs": null, "finish_reason": reason}], "usage": usage,
        })
    };
    if sent.json["stream"] != json!(true) {
        return Ok(Reply::Json(one(&text, json!("stop"), usage)));
    }
    let mut events: Vec<String> =
        words(&text).iter().map(|word| one(word, Value::Null, Value::Null).to_string()).collect();
    events.push(one("", json!("stop"), usage).to_string());
    events.push("[DONE]".to_owned());
    Ok(Reply::Events(data_events(events)))
}

pub(super) fn moderations(sent: &Sent<'_>) -> Result<Reply, Refused> {
    let inputs = match &sent.json["input"] {
        Value::Null => return Err((openai::API.invalid)("you must provide an input")),
        Value::Array(items) => items.iter().map(Value::to_string).collect(),
        other => vec![other.to_string()],
    };
    let one = |text: &String| {
        let flagged = text.contains("kill");
        json!({"flagged": flagged, "categories": {"violence": flagged, "hate": false},
               "category_scores": {"violence": if flagged { 0.98 } else { 0.01 }, "hate": 0.001}})
    };
    let results: Vec<Value> = inputs.iter().map(one).collect();
    Ok(Reply::Json(
        json!({"id": format!("modr-sim{}", sent.number), "model": sent.model, "results": results}),
    ))
}

//! Vectors: eight numbers that follow from the text.

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

use super::{Reply, Sent};
use crate::{api::Refused, cohere, gemini, ollama, openai};

/// How many numbers a vector has unless others are asked for.
const DIMENSIONS: u64 = 8;

/// Halves and quarters, so that every writing of them says the same.
fn vector(text: &str, dimensions: u64) -> Vec<f32> {
    let mut state = text.bytes().fold(7_u32, |sum, byte| sum.wrapping_mul(31).wrapping_add(u32::from(byte)));
    let numbers = (0..dimensions).map(|_| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        f32::from(i8::try_from(state >> 25).unwrap_or_default()) / 4.0 - 15.75
    });
    numbers.collect()
}

fn packed(numbers: &[f32]) -> String {
    STANDARD.encode(numbers.iter().flat_map(|number| number.to_le_bytes()).collect::<Vec<u8>>())
}

fn words(text: &str) -> usize {
    text.split_whitespace().count()
}

/// Texts of a member that is one text or a list of them; token numbers count as a text each.
fn texts(input: &Value) -> Option<Vec<String>> {
    match input {
        Value::String(text) => Some(vec![text.clone()]),
        Value::Array(items) if items.first().is_some_and(Value::is_number) => Some(vec![input.to_string()]),
        Value::Array(items) => {
            let text = |item: &Value| item.as_str().map_or_else(|| item.to_string(), ToOwned::to_owned);
            Some(items.iter().map(text).collect())
        }
        _ => None,
    }
}

pub(super) fn openai(sent: &Sent<'_>) -> Result<Reply, Refused> {
    for name in ["input_type", "output_dimension", "truncation"] {
        if !sent.json[name].is_null() {
            return Err((openai::API.invalid)(&format!("Unrecognized request argument supplied: {name}")));
        }
    }
    listed(sent, "dimensions", |tokens| json!({"prompt_tokens": tokens, "total_tokens": tokens}))
}

pub(super) fn voyage(sent: &Sent<'_>) -> Result<Reply, Refused> {
    for name in ["dimensions", "user"] {
        if !sent.json[name].is_null() {
            let detail = format!("Argument '{name}' is not supported by our API");
            return Err((400, json!({"detail": detail})));
        }
    }
    listed(sent, "output_dimension", |tokens| json!({"total_tokens": tokens}))
}

fn listed(sent: &Sent<'_>, dimensions: &str, usage: fn(usize) -> Value) -> Result<Reply, Refused> {
    let texts = texts(&sent.json["input"]);
    let texts = texts.ok_or_else(|| (openai::API.invalid)("'input' is a required property"))?;
    let dimensions = sent.json[dimensions].as_u64().unwrap_or(DIMENSIONS);
    let base64 = sent.text("encoding_format") == "base64";
    let one = |(index, text): (usize, &String)| {
        let numbers = vector(text, dimensions);
        let embedding = if base64 { json!(packed(&numbers)) } else { json!(numbers) };
        json!({"object": "embedding", "index": index, "embedding": embedding})
    };
    let data: Vec<Value> = texts.iter().enumerate().map(one).collect();
    let tokens = texts.iter().map(|text| words(text)).sum();
    Ok(Reply::Json(json!({"object": "list", "data": data, "model": sent.model, "usage": usage(tokens)})))
}

pub(super) fn cohere(sent: &Sent<'_>) -> Result<Reply, Refused> {
    if sent.text("input_type").is_empty() {
        return Err((cohere::API.invalid)("valid input_type must be provided with the provided model"));
    }
    let list = if sent.json["images"].is_null() { &sent.json["texts"] } else { &sent.json["images"] };
    let texts = texts(list).ok_or_else(|| (cohere::API.invalid)("texts or images must be provided"))?;
    let dimensions = sent.json["output_dimension"].as_u64().unwrap_or(DIMENSIONS);
    let vectors: Vec<Vec<f32>> = texts.iter().map(|text| vector(text, dimensions)).collect();
    let mut embeddings = serde_json::Map::new();
    for kind in sent.json["embedding_types"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        let of_kind: Vec<Value> = match kind {
            "base64" => vectors.iter().map(|numbers| json!(packed(numbers))).collect(),
            "int8" => vectors
                .iter()
                .map(|numbers| json!(numbers.iter().map(|n| *n as i8).collect::<Vec<i8>>()))
                .collect(),
            _ => vectors.iter().map(|numbers| json!(numbers)).collect(),
        };
        embeddings.insert(kind.to_owned(), json!(of_kind));
    }
    let tokens: usize = texts.iter().map(|text| words(text)).sum();
    Ok(Reply::Json(json!({
        "id": format!("emb-sim{}", sent.number), "embeddings": embeddings, "texts": texts,
        "response_type": "embeddings_by_type",
        "meta": {"api_version": {"version": "2"}, "billed_units": {"input_tokens": tokens}},
    })))
}

pub(super) fn gemini_one(sent: &Sent<'_>) -> Result<Reply, Refused> {
    Ok(Reply::Json(json!({"embedding": {"values": content(&sent.json)?}})))
}

pub(super) fn gemini(sent: &Sent<'_>) -> Result<Reply, Refused> {
    let requests = sent.json["requests"].as_array();
    let requests = requests.ok_or_else(|| (gemini::API.invalid)("requests is not set"))?;
    let mut embeddings = Vec::new();
    for request in requests {
        let named = request["model"].as_str().and_then(|name| name.strip_prefix("models/"));
        if named.is_none_or(|name| name.split('!').next() != Some(sent.model)) {
            return Err((gemini::API.invalid)("All requests must be for the model of the path"));
        }
        embeddings.push(json!({"values": content(request)?}));
    }
    Ok(Reply::Json(json!({"embeddings": embeddings})))
}

fn content(request: &Value) -> Result<Vec<f32>, Refused> {
    let parts = request["content"]["parts"].as_array();
    let parts = parts.ok_or_else(|| (gemini::API.invalid)("content is not set"))?;
    let text: String = parts.iter().filter_map(|part| part["text"].as_str()).collect();
    let dimensions = request["outputDimensionality"].as_u64().unwrap_or(DIMENSIONS);
    Ok(vector(&text, dimensions))
}

pub(super) fn ollama(sent: &Sent<'_>) -> Result<Reply, Refused> {
    let texts = texts(&sent.json["input"]).ok_or_else(|| (ollama::API.invalid)("missing input"))?;
    let dimensions = sent.json["dimensions"].as_u64().unwrap_or(DIMENSIONS);
    let embeddings: Vec<Vec<f32>> = texts.iter().map(|text| vector(text, dimensions)).collect();
    let tokens: usize = texts.iter().map(|text| words(text)).sum();
    Ok(Reply::Json(json!({
        "model": sent.model, "embeddings": embeddings, "total_duration": 1_000, "load_duration": 10,
        "prompt_eval_count": tokens,
    })))
}

pub(super) fn ollama_one(sent: &Sent<'_>) -> Result<Reply, Refused> {
    Ok(Reply::Json(json!({"embedding": vector(sent.text("prompt"), DIMENSIONS)})))
}

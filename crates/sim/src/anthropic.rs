//! Anthropic's Messages in their own form.

use std::hash::{DefaultHasher, Hash, Hasher};

use serde_json::{Value, json};

use crate::{
    account,
    answer::{Answer, Asked, Choice, Ended, Said, Scene, Tool, words},
    api::{Api, EVENT_STREAM, Refused, typed_events},
    calls::Calls,
    openai::pieces,
    refusal::Refusal,
};

pub(crate) const API: Api = Api {
    read,
    whole,
    stream,
    stream_type: EVENT_STREAM,
    streams_unasked: false,
    broken,
    invalid,
    scripted,
    refuse,
    limits: account::anthropic,
};

/// The same on Vertex AI.
pub(crate) const VERTEX: Api = Api { read: read_at_vertex, ..API };

fn broken() -> Vec<u8> {
    let error = json!({"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}});
    typed_events(&[error]).concat()
}

fn invalid(message: &str) -> Refused {
    error(400, "invalid_request_error", message)
}

fn error(status: u16, kind: &str, message: &str) -> Refused {
    (status, json!({"type": "error", "error": {"type": kind, "message": message}, "request_id": "req_sim"}))
}

/// The error of a scripted status.
fn scripted(status: u16, model: &str) -> Refused {
    let missing = format!("model: {model}");
    let (kind, message) = match status {
        400 => ("invalid_request_error", "simulated"),
        401 => ("authentication_error", "invalid x-api-key"),
        403 => ("permission_error", "Your API key does not have permission to use the specified resource."),
        404 => ("not_found_error", missing.as_str()),
        413 => ("request_too_large", "Request exceeds the maximum size"),
        429 => ("rate_limit_error", "This request would exceed your organization's rate limit."),
        529 => ("overloaded_error", "Overloaded"),
        _ => ("api_error", "Internal server error"),
    };
    error(status, kind, message)
}

/// The error of a reason.
fn refuse(refusal: Refusal, model: &str) -> Refused {
    match refusal {
        Refusal::Overloaded => scripted(529, model),
        Refusal::RateLimit => scripted(429, model),
        Refusal::Quota => invalid("Your credit balance is too low to access the Anthropic API."),
        Refusal::Context => invalid("prompt is too long: 210000 tokens > 200000 maximum"),
        Refusal::Policy => invalid("Output blocked by content filtering policy"),
        Refusal::Key => scripted(401, model),
        Refusal::Model => scripted(404, model),
        Refusal::Invalid => invalid("messages: simulated"),
    }
}

/// Reads a request as Vertex AI takes it: the address names the model, and the body the version.
fn read_at_vertex(body: &Value, model: &str, calls: &Calls) -> Result<Asked, Refused> {
    if body.get("model").is_some() {
        return Err(invalid("model: Extra inputs are not permitted"));
    }
    if body.get("anthropic_version").is_none() {
        return Err(invalid("anthropic_version: Field required"));
    }
    read(body, model, calls)
}

/// Reads a request, as strictly as the provider does.
fn read(body: &Value, _: &str, calls: &Calls) -> Result<Asked, Refused> {
    let Some(messages) = body["messages"].as_array() else { return Err(invalid("messages: Field required")) };
    let Some(limit) = body["max_tokens"].as_u64() else { return Err(invalid("max_tokens: Field required")) };
    if body["temperature"].as_f64().is_some_and(|temperature| temperature > 1.0) {
        return Err(invalid("temperature: range: 0..1"));
    }
    let mut asked = Asked { parallel: true, output_max: usize::try_from(limit).ok(), ..Asked::default() };
    let mut open: Vec<&str> = Vec::new();
    let mut marked = body["system"].to_string().contains("cache_control");
    asked.prompt_tokens += words(&plain(&body["system"])).len();
    for (at, message) in messages.iter().enumerate() {
        asked.tool_result = None;
        let role = message["role"].as_str().unwrap_or_default();
        if role != "user" && role != "assistant" {
            return Err(invalid(&format!("messages.{at}.role: Input should be 'user' or 'assistant'")));
        }
        marked |= message["content"].to_string().contains("cache_control");
        let text = plain(&message["content"]);
        asked.prompt_tokens += words(&text).len();
        let blocks = message["content"].as_array().into_iter().flatten();
        for block in blocks {
            read_block(block, at, &mut open, &mut asked)?;
        }
        if role == "user" && !text.is_empty() {
            asked.last_text = text;
        }
    }
    if marked {
        let mut hasher = DefaultHasher::new();
        body["system"].to_string().hash(&mut hasher);
        if calls.was_cached(hasher.finish(), asked.prompt_tokens) {
            asked.cached_tokens = asked.prompt_tokens;
        } else {
            asked.cache_written_tokens = asked.prompt_tokens;
        }
    }
    read_settings(body, &mut asked)?;
    Ok(asked)
}

fn read_block<'b>(
    block: &'b Value,
    at: usize,
    open: &mut Vec<&'b str>,
    asked: &mut Asked,
) -> Result<(), Refused> {
    let invalid = |message: String| error(400, "invalid_request_error", &message);
    match block["type"].as_str().unwrap_or_default() {
        "text" if block["text"] == "" => {
            return Err(invalid(format!("messages.{at}: text content blocks must be non-empty")));
        }
        "tool_use" => {
            if !block["input"].is_object() {
                return Err(invalid(format!(
                    "messages.{at}.content: tool_use.input: Input should be a valid dictionary"
                )));
            }
            open.extend(block["id"].as_str());
        }
        "tool_result" => {
            let id = block["tool_use_id"].as_str().unwrap_or_default();
            if !open.contains(&id) {
                let message =
                    format!("messages.{at}: unexpected `tool_use_id` found in `tool_result` blocks: {id}");
                return Err(invalid(message));
            }
            asked.tool_result = Some(plain(&block["content"]));
        }
        "image" | "document" => {
            let source = &block["source"];
            let shown =
                source["media_type"].as_str().or(source["url"].as_str()).or(source["file_id"].as_str());
            asked.attachments.push(shown.unwrap_or("nothing").to_owned());
        }
        "thinking" => {
            let thought = block["thinking"].as_str().unwrap_or_default();
            if block["signature"] != json!(signature(thought)) {
                return Err(invalid(format!("messages.{at}: Invalid `signature` in `thinking` block")));
            }
        }
        _ => {}
    }
    Ok(())
}

/// The text of a content: a string, or its text blocks.
fn plain(content: &Value) -> String {
    match content {
        Value::String(text) => text.clone(),
        Value::Array(blocks) => blocks.iter().filter_map(|block| block["text"].as_str()).collect(),
        _ => String::new(),
    }
}

fn read_settings(body: &Value, asked: &mut Asked) -> Result<(), Refused> {
    for tool in body["tools"].as_array().into_iter().flatten() {
        let name = tool["name"].as_str().unwrap_or_default().to_owned();
        asked.tools.push(Tool { name, schema: tool["input_schema"].clone() });
    }
    let choice = &body["tool_choice"];
    asked.choice = match choice["type"].as_str() {
        Some("any") => Choice::Required,
        Some("none") => Choice::None,
        Some("tool") => Choice::Named(choice["name"].as_str().unwrap_or_default().to_owned()),
        _ => Choice::Auto,
    };
    asked.parallel = choice["disable_parallel_tool_use"] != json!(true);
    let format = &body["output_config"]["format"];
    asked.schema = (format["type"] == "json_schema").then(|| format["schema"].clone());
    let stops = body["stop_sequences"].as_array().into_iter().flatten();
    asked.stops = stops.filter_map(|stop| stop.as_str().map(str::to_owned)).collect();
    asked.think = matches!(body["thinking"]["type"].as_str(), Some("enabled" | "adaptive"));
    let budget = body["thinking"]["budget_tokens"].as_u64();
    if budget.is_some_and(|budget| budget < 1024 || body["max_tokens"].as_u64() <= Some(budget)) {
        let message =
            "`max_tokens` must be greater than `thinking.budget_tokens`, which must be at least 1024";
        return Err(error(400, "invalid_request_error", message));
    }
    Ok(())
}

/// The seal on a thought: it must come back unchanged.
fn signature(thought: &str) -> String {
    let mut hasher = DefaultHasher::new();
    thought.hash(&mut hasher);
    format!("sim{:016x}==", hasher.finish())
}

fn stop_reason(answer: &Answer) -> &'static str {
    match (&answer.said, &answer.ended) {
        (Said::Calls(_), _) => "tool_use",
        (Said::Refusal(_), _) => "refusal",
        (Said::Text(_), Ended::AtLimit) => "max_tokens",
        (Said::Text(_), Ended::AtStop(_)) => "stop_sequence",
        (Said::Text(_), Ended::Naturally) => "end_turn",
    }
}

fn stop_sequence(answer: &Answer) -> Value {
    match &answer.ended {
        Ended::AtStop(text) => json!(text),
        Ended::Naturally | Ended::AtLimit => Value::Null,
    }
}

fn usage(asked: &Asked, output: usize) -> Value {
    let plain = asked.prompt_tokens - asked.cached_tokens - asked.cache_written_tokens;
    json!({
        "input_tokens": plain, "cache_creation_input_tokens": asked.cache_written_tokens,
        "cache_read_input_tokens": asked.cached_tokens, "output_tokens": output,
        "cache_creation": {"ephemeral_5m_input_tokens": asked.cache_written_tokens, "ephemeral_1h_input_tokens": 0},
        "service_tier": "standard",
    })
}

fn blocks(number: u64, answer: &Answer) -> Vec<Value> {
    let mut blocks = Vec::new();
    if let Some(thought) = &answer.thought {
        blocks.push(json!({"type": "thinking", "thinking": thought, "signature": signature(thought)}));
    }
    match &answer.said {
        Said::Text(text) | Said::Refusal(text) => blocks.push(json!({"type": "text", "text": text})),
        Said::Calls(calls) => blocks.extend(calls.iter().enumerate().map(|(at, (name, arguments))| {
            let input: Value = serde_json::from_str(arguments).unwrap_or_default();
            json!({"type": "tool_use", "id": format!("toolu_sim{number}x{at}"), "name": name, "input": input})
        })),
    }
    blocks
}

/// A whole answer.
fn whole(scene: &Scene<'_>) -> Value {
    let Scene { model, number, asked, answer, script, .. } = *scene;
    let mut whole = json!({
        "id": format!("msg_sim{number}"), "type": "message", "role": "assistant", "model": model,
        "content": blocks(number, answer), "stop_reason": stop_reason(answer),
        "stop_sequence": stop_sequence(answer),
    });
    if !script.no_usage {
        whole["usage"] = usage(asked, answer.tokens() + answer.thought_tokens());
    }
    whole
}

/// The events of a streamed answer.
fn stream(scene: &Scene<'_>) -> Vec<Vec<u8>> {
    let Scene { model, number, asked, answer, script, .. } = *scene;
    let mut message = json!({
        "id": format!("msg_sim{number}"), "type": "message", "role": "assistant", "model": model,
        "content": [], "stop_reason": null, "stop_sequence": null,
    });
    if !script.no_usage {
        message["usage"] = usage(asked, 1);
    }
    let mut events = vec![json!({"type": "message_start", "message": message})];
    for (index, block) in blocks(number, answer).into_iter().enumerate() {
        let delta = |delta: Value| json!({"type": "content_block_delta", "index": index, "delta": delta});
        let (opening, deltas): (Value, Vec<Value>) = match block["type"].as_str().unwrap_or_default() {
            "thinking" => {
                let thought = block["thinking"].as_str().unwrap_or_default();
                let mut deltas: Vec<Value> = words(thought)
                    .into_iter()
                    .map(|word| json!({"type": "thinking_delta", "thinking": word}))
                    .collect();
                deltas.push(json!({"type": "signature_delta", "signature": block["signature"]}));
                (json!({"type": "thinking", "thinking": "", "signature": ""}), deltas)
            }
            "tool_use" => {
                let mut opening = block.clone();
                opening["input"] = json!({});
                let text = block["input"].to_string();
                let piece = |piece: String| json!({"type": "input_json_delta", "partial_json": piece});
                let mut deltas = vec![piece(String::new())];
                deltas.extend(pieces(&text).into_iter().map(piece));
                (opening, deltas)
            }
            _ => {
                let text = block["text"].as_str().unwrap_or_default();
                let piece = |word: &str| json!({"type": "text_delta", "text": word});
                (json!({"type": "text", "text": ""}), words(text).into_iter().map(piece).collect())
            }
        };
        events.push(json!({"type": "content_block_start", "index": index, "content_block": opening}));
        if index == 0 {
            events.push(json!({"type": "ping"}));
        }
        events.extend(deltas.into_iter().map(delta));
        events.push(json!({"type": "content_block_stop", "index": index}));
    }
    let mut last = json!({
        "type": "message_delta",
        "delta": {"stop_reason": stop_reason(answer), "stop_sequence": stop_sequence(answer)},
    });
    if !script.no_usage {
        // What was used so far, the prompt included.
        last["usage"] = usage(asked, answer.tokens() + answer.thought_tokens());
    }
    events.push(last);
    events.push(json!({"type": "message_stop"}));
    typed_events(&events)
}

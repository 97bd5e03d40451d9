//! Cohere's Chat API, version 2, in its own form.

use serde_json::{Value, json};

use crate::{
    account,
    answer::{Answer, Asked, Choice, Ended, Said, Scene, Tool, words},
    api::{Api, EVENT_STREAM, Refused, typed_events},
    calls::Calls,
    openai::{pieces, shown},
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
    limits: account::silent,
};

fn error(status: u16, message: &str) -> Refused {
    (status, json!({"id": "sim", "message": message}))
}

fn invalid(message: &str) -> Refused {
    error(400, message)
}

fn broken() -> Vec<u8> {
    let delta = json!({"finish_reason": "ERROR", "error": "the model failed", "error_type": "INTERNAL"});
    typed_events(&[json!({"type": "message-end", "delta": delta})]).concat()
}

fn scripted(status: u16, model: &str) -> Refused {
    match status {
        401 => error(401, "invalid api token"),
        404 => error(404, &format!("model '{model}' not found, make sure the correct model ID was used")),
        429 => error(429, "You are using a Trial key, which is limited to 20 API calls / minute."),
        other => error(other, &format!("simulated status {other}")),
    }
}

/// The error of a reason (<https://docs.cohere.com/reference/errors>).
fn refuse(refusal: Refusal, model: &str) -> Refused {
    match refusal {
        Refusal::Overloaded => scripted(503, model),
        Refusal::RateLimit => scripted(429, model),
        Refusal::Quota => {
            error(429, "You are using a Trial key, which is limited to 1000 API calls / month.")
        }
        Refusal::Context => {
            error(400, "too many tokens: the prompt and the answer have more than the model takes")
        }
        Refusal::Policy => error(498, "blocked input: the request has a token that is on a deny list"),
        Refusal::Key => scripted(401, model),
        Refusal::Model => scripted(404, model),
        Refusal::Invalid => invalid("invalid request: simulated"),
    }
}

/// Reads a request, as strictly as the provider does.
fn read(body: &Value, model: &str, _: &Calls) -> Result<Asked, Refused> {
    let known = [
        "model",
        "messages",
        "tools",
        "strict_tools",
        "tool_choice",
        "documents",
        "citation_options",
        "response_format",
        "safety_mode",
        "max_tokens",
        "stop_sequences",
        "temperature",
        "seed",
        "frequency_penalty",
        "presence_penalty",
        "k",
        "p",
        "logprobs",
        "thinking",
        "stream",
        "priority",
    ];
    let names = body.as_object().into_iter().flatten().map(|(name, _)| name.as_str());
    if let Some(name) = names.into_iter().find(|name| !known.contains(name)) {
        return Err(error(422, &format!("unknown field: parameter '{name}' is not a valid field")));
    }
    let messages = body["messages"].as_array().filter(|list| !list.is_empty());
    let messages = messages.ok_or_else(|| invalid("invalid request: messages must not be empty"))?;
    let mut asked = Asked { parallel: true, ..Asked::default() };
    let mut open: Vec<&str> = Vec::new();
    for (at, message) in messages.iter().enumerate() {
        asked.tool_result = None;
        let text = content(&message["content"], &mut asked);
        asked.prompt_tokens += words(&text).len();
        match message["role"].as_str().unwrap_or_default() {
            "system" => {}
            "user" => asked.last_text = text,
            "assistant" => {
                let calls = message["tool_calls"].as_array().into_iter().flatten();
                open.extend(calls.filter_map(|call| call["id"].as_str()));
            }
            "tool" => {
                let id = message["tool_call_id"].as_str().unwrap_or_default();
                if !open.contains(&id) {
                    return Err(invalid(&format!(
                        "invalid request: no tool call with id '{id}' at messages[{at}]"
                    )));
                }
                asked.tool_result = Some(text);
            }
            other => return Err(invalid(&format!("invalid request: message role '{other}' is not valid"))),
        }
    }
    read_settings(body, model, &mut asked);
    Ok(asked)
}

fn content(content: &Value, asked: &mut Asked) -> String {
    let mut text = content.as_str().unwrap_or_default().to_owned();
    for part in content.as_array().into_iter().flatten() {
        match part["type"].as_str().unwrap_or_default() {
            "text" => text.push_str(part["text"].as_str().unwrap_or_default()),
            "image_url" => asked.attachments.push(shown(part["image_url"]["url"].as_str())),
            "document" => text.push_str(&part["document"]["data"].to_string()),
            _ => {}
        }
    }
    text
}

fn read_settings(body: &Value, model: &str, asked: &mut Asked) {
    for tool in body["tools"].as_array().into_iter().flatten() {
        let function = &tool["function"];
        let name = function["name"].as_str().unwrap_or_default().to_owned();
        asked.tools.push(Tool { name, schema: function["parameters"].clone() });
    }
    asked.choice = match body["tool_choice"].as_str() {
        Some("REQUIRED") => Choice::Required,
        Some("NONE") => Choice::None,
        _ => Choice::Auto,
    };
    let format = &body["response_format"];
    asked.json_object = format["type"] == "json_object";
    asked.schema = format.get("json_schema").cloned();
    asked.output_max = body["max_tokens"].as_u64().and_then(|limit| usize::try_from(limit).ok());
    let stops = body["stop_sequences"].as_array().into_iter().flatten();
    asked.stops = stops.filter_map(|stop| stop.as_str().map(str::to_owned)).collect();
    asked.think = model.contains("reason") || body["thinking"]["type"] == "enabled";
}

fn finish_reason(answer: &Answer) -> &'static str {
    match (&answer.said, &answer.ended) {
        (Said::Calls(_), _) => "TOOL_CALL",
        (_, Ended::AtLimit) => "MAX_TOKENS",
        (_, Ended::AtStop(_)) => "STOP_SEQUENCE",
        (_, Ended::Naturally) => "COMPLETE",
    }
}

fn usage(asked: &Asked, answer: &Answer) -> Value {
    let (thought, output) = (answer.thought_tokens(), answer.tokens() + answer.thought_tokens());
    let mut tokens = json!({"input_tokens": asked.prompt_tokens + 500, "output_tokens": output + 2});
    if thought > 0 {
        tokens["reasoning_tokens"] = json!(thought);
    }
    json!({
        "billed_units": {"input_tokens": asked.prompt_tokens, "output_tokens": output}, "tokens": tokens,
        "cached_tokens": 0,
    })
}

fn call(number: u64, at: usize, (name, arguments): &(String, String)) -> Value {
    json!({"id": format!("{name}_sim{number}x{at}"), "type": "function",
           "function": {"name": name, "arguments": arguments}})
}

/// The content of an answer.
fn blocks(answer: &Answer) -> Vec<Value> {
    let thought = answer.thought.iter().map(|thought| json!({"type": "thinking", "thinking": thought}));
    let said = match &answer.said {
        Said::Text(text) | Said::Refusal(text) => Some(json!({"type": "text", "text": text})),
        Said::Calls(_) => None,
    };
    thought.chain(said).collect()
}

const PLAN: &str = "I will use the tools.";

fn whole(scene: &Scene<'_>) -> Value {
    let Scene { number, asked, answer, script, .. } = *scene;
    let mut message = json!({"role": "assistant"});
    let blocks = blocks(answer);
    if !blocks.is_empty() {
        message["content"] = json!(blocks);
    }
    if let Said::Calls(calls) = &answer.said {
        message["tool_plan"] = json!(PLAN);
        message["tool_calls"] = calls.iter().enumerate().map(|(at, one)| call(number, at, one)).collect();
    }
    let mut whole = json!({"id": format!("sim-{number}"), "message": message,
                           "finish_reason": finish_reason(answer)});
    if !script.no_usage {
        whole["usage"] = usage(asked, answer);
    }
    whole
}

/// The events of a streamed answer.
fn stream(scene: &Scene<'_>) -> Vec<Vec<u8>> {
    let Scene { number, asked, answer, script, .. } = *scene;
    let told = |kind: &str, index: usize, member: &str, value: Value| json!({"type": kind, "index": index, "delta": {"message": {member: value}}});
    let opened =
        json!({"role": "assistant", "content": [], "tool_plan": "", "tool_calls": [], "citations": []});
    let id = format!("sim-{number}");
    let mut events = vec![json!({"type": "message-start", "id": id, "delta": {"message": opened}})];
    for (index, block) in blocks(answer).iter().enumerate() {
        let kind = block["type"].as_str().unwrap_or_default();
        events.push(told("content-start", index, "content", json!({"type": kind, kind: ""})));
        for word in words(block[kind].as_str().unwrap_or_default()) {
            events.push(told("content-delta", index, "content", json!({kind: word})));
        }
        events.push(json!({"type": "content-end", "index": index}));
    }
    if let Said::Calls(calls) = &answer.said {
        for word in words(PLAN) {
            events.push(json!({"type": "tool-plan-delta", "delta": {"message": {"tool_plan": word}}}));
        }
        for (index, one) in calls.iter().enumerate() {
            let mut opening = call(number, index, one);
            opening["function"]["arguments"] = json!("");
            events.push(told("tool-call-start", index, "tool_calls", opening));
            for piece in pieces(&one.1) {
                let piece = json!({"function": {"arguments": piece}});
                events.push(told("tool-call-delta", index, "tool_calls", piece));
            }
            events.push(json!({"type": "tool-call-end", "index": index}));
        }
    }
    let mut delta = json!({"finish_reason": finish_reason(answer)});
    if !script.no_usage {
        delta["usage"] = usage(asked, answer);
    }
    events.push(json!({"type": "message-end", "delta": delta}));
    let mut events = typed_events(&events);
    events.push(b"data: [DONE]\n\n".to_vec());
    events
}

//! OpenAI's chat completions in their own form.

use serde_json::{Value, json};

use crate::{
    account,
    answer::{Answer, Asked, Choice, Ended, Said, Scene, Tool, words},
    api::{Api, EVENT_STREAM, Refused, data_events},
    calls::Calls,
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
    limits: account::openai,
};

fn broken() -> Vec<u8> {
    let error = json!({"error": {
        "message": "The server had an error processing your request.", "type": "server_error",
        "param": null, "code": null,
    }});
    format!("data: {error}\n\n").into_bytes()
}

pub(crate) fn invalid(message: &str) -> Refused {
    error(400, message, None, None)
}

pub(crate) fn error(status: u16, message: &str, code: Option<&str>, param: Option<&str>) -> Refused {
    let kind = match status {
        401 => "invalid_request_error",
        429 => "requests",
        500.. => "server_error",
        _ => "invalid_request_error",
    };
    (status, json!({"error": {"message": message, "type": kind, "param": param, "code": code}}))
}

/// The error of a scripted status.
pub(crate) fn scripted(status: u16, model: &str) -> Refused {
    match status {
        401 => error(401, "Incorrect API key provided: sk-inv***lid.", Some("invalid_api_key"), None),
        404 => error(404, &format!("The model `{model}` does not exist."), Some("model_not_found"), None),
        429 => error(429, &format!("Rate limit reached for {model}."), Some("rate_limit_exceeded"), None),
        500 => error(500, "The server had an error while processing your request.", None, None),
        503 => error(503, "That model is currently overloaded with other requests.", None, None),
        other => error(other, &format!("simulated status {other}"), None, None),
    }
}

/// The error of a reason. A content policy is told as Azure tells it
/// (<https://learn.microsoft.com/azure/ai-foundry/openai/concepts/content-filter>).
pub(crate) fn refuse(refusal: Refusal, model: &str) -> Refused {
    match refusal {
        Refusal::Overloaded => scripted(503, model),
        Refusal::RateLimit => scripted(429, model),
        Refusal::Quota => {
            let code = "insufficient_quota";
            let message = "You exceeded your current quota: check your plan and billing.";
            (429, json!({"error": {"message": message, "type": code, "param": null, "code": code}}))
        }
        Refusal::Context => {
            let message = "This model's maximum context length is 9000 tokens, and your messages have more.";
            error(400, message, Some("context_length_exceeded"), Some("messages"))
        }
        Refusal::Policy => {
            let message = "The response was filtered: the prompt is against the content management policy.";
            error(400, message, Some("content_filter"), Some("prompt"))
        }
        Refusal::Key => scripted(401, model),
        Refusal::Model => scripted(404, model),
        Refusal::Invalid => {
            error(400, "Invalid value: 'simulated'.", Some("invalid_value"), Some("messages"))
        }
    }
}

/// Reads a request, as strictly as the provider does.
fn read(body: &Value, model: &str, _: &Calls) -> Result<Asked, Refused> {
    let invalid = |message: &str, param: &str| error(400, message, None, Some(param));
    let messages = body.get("messages").and_then(Value::as_array);
    let messages = messages.ok_or_else(|| invalid("Missing required parameter: 'messages'.", "messages"))?;
    let reasons = ["o1", "o3", "o4", "gpt-5"].iter().any(|start| model.starts_with(start));
    if reasons && body.get("max_tokens").is_some_and(|limit| !limit.is_null()) {
        let message = "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead.";
        return Err(error(400, message, Some("unsupported_parameter"), Some("max_tokens")));
    }
    let mut asked =
        Asked { parallel: body.get("parallel_tool_calls") != Some(&json!(false)), ..Asked::default() };
    let mut open_calls: Vec<&str> = Vec::new();
    for (at, message) in messages.iter().enumerate() {
        let role = message.get("role").and_then(Value::as_str).unwrap_or_default();
        asked.tool_result = None;
        match role {
            "system" | "developer" | "user" | "assistant" | "function" => {}
            "tool" => {
                let id = message.get("tool_call_id").and_then(Value::as_str).unwrap_or_default();
                if !open_calls.contains(&id) {
                    let message = "messages with role 'tool' must be a response to a preceeding message with 'tool_calls'.";
                    return Err(invalid(message, &format!("messages.[{at}].role")));
                }
            }
            other => {
                let message = format!(
                    "Invalid value: '{other}'. Supported values are: 'system', 'assistant', 'user', 'function', 'tool', and 'developer'."
                );
                return Err(invalid(&message, &format!("messages[{at}].role")));
            }
        }
        let calls = message.get("tool_calls").and_then(Value::as_array).into_iter().flatten();
        open_calls.extend(calls.filter_map(|call| call.get("id")?.as_str()));
        read_content(message.get("content"), role, &mut asked);
    }
    read_settings(body, model, &mut asked);
    Ok(asked)
}

fn read_content(content: Option<&Value>, role: &str, asked: &mut Asked) {
    let mut text = String::new();
    match content {
        Some(Value::String(plain)) => text.push_str(plain),
        Some(Value::Array(parts)) => {
            for part in parts {
                match part.get("type").and_then(Value::as_str) {
                    Some("text") => text.push_str(part["text"].as_str().unwrap_or_default()),
                    Some("image_url") => asked.attachments.push(shown(part["image_url"]["url"].as_str())),
                    Some("file") => {
                        let file = &part["file"];
                        asked
                            .attachments
                            .push(shown(file["file_data"].as_str().or(file["file_id"].as_str())));
                    }
                    _ => {}
                }
            }
        }
        _ => {}
    }
    asked.prompt_tokens += words(&text).len();
    match role {
        "user" => asked.last_text = text,
        "tool" | "function" => asked.tool_result = Some(text),
        _ => {}
    }
}

/// What an attachment is: the start of a data address, or the address.
pub(crate) fn shown(address: Option<&str>) -> String {
    let address = address.unwrap_or("nothing");
    address.strip_prefix("data:").and_then(|rest| rest.split(';').next()).unwrap_or(address).to_owned()
}

fn read_settings(body: &Value, model: &str, asked: &mut Asked) {
    for tool in body.get("tools").and_then(Value::as_array).into_iter().flatten() {
        let function = &tool["function"];
        let name = function["name"].as_str().unwrap_or_default().to_owned();
        asked.tools.push(Tool { name, schema: function["parameters"].clone() });
    }
    asked.choice = match body.get("tool_choice") {
        Some(Value::String(word)) if word == "none" => Choice::None,
        Some(Value::String(word)) if word == "required" => Choice::Required,
        Some(Value::Object(choice)) => {
            let name = choice.get("function").and_then(|function| function.get("name")?.as_str());
            name.map_or(Choice::Auto, |name| Choice::Named(name.to_owned()))
        }
        _ => Choice::Auto,
    };
    let format = &body["response_format"];
    asked.json_object = format["type"] == "json_object";
    asked.schema = (format["type"] == "json_schema").then(|| format["json_schema"]["schema"].clone());
    let limit = body["max_completion_tokens"].as_u64().or_else(|| body["max_tokens"].as_u64());
    asked.output_max = limit.and_then(|limit| usize::try_from(limit).ok());
    asked.think =
        model.contains("reason") || body["reasoning_effort"].as_str().is_some_and(|word| word != "none");
    asked.stops = match &body["stop"] {
        Value::String(one) => vec![one.clone()],
        Value::Array(many) => many.iter().filter_map(|stop| stop.as_str().map(str::to_owned)).collect(),
        _ => Vec::new(),
    };
}

/// A call that was forced by name ends with `stop`
/// (<https://platform.openai.com/docs/guides/function-calling>).
fn finish_reason(asked: &Asked, answer: &Answer) -> &'static str {
    match (&answer.said, &answer.ended) {
        (Said::Calls(_), _) if matches!(asked.choice, Choice::Named(_)) => "stop",
        (Said::Calls(_), _) => "tool_calls",
        (_, Ended::AtLimit) => "length",
        (_, Ended::Naturally | Ended::AtStop(_)) => "stop",
    }
}

fn usage(asked: &Asked, answer: &Answer, choices: usize) -> Value {
    let output = (answer.tokens() + answer.thought_tokens()) * choices;
    json!({
        "prompt_tokens": asked.prompt_tokens, "completion_tokens": output,
        "total_tokens": asked.prompt_tokens + output,
        "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
        "completion_tokens_details": {
            "reasoning_tokens": answer.thought_tokens() * choices, "audio_tokens": 0,
            "accepted_prediction_tokens": 0, "rejected_prediction_tokens": 0,
        },
    })
}

/// A whole answer.
fn whole(scene: &Scene<'_>) -> Value {
    let Scene { body, model, number, asked, answer, script } = *scene;
    let count = choices(body);
    let mut message = json!({"role": "assistant", "content": null, "refusal": null, "annotations": []});
    match &answer.said {
        Said::Text(text) => message["content"] = json!(text),
        Said::Refusal(text) => message["refusal"] = json!(text),
        Said::Calls(calls) => {
            let call = |(at, (name, arguments)): (usize, &(String, String))| json!({"id": call_id(number, at), "type": "function", "function": {"name": name, "arguments": arguments}});
            message["tool_calls"] = calls.iter().enumerate().map(call).collect();
        }
    }
    // OpenAI itself hides its models' thoughts; other servers show them.
    if let Some(thought) = answer.thought.as_ref().filter(|_| model.contains("reason")) {
        message["reasoning_content"] = json!(thought);
    }
    let spoken = match &answer.said {
        Said::Text(text) => words(text),
        Said::Refusal(_) | Said::Calls(_) => Vec::new(),
    };
    let logprobs = logprobs(body, &spoken);
    let choice = |index: usize| json!({"index": index, "message": message, "logprobs": logprobs, "finish_reason": finish_reason(asked, answer)});
    let mut whole = json!({
        "id": format!("chatcmpl-sim{number}"), "object": "chat.completion", "created": 1_790_000_000,
        "model": model, "choices": (0..count).map(choice).collect::<Vec<_>>(),
        "service_tier": "default", "system_fingerprint": "fp_sim",
    });
    if !script.no_usage {
        whole["usage"] = usage(asked, answer, count);
    }
    whole
}

/// The events of a streamed answer, the last line included.
fn stream(scene: &Scene<'_>) -> Vec<Vec<u8>> {
    let Scene { body, model, number, asked, answer, script } = *scene;
    let asks = body["stream_options"]["include_usage"] == json!(true) && !script.no_usage;
    let chunk = |choices: Value, usage: Option<Value>| {
        let mut chunk = json!({
            "id": format!("chatcmpl-sim{number}"), "object": "chat.completion.chunk", "created": 1_790_000_000,
            "model": model, "service_tier": "default", "system_fingerprint": "fp_sim", "choices": choices,
        });
        if asks {
            chunk["usage"] = usage.unwrap_or(Value::Null);
        }
        chunk.to_string()
    };
    let mut events = Vec::new();
    for index in 0..choices(body) {
        let choice = |delta: Value, logprobs: Value| {
            let choice = json!({"index": index, "delta": delta, "logprobs": logprobs, "finish_reason": null});
            chunk(json!([choice]), None)
        };
        let delta = |delta: Value| choice(delta, Value::Null);
        events.push(delta(json!({"role": "assistant", "content": "", "refusal": null})));
        if let Some(thought) = answer.thought.as_ref().filter(|_| model.contains("reason")) {
            events.extend(words(thought).into_iter().map(|word| delta(json!({"reasoning_content": word}))));
        }
        match &answer.said {
            Said::Text(text) => {
                let event = |word: &str| choice(json!({"content": word}), logprobs(body, &[word]));
                events.extend(words(text).into_iter().map(event));
            }
            Said::Refusal(text) => {
                events.extend(words(text).into_iter().map(|word| delta(json!({"refusal": word}))));
            }
            Said::Calls(calls) => {
                for (at, (name, arguments)) in calls.iter().enumerate() {
                    let opening = json!({"index": at, "id": call_id(number, at), "type": "function",
                                         "function": {"name": name, "arguments": ""}});
                    events.push(delta(json!({"tool_calls": [opening]})));
                    for piece in pieces(arguments) {
                        events.push(delta(
                            json!({"tool_calls": [{"index": at, "function": {"arguments": piece}}]}),
                        ));
                    }
                }
            }
        }
        let end = json!([{"index": index, "delta": {}, "logprobs": null, "finish_reason": finish_reason(asked, answer)}]);
        events.push(chunk(end, None));
    }
    if asks {
        events.push(chunk(json!([]), Some(usage(asked, answer, choices(body)))));
    }
    events.push("[DONE]".to_owned());
    data_events(events)
}

fn choices(body: &Value) -> usize {
    body["n"].as_u64().and_then(|count| usize::try_from(count).ok()).unwrap_or(1).clamp(1, 16)
}

fn call_id(number: u64, at: usize) -> String {
    format!("call_sim{number}x{at}")
}

fn logprobs(body: &Value, words: &[&str]) -> Value {
    if body["logprobs"] != json!(true) || words.is_empty() {
        return Value::Null;
    }
    let entry =
        |word: &&str| json!({"token": word, "logprob": -0.25, "bytes": word.as_bytes(), "top_logprobs": []});
    json!({"content": words.iter().map(entry).collect::<Vec<_>>(), "refusal": null})
}

/// A text in pieces of a few characters.
pub(crate) fn pieces(text: &str) -> Vec<String> {
    let letters: Vec<char> = text.chars().collect();
    letters.chunks(5).map(|piece| piece.iter().collect()).collect()
}

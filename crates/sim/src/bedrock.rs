//! Amazon Bedrock's Converse in its own form, with its binary event stream.

use serde_json::{Value, json};

use crate::{
    account,
    answer::{Answer, Asked, Choice, Ended, Said, Scene, Tool, words},
    api::{Api, Refused},
    calls::Calls,
    openai::pieces,
    refusal::Refusal,
};

pub(crate) const API: Api = Api {
    read,
    whole,
    stream,
    stream_type: "application/vnd.amazon.eventstream",
    streams_unasked: false,
    broken,
    invalid,
    scripted,
    refuse,
    limits: account::silent,
};

/// What thoughts are signed with.
const SEAL: &str = "U2ltdWxhdGVkIHNlYWw=";

fn error(status: u16, name: &str, message: &str) -> Refused {
    (status, json!({"__type": name, "message": message}))
}

fn invalid(message: &str) -> Refused {
    error(400, "ValidationException", message)
}

fn broken() -> Vec<u8> {
    frame("exception", "modelStreamErrorException", &json!({"message": "The model failed."}))
}

fn scripted(status: u16, model: &str) -> Refused {
    match status {
        401 => error(
            403,
            "UnrecognizedClientException",
            "The security token included in the request is invalid.",
        ),
        404 => error(404, "ResourceNotFoundException", &format!("Could not resolve the model {model}")),
        429 => error(429, "ThrottlingException", "Too many requests, please wait before trying again."),
        503 => error(503, "ServiceUnavailableException", "Bedrock is unable to process your request."),
        500.. => error(status, "InternalServerException", "The system encountered an unexpected error."),
        _ => error(status, "ValidationException", &format!("simulated status {status}")),
    }
}

/// The error of a reason.
fn refuse(refusal: Refusal, model: &str) -> Refused {
    match refusal {
        Refusal::Overloaded => scripted(503, model),
        Refusal::RateLimit => scripted(429, model),
        Refusal::Quota => error(429, "ThrottlingException", "Too many tokens per day, please wait."),
        Refusal::Context => invalid("Input is too long for requested model."),
        Refusal::Policy => invalid("The prompt is against the content policy."),
        Refusal::Key => scripted(401, model),
        Refusal::Model => scripted(404, model),
        Refusal::Invalid => invalid("Malformed input request: simulated"),
    }
}

/// Reads a request, as strictly as the provider does.
fn read(body: &Value, model: &str, _: &Calls) -> Result<Asked, Refused> {
    let known = [
        "messages",
        "system",
        "inferenceConfig",
        "toolConfig",
        "guardrailConfig",
        "outputConfig",
        "additionalModelRequestFields",
        "additionalModelResponseFieldPaths",
        "promptVariables",
        "requestMetadata",
        "performanceConfig",
        "serviceTier",
    ];
    let names = body.as_object().into_iter().flatten().map(|(name, _)| name.as_str());
    if let Some(name) = names.into_iter().find(|name| !known.contains(name)) {
        return Err(invalid(&format!("extraneous key [{name}] is not permitted")));
    }
    let mut asked = Asked { parallel: true, ..Asked::default() };
    for block in body["system"].as_array().into_iter().flatten() {
        asked.prompt_tokens += words(block["text"].as_str().unwrap_or_default()).len();
    }
    let mut open: Vec<&str> = Vec::new();
    let mut last = "assistant";
    for message in body["messages"].as_array().into_iter().flatten() {
        asked.tool_result = None;
        let role = message["role"].as_str().unwrap_or_default();
        if role == last || !matches!(role, "user" | "assistant") {
            return Err(invalid("A conversation must alternate between user and assistant roles."));
        }
        last = role;
        let mut text = String::new();
        for block in message["content"].as_array().into_iter().flatten() {
            read_block(block, &mut text, &mut open, &mut asked)?;
        }
        asked.prompt_tokens += words(&text).len();
        if role == "user" && !text.is_empty() {
            asked.last_text = text;
        }
    }
    if !open.is_empty() && body["toolConfig"].is_null() {
        return Err(invalid(
            "The toolConfig field must be defined when using toolUse and toolResult content blocks.",
        ));
    }
    read_settings(body, model, &mut asked);
    Ok(asked)
}

fn read_block<'b>(
    block: &'b Value,
    text: &mut String,
    open: &mut Vec<&'b str>,
    asked: &mut Asked,
) -> Result<(), Refused> {
    if let Some(said) = block["text"].as_str() {
        if said.trim().is_empty() {
            return Err(invalid("The text field in the ContentBlock object is blank."));
        }
        text.push_str(said);
    }
    for (name, kind) in [("image", "image"), ("document", "application")] {
        let media = &block[name];
        if media.is_null() {
            continue;
        }
        let (Some(format), true) = (media["format"].as_str(), media["source"].is_object()) else {
            return Err(invalid(&format!("{name} needs a format and a source")));
        };
        if name == "document" && !media["name"].is_string() {
            return Err(invalid("A document needs a name."));
        }
        asked.attachments.push(format!("{kind}/{format}"));
    }
    if let Some(id) = block["toolUse"]["toolUseId"].as_str() {
        if !block["toolUse"]["input"].is_object() {
            return Err(invalid(
                "The format of the value at toolUse.input is invalid. Provide a json object.",
            ));
        }
        open.push(id);
    }
    let result = &block["toolResult"];
    if let Some(id) = result["toolUseId"].as_str() {
        if !open.contains(&id) {
            return Err(invalid(
                "The number of toolResult blocks exceeds the number of toolUse blocks of previous turn.",
            ));
        }
        let blocks = result["content"].as_array().into_iter().flatten();
        asked.tool_result = Some(blocks.filter_map(|block| block["text"].as_str()).collect());
    }
    let thought = &block["reasoningContent"]["reasoningText"];
    if thought.is_object() && thought["signature"] != SEAL {
        return Err(invalid("Invalid `signature` in `thinking` block"));
    }
    Ok(())
}

fn read_settings(body: &Value, model: &str, asked: &mut Asked) {
    let config = &body["toolConfig"];
    for tool in config["tools"].as_array().into_iter().flatten() {
        let spec = &tool["toolSpec"];
        // A cache point stands among the tools.
        if spec.is_null() {
            continue;
        }
        let name = spec["name"].as_str().unwrap_or_default().to_owned();
        asked.tools.push(Tool { name, schema: spec["inputSchema"]["json"].clone() });
    }
    let choice = &config["toolChoice"];
    asked.choice = match (choice["tool"]["name"].as_str(), choice["any"].is_object()) {
        (Some(name), _) => Choice::Named(name.to_owned()),
        (None, true) => Choice::Required,
        (None, false) => Choice::Auto,
    };
    let schema = &body["outputConfig"]["textFormat"]["structure"]["jsonSchema"]["schema"];
    asked.schema = schema.as_str().and_then(|text| serde_json::from_str(text).ok());
    let inference = &body["inferenceConfig"];
    asked.output_max = inference["maxTokens"].as_u64().and_then(|limit| usize::try_from(limit).ok());
    let stops = inference["stopSequences"].as_array().into_iter().flatten();
    asked.stops = stops.filter_map(|stop| stop.as_str().map(str::to_owned)).collect();
    let more = &body["additionalModelRequestFields"];
    let kind = more["thinking"]["type"].as_str();
    asked.think = model.contains("reason")
        || matches!(kind, Some("enabled" | "adaptive"))
        || more["reasoning_effort"].is_string();
}

fn stop_reason(answer: &Answer) -> &'static str {
    match (&answer.said, &answer.ended) {
        (Said::Calls(_), _) => "tool_use",
        (Said::Refusal(_), _) => "content_filtered",
        (Said::Text(_), Ended::AtLimit) => "max_tokens",
        (Said::Text(_), Ended::AtStop(_)) => "stop_sequence",
        (Said::Text(_), Ended::Naturally) => "end_turn",
    }
}

fn usage(asked: &Asked, answer: &Answer) -> Value {
    let output = answer.tokens() + answer.thought_tokens();
    json!({"inputTokens": asked.prompt_tokens, "outputTokens": output, "totalTokens": asked.prompt_tokens + output,
           "serverToolUsage": {}})
}

fn call_id(number: u64, at: usize) -> String {
    format!("tooluse_sim{number}x{at}")
}

fn whole(scene: &Scene<'_>) -> Value {
    let Scene { number, asked, answer, script, .. } = *scene;
    let mut blocks = Vec::new();
    if let Some(thought) = &answer.thought {
        blocks.push(json!({"reasoningContent": {"reasoningText": {"text": thought, "signature": SEAL}}}));
    }
    match &answer.said {
        Said::Text(text) | Said::Refusal(text) => blocks.push(json!({"text": text})),
        Said::Calls(calls) => blocks.extend(calls.iter().enumerate().map(|(at, (name, arguments))| {
            let input: Value = serde_json::from_str(arguments).unwrap_or_default();
            json!({"toolUse": {"toolUseId": call_id(number, at), "name": name, "input": input}})
        })),
    }
    let message = json!({"role": "assistant", "content": blocks});
    let mut whole = json!({"output": {"message": message}, "stopReason": stop_reason(answer),
                           "metrics": {"latencyMs": 12}});
    if !script.no_usage {
        whole["usage"] = usage(asked, answer);
    }
    whole
}

/// One binary message (<https://smithy.io/2.0/aws/amazon-eventstream.html>).
fn frame(kind: &str, name: &str, payload: &Value) -> Vec<u8> {
    let payload = payload.to_string();
    let mut headers = Vec::new();
    let named = format!(":{kind}-type");
    for (header, value) in
        [(named.as_str(), name), (":content-type", "application/json"), (":message-type", kind)]
    {
        headers.push(u8::try_from(header.len()).unwrap_or_default());
        headers.extend_from_slice(header.as_bytes());
        headers.push(7);
        headers.extend_from_slice(&u16::try_from(value.len()).unwrap_or_default().to_be_bytes());
        headers.extend_from_slice(value.as_bytes());
    }
    let size = |count: usize| u32::try_from(count).unwrap_or_default().to_be_bytes();
    let mut message = Vec::new();
    message.extend_from_slice(&size(16 + headers.len() + payload.len()));
    message.extend_from_slice(&size(headers.len()));
    message.extend_from_slice(&crc32fast::hash(&message).to_be_bytes());
    message.extend_from_slice(&headers);
    message.extend_from_slice(payload.as_bytes());
    message.extend_from_slice(&crc32fast::hash(&message).to_be_bytes());
    message
}

/// The messages of a streamed answer.
fn stream(scene: &Scene<'_>) -> Vec<Vec<u8>> {
    let Scene { number, asked, answer, script, .. } = *scene;
    let event = |name: &str, payload: Value| frame("event", name, &payload);
    let delta = |index: usize, delta: Value| {
        event("contentBlockDelta", json!({"contentBlockIndex": index, "delta": delta}))
    };
    let stop = |index: usize| event("contentBlockStop", json!({"contentBlockIndex": index}));
    let mut events = vec![event("messageStart", json!({"role": "assistant", "p": "abcdef"}))];
    let mut index = 0;
    if let Some(thought) = &answer.thought {
        events.extend(
            words(thought).into_iter().map(|word| delta(0, json!({"reasoningContent": {"text": word}}))),
        );
        events.push(delta(0, json!({"reasoningContent": {"signature": SEAL}})));
        events.push(stop(0));
        index = 1;
    }
    match &answer.said {
        Said::Text(text) | Said::Refusal(text) => {
            events.extend(words(text).into_iter().map(|word| delta(index, json!({"text": word}))));
            events.push(stop(index));
        }
        Said::Calls(calls) => {
            for (at, (name, arguments)) in calls.iter().enumerate() {
                let start = json!({"toolUse": {"toolUseId": call_id(number, at), "name": name}});
                let opening = json!({"contentBlockIndex": index + at, "start": start});
                events.push(event("contentBlockStart", opening));
                for piece in pieces(arguments) {
                    events.push(delta(index + at, json!({"toolUse": {"input": piece}})));
                }
                events.push(stop(index + at));
            }
        }
    }
    events.push(event("messageStop", json!({"stopReason": stop_reason(answer)})));
    let mut last = json!({"metrics": {"latencyMs": 12}});
    if !script.no_usage {
        last["usage"] = usage(asked, answer);
    }
    events.push(event("metadata", last));
    events
}

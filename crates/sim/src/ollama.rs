//! Ollama's chat API in its own form, and the one that goes on from a prompt.

use serde_json::{Value, json};

use crate::{
    account,
    answer::{Answer, Asked, Choice, Ended, Said, Scene, Tool, words},
    api::{Api, Refused},
    calls::Calls,
    refusal::Refusal,
};

pub(crate) const API: Api = Api {
    read,
    whole,
    stream,
    stream_type: "application/x-ndjson",
    streams_unasked: true,
    broken,
    invalid,
    scripted,
    refuse,
    limits: account::silent,
};

pub(crate) const GENERATE: Api = Api {
    read: |body, model, calls| read(&as_chat(body), model, calls),
    whole: |scene| loaded(scene).unwrap_or_else(|| as_response(whole(scene))),
    stream: |scene| {
        let response = |told: Vec<u8>| line(&as_response(serde_json::from_slice(&told).unwrap_or_default()));
        let told = || stream(scene).into_iter().map(response).collect();
        loaded(scene).map_or_else(told, |loaded| vec![line(&loaded)])
    },
    ..API
};

const DATE: &str = "2026-09-21T14:13:20.123456789Z";

fn error(status: u16, message: &str) -> Refused {
    (status, json!({"error": message}))
}

fn invalid(message: &str) -> Refused {
    error(400, message)
}

fn broken() -> Vec<u8> {
    line(&json!({"error": "an error was encountered while running the model"}))
}

fn scripted(status: u16, model: &str) -> Refused {
    match status {
        401 => error(401, "unauthorized"),
        404 => error(404, &format!("model \"{model}\" not found, try pulling it first")),
        429 => error(429, "too many requests"),
        503 => error(503, "server busy, please try again.  maximum pending requests exceeded"),
        other => error(other, &format!("simulated status {other}")),
    }
}

/// The error of a reason.
fn refuse(refusal: Refusal, model: &str) -> Refused {
    match refusal {
        Refusal::Overloaded => scripted(503, model),
        Refusal::RateLimit => scripted(429, model),
        Refusal::Quota => error(402, "the usage limit of your plan is reached"),
        Refusal::Context => invalid("prompt too long; exceeded max context length by 1000 tokens"),
        Refusal::Policy => error(403, "the prompt is against the usage policy"),
        Refusal::Key => scripted(401, model),
        Refusal::Model => scripted(404, model),
        Refusal::Invalid => invalid("invalid options: simulated"),
    }
}

/// Reads a request, as strictly as the server does.
fn read(body: &Value, model: &str, _: &Calls) -> Result<Asked, Refused> {
    let mut asked = Asked { parallel: true, ..Asked::default() };
    for message in body["messages"].as_array().into_iter().flatten() {
        asked.tool_result = None;
        let text = match &message["content"] {
            Value::String(text) => text.as_str(),
            Value::Null => "",
            _ => {
                return Err(invalid(
                    "json: cannot unmarshal array into Go struct field .content of type string",
                ));
            }
        };
        asked.prompt_tokens += words(text).len();
        for image in message["images"].as_array().into_iter().flatten() {
            let data = image.as_str().unwrap_or_default();
            if data.contains(':') {
                return Err(invalid("illegal base64 data at input byte 4"));
            }
            asked
                .attachments
                .push(if data.starts_with("iVBOR") { "image/png" } else { "picture" }.to_owned());
        }
        for call in message["tool_calls"].as_array().into_iter().flatten() {
            if !call["function"]["arguments"].is_object() {
                return Err(invalid(
                    "json: cannot unmarshal string into Go struct field of type api.ToolCallFunctionArguments",
                ));
            }
        }
        match message["role"].as_str() {
            Some("user") if !text.is_empty() => text.clone_into(&mut asked.last_text),
            Some("tool") => asked.tool_result = Some(text.to_owned()),
            _ => {}
        }
    }
    for tool in body["tools"].as_array().into_iter().flatten() {
        let function = &tool["function"];
        let name = function["name"].as_str().unwrap_or_default().to_owned();
        asked.tools.push(Tool { name, schema: function["parameters"].clone() });
    }
    asked.choice = Choice::Auto;
    asked.json_object = body["format"] == "json";
    asked.schema = body["format"].is_object().then(|| body["format"].clone());
    let options = &body["options"];
    asked.output_max = options["num_predict"].as_u64().and_then(|limit| usize::try_from(limit).ok());
    let stops = options["stop"].as_array().into_iter().flatten();
    asked.stops = stops.filter_map(|stop| stop.as_str().map(str::to_owned)).collect();
    let think = &body["think"];
    asked.think = model.contains("reason") || think == &json!(true) || think.is_string();
    Ok(asked)
}

/// Without a prompt the model is only loaded.
fn loaded(scene: &Scene<'_>) -> Option<Value> {
    let empty = matches!(scene.body["prompt"].as_str(), None | Some(""));
    empty.then(|| json!({"model": scene.model, "created_at": DATE, "response": "", "done": true, "done_reason": "load"}))
}

/// A prompt as the messages of a chat.
fn as_chat(body: &Value) -> Value {
    let mut chat = body.clone();
    let user = json!({"role": "user", "content": body["prompt"], "images": body["images"]});
    chat["messages"] = json!([{"role": "system", "content": body["system"]}, user]);
    chat
}

/// A line of a chat as one of an answer to a prompt.
fn as_response(mut line: Value) -> Value {
    let message = line["message"].take();
    if let Some(line) = line.as_object_mut() {
        line.remove("message");
        line.insert("response".to_owned(), message["content"].clone());
        line.extend(message.get("thinking").map(|thought| ("thinking".to_owned(), thought.clone())));
    }
    line
}

fn line(value: &Value) -> Vec<u8> {
    format!("{value}\n").into_bytes()
}

fn message(answer: &Answer) -> Value {
    let mut message = json!({"role": "assistant", "content": ""});
    match &answer.said {
        Said::Text(text) | Said::Refusal(text) => message["content"] = json!(text),
        Said::Calls(calls) => message["tool_calls"] = (0..calls.len()).map(|at| call(calls, at)).collect(),
    }
    if let Some(thought) = &answer.thought {
        message["thinking"] = json!(thought);
    }
    message
}

fn call(calls: &[(String, String)], at: usize) -> Value {
    let (name, arguments) = calls.get(at).cloned().unwrap_or_default();
    let arguments: Value = serde_json::from_str(&arguments).unwrap_or_default();
    json!({"id": format!("call_sim{at}"), "function": {"index": at, "name": name, "arguments": arguments}})
}

fn ended(scene: &Scene<'_>, message: &Value) -> Value {
    let Scene { model, asked, answer, script, .. } = *scene;
    let reason = if answer.ended == Ended::AtLimit { "length" } else { "stop" };
    let mut last = json!({
        "model": model, "created_at": DATE, "message": message, "done": true, "done_reason": reason,
        "total_duration": 900, "load_duration": 10, "prompt_eval_duration": 90, "eval_duration": 800,
    });
    if !script.no_usage {
        last["prompt_eval_count"] = json!(asked.prompt_tokens);
        last["eval_count"] = json!(answer.tokens() + answer.thought_tokens());
    }
    last
}

fn whole(scene: &Scene<'_>) -> Value {
    ended(scene, &message(scene.answer))
}

/// The lines of a streamed answer.
fn stream(scene: &Scene<'_>) -> Vec<Vec<u8>> {
    let Scene { model, answer, .. } = *scene;
    let told = |message: Value| {
        line(&json!({"model": model, "created_at": DATE, "message": message, "done": false}))
    };
    let mut lines = Vec::new();
    for word in words(answer.thought.as_deref().unwrap_or_default()) {
        lines.push(told(json!({"role": "assistant", "content": "", "thinking": word})));
    }
    match &answer.said {
        Said::Text(text) | Said::Refusal(text) => {
            let message = |word: &str| told(json!({"role": "assistant", "content": word}));
            lines.extend(words(text).into_iter().map(message));
        }
        Said::Calls(calls) => lines
            .extend((0..calls.len()).map(|at| {
                told(json!({"role": "assistant", "content": "", "tool_calls": [call(calls, at)]}))
            })),
    }
    lines.push(line(&ended(scene, &json!({"role": "assistant", "content": ""}))));
    lines
}

//! OpenAI's Responses in their own form.

use std::collections::HashSet;

use serde_json::{Value, json};

use crate::{
    account,
    answer::{Answer, Asked, Choice, Ended, Said, Scene, Tool, words},
    api::{Api, EVENT_STREAM, Refused, typed_events},
    calls::Calls,
    openai::{error, invalid, pieces, refuse, scripted, shown},
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
    let error = json!({
        "type": "error", "code": "server_error", "message": "The server had an error.", "param": null,
        "sequence_number": 99,
    });
    typed_events(&[error]).concat()
}

/// Reads a request, as strictly as the provider does.
fn read(body: &Value, model: &str, calls: &Calls) -> Result<Asked, Refused> {
    let refused = |message: &str, param: &str| error(400, message, None, Some(param));
    let mut asked = Asked { parallel: body["parallel_tool_calls"] != json!(false), ..Asked::default() };
    if let Some(id) = body["previous_response_id"].as_str() {
        if !calls.is_stored(id) {
            let message = format!("Previous response with id '{id}' not found.");
            return Err(error(
                400,
                &message,
                Some("previous_response_not_found"),
                Some("previous_response_id"),
            ));
        }
        asked.prompt_tokens += 10;
    }
    asked.prompt_tokens += words(body["instructions"].as_str().unwrap_or_default()).len();
    let mut open: HashSet<&str> = HashSet::new();
    match &body["input"] {
        Value::String(text) => {
            asked.prompt_tokens += words(text).len();
            asked.last_text.clone_from(text);
        }
        Value::Array(items) => {
            for (at, item) in items.iter().enumerate() {
                read_item(item, at, &mut open, &mut asked)?;
            }
        }
        _ => return Err(refused("Missing required parameter: 'input'.", "input")),
    }
    read_settings(body, model, &mut asked)?;
    Ok(asked)
}

fn read_item<'b>(
    item: &'b Value,
    at: usize,
    open: &mut HashSet<&'b str>,
    asked: &mut Asked,
) -> Result<(), Refused> {
    let refused =
        |message: String, param: &str| error(400, &message, None, Some(&format!("input[{at}]{param}")));
    asked.tool_result = None;
    match item["type"].as_str().unwrap_or("message") {
        "message" => {
            let text = content(&item["content"], asked);
            asked.prompt_tokens += words(&text).len();
            if item["role"] == "user" {
                asked.last_text = text;
            }
        }
        "function_call" => open.extend(item["call_id"].as_str()),
        "function_call_output" => {
            let id = item["call_id"].as_str().unwrap_or_default();
            if !open.contains(id) {
                let message = format!("No tool call found for function call output with call_id {id}.");
                return Err(refused(message, ""));
            }
            let text = content(&item["output"], asked);
            asked.prompt_tokens += words(&text).len();
            asked.tool_result = Some(text);
        }
        "reasoning" => {
            let sealed = item["encrypted_content"].as_str();
            if sealed.is_some_and(|seal| !seal.starts_with("gAAAAsim")) {
                let message = "The encrypted content could not be verified.".to_owned();
                return Err(refused(message, ".encrypted_content"));
            }
        }
        other => return Err(refused(format!("Invalid value: '{other}'."), ".type")),
    }
    Ok(())
}

fn content(content: &Value, asked: &mut Asked) -> String {
    let mut text = content.as_str().unwrap_or_default().to_owned();
    for part in content.as_array().into_iter().flatten() {
        match part["type"].as_str().unwrap_or_default() {
            "input_text" | "output_text" => text.push_str(part["text"].as_str().unwrap_or_default()),
            "input_image" => {
                asked.attachments.push(shown(part["image_url"].as_str().or(part["file_id"].as_str())));
            }
            "input_file" => {
                let file = part["file_data"].as_str().or(part["file_url"].as_str());
                asked.attachments.push(shown(file.or(part["file_id"].as_str())));
            }
            _ => {}
        }
    }
    text
}

fn read_settings(body: &Value, model: &str, asked: &mut Asked) -> Result<(), Refused> {
    for (at, tool) in body["tools"].as_array().into_iter().flatten().enumerate() {
        if tool["type"] != "function" {
            continue;
        }
        let Some(name) = tool["name"].as_str() else {
            let message = format!("Missing required parameter: 'tools[{at}].name'.");
            return Err(error(400, &message, Some("missing_required_parameter"), Some("tools[0].name")));
        };
        asked.tools.push(Tool { name: name.to_owned(), schema: tool["parameters"].clone() });
    }
    asked.choice = match &body["tool_choice"] {
        Value::String(word) if word == "none" => Choice::None,
        Value::String(word) if word == "required" => Choice::Required,
        Value::Object(choice) => match choice.get("name").and_then(Value::as_str) {
            Some(name) => Choice::Named(name.to_owned()),
            None => Choice::Auto,
        },
        _ => Choice::Auto,
    };
    let format = &body["text"]["format"];
    asked.json_object = format["type"] == "json_object";
    asked.schema = (format["type"] == "json_schema").then(|| format["schema"].clone());
    asked.output_max = body["max_output_tokens"].as_u64().and_then(|limit| usize::try_from(limit).ok());
    asked.think =
        model.contains("reason") || body["reasoning"]["effort"].as_str().is_some_and(|word| word != "none");
    Ok(())
}

/// The items of an answer.
fn items(scene: &Scene<'_>) -> Vec<Value> {
    let Scene { body, number, answer, .. } = *scene;
    let mut items = Vec::new();
    if let Some(thought) = &answer.thought {
        let mut item = json!({
            "type": "reasoning", "id": format!("rs_sim{number}"),
            "summary": [{"type": "summary_text", "text": thought}],
        });
        let included = body["include"].as_array().into_iter().flatten();
        if included.into_iter().any(|name| name == "reasoning.encrypted_content") {
            item["encrypted_content"] = json!(format!("gAAAAsim{number}"));
        }
        items.push(item);
    }
    let message = |part: Value| {
        json!({"type": "message", "id": format!("msg_sim{number}"), "status": "completed",
               "role": "assistant", "content": [part]})
    };
    match &answer.said {
        Said::Text(text) => {
            items.push(message(
                json!({"type": "output_text", "text": text, "annotations": [], "logprobs": []}),
            ));
        }
        Said::Refusal(text) => items.push(message(json!({"type": "refusal", "refusal": text}))),
        Said::Calls(calls) => items.extend(calls.iter().enumerate().map(|(at, (name, arguments))| {
            json!({"type": "function_call", "id": format!("fc_sim{number}x{at}"), "status": "completed",
                   "call_id": format!("call_sim{number}x{at}"), "name": name, "arguments": arguments})
        })),
    }
    items
}

/// The response with these items.
fn response(scene: &Scene<'_>, status: &str, items: Vec<Value>) -> Value {
    let Scene { body, model, number, answer, .. } = *scene;
    let or = |name: &str, usual: Value| body.get(name).cloned().unwrap_or(usual);
    let incomplete = match answer.ended {
        Ended::AtLimit if status == "incomplete" => json!({"reason": "max_output_tokens"}),
        Ended::AtLimit | Ended::AtStop(_) | Ended::Naturally => Value::Null,
    };
    json!({
        "id": format!("resp_sim{number}"), "object": "response", "created_at": 1_790_000_000, "status": status,
        "background": or("background", json!(false)),
        "error": null, "incomplete_details": incomplete, "instructions": or("instructions", Value::Null),
        "max_output_tokens": or("max_output_tokens", Value::Null), "model": model, "output": items,
        "parallel_tool_calls": or("parallel_tool_calls", json!(true)),
        "previous_response_id": or("previous_response_id", Value::Null),
        "store": or("store", json!(true)), "temperature": or("temperature", json!(1.0)),
        "text": or("text", json!({"format": {"type": "text"}})), "tool_choice": or("tool_choice", json!("auto")),
        "tools": or("tools", json!([])), "top_p": or("top_p", json!(1.0)),
        "truncation": or("truncation", json!("disabled")), "usage": null, "metadata": or("metadata", json!({})),
    })
}

fn ended(scene: &Scene<'_>) -> Value {
    let status = if scene.answer.ended == Ended::AtLimit { "incomplete" } else { "completed" };
    let mut whole = response(scene, status, items(scene));
    if !scene.script.no_usage {
        whole["usage"] = usage(scene.asked, scene.answer);
    }
    whole
}

fn usage(asked: &Asked, answer: &Answer) -> Value {
    let output = answer.tokens() + answer.thought_tokens();
    json!({
        "input_tokens": asked.prompt_tokens, "input_tokens_details": {"cached_tokens": 0},
        "output_tokens": output, "output_tokens_details": {"reasoning_tokens": answer.thought_tokens()},
        "total_tokens": asked.prompt_tokens + output,
    })
}

fn whole(scene: &Scene<'_>) -> Value {
    ended(scene)
}

/// The events of a streamed answer.
fn stream(scene: &Scene<'_>) -> Vec<Vec<u8>> {
    let opened = response(scene, "in_progress", Vec::new());
    let mut events = vec![
        json!({"type": "response.created", "response": opened}),
        json!({"type": "response.in_progress", "response": opened}),
    ];
    for (index, item) in items(scene).iter().enumerate() {
        item_events(index, item, &mut events);
    }
    let last = ended(scene);
    let name = format!("response.{}", last["status"].as_str().unwrap_or_default());
    events.push(json!({"type": name, "response": last}));
    for (number, event) in events.iter_mut().enumerate() {
        event["sequence_number"] = json!(number);
    }
    typed_events(&events)
}

fn item_events(index: usize, item: &Value, events: &mut Vec<Value>) {
    let id = &item["id"];
    let mut opening = item.clone();
    let event = |name: &str, more: Value| {
        let mut event = json!({"type": format!("response.{name}"), "item_id": id, "output_index": index});
        for (name, value) in more.as_object().into_iter().flatten() {
            event[name] = value.clone();
        }
        event
    };
    let mut inner = Vec::new();
    match item["type"].as_str().unwrap_or_default() {
        "function_call" => {
            opening["arguments"] = json!("");
            opening["status"] = json!("in_progress");
            let arguments = item["arguments"].as_str().unwrap_or_default();
            let delta = |piece: String| event("function_call_arguments.delta", json!({"delta": piece}));
            inner.extend(pieces(arguments).into_iter().map(delta));
            inner.push(event("function_call_arguments.done", json!({"arguments": arguments})));
        }
        "reasoning" => {
            opening["summary"] = json!([]);
            let thought = item["summary"][0]["text"].as_str().unwrap_or_default();
            let at = |more: Value| {
                let mut more = more;
                more["summary_index"] = json!(0);
                more
            };
            let part = |text: &str| json!({"part": {"type": "summary_text", "text": text}});
            inner.push(event("reasoning_summary_part.added", at(part(""))));
            let delta = |word: &str| event("reasoning_summary_text.delta", at(json!({"delta": word})));
            inner.extend(words(thought).into_iter().map(delta));
            inner.push(event("reasoning_summary_text.done", at(json!({"text": thought}))));
            inner.push(event("reasoning_summary_part.done", at(part(thought))));
        }
        _ => {
            opening["content"] = json!([]);
            opening["status"] = json!("in_progress");
            let whole = &item["content"][0];
            let member = if whole["type"] == "refusal" { "refusal" } else { "text" };
            let stem = if member == "refusal" { "refusal" } else { "output_text" };
            let text = whole[member].as_str().unwrap_or_default();
            let mut empty = whole.clone();
            empty[member] = json!("");
            inner.push(event("content_part.added", json!({"content_index": 0, "part": empty})));
            let delta =
                |word: &str| event(&format!("{stem}.delta"), json!({"content_index": 0, "delta": word}));
            inner.extend(words(text).into_iter().map(delta));
            inner.push(event(&format!("{stem}.done"), json!({"content_index": 0, member: text})));
            inner.push(event("content_part.done", json!({"content_index": 0, "part": whole})));
        }
    }
    let item_event = |name: &str, item: &Value| json!({"type": format!("response.output_item.{name}"), "output_index": index, "item": item});
    events.push(item_event("added", &opening));
    events.append(&mut inner);
    events.push(item_event("done", item));
}

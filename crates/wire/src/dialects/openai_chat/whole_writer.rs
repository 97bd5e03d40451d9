//! Whole answers: events to bytes.

use super::{
    message_encode::{is_own, tool_call},
    words,
};
use crate::{
    Dialect, Losses, Wanted,
    ir::{Choice, Ext, PartKind, Response},
    json::{ObjectWriter, Raw, write_array},
    seal,
};

/// Writes an answer.
pub(super) fn write(out: &mut Vec<u8>, response: &Response, wanted: &Wanted, losses: &mut Losses) {
    let Wanted { source, now_s, .. } = *wanted;
    let own = is_own(source);
    let mut object = ObjectWriter::open(out);
    object.string("id", &response.id);
    if !own {
        object.string("object", "chat.completion");
    }
    match response.created_s {
        Some(created_s) => object.value("created", &created_s),
        None if own => {}
        None => object.value("created", &now_s),
    }
    object.string("model", &response.model);
    write_array(object.key("choices"), &response.choices, |out, choice| {
        write_choice(out, choice, source, losses);
    });
    if let Some(usage) = &response.usage {
        words::write_usage(object.key("usage"), usage, own.then_some(&response.usage_ext));
    }
    if own {
        object.ext(&response.ext);
    } else {
        losses.ext("response", &response.ext);
        losses.usage_ext(&not_understood(&response.usage_ext));
    }
    object.close();
}

/// Members of a usage object whose meaning is in the classes of the representation already.
pub(in crate::dialects) fn not_understood(ext: &Ext) -> Ext {
    let understood = |name: &str| name.starts_with("cache_creation") || name == "cache_read_input_tokens";
    Ext(ext.0.iter().filter(|(name, _)| !understood(name)).cloned().collect())
}

fn write_choice(out: &mut Vec<u8>, choice: &Choice, source: Dialect, losses: &mut Losses) {
    let own = is_own(source);
    let mut object = ObjectWriter::open(out);
    object.value("index", &choice.index);
    write_message(object.key("message"), choice, source, losses);
    match &choice.logprobs {
        Some(logprobs) => object.raw("logprobs", logprobs.text()),
        None if own => {}
        None => object.raw("logprobs", "null"),
    }
    match &choice.stop {
        Some(stop) if own => object.string("finish_reason", &stop.raw),
        Some(stop) => object.string("finish_reason", words::finish_reason(stop)),
        None if own => {}
        None => object.raw("finish_reason", "null"),
    }
    if own {
        object.ext(&choice.ext);
    } else {
        losses.ext("response.choices", &choice.ext);
    }
    object.close();
}

fn write_message(out: &mut Vec<u8>, choice: &Choice, source: Dialect, losses: &mut Losses) {
    let own = is_own(source);
    let mut texts = Vec::new();
    let mut refusal: Option<String> = None;
    let mut reasoning: Vec<(&str, &str)> = Vec::new();
    let mut details: Vec<Vec<u8>> = Vec::new();
    let mut calls: Vec<Vec<u8>> = Vec::new();
    for part in &choice.parts {
        match &part.kind {
            PartKind::Text { text, annotations } => {
                texts.push(text.as_str());
                if !annotations.is_empty() {
                    losses.dropped("response.content.citations", "chat completions carry no citations");
                }
            }
            PartKind::Refusal { text } => refusal.get_or_insert_default().push_str(text),
            PartKind::Reasoning { text, signature } => {
                let member = part.ext.get("member").map_or("\"reasoning_content\"", Raw::text);
                reasoning.push((member, text));
                if let Some(signature) = signature {
                    details.push(reasoning_detail(text, &seal::mark(signature, source, Dialect::OpenaiChat)));
                }
            }
            PartKind::RedactedReasoning { bytes } => {
                details.push(redacted_detail(&seal::mark(bytes, source, Dialect::OpenaiChat)));
            }
            PartKind::ToolCall { id, name, arguments } => {
                calls.push(tool_call(id, name, arguments, &part.ext, own));
            }
            PartKind::Opaque { name, value } if own && name == "tool_calls" => {
                calls.push(value.text().as_bytes().to_vec());
            }
            PartKind::Opaque { name, .. } => {
                losses.dropped(format!("response.content.{name}"), "chat completions have no such part");
            }
            PartKind::Image(_) | PartKind::File(_) | PartKind::Audio(_) | PartKind::ToolResult { .. } => {
                losses.dropped("response.content", "chat completions answer with no such part");
            }
        }
    }
    let mut object = ObjectWriter::open(out);
    object.string("role", "assistant");
    if !texts.is_empty() {
        object.string("content", &texts.concat());
    } else if !own {
        object.raw("content", "null");
    }
    for (member, text) in merged(reasoning) {
        object.string(member.trim_matches('"'), &text);
    }
    if !details.is_empty() && choice.message_ext.get("reasoning_details").is_none() {
        write_array(object.key("reasoning_details"), &details, |out, detail| out.extend_from_slice(detail));
    }
    match refusal {
        Some(refusal) => object.string("refusal", &refusal),
        None if own => {}
        None => object.raw("refusal", "null"),
    }
    write_rest(&mut object, choice, &calls, own, losses);
    object.close();
}

fn write_rest(
    object: &mut ObjectWriter<'_>,
    choice: &Choice,
    calls: &[Vec<u8>],
    own: bool,
    losses: &mut Losses,
) {
    if !calls.is_empty() {
        write_array(object.key("tool_calls"), calls, |out, call| out.extend_from_slice(call));
    }
    if own {
        object.ext(&choice.message_ext);
    } else {
        losses.ext("response.message", &choice.message_ext);
    }
}

/// Texts under one member become one text.
fn merged<'a>(pieces: Vec<(&'a str, &'a str)>) -> Vec<(&'a str, String)> {
    let mut merged: Vec<(&str, String)> = Vec::new();
    for (member, text) in pieces {
        match merged.iter_mut().find(|(known, _)| *known == member) {
            Some((_, whole)) => whole.push_str(text),
            None => merged.push((member, text.to_owned())),
        }
    }
    merged
}

/// A signed thought as OpenRouter writes it, so that a client that sends it back keeps the seal
/// (<https://openrouter.ai/docs/use-cases/reasoning-tokens>).
pub(super) fn reasoning_detail(text: &str, signature: &str) -> Vec<u8> {
    let mut out = Vec::new();
    let mut object = ObjectWriter::open(&mut out);
    object.string("type", "reasoning.text");
    if !text.is_empty() {
        object.string("text", text);
    }
    object.string("signature", signature);
    object.close();
    out
}

pub(super) fn redacted_detail(bytes: &str) -> Vec<u8> {
    let mut out = Vec::new();
    let mut object = ObjectWriter::open(&mut out);
    object.string("type", "reasoning.encrypted");
    object.string("data", bytes);
    object.close();
    out
}

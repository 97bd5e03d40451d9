//! The dialect's words for stop reasons, efforts and usage.

use crate::{
    Fault, Kind, Origin,
    ir::{Effort, Ext, ExtRef, Stop, StopReason, Usage},
    json::{self, Object, ObjectWriter, RawRef},
};
use serde_json::value::RawValue;

/// Why an answer ended, also in the words of servers that keep those of their own engine: Together and Hugging Face
/// (`eos`, `eos_token`), Mistral (`model_length`, <https://docs.mistral.ai/api>), GLM (`sensitive`,
/// `model_context_window_exceeded`, <https://docs.z.ai/api-reference/llm/chat-completion>), and those that hand on the
/// words of Anthropic's, Cohere's or Gemini's models.
pub(super) fn stop(raw: &str) -> Stop {
    let reason = match raw {
        "stop" | "eos" | "eos_token" | "end_turn" | "complete" | "COMPLETE" | "completed" | "STOP" => {
            StopReason::End
        }
        "stop_sequence" | "STOP_SEQUENCE" => StopReason::StopText,
        "length"
        | "max_tokens"
        | "MAX_TOKENS"
        | "max_length"
        | "model_length"
        | "length_limit"
        | "model_context_window_exceeded" => StopReason::Length,
        "tool_calls" | "function_call" | "tool_call" | "TOOL_CALL" | "tool_use" => StopReason::ToolCalls,
        "content_filter" | "content_filtered" | "sensitive" | "safety" | "SAFETY" | "RECITATION" => {
            StopReason::ContentFilter
        }
        "refusal" => StopReason::Refusal,
        "pause_turn" => StopReason::Pause,
        _ => StopReason::Other,
    };
    Stop { reason, raw: raw.to_owned(), text: None }
}

/// What went wrong where an answer ended with no reason of the model's: its server broke it off. DeepSeek has too few
/// machines (<https://api-docs.deepseek.com/api/create-chat-completion>), GLM lost its connection
/// (<https://docs.z.ai/api-reference/llm/chat-completion>), Mistral and OpenRouter say no more than that
/// (<https://docs.mistral.ai/api>), and vLLM and SGLang gave the request up.
pub(super) fn broken_off(raw: &str) -> Option<Fault> {
    let kind = match raw {
        "insufficient_system_resource" => Kind::Overloaded,
        "error" | "network_error" | "abort" | "aborted" => Kind::Cut,
        _ => return None,
    };
    let message = format!("the provider broke off its answer (finish_reason: {raw})");
    Some(Fault::new(Origin::Upstream, kind, message))
}

/// The word for a stop that came from another dialect.
pub(super) fn finish_reason(stop: &Stop) -> &'static str {
    match stop.reason {
        StopReason::End | StopReason::StopText | StopReason::Pause | StopReason::Other => "stop",
        StopReason::Length => "length",
        StopReason::ToolCalls => "tool_calls",
        StopReason::ContentFilter | StopReason::Refusal => "content_filter",
    }
}

pub(in crate::dialects) fn effort(text: &str) -> Effort {
    match text {
        "none" => Effort::None,
        "minimal" => Effort::Minimal,
        "low" => Effort::Low,
        "medium" => Effort::Medium,
        "high" => Effort::High,
        other => Effort::Other(other.to_owned()),
    }
}

pub(in crate::dialects) fn effort_name(effort: &Effort) -> &str {
    match effort {
        Effort::None => "none",
        Effort::Minimal => "minimal",
        Effort::Low => "low",
        Effort::Medium => "medium",
        Effort::High => "high",
        Effort::Other(other) => other,
    }
}

/// Reads a usage object. Totals include their parts here as in the representation. What has no class stays
/// in the ext, nested objects under their own names.
pub(super) fn usage(raw: &RawValue) -> Result<(Usage, ExtRef<'_>), Fault> {
    let mut object = Object::from_raw(raw)?;
    let (usage, prompt, completion) = classes(&mut object)?;
    let mut ext = ExtRef::default();
    for (name, details) in [("prompt_tokens_details", prompt), ("completion_tokens_details", completion)] {
        if let Some(details) = details {
            keep_rest(name, details, &mut ext);
        }
    }
    ext.0.extend(object.rest_ref().0);
    Ok((usage, ext))
}

/// Reads only the classes of tokens.
pub(super) fn usage_classes(raw: &RawValue) -> Result<Usage, Fault> {
    let mut object = Object::from_raw(raw)?;
    classes(&mut object).map(|(usage, ..)| usage)
}

/// The classes of tokens, and what is left of the two objects that have details.
type Classes<'a> = (Usage, Option<Object<'a>>, Option<Object<'a>>);

fn classes<'a>(object: &mut Object<'a>) -> Result<Classes<'a>, Fault> {
    let mut usage = Usage {
        input_tokens: object.unsigned("prompt_tokens")?.unwrap_or_default(),
        output_tokens: object.unsigned("completion_tokens")?.unwrap_or_default(),
        ..Usage::default()
    };
    // DeepSeek reports its cache here (https://api-docs.deepseek.com/api/create-chat-completion).
    let hit = object.peek("prompt_cache_hit_tokens").and_then(|raw| raw.get().parse().ok());
    usage.cache_read_tokens = hit.unwrap_or_default();
    let mut prompt = object.object("prompt_tokens_details")?;
    if let Some(details) = &mut prompt {
        usage.cache_read_tokens = class(details, "cached_tokens")?.max(usage.cache_read_tokens);
        usage.input_audio_tokens = class(details, "audio_tokens")?;
        usage.cache_write_tokens = class(details, "cache_write_tokens")?;
    }
    let mut completion = object.object("completion_tokens_details")?;
    if let Some(details) = &mut completion {
        usage.reasoning_tokens = class(details, "reasoning_tokens")?;
        usage.output_audio_tokens = class(details, "audio_tokens")?;
    }
    Ok((usage, prompt, completion))
}

/// A class of tokens. A class of none stays where it is, so that it is written as it was.
fn class(details: &mut Object<'_>, name: &str) -> Result<u64, Fault> {
    match details.peek(name).map(RawValue::get) {
        Some("0") | None => Ok(0),
        Some(_) => Ok(details.unsigned(name)?.unwrap_or_default()),
    }
}

fn keep_rest<'a>(name: &'static str, details: Object<'a>, ext: &mut ExtRef<'a>) {
    let mut text = Vec::new();
    let mut writer = ObjectWriter::open(&mut text);
    writer.ext(&details.rest());
    writer.close();
    if let Some(raw) = json::Raw::parse(&String::from_utf8_lossy(&text)) {
        ext.0.push((name.into(), RawRef::Owned(raw)));
    }
}

/// Writes a usage object. `ext` holds what the same dialect had beside; details that were there are written
/// also when they are zero.
pub(super) fn write_usage(out: &mut Vec<u8>, usage: &Usage, ext: Option<&Ext>) {
    let none = Ext::default();
    let known = ext.is_some();
    let ext = ext.unwrap_or(&none);
    let mut object = ObjectWriter::open(out);
    object.value("prompt_tokens", &usage.input_tokens);
    object.value("completion_tokens", &usage.output_tokens);
    if !known {
        object.value("total_tokens", &usage.total_tokens());
    }
    let prompt = [
        ("cached_tokens", usage.cache_read_tokens),
        ("audio_tokens", usage.input_audio_tokens),
        ("cache_write_tokens", usage.cache_write_tokens.saturating_add(usage.cache_write_1h_tokens)),
    ];
    write_details(&mut object, "prompt_tokens_details", &prompt, ext);
    let completion =
        [("reasoning_tokens", usage.reasoning_tokens), ("audio_tokens", usage.output_audio_tokens)];
    write_details(&mut object, "completion_tokens_details", &completion, ext);
    for (name, value) in &ext.0 {
        if name != "prompt_tokens_details" && name != "completion_tokens_details" {
            object.raw(name, value.text());
        }
    }
    object.close();
}

fn write_details(object: &mut ObjectWriter<'_>, name: &str, classes: &[(&str, u64)], ext: &Ext) {
    let rest = ext.get(name);
    if rest.is_some_and(json::Raw::is_null) {
        return object.raw(name, "null");
    }
    if rest.is_none() && classes.iter().all(|(_, count)| *count == 0) {
        return;
    }
    let mut details = ObjectWriter::open(object.key(name));
    for (class, count) in classes {
        if *count > 0 {
            details.value(class, count);
        }
    }
    if let Some(rest) = rest {
        write_members(&mut details, rest.value());
    }
    details.close();
}

/// Writes the members of a kept object into one that is being written.
pub(super) fn write_members(object: &mut ObjectWriter<'_>, kept: &RawValue) {
    if let Ok(kept) = Object::from_raw(kept) {
        for (name, value) in kept.iter() {
            object.raw(name, value.get());
        }
    }
}

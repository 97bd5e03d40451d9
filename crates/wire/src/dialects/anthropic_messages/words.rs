//! The dialect's words for stop reasons and usage.

use serde_json::value::RawValue;

use crate::{
    Fault,
    ir::{Ext, ExtRef, Stop, StopReason, Usage},
    json::{Object, ObjectWriter},
};

pub(super) fn stop(raw: &str, text: Option<String>) -> Stop {
    let reason = match raw {
        "end_turn" => StopReason::End,
        "stop_sequence" => StopReason::StopText,
        "max_tokens" | "model_context_window_exceeded" => StopReason::Length,
        "tool_use" => StopReason::ToolCalls,
        "refusal" => StopReason::Refusal,
        "pause_turn" => StopReason::Pause,
        _ => StopReason::Other,
    };
    Stop { reason, raw: raw.to_owned(), text }
}

/// The word for a stop that came from another dialect.
pub(super) fn stop_reason(stop: &Stop) -> &'static str {
    match stop.reason {
        StopReason::End | StopReason::Other => "end_turn",
        StopReason::StopText => "stop_sequence",
        StopReason::Length => "max_tokens",
        StopReason::ToolCalls => "tool_use",
        StopReason::ContentFilter | StopReason::Refusal => "refusal",
        StopReason::Pause => "pause_turn",
    }
}

/// Reads a usage object. Anthropic counts cached tokens beside the input; here they are part of it.
pub(super) fn usage(raw: &RawValue) -> Result<(Usage, ExtRef<'_>), Fault> {
    let mut object = Object::from_raw(raw)?;
    let mut usage = Usage::default();
    let plain = object.unsigned("input_tokens")?.unwrap_or_default();
    usage.cache_read_tokens = class(&mut object, "cache_read_input_tokens")?;
    let written = class(&mut object, "cache_creation_input_tokens")?;
    let lifetimes = object.peek("cache_creation").and_then(|raw| Object::from_raw(raw).ok());
    let hour = lifetimes.and_then(|mut object| object.unsigned("ephemeral_1h_input_tokens").ok().flatten());
    usage.cache_write_1h_tokens = hour.unwrap_or_default().min(written);
    usage.cache_write_tokens = written - usage.cache_write_1h_tokens;
    usage.input_tokens = plain.saturating_add(usage.cache_read_tokens).saturating_add(written);
    usage.output_tokens = object.unsigned("output_tokens")?.unwrap_or_default();
    let details = object.peek("output_tokens_details").and_then(|raw| Object::from_raw(raw).ok());
    let thought = details.and_then(|mut object| object.unsigned("thinking_tokens").ok().flatten());
    usage.reasoning_tokens = thought.unwrap_or_default();
    Ok((usage, object.rest_ref()))
}

/// A class of tokens. A class of none stays where it is, so that it is written as it was.
fn class(object: &mut Object<'_>, name: &str) -> Result<u64, Fault> {
    match object.peek(name).map(RawValue::get) {
        Some("0") | None => Ok(0),
        Some(_) => Ok(object.unsigned(name)?.unwrap_or_default()),
    }
}

/// Writes a usage object; `ext` holds what the same dialect had beside.
pub(super) fn write_usage(out: &mut Vec<u8>, usage: &Usage, ext: Option<&Ext>) {
    let written = usage.cache_write_tokens + usage.cache_write_1h_tokens;
    let plain = usage.input_tokens.saturating_sub(usage.cache_read_tokens + written);
    let mut object = ObjectWriter::open(out);
    object.value("input_tokens", &plain);
    for (name, count) in
        [("cache_creation_input_tokens", written), ("cache_read_input_tokens", usage.cache_read_tokens)]
    {
        // Of the same dialect, a class of none is among the ext members where it was written at all.
        if count > 0 || ext.is_none() {
            object.value(name, &count);
        }
    }
    object.value("output_tokens", &usage.output_tokens);
    if ext.is_none() && usage.reasoning_tokens > 0 {
        let mut details = ObjectWriter::open(object.key("output_tokens_details"));
        details.value("thinking_tokens", &usage.reasoning_tokens);
        details.close();
    }
    if let Some(ext) = ext {
        let counts = |name: &str| match name {
            "cache_creation_input_tokens" => written > 0,
            "cache_read_input_tokens" => usage.cache_read_tokens > 0,
            _ => false,
        };
        for (name, value) in ext.0.iter().filter(|(name, _)| !counts(name)) {
            object.raw(name, value.text());
        }
    }
    object.close();
}

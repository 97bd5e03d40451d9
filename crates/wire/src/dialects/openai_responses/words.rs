//! The dialect's words for stops, seals and usage.

use serde_json::value::RawValue;

use crate::{
    Fault,
    ir::{Ext, ExtRef, Stop, StopReason, Usage},
    json::{Object, ObjectWriter, Raw, RawRef},
};

/// The hint under which the members of an item are kept that only tell it from others: its type, id and status.
pub(super) const ITEM: &str = "tollgate:item";
/// The hint that a list of annotations stood there, be it empty.
pub(super) const ANNOTATED: &str = "tollgate:annotated";

/// A seal says whose thought it is on: both are wanted back together.
pub(super) fn seal(id: &str, encrypted: &str) -> String {
    if crate::is_marked(encrypted.as_bytes()) { encrypted.to_owned() } else { format!("{id}:{encrypted}") }
}

/// The item's id and what was encrypted.
pub(super) fn unseal(seal: &str) -> (&str, &str) {
    if crate::is_marked(seal.as_bytes()) {
        return ("", seal);
    }
    seal.split_once(':').unwrap_or(("", seal))
}

/// Why an answer ended, from its status and, where it is incomplete, the reason
/// (<https://platform.openai.com/docs/api-reference/responses/object>).
pub(super) fn stop(status: &str, reason: Option<&str>, calls: bool) -> Stop {
    let (meaning, raw) = match (status, reason) {
        ("incomplete", Some("max_output_tokens")) => (StopReason::Length, "max_output_tokens"),
        ("incomplete", Some("content_filter")) => (StopReason::ContentFilter, "content_filter"),
        ("incomplete", Some(other)) => (StopReason::Other, other),
        ("completed" | "", _) if calls => (StopReason::ToolCalls, status),
        ("completed" | "", _) => (StopReason::End, status),
        _ => (StopReason::Other, status),
    };
    Stop { reason: meaning, raw: raw.to_owned(), text: None }
}

/// Whether an answer of this status goes on in the background
/// (<https://platform.openai.com/docs/guides/background>).
pub(super) fn is_open(status: &str) -> bool {
    matches!(status, "queued" | "in_progress")
}

/// The status and the reason of an incomplete answer, for a stop of another dialect.
pub(super) fn status(stop: Option<&Stop>) -> (&'static str, Option<&'static str>) {
    match stop.map(|stop| stop.reason) {
        Some(StopReason::Length) => ("incomplete", Some("max_output_tokens")),
        Some(StopReason::ContentFilter) => ("incomplete", Some("content_filter")),
        Some(
            StopReason::End
            | StopReason::StopText
            | StopReason::ToolCalls
            | StopReason::Refusal
            | StopReason::Pause
            | StopReason::Other,
        )
        | None => ("completed", None),
    }
}

/// Reads a usage object; totals include their parts.
pub(super) fn usage(raw: &RawValue) -> Result<(Usage, ExtRef<'_>), Fault> {
    let mut object = Object::from_raw(raw)?;
    let mut usage = Usage {
        input_tokens: object.unsigned("input_tokens")?.unwrap_or_default(),
        output_tokens: object.unsigned("output_tokens")?.unwrap_or_default(),
        ..Usage::default()
    };
    let mut ext = ExtRef::default();
    if let Some(mut details) = object.object("input_tokens_details")? {
        usage.cache_read_tokens = class(&mut details, "cached_tokens")?;
        usage.cache_write_tokens = class(&mut details, "cache_write_tokens")?;
        ext.0.push(("input_tokens_details".into(), rest(details)));
    }
    if let Some(mut details) = object.object("output_tokens_details")? {
        usage.reasoning_tokens = class(&mut details, "reasoning_tokens")?;
        ext.0.push(("output_tokens_details".into(), rest(details)));
    }
    ext.0.extend(object.rest_ref().0);
    Ok((usage, ext))
}

/// A class of tokens. A class of none stays where it is, so that it is written as it was.
fn class(details: &mut Object<'_>, name: &str) -> Result<u64, Fault> {
    match details.peek(name).map(RawValue::get) {
        Some("0") | None => Ok(0),
        Some(_) => Ok(details.unsigned(name)?.unwrap_or_default()),
    }
}

/// Writes a usage object; `ext` holds what the same dialect had beside.
pub(super) fn write_usage(out: &mut Vec<u8>, usage: &Usage, ext: Option<&Ext>) {
    let none = Ext::default();
    let mut object = ObjectWriter::open(out);
    object.value("input_tokens", &usage.input_tokens);
    object.value("output_tokens", &usage.output_tokens);
    let written = usage.cache_write_tokens.saturating_add(usage.cache_write_1h_tokens);
    let input = [("cached_tokens", usage.cache_read_tokens), ("cache_write_tokens", written)];
    let output = [("reasoning_tokens", usage.reasoning_tokens)];
    for (name, classes) in [("input_tokens_details", &input[..]), ("output_tokens_details", &output[..])] {
        let kept = ext.map(|ext| ext.get(name));
        if kept == Some(None) && classes.iter().all(|(_, count)| *count == 0) {
            continue;
        }
        if let Some(Some(kept)) = kept
            && kept.is_null()
        {
            object.raw(name, "null");
            continue;
        }
        let mut details = ObjectWriter::open(object.key(name));
        for (at, (class, count)) in classes.iter().enumerate() {
            // The SDK's types have the first class of each always.
            if *count > 0 || (at == 0 && kept.is_none()) {
                details.value(class, count);
            }
        }
        if let Some(Some(kept)) = kept {
            write_members(&mut details, kept);
        }
        details.close();
    }
    if ext.is_none() {
        object.value("total_tokens", &usage.total_tokens());
    }
    for (name, value) in &ext.unwrap_or(&none).0 {
        if !matches!(name.as_str(), "input_tokens_details" | "output_tokens_details") {
            object.raw(name, value.text());
        }
    }
    object.close();
}

/// What is left of an object, as one.
pub(super) fn rest(object: Object<'_>) -> RawRef<'static> {
    RawRef::Owned(rest_raw(object))
}

pub(super) fn rest_raw(object: Object<'_>) -> Raw {
    super::openai_chat::rest_object(object)
}

/// Writes the members of a kept object into one that is being written.
pub(super) fn write_members(object: &mut ObjectWriter<'_>, kept: &Raw) {
    if let Ok(kept) = Object::from_raw(kept.value()) {
        for (name, value) in kept.iter() {
            object.raw(name, value.get());
        }
    }
}

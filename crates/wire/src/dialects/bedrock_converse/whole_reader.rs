//! Whole answers: bytes to events.

use std::borrow::Cow;

use serde_json::value::RawValue;

use super::{block_decode::blocks, usage, words};
use crate::{
    Fault, Sink,
    ir::{Event, Part, PartDelta, PartKind, PartStart, Place},
    json::{Object, RawRef},
    kept,
};

/// Reads one whole answer.
pub(super) fn read(body: &[u8], sink: &mut Sink<'_>) -> Result<bool, Fault> {
    let mut object = Object::parse(body)?;
    let mut output = object.object("output")?.ok_or_else(|| Fault::invalid("output", "is missing"))?;
    let message = output.object("message").map_err(|fault| fault.under("output"))?;
    sink(Event::Start { id: Cow::Borrowed(""), model: Cow::Borrowed(""), created_s: None });
    if let Some(mut message) = message {
        if message.peek("role").is_some_and(|raw| raw.get() == "\"assistant\"") {
            message.take("role");
        }
        let list = message.array("content")?.unwrap_or_default();
        let parts = blocks(list).map_err(|fault| fault.under("output.message.content"))?;
        for (index, part) in (0..).zip(&parts) {
            told(index, part, sink);
        }
        let ext = message.rest_ref();
        if !ext.is_empty() {
            sink(Event::Ext { place: Place::Message(0), ext });
        }
    }
    if let Some(reason) = object.string("stopReason")? {
        sink(Event::ChoiceStop { choice: 0, stop: words::stop(&reason) });
    }
    if let Some(raw) = object.take_some("usage") {
        let (usage, ext) = usage::read(raw).map_err(|fault| fault.under("usage"))?;
        sink(Event::Usage { usage, ext });
    }
    let ext = object.rest_ref();
    if !ext.is_empty() {
        sink(Event::Ext { place: Place::Response, ext });
    }
    sink(Event::End);
    Ok(true)
}

/// A part as events.
fn told(index: u32, part: &Part, sink: &mut Sink<'_>) {
    let text = |text: &str| (!text.is_empty()).then(|| PartDelta::Text(Cow::Owned(text.to_owned())));
    let mut deltas: Vec<PartDelta<'_>> = Vec::new();
    let start = match &part.kind {
        PartKind::Text { text: said, annotations } => {
            deltas.extend(text(said));
            deltas.extend(annotations.iter().map(|raw| PartDelta::Annotation(RawRef::Owned(raw.clone()))));
            PartStart::Text
        }
        PartKind::Reasoning { text: said, signature } => {
            deltas.extend(text(said));
            deltas.extend(signature.as_deref().map(|seal| PartDelta::Signature(Cow::Borrowed(seal))));
            PartStart::Reasoning
        }
        PartKind::RedactedReasoning { bytes } => PartStart::RedactedReasoning { bytes: Cow::Borrowed(bytes) },
        PartKind::ToolCall { id, name, arguments } => {
            deltas.push(PartDelta::Arguments(Cow::Borrowed(arguments)));
            PartStart::ToolCall { id: Cow::Borrowed(id), name: Cow::Borrowed(name) }
        }
        PartKind::Opaque { name, value } => {
            PartStart::Opaque { name: Cow::Borrowed(name), value: RawRef::Owned(value.clone()) }
        }
        // Answers hold none of these as parts.
        PartKind::Refusal { .. }
        | PartKind::Image(_)
        | PartKind::File(_)
        | PartKind::Audio(_)
        | PartKind::ToolResult { .. } => return,
    };
    sink(Event::PartStart { choice: 0, index, part: start, ext: kept::as_event(part.ext.clone()) });
    for delta in deltas {
        sink(Event::PartDelta { choice: 0, index, delta });
    }
    sink(Event::PartStop { choice: 0, index });
}

/// The place of a member that an event is about.
pub(super) fn index_of(object: &mut Object<'_>) -> Result<u64, Fault> {
    Ok(object.unsigned("contentBlockIndex")?.unwrap_or_default())
}

/// Whether a value says nothing.
pub(super) fn is_empty(raw: &RawValue) -> bool {
    matches!(raw.get(), "{}" | "null" | "\"\"" | "[]")
}

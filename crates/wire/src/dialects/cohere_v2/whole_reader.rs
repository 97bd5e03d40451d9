//! Whole answers: bytes to events.

use std::borrow::Cow;

use super::{fault::failed, kept, message_decode::assistant, usage, words};
use crate::{
    Fault, Sink,
    ir::{Event, Ext, Form, Part, PartDelta, PartKind, PartStart, Place},
    json::{Object, Raw, RawRef},
};

/// The hint that a content stood there though it held nothing.
pub(super) const CONTENT: &str = "tollgate:content";

/// Reads one whole answer; false where it is the provider's own error.
pub(super) fn read(body: &[u8], sink: &mut Sink<'_>) -> Result<bool, Fault> {
    let mut object = Object::parse(body)?;
    let message = object.object("message")?.ok_or_else(|| Fault::invalid("message", "is missing"))?;
    let reason = object.string("finish_reason")?;
    if let Some(kind) = reason.as_deref().and_then(words::failure) {
        sink(Event::Fault(failed(kind, object.string("error")?.as_deref(), None)));
        return Ok(false);
    }
    let (model, created_s) = (Cow::Borrowed(""), None);
    sink(Event::Start { id: object.string("id")?.unwrap_or_default(), model, created_s });
    let mut message = message;
    if message.peek("role").is_some_and(|raw| raw.get() == "\"assistant\"") {
        message.take("role");
    }
    let mut message = assistant(message).map_err(|fault| fault.under("message"))?;
    if !message.content.parts.iter().any(is_block) {
        let stood = match message.content.form {
            Form::List => Raw::parse("[]"),
            Form::Null => Raw::parse("null"),
            Form::Bare => Some(Raw::string("")),
            Form::Absent => None,
        };
        message.ext.0.extend(stood.map(|raw| (CONTENT.to_owned(), raw)));
    }
    for (index, part) in (0..).zip(&message.content.parts) {
        told(index, part, sink);
    }
    if !message.ext.is_empty() {
        sink(Event::Ext { place: Place::Message(0), ext: kept::as_event(message.ext) });
    }
    if let Some(raw) = object.take_some("logprobs") {
        sink(Event::Logprobs { choice: 0, logprobs: RawRef::Borrowed(raw) });
    }
    if let Some(reason) = reason {
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

/// Whether a part stands in the content, and not beside it.
pub(super) fn is_block(part: &Part) -> bool {
    match &part.kind {
        PartKind::ToolCall { .. } => false,
        PartKind::Opaque { name, .. } => name != "tool_calls",
        _ => part.ext.get(words::PLAN).is_none(),
    }
}

/// A part as events.
fn told(index: u32, part: &Part, sink: &mut Sink<'_>) {
    let (start, deltas) = match &part.kind {
        PartKind::Text { text, annotations } => {
            let notes = annotations.iter().map(|raw| PartDelta::Annotation(RawRef::Owned(raw.clone())));
            (PartStart::Text, text_delta(text).into_iter().chain(notes).collect::<Vec<_>>())
        }
        PartKind::Reasoning { text, signature } => {
            let seal = signature.as_deref().map(|seal| PartDelta::Signature(Cow::Borrowed(seal)));
            (PartStart::Reasoning, text_delta(text).into_iter().chain(seal).collect())
        }
        PartKind::RedactedReasoning { bytes } => {
            (PartStart::RedactedReasoning { bytes: Cow::Borrowed(bytes) }, Vec::new())
        }
        PartKind::ToolCall { id, name, arguments } => {
            let start = PartStart::ToolCall { id: Cow::Borrowed(id), name: Cow::Borrowed(name) };
            let some = (!arguments.is_empty()).then_some(PartDelta::Arguments(Cow::Borrowed(arguments)));
            (start, some.into_iter().collect())
        }
        PartKind::Opaque { name, value } => {
            let value = RawRef::Owned(value.clone());
            (PartStart::Opaque { name: Cow::Borrowed(name), value }, Vec::new())
        }
        // Answers hold none of these.
        PartKind::Refusal { .. }
        | PartKind::Image(_)
        | PartKind::File(_)
        | PartKind::Audio(_)
        | PartKind::ToolResult { .. } => return,
    };
    let ext = kept::as_event(Ext(part.ext.0.clone()));
    sink(Event::PartStart { choice: 0, index, part: start, ext });
    for delta in deltas {
        sink(Event::PartDelta { choice: 0, index, delta });
    }
    sink(Event::PartStop { choice: 0, index });
}

fn text_delta(text: &str) -> Option<PartDelta<'_>> {
    (!text.is_empty()).then_some(PartDelta::Text(Cow::Borrowed(text)))
}

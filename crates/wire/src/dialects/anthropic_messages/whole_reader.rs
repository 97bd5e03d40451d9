//! Whole answers: bytes to events.

use std::borrow::Cow;

use serde_json::value::RawValue;

use super::{block_decode::block, fault::error_object, kept::as_event, usage::Counts, words};
use crate::{
    Fault, Sink,
    ir::{Event, PartDelta, PartKind, PartStart, Place},
    json::{Object, RawRef},
};

/// Reads one whole answer; false where it is the provider's own error.
pub(super) fn read(body: &[u8], sink: &mut Sink<'_>) -> Result<bool, Fault> {
    let mut object = Object::parse(body)?;
    if object.peek("type").is_some_and(|raw| raw.get() == "\"error\"") {
        let value = serde_json::from_slice(body).unwrap_or_default();
        sink(Event::Fault(error_object(&value, None)));
        return Ok(false);
    }
    let blocks = object.array("content")?.ok_or_else(|| Fault::invalid("content", "is missing"))?;
    sink(Event::Start {
        id: object.string("id")?.unwrap_or_default(),
        model: object.string("model")?.unwrap_or_default(),
        created_s: None,
    });
    for (at, raw) in blocks.into_iter().enumerate() {
        read_block(u32::try_from(at).unwrap_or(u32::MAX), raw, sink)
            .map_err(|fault| fault.under(&format!("content[{at}]")))?;
    }
    let text = object.string("stop_sequence")?.map(Into::into);
    if let Some(reason) = object.string("stop_reason")? {
        sink(Event::ChoiceStop { choice: 0, stop: words::stop(&reason, text) });
    }
    if let Some(raw) = object.take_some("usage") {
        let (usage, ext) = Counts::default().read(raw).map_err(|fault| fault.under("usage"))?;
        sink(Event::Usage { usage, ext });
    }
    rest(object, sink);
    sink(Event::End);
    Ok(true)
}

/// Members of the message that have no place of their own, and the `null` of a stop that is not there.
pub(super) fn rest(mut object: Object<'_>, sink: &mut Sink<'_>) {
    for known in ["type", "role", "content", "id", "model", "usage"] {
        object.take(known);
    }
    let ext = object.rest_ref();
    if !ext.is_empty() {
        sink(Event::Ext { place: Place::Response, ext });
    }
}

fn read_block(index: u32, raw: &RawValue, sink: &mut Sink<'_>) -> Result<(), Fault> {
    let part = block(raw)?;
    let (start, deltas) = opened(part.kind, raw);
    sink(Event::PartStart { choice: 0, index, part: start, ext: as_event(part.ext) });
    for delta in deltas {
        sink(Event::PartDelta { choice: 0, index, delta });
    }
    sink(Event::PartStop { choice: 0, index });
    Ok(())
}

/// A block as it opens, and the deltas that fill it.
pub(super) fn opened(kind: PartKind, raw: &RawValue) -> (PartStart<'_>, Vec<PartDelta<'_>>) {
    match kind {
        PartKind::Text { text, annotations } => {
            let mut deltas = Vec::with_capacity(1 + annotations.len());
            if !text.is_empty() {
                deltas.push(PartDelta::Text(Cow::Owned(text)));
            }
            deltas.extend(annotations.into_iter().map(|raw| PartDelta::Annotation(RawRef::Owned(raw))));
            (PartStart::Text, deltas)
        }
        PartKind::Reasoning { text, signature } => {
            let mut deltas = Vec::with_capacity(2);
            if !text.is_empty() {
                deltas.push(PartDelta::Text(Cow::Owned(text)));
            }
            let signature = signature.filter(|signature| !signature.is_empty());
            deltas.extend(signature.map(|signature| PartDelta::Signature(Cow::Owned(signature))));
            (PartStart::Reasoning, deltas)
        }
        PartKind::RedactedReasoning { bytes } => {
            (PartStart::RedactedReasoning { bytes: Cow::Owned(bytes) }, Vec::new())
        }
        PartKind::ToolCall { id, name, arguments } => {
            let start = PartStart::ToolCall { id: Cow::Owned(id), name: Cow::Owned(name) };
            (start, vec![PartDelta::Arguments(Cow::Owned(arguments))])
        }
        PartKind::Opaque { name, .. } => (opaque(name, raw), Vec::new()),
        // Blocks of requests, which no answer holds.
        PartKind::Refusal { .. } => (opaque("refusal".to_owned(), raw), Vec::new()),
        PartKind::Image(_) => (opaque("image".to_owned(), raw), Vec::new()),
        PartKind::File(_) => (opaque("document".to_owned(), raw), Vec::new()),
        PartKind::Audio(_) => (opaque("audio".to_owned(), raw), Vec::new()),
        PartKind::ToolResult { .. } => (opaque("tool_result".to_owned(), raw), Vec::new()),
    }
}

fn opaque(name: String, raw: &RawValue) -> PartStart<'_> {
    PartStart::Opaque { name: Cow::Owned(name), value: RawRef::Borrowed(raw) }
}

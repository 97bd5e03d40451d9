//! Whole answers, both ways.

use std::borrow::Cow;

use serde_json::value::RawValue;

use super::{
    block_decode::{block, borrowed},
    block_encode::BlockWriter,
    fault::{error_object, write_error},
    words,
};
use crate::{
    Dialect, Fault, Frame, Kind, Losses, Origin, Reader, Sink, Wanted, Writer,
    ir::{Event, ExtRef, Fold, Part, PartDelta, PartKind, PartStart, Place, Response},
    json::{Object, ObjectWriter, RawRef, write_string},
};

/// Reads one whole answer.
#[derive(Default)]
pub(super) struct WholeReader {
    complete: bool,
}

impl Reader for WholeReader {
    fn frame(&mut self, frame: &Frame<'_>, sink: &mut Sink<'_>) {
        match read(&frame.data, sink) {
            Ok(complete) => self.complete = complete,
            Err(fault) => sink(Event::Fault(garbage(&fault))),
        }
    }

    fn complete(&self) -> bool {
        self.complete
    }
}

/// An answer that is not in the dialect is the provider's fault, not the caller's.
pub(super) fn garbage(fault: &Fault) -> Fault {
    let message = format!("the provider's answer is not in its dialect: {fault}");
    Fault::new(Origin::Upstream, Kind::Garbage, message)
}

fn read(body: &[u8], sink: &mut Sink<'_>) -> Result<bool, Fault> {
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
        let (usage, ext) = words::usage(raw).map_err(|fault| fault.under("usage"))?;
        sink(Event::Usage { usage, ext });
    }
    rest(object, sink);
    sink(Event::End);
    Ok(true)
}

/// Members of the message that have no place of their own.
pub(super) fn rest(mut object: Object<'_>, sink: &mut Sink<'_>) {
    for known in ["type", "role", "content", "stop_reason", "stop_sequence", "usage", "id", "model"] {
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
    sink(Event::PartStart { choice: 0, index, part: start, ext: borrowed(part.ext) });
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

/// Collects an answer and writes it at its end.
pub(super) struct WholeWriter {
    wanted: Wanted,
    fold: Fold,
    losses: Losses,
}

impl WholeWriter {
    pub(super) fn new(wanted: Wanted) -> WholeWriter {
        WholeWriter { wanted, fold: Fold::default(), losses: Losses::default() }
    }
}

impl Writer for WholeWriter {
    fn event(&mut self, event: &Event<'_>, out: &mut Vec<u8>) {
        match event {
            Event::End => {
                let own = self.wanted.source == Dialect::AnthropicMessages;
                write(out, self.fold.response(), own, &mut self.losses);
            }
            Event::Fault(fault) => write_error(out, fault, ""),
            other => self.fold.event(other),
        }
    }

    fn losses(&self) -> &Losses {
        &self.losses
    }
}

fn write(out: &mut Vec<u8>, response: &Response, own: bool, losses: &mut Losses) {
    let mut object = ObjectWriter::open(out);
    object.string("id", &response.id);
    object.string("type", "message");
    object.string("role", "assistant");
    object.string("model", &response.model);
    let choice = response.choices.iter().find(|choice| choice.index == 0);
    if response.choices.len() > 1 {
        losses.dropped("response.choices", "a message has one answer");
    }
    let parts: &[Part] = choice.map_or(&[], |choice| &choice.parts);
    write_parts(object.key("content"), parts, own, losses);
    let stop = choice.and_then(|choice| choice.stop.as_ref());
    match stop {
        Some(stop) => {
            let reason = if own { stop.raw.as_str() } else { words::stop_reason(stop) };
            object.string("stop_reason", reason);
        }
        None => object.raw("stop_reason", "null"),
    }
    match stop.and_then(|stop| stop.text.as_ref()) {
        Some(text) => write_string(object.key("stop_sequence"), text),
        None => object.raw("stop_sequence", "null"),
    }
    let usage = response.usage.unwrap_or_default();
    words::write_usage(object.key("usage"), &usage, own.then_some(&response.usage_ext));
    if own {
        object.ext(&response.ext);
    } else {
        losses.ext("response", &response.ext);
        if let Some(choice) = choice {
            losses.ext("response.message", &choice.message_ext);
            losses.ext("response.choices", &choice.ext);
            if choice.logprobs.is_some() {
                losses.dropped("response.logprobs", "messages carry no log probabilities");
            }
        }
    }
    object.close();
}

/// The blocks of an answer. Here a thought without a signature stands: it is shown, not sent back.
fn write_parts(out: &mut Vec<u8>, parts: &[Part], own: bool, losses: &mut Losses) {
    out.push(b'[');
    let before = out.len();
    for (at, part) in parts.iter().enumerate() {
        let length = out.len();
        if length > before {
            out.push(b',');
        }
        let mut writer = BlockWriter { own, losses };
        let written = match &part.kind {
            PartKind::Reasoning { text, signature } => {
                let mut object = ObjectWriter::open(out);
                object.string("type", "thinking");
                object.string("thinking", text);
                object.string("signature", signature.as_deref().unwrap_or_default());
                if own {
                    object.ext(&part.ext);
                }
                object.close();
                true
            }
            PartKind::Refusal { text } => {
                writer.block(out, &Part::text(text.as_str()), &format!("content[{at}]"))
            }
            _ => writer.block(out, part, &format!("content[{at}]")),
        };
        if !written {
            out.truncate(length);
        }
    }
    out.push(b']');
}

/// No members.
pub(super) fn no_ext() -> ExtRef<'static> {
    ExtRef::default()
}

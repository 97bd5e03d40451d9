//! Streamed answers: events of the wire to events of the representation.

use std::borrow::Cow;

use serde_json::value::RawValue;

use super::{
    block_decode::{block, borrowed, with_member},
    fault::error_object,
    whole::{garbage, no_ext, opened, rest},
    words,
};
use crate::{
    Fault, Frame, Reader, Sink,
    ir::{Event, PartDelta, PartStart},
    json::{Object, Raw, RawRef},
};

/// The most bytes of input that one block of a kind unknown to us may stream.
const OPAQUE_BYTES_MAX: usize = 16 << 20;

/// Reads the events of one answer.
#[derive(Default)]
pub(super) struct StreamReader {
    complete: bool,
    /// The block that is open, where it is opaque or a tool call.
    open: Option<Open>,
}

/// A block whose content is known when it closes.
struct Open {
    index: u32,
    /// The block as it opened.
    block: Raw,
    /// What its input came to.
    input: String,
    opaque: bool,
}

impl Reader for StreamReader {
    fn frame(&mut self, frame: &Frame<'_>, sink: &mut Sink<'_>) {
        if frame.data.is_empty() || self.complete {
            return;
        }
        if let Err(fault) = self.event(&frame.data, sink) {
            sink(Event::Fault(garbage(&fault)));
        }
    }

    fn complete(&self) -> bool {
        self.complete
    }
}

impl StreamReader {
    fn event(&mut self, data: &[u8], sink: &mut Sink<'_>) -> Result<(), Fault> {
        let mut object = Object::parse(data)?;
        let kind = object.string("type")?.unwrap_or_default();
        match kind.as_ref() {
            "content_block_delta" => self.delta(&mut object, sink),
            "content_block_start" => self.start(&mut object, sink),
            "content_block_stop" => {
                let index = index(&mut object)?;
                self.stop(index, sink);
                Ok(())
            }
            "message_start" => message_start(&mut object, sink),
            "message_delta" => message_delta(&mut object, sink),
            "message_stop" => {
                self.complete = true;
                sink(Event::End);
                Ok(())
            }
            "error" => {
                let value = serde_json::from_slice(data).unwrap_or_default();
                sink(Event::Fault(error_object(&value, None)));
                Ok(())
            }
            // Pings, and what may be added: clients are told to ignore what they do not know
            // (https://docs.anthropic.com/en/docs/build-with-claude/streaming).
            _ => Ok(()),
        }
    }

    fn start(&mut self, object: &mut Object<'_>, sink: &mut Sink<'_>) -> Result<(), Fault> {
        let index = index(object)?;
        let raw = object.take_some("content_block");
        let raw = raw.ok_or_else(|| Fault::invalid("content_block", "is missing"))?;
        let part = block(raw).map_err(|fault| fault.under("content_block"))?;
        let (start, deltas) = opened(part.kind, raw);
        let opaque = matches!(start, PartStart::Opaque { .. });
        let call = matches!(start, PartStart::ToolCall { .. });
        sink(Event::PartStart { choice: 0, index, part: start, ext: borrowed(part.ext) });
        for delta in deltas {
            // A call opens with an empty object in place of the arguments that follow.
            let placeholder = matches!(&delta, PartDelta::Arguments(text) if text == "{}");
            if !placeholder {
                sink(Event::PartDelta { choice: 0, index, delta });
            }
        }
        if opaque || call {
            self.open = Some(Open { index, block: Raw::new(raw), input: String::new(), opaque });
        }
        Ok(())
    }

    fn delta(&mut self, object: &mut Object<'_>, sink: &mut Sink<'_>) -> Result<(), Fault> {
        let index = index(object)?;
        let raw = object.take_some("delta").ok_or_else(|| Fault::invalid("delta", "is missing"))?;
        let mut delta = Object::from_raw(raw)?;
        let kind = delta.string("type")?.unwrap_or_default();
        let found = match kind.as_ref() {
            "text_delta" => delta.string("text")?.map(PartDelta::Text),
            "thinking_delta" => delta.string("thinking")?.map(PartDelta::Text),
            "signature_delta" => delta.string("signature")?.map(PartDelta::Signature),
            "citations_delta" => {
                delta.take_some("citation").map(|raw| PartDelta::Annotation(RawRef::Borrowed(raw)))
            }
            "input_json_delta" => {
                let Some(text) = delta.string("partial_json")? else { return Ok(()) };
                return self.input(index, text, sink);
            }
            // Clients are told to ignore what they do not know.
            _ => None,
        };
        if let Some(delta) = found {
            sink(Event::PartDelta { choice: 0, index, delta });
        }
        Ok(())
    }

    fn input(&mut self, index: u32, text: Cow<'_, str>, sink: &mut Sink<'_>) -> Result<(), Fault> {
        match &mut self.open {
            Some(open) if open.index == index => {
                if open.input.len() + text.len() > OPAQUE_BYTES_MAX {
                    return Err(Fault::invalid("partial_json", "the input of a block is too large"));
                }
                if open.opaque || open.input.is_empty() {
                    open.input.push_str(&text);
                }
                if !open.opaque && !text.is_empty() {
                    sink(Event::PartDelta { choice: 0, index, delta: PartDelta::Arguments(text) });
                }
            }
            _ => sink(Event::PartDelta { choice: 0, index, delta: PartDelta::Arguments(text) }),
        }
        Ok(())
    }

    fn stop(&mut self, index: u32, sink: &mut Sink<'_>) {
        if let Some(open) = self.open.take_if(|open| open.index == index) {
            if open.opaque && !open.input.is_empty() {
                // The whole block, as it would stand in a whole answer.
                let valid = Raw::parse(&open.input).is_some();
                let whole = valid.then(|| with_member(open.block.value(), "input", &open.input)).flatten();
                if let Some(whole) = whole {
                    let delta = PartDelta::Opaque(RawRef::Owned(whole));
                    sink(Event::PartDelta { choice: 0, index, delta });
                }
            } else if !open.opaque && open.input.is_empty() && !has_input(open.block.value()) {
                // A call without arguments has an empty object.
                let delta = PartDelta::Arguments(Cow::Borrowed("{}"));
                sink(Event::PartDelta { choice: 0, index, delta });
            }
        }
        sink(Event::PartStop { choice: 0, index });
    }
}

fn has_input(block: &RawValue) -> bool {
    Object::from_raw(block).is_ok_and(|object| object.peek("input").is_some_and(|raw| raw.get() != "{}"))
}

fn index(object: &mut Object<'_>) -> Result<u32, Fault> {
    let index = object.unsigned("index")?.unwrap_or_default();
    u32::try_from(index).map_err(|_| Fault::invalid("index", "is too large"))
}

fn message_start(object: &mut Object<'_>, sink: &mut Sink<'_>) -> Result<(), Fault> {
    let message = object.object("message")?;
    let mut message = message.ok_or_else(|| Fault::invalid("message", "is missing"))?;
    sink(Event::Start {
        id: message.string("id")?.unwrap_or_default(),
        model: message.string("model")?.unwrap_or_default(),
        created_s: None,
    });
    if let Some(raw) = message.take_some("usage") {
        let (usage, ext) = words::usage(raw).map_err(|fault| fault.under("message.usage"))?;
        sink(Event::Usage { usage, ext });
    }
    rest(message, sink);
    Ok(())
}

fn message_delta(object: &mut Object<'_>, sink: &mut Sink<'_>) -> Result<(), Fault> {
    let mut ext = no_ext();
    if let Some(mut delta) = object.object("delta")? {
        let text = delta.string("stop_sequence")?.map(Into::into);
        if let Some(reason) = delta.string("stop_reason")? {
            sink(Event::ChoiceStop { choice: 0, stop: words::stop(&reason, text) });
        }
        delta.take("stop_reason");
        delta.take("stop_sequence");
        ext = delta.rest_ref();
    }
    if let Some(raw) = object.take_some("usage") {
        let (usage, ext) = words::usage(raw).map_err(|fault| fault.under("usage"))?;
        sink(Event::Usage { usage, ext });
    }
    // What stands beside the delta belongs to the message as well (`context_management`).
    for (name, raw) in object.iter() {
        ext.0.push((Cow::Owned(name.to_owned()), RawRef::Borrowed(raw)));
    }
    if !ext.is_empty() {
        sink(Event::Ext { place: crate::ir::Place::Response, ext });
    }
    Ok(())
}

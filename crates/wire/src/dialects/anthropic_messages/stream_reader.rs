//! Streamed answers: events of the wire to events of the representation
//! (<https://docs.anthropic.com/en/docs/build-with-claude/streaming>).

use std::borrow::Cow;

use super::{
    block_decode::block,
    fault::error_object,
    kept::{as_event, with_member},
    usage::Counts,
    whole_reader::{opened, rest},
    words,
};
use crate::{
    Fault, Frame, Reader, Sink,
    ir::{Event, ExtRef, PartDelta, PartStart, Place},
    json::{self, Object, Raw, RawRef},
};

/// The most bytes of input that one block of a kind unknown to us may stream.
const OPAQUE_BYTES_MAX: usize = 16 << 20;

/// Reads the events of one answer.
#[derive(Default)]
pub(super) struct StreamReader {
    complete: bool,
    counts: Counts,
    /// The block that is open, where it is opaque or a tool call.
    open: Option<Open>,
}

/// A block whose content is known when it closes.
struct Open {
    index: u32,
    /// The block as it opened.
    block: Raw,
    /// What its input came to; of a call, only whether there was any.
    input: String,
    /// What other text members grew to.
    grown: Vec<(String, String)>,
    opaque: bool,
}

impl Reader for StreamReader {
    fn frame(&mut self, frame: &Frame<'_>, sink: &mut Sink<'_>) {
        if frame.data.is_empty() || self.complete {
            return;
        }
        if let Err(fault) = self.event(&frame.data, sink) {
            sink(Event::Fault(fault.into_garbage()));
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
            "content_block_delta" => return self.delta(&mut object, sink),
            "content_block_start" => return self.start(&mut object, sink),
            "content_block_stop" => self.stop(index(&mut object)?, sink),
            "message_start" => return self.message_start(&mut object, sink),
            "message_delta" => return self.message_delta(&mut object, sink),
            "message_stop" => {
                self.complete = true;
                sink(Event::End);
            }
            "error" => {
                let value = serde_json::from_slice(data).unwrap_or_default();
                sink(Event::Fault(error_object(&value, None)));
            }
            // Pings, and what may be added: clients are told to ignore what they do not know.
            _ => {}
        }
        Ok(())
    }

    fn message_start(&mut self, object: &mut Object<'_>, sink: &mut Sink<'_>) -> Result<(), Fault> {
        let message = object.object("message")?;
        let mut message = message.ok_or_else(|| Fault::invalid("message", "is missing"))?;
        sink(Event::Start {
            id: message.string("id")?.unwrap_or_default(),
            model: message.string("model")?.unwrap_or_default(),
            created_s: None,
        });
        if let Some(raw) = message.take_some("usage") {
            let (usage, ext) = self.counts.read(raw).map_err(|fault| fault.under("message.usage"))?;
            sink(Event::Usage { usage, ext });
        }
        rest(message, sink);
        Ok(())
    }

    fn message_delta(&mut self, object: &mut Object<'_>, sink: &mut Sink<'_>) -> Result<(), Fault> {
        let mut ext = ExtRef::default();
        if let Some(mut delta) = object.object("delta")? {
            let text = delta.string("stop_sequence")?.map(Into::into);
            if let Some(reason) = delta.string("stop_reason")? {
                sink(Event::ChoiceStop { choice: 0, stop: words::stop(&reason, text) });
            }
            ext = delta.rest_ref();
        }
        if let Some(raw) = object.take_some("usage") {
            let (usage, ext) = self.counts.read(raw).map_err(|fault| fault.under("usage"))?;
            sink(Event::Usage { usage, ext });
        }
        // What stands beside the delta belongs to the message as well (`context_management`).
        for (name, raw) in object.iter() {
            ext.0.push((Cow::Owned(name.to_owned()), RawRef::Borrowed(raw)));
        }
        if !ext.is_empty() {
            sink(Event::Ext { place: Place::Response, ext });
        }
        Ok(())
    }

    fn start(&mut self, object: &mut Object<'_>, sink: &mut Sink<'_>) -> Result<(), Fault> {
        let index = index(object)?;
        let raw = object.take_some("content_block");
        let raw = raw.ok_or_else(|| Fault::invalid("content_block", "is missing"))?;
        let part = block(raw).map_err(|fault| fault.under("content_block"))?;
        let (start, deltas) = opened(part.kind, raw);
        let opaque = matches!(start, PartStart::Opaque { .. });
        let call = matches!(start, PartStart::ToolCall { .. });
        sink(Event::PartStart { choice: 0, index, part: start, ext: as_event(part.ext) });
        for delta in deltas {
            // A call opens with an empty object in place of the arguments that follow.
            let placeholder = matches!(&delta, PartDelta::Arguments(text) if is_empty_object(text));
            if !placeholder {
                sink(Event::PartDelta { choice: 0, index, delta });
            }
        }
        let block = || Open { index, block: Raw::new(raw), input: String::new(), grown: Vec::new(), opaque };
        self.open = (opaque || call).then(block);
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
            _ => return self.grow(index, &delta),
        };
        if let Some(delta) = found {
            sink(Event::PartDelta { choice: 0, index, delta });
        }
        Ok(())
    }

    fn input(&mut self, index: u32, text: Cow<'_, str>, sink: &mut Sink<'_>) -> Result<(), Fault> {
        if let Some(open) = self.open.as_mut().filter(|open| open.index == index) {
            if open.opaque {
                return append(&mut open.input, &text);
            }
            if open.input.is_empty() {
                open.input.push_str(&text);
            }
        }
        if !text.is_empty() {
            sink(Event::PartDelta { choice: 0, index, delta: PartDelta::Arguments(text) });
        }
        Ok(())
    }

    /// A delta of a kind that we do not know adds to the texts of a block of a kind that we do not know
    /// (`compaction_delta`); to any other block it says nothing.
    fn grow(&mut self, index: u32, delta: &Object<'_>) -> Result<(), Fault> {
        let open = self.open.as_mut().filter(|open| open.opaque && open.index == index);
        let Some(open) = open else { return Ok(()) };
        for (name, raw) in delta.iter() {
            let Ok(text) = json::string(raw) else { continue };
            match open.grown.iter_mut().find(|(known, _)| known == name) {
                Some((_, whole)) => append(whole, &text)?,
                None => open.grown.push((name.to_owned(), text.into_owned())),
            }
        }
        Ok(())
    }

    fn stop(&mut self, index: u32, sink: &mut Sink<'_>) {
        if let Some(open) = self.open.take_if(|open| open.index == index) {
            if let Some(whole) = open.whole() {
                let delta = PartDelta::Opaque(RawRef::Owned(whole));
                sink(Event::PartDelta { choice: 0, index, delta });
            } else if open.is_empty_call() {
                let delta = PartDelta::Arguments(Cow::Borrowed("{}"));
                sink(Event::PartDelta { choice: 0, index, delta });
            }
        }
        sink(Event::PartStop { choice: 0, index });
    }
}

impl Open {
    /// An opaque block as it would stand in a whole answer, where it grew since it opened.
    fn whole(&self) -> Option<Raw> {
        let grew = self.opaque && (!self.input.is_empty() || !self.grown.is_empty());
        if !grew {
            return None;
        }
        let mut whole = self.block.clone();
        if Raw::parse(&self.input).is_some() {
            whole = with_member(&whole, "input", &self.input)?;
        }
        for (name, text) in &self.grown {
            let began = Object::from_raw(whole.value()).ok()?.string(name).ok().flatten();
            let text = began.map_or_else(|| text.clone(), |began| format!("{began}{text}"));
            whole = with_member(&whole, name, Raw::string(&text).text())?;
        }
        Some(whole)
    }

    /// A call without arguments has an empty object.
    fn is_empty_call(&self) -> bool {
        let began = Object::from_raw(self.block.value()).ok().and_then(|mut block| block.take("input"));
        !self.opaque && self.input.is_empty() && began.is_none_or(|raw| is_empty_object(raw.get()))
    }
}

fn append(text: &mut String, more: &str) -> Result<(), Fault> {
    if text.len() + more.len() > OPAQUE_BYTES_MAX {
        return Err(Fault::invalid("delta", "a block is too large"));
    }
    text.push_str(more);
    Ok(())
}

fn is_empty_object(text: &str) -> bool {
    text.bytes().filter(|byte| !byte.is_ascii_whitespace()).eq(*b"{}")
}

fn index(object: &mut Object<'_>) -> Result<u32, Fault> {
    let index = object.unsigned("index")?.unwrap_or_default();
    u32::try_from(index).map_err(|_| Fault::invalid("index", "is too large"))
}

//! Streamed answers: events to meaning
//! (<https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ConverseStream.html>).

use std::borrow::Cow;

use serde_json::value::RawValue;

use super::{
    fault::named,
    usage,
    whole_reader::{index_of, is_empty},
    words,
};
use crate::{
    Fault, Frame, Reader, Sink,
    ir::{Event, Ext, ExtRef, PartDelta, PartStart, Place},
    json::{Object, ObjectWriter, Raw, RawRef, write_array, write_string},
    kept,
};

/// The most blocks that are told apart.
const BLOCKS_MAX: usize = 4096;

/// Reads one stream.
#[derive(Default)]
pub(super) struct StreamReader {
    started: bool,
    broken: bool,
    complete: bool,
    next: u32,
    blocks: Vec<Block>,
}

/// A block that was opened.
struct Block {
    number: u64,
    part: u32,
    /// What is gathered of a block that only this dialect knows: its kind, its opening, and what followed.
    opaque: Option<(&'static str, Raw, Vec<String>)>,
}

impl StreamReader {
    fn read(&mut self, name: &str, data: &[u8], sink: &mut Sink<'_>) -> Result<(), Fault> {
        let mut event = Object::parse(data)?;
        // Padding, so that the sizes of messages say nothing.
        event.take("p");
        match name {
            "messageStart" => self.start(event, sink),
            "contentBlockStart" => self.block_start(event, sink)?,
            "contentBlockDelta" => self.block_delta(event, sink)?,
            "contentBlockStop" => {
                let number = index_of(&mut event)?;
                self.block_stop(number, sink);
            }
            "messageStop" => {
                self.begin(sink);
                let reason = event.string("stopReason")?.unwrap_or_default();
                sink(Event::ChoiceStop { choice: 0, stop: words::stop(&reason) });
                told(event, sink);
                self.complete = true;
            }
            "metadata" => {
                self.begin(sink);
                if let Some(raw) = event.take_some("usage") {
                    let (usage, ext) = usage::read(raw).map_err(|fault| fault.under("usage"))?;
                    sink(Event::Usage { usage, ext });
                }
                told(event, sink);
            }
            name if name.ends_with("Exception") || name.ends_with("Error") => {
                self.broken = true;
                let value = serde_json::from_slice(data).unwrap_or_default();
                let mut fault = named(None, name, &value);
                if fault.message.is_empty() {
                    fault.message = "the provider's answer failed".to_owned();
                }
                sink(Event::Fault(fault));
            }
            // Events that came later than this reader.
            _ => {}
        }
        Ok(())
    }

    fn begin(&mut self, sink: &mut Sink<'_>) {
        if !std::mem::replace(&mut self.started, true) {
            sink(Event::Start { id: Cow::Borrowed(""), model: Cow::Borrowed(""), created_s: None });
        }
    }

    fn start(&mut self, mut event: Object<'_>, sink: &mut Sink<'_>) {
        self.begin(sink);
        if event.peek("role").is_some_and(|raw| raw.get() == "\"assistant\"") {
            event.take("role");
        }
        let ext = event.rest_ref();
        if !ext.is_empty() {
            sink(Event::Ext { place: Place::Message(0), ext });
        }
    }

    fn open(&mut self, number: u64, part: PartStart<'_>, ext: ExtRef<'_>, sink: &mut Sink<'_>) -> u32 {
        self.begin(sink);
        let index = self.next;
        self.next += 1;
        sink(Event::PartStart { choice: 0, index, part, ext });
        if self.blocks.len() < BLOCKS_MAX {
            self.blocks.push(Block { number, part: index, opaque: None });
        }
        index
    }

    fn block_start(&mut self, mut event: Object<'_>, sink: &mut Sink<'_>) -> Result<(), Fault> {
        let number = index_of(&mut event)?;
        let Some(raw) = event.take_some("start").filter(|raw| !is_empty(raw)) else { return Ok(()) };
        let mut start = Object::from_raw(raw).map_err(|fault| fault.under("start"))?;
        let call = start.object("toolUse").map_err(|fault| fault.under("start"))?;
        if let Some(mut call) = call {
            let kind = call.peek("type").map(RawValue::get);
            if kind.is_none_or(|kind| kind == "\"tool_use\"") {
                let mut ext = Ext::default();
                if call.take("type").is_some() {
                    ext.0.push(("type".to_owned(), kept::stood()));
                }
                let id = call.string("toolUseId")?.unwrap_or_default();
                let name = call.string("name")?.unwrap_or_default();
                if !call.is_empty() {
                    ext.0.push(("toolUse".to_owned(), kept::rest(call)));
                }
                self.open(number, PartStart::ToolCall { id, name }, kept::as_event(ext), sink);
                return Ok(());
            }
        }
        let start = Object::from_raw(raw)?;
        let name = if start.peek("toolUse").is_some() { "toolUse" } else { "toolResult" };
        let Some(opening) = start.peek(name) else { return Ok(()) };
        let part = PartStart::Opaque { name: Cow::Borrowed(name), value: RawRef::Borrowed(raw) };
        self.open(number, part, ExtRef::default(), sink);
        if let Some(block) = self.blocks.last_mut() {
            block.opaque = Some((name, Raw::new(opening), Vec::new()));
        }
        Ok(())
    }

    fn block_delta(&mut self, mut event: Object<'_>, sink: &mut Sink<'_>) -> Result<(), Fault> {
        let number = index_of(&mut event)?;
        let Some(mut delta) = event.object("delta")? else { return Ok(()) };
        let known = self.blocks.iter_mut().rev().find(|block| block.number == number);
        if let Some((_, _, pieces)) = known.and_then(|block| block.opaque.as_mut()) {
            pieces.extend(opaque_piece(&mut delta));
            return Ok(());
        }
        let part = self.blocks.iter().rev().find(|block| block.number == number).map(|block| block.part);
        if let Some(text) = delta.string("text")? {
            let part = part.unwrap_or_else(|| self.open(number, PartStart::Text, ExtRef::default(), sink));
            emit(part, PartDelta::Text(text), sink);
            return Ok(());
        }
        if let Some(mut call) = delta.object("toolUse")? {
            if let (Some(part), Some(input)) = (part, call.string("input")?) {
                emit(part, PartDelta::Arguments(input), sink);
            }
            return Ok(());
        }
        if let Some(reasoning) = delta.object("reasoningContent")? {
            return self.thought(number, part, reasoning, sink);
        }
        if let Some(citation) = delta.take_some("citation") {
            let part = part.unwrap_or_else(|| self.open(number, PartStart::Text, ExtRef::default(), sink));
            emit(part, PartDelta::Annotation(RawRef::Borrowed(citation)), sink);
        }
        Ok(())
    }

    fn thought(
        &mut self,
        number: u64,
        part: Option<u32>,
        mut delta: Object<'_>,
        sink: &mut Sink<'_>,
    ) -> Result<(), Fault> {
        if let Some(bytes) = delta.string("redactedContent")? {
            let bytes = words::unsealed(bytes);
            self.open(number, PartStart::RedactedReasoning { bytes }, ExtRef::default(), sink);
            return Ok(());
        }
        let part = part.unwrap_or_else(|| self.open(number, PartStart::Reasoning, ExtRef::default(), sink));
        if let Some(text) = delta.string("text")? {
            emit(part, PartDelta::Text(text), sink);
        }
        if let Some(seal) = delta.string("signature")? {
            emit(part, PartDelta::Signature(seal), sink);
        }
        Ok(())
    }

    fn block_stop(&mut self, number: u64, sink: &mut Sink<'_>) {
        let Some(block) = self.blocks.iter_mut().rev().find(|block| block.number == number) else { return };
        let part = block.part;
        if let Some((name, opening, pieces)) = block.opaque.take()
            && let Some(whole) = opaque_whole(name, &opening, &pieces)
        {
            emit(part, PartDelta::Opaque(RawRef::Owned(whole)), sink);
        }
        sink(Event::PartStop { choice: 0, index: part });
    }
}

fn emit(index: u32, delta: PartDelta<'_>, sink: &mut Sink<'_>) {
    sink(Event::PartDelta { choice: 0, index, delta });
}

/// What an event says beside what was understood.
fn told(event: Object<'_>, sink: &mut Sink<'_>) {
    let ext = event.rest_ref();
    if !ext.is_empty() {
        sink(Event::Ext { place: Place::Response, ext });
    }
}

/// A piece of a block that only this dialect knows: of a call's input, or of a result's content.
fn opaque_piece(delta: &mut Object<'_>) -> Vec<String> {
    if let Ok(Some(mut call)) = delta.object("toolUse") {
        return call.string("input").ok().flatten().map(Into::into).into_iter().collect();
    }
    let list = delta.array("toolResult").ok().flatten().unwrap_or_default();
    list.into_iter().map(|raw| raw.get().to_owned()).collect()
}

/// The block as it stands in a whole answer.
fn opaque_whole(name: &str, opening: &Raw, pieces: &[String]) -> Option<Raw> {
    let mut out = Vec::with_capacity(128);
    let mut object = ObjectWriter::open(&mut out);
    let mut inner = ObjectWriter::open(object.key(name));
    kept::write(&mut inner, Some(opening));
    if name == "toolUse" {
        let input = pieces.concat();
        match Raw::parse(&input) {
            Some(input) => inner.raw("input", input.text()),
            None => write_string(inner.key("input"), &input),
        }
    } else {
        write_array(inner.key("content"), pieces, |out, piece| out.extend_from_slice(piece.as_bytes()));
    }
    inner.close();
    object.close();
    Raw::parse(std::str::from_utf8(&out).ok()?)
}

impl Reader for StreamReader {
    fn frame(&mut self, frame: &Frame<'_>, sink: &mut Sink<'_>) {
        if self.broken {
            return;
        }
        let Some(name) = frame.event else {
            self.broken = true;
            return sink(Event::Fault(Fault::invalid("", "a message has no name").into_garbage()));
        };
        if let Err(fault) = self.read(name, &frame.data, sink) {
            self.broken = true;
            sink(Event::Fault(fault.into_garbage()));
        }
    }

    /// Counts may come behind the reason why the answer ended, or before it.
    fn complete(&self) -> bool {
        self.complete && !self.broken
    }
}

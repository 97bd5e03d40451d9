//! Streamed answers: events to meaning (<https://docs.cohere.com/reference/chat-stream>).

use std::borrow::Cow;

use serde_json::value::RawValue;

use super::{fault, kept, usage, words};
use crate::{
    Fault, Frame, Reader, Sink,
    ir::{Event, Ext, ExtRef, PartDelta, PartStart, Place},
    json::{Object, RawRef},
};

/// The most parts that are told apart.
const PARTS_MAX: usize = 4096;

/// Reads one stream.
#[derive(Default)]
pub(super) struct StreamReader {
    started: bool,
    ended: bool,
    complete: bool,
    next: u32,
    /// Content blocks and calls by their numbers in the API.
    blocks: Vec<(u64, u32)>,
    calls: Vec<(u64, u32)>,
    /// The plan, while it is told.
    plan: Option<u32>,
}

impl StreamReader {
    fn read(&mut self, data: &[u8], sink: &mut Sink<'_>) -> Result<(), Fault> {
        let mut event = Object::parse(data)?;
        let kind = event.string("type")?.unwrap_or_default();
        let index = event.unsigned("index")?.unwrap_or_default();
        if kind == "message-start" {
            return self.start(event, sink);
        }
        let mut delta = event.object("delta")?;
        if kind == "message-end" {
            let delta = delta.unwrap_or(Object::parse(b"{}")?);
            return self.end(delta, sink).map_err(|fault| fault.under("delta"));
        }
        let message = match &mut delta {
            Some(delta) => delta.object("message").map_err(|fault| fault.under("delta"))?,
            None => None,
        };
        let told = self.part(&kind, index, message, sink);
        told.map_err(|fault| fault.under("delta.message"))
    }

    fn start(&mut self, mut event: Object<'_>, sink: &mut Sink<'_>) -> Result<(), Fault> {
        if std::mem::replace(&mut self.started, true) {
            return Ok(());
        }
        let (model, created_s) = (Cow::Borrowed(""), None);
        sink(Event::Start { id: event.string("id")?.unwrap_or_default(), model, created_s });
        let Some(mut delta) = event.object("delta")? else { return Ok(()) };
        let Some(mut message) = delta.object("message")? else { return Ok(()) };
        // Lists that are still empty, and the role, which is always the same.
        for name in ["role", "content", "tool_plan", "tool_calls", "citations"] {
            let silent = |raw: &RawValue| matches!(raw.get(), "[]" | "\"\"" | "\"assistant\"" | "null");
            if message.peek(name).is_some_and(silent) {
                message.take(name);
            }
        }
        let ext = message.rest_ref();
        if !ext.is_empty() {
            sink(Event::Ext { place: Place::Message(0), ext });
        }
        Ok(())
    }

    fn part(
        &mut self,
        kind: &str,
        index: u64,
        message: Option<Object<'_>>,
        sink: &mut Sink<'_>,
    ) -> Result<(), Fault> {
        let mut message = message.unwrap_or(Object::parse(b"{}")?);
        match kind {
            "tool-plan-delta" => self.plan(message.string("tool_plan")?.unwrap_or_default(), sink),
            "content-start" => {
                if let Some(block) = message.take_some("content") {
                    self.block(index, block, sink)?;
                }
            }
            "content-delta" => {
                if let Some(mut block) = message.object("content")? {
                    self.block_delta(index, &mut block, sink)?;
                }
            }
            "content-end" => stop(&self.blocks, index, sink),
            "tool-call-start" => {
                if let Some(call) = message.object("tool_calls")? {
                    self.call(index, call, sink).map_err(|fault| fault.under("tool_calls"))?;
                }
            }
            "tool-call-delta" => {
                let calls = message.object("tool_calls")?;
                let function = calls.map(|mut call| call.object("function")).transpose()?.flatten();
                let arguments = function.map(|mut function| function.string("arguments")).transpose()?;
                if let (Some(Some(arguments)), Some(part)) = (arguments, find(&self.calls, index)) {
                    delta(part, PartDelta::Arguments(arguments), sink);
                }
            }
            "tool-call-end" => stop(&self.calls, index, sink),
            "citation-start" => {
                if let (Some(raw), Some(part)) = (message.take_some("citations"), self.cited(index)) {
                    delta(part, PartDelta::Annotation(RawRef::Borrowed(raw)), sink);
                }
            }
            // What ends here was told when it began; other kinds are for tools of the provider's own.
            _ => {}
        }
        Ok(())
    }

    /// The text that a citation is for: the block of its own number, or the last one.
    fn cited(&self, index: u64) -> Option<u32> {
        find(&self.blocks, index).or_else(|| self.blocks.last().map(|(_, part)| *part))
    }

    fn plan(&mut self, text: Cow<'_, str>, sink: &mut Sink<'_>) {
        if text.is_empty() {
            return;
        }
        let part = match self.plan {
            Some(part) => part,
            None => {
                let ext = kept::as_event(Ext(vec![(words::PLAN.to_owned(), kept::stood())]));
                let part = self.open(PartStart::Reasoning, ext, sink);
                *self.plan.insert(part)
            }
        };
        delta(part, PartDelta::Text(text), sink);
    }

    fn open(&mut self, part: PartStart<'_>, ext: ExtRef<'_>, sink: &mut Sink<'_>) -> u32 {
        if let Some(plan) = self.plan.take() {
            sink(Event::PartStop { choice: 0, index: plan });
        }
        let index = self.next;
        self.next += 1;
        sink(Event::PartStart { choice: 0, index, part, ext });
        index
    }

    fn block(&mut self, index: u64, raw: &RawValue, sink: &mut Sink<'_>) -> Result<(), Fault> {
        if self.blocks.len() >= PARTS_MAX {
            return Ok(());
        }
        let mut block = Object::from_raw(raw).map_err(|fault| fault.under("content"))?;
        let kind = block.string("type")?.unwrap_or_default();
        let data = block.string("data")?;
        let part = match (kind.as_ref(), data) {
            ("text", _) => PartStart::Text,
            ("thinking", Some(bytes)) => PartStart::RedactedReasoning { bytes },
            ("thinking", None) => PartStart::Reasoning,
            _ => PartStart::Opaque { name: kind.clone(), value: RawRef::Borrowed(raw) },
        };
        let said = match kind.as_ref() {
            "text" => block.string("text")?,
            "thinking" => block.string("thinking")?,
            _ => None,
        };
        let opaque = matches!(part, PartStart::Opaque { .. });
        let ext = if opaque { ExtRef::default() } else { block.rest_ref() };
        let part = self.open(part, ext, sink);
        self.blocks.push((index, part));
        if let Some(text) = said.filter(|text| !text.is_empty()) {
            delta(part, PartDelta::Text(text), sink);
        }
        Ok(())
    }

    fn block_delta(&mut self, index: u64, block: &mut Object<'_>, sink: &mut Sink<'_>) -> Result<(), Fault> {
        let Some(part) = find(&self.blocks, index) else { return Ok(()) };
        for name in ["text", "thinking"] {
            if let Some(text) = block.string(name)?.filter(|text| !text.is_empty()) {
                delta(part, PartDelta::Text(text), sink);
            }
        }
        if let Some(seal) = block.string("signature")? {
            delta(part, PartDelta::Signature(seal), sink);
        }
        Ok(())
    }

    fn call(&mut self, index: u64, mut call: Object<'_>, sink: &mut Sink<'_>) -> Result<(), Fault> {
        if self.calls.len() >= PARTS_MAX {
            return Ok(());
        }
        let id = call.string("id")?.unwrap_or_default();
        if call.peek("type").is_some_and(|kind| kind.get() == "\"function\"") {
            call.take("type");
        }
        let Some(mut function) = call.object("function")? else { return Ok(()) };
        let name = function.string("name")?.unwrap_or_default();
        let arguments = function.string("arguments")?.filter(|text| !text.is_empty());
        let part = self.open(PartStart::ToolCall { id, name }, call.rest_ref(), sink);
        self.calls.push((index, part));
        if let Some(arguments) = arguments {
            delta(part, PartDelta::Arguments(arguments), sink);
        }
        Ok(())
    }

    fn end(&mut self, mut object: Object<'_>, sink: &mut Sink<'_>) -> Result<(), Fault> {
        self.ended = true;
        let reason = object.string("finish_reason")?.unwrap_or_default();
        if let Some(kind) = words::failure(&reason) {
            let (message, name) = (object.string("error")?, object.string("error_type")?);
            sink(Event::Fault(fault::failed(kind, message.as_deref(), name.as_deref())));
            return Ok(());
        }
        if let Some(plan) = self.plan.take() {
            sink(Event::PartStop { choice: 0, index: plan });
        }
        sink(Event::ChoiceStop { choice: 0, stop: words::stop(&reason) });
        if let Some(raw) = object.take_some("usage") {
            let (usage, ext) = usage::read(raw).map_err(|fault| fault.under("usage"))?;
            sink(Event::Usage { usage, ext });
        }
        let ext = object.rest_ref();
        if !ext.is_empty() {
            sink(Event::Ext { place: Place::Response, ext });
        }
        self.complete = true;
        sink(Event::End);
        Ok(())
    }
}

fn find(list: &[(u64, u32)], index: u64) -> Option<u32> {
    list.iter().rev().find(|(known, _)| *known == index).map(|(_, part)| *part)
}

fn delta(index: u32, delta: PartDelta<'_>, sink: &mut Sink<'_>) {
    sink(Event::PartDelta { choice: 0, index, delta });
}

fn stop(list: &[(u64, u32)], index: u64, sink: &mut Sink<'_>) {
    if let Some(index) = find(list, index) {
        sink(Event::PartStop { choice: 0, index });
    }
}

impl Reader for StreamReader {
    fn frame(&mut self, frame: &Frame<'_>, sink: &mut Sink<'_>) {
        if self.ended || frame.data.is_empty() || frame.data.as_ref() == b"[DONE]" {
            return;
        }
        if let Err(fault) = self.read(&frame.data, sink) {
            self.ended = true;
            sink(Event::Fault(fault.into_garbage()));
        }
    }

    fn complete(&self) -> bool {
        self.complete
    }
}

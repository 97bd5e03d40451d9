//! Streamed answers: events to meaning (<https://platform.openai.com/docs/api-reference/responses-streaming>).

use std::borrow::Cow;

use super::{
    answer::{call, empty, hint, sealed},
    item_decode::thought,
    whole_reader::ending,
    words::{ANNOTATED, ITEM, rest},
};
use crate::{
    Fault, Frame, Reader, Sink,
    dialects::openai_chat::fault::error_object,
    ir::{Event, ExtRef, PartDelta, PartStart},
    json::{self, Object, RawRef},
};

/// The most items and parts that are told apart.
const PARTS_MAX: usize = 4096;

/// Reads one stream.
#[derive(Default)]
pub(super) struct StreamReader {
    started: bool,
    ended: bool,
    complete: bool,
    calls: bool,
    next: u32,
    parts: Vec<Open>,
    /// What tells an item of several parts, until its first part takes it.
    items: Vec<(u64, RawRef<'static>)>,
}

/// A part that was opened.
struct Open {
    item: u64,
    /// The number within a message; items of one part have none.
    content: Option<u64>,
    index: u32,
    /// Whether something was said in it.
    said: bool,
}

impl StreamReader {
    fn read(&mut self, data: &[u8], sink: &mut Sink<'_>) -> Result<(), Fault> {
        let mut event = Object::parse(data)?;
        let kind = event.string("type")?.unwrap_or_default();
        match kind.as_ref() {
            "response.created" | "response.in_progress" | "response.queued" => {
                self.start(&mut event, sink)?;
            }
            "response.output_item.added" => self.item_added(&mut event, sink)?,
            "response.content_part.added" => self.part_added(&mut event, sink)?,
            "response.output_text.delta" | "response.refusal.delta" => {
                let refusal = kind == "response.refusal.delta";
                let at = self.content_part(&mut event, refusal, sink)?;
                self.delta(at, PartDelta::Text(event.string("delta")?.unwrap_or_default()), sink);
            }
            "response.output_text.done" | "response.refusal.done" => {
                let refusal = kind == "response.refusal.done";
                let at = self.content_part(&mut event, refusal, sink)?;
                let text = event.string(if refusal { "refusal" } else { "text" })?;
                self.rest_of(at, text.map(PartDelta::Text), sink);
            }
            "response.output_text.annotation.added" => {
                let at = self.content_part(&mut event, false, sink)?;
                if let Some(raw) = event.take_some("annotation") {
                    self.delta(at, PartDelta::Annotation(RawRef::Borrowed(raw)), sink);
                }
            }
            "response.function_call_arguments.delta" => {
                let delta = PartDelta::Arguments(event.string("delta")?.unwrap_or_default());
                if let Some(at) = self.item_part(&mut event)? {
                    self.delta(at, delta, sink);
                }
            }
            "response.reasoning_summary_text.delta" | "response.reasoning_text.delta" => {
                let delta = PartDelta::Text(event.string("delta")?.unwrap_or_default());
                if let Some(at) = self.item_part(&mut event)? {
                    self.delta(at, delta, sink);
                }
            }
            "response.reasoning_summary_part.added" => {
                let further = event.unsigned("summary_index")?.unwrap_or_default() > 0;
                if let Some(at) = self.item_part(&mut event)?.filter(|_| further) {
                    self.delta(at, PartDelta::Text(Cow::Borrowed("\n\n")), sink);
                }
            }
            "response.output_item.done" => self.item_done(&mut event, sink)?,
            "response.completed" | "response.incomplete" => self.end(&mut event, sink)?,
            "response.failed" | "error" => self.failed(&kind, &event, sink),
            // What is done was told by its deltas; what only one dialect's tools do is in their items.
            _ => {}
        }
        Ok(())
    }

    fn start(&mut self, event: &mut Object<'_>, sink: &mut Sink<'_>) -> Result<(), Fault> {
        let response = event.object("response")?;
        let Some(mut response) = response.filter(|_| !self.started) else { return Ok(()) };
        self.started = true;
        sink(Event::Start {
            id: response.string("id")?.unwrap_or_default(),
            model: response.string("model")?.unwrap_or_default(),
            created_s: response.number("created_at")?.map(|created| created as i64),
        });
        Ok(())
    }

    fn item_added(&mut self, event: &mut Object<'_>, sink: &mut Sink<'_>) -> Result<(), Fault> {
        let item = event.unsigned("output_index")?.unwrap_or_default();
        let Some(raw) = event.take_some("item") else { return Ok(()) };
        let mut object = Object::from_raw(raw).map_err(|fault| fault.under("item"))?;
        let kind = object.peek("type").map(json::string).transpose()?.unwrap_or_default();
        match kind.as_ref() {
            "message" => {
                object.take("content");
                if self.items.len() < PARTS_MAX {
                    self.items.push((item, rest(object)));
                }
            }
            "function_call" => {
                self.calls = true;
                object.take("arguments");
                let part = call(&mut object)?;
                self.open((item, None), part, hint(ITEM, rest(object)), sink);
            }
            "reasoning" => {
                object.take_some("encrypted_content");
                self.open((item, None), PartStart::Reasoning, hint(ITEM, rest(object)), sink);
            }
            _ => {
                let part = PartStart::Opaque { name: kind, value: RawRef::Borrowed(raw) };
                self.open((item, None), part, ExtRef::default(), sink);
            }
        }
        Ok(())
    }

    fn part_added(&mut self, event: &mut Object<'_>, sink: &mut Sink<'_>) -> Result<(), Fault> {
        let part = event.object("part")?;
        let kind = part.as_ref().and_then(|part| part.peek("type")).map(serde_json::value::RawValue::get);
        match kind {
            Some("\"refusal\"") => self.content_part(event, true, sink).map(drop),
            Some("\"output_text\"") => self.content_part(event, false, sink).map(drop),
            // The text of a thought belongs to its item.
            _ => Ok(()),
        }
    }

    /// The part of a message that an event is about; it opens where no event has opened it.
    fn content_part(
        &mut self,
        event: &mut Object<'_>,
        refusal: bool,
        sink: &mut Sink<'_>,
    ) -> Result<usize, Fault> {
        let item = event.unsigned("output_index")?.unwrap_or_default();
        let content = event.unsigned("content_index")?.unwrap_or_default();
        if let Some(at) = self.find(item, Some(content)) {
            return Ok(at);
        }
        let mut ext = ExtRef::default();
        if let Some(at) = self.items.iter().position(|(known, _)| *known == item) {
            ext.0.push((Cow::Borrowed(ITEM), self.items.swap_remove(at).1));
        }
        if !refusal {
            ext.0.push((Cow::Borrowed(ANNOTATED), empty()));
        }
        let part = if refusal { PartStart::Refusal } else { PartStart::Text };
        self.open((item, Some(content)), part, ext, sink);
        Ok(self.parts.len().saturating_sub(1))
    }

    fn item_part(&mut self, event: &mut Object<'_>) -> Result<Option<usize>, Fault> {
        let item = event.unsigned("output_index")?.unwrap_or_default();
        Ok(self.find(item, None))
    }

    fn find(&self, item: u64, content: Option<u64>) -> Option<usize> {
        self.parts.iter().rposition(|part| part.item == item && part.content == content)
    }

    fn open(
        &mut self,
        (item, content): (u64, Option<u64>),
        part: PartStart<'_>,
        ext: ExtRef<'_>,
        sink: &mut Sink<'_>,
    ) {
        if self.parts.len() >= PARTS_MAX {
            return;
        }
        let index = self.next;
        self.next += 1;
        self.parts.push(Open { item, content, index, said: false });
        sink(Event::PartStart { choice: 0, index, part, ext });
    }

    fn delta(&mut self, at: usize, delta: PartDelta<'_>, sink: &mut Sink<'_>) {
        let Some(part) = self.parts.get_mut(at) else { return };
        part.said |= !matches!(delta, PartDelta::Signature(_) | PartDelta::Annotation(_));
        sink(Event::PartDelta { choice: 0, index: part.index, delta });
    }

    /// What a part comes to, for servers that tell it only at its end.
    fn rest_of(&mut self, at: usize, whole: Option<PartDelta<'_>>, sink: &mut Sink<'_>) {
        if let (Some(whole), Some(false)) = (whole, self.parts.get(at).map(|part| part.said)) {
            self.delta(at, whole, sink);
        }
    }

    fn item_done(&mut self, event: &mut Object<'_>, sink: &mut Sink<'_>) -> Result<(), Fault> {
        let item = event.unsigned("output_index")?.unwrap_or_default();
        let Some(raw) = event.take_some("item") else { return Ok(()) };
        let mut object = Object::from_raw(raw).map_err(|fault| fault.under("item"))?;
        let kind = object.peek("type").map(json::string).transpose()?.unwrap_or_default();
        if let Some(at) = self.find(item, None) {
            match kind.as_ref() {
                "function_call" => {
                    let whole = object.string("arguments")?.filter(|text| !text.is_empty());
                    self.rest_of(at, whole.map(PartDelta::Arguments), sink);
                }
                "reasoning" => {
                    let text = thought(&object);
                    let whole = (!text.is_empty()).then_some(PartDelta::Text(Cow::Owned(text)));
                    self.rest_of(at, whole, sink);
                    if let Some(seal) = sealed(&mut object)? {
                        self.delta(at, PartDelta::Signature(seal), sink);
                    }
                }
                _ => self.delta(at, PartDelta::Opaque(RawRef::Borrowed(raw)), sink),
            }
        }
        for part in self.parts.iter().filter(|part| part.item == item) {
            sink(Event::PartStop { choice: 0, index: part.index });
        }
        Ok(())
    }

    /// The last event holds the whole answer; only what was not told before is read of it.
    fn end(&mut self, event: &mut Object<'_>, sink: &mut Sink<'_>) -> Result<(), Fault> {
        let Some(mut response) = event.object("response")? else { return Ok(()) };
        for name in ["id", "model", "created_at", "output"] {
            response.take(name);
        }
        ending(response, self.calls, sink).map_err(|fault| fault.under("response"))?;
        (self.ended, self.complete) = (true, true);
        sink(Event::End);
        Ok(())
    }

    fn failed(&mut self, kind: &str, event: &Object<'_>, sink: &mut Sink<'_>) {
        let holder = if kind == "error" { "error" } else { "response" };
        let value: serde_json::Value =
            event.peek(holder).and_then(|raw| serde_json::from_str(raw.get()).ok()).unwrap_or_default();
        let mut fault = if value.is_object() {
            error_object(&value, None)
        } else {
            // The error stands in the event itself.
            let members = event
                .iter()
                .filter_map(|(name, raw)| Some((name.to_owned(), serde_json::from_str(raw.get()).ok()?)));
            error_object(&serde_json::Value::Object(members.collect()), None)
        };
        if fault.message.is_empty() {
            fault.message = "the provider's answer failed".to_owned();
        }
        self.ended = true;
        sink(Event::Fault(fault));
    }
}

impl Reader for StreamReader {
    fn frame(&mut self, frame: &Frame<'_>, sink: &mut Sink<'_>) {
        if self.ended || frame.data.is_empty() || frame.data.as_ref() == b"[DONE]" {
            return;
        }
        if let Err(fault) = self.read(&frame.data, sink) {
            sink(Event::Fault(fault.into_garbage()));
        }
    }

    fn complete(&self) -> bool {
        self.complete
    }
}

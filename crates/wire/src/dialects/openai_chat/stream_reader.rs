//! Streamed answers: chunks to events.

use std::borrow::Cow;

use serde_json::value::RawValue;

use super::{
    fault::error_object,
    whole_reader::{listed, take_reasoning},
    words,
};
use crate::{
    Fault, Frame, Reader, Sink,
    ir::{Event, ExtRef, PartDelta, PartStart, Place},
    json::{Object, RawRef},
};

/// The most choices and tool calls that one answer may have.
const ITEMS_MAX: usize = 4096;

/// Reads the chunks of one answer.
#[derive(Default)]
pub(super) struct StreamReader {
    started: bool,
    done: bool,
    choices: Vec<Choice>,
    /// Why the server broke a choice off; told at the end, behind the usage.
    broken: Option<Fault>,
}

/// What is open in one choice.
struct Choice {
    number: u32,
    next_part: u32,
    open: Option<(Sort, u32)>,
    /// The server's number of each tool call, and its part.
    calls: Vec<(u64, u32)>,
    stopped: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Sort {
    Text,
    Reasoning,
    Refusal,
    Call(u64),
}

impl Reader for StreamReader {
    fn frame(&mut self, frame: &Frame<'_>, sink: &mut Sink<'_>) {
        if frame.data.is_empty() || self.done {
            return;
        }
        if frame.data.trim_ascii() == b"[DONE]" {
            self.done = true;
            sink(self.broken.take().map_or(Event::End, Event::Fault));
            return;
        }
        if let Err(fault) = self.chunk(&frame.data, sink) {
            sink(Event::Fault(fault.into_garbage()));
        }
    }

    /// Some servers leave out the last line: an answer whose choices have all stopped is complete.
    fn complete(&self) -> bool {
        let stopped = !self.choices.is_empty() && self.choices.iter().all(|choice| choice.stopped);
        self.done || (stopped && self.broken.is_none())
    }
}

impl StreamReader {
    fn chunk(&mut self, data: &[u8], sink: &mut Sink<'_>) -> Result<(), Fault> {
        let mut object = Object::parse(data)?;
        if let Some(error) = object.peek("error").filter(|error| error.get() != "null") {
            let value = serde_json::from_str(error.get()).unwrap_or_default();
            sink(Event::Fault(error_object(&value, None)));
            return Ok(());
        }
        let id = object.string("id")?;
        let model = object.string("model")?;
        let created_s = object.number("created")?.map(|created| created as i64);
        if !self.started {
            self.started = true;
            sink(Event::Start { id: id.unwrap_or_default(), model: model.unwrap_or_default(), created_s });
        }
        for raw in object.array("choices")?.unwrap_or_default() {
            self.choice(raw, sink).map_err(|fault| fault.under("choices"))?;
        }
        // Groq's own place for usage (https://console.groq.com/docs/api-reference).
        let groq = object.peek("x_groq").and_then(|raw| Object::from_raw(raw).ok()?.peek("usage"));
        if let Some(raw) = object.take_some("usage").or(groq) {
            let (usage, ext) = words::usage(raw).map_err(|fault| fault.under("usage"))?;
            sink(Event::Usage { usage, ext });
        }
        object.take("object");
        object.take("obfuscation");
        object.take("usage");
        let ext = object.rest_ref();
        if !ext.is_empty() {
            sink(Event::Ext { place: Place::Response, ext });
        }
        Ok(())
    }

    fn choice(&mut self, raw: &RawValue, sink: &mut Sink<'_>) -> Result<(), Fault> {
        let mut object = Object::from_raw(raw)?;
        let number = u32::try_from(object.unsigned("index")?.unwrap_or_default())
            .map_err(|_| Fault::invalid("index", "is too large"))?;
        let Some(choice) = self.open_choice(number) else { return Ok(()) };
        if let Some(mut delta) = object.object("delta")? {
            choice.delta(&mut delta, sink).map_err(|fault| fault.under("delta"))?;
            delta.take("role");
            let mut ext = delta.rest_ref();
            ext.0.retain(|(_, value)| !matches!(value.text(), "null" | "\"\"" | "[]"));
            if !ext.is_empty() {
                sink(Event::Ext { place: Place::Message(number), ext });
            }
        }
        if let Some(raw) = object.take_some("logprobs") {
            sink(Event::Logprobs { choice: number, logprobs: RawRef::Borrowed(raw) });
        }
        if let Some(reason) = object.string("finish_reason")?.filter(|reason| !reason.is_empty()) {
            choice.close(sink);
            choice.stopped = true;
            match words::broken_off(&reason) {
                Some(fault) => self.broken = Some(fault),
                None => sink(Event::ChoiceStop { choice: number, stop: words::stop(&reason) }),
            }
        }
        let mut ext = object.rest_ref();
        ext.0.retain(|(_, value)| value.text() != "null");
        if !ext.is_empty() {
            sink(Event::Ext { place: Place::Choice(number), ext });
        }
        Ok(())
    }

    fn open_choice(&mut self, number: u32) -> Option<&mut Choice> {
        let at = match self.choices.iter().position(|choice| choice.number == number) {
            Some(at) => at,
            None if self.choices.len() < ITEMS_MAX => {
                self.choices.push(Choice {
                    number,
                    next_part: 0,
                    open: None,
                    calls: Vec::new(),
                    stopped: false,
                });
                self.choices.len() - 1
            }
            None => return None,
        };
        self.choices.get_mut(at)
    }
}

impl Choice {
    fn delta(&mut self, delta: &mut Object<'_>, sink: &mut Sink<'_>) -> Result<(), Fault> {
        if let Some((text, ext)) = take_reasoning(delta)? {
            self.text(Sort::Reasoning, text, ext, sink);
        }
        match delta.peek("content").map(|raw| raw.get().as_bytes().first()) {
            Some(Some(b'[')) => {
                let parts = listed(delta.take("content")).map_err(|fault| fault.under("content"))?;
                for (part, text) in parts {
                    let sort = match part {
                        PartStart::Reasoning => Sort::Reasoning,
                        _ => Sort::Text,
                    };
                    self.text(sort, text, ExtRef::default(), sink);
                }
            }
            Some(_) => {
                if let Some(text) = delta.string("content")? {
                    self.text(Sort::Text, text, ExtRef::default(), sink);
                }
            }
            None => {}
        }
        if let Some(text) = delta.string("refusal")? {
            self.text(Sort::Refusal, text, ExtRef::default(), sink);
        }
        for (at, raw) in delta.array("tool_calls")?.unwrap_or_default().into_iter().enumerate() {
            self.call(at, raw, sink).map_err(|fault| fault.under(&format!("tool_calls[{at}]")))?;
        }
        Ok(())
    }

    fn text<'a>(&mut self, sort: Sort, text: Cow<'a, str>, ext: ExtRef<'a>, sink: &mut Sink<'_>) {
        if text.is_empty() {
            return;
        }
        let choice = self.number;
        let index = match self.open {
            Some((open, index)) if open == sort => index,
            _ => {
                let part = match sort {
                    Sort::Text | Sort::Call(_) => PartStart::Text,
                    Sort::Reasoning => PartStart::Reasoning,
                    Sort::Refusal => PartStart::Refusal,
                };
                self.start(sort, part, ext, sink)
            }
        };
        sink(Event::PartDelta { choice, index, delta: PartDelta::Text(text) });
    }

    fn start<'a>(&mut self, sort: Sort, part: PartStart<'a>, ext: ExtRef<'a>, sink: &mut Sink<'_>) -> u32 {
        self.close(sink);
        let index = self.next_part;
        self.next_part += 1;
        self.open = Some((sort, index));
        sink(Event::PartStart { choice: self.number, index, part, ext });
        index
    }

    fn close(&mut self, sink: &mut Sink<'_>) {
        if let Some((_, index)) = self.open.take() {
            sink(Event::PartStop { choice: self.number, index });
        }
    }

    fn call(&mut self, at: usize, raw: &RawValue, sink: &mut Sink<'_>) -> Result<(), Fault> {
        let mut object = Object::from_raw(raw)?;
        let id = object.string("id")?;
        let number = match object.unsigned("index")? {
            Some(number) => number,
            // Servers that send whole calls leave the number out: a call with an id is a new one.
            None if id.as_ref().is_some_and(|id| !id.is_empty()) => (self.calls.len()) as u64,
            None => self.calls.last().map_or(at as u64, |(number, _)| *number),
        };
        let Some(mut function) = object.object("function")? else { return Ok(()) };
        let name = function.string("name")?;
        let known = self.calls.iter().find(|(known, _)| *known == number).map(|(_, index)| *index);
        let index = match known {
            Some(index) => index,
            None if self.calls.len() >= ITEMS_MAX => return Ok(()),
            None => {
                object.take("type");
                let part = PartStart::ToolCall { id: id.unwrap_or_default(), name: name.unwrap_or_default() };
                let index = self.start(Sort::Call(number), part, object.rest_ref(), sink);
                self.calls.push((number, index));
                index
            }
        };
        if let Some(arguments) = function.string("arguments")?.filter(|text| !text.is_empty()) {
            let delta = PartDelta::Arguments(arguments);
            sink(Event::PartDelta { choice: self.number, index, delta });
        }
        Ok(())
    }
}

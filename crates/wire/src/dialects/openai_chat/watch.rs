//! Answers that go on as they are: only what a meter wants to know of them, in one pass over the bytes.
//!
//! It yields usage, stop reasons, faults, the end, and texts for counting; parts are not told apart, and a text may
//! stand as it is escaped.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::{fault::error_object, words};
use crate::{
    Fault, Frame, Mode, Reader, Sink,
    ir::{Event, ExtRef, PartDelta, Place},
};

/// The most choices that are watched.
const CHOICES_MAX: usize = 4096;

/// Watches one answer.
pub(super) struct Watcher {
    mode: Mode,
    ended: bool,
    /// The choices that have begun, and whether each has stopped.
    choices: Vec<(u32, bool)>,
}

#[derive(Deserialize)]
struct Answer<'a> {
    #[serde(borrow)]
    choices: Option<Vec<Choice<'a>>>,
    #[serde(borrow)]
    usage: Option<&'a RawValue>,
    #[serde(borrow)]
    error: Option<&'a RawValue>,
    #[serde(borrow)]
    x_groq: Option<Groq<'a>>,
}

#[derive(Deserialize)]
struct Groq<'a> {
    #[serde(borrow)]
    usage: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Choice<'a> {
    index: Option<u32>,
    #[serde(borrow, alias = "message")]
    delta: Option<Delta<'a>>,
    /// What a choice of a text completion says.
    #[serde(borrow)]
    text: Option<&'a RawValue>,
    #[serde(borrow)]
    finish_reason: Option<Cow<'a, str>>,
}

#[derive(Deserialize)]
struct Delta<'a> {
    #[serde(borrow)]
    content: Option<&'a RawValue>,
    #[serde(borrow)]
    reasoning_content: Option<&'a RawValue>,
    #[serde(borrow)]
    reasoning: Option<&'a RawValue>,
    #[serde(borrow)]
    refusal: Option<&'a RawValue>,
    #[serde(borrow)]
    tool_calls: Option<&'a RawValue>,
}

impl Watcher {
    pub(super) fn new(mode: Mode) -> Watcher {
        Watcher { mode, ended: false, choices: Vec::new() }
    }

    fn answer(&mut self, data: &[u8], sink: &mut Sink<'_>) -> Result<(), Fault> {
        let answer: Answer<'_> =
            serde_json::from_slice(data).map_err(|error| Fault::invalid("", error.to_string()))?;
        if let Some(error) = answer.error {
            let value = serde_json::from_str(error.get()).unwrap_or_default();
            sink(Event::Fault(error_object(&value, None)));
            return Ok(());
        }
        if self.mode == Mode::Whole && answer.choices.is_none() {
            return Err(Fault::invalid("choices", "is missing"));
        }
        for choice in answer.choices.unwrap_or_default() {
            self.choice(&choice, sink);
        }
        if let Some(raw) = answer.usage.or(answer.x_groq.and_then(|groq| groq.usage)) {
            let usage = words::usage_classes(raw).map_err(|fault| fault.under("usage"))?;
            sink(Event::Usage { usage, ext: ExtRef::default() });
        }
        if self.mode == Mode::Whole {
            self.ended = true;
            sink(Event::End);
        }
        Ok(())
    }

    fn choice(&mut self, choice: &Choice<'_>, sink: &mut Sink<'_>) {
        let number = choice.index.unwrap_or_default();
        // That there is a choice at all tells this chunk from one that only brings usage.
        sink(Event::Ext { place: Place::Choice(number), ext: ExtRef::default() });
        let texts = choice.delta.as_ref().map(|delta| {
            [delta.content, delta.reasoning_content, delta.reasoning, delta.refusal, delta.tool_calls]
        });
        let said = texts.into_iter().flatten().chain([choice.text]).flatten();
        for text in said {
            let text = PartDelta::Text(Cow::Borrowed(text.get().trim_matches('"')));
            sink(Event::PartDelta { choice: number, index: 0, delta: text });
        }
        let reason = choice.finish_reason.as_deref().filter(|reason| !reason.is_empty());
        if let Some((_, stopped)) = self.choices.iter_mut().find(|(known, _)| *known == number) {
            *stopped |= reason.is_some();
        } else if self.choices.len() < CHOICES_MAX {
            self.choices.push((number, reason.is_some()));
        }
        if let Some(reason) = reason {
            sink(Event::ChoiceStop { choice: number, stop: words::stop(reason) });
        }
    }
}

impl Reader for Watcher {
    fn frame(&mut self, frame: &Frame<'_>, sink: &mut Sink<'_>) {
        let whole = self.mode == Mode::Whole;
        if self.ended || (frame.data.is_empty() && !whole) {
            return;
        }
        if !whole && frame.data.trim_ascii() == b"[DONE]" {
            self.ended = true;
            return sink(Event::End);
        }
        if let Err(fault) = self.answer(&frame.data, sink) {
            sink(Event::Fault(fault.into_garbage()));
        }
    }

    /// As the stream reader has it: the last line may be missing where every choice has stopped.
    fn complete(&self) -> bool {
        let stopped = !self.choices.is_empty() && self.choices.iter().all(|(_, stopped)| *stopped);
        self.ended || (self.mode == Mode::Stream && stopped)
    }
}

//! Answers: bytes to events. A whole answer is one line that is done.

use std::borrow::Cow;

use super::{calls, fault::error_object, kept, tell::Told, words};
use crate::{
    Fault, Frame, Mode, Reader, Sink,
    ir::{Event, ExtRef, PartDelta, PartStart, Place, Usage},
    json::{Object, RawRef},
};

/// The hint under which the date of a line is kept.
pub(super) const DATE: &str = "tollgate:created_at";
/// Counts as they stand in an answer.
pub(super) const INPUT: &str = "prompt_eval_count";
pub(super) const OUTPUT: &str = "eval_count";

/// Reads one answer.
pub(super) struct AnswerReader {
    mode: Mode,
    told: Told,
    started: bool,
    stamp: String,
    next: u32,
    calls: u64,
    /// The text that is open, and whether it is a thought.
    open: Option<(u32, bool)>,
    ended: bool,
    complete: bool,
}

impl AnswerReader {
    pub(super) fn new(mode: Mode, told: Told) -> AnswerReader {
        AnswerReader {
            mode,
            told,
            started: false,
            stamp: String::new(),
            next: 0,
            calls: 0,
            open: None,
            ended: false,
            complete: false,
        }
    }

    fn line(&mut self, data: &[u8], sink: &mut Sink<'_>) -> Result<(), Fault> {
        let mut object = Object::parse(data)?;
        if let Some(error) = object.peek("error") {
            let value = serde_json::from_str(error.get()).unwrap_or_default();
            self.ended = true;
            sink(Event::Fault(error_object(&value, None)));
            return Ok(());
        }
        let date = object.peek("created_at");
        let told = object.string("created_at")?.unwrap_or_default();
        let model = object.string("model")?.unwrap_or_default();
        if !self.started {
            self.started = true;
            self.stamp = words::stamp(&told);
            let id = Cow::Owned(words::answer_id(&self.stamp));
            sink(Event::Start { id, model, created_s: words::seconds(&told) });
        }
        if let Some(date) = date {
            let ext = ExtRef(vec![(Cow::Borrowed(DATE), RawRef::Borrowed(date))]);
            sink(Event::Ext { place: Place::Response, ext });
        }
        let said = match self.told {
            Told::Response => {
                let said = object.peek("response").is_some();
                self.said(&mut object, "response", sink)?;
                said
            }
            Told::Message => match object.object("message")? {
                Some(message) => {
                    self.message(message, sink).map_err(|fault| fault.under("message"))?;
                    true
                }
                None => false,
            },
        };
        if !said && self.mode == Mode::Whole && object.peek("done").is_none() {
            let name = if self.told == Told::Message { "message" } else { "response" };
            return Err(Fault::invalid(name, "is missing"));
        }
        if let Some(raw) = object.take_some("logprobs") {
            sink(Event::Logprobs { choice: 0, logprobs: RawRef::Borrowed(raw) });
        }
        let done = object.boolean("done")?.unwrap_or(self.mode == Mode::Whole);
        if !done {
            return Ok(());
        }
        self.close(sink);
        let reason = object.string("done_reason")?.unwrap_or_default();
        sink(Event::ChoiceStop { choice: 0, stop: words::stop(&reason, self.calls > 0) });
        let (input, output) = (object.unsigned(INPUT)?, object.unsigned(OUTPUT)?);
        if input.is_some() || output.is_some() {
            let mut ext = ExtRef::default();
            for (name, count) in [(INPUT, input), (OUTPUT, output)] {
                if count == Some(0) {
                    kept::mark(&mut ext, name);
                }
            }
            let (input_tokens, output_tokens) = (input.unwrap_or_default(), output.unwrap_or_default());
            sink(Event::Usage { usage: Usage { input_tokens, output_tokens, ..Usage::default() }, ext });
        }
        let ext = object.rest_ref();
        if !ext.is_empty() {
            sink(Event::Ext { place: Place::Response, ext });
        }
        (self.ended, self.complete) = (true, true);
        sink(Event::End);
        Ok(())
    }

    fn message(&mut self, mut message: Object<'_>, sink: &mut Sink<'_>) -> Result<(), Fault> {
        if message.peek("role").is_some_and(|raw| raw.get() == "\"assistant\"") {
            message.take("role");
        }
        self.said(&mut message, "content", sink)?;
        let ext = message.rest_ref();
        if !ext.is_empty() {
            sink(Event::Ext { place: Place::Message(0), ext });
        }
        Ok(())
    }

    /// What is said, with its text under the name that it has there.
    fn said(&mut self, object: &mut Object<'_>, text: &str, sink: &mut Sink<'_>) -> Result<(), Fault> {
        if let Some(thought) = object.string("thinking")? {
            self.text(thought, true, sink);
        }
        if let Some(text) = object.string(text)? {
            self.text(text, false, sink);
        }
        let filled = object.peek("tool_calls").is_some_and(|raw| raw.get() != "[]");
        let list = if filled { object.array("tool_calls")? } else { None };
        for (at, raw) in list.unwrap_or_default().into_iter().enumerate() {
            let call =
                calls::read(raw, self.calls).map_err(|fault| fault.under(&format!("tool_calls[{at}]")))?;
            self.close(sink);
            let id = call.id.unwrap_or_else(|| Cow::Owned(words::call_id(&self.stamp, self.calls)));
            self.calls += 1;
            let index =
                self.start(PartStart::ToolCall { id, name: call.name }, kept::as_event(call.ext), sink);
            if !call.arguments.is_empty() {
                let delta = PartDelta::Arguments(Cow::Borrowed(call.arguments));
                sink(Event::PartDelta { choice: 0, index, delta });
            }
            sink(Event::PartStop { choice: 0, index });
        }
        Ok(())
    }

    fn start(&mut self, part: PartStart<'_>, ext: ExtRef<'_>, sink: &mut Sink<'_>) -> u32 {
        let index = self.next;
        self.next += 1;
        sink(Event::PartStart { choice: 0, index, part, ext });
        index
    }

    fn text(&mut self, text: Cow<'_, str>, thought: bool, sink: &mut Sink<'_>) {
        if text.is_empty() {
            return;
        }
        let index = match self.open {
            Some((index, kind)) if kind == thought => index,
            _ => {
                self.close(sink);
                let part = if thought { PartStart::Reasoning } else { PartStart::Text };
                self.start(part, ExtRef::default(), sink)
            }
        };
        self.open = Some((index, thought));
        sink(Event::PartDelta { choice: 0, index, delta: PartDelta::Text(text) });
    }

    fn close(&mut self, sink: &mut Sink<'_>) {
        if let Some((index, _)) = self.open.take() {
            sink(Event::PartStop { choice: 0, index });
        }
    }
}

impl Reader for AnswerReader {
    fn frame(&mut self, frame: &Frame<'_>, sink: &mut Sink<'_>) {
        if self.ended || (self.mode == Mode::Stream && frame.data.iter().all(u8::is_ascii_whitespace)) {
            return;
        }
        if let Err(fault) = self.line(&frame.data, sink) {
            self.ended = true;
            sink(Event::Fault(fault.into_garbage()));
        }
    }

    fn complete(&self) -> bool {
        self.complete
    }
}

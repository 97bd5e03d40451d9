//! Answers that go on as they are: only what a meter wants to know of them, in one pass over the bytes.
//!
//! It yields usage, stop reasons, faults, the end, and texts for counting; parts are not told apart, and a text may
//! stand as it is escaped.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::{fault::error_object, usage::Counts, words};
use crate::{
    Fault, Frame, Mode, Reader, Sink,
    ir::{Event, ExtRef, PartDelta},
};

/// Watches one answer.
pub(super) struct Watcher {
    mode: Mode,
    counts: Counts,
    ended: bool,
}

/// A whole message, or one event of a stream.
#[derive(Deserialize)]
struct Answer<'a> {
    #[serde(borrow, rename = "type")]
    kind: Option<Cow<'a, str>>,
    #[serde(borrow)]
    delta: Option<Delta<'a>>,
    #[serde(borrow)]
    message: Option<Message<'a>>,
    #[serde(borrow)]
    usage: Option<&'a RawValue>,
    #[serde(borrow)]
    content: Option<&'a RawValue>,
    #[serde(borrow)]
    stop_reason: Option<Cow<'a, str>>,
}

#[derive(Deserialize)]
struct Message<'a> {
    #[serde(borrow)]
    usage: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Delta<'a> {
    #[serde(borrow)]
    text: Option<&'a RawValue>,
    #[serde(borrow)]
    thinking: Option<&'a RawValue>,
    #[serde(borrow)]
    partial_json: Option<&'a RawValue>,
    #[serde(borrow)]
    stop_reason: Option<Cow<'a, str>>,
}

impl Watcher {
    pub(super) fn new(mode: Mode) -> Watcher {
        Watcher { mode, counts: Counts::default(), ended: false }
    }

    fn answer(&mut self, data: &[u8], sink: &mut Sink<'_>) -> Result<(), Fault> {
        let answer: Answer<'_> =
            serde_json::from_slice(data).map_err(|error| Fault::invalid("", error.to_string()))?;
        let kind = answer.kind.as_deref().unwrap_or_default();
        if kind == "error" {
            let value = serde_json::from_slice(data).unwrap_or_default();
            sink(Event::Fault(error_object(&value, None)));
            return Ok(());
        }
        if self.mode == Mode::Whole {
            let content = answer.content.ok_or_else(|| Fault::invalid("content", "is missing"))?;
            text(content, sink);
        }
        let mut stop = answer.stop_reason;
        if let Some(delta) = answer.delta {
            [delta.text, delta.thinking, delta.partial_json]
                .into_iter()
                .flatten()
                .for_each(|raw| text(raw, sink));
            stop = stop.or(delta.stop_reason);
        }
        if let Some(reason) = stop {
            sink(Event::ChoiceStop { choice: 0, stop: words::stop(&reason, None) });
        }
        if let Some(raw) = answer.usage.or(answer.message.and_then(|message| message.usage)) {
            let (usage, _) = self.counts.read(raw).map_err(|fault| fault.under("usage"))?;
            sink(Event::Usage { usage, ext: ExtRef::default() });
        }
        if self.mode == Mode::Whole || kind == "message_stop" {
            self.ended = true;
            sink(Event::End);
        }
        Ok(())
    }
}

fn text(raw: &RawValue, sink: &mut Sink<'_>) {
    let text = Cow::Borrowed(raw.get().trim_matches('"'));
    sink(Event::PartDelta { choice: 0, index: 0, delta: PartDelta::Text(text) });
}

impl Reader for Watcher {
    fn frame(&mut self, frame: &Frame<'_>, sink: &mut Sink<'_>) {
        if self.ended || (frame.data.is_empty() && self.mode == Mode::Stream) {
            return;
        }
        if let Err(fault) = self.answer(&frame.data, sink) {
            sink(Event::Fault(fault.into_garbage()));
        }
    }

    fn complete(&self) -> bool {
        self.ended
    }
}

//! Streamed answers: meaning to binary messages
//! (<https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ConverseStream.html>).

use super::{
    fault::stream_name,
    usage,
    whole_writer::count_losses,
    words::{self, Told},
};
use crate::{
    Dialect, Losses, Wanted, Writer, crossing,
    ir::{Event, Ext, PartDelta, PartStart, Place, Stop, StopReason, Usage},
    json::{Object, ObjectWriter, Raw},
    kept, seal, write_aws_message,
};

/// Writes one stream.
pub(super) struct StreamWriter {
    source: Dialect,
    own: bool,
    started: bool,
    parts: Vec<Open>,
    blocks: u64,
    told: Told,
    stop: Option<Stop>,
    usage: Usage,
    usage_ext: Ext,
    counted: bool,
    ext: Ext,
    message_ext: Ext,
    ended: bool,
    losses: Losses,
}

/// A part that is open, and its number in the API.
struct Open {
    index: u32,
    number: u64,
    kind: Kind,
}

enum Kind {
    Text,
    Thought,
    Call,
    /// One that only this dialect knows, which is told at its end.
    Whole(Raw),
    /// One that was told when it began.
    Told,
    /// One that is not told.
    Left,
}

impl StreamWriter {
    pub(super) fn new(wanted: &Wanted) -> StreamWriter {
        StreamWriter {
            source: wanted.source,
            own: wanted.source == Dialect::BedrockConverse,
            started: false,
            parts: Vec::new(),
            blocks: 0,
            told: Told::default(),
            stop: None,
            usage: Usage::default(),
            usage_ext: Ext::default(),
            counted: false,
            ext: Ext::default(),
            message_ext: Ext::default(),
            ended: false,
            losses: Losses::default(),
        }
    }

    fn begin(&mut self, out: &mut Vec<u8>) {
        if !std::mem::replace(&mut self.started, true) {
            let ext = &self.message_ext;
            message(out, "messageStart", None, |object| {
                object.string("role", "assistant");
                object.ext(ext);
            });
        }
    }

    fn start(&mut self, index: u32, part: &PartStart<'_>, ext: &Ext, out: &mut Vec<u8>) {
        self.begin(out);
        let number = self.blocks;
        let kind = match part {
            PartStart::Text => Kind::Text,
            PartStart::Refusal => {
                self.told.refusal = true;
                Kind::Text
            }
            PartStart::Reasoning => Kind::Thought,
            PartStart::RedactedReasoning { bytes } => {
                let bytes = words::sealed(seal::mark(bytes, self.source, Dialect::BedrockConverse));
                delta(out, number, "reasoningContent", |inner| inner.string("redactedContent", &bytes));
                Kind::Told
            }
            PartStart::ToolCall { id, name } => {
                self.told.calls = true;
                let id = if self.own { id.clone() } else { words::call_id(id) };
                let own = self.own;
                message(out, "contentBlockStart", Some(number), |object| {
                    let mut start = ObjectWriter::open(object.key("start"));
                    let mut call = ObjectWriter::open(start.key("toolUse"));
                    call.string("toolUseId", &id);
                    call.string("name", name);
                    if own && ext.get("type").is_some() {
                        call.string("type", "tool_use");
                    }
                    kept::write(&mut call, ext.get("toolUse").filter(|_| own));
                    call.close();
                    start.close();
                });
                Kind::Call
            }
            PartStart::Opaque { value, .. } if self.own => Kind::Whole(value.to_owned()),
            PartStart::Opaque { name, .. } => {
                self.losses.dropped(format!("response.content.{name}"), "messages have no such block there");
                Kind::Left
            }
        };
        if !matches!(kind, Kind::Left) {
            self.blocks += 1;
        }
        self.parts.push(Open { index, number, kind });
    }

    fn delta(&mut self, index: u32, event: &PartDelta<'_>, out: &mut Vec<u8>) {
        let Some(open) = self.parts.iter_mut().find(|open| open.index == index) else {
            return self.losses.dropped("response.content", "more of a part that has ended");
        };
        let number = open.number;
        match (&mut open.kind, event) {
            (Kind::Text, PartDelta::Text(text)) => {
                message(out, "contentBlockDelta", Some(number), |object| {
                    let mut delta = ObjectWriter::open(object.key("delta"));
                    delta.string("text", text);
                    delta.close();
                });
            }
            (Kind::Thought, PartDelta::Text(text)) => {
                delta(out, number, "reasoningContent", |inner| inner.string("text", text));
            }
            (Kind::Thought, PartDelta::Signature(seal)) => {
                let seal = seal::mark(seal, self.source, Dialect::BedrockConverse);
                delta(out, number, "reasoningContent", |inner| inner.string("signature", &seal));
            }
            (Kind::Call, PartDelta::Arguments(text)) => {
                delta(out, number, "toolUse", |inner| inner.string("input", text));
            }
            (Kind::Text, PartDelta::Annotation(raw)) if self.own => {
                message(out, "contentBlockDelta", Some(number), |object| {
                    let mut delta = ObjectWriter::open(object.key("delta"));
                    delta.raw("citation", raw.text());
                    delta.close();
                });
            }
            (Kind::Text, PartDelta::Annotation(_)) => {
                self.losses.dropped("response.content.annotations", "annotations of another dialect");
            }
            (Kind::Whole(value), PartDelta::Opaque(later)) => *value = later.to_owned(),
            // What does not fit its part was reported by the reader, or with the part.
            _ => {}
        }
    }

    /// Ends a part. A call of another dialect may still get arguments after its end: it ends at the last.
    fn stop(&mut self, index: u32, last: bool, out: &mut Vec<u8>) {
        let Some(at) = self.parts.iter().position(|open| open.index == index) else { return };
        let waits = !self.own && !last;
        if waits && self.parts.get(at).is_some_and(|open| matches!(open.kind, Kind::Call)) {
            return;
        }
        let open = self.parts.remove(at);
        match open.kind {
            Kind::Left => return,
            Kind::Whole(value) => whole(out, open.number, &value),
            Kind::Text | Kind::Thought | Kind::Call | Kind::Told => {}
        }
        message(out, "contentBlockStop", Some(open.number), |_| {});
    }

    fn end(&mut self, out: &mut Vec<u8>) {
        if std::mem::replace(&mut self.ended, true) {
            return;
        }
        self.begin(out);
        let open: Vec<u32> = self.parts.iter().map(|open| open.index).collect();
        for index in open {
            self.stop(index, true, out);
        }
        let reason = self.stop.as_ref().map_or(StopReason::End, |stop| stop.reason);
        let word = match &self.stop {
            Some(stop) if self.own => stop.raw.as_str(),
            _ => words::stop_reason(reason, self.told),
        };
        if !self.own && words::is_approximate(reason) {
            self.losses.approximated("response.choices[0].finish_reason", "there is no such reason there");
        }
        let (ending, beside): (Vec<_>, Vec<_>) =
            self.ext.0.iter().partition(|(name, _)| name == "additionalModelResponseFields");
        message(out, "messageStop", None, |object| {
            object.string("stopReason", word);
            for (name, value) in ending {
                object.raw(name, value.text());
            }
        });
        if self.counted || !beside.is_empty() || !self.own {
            message(out, "metadata", None, |object| {
                if self.counted || !self.own {
                    let ext = self.own.then_some(&self.usage_ext);
                    usage::write(object.key("usage"), &self.usage, ext);
                }
                for (name, value) in beside {
                    object.raw(name, value.text());
                }
                if !self.own {
                    object.raw("metrics", "{\"latencyMs\":0}");
                }
            });
        }
        if !self.own {
            count_losses(&self.usage, &self.usage_ext, &mut self.losses);
        }
    }
}

/// Writes one message; the number of the block that it is about goes first.
fn message(out: &mut Vec<u8>, name: &str, number: Option<u64>, write: impl FnOnce(&mut ObjectWriter<'_>)) {
    let mut payload = Vec::with_capacity(96);
    let mut object = ObjectWriter::open(&mut payload);
    if let Some(number) = number {
        object.value("contentBlockIndex", &number);
    }
    write(&mut object);
    object.close();
    write_aws_message(out, "event", name, &payload);
}

/// Writes more of a block, in an object of this name.
fn delta(out: &mut Vec<u8>, number: u64, name: &str, write: impl FnOnce(&mut ObjectWriter<'_>)) {
    message(out, "contentBlockDelta", Some(number), |object| {
        let mut delta = ObjectWriter::open(object.key("delta"));
        let mut inner = ObjectWriter::open(delta.key(name));
        write(&mut inner);
        inner.close();
        delta.close();
    });
}

/// A block that only this dialect knows: its opening, and what it holds.
fn whole(out: &mut Vec<u8>, number: u64, value: &Raw) {
    let Ok(mut block) = Object::from_raw(value.value()) else { return };
    for (name, member) in [("toolUse", "input"), ("toolResult", "content")] {
        let Ok(Some(mut inner)) = block.object(name) else { continue };
        let held = inner.take(member);
        message(out, "contentBlockStart", Some(number), |object| {
            let mut start = ObjectWriter::open(object.key("start"));
            start.raw(name, kept::rest(inner).text());
            start.close();
        });
        let Some(held) = held else { continue };
        if name == "toolUse" {
            delta(out, number, name, |inner| inner.string(member, held.get()));
        } else {
            message(out, "contentBlockDelta", Some(number), |object| {
                let mut delta = ObjectWriter::open(object.key("delta"));
                delta.raw(name, held.get());
                delta.close();
            });
        }
    }
}

impl Writer for StreamWriter {
    fn event(&mut self, event: &Event<'_>, out: &mut Vec<u8>) {
        match event {
            Event::Start { .. } => {}
            Event::PartStart { choice: 0, index, part, ext } => {
                self.start(*index, part, &ext.to_owned(), out);
            }
            Event::PartDelta { choice: 0, index, delta } => self.delta(*index, delta, out),
            Event::PartStop { choice: 0, index } => self.stop(*index, false, out),
            Event::PartStart { choice, .. }
            | Event::PartDelta { choice, .. }
            | Event::PartStop { choice, .. } => {
                self.losses.dropped(format!("response.choices[{choice}]"), "there is one answer there");
            }
            Event::Logprobs { .. } => {
                self.losses.dropped("response.logprobs", "messages carry no log probabilities there");
            }
            Event::ChoiceStop { choice, stop } => {
                if *choice == 0 {
                    self.stop = Some(stop.clone());
                }
            }
            Event::Usage { usage, ext } => {
                self.usage.merge(usage);
                self.usage_ext.merge(ext);
                self.counted = true;
            }
            Event::Ext { place: Place::Message(_), ext } if self.own => self.message_ext.merge(ext),
            Event::Ext { ext, .. } if self.own => self.ext.merge(ext),
            Event::Ext { place, ext } => crossing::report_ext(*place, ext, &mut self.losses),
            Event::Fault(fault) => {
                self.ended = true;
                let mut payload = Vec::with_capacity(96);
                let mut object = ObjectWriter::open(&mut payload);
                object.string("message", &fault.to_string());
                object.close();
                write_aws_message(out, "exception", stream_name(fault), &payload);
            }
            Event::End => self.end(out),
        }
    }

    fn losses(&self) -> &Losses {
        &self.losses
    }
}

//! Streamed answers: meaning to events (<https://docs.cohere.com/reference/chat-stream>).

use super::{
    event::{done, event, message_event},
    fault::write_names,
    usage, words,
};
use crate::{
    Dialect, Losses, Wanted, Writer, crossing,
    ir::{Event, Ext, PartDelta, PartStart, Place, Stop, StopReason, Usage},
    json::{ObjectWriter, write_string},
    seal,
};

/// Writes one stream.
pub(super) struct StreamWriter {
    source: Dialect,
    own: bool,
    id: String,
    started: bool,
    parts: Vec<Open>,
    blocks: u32,
    calls: u32,
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
    number: u32,
    kind: Kind,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Text,
    Thought,
    Plan,
    Call,
    /// One of this dialect's own blocks, which was told whole.
    Whole,
    /// One that is not told.
    Left,
}

impl StreamWriter {
    pub(super) fn new(wanted: &Wanted) -> StreamWriter {
        StreamWriter {
            source: wanted.source,
            own: wanted.source == Dialect::CohereV2,
            id: String::new(),
            started: false,
            parts: Vec::new(),
            blocks: 0,
            calls: 0,
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
        if std::mem::replace(&mut self.started, true) {
            return;
        }
        let (id, ext) = (&self.id, &self.message_ext);
        event(out, "message-start", None, |object| {
            object.string("id", id);
            let mut delta = ObjectWriter::open(object.key("delta"));
            let mut message = ObjectWriter::open(delta.key("message"));
            message.string("role", "assistant");
            for name in ["content", "tool_calls", "citations"] {
                message.raw(name, "[]");
            }
            message.string("tool_plan", "");
            message.ext(ext);
            message.close();
            delta.close();
        });
    }

    fn start(&mut self, index: u32, part: &PartStart<'_>, ext: &Ext, out: &mut Vec<u8>) {
        self.begin(out);
        let kind = match part {
            PartStart::Text | PartStart::Refusal => {
                self.block(out, "text", ext, |block| block.string("text", ""));
                Kind::Text
            }
            PartStart::Reasoning if ext.get(words::PLAN).is_some() && self.own => Kind::Plan,
            PartStart::Reasoning => {
                self.block(out, "thinking", ext, |block| block.string("thinking", ""));
                Kind::Thought
            }
            PartStart::RedactedReasoning { bytes } => {
                let bytes = seal::mark(bytes, self.source, Dialect::CohereV2);
                self.block(out, "thinking", ext, |block| {
                    block.string("thinking", "");
                    block.string("data", &bytes);
                });
                Kind::Whole
            }
            PartStart::ToolCall { id, name } => {
                let own = self.own;
                message_event(out, "tool-call-start", Some(self.calls), "tool_calls", |out| {
                    let mut call = ObjectWriter::open(out);
                    call.string("id", id);
                    call.string("type", "function");
                    let mut function = ObjectWriter::open(call.key("function"));
                    function.string("name", name);
                    function.string("arguments", "");
                    function.close();
                    if own {
                        call.ext(ext);
                    }
                    call.close();
                });
                self.calls += 1;
                Kind::Call
            }
            PartStart::Opaque { value, .. } if self.own => {
                let number = self.blocks;
                message_event(out, "content-start", Some(number), "content", |out| {
                    out.extend_from_slice(value.text().as_bytes());
                });
                self.blocks += 1;
                Kind::Whole
            }
            PartStart::Opaque { name, .. } => {
                self.losses.dropped(format!("response.content.{name}"), "messages have no such part there");
                Kind::Left
            }
        };
        let number = if kind == Kind::Call { self.calls } else { self.blocks };
        self.parts.push(Open { index, number: number.saturating_sub(1), kind });
    }

    fn block(&mut self, out: &mut Vec<u8>, kind: &str, ext: &Ext, write: impl FnOnce(&mut ObjectWriter<'_>)) {
        let own = self.own;
        message_event(out, "content-start", Some(self.blocks), "content", |out| {
            let mut block = ObjectWriter::open(out);
            block.string("type", kind);
            write(&mut block);
            if own {
                block.ext(ext);
            }
            block.close();
        });
        self.blocks += 1;
    }

    fn delta(&mut self, index: u32, delta: &PartDelta<'_>, out: &mut Vec<u8>) {
        let Some(open) = self.parts.iter().find(|open| open.index == index) else {
            return self.losses.dropped("response.content", "more of a part that has ended");
        };
        let number = Some(open.number);
        let member = |out: &mut Vec<u8>, name: &str, text: &str| {
            let mut block = ObjectWriter::open(out);
            block.string(name, text);
            block.close();
        };
        match (open.kind, delta) {
            (Kind::Text, PartDelta::Text(text)) => {
                message_event(out, "content-delta", number, "content", |out| member(out, "text", text));
            }
            (Kind::Thought, PartDelta::Text(text)) => {
                message_event(out, "content-delta", number, "content", |out| member(out, "thinking", text));
            }
            (Kind::Thought, PartDelta::Signature(seal)) => {
                let seal = seal::mark(seal, self.source, Dialect::CohereV2);
                message_event(out, "content-delta", number, "content", |out| member(out, "signature", &seal));
            }
            (Kind::Plan, PartDelta::Text(text)) => {
                message_event(out, "tool-plan-delta", None, "tool_plan", |out| write_string(out, text));
            }
            (Kind::Call, PartDelta::Arguments(text)) => {
                message_event(out, "tool-call-delta", number, "tool_calls", |out| {
                    let mut call = ObjectWriter::open(out);
                    member(call.key("function"), "arguments", text);
                    call.close();
                });
            }
            (Kind::Text, PartDelta::Annotation(raw)) if self.own => {
                message_event(out, "citation-start", number, "citations", |out| {
                    out.extend_from_slice(raw.text().as_bytes());
                });
                event(out, "citation-end", number, |_| {});
            }
            (Kind::Text, PartDelta::Annotation(_)) => {
                self.losses.dropped("response.content.annotations", "annotations of another dialect");
            }
            // What does not fit its part was reported by the reader, or with the part.
            _ => {}
        }
    }

    /// Ends a part. A call of another dialect may still get arguments after its end: it ends at the last.
    fn stop(&mut self, index: u32, last: bool, out: &mut Vec<u8>) {
        let Some(at) = self.parts.iter().position(|open| open.index == index) else { return };
        let waits = !self.own && !last;
        if waits && self.parts.get(at).is_some_and(|open| open.kind == Kind::Call) {
            return;
        }
        let open = self.parts.remove(at);
        match open.kind {
            Kind::Text | Kind::Thought | Kind::Whole => event(out, "content-end", Some(open.number), |_| {}),
            Kind::Call => event(out, "tool-call-end", Some(open.number), |_| {}),
            Kind::Plan | Kind::Left => {}
        }
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
            _ => words::finish_reason(reason, self.calls > 0),
        };
        if !self.own && words::is_wordless(reason) {
            self.losses.approximated("response.choices[0].finish_reason", "there is no such reason there");
        }
        let (own, counted) = (self.own, self.counted);
        let (counts, usage_ext, ext) = (&self.usage, &self.usage_ext, &self.ext);
        event(out, "message-end", None, |object| {
            let mut delta = ObjectWriter::open(object.key("delta"));
            delta.string("finish_reason", word);
            if counted || !own {
                usage::write(delta.key("usage"), counts, own.then_some(usage_ext));
            }
            if own {
                delta.ext(ext);
            }
            delta.close();
        });
        done(out);
        if !self.own {
            usage::losses(&self.usage, &self.usage_ext, &mut self.losses);
        }
    }
}

impl Writer for StreamWriter {
    fn event(&mut self, event_in: &Event<'_>, out: &mut Vec<u8>) {
        match event_in {
            Event::Start { id, .. } => self.id = id.clone().into_owned(),
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
            Event::Logprobs { .. } if self.own => {}
            Event::Logprobs { .. } => {
                self.losses.dropped("response.logprobs", "log probabilities of another dialect");
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
                event(out, "message-end", None, |object| {
                    let mut delta = ObjectWriter::open(object.key("delta"));
                    delta.string("finish_reason", "ERROR");
                    delta.string("error", &fault.to_string());
                    write_names(&mut delta, fault);
                    delta.close();
                });
                done(out);
            }
            Event::End => self.end(out),
        }
    }

    fn losses(&self) -> &Losses {
        &self.losses
    }
}

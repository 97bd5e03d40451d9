//! Streamed answers: events of the representation to events of the wire.

use super::{fault::write_error, words};
use crate::{
    Dialect, Losses, Wanted, Writer,
    ir::{Event, Ext, ExtRef, PartDelta, PartStart, Stop, Usage},
    json::{ObjectWriter, write_string},
};

/// Writes events.
pub(super) struct StreamWriter {
    own: bool,
    started: Option<Start>,
    /// The parts that became blocks, by their number in the source.
    blocks: Vec<(u32, u32, Sort)>,
    open: Option<u32>,
    next_block: u32,
    stop: Option<Stop>,
    usage: Usage,
    usage_ext: Ext,
    ext: Ext,
    ended: bool,
    losses: Losses,
}

/// The first event waits for the usage that comes with it, where the source tells it at once.
struct Start {
    id: String,
    model: String,
    written: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Sort {
    Text,
    Reasoning,
    Call,
    Opaque,
}

impl StreamWriter {
    pub(super) fn new(wanted: Wanted) -> StreamWriter {
        StreamWriter {
            own: wanted.source == Dialect::AnthropicMessages,
            started: None,
            blocks: Vec::new(),
            open: None,
            next_block: 0,
            stop: None,
            usage: Usage::default(),
            usage_ext: Ext::default(),
            ext: Ext::default(),
            ended: false,
            losses: Losses::default(),
        }
    }

    fn write_start(&mut self, out: &mut Vec<u8>) {
        let Some(start) = self.started.as_mut().filter(|start| !start.written) else { return };
        start.written = true;
        let (own, ext) = (self.own, &self.ext);
        event(out, "message_start", |object| {
            let mut message = ObjectWriter::open(object.key("message"));
            message.string("id", &start.id);
            message.string("type", "message");
            message.string("role", "assistant");
            message.string("model", &start.model);
            message.raw("content", "[]");
            message.raw("stop_reason", "null");
            message.raw("stop_sequence", "null");
            words::write_usage(message.key("usage"), &self.usage, own.then_some(&self.usage_ext));
            if own {
                message.ext(ext);
            }
            message.close();
        });
        self.ext = Ext::default();
    }

    fn start(&mut self, out: &mut Vec<u8>, index: u32, part: &PartStart<'_>, ext: &ExtRef<'_>) {
        self.write_start(out);
        self.close(out);
        let block = self.next_block;
        let sort = match part {
            PartStart::Text | PartStart::Refusal => Sort::Text,
            PartStart::Reasoning => Sort::Reasoning,
            PartStart::RedactedReasoning { .. } => Sort::Opaque,
            PartStart::ToolCall { .. } => Sort::Call,
            PartStart::Opaque { .. } if self.own => Sort::Opaque,
            PartStart::Opaque { name, .. } => {
                return self
                    .losses
                    .dropped(format!("response.content.{name}"), "messages have no such block");
            }
        };
        self.next_block += 1;
        self.blocks.push((index, block, sort));
        self.open = Some(block);
        let own = self.own;
        event(out, "content_block_start", |object| {
            object.value("index", &block);
            if let PartStart::Opaque { value, .. } = part {
                return object.raw("content_block", value.text());
            }
            let mut inner = ObjectWriter::open(object.key("content_block"));
            opening(&mut inner, part);
            if own {
                inner.ext(&ext.to_owned());
            }
            inner.close();
        });
    }

    fn delta(&mut self, out: &mut Vec<u8>, index: u32, delta: &PartDelta<'_>) {
        let known = self.blocks.iter().rev().find(|(part, ..)| *part == index);
        let Some(&(_, block, sort)) = known else { return };
        let (kind, member, text) = match (delta, sort) {
            (PartDelta::Text(text), Sort::Text) => ("text_delta", "text", text),
            (PartDelta::Text(text), Sort::Reasoning) => ("thinking_delta", "thinking", text),
            (PartDelta::Signature(text), Sort::Reasoning) => ("signature_delta", "signature", text),
            (PartDelta::Arguments(text), Sort::Call) => ("input_json_delta", "partial_json", text),
            (PartDelta::Annotation(raw), Sort::Text) if self.own => {
                return event(out, "content_block_delta", |object| {
                    object.value("index", &block);
                    let mut delta = ObjectWriter::open(object.key("delta"));
                    delta.string("type", "citations_delta");
                    delta.raw("citation", raw.text());
                    delta.close();
                });
            }
            (PartDelta::Annotation(_), _) => {
                return self.losses.dropped("response.annotations", "annotations of another dialect");
            }
            // The whole block is known when its input is: it goes out as the input's one delta.
            (PartDelta::Opaque(whole), Sort::Opaque) => {
                let input = crate::json::Object::parse(whole.text().as_bytes()).ok();
                let Some(input) = input.and_then(|mut object| object.take("input")) else { return };
                return event(out, "content_block_delta", |object| {
                    object.value("index", &block);
                    write_delta(object, "input_json_delta", "partial_json", input.get());
                });
            }
            (
                PartDelta::Text(_) | PartDelta::Signature(_) | PartDelta::Arguments(_) | PartDelta::Opaque(_),
                _,
            ) => return,
        };
        event(out, "content_block_delta", |object| {
            object.value("index", &block);
            write_delta(object, kind, member, text);
        });
    }

    fn close(&mut self, out: &mut Vec<u8>) {
        if let Some(block) = self.open.take() {
            event(out, "content_block_stop", |object| object.value("index", &block));
        }
    }

    fn end(&mut self, out: &mut Vec<u8>) {
        if std::mem::replace(&mut self.ended, true) {
            return;
        }
        self.write_start(out);
        self.close(out);
        let (own, stop) = (self.own, &self.stop);
        event(out, "message_delta", |object| {
            let mut delta = ObjectWriter::open(object.key("delta"));
            match stop {
                Some(stop) if own => delta.string("stop_reason", &stop.raw),
                Some(stop) => delta.string("stop_reason", words::stop_reason(stop)),
                None => delta.string("stop_reason", "end_turn"),
            }
            match stop.as_ref().and_then(|stop| stop.text.as_ref()) {
                Some(text) => delta.string("stop_sequence", text),
                None => delta.raw("stop_sequence", "null"),
            }
            if own {
                delta.ext(&self.ext);
            }
            delta.close();
            words::write_usage(object.key("usage"), &self.usage, own.then_some(&self.usage_ext));
        });
        event(out, "message_stop", |_| {});
    }
}

impl Writer for StreamWriter {
    fn event(&mut self, event: &Event<'_>, out: &mut Vec<u8>) {
        match event {
            Event::Start { id, model, .. } => {
                let (id, model) = (id.clone().into_owned(), model.clone().into_owned());
                self.started = Some(Start { id, model, written: false });
            }
            Event::PartStart { choice: 0, index, part, ext } => self.start(out, *index, part, ext),
            Event::PartDelta { choice: 0, index, delta } => self.delta(out, *index, delta),
            Event::PartStop { choice: 0, index } => {
                let open =
                    self.blocks.iter().rev().find(|(part, ..)| part == index).map(|(_, block, _)| *block);
                if open.is_some() && open == self.open {
                    self.close(out);
                }
            }
            Event::PartStart { .. } | Event::PartDelta { .. } | Event::PartStop { .. } => {
                self.losses.dropped("response.choices", "a message has one answer");
            }
            Event::Logprobs { .. } => {
                self.losses.dropped("response.logprobs", "messages carry no log probabilities");
            }
            Event::ChoiceStop { choice, stop } => {
                if *choice == 0 {
                    self.stop = Some(stop.clone());
                }
            }
            Event::Usage { usage, ext } => {
                self.usage.merge(usage);
                self.usage_ext.merge(ext);
            }
            Event::Ext { ext, .. } => {
                if self.own {
                    self.ext.merge(ext);
                } else {
                    self.losses.ext("response", &ext.to_owned());
                }
            }
            Event::Fault(fault) => {
                self.ended = true;
                out.extend_from_slice(b"event: error\ndata: ");
                write_error(out, fault, "");
                out.extend_from_slice(b"\n\n");
            }
            Event::End => self.end(out),
        }
    }

    fn losses(&self) -> &Losses {
        &self.losses
    }
}

/// The members with which a block opens.
fn opening(object: &mut ObjectWriter<'_>, part: &PartStart<'_>) {
    match part {
        PartStart::Text | PartStart::Refusal => {
            object.string("type", "text");
            object.string("text", "");
        }
        PartStart::Reasoning => {
            object.string("type", "thinking");
            object.string("thinking", "");
            object.string("signature", "");
        }
        PartStart::RedactedReasoning { bytes } => {
            object.string("type", "redacted_thinking");
            object.string("data", bytes);
        }
        PartStart::ToolCall { id, name } => {
            object.string("type", "tool_use");
            object.string("id", id);
            object.string("name", name);
            object.raw("input", "{}");
        }
        PartStart::Opaque { .. } => {}
    }
}

fn write_delta(object: &mut ObjectWriter<'_>, kind: &str, member: &str, text: &str) {
    let mut delta = ObjectWriter::open(object.key("delta"));
    delta.string("type", kind);
    write_string(delta.key(member), text);
    delta.close();
}

/// Writes one event, with its name twice as the API does.
fn event(out: &mut Vec<u8>, name: &str, write: impl FnOnce(&mut ObjectWriter<'_>)) {
    out.extend_from_slice(b"event: ");
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"\ndata: ");
    let mut object = ObjectWriter::open(out);
    object.string("type", name);
    write(&mut object);
    object.close();
    out.extend_from_slice(b"\n\n");
}

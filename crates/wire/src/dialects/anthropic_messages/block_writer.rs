//! The blocks of a streamed answer: parts to blocks, one after the other.

use std::borrow::Cow;

use serde::de::IgnoredAny;

use super::{
    event::event,
    paths,
    words::{self, Told},
};
use crate::{
    Dialect, Losses,
    ir::{Ext, ExtRef, PartDelta, PartStart},
    json::{ObjectWriter, RawRef, write_string},
    seal,
};

/// The most parts that wait for a call to be complete, and the most bytes of them; what is beyond does not wait.
const HELD_PARTS_MAX: usize = 128;
const HELD_BYTES_MAX: usize = 4 << 20;

/// The blocks of one answer.
pub(super) struct Blocks {
    source: Dialect,
    own: bool,
    next: u32,
    open: Option<Open>,
    /// Parts that came while a call was not complete: servers may tell several calls at once, and this dialect
    /// tells one block after the other.
    held: Vec<Held>,
    held_bytes: usize,
    /// How many calls were told.
    calls: usize,
    told: Told,
}

/// The block that is open.
struct Open {
    part: u32,
    number: u32,
    sort: Sort,
    /// What the arguments of a call came to.
    arguments: String,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Sort {
    Text,
    Reasoning,
    Redacted,
    Call,
    /// A block of this dialect only, which is written when it is whole.
    Opaque,
}

struct Held {
    part: u32,
    start: PartStart<'static>,
    ext: Ext,
    deltas: Vec<PartDelta<'static>>,
}

impl Blocks {
    pub(super) fn new(source: Dialect) -> Blocks {
        let own = source == Dialect::AnthropicMessages;
        Blocks {
            source,
            own,
            next: 0,
            open: None,
            held: Vec::new(),
            held_bytes: 0,
            calls: 0,
            told: Told::default(),
        }
    }

    pub(super) fn told(&self) -> Told {
        self.told
    }

    pub(super) fn start(
        &mut self,
        out: &mut Vec<u8>,
        part: u32,
        start: &PartStart<'_>,
        ext: &ExtRef<'_>,
        losses: &mut Losses,
    ) {
        let waits = self.open.as_ref().is_some_and(|open| !self.own && !open.is_complete());
        if (waits || !self.held.is_empty()) && self.held.len() < HELD_PARTS_MAX {
            let start = owned_start(start);
            self.held.push(Held { part, start, ext: ext.to_owned(), deltas: Vec::new() });
            return;
        }
        self.open(out, part, start, ext.to_owned(), losses);
    }

    pub(super) fn delta(&mut self, out: &mut Vec<u8>, part: u32, delta: &PartDelta<'_>, losses: &mut Losses) {
        if let Some(held) = self.held.iter_mut().find(|held| held.part == part) {
            self.held_bytes += size(delta);
            held.deltas.push(owned_delta(delta));
            if self.held_bytes > HELD_BYTES_MAX {
                self.release(out, true, losses);
            }
            return;
        }
        self.write_delta(out, part, delta, losses);
        if !self.held.is_empty() && self.open.as_ref().is_some_and(Open::is_complete) {
            self.release(out, false, losses);
        }
    }

    /// More may come for a call of another dialect after it has stopped: it closes when another part opens.
    pub(super) fn stop(&mut self, out: &mut Vec<u8>, part: u32) {
        let closes = |open: &Open| open.part == part && (self.own || open.sort != Sort::Call);
        if self.open.as_ref().is_some_and(closes) {
            self.close(out);
        }
    }

    /// Nothing more comes: writes what was held and closes the last block.
    pub(super) fn finish(&mut self, out: &mut Vec<u8>, losses: &mut Losses) {
        self.release(out, true, losses);
        self.close(out);
    }

    fn release(&mut self, out: &mut Vec<u8>, all: bool, losses: &mut Losses) {
        let mut held = std::mem::take(&mut self.held).into_iter();
        while all || self.open.as_ref().is_none_or(Open::is_complete) {
            let Some(next) = held.next() else { break };
            self.open(out, next.part, &next.start, next.ext, losses);
            for delta in &next.deltas {
                self.write_delta(out, next.part, delta, losses);
            }
        }
        self.held = held.collect();
        self.held_bytes = self.held.iter().flat_map(|held| &held.deltas).map(size).sum();
    }

    fn open(&mut self, out: &mut Vec<u8>, part: u32, start: &PartStart<'_>, ext: Ext, losses: &mut Losses) {
        self.close(out);
        let sort = match start {
            PartStart::Text => Sort::Text,
            PartStart::Refusal => {
                self.told.refusal = true;
                Sort::Text
            }
            PartStart::Reasoning => Sort::Reasoning,
            PartStart::RedactedReasoning { .. } => Sort::Redacted,
            PartStart::ToolCall { .. } => {
                self.told.calls = true;
                self.calls += 1;
                Sort::Call
            }
            PartStart::Opaque { .. } if self.own => Sort::Opaque,
            PartStart::Opaque { name, .. } => {
                let path = paths::part(self.source, part);
                return losses.dropped(format!("{path}.{name}"), "messages have no such block");
            }
        };
        let number = self.next;
        self.next += 1;
        let arguments = match start {
            PartStart::Opaque { value, .. } => value.text().to_owned(),
            PartStart::Text
            | PartStart::Refusal
            | PartStart::Reasoning
            | PartStart::RedactedReasoning { .. }
            | PartStart::ToolCall { .. } => String::new(),
        };
        self.open = Some(Open { part, number, sort, arguments });
        if sort == Sort::Opaque {
            return;
        }
        let path = match sort {
            Sort::Call => paths::call(self.source, part, self.calls - 1),
            Sort::Text | Sort::Reasoning | Sort::Redacted | Sort::Opaque => paths::part(self.source, part),
        };
        if !self.own {
            losses.answer_ext(&path, &ext);
        }
        event(out, "content_block_start", |object| {
            object.value("index", &number);
            let mut block = ObjectWriter::open(object.key("content_block"));
            self.write_opening(&mut block, start, &path, losses);
            if self.own {
                block.ext(&ext);
            }
            block.close();
        });
    }

    /// The members with which a block opens.
    fn write_opening(
        &self,
        object: &mut ObjectWriter<'_>,
        start: &PartStart<'_>,
        path: &str,
        losses: &mut Losses,
    ) {
        match start {
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
                object.string("data", &seal::mark(bytes, self.source, Dialect::AnthropicMessages));
            }
            PartStart::ToolCall { id, name } => {
                let allowed = if self.own { Cow::Borrowed(id.as_ref()) } else { words::call_id(id) };
                if allowed != *id {
                    losses.approximated(format!("{path}.id"), "the id has letters that are refused there");
                }
                object.string("type", "tool_use");
                object.string("id", &allowed);
                object.string("name", name);
                object.raw("input", "{}");
            }
            PartStart::Opaque { .. } => {}
        }
    }

    fn write_delta(&mut self, out: &mut Vec<u8>, part: u32, delta: &PartDelta<'_>, losses: &mut Losses) {
        let Some(open) = self.open.as_mut().filter(|open| open.part == part) else {
            let path = paths::part(self.source, part);
            return losses.dropped(path, "more of a block that has ended, or of one that is not told");
        };
        match (delta, open.sort) {
            (PartDelta::Text(text), Sort::Text) => open.write(out, "text_delta", "text", text),
            (PartDelta::Text(text), Sort::Reasoning) => open.write(out, "thinking_delta", "thinking", text),
            (PartDelta::Signature(seal), Sort::Reasoning) => {
                let seal = seal::mark(seal, self.source, Dialect::AnthropicMessages);
                open.write(out, "signature_delta", "signature", &seal);
            }
            (PartDelta::Arguments(text), Sort::Call) => {
                if !self.own && open.arguments.len() < HELD_BYTES_MAX {
                    open.arguments.push_str(text);
                }
                open.write(out, "input_json_delta", "partial_json", text);
            }
            (PartDelta::Annotation(raw), Sort::Text) if self.own => {
                event(out, "content_block_delta", |object| {
                    object.value("index", &open.number);
                    let mut delta = ObjectWriter::open(object.key("delta"));
                    delta.string("type", "citations_delta");
                    delta.raw("citation", raw.text());
                    delta.close();
                });
            }
            (PartDelta::Annotation(_), _) => {
                let path = format!("{}.annotations", paths::part(self.source, part));
                losses.dropped(path, "annotations of another dialect");
            }
            (PartDelta::Opaque(whole), Sort::Opaque) => whole.text().clone_into(&mut open.arguments),
            // A delta that does not fit the part that it is for was reported by the reader.
            (
                PartDelta::Text(_) | PartDelta::Signature(_) | PartDelta::Arguments(_) | PartDelta::Opaque(_),
                Sort::Text | Sort::Reasoning | Sort::Redacted | Sort::Call | Sort::Opaque,
            ) => {}
        }
    }

    fn close(&mut self, out: &mut Vec<u8>) {
        let Some(open) = self.open.take() else { return };
        if open.sort == Sort::Opaque {
            event(out, "content_block_start", |object| {
                object.value("index", &open.number);
                object.raw("content_block", &open.arguments);
            });
        }
        event(out, "content_block_stop", |object| object.value("index", &open.number));
    }
}

impl Open {
    /// Whether no more is to be expected of it.
    fn is_complete(&self) -> bool {
        self.sort != Sort::Call
            || self.arguments.len() >= HELD_BYTES_MAX
            || serde_json::from_str::<IgnoredAny>(&self.arguments).is_ok()
    }

    fn write(&self, out: &mut Vec<u8>, kind: &str, member: &str, text: &str) {
        event(out, "content_block_delta", |object| {
            object.value("index", &self.number);
            let mut delta = ObjectWriter::open(object.key("delta"));
            delta.string("type", kind);
            write_string(delta.key(member), text);
            delta.close();
        });
    }
}

fn size(delta: &PartDelta<'_>) -> usize {
    match delta {
        PartDelta::Text(text) | PartDelta::Arguments(text) | PartDelta::Signature(text) => text.len(),
        PartDelta::Annotation(raw) | PartDelta::Opaque(raw) => raw.text().len(),
    }
}

fn owned_start(start: &PartStart<'_>) -> PartStart<'static> {
    let owned = |text: &str| Cow::Owned(text.to_owned());
    match start {
        PartStart::Text => PartStart::Text,
        PartStart::Refusal => PartStart::Refusal,
        PartStart::Reasoning => PartStart::Reasoning,
        PartStart::RedactedReasoning { bytes } => PartStart::RedactedReasoning { bytes: owned(bytes) },
        PartStart::ToolCall { id, name } => PartStart::ToolCall { id: owned(id), name: owned(name) },
        PartStart::Opaque { name, value } => {
            PartStart::Opaque { name: owned(name), value: RawRef::Owned(RawRef::to_owned(value)) }
        }
    }
}

fn owned_delta(delta: &PartDelta<'_>) -> PartDelta<'static> {
    let owned = |text: &str| Cow::Owned(text.to_owned());
    match delta {
        PartDelta::Text(text) => PartDelta::Text(owned(text)),
        PartDelta::Arguments(text) => PartDelta::Arguments(owned(text)),
        PartDelta::Signature(text) => PartDelta::Signature(owned(text)),
        PartDelta::Annotation(raw) => PartDelta::Annotation(RawRef::Owned(RawRef::to_owned(raw))),
        PartDelta::Opaque(raw) => PartDelta::Opaque(RawRef::Owned(RawRef::to_owned(raw))),
    }
}

//! Streamed answers: meaning to events. The last event holds the whole answer, as the dialect has it.

use super::{
    answer::{self, answer_id, item_id, write_summary},
    words::{self, ITEM, unseal, write_members},
};
use crate::{
    Dialect, Losses, Wanted, Writer,
    dialects::openai_chat::fault::{error_code, error_message},
    ir::{Event, Fold, PartDelta, PartStart},
    json::{ObjectWriter, Raw, one_line, write_array},
    seal,
};

/// Writes events.
pub(super) struct StreamWriter {
    wanted: Wanted,
    fold: Fold,
    sequence: u64,
    items: Vec<Item>,
    ended: bool,
    losses: Losses,
}

/// An item that was opened: one part, or in the dialect's own streams the parts of one message.
struct Item {
    index: u32,
    sort: Sort,
    id: String,
    /// The number among the items, and among the parts of its message.
    output: usize,
    content: usize,
    text: String,
    seal: String,
    call: (String, String),
    /// What tells the item in the dialect's own streams.
    told: Option<Raw>,
    opaque: Option<Raw>,
    open: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Sort {
    Text,
    Refusal,
    Reasoning,
    Call,
    Opaque,
}

impl StreamWriter {
    pub(super) fn new(wanted: Wanted) -> StreamWriter {
        StreamWriter {
            wanted,
            fold: Fold::default(),
            sequence: 0,
            items: Vec::new(),
            ended: false,
            losses: Losses::default(),
        }
    }

    fn is_own(&self) -> bool {
        self.wanted.source == Dialect::OpenaiResponses
    }

    /// Writes one event with its number.
    fn send(&mut self, out: &mut Vec<u8>, kind: &str, members: impl FnOnce(&mut ObjectWriter<'_>)) {
        out.extend_from_slice(b"event: ");
        out.extend_from_slice(kind.as_bytes());
        out.extend_from_slice(b"\ndata: ");
        let start = out.len();
        let mut object = ObjectWriter::open(out);
        object.string("type", kind);
        object.value("sequence_number", &self.sequence);
        members(&mut object);
        object.close();
        one_line(out.get_mut(start..).unwrap_or_default());
        out.extend_from_slice(b"\n\n");
        self.sequence += 1;
    }

    /// The answer as it stands when it begins.
    fn begin(&mut self, out: &mut Vec<u8>) {
        let own = self.is_own();
        let response = self.fold.response();
        let (id, model) = (answer_id(&response.id, own).into_owned(), response.model.clone());
        let created_s = response.created_s.unwrap_or(self.wanted.now_s);
        for kind in ["response.created", "response.in_progress"] {
            self.send(out, kind, |object| {
                let mut response = ObjectWriter::open(object.key("response"));
                response.string("id", &id);
                response.string("object", "response");
                response.value("created_at", &created_s);
                response.string("status", "in_progress");
                response.string("model", &model);
                for (name, value) in [
                    ("output", "[]"),
                    ("error", "null"),
                    ("incomplete_details", "null"),
                    ("instructions", "null"),
                    ("metadata", "{}"),
                    ("parallel_tool_calls", "true"),
                    ("temperature", "null"),
                    ("tool_choice", "\"auto\""),
                    ("tools", "[]"),
                    ("top_p", "null"),
                    ("usage", "null"),
                ] {
                    response.raw(name, value);
                }
                response.close();
            });
        }
    }

    fn open(&mut self, out: &mut Vec<u8>, index: u32, part: &PartStart<'_>, told: Option<Raw>) {
        let (sort, kind) = match part {
            PartStart::Text => (Sort::Text, "msg"),
            PartStart::Refusal => (Sort::Refusal, "msg"),
            PartStart::Reasoning | PartStart::RedactedReasoning { .. } => (Sort::Reasoning, "rs"),
            PartStart::ToolCall { .. } => (Sort::Call, "fc"),
            PartStart::Opaque { .. } if self.is_own() => (Sort::Opaque, ""),
            PartStart::Opaque { name, .. } => {
                return self
                    .losses
                    .dropped(format!("response.content.{name}"), "responses have no such item");
            }
        };
        let before = self.items.last().filter(|last| {
            self.wanted.source == Dialect::OpenaiResponses
                && told.is_none()
                && last.is_said()
                && sort.is_said()
        });
        let (output, content, id) = match before {
            Some(last) => (last.output, last.content + 1, last.id.clone()),
            None => {
                let output = self.items.last().map_or(0, |last| last.output + 1);
                let id = told.as_ref().and_then(told_id);
                (output, 0, id.unwrap_or_else(|| item_id(kind, &self.fold.response().id, output)))
            }
        };
        let mut item = Item {
            index,
            sort,
            id,
            output,
            content,
            text: String::new(),
            seal: String::new(),
            call: (String::new(), String::new()),
            told,
            opaque: None,
            open: true,
        };
        match part {
            PartStart::RedactedReasoning { bytes } => {
                item.seal = seal::mark(bytes, self.wanted.source, Dialect::OpenaiResponses).into_owned();
            }
            PartStart::ToolCall { id, name } => {
                item.call = (id.clone().into_owned(), name.clone().into_owned());
            }
            PartStart::Opaque { value, .. } => item.opaque = Some(value.to_owned()),
            PartStart::Text | PartStart::Refusal | PartStart::Reasoning => {}
        }
        if item.content == 0 {
            let own = self.is_own();
            self.send(out, "response.output_item.added", |object| {
                object.value("output_index", &item.output);
                item.write(object.key("item"), "in_progress", own);
            });
        }
        if item.is_said() {
            self.send(out, "response.content_part.added", |object| {
                item.place(object);
                item.write_part(object.key("part"), "");
            });
        } else if item.sort == Sort::Reasoning && item.seal.is_empty() {
            self.send(out, "response.reasoning_summary_part.added", |object| {
                item.summary_place(object);
                write_summary(object.key("part"), "");
            });
        }
        self.items.push(item);
    }

    fn delta(&mut self, out: &mut Vec<u8>, index: u32, delta: &PartDelta<'_>) {
        let source = self.wanted.source;
        let Some(at) = self.items.iter().position(|item| item.index == index) else { return };
        let Some(item) = self.items.get_mut(at) else { return };
        let (id, output, content) = (item.id.clone(), item.output, item.content);
        let (kind, text) = match (delta, item.sort) {
            (PartDelta::Text(text), Sort::Text) => ("response.output_text.delta", text),
            (PartDelta::Text(text), Sort::Refusal) => ("response.refusal.delta", text),
            (PartDelta::Text(text), Sort::Reasoning) => ("response.reasoning_summary_text.delta", text),
            (PartDelta::Arguments(text), Sort::Call) => ("response.function_call_arguments.delta", text),
            (PartDelta::Signature(seal), Sort::Reasoning) => {
                item.seal = seal::mark(seal, source, Dialect::OpenaiResponses).into_owned();
                return;
            }
            (PartDelta::Annotation(raw), Sort::Text) if source == Dialect::OpenaiResponses => {
                let raw = raw.to_owned();
                return self.send(out, "response.output_text.annotation.added", |object| {
                    object.string("item_id", &id);
                    object.value("output_index", &output);
                    object.value("content_index", &content);
                    object.value("annotation_index", &0);
                    object.raw("annotation", raw.text());
                });
            }
            (PartDelta::Annotation(_), _) => {
                return self
                    .losses
                    .dropped("response.content.citations", "citations have another form there");
            }
            (PartDelta::Opaque(raw), Sort::Opaque) => {
                item.opaque = Some(raw.to_owned());
                return;
            }
            _ => return,
        };
        item.text.push_str(text);
        let (sort, text) = (item.sort, text.clone().into_owned());
        self.send(out, kind, |object| {
            object.string("item_id", &id);
            object.value("output_index", &output);
            match sort {
                Sort::Text | Sort::Refusal => object.value("content_index", &content),
                Sort::Reasoning => object.value("summary_index", &0),
                Sort::Call | Sort::Opaque => {}
            }
            object.string("delta", &text);
            if sort == Sort::Text {
                object.raw("logprobs", "[]");
            }
        });
    }

    /// Ends an item, once.
    fn close(&mut self, out: &mut Vec<u8>, at: usize) {
        let own = self.is_own();
        let Some(item) = self.items.get_mut(at).filter(|item| item.open) else { return };
        item.open = false;
        let (sort, text) = (item.sort, item.text.clone());
        let last_of_message = self.items.get(at + 1).is_none_or(|next| next.content == 0);
        let (done, member) = match sort {
            Sort::Text => ("response.output_text.done", "text"),
            Sort::Refusal => ("response.refusal.done", "refusal"),
            Sort::Reasoning => ("response.reasoning_summary_text.done", "text"),
            Sort::Call => ("response.function_call_arguments.done", "arguments"),
            Sort::Opaque => ("", ""),
        };
        let Some(item) = self.items.get(at) else { return };
        let (place, output) = (item.places(), item.output);
        let mut part = Vec::new();
        let summarised = sort == Sort::Reasoning && !text.is_empty();
        if sort == Sort::Reasoning {
            write_summary(&mut part, &text);
        } else {
            item.write_part(&mut part, &text);
        }
        let mut whole = Vec::new();
        self.write_item(&mut whole, at, own);
        let raw = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        if !done.is_empty() && (sort != Sort::Reasoning || summarised) {
            self.send(out, done, |object| {
                place(object);
                object.string(member, &text);
                if sort == Sort::Text {
                    object.raw("logprobs", "[]");
                }
            });
            let kind = match sort {
                Sort::Text | Sort::Refusal => Some("response.content_part.done"),
                Sort::Reasoning => Some("response.reasoning_summary_part.done"),
                Sort::Call | Sort::Opaque => None,
            };
            if let Some(kind) = kind {
                self.send(out, kind, |object| {
                    place(object);
                    object.raw("part", &raw(&part));
                });
            }
        }
        if last_of_message {
            self.send(out, "response.output_item.done", |object| {
                object.value("output_index", &output);
                object.raw("item", &raw(&whole));
            });
        }
    }

    /// The item with all its parts.
    fn write_item(&self, out: &mut Vec<u8>, at: usize, own: bool) {
        let Some(item) = self.items.get(at) else { return };
        if !item.is_said() {
            return item.write(out, "completed", own);
        }
        let first = at - item.content.min(at);
        let mut object = ObjectWriter::open(out);
        if let Some(first) = self.items.get(first) {
            first.tell(&mut object, "message", "completed", own);
        }
        let parts = self.items.get(first..=at).unwrap_or_default();
        write_array(object.key("content"), parts, |out, part| part.write_part(out, &part.text));
        object.close();
    }

    fn end(&mut self, out: &mut Vec<u8>) {
        if self.ended {
            return;
        }
        self.ended = true;
        for at in 0..self.items.len() {
            self.close(out, at);
        }
        let choice = self.fold.response().choices.iter().find(|choice| choice.index == 0);
        let (status, _) = words::status(choice.and_then(|choice| choice.stop.as_ref()));
        let kind = if status == "incomplete" { "response.incomplete" } else { "response.completed" };
        let mut response = Vec::with_capacity(1024);
        answer::write(&mut response, self.fold.response(), &self.wanted, &mut self.losses);
        self.send(out, kind, |object| object.raw("response", &String::from_utf8_lossy(&response)));
    }
}

fn told_id(told: &Raw) -> Option<String> {
    let mut object = crate::json::Object::from_raw(told.value()).ok()?;
    object.string("id").ok()?.map(std::borrow::Cow::into_owned)
}

impl Sort {
    fn is_said(self) -> bool {
        matches!(self, Sort::Text | Sort::Refusal)
    }
}

impl Item {
    fn is_said(&self) -> bool {
        self.sort.is_said()
    }

    fn place(&self, object: &mut ObjectWriter<'_>) {
        object.string("item_id", &self.id);
        object.value("output_index", &self.output);
        object.value("content_index", &self.content);
    }

    fn summary_place(&self, object: &mut ObjectWriter<'_>) {
        object.string("item_id", &self.id);
        object.value("output_index", &self.output);
        object.value("summary_index", &0);
    }

    /// Writes where it is, later.
    fn places(&self) -> impl Fn(&mut ObjectWriter<'_>) + use<> {
        let (id, output, content, sort) = (self.id.clone(), self.output, self.content, self.sort);
        move |object| {
            object.string("item_id", &id);
            object.value("output_index", &output);
            match sort {
                Sort::Text | Sort::Refusal => object.value("content_index", &content),
                Sort::Reasoning => object.value("summary_index", &0),
                Sort::Call | Sort::Opaque => {}
            }
        }
    }

    fn tell(&self, object: &mut ObjectWriter<'_>, kind: &str, status: &str, own: bool) {
        match &self.told {
            Some(told) if own => write_members(object, told),
            _ => {
                object.string("type", kind);
                object.string("id", &self.id);
                object.string("status", status);
                if kind == "message" {
                    object.string("role", "assistant");
                }
            }
        }
    }

    fn write(&self, out: &mut Vec<u8>, status: &str, own: bool) {
        if let Some(opaque) = &self.opaque {
            return out.extend_from_slice(opaque.text().as_bytes());
        }
        let mut object = ObjectWriter::open(out);
        match self.sort {
            Sort::Text | Sort::Refusal => {
                self.tell(&mut object, "message", status, own);
                object.raw("content", "[]");
            }
            Sort::Reasoning => {
                self.tell(&mut object, "reasoning", status, own);
                if !(own && self.told.is_some()) {
                    let texts: &[&str] = if self.text.is_empty() { &[] } else { &[&self.text] };
                    write_array(object.key("summary"), texts, |out, text| write_summary(out, text));
                }
                if !self.seal.is_empty() && status != "in_progress" {
                    object.string("encrypted_content", unseal(&self.seal).1);
                }
            }
            Sort::Call => {
                self.tell(&mut object, "function_call", status, own);
                object.string("call_id", &self.call.0);
                object.string("name", &self.call.1);
                object.string("arguments", &self.text);
            }
            Sort::Opaque => {}
        }
        object.close();
    }

    fn write_part(&self, out: &mut Vec<u8>, text: &str) {
        let mut object = ObjectWriter::open(out);
        if self.sort == Sort::Refusal {
            object.string("type", "refusal");
            object.string("refusal", text);
        } else {
            object.string("type", "output_text");
            object.string("text", text);
            object.raw("annotations", "[]");
            object.raw("logprobs", "[]");
        }
        object.close();
    }
}

impl Writer for StreamWriter {
    fn event(&mut self, event: &Event<'_>, out: &mut Vec<u8>) {
        self.fold.event(event);
        match event {
            Event::Start { .. } => self.begin(out),
            Event::PartStart { choice: 0, index, part, ext } => {
                let told = ext.0.iter().find(|(name, _)| name == ITEM).map(|(_, raw)| raw.to_owned());
                self.open(out, *index, part, told);
            }
            Event::PartDelta { choice: 0, index, delta } => self.delta(out, *index, delta),
            Event::PartStop { choice: 0, index } => {
                // A call of another dialect may still get arguments after its end.
                let at = self.items.iter().position(|item| item.index == *index);
                if let Some(at) = at.filter(|_| self.is_own()) {
                    self.close(out, at);
                }
            }
            Event::Fault(fault) => {
                self.ended = true;
                self.send(out, "error", |object| {
                    object.string("code", error_code(fault));
                    object.string("message", &error_message(fault, ""));
                    match &fault.param {
                        Some(param) => object.string("param", param),
                        None => object.raw("param", "null"),
                    }
                });
            }
            Event::End => self.end(out),
            Event::PartStart { .. }
            | Event::PartDelta { .. }
            | Event::PartStop { .. }
            | Event::Logprobs { .. }
            | Event::ChoiceStop { .. }
            | Event::Usage { .. }
            | Event::Ext { .. } => {}
        }
    }

    fn losses(&self) -> &Losses {
        &self.losses
    }
}

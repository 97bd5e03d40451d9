//! Streamed answers: events to chunks.

use super::{
    fault::write_event,
    whole_writer::{not_understood, reasoning_detail, redacted_detail},
    words,
};
use crate::{
    Dialect, Losses, Wanted, Writer,
    ir::{Event, Ext, PartDelta, PartStart, Place, Usage},
    json::{ObjectWriter, one_line, write_string},
    seal,
};

/// Writes chunks.
pub(super) struct StreamWriter {
    wanted: Wanted,
    own: bool,
    /// What every chunk begins with.
    head: Vec<u8>,
    choices: Vec<Choice>,
    usage: Option<(Usage, Ext)>,
    ended: bool,
    losses: Losses,
}

/// What was written of one choice.
struct Choice {
    number: u32,
    parts: Vec<(u32, Sort)>,
    calls: u32,
    spoke: bool,
}

#[derive(Clone, PartialEq, Eq)]
enum Sort {
    Text,
    Refusal,
    /// The member under which its server writes it.
    Reasoning(String),
    Call(u32),
    Left,
}

impl StreamWriter {
    pub(super) fn new(wanted: Wanted) -> StreamWriter {
        let own = wanted.source == Dialect::OpenaiChat;
        StreamWriter {
            wanted,
            own,
            head: Vec::new(),
            choices: Vec::new(),
            usage: None,
            ended: false,
            losses: Losses::default(),
        }
    }

    /// Writes one chunk with one choice, whose members `write` adds.
    fn chunk(&mut self, out: &mut Vec<u8>, choice: u32, finish: Option<&str>, delta: &[u8]) {
        out.extend_from_slice(b"data: ");
        out.extend_from_slice(&self.head);
        out.extend_from_slice(b",\"choices\":[{\"index\":");
        out.extend_from_slice(choice.to_string().as_bytes());
        out.extend_from_slice(b",\"delta\":{");
        let known = self.choices.iter_mut().find(|known| known.number == choice);
        let first = known.is_some_and(|known| !std::mem::replace(&mut known.spoke, true));
        if first {
            out.extend_from_slice(b"\"role\":\"assistant\"");
            if !delta.is_empty() {
                out.push(b',');
            }
        }
        out.extend_from_slice(delta);
        out.extend_from_slice(b"},\"logprobs\":null,\"finish_reason\":");
        match finish {
            Some(reason) => write_string(out, reason),
            None => out.extend_from_slice(b"null"),
        }
        out.extend_from_slice(b"}]");
        if self.wanted.include_usage {
            out.extend_from_slice(b",\"usage\":null");
        }
        out.extend_from_slice(b"}\n\n");
    }

    /// A chunk whose delta has one text member.
    fn text(&mut self, out: &mut Vec<u8>, choice: u32, member: &str, text: &str) {
        let mut delta = Vec::with_capacity(text.len() + 32);
        write_string(&mut delta, member);
        delta.push(b':');
        write_string(&mut delta, text);
        self.chunk(out, choice, None, &delta);
    }

    fn choice(&mut self, number: u32) -> &mut Choice {
        let at = match self.choices.iter().position(|choice| choice.number == number) {
            Some(at) => at,
            None => {
                self.choices.push(Choice { number, parts: Vec::new(), calls: 0, spoke: false });
                self.choices.len() - 1
            }
        };
        &mut self.choices[at]
    }

    fn start(
        &mut self,
        out: &mut Vec<u8>,
        choice: u32,
        index: u32,
        part: &PartStart<'_>,
        member: Option<&str>,
    ) {
        let sort = match part {
            PartStart::Text => Sort::Text,
            PartStart::Refusal => Sort::Refusal,
            PartStart::Reasoning => Sort::Reasoning(member.unwrap_or("reasoning_content").to_owned()),
            PartStart::RedactedReasoning { bytes } => {
                let detail = redacted_detail(&seal::mark(bytes, self.wanted.source, Dialect::OpenaiChat));
                self.detail(out, choice, &detail);
                Sort::Left
            }
            PartStart::ToolCall { id, name } => {
                let number = self.choice(choice).calls;
                self.choice(choice).calls += 1;
                let delta = call_opening(number, id, name);
                self.chunk(out, choice, None, &delta);
                Sort::Call(number)
            }
            PartStart::Opaque { name, .. } => {
                self.losses.dropped(format!("response.content.{name}"), "chat completions have no such part");
                Sort::Left
            }
        };
        self.choice(choice).parts.push((index, sort));
    }

    fn detail(&mut self, out: &mut Vec<u8>, choice: u32, detail: &[u8]) {
        let mut delta = b"\"reasoning_details\":[".to_vec();
        delta.extend_from_slice(detail);
        delta.push(b']');
        self.chunk(out, choice, None, &delta);
    }

    fn delta(&mut self, out: &mut Vec<u8>, choice: u32, index: u32, delta: &PartDelta<'_>) {
        let parts = &self.choice(choice).parts;
        let sort = parts.iter().find(|(known, _)| *known == index).map(|(_, sort)| sort.clone());
        match (delta, sort.unwrap_or(Sort::Left)) {
            (PartDelta::Text(text), Sort::Text) => self.text(out, choice, "content", text),
            (PartDelta::Text(text), Sort::Refusal) => self.text(out, choice, "refusal", text),
            (PartDelta::Text(text), Sort::Reasoning(member)) => self.text(out, choice, &member, text),
            (PartDelta::Arguments(text), Sort::Call(number)) => {
                let mut delta = format!("\"tool_calls\":[{{\"index\":{number},\"function\":{{\"arguments\":")
                    .into_bytes();
                write_string(&mut delta, text);
                delta.extend_from_slice(b"}}]");
                self.chunk(out, choice, None, &delta);
            }
            (PartDelta::Signature(signature), Sort::Reasoning(_)) => {
                let seal = seal::mark(signature, self.wanted.source, Dialect::OpenaiChat);
                let detail = reasoning_detail("", &seal);
                self.detail(out, choice, &detail);
            }
            (PartDelta::Annotation(_), _) => {
                self.losses.dropped("response.content.citations", "chat completions carry no citations");
            }
            (
                PartDelta::Text(_) | PartDelta::Arguments(_) | PartDelta::Signature(_) | PartDelta::Opaque(_),
                _,
            ) => {}
        }
    }

    fn end(&mut self, out: &mut Vec<u8>) {
        if self.ended {
            return;
        }
        self.ended = true;
        if let Some((usage, ext)) = self.usage.take().filter(|_| self.wanted.include_usage) {
            out.extend_from_slice(b"data: ");
            out.extend_from_slice(&self.head);
            out.extend_from_slice(b",\"choices\":[],\"usage\":");
            let start = out.len();
            words::write_usage(out, &usage, self.own.then_some(&ext));
            one_line(out.get_mut(start..).unwrap_or_default());
            out.extend_from_slice(b"}\n\n");
        }
        out.extend_from_slice(b"data: [DONE]\n\n");
    }
}

impl Writer for StreamWriter {
    fn event(&mut self, event: &Event<'_>, out: &mut Vec<u8>) {
        match event {
            Event::Start { id, model, created_s } => {
                self.head = head(id, model, created_s.unwrap_or(self.wanted.now_s));
                self.choice(0);
            }
            Event::PartStart { choice, index, part, ext } => {
                let member = ext.0.iter().find(|(name, _)| name == "member").map(|(_, raw)| raw.text());
                self.start(out, *choice, *index, part, member.map(|text| text.trim_matches('"')));
            }
            Event::PartDelta { choice, index, delta } => self.delta(out, *choice, *index, delta),
            Event::PartStop { .. } => {}
            Event::Logprobs { choice, logprobs } if self.own => {
                out.extend_from_slice(b"data: ");
                out.extend_from_slice(&self.head);
                let rest = format!(",\"choices\":[{{\"index\":{choice},\"delta\":{{}},\"logprobs\":");
                out.extend_from_slice(rest.as_bytes());
                let start = out.len();
                out.extend_from_slice(logprobs.text().as_bytes());
                one_line(out.get_mut(start..).unwrap_or_default());
                out.extend_from_slice(b",\"finish_reason\":null}]}\n\n");
            }
            Event::Logprobs { .. } => {
                self.losses.dropped("response.logprobs", "log probabilities of another dialect");
            }
            Event::ChoiceStop { choice, stop } => {
                let reason = if self.own { stop.raw.as_str() } else { words::finish_reason(stop) };
                self.choice(*choice);
                self.chunk(out, *choice, Some(reason), b"");
            }
            Event::Usage { usage, ext } => {
                let (sum, kept) = self.usage.get_or_insert_default();
                sum.merge(usage);
                kept.merge(ext);
                if !self.own {
                    self.losses.usage_ext(&not_understood(&ext.to_owned()));
                }
            }
            Event::Ext { place: Place::Echo, .. } => {}
            Event::Ext { place, ext } => {
                if self.own {
                    self.ext(out, *place, &ext.to_owned());
                } else {
                    self.losses.ext("response", &ext.to_owned());
                }
            }
            Event::Fault(fault) => {
                self.ended = true;
                write_event(out, fault);
            }
            Event::End => self.end(out),
        }
    }

    fn losses(&self) -> &Losses {
        &self.losses
    }
}

impl StreamWriter {
    /// Members of the same dialect go out in a chunk of their own, at the place where they stood.
    fn ext(&mut self, out: &mut Vec<u8>, place: Place, ext: &Ext) {
        let mut members = Vec::new();
        let mut object = ObjectWriter::open(&mut members);
        // What a whole answer calls itself; chunks have a name of their own.
        let told = ext.0.iter().filter(|(name, _)| name != "object");
        object.ext(&Ext(told.cloned().collect()));
        object.close();
        one_line(&mut members);
        let inner = members.get(1..members.len().saturating_sub(1)).unwrap_or_default();
        if inner.is_empty() {
            return;
        }
        match place {
            Place::Message(choice) => {
                self.choice(choice);
                self.chunk(out, choice, None, inner);
            }
            Place::Choice(choice) => {
                out.extend_from_slice(b"data: ");
                out.extend_from_slice(&self.head);
                out.extend_from_slice(
                    format!(",\"choices\":[{{\"index\":{choice},\"delta\":{{}},").as_bytes(),
                );
                out.extend_from_slice(inner);
                out.extend_from_slice(b",\"finish_reason\":null}]}\n\n");
            }
            Place::Response | Place::Echo => {
                out.extend_from_slice(b"data: ");
                out.extend_from_slice(&self.head);
                out.extend_from_slice(b",\"choices\":[],");
                out.extend_from_slice(inner);
                out.extend_from_slice(b"}\n\n");
            }
        }
    }
}

/// An object that is left open.
fn head(id: &str, model: &str, created_s: i64) -> Vec<u8> {
    let mut head = Vec::with_capacity(128);
    let mut object = ObjectWriter::open(&mut head);
    object.string("id", id);
    object.string("object", "chat.completion.chunk");
    object.value("created", &created_s);
    object.string("model", model);
    head
}

fn call_opening(number: u32, id: &str, name: &str) -> Vec<u8> {
    let mut delta = format!("\"tool_calls\":[{{\"index\":{number},\"id\":").into_bytes();
    write_string(&mut delta, id);
    delta.extend_from_slice(b",\"type\":\"function\",\"function\":{\"name\":");
    write_string(&mut delta, name);
    delta.extend_from_slice(b",\"arguments\":\"\"}}]");
    delta
}

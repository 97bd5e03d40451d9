//! Streamed answers: events to bytes. Each chunk is a whole answer with what is new
//! (<https://ai.google.dev/api/generate-content#method:-models.streamgeneratecontent>).

use super::{
    fault::write_error,
    notes::{NONE, noted, write_rest},
    signature::wrapped,
    tell::{Teller, thought, write_content},
    usage, words,
};
use crate::{
    Losses, Wanted, Writer, crossing,
    ir::{Event, Ext, Part, PartDelta, PartKind, PartStart, Place, Stop, StopReason, Usage},
    json::{ObjectWriter, Raw, one_line, write_array},
};

/// Writes one stream.
pub(super) struct StreamWriter {
    wanted: Wanted,
    own: bool,
    id: String,
    model: String,
    candidates: Vec<Candidate>,
    usage: Usage,
    usage_ext: Ext,
    counted: bool,
    ext: Ext,
    /// Something was written: what follows in an array begins with a comma.
    begun: bool,
    ended: bool,
    losses: Losses,
}

struct Candidate {
    index: u32,
    teller: Teller,
    /// Parts that are open, by their number.
    open: Vec<Open>,
    message_ext: Ext,
    ext: Ext,
    logprobs: Option<Raw>,
    stop: Option<Stop>,
    /// Something of it was told.
    told: bool,
}

/// A part that is told when it ends, or whose text is told as it comes.
struct Open {
    index: u32,
    part: Part,
    said: bool,
    signature: Option<String>,
}

impl StreamWriter {
    pub(super) fn new(wanted: Wanted) -> StreamWriter {
        StreamWriter {
            own: wanted.source == crate::Dialect::Gemini,
            wanted,
            id: String::new(),
            model: String::new(),
            candidates: Vec::new(),
            usage: Usage::default(),
            usage_ext: Ext::default(),
            counted: false,
            ext: Ext::default(),
            begun: false,
            ended: false,
            losses: Losses::default(),
        }
    }

    fn at(&mut self, index: u32) -> usize {
        if let Some(at) = self.candidates.iter().position(|known| known.index == index) {
            return at;
        }
        self.candidates.push(Candidate {
            index,
            teller: Teller::new(self.wanted.source),
            open: Vec::new(),
            message_ext: Ext::default(),
            ext: Ext::default(),
            logprobs: None,
            stop: None,
            told: false,
        });
        self.candidates.len() - 1
    }

    fn start(&mut self, choice: u32, index: u32, part: &PartStart<'_>, ext: Ext, out: &mut Vec<u8>) {
        let at = self.at(choice);
        let kind = match part {
            PartStart::Text => PartKind::Text { text: String::new(), annotations: Vec::new() },
            PartStart::Refusal => PartKind::Refusal { text: String::new() },
            PartStart::Reasoning => PartKind::Reasoning { text: String::new(), signature: None },
            PartStart::RedactedReasoning { bytes } => {
                let told = self.candidates.get_mut(at).and_then(|one| one.teller.sealed(bytes));
                return self.told(at, told, out);
            }
            PartStart::ToolCall { id, name } => PartKind::ToolCall {
                id: id.clone().into_owned(),
                name: name.clone().into_owned(),
                arguments: String::new(),
            },
            PartStart::Opaque { name, value } => {
                PartKind::Opaque { name: name.clone().into_owned(), value: value.to_owned() }
            }
        };
        if !self.own {
            self.losses.answer_ext("response.content", &ext);
        }
        let part = Part { kind, cache: None, ext };
        if let Some(candidate) = self.candidates.get_mut(at) {
            candidate.open.push(Open { index, part, said: false, signature: None });
        }
    }

    fn delta(&mut self, choice: u32, index: u32, delta: &PartDelta<'_>, out: &mut Vec<u8>) {
        let (at, own) = (self.at(choice), self.own);
        let Some(candidate) = self.candidates.get_mut(at) else { return };
        let Candidate { teller, open, .. } = candidate;
        let Some(open) = open.iter_mut().find(|open| open.index == index) else {
            return self.losses.dropped("response.content", "more of a part that has ended");
        };
        let ext = if own && !open.said { &open.part.ext } else { &NONE };
        let told = match (&mut open.part.kind, delta) {
            (PartKind::Text { .. } | PartKind::Refusal { .. }, PartDelta::Text(text)) => {
                Some(teller.text(text, ext))
            }
            (PartKind::Reasoning { .. }, PartDelta::Text(text)) => Some(thought(text, None, ext)),
            (PartKind::Reasoning { .. }, PartDelta::Signature(seal)) => {
                open.signature = Some(wrapped(seal, self.wanted.source));
                None
            }
            (PartKind::ToolCall { arguments, .. }, PartDelta::Arguments(more)) => {
                arguments.push_str(more);
                None
            }
            (PartKind::Opaque { value, .. }, PartDelta::Opaque(later)) => {
                *value = later.to_owned();
                None
            }
            (PartKind::Text { .. }, PartDelta::Annotation(_)) => {
                return self.losses.dropped("response.content.annotations", "annotations of another dialect");
            }
            // A delta that does not fit its part was reported by the reader.
            _ => None,
        };
        open.said |= told.is_some();
        self.told(at, told, out);
    }

    /// Tells what is left of a part. A call of another dialect may still get arguments after its end.
    fn stop(&mut self, choice: u32, index: u32, last: bool, out: &mut Vec<u8>) {
        let (at, own) = (self.at(choice), self.own);
        let Some(candidate) = self.candidates.get_mut(at) else { return };
        let found = candidate.open.iter().position(|open| open.index == index);
        let waits = |open: &Open| !own && !last && matches!(open.part.kind, PartKind::ToolCall { .. });
        let Some(open) = found.filter(|found| !candidate.open.get(*found).is_some_and(waits)) else { return };
        let open = candidate.open.remove(open);
        let told = match &open.part.kind {
            PartKind::Text { .. } | PartKind::Refusal { .. } if open.said => None,
            PartKind::Reasoning { .. } => {
                let ext = if own && !open.said { &open.part.ext } else { &NONE };
                (open.signature.is_some() || !open.said).then(|| thought("", open.signature, ext))
            }
            _ => candidate.teller.part(&open.part, &mut self.losses),
        };
        self.told(at, told, out);
    }

    /// Writes a chunk with one part.
    fn told(&mut self, at: usize, told: Option<Vec<u8>>, out: &mut Vec<u8>) {
        let Some(part) = told else { return };
        let Some(candidate) = self.candidates.get_mut(at) else { return };
        candidate.told = true;
        let Some(candidate) = self.candidates.get(at) else { return };
        let mut chunk = Vec::with_capacity(part.len() + 128);
        let mut object = ObjectWriter::open(&mut chunk);
        write_array(object.key("candidates"), [part], |out, part| {
            let mut one = ObjectWriter::open(out);
            let message = self.own.then_some(&candidate.message_ext);
            write_content(one.key("content"), &[part], message);
            write_index(&mut one, candidate, self.own);
            one.close();
        });
        self.names(&mut object);
        object.close();
        self.frame(chunk, out);
    }

    fn names(&self, object: &mut ObjectWriter<'_>) {
        for (name, value) in [("modelVersion", &self.model), ("responseId", &self.id)] {
            if !value.is_empty() {
                object.string(name, value);
            }
        }
    }

    fn frame(&mut self, mut chunk: Vec<u8>, out: &mut Vec<u8>) {
        one_line(&mut chunk);
        if self.wanted.as_array {
            out.extend_from_slice(if self.begun { b",\r\n" } else { b"[" });
            out.extend_from_slice(&chunk);
        } else {
            out.extend_from_slice(b"data: ");
            out.extend_from_slice(&chunk);
            out.extend_from_slice(b"\r\n\r\n");
        }
        self.begun = true;
    }

    /// The last chunk: why each candidate ended, what is said beside, and the usage.
    fn end(&mut self, out: &mut Vec<u8>) {
        if self.ended {
            return;
        }
        self.ended = true;
        let open: Vec<(u32, u32)> = self
            .candidates
            .iter()
            .flat_map(|one| one.open.iter().map(|open| (one.index, open.index)))
            .collect();
        for (choice, index) in open {
            self.stop(choice, index, true, out);
        }
        if self.candidates.is_empty() && !self.own {
            self.at(0);
        }
        let mut chunk = Vec::with_capacity(256);
        let mut object = ObjectWriter::open(&mut chunk);
        let blocked = self.own && self.ext.get("promptFeedback").is_some();
        let told: Vec<&Candidate> = self.candidates.iter().filter(|one| !blocked || one.said()).collect();
        if !told.is_empty() {
            let (own, losses) = (self.own, &mut self.losses);
            write_array(object.key("candidates"), told, |out, candidate| {
                last_candidate(out, candidate, own, losses);
            });
        }
        if self.counted || !self.own {
            let ext = self.own.then_some(&self.usage_ext);
            usage::write(object.key("usageMetadata"), &self.usage, ext);
        }
        self.names(&mut object);
        if self.own {
            write_rest(&mut object, &self.ext, &[]);
        } else {
            usage::losses(&self.usage, &self.usage_ext, &mut self.losses);
        }
        object.close();
        self.frame(chunk, out);
        if self.wanted.as_array {
            out.push(b']');
        }
    }
}

impl Candidate {
    fn said(&self) -> bool {
        self.told || !self.message_ext.is_empty()
    }
}

fn write_index(object: &mut ObjectWriter<'_>, candidate: &Candidate, own: bool) {
    if !own || noted(&candidate.ext, "index").is_some() {
        object.value("index", &candidate.index);
    }
}

fn last_candidate(out: &mut Vec<u8>, candidate: &Candidate, own: bool, losses: &mut Losses) {
    let mut object = ObjectWriter::open(out);
    match &candidate.stop {
        Some(stop) if own => words::write_reason(&mut object, &stop.raw),
        Some(stop) => {
            object.string("finishReason", words::finish_reason(stop.reason));
            if stop.reason == StopReason::Other {
                losses.approximated("response.choices[0].finish_reason", "a word that is not known");
            }
        }
        None if own => {}
        None => object.string("finishReason", words::finish_reason(StopReason::End)),
    }
    write_index(&mut object, candidate, own);
    if own {
        // Without a part of its own the message would be told nowhere else.
        if !candidate.told && !candidate.message_ext.is_empty() {
            write_content(object.key("content"), &[], Some(&candidate.message_ext));
        }
        if let Some(logprobs) = &candidate.logprobs {
            object.raw("logprobsResult", logprobs.text());
        }
        write_rest(&mut object, &candidate.ext, &[]);
    } else {
        // Google's last chunk holds an empty text where there is nothing more to say: its SDKs' chats forget the turn
        // of a stream in which a chunk holds no content.
        write_content(object.key("content"), &[br#"{"text":""}"#.to_vec()], None);
    }
    object.close();
}

impl Writer for StreamWriter {
    fn event(&mut self, event: &Event<'_>, out: &mut Vec<u8>) {
        match event {
            Event::Start { id, model, .. } => {
                self.id = id.clone().into_owned();
                self.model = model.clone().into_owned();
            }
            Event::PartStart { choice, index, part, ext } => {
                self.start(*choice, *index, part, ext.to_owned(), out);
            }
            Event::PartDelta { choice, index, delta } => self.delta(*choice, *index, delta, out),
            Event::PartStop { choice, index } => self.stop(*choice, *index, false, out),
            Event::Logprobs { choice, logprobs } => {
                if self.own {
                    let at = self.at(*choice);
                    if let Some(candidate) = self.candidates.get_mut(at) {
                        candidate.logprobs = Some(logprobs.to_owned());
                    }
                } else {
                    self.losses.dropped("response.logprobs", "log probabilities of another dialect");
                }
            }
            Event::ChoiceStop { choice, stop } => {
                let at = self.at(*choice);
                if let Some(candidate) = self.candidates.get_mut(at) {
                    candidate.stop = Some(stop.clone());
                }
            }
            Event::Usage { usage, ext } => {
                self.usage.merge(usage);
                self.usage_ext.merge(ext);
                self.counted = true;
            }
            Event::Ext { place: Place::Choice(choice), ext } if self.own => {
                let at = self.at(*choice);
                if let Some(candidate) = self.candidates.get_mut(at) {
                    candidate.ext.merge(ext);
                }
            }
            Event::Ext { place: Place::Message(choice), ext } if self.own => {
                let at = self.at(*choice);
                if let Some(candidate) = self.candidates.get_mut(at) {
                    candidate.message_ext.merge(ext);
                }
            }
            Event::Ext { ext, .. } if self.own => self.ext.merge(ext),
            Event::Ext { place, ext } => crossing::report_ext(*place, ext, &mut self.losses),
            Event::Fault(fault) => {
                self.ended = true;
                let mut chunk = Vec::with_capacity(256);
                write_error(&mut chunk, fault, "");
                self.frame(chunk, out);
                if self.wanted.as_array {
                    out.push(b']');
                }
            }
            Event::End => self.end(out),
        }
    }

    fn losses(&self) -> &Losses {
        &self.losses
    }
}

//! Streamed answers: events to lines.

use super::{
    fault::write_error,
    reader::DATE,
    tell::{self, Head, Said, Told},
    whole_writer::sealed,
    words,
};
use crate::{
    Dialect, Losses, Wanted, Writer, crossing,
    ir::{Event, Ext, PartDelta, PartStart, Place, Stop, Usage},
    json::{Raw, one_line},
};

/// Writes one stream.
pub(super) struct StreamWriter {
    wanted: Wanted,
    told: Told,
    own: bool,
    model: String,
    created_s: i64,
    parts: Vec<Open>,
    calls: u64,
    stop: Option<Stop>,
    usage: Option<Usage>,
    usage_ext: Ext,
    ext: Ext,
    message_ext: Ext,
    logprobs: Option<Raw>,
    ended: bool,
    losses: Losses,
}

/// A part that is open.
struct Open {
    index: u32,
    kind: Kind,
}

enum Kind {
    Text,
    Thought,
    /// A call, which is told whole.
    Call {
        id: String,
        name: String,
        arguments: String,
        ext: Ext,
    },
    /// One that is not told.
    Left,
}

impl StreamWriter {
    pub(super) fn new(wanted: Wanted, told: Told) -> StreamWriter {
        StreamWriter {
            told,
            own: wanted.source == Dialect::Ollama,
            created_s: wanted.now_s,
            wanted,
            model: String::new(),
            parts: Vec::new(),
            calls: 0,
            stop: None,
            usage: None,
            usage_ext: Ext::default(),
            ext: Ext::default(),
            message_ext: Ext::default(),
            logprobs: None,
            ended: false,
            losses: Losses::default(),
        }
    }

    fn start(&mut self, index: u32, part: &PartStart<'_>, ext: Ext) {
        let kind = match part {
            PartStart::Text | PartStart::Refusal => Kind::Text,
            PartStart::Reasoning => Kind::Thought,
            PartStart::RedactedReasoning { bytes } => {
                sealed(Some(bytes), &mut self.losses);
                Kind::Left
            }
            PartStart::ToolCall { id, name } => Kind::Call {
                id: id.clone().into_owned(),
                name: name.clone().into_owned(),
                arguments: String::new(),
                ext,
            },
            PartStart::Opaque { name, .. } => {
                self.losses.dropped(format!("response.content.{name}"), "messages have no such part there");
                Kind::Left
            }
        };
        self.parts.push(Open { index, kind });
    }

    fn delta(&mut self, index: u32, delta: &PartDelta<'_>, out: &mut Vec<u8>) {
        let Some(open) = self.parts.iter_mut().find(|open| open.index == index) else {
            return self.losses.dropped("response.content", "more of a part that has ended");
        };
        match (&mut open.kind, delta) {
            (Kind::Text, PartDelta::Text(text)) => self.line(&Said { text, ..Said::default() }, out),
            (Kind::Thought, PartDelta::Text(text)) => {
                self.line(&Said { thinking: text, ..Said::default() }, out);
            }
            (Kind::Thought, PartDelta::Signature(seal)) => sealed(Some(seal), &mut self.losses),
            (Kind::Call { arguments, .. }, PartDelta::Arguments(more)) => arguments.push_str(more),
            (Kind::Text, PartDelta::Annotation(_)) => {
                self.losses.dropped("response.content.annotations", "annotations of another dialect");
            }
            // What does not fit its part was reported by the reader, or with the part.
            _ => {}
        }
    }

    /// Ends a part. A call of another dialect may still get arguments after its end: it is told at the last.
    fn stop(&mut self, index: u32, last: bool, out: &mut Vec<u8>) {
        let Some(at) = self.parts.iter().position(|open| open.index == index) else { return };
        let waits = !self.own && !last;
        if waits && matches!(self.parts.get(at), Some(Open { kind: Kind::Call { .. }, .. })) {
            return;
        }
        if let Kind::Call { id, name, arguments, ext } = self.parts.remove(at).kind {
            let call = (id.as_str(), name.as_str(), arguments.as_str());
            let told = tell::call(call, &ext, self.calls, self.wanted.source, &mut self.losses);
            self.calls += 1;
            self.line(&Said { calls: &[told], ..Said::default() }, out);
        }
    }

    fn line(&self, said: &Said<'_>, out: &mut Vec<u8>) {
        let start = out.len();
        let mut object = tell::open(out, &self.head(), said, None);
        object.boolean("done", false);
        object.close();
        one_line(out.get_mut(start..).unwrap_or_default());
        out.push(b'\n');
    }

    fn head(&self) -> Head<'_> {
        let StreamWriter { told, model, created_s, .. } = self;
        Head { told: *told, model, date: self.ext.get(DATE), created_s: *created_s }
    }

    fn end(&mut self, out: &mut Vec<u8>) {
        if self.ended {
            return;
        }
        self.ended = true;
        let open: Vec<u32> = self.parts.iter().map(|open| open.index).collect();
        for index in open {
            self.stop(index, true, out);
        }
        let mut losses = std::mem::take(&mut self.losses);
        let said = Said::default();
        let start = out.len();
        let mut object = tell::open(out, &self.head(), &said, self.own.then_some(&self.message_ext));
        if let Some(logprobs) = &self.logprobs {
            match words::logprobs(logprobs, self.wanted.source) {
                Some(list) => object.raw("logprobs", list.text()),
                None => losses.dropped("response.logprobs", "log probabilities of another dialect"),
            }
        }
        let usage = self.usage.unwrap_or_default();
        let counted = (self.usage.is_some() || !self.own).then_some((&usage, &self.usage_ext));
        tell::write_end(&mut object, self.stop.as_ref(), counted, self.own.then_some(&self.ext), &mut losses);
        object.close();
        one_line(out.get_mut(start..).unwrap_or_default());
        out.push(b'\n');
        if !self.own {
            tell::count_losses(&usage, &self.usage_ext, &mut losses);
        }
        self.losses = losses;
    }
}

impl Writer for StreamWriter {
    fn event(&mut self, event: &Event<'_>, out: &mut Vec<u8>) {
        match event {
            Event::Start { model, created_s, .. } => {
                self.model = model.clone().into_owned();
                self.created_s = created_s.unwrap_or(self.created_s);
            }
            Event::PartStart { choice: 0, index, part, ext } => self.start(*index, part, ext.to_owned()),
            Event::PartDelta { choice: 0, index, delta } => self.delta(*index, delta, out),
            Event::PartStop { choice: 0, index } => self.stop(*index, false, out),
            Event::PartStart { choice, .. }
            | Event::PartDelta { choice, .. }
            | Event::PartStop { choice, .. } => {
                self.losses.dropped(format!("response.choices[{choice}]"), "there is one answer there");
            }
            Event::Logprobs { logprobs, .. } => self.logprobs = Some(logprobs.to_owned()),
            Event::ChoiceStop { choice, stop } => {
                if *choice == 0 {
                    self.stop = Some(stop.clone());
                }
            }
            Event::Usage { usage, ext } => {
                self.usage.get_or_insert_with(Usage::default).merge(usage);
                self.usage_ext.merge(ext);
            }
            Event::Ext { place: Place::Message(_), ext } if self.own => self.message_ext.merge(ext),
            Event::Ext { ext, .. } if self.own => self.ext.merge(ext),
            Event::Ext { place, ext } => crossing::report_ext(*place, ext, &mut self.losses),
            Event::Fault(fault) => {
                self.ended = true;
                write_error(out, fault, "");
                out.push(b'\n');
            }
            Event::End => self.end(out),
        }
    }

    fn losses(&self) -> &Losses {
        &self.losses
    }
}

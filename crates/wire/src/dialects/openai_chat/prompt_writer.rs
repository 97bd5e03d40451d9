//! Text completions: events to bytes (<https://platform.openai.com/docs/api-reference/completions/object>). The chunks
//! of a stream have the shape of a whole answer.

use super::{
    fault::{encode_fault, write_event},
    prompt_logprobs::Logprobs,
    whole_writer::not_understood,
    words,
};
use crate::{
    Dialect, Losses, Mode, Wanted, Writer, crossing,
    ir::{Event, Ext, PartDelta, PartStart, Place, Stop, StopReason, Usage},
    json::{ObjectWriter, one_line, write_array},
};

/// Writes one answer.
pub(super) struct TextWriter {
    wanted: Wanted,
    own: bool,
    /// What each choice begins with.
    echo: String,
    id: String,
    model: String,
    created_s: i64,
    choices: Vec<Choice>,
    usage: Option<(Usage, Ext)>,
    ext: Ext,
    ended: bool,
    losses: Losses,
}

/// What is still to be told of a choice, and which of its parts are text.
struct Choice {
    number: u32,
    texts: Vec<u32>,
    text: String,
    logprobs: Logprobs,
    finish: Option<&'static str>,
}

impl TextWriter {
    pub(super) fn new(wanted: Wanted, echo: String) -> TextWriter {
        TextWriter {
            own: wanted.source == Dialect::OpenaiChat,
            created_s: wanted.now_s,
            wanted,
            echo,
            id: String::new(),
            model: String::new(),
            choices: Vec::new(),
            usage: None,
            ext: Ext::default(),
            ended: false,
            losses: Losses::default(),
        }
    }

    fn choice(&mut self, number: u32) -> &mut Choice {
        let at = match self.choices.iter().position(|choice| choice.number == number) {
            Some(at) => at,
            None => {
                let text = self.echo.clone();
                let logprobs = Logprobs::after(text.chars().count());
                self.choices.push(Choice { number, texts: Vec::new(), text, logprobs, finish: None });
                self.choices.len() - 1
            }
        };
        &mut self.choices[at]
    }

    fn start(&mut self, choice: u32, index: u32, part: &PartStart<'_>) {
        match part {
            PartStart::Text | PartStart::Refusal => self.choice(choice).texts.push(index),
            PartStart::Reasoning | PartStart::RedactedReasoning { .. } => {
                self.losses.dropped("response.reasoning", "text completions have no place for thoughts");
            }
            PartStart::ToolCall { .. } => {
                self.losses.dropped("response.tool_calls", "text completions call no tools");
            }
            PartStart::Opaque { name, .. } => {
                self.losses.dropped(format!("response.content.{name}"), "text completions have no such part");
            }
        }
    }

    fn delta(&mut self, choice: u32, index: u32, delta: &PartDelta<'_>) {
        match delta {
            PartDelta::Text(text) => {
                let choice = self.choice(choice);
                if choice.texts.contains(&index) {
                    choice.text.push_str(text);
                }
            }
            PartDelta::Annotation(_) => {
                self.losses.dropped("response.content.citations", "text completions carry no citations");
            }
            // They belong to parts that are not told.
            PartDelta::Arguments(_) | PartDelta::Signature(_) | PartDelta::Opaque(_) => {}
        }
    }

    /// Opens an answer, or a chunk of one.
    fn open<'b>(&self, out: &'b mut Vec<u8>) -> ObjectWriter<'b> {
        let mut object = ObjectWriter::open(out);
        object.string("id", &self.id);
        object.string("object", "text_completion");
        object.value("created", &self.created_s);
        object.string("model", &self.model);
        object
    }

    /// On a stream, what there is to tell of a choice.
    fn chunk(&mut self, number: u32, out: &mut Vec<u8>) {
        if self.wanted.mode == Mode::Whole {
            return;
        }
        let mut told = Vec::new();
        self.choice(number).write(&mut told);
        let start = out.len();
        out.extend_from_slice(b"data: ");
        let mut object = self.open(out);
        write_array(object.key("choices"), [told], |out, choice| out.extend_from_slice(&choice));
        if self.wanted.include_usage {
            object.raw("usage", "null");
        }
        object.ext(&self.ext);
        object.close();
        one_line(out.get_mut(start..).unwrap_or_default());
        out.extend_from_slice(b"\n\n");
    }

    fn end(&mut self, out: &mut Vec<u8>) {
        if std::mem::replace(&mut self.ended, true) {
            return;
        }
        let (whole, start) = (self.wanted.mode == Mode::Whole, out.len());
        if whole || (self.wanted.include_usage && self.usage.is_some()) {
            if !whole {
                out.extend_from_slice(b"data: ");
            }
            let mut choices = std::mem::take(&mut self.choices);
            let told = if whole { choices.as_mut_slice() } else { &mut [] };
            let mut object = self.open(out);
            write_array(object.key("choices"), told, |out, choice| choice.write(out));
            if let Some((usage, ext)) = &self.usage {
                words::write_usage(object.key("usage"), usage, self.own.then_some(ext));
            }
            object.ext(&self.ext);
            object.close();
        }
        if !whole {
            one_line(out.get_mut(start..).unwrap_or_default());
            out.extend_from_slice(if out.len() > start { b"\n\n" } else { b"" });
            out.extend_from_slice(b"data: [DONE]\n\n");
        }
    }
}

impl Choice {
    fn write(&mut self, out: &mut Vec<u8>) {
        let mut object = ObjectWriter::open(out);
        object.string("text", &std::mem::take(&mut self.text));
        object.value("index", &self.number);
        self.logprobs.write(object.key("logprobs"));
        match self.finish {
            Some(reason) => object.string("finish_reason", reason),
            None => object.raw("finish_reason", "null"),
        }
        object.close();
    }
}

impl Writer for TextWriter {
    fn event(&mut self, event: &Event<'_>, out: &mut Vec<u8>) {
        match event {
            Event::Start { id, model, created_s } => {
                (self.id, self.model) = (id.clone().into_owned(), model.clone().into_owned());
                self.created_s = created_s.unwrap_or(self.created_s);
            }
            Event::PartStart { choice, index, part, .. } => self.start(*choice, *index, part),
            Event::PartDelta { choice, index, delta } => {
                self.delta(*choice, *index, delta);
                if !self.choice(*choice).text.is_empty() {
                    self.chunk(*choice, out);
                }
            }
            Event::PartStop { .. } => {}
            Event::Logprobs { choice, logprobs } => {
                if self.choice(*choice).logprobs.add(logprobs) {
                    self.chunk(*choice, out);
                } else {
                    self.losses.dropped("response.logprobs", "log probabilities of another dialect");
                }
            }
            Event::ChoiceStop { choice, stop } => {
                self.choice(*choice).finish = Some(finish_reason(stop));
                self.chunk(*choice, out);
            }
            Event::Usage { usage, ext } => {
                let (sum, kept) = self.usage.get_or_insert_default();
                sum.merge(usage);
                kept.merge(ext);
                if !self.own {
                    self.losses.usage_ext(&not_understood(&ext.to_owned()));
                }
            }
            Event::Ext { place: Place::Response, ext } if self.own => {
                self.ext.merge(ext);
                self.ext.0.retain(|(name, _)| name != "object");
            }
            Event::Ext { place, ext } => crossing::report_ext(*place, ext, &mut self.losses),
            Event::Fault(fault) if self.wanted.mode == Mode::Whole => {
                out.extend_from_slice(&encode_fault(fault, "").json);
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

/// Text completions know three ends.
fn finish_reason(stop: &Stop) -> &'static str {
    match stop.reason {
        StopReason::ToolCalls => "stop",
        StopReason::End
        | StopReason::StopText
        | StopReason::Length
        | StopReason::ContentFilter
        | StopReason::Refusal
        | StopReason::Pause
        | StopReason::Other => words::finish_reason(stop),
    }
}

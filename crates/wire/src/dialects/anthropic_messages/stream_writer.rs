//! Streamed answers: events of the representation to events of the wire, in the order that clients rely on
//! (<https://docs.anthropic.com/en/docs/build-with-claude/streaming>): one block after the other, each closed before
//! the next opens, and the usage behind all of them.

use super::{block_writer::Blocks, event::event, fault::write_error, paths, usage, words};
use crate::{
    Dialect, Losses, Wanted, Writer,
    ir::{Event, Ext, Place, Stop, StopReason, Usage},
    json::ObjectWriter,
};

/// Writes events.
pub(super) struct StreamWriter {
    source: Dialect,
    own: bool,
    start: Start,
    blocks: Blocks,
    stop: Option<Stop>,
    usage: Usage,
    usage_ext: Ext,
    ext: Ext,
    ended: bool,
    losses: Losses,
}

/// The first event waits for the usage that comes with it, where the source tells it at once.
#[derive(Default)]
struct Start {
    id: String,
    model: String,
    written: bool,
}

impl StreamWriter {
    pub(super) fn new(wanted: &Wanted) -> StreamWriter {
        let own = wanted.source == Dialect::AnthropicMessages;
        StreamWriter {
            source: wanted.source,
            own,
            start: Start::default(),
            blocks: Blocks::new(wanted.source),
            stop: None,
            usage: Usage::default(),
            usage_ext: Ext::default(),
            ext: Ext::default(),
            ended: false,
            losses: Losses::default(),
        }
    }

    fn write_start(&mut self, out: &mut Vec<u8>) {
        if std::mem::replace(&mut self.start.written, true) {
            return;
        }
        let (own, start, ext) = (self.own, &self.start, std::mem::take(&mut self.ext));
        event(out, "message_start", |object| {
            let mut message = ObjectWriter::open(object.key("message"));
            message.string("id", &start.id);
            message.string("type", "message");
            message.string("role", "assistant");
            message.string("model", &start.model);
            message.raw("content", "[]");
            message.raw("stop_reason", "null");
            message.raw("stop_sequence", "null");
            usage::write(message.key("usage"), &self.usage, own.then_some(&self.usage_ext));
            let placed = ["stop_reason", "stop_sequence"];
            for (name, value) in ext.0.iter().filter(|(name, _)| !placed.contains(&name.as_str())) {
                message.raw(name, value.text());
            }
            message.close();
        });
    }

    fn end(&mut self, out: &mut Vec<u8>) {
        if std::mem::replace(&mut self.ended, true) {
            return;
        }
        self.write_start(out);
        self.blocks.finish(out, &mut self.losses);
        let reason = self.stop_reason();
        event(out, "message_delta", |object| {
            let mut delta = ObjectWriter::open(object.key("delta"));
            match reason {
                Some(reason) => delta.string("stop_reason", &reason),
                None => delta.raw("stop_reason", "null"),
            }
            match self.stop.as_ref().and_then(|stop| stop.text.as_ref()) {
                Some(text) => delta.string("stop_sequence", text),
                None => delta.raw("stop_sequence", "null"),
            }
            let (beside, inside): (Vec<_>, Vec<_>) =
                self.ext.0.iter().partition(|(name, _)| name == "context_management");
            let placed = ["stop_reason", "stop_sequence"];
            for (name, value) in inside.into_iter().filter(|(name, _)| !placed.contains(&name.as_str())) {
                delta.raw(name, value.text());
            }
            delta.close();
            for (name, value) in beside {
                object.raw(name, value.text());
            }
            usage::write(object.key("usage"), &self.usage, self.own.then_some(&self.usage_ext));
        });
        event(out, "message_stop", |_| {});
        if !self.own {
            usage::losses(&self.usage, &self.usage_ext, &mut self.losses);
        }
    }

    fn stop_reason(&mut self) -> Option<String> {
        let told = self.blocks.told();
        match &self.stop {
            Some(stop) if self.own => Some(stop.raw.clone()),
            None if self.own => None,
            Some(stop) => {
                if stop.reason == StopReason::Other {
                    self.losses.approximated("response.choices[0].finish_reason", "a word that is not known");
                }
                Some(words::stop_reason(stop.reason, told).to_owned())
            }
            None => Some(words::stop_reason(StopReason::End, told).to_owned()),
        }
    }
}

impl Writer for StreamWriter {
    fn event(&mut self, event: &Event<'_>, out: &mut Vec<u8>) {
        match event {
            Event::Start { id, model, .. } => {
                self.start.id = id.clone().into_owned();
                self.start.model = model.clone().into_owned();
            }
            Event::PartStart { choice: 0, index, part, ext } => {
                self.write_start(out);
                self.blocks.start(out, *index, part, ext, &mut self.losses);
            }
            Event::PartDelta { choice: 0, index, delta } => {
                self.blocks.delta(out, *index, delta, &mut self.losses);
            }
            Event::PartStop { choice: 0, index } => self.blocks.stop(out, *index),
            Event::PartStart { choice, .. }
            | Event::PartDelta { choice, .. }
            | Event::PartStop { choice, .. } => {
                self.losses
                    .dropped(paths::place(self.source, Place::Choice(*choice)), "a message has one answer");
            }
            Event::Logprobs { choice, .. } => {
                let path = paths::place(self.source, Place::Choice(*choice));
                self.losses.dropped(format!("{path}.logprobs"), "messages carry no log probabilities");
            }
            Event::ChoiceStop { choice, stop } => {
                if *choice == 0 {
                    self.stop = Some(stop.clone());
                    self.blocks.finish(out, &mut self.losses);
                }
            }
            Event::Usage { usage, ext } => {
                self.usage.merge(usage);
                self.usage_ext.merge(ext);
            }
            Event::Ext { ext, .. } if self.own => self.ext.merge(ext),
            Event::Ext { place: Place::Echo, .. } => {}
            Event::Ext { place, ext } => {
                let path = paths::place(self.source, *place);
                self.losses.answer_ext(&path, &ext.to_owned());
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

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use super::*;
    use crate::{
        Mode,
        ir::{ExtRef, PartDelta, PartStart},
    };

    /// Writes calls whose pieces came in this order, as (part, piece); the first piece of a part opens it.
    fn check(pieces: &[(u32, &str)], expected: &[&str]) {
        let wanted = Wanted {
            mode: Mode::Stream,
            include_usage: true,
            source: Dialect::OpenaiChat,
            now_s: 0,
            as_array: false,
        };
        let mut writer = StreamWriter::new(&wanted);
        let mut out = Vec::new();
        let mut known = Vec::new();
        for (index, piece) in pieces {
            if !known.contains(index) {
                known.push(*index);
                let part = PartStart::ToolCall { id: Cow::Owned(index.to_string()), name: "f".into() };
                let ext = ExtRef::default();
                writer.event(&Event::PartStart { choice: 0, index: *index, part, ext }, &mut out);
            }
            let delta = PartDelta::Arguments((*piece).into());
            writer.event(&Event::PartDelta { choice: 0, index: *index, delta }, &mut out);
        }
        writer.event(&Event::End, &mut out);
        let text = String::from_utf8(out).unwrap();
        let told: Vec<String> =
            text.lines().filter_map(|line| line.strip_prefix("data: ")).map(brief).collect();
        let told: Vec<&str> = told.iter().map(String::as_str).filter(|text| !text.is_empty()).collect();
        assert_eq!(told, expected, "{pieces:?}");
    }

    fn brief(data: &str) -> String {
        let value: serde_json::Value = serde_json::from_str(data).unwrap();
        let index = &value["index"];
        match value["type"].as_str().unwrap() {
            "content_block_start" => format!("{index} opens"),
            "content_block_delta" => format!("{index} {}", value["delta"]["partial_json"].as_str().unwrap()),
            "content_block_stop" => format!("{index} closes"),
            "message_delta" => value["delta"]["stop_reason"].as_str().unwrap().to_owned(),
            _ => String::new(),
        }
    }

    #[test]
    fn calls_are_told_one_after_the_other() {
        let sequence = [(0, "{\"a\":"), (0, "1}"), (1, "{}")];
        check(
            &sequence,
            &["0 opens", "0 {\"a\":", "0 1}", "0 closes", "1 opens", "1 {}", "1 closes", "tool_use"],
        );
        let mixed = [(0, "{\"a\":"), (1, "{\"b\":"), (0, "1}"), (1, "2}")];
        check(
            &mixed,
            &[
                "0 opens",
                "0 {\"a\":",
                "0 1}",
                "0 closes",
                "1 opens",
                "1 {\"b\":",
                "1 2}",
                "1 closes",
                "tool_use",
            ],
        );
        let cut = [(0, "{\"a\":"), (1, "{}")];
        check(&cut, &["0 opens", "0 {\"a\":", "0 closes", "1 opens", "1 {}", "1 closes", "tool_use"]);
    }
}

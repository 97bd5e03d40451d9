//! Lines of an answer, as they are told to a caller.

use super::{calls, kept, reader, words};
use crate::{
    Dialect, Losses,
    ir::{Ext, Stop, StopReason, Usage},
    json::{ObjectWriter, Raw, write_array},
};

/// What every line of one answer has.
pub(super) struct Head<'a> {
    pub(super) told: Told,
    pub(super) model: &'a str,
    /// The date as JSON, or the seconds since 1970 of one.
    pub(super) date: Option<&'a Raw>,
    pub(super) created_s: i64,
}

/// Where a line tells what is said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Told {
    /// In a message, as chat does.
    Message,
    /// In the line itself, as the API that goes on from a prompt does (<https://docs.ollama.com/api/generate>).
    Response,
}

/// What a message says.
#[derive(Default)]
pub(super) struct Said<'a> {
    pub(super) text: &'a str,
    pub(super) thinking: &'a str,
    pub(super) calls: &'a [Vec<u8>],
}

/// Opens a line with its head and its message; `ext` is what this dialect kept of the message.
pub(super) fn open<'b>(
    out: &'b mut Vec<u8>,
    head: &Head<'_>,
    said: &Said<'_>,
    ext: Option<&Ext>,
) -> ObjectWriter<'b> {
    let mut object = ObjectWriter::open(out);
    object.string("model", head.model);
    match head.date {
        Some(date) => object.raw("created_at", date.text()),
        None => object.string("created_at", &words::date(head.created_s)),
    }
    match head.told {
        Told::Message => {
            let mut message = ObjectWriter::open(object.key("message"));
            if ext.is_none_or(|ext| ext.get("role").is_none()) {
                message.string("role", "assistant");
            }
            write_said(&mut message, "content", said, ext);
            message.close();
        }
        Told::Response => write_said(&mut object, "response", said, ext),
    }
    object
}

/// What is said, with its text under the name that it has there.
fn write_said(object: &mut ObjectWriter<'_>, text: &str, said: &Said<'_>, ext: Option<&Ext>) {
    object.string(text, said.text);
    if !said.thinking.is_empty() {
        object.string("thinking", said.thinking);
    }
    if !said.calls.is_empty() {
        write_array(object.key("tool_calls"), said.calls, |out, call| out.extend_from_slice(call));
    }
    if let Some(ext) = ext {
        object.ext(ext);
    }
}

/// The end of an answer: why it ended, the counts, and what this dialect kept beside.
pub(super) fn write_end(
    object: &mut ObjectWriter<'_>,
    stop: Option<&Stop>,
    usage: Option<(&Usage, &Ext)>,
    own: Option<&Ext>,
    losses: &mut Losses,
) {
    object.boolean("done", true);
    match stop {
        Some(stop) if own.is_some() => {
            if !stop.raw.is_empty() {
                object.string("done_reason", &stop.raw);
            }
        }
        None if own.is_some() => {}
        stop => {
            let reason = stop.map_or(StopReason::End, |stop| stop.reason);
            let (word, same) = words::done_reason(reason);
            if !same {
                losses.approximated("response.choices[0].finish_reason", "there is no such reason there");
            }
            object.string("done_reason", word);
        }
    }
    if let Some((usage, ext)) = usage {
        for (name, count) in [(reader::INPUT, usage.input_tokens), (reader::OUTPUT, usage.output_tokens)] {
            if own.is_none() || count > 0 || kept::is_marked(ext, name) {
                object.value(name, &count);
            }
        }
    }
    if let Some(ext) = own {
        object.ext(ext);
    }
}

/// A call as it is told.
pub(super) fn call(
    call: (&str, &str, &str),
    ext: &Ext,
    number: u64,
    source: Dialect,
    losses: &mut Losses,
) -> Vec<u8> {
    if source == Dialect::Ollama {
        return calls::write_own(call, ext, number);
    }
    calls::write(call, Some(number), "response.tool_calls", losses)
}

/// What another dialect counts apart, and this one does not.
pub(super) fn count_losses(usage: &Usage, ext: &Ext, losses: &mut Losses) {
    let counts = [
        ("cached_tokens", usage.cache_read_tokens),
        ("cache_write_tokens", usage.cache_write_tokens.saturating_add(usage.cache_write_1h_tokens)),
        ("input_audio_tokens", usage.input_audio_tokens),
        ("reasoning_tokens", usage.reasoning_tokens),
        ("output_audio_tokens", usage.output_audio_tokens),
    ];
    for (name, _) in counts.into_iter().filter(|(_, count)| *count > 0) {
        losses.dropped(format!("response.usage.{name}"), "tokens are not counted by class there");
    }
    let classes = ["cache_creation", "cache_creation_input_tokens", "cache_read_input_tokens"];
    let kept = ext.0.iter().filter(|(name, _)| !classes.contains(&name.as_str())).cloned();
    losses.usage_ext(&Ext(kept.collect()));
}

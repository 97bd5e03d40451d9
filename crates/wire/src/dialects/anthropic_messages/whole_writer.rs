//! Whole answers: events to bytes.

use super::{
    block_encode::{BlockWriter, thinking},
    paths,
    turns::{Placed, placed},
    usage,
    words::{self, Told},
};
use crate::{
    Dialect, Losses, Wanted,
    ir::{Choice, Part, PartKind, Place, Response, StopReason},
    json::{ObjectWriter, write_string},
    seal::{self, Seals},
};

/// Writes an answer.
pub(super) fn write(out: &mut Vec<u8>, response: &Response, wanted: &Wanted, losses: &mut Losses) {
    let source = wanted.source;
    let own = source == Dialect::AnthropicMessages;
    let none = Choice::default();
    let choice = response.choices.iter().find(|choice| choice.index == 0).unwrap_or(&none);
    let mut object = ObjectWriter::open(out);
    object.string("id", &response.id);
    object.string("type", "message");
    object.string("role", "assistant");
    object.string("model", &response.model);
    write_parts(object.key("content"), &choice.parts, source, losses);
    write_stop(&mut object, choice, own, losses);
    let ext = own.then_some(&response.usage_ext);
    if response.usage.is_some() || !own {
        usage::write(object.key("usage"), &response.usage.unwrap_or_default(), ext);
    }
    if own {
        for (name, value) in &response.ext.0 {
            // A `null` at the start of a stream, which its end has replaced.
            let replaced = name == "stop_reason" && choice.stop.is_some();
            let replaced = replaced || (name == "stop_sequence" && stop_text(choice).is_some());
            if !replaced {
                object.raw(name, value.text());
            }
        }
    } else {
        report(response, source, losses);
    }
    object.close();
}

/// Where the same dialect has a `null`, it is among the ext members.
fn write_stop(object: &mut ObjectWriter<'_>, choice: &Choice, own: bool, losses: &mut Losses) {
    let told = Told {
        calls: choice.parts.iter().any(|part| matches!(part.kind, PartKind::ToolCall { .. })),
        refusal: choice.parts.iter().any(|part| matches!(part.kind, PartKind::Refusal { .. })),
    };
    match &choice.stop {
        Some(stop) if own => object.string("stop_reason", &stop.raw),
        Some(stop) => {
            object.string("stop_reason", words::stop_reason(stop.reason, told));
            if stop.reason == StopReason::Other {
                losses.approximated("response.choices[0].finish_reason", "a word that is not known");
            }
        }
        None if own => {}
        None => object.string("stop_reason", words::stop_reason(StopReason::End, told)),
    }
    match stop_text(choice) {
        Some(text) => write_string(object.key("stop_sequence"), text),
        None if own => {}
        None => object.raw("stop_sequence", "null"),
    }
}

fn stop_text(choice: &Choice) -> Option<&str> {
    choice.stop.as_ref().and_then(|stop| stop.text.as_deref())
}

/// The blocks of an answer. A thought without a signature stands here: it is shown, not sent back.
fn write_parts(out: &mut Vec<u8>, parts: &[Part], source: Dialect, losses: &mut Losses) {
    let own = source == Dialect::AnthropicMessages;
    let mut writer = BlockWriter { own, losses, seals: Seals::Told(source) };
    out.push(b'[');
    let before = out.len();
    for placed in placed(paths::of_answer(source, parts), parts) {
        let length = out.len();
        if length > before {
            out.push(b',');
        }
        let written = match &placed.part.kind {
            PartKind::Reasoning { text, signature } => {
                let seal = signature.as_deref().unwrap_or_default();
                let mut object =
                    thinking(out, text, Some(&seal::mark(seal, source, Dialect::AnthropicMessages)));
                if own {
                    object.ext(&placed.part.ext);
                }
                object.close();
                true
            }
            PartKind::Refusal { text } => {
                let part = &Part::text(text.as_str());
                writer.block(out, &Placed { path: placed.path, part })
            }
            PartKind::Text { .. }
            | PartKind::RedactedReasoning { .. }
            | PartKind::Image(_)
            | PartKind::File(_)
            | PartKind::Audio(_)
            | PartKind::ToolCall { .. }
            | PartKind::ToolResult { .. }
            | PartKind::Opaque { .. } => writer.block(out, &placed),
        };
        if !written {
            out.truncate(length);
        }
    }
    out.push(b']');
}

/// What an answer of another dialect says and a message has no place for.
fn report(response: &Response, source: Dialect, losses: &mut Losses) {
    losses.answer_ext("response", &response.ext);
    for choice in &response.choices {
        let path = paths::place(source, Place::Choice(choice.index));
        if choice.index > 0 {
            losses.dropped(path, "a message has one answer");
            continue;
        }
        losses.ext(&path, &choice.ext);
        losses.answer_ext(&paths::place(source, Place::Message(choice.index)), &choice.message_ext);
        if choice.logprobs.is_some() {
            losses.dropped(format!("{path}.logprobs"), "messages carry no log probabilities");
        }
    }
    usage::losses(&response.usage.unwrap_or_default(), &response.usage_ext, losses);
}

//! Whole answers: events to bytes.

use super::{
    message_encode::write_own,
    part_encode::{block, call},
    usage,
    whole_reader::CONTENT,
    words,
};
use crate::{
    Dialect, Losses, Wanted,
    ir::{Choice, Content, Ext, Form, Part, PartKind, Response, StopReason},
    json::{ObjectWriter, Raw, write_array},
    seal,
};

/// Writes an answer.
pub(super) fn write(out: &mut Vec<u8>, response: &Response, wanted: &Wanted, losses: &mut Losses) {
    let source = wanted.source;
    let own = source == Dialect::CohereV2;
    let none = Choice::default();
    let choice = response.choices.iter().find(|choice| choice.index == 0).unwrap_or(&none);
    let mut object = ObjectWriter::open(out);
    object.string("id", &response.id);
    let calls = choice.parts.iter().any(|part| matches!(part.kind, PartKind::ToolCall { .. }));
    match &choice.stop {
        Some(stop) if own => object.string("finish_reason", &stop.raw),
        None if own => {}
        stop => {
            let reason = stop.as_ref().map_or(StopReason::End, |stop| stop.reason);
            object.string("finish_reason", words::finish_reason(reason, calls));
            if words::is_wordless(reason) {
                losses.approximated("response.choices[0].finish_reason", "there is no such reason there");
            }
        }
    }
    let mut message = ObjectWriter::open(object.key("message"));
    message.string("role", "assistant");
    if own {
        let form = match choice.message_ext.get(CONTENT).map(Raw::text) {
            Some("null") => Form::Null,
            Some("\"\"") => Form::Bare,
            Some(_) => Form::List,
            None => Form::Absent,
        };
        write_own(&mut message, &Content { parts: choice.parts.clone(), form }, &choice.message_ext);
    } else {
        write_foreign(&mut message, choice, source, losses);
    }
    message.close();
    if let Some(logprobs) = &choice.logprobs {
        if own {
            object.raw("logprobs", logprobs.text());
        } else {
            losses.dropped("response.logprobs", "log probabilities of another dialect");
        }
    }
    if response.usage.is_some() || !own {
        let ext = own.then_some(&response.usage_ext);
        usage::write(object.key("usage"), &response.usage.unwrap_or_default(), ext);
    }
    if own {
        object.ext(&response.ext);
    } else {
        report(response, losses);
    }
    object.close();
}

fn write_foreign(message: &mut ObjectWriter<'_>, choice: &Choice, source: Dialect, losses: &mut Losses) {
    let plain = Ext::default();
    let mut blocks: Vec<Vec<u8>> = Vec::new();
    let mut calls: Vec<Vec<u8>> = Vec::new();
    for part in &choice.parts {
        match &part.kind {
            PartKind::ToolCall { id, name, arguments } => calls.push(call((id, name, arguments), &plain)),
            PartKind::Text { text, annotations } => {
                if !annotations.is_empty() {
                    losses.dropped("response.content.annotations", "annotations of another dialect");
                }
                if !text.is_empty() {
                    blocks.extend(block(&Part::text(text.as_str()).kind, &plain));
                }
            }
            PartKind::Refusal { text } => blocks.extend(block(&Part::text(text.as_str()).kind, &plain)),
            PartKind::Reasoning { text, signature } => {
                let signature = signature.as_deref().filter(|seal| !seal.is_empty());
                let signature =
                    signature.map(|seal| seal::mark(seal, source, Dialect::CohereV2).into_owned());
                blocks.extend(block(&PartKind::Reasoning { text: text.clone(), signature }, &plain));
            }
            PartKind::RedactedReasoning { bytes } => {
                let bytes = seal::mark(bytes, source, Dialect::CohereV2).into_owned();
                blocks.extend(block(&PartKind::RedactedReasoning { bytes }, &plain));
            }
            PartKind::Opaque { name, .. } => {
                losses.dropped(format!("response.content.{name}"), "messages have no such part there");
            }
            PartKind::Image(_) | PartKind::File(_) | PartKind::Audio(_) | PartKind::ToolResult { .. } => {
                losses.dropped("response.content", "a part that no answer has there");
            }
        }
    }
    if !blocks.is_empty() || calls.is_empty() {
        write_array(message.key("content"), &blocks, |out, block| out.extend_from_slice(block));
    }
    if !calls.is_empty() {
        write_array(message.key("tool_calls"), &calls, |out, call| out.extend_from_slice(call));
    }
}

/// What an answer of another dialect says and this one has no place for.
fn report(response: &Response, losses: &mut Losses) {
    usage::losses(&response.usage.unwrap_or_default(), &response.usage_ext, losses);
    losses.answer_ext("response", &response.ext);
    for choice in &response.choices {
        if choice.index > 0 {
            losses.dropped(format!("response.choices[{}]", choice.index), "there is one answer there");
            continue;
        }
        losses.answer_ext("response.choices", &choice.ext);
        losses.answer_ext("response.message", &choice.message_ext);
    }
}

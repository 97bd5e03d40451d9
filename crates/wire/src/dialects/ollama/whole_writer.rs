//! Whole answers: events to bytes.

use super::{
    reader::DATE,
    tell::{self, Head, Said, Told},
    words,
};
use crate::{
    Dialect, Losses, Wanted,
    ir::{Choice, PartKind, Response},
};

/// Writes an answer of chat.
pub(super) fn write(out: &mut Vec<u8>, response: &Response, wanted: &Wanted, losses: &mut Losses) {
    write_told(Told::Message, out, response, wanted, losses);
}

/// Writes an answer to a prompt.
pub(super) fn write_response(out: &mut Vec<u8>, response: &Response, wanted: &Wanted, losses: &mut Losses) {
    write_told(Told::Response, out, response, wanted, losses);
}

fn write_told(told: Told, out: &mut Vec<u8>, response: &Response, wanted: &Wanted, losses: &mut Losses) {
    let own = wanted.source == Dialect::Ollama;
    let none = Choice::default();
    let choice = response.choices.iter().find(|choice| choice.index == 0).unwrap_or(&none);
    let (mut text, mut thinking) = (String::new(), String::new());
    let mut calls: Vec<Vec<u8>> = Vec::new();
    for part in &choice.parts {
        match &part.kind {
            PartKind::Text { text: more, annotations } => {
                if !annotations.is_empty() {
                    losses.dropped("response.content.annotations", "annotations of another dialect");
                }
                text.push_str(more);
            }
            PartKind::Refusal { text: more } => text.push_str(more),
            PartKind::Reasoning { text, signature } => {
                sealed(signature.as_deref(), losses);
                thinking.push_str(text);
            }
            PartKind::RedactedReasoning { bytes } => sealed(Some(bytes), losses),
            PartKind::ToolCall { id, name, arguments } => {
                let number = calls.len() as u64;
                calls.push(tell::call((id, name, arguments), &part.ext, number, wanted.source, losses));
            }
            PartKind::Opaque { name, .. } => {
                losses.dropped(format!("response.content.{name}"), "messages have no such part there");
            }
            PartKind::Image(_) | PartKind::File(_) | PartKind::Audio(_) | PartKind::ToolResult { .. } => {
                losses.dropped("response.content", "a part that no answer has there");
            }
        }
    }
    let created_s = response.created_s.unwrap_or(wanted.now_s);
    let head = Head { told, model: &response.model, date: response.ext.get(DATE), created_s };
    let said = Said { text: &text, thinking: &thinking, calls: &calls };
    let mut object = tell::open(out, &head, &said, own.then_some(&choice.message_ext));
    if let Some(logprobs) = &choice.logprobs {
        match words::logprobs(logprobs, wanted.source) {
            Some(list) => object.raw("logprobs", list.text()),
            None => losses.dropped("response.logprobs", "log probabilities of another dialect"),
        }
    }
    let usage = response.usage.unwrap_or_default();
    let counted = response.usage.as_ref().map(|usage| (usage, &response.usage_ext));
    let counted = counted.or((!own).then_some((&usage, &response.usage_ext)));
    tell::write_end(&mut object, choice.stop.as_ref(), counted, own.then_some(&response.ext), losses);
    object.close();
    if !own {
        tell::count_losses(&usage, &response.usage_ext, losses);
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
}

/// Seals have no place here: a thought cannot be sent back to whoever sealed it.
pub(super) fn sealed(seal: Option<&str>, losses: &mut Losses) {
    if seal.is_some_and(|seal| !seal.is_empty()) {
        losses.dropped("response.content.signature", "messages have no place for a seal there");
    }
}

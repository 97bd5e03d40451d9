//! Whole answers: events to bytes.

use super::{
    notes::{noted, write_rest},
    tell::{Teller, write_content},
    usage, words,
};
use crate::{
    Dialect, Losses, Wanted,
    ir::{Choice, Part, PartKind, Response, StopReason},
    json::{ObjectWriter, write_array},
};

/// Writes an answer.
pub(super) fn write(out: &mut Vec<u8>, response: &Response, wanted: &Wanted, losses: &mut Losses) {
    let source = wanted.source;
    let own = source == Dialect::Gemini;
    let mut object = ObjectWriter::open(out);
    // A prompt that was blocked has no candidates.
    let empty = |choice: &Choice| choice.parts.is_empty() && choice.message_ext.is_empty();
    let blocked = own && response.ext.get("promptFeedback").is_some();
    let told: Vec<&Choice> = response.choices.iter().filter(|choice| !(blocked && empty(choice))).collect();
    if !told.is_empty() || !own {
        write_array(object.key("candidates"), told, |out, choice| candidate(out, choice, source, losses));
    }
    if response.usage.is_some() || !own {
        let ext = own.then_some(&response.usage_ext);
        usage::write(object.key("usageMetadata"), &response.usage.unwrap_or_default(), ext);
    }
    if !response.model.is_empty() {
        object.string("modelVersion", &response.model);
    }
    if !response.id.is_empty() {
        object.string("responseId", &response.id);
    }
    if own {
        write_rest(&mut object, &response.ext, &[]);
    } else {
        losses.answer_ext("response", &response.ext);
        usage::losses(&response.usage.unwrap_or_default(), &response.usage_ext, losses);
    }
    object.close();
}

fn is_opaque(part: &Part) -> bool {
    matches!(part.kind, PartKind::Opaque { .. })
}

/// Parts of another dialect with texts that follow each other as one: streams here do not tell them apart.
fn joined(parts: &[Part]) -> Vec<Part> {
    let mut joined: Vec<Part> = Vec::with_capacity(parts.len());
    for part in parts.iter().filter(|part| !is_opaque(part)) {
        let last = joined.last_mut().map(|last| &mut last.kind);
        match (last, &part.kind) {
            (
                Some(PartKind::Text { text, annotations }),
                PartKind::Text { text: more, annotations: others },
            ) => {
                text.push_str(more);
                annotations.extend(others.iter().cloned());
            }
            (
                Some(PartKind::Reasoning { text, signature: signature @ None }),
                PartKind::Reasoning { text: more, signature: last },
            ) => {
                text.push_str(more);
                signature.clone_from(last);
            }
            _ => joined.push(part.clone()),
        }
    }
    joined
}

fn candidate(out: &mut Vec<u8>, choice: &Choice, source: Dialect, losses: &mut Losses) {
    let own = source == Dialect::Gemini;
    let mut teller = Teller::new(source);
    let joined = if own { None } else { Some(joined(&choice.parts)) };
    let parts = joined.as_ref().unwrap_or(&choice.parts);
    let mut told = |part: &Part| teller.part(part, losses);
    let parts: Vec<Vec<u8>> = parts.iter().filter_map(&mut told).collect();
    if !own {
        choice.parts.iter().filter(|part| is_opaque(part)).for_each(|part| drop(told(part)));
    }
    let mut object = ObjectWriter::open(out);
    if !own || noted(&choice.message_ext, "content").is_none() {
        write_content(object.key("content"), &parts, own.then_some(&choice.message_ext));
    }
    match &choice.stop {
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
    if !own || noted(&choice.ext, "index").is_some() {
        object.value("index", &choice.index);
    }
    if own {
        if let Some(logprobs) = &choice.logprobs {
            object.raw("logprobsResult", logprobs.text());
        }
        write_rest(&mut object, &choice.ext, &[]);
    } else {
        if choice.logprobs.is_some() {
            losses.dropped("response.logprobs", "log probabilities of another dialect");
        }
        losses.ext("response.choices", &choice.ext);
        losses.answer_ext("response.message", &choice.message_ext);
    }
    object.close();
}

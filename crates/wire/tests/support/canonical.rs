//! Answers in one spelling, so that equal meanings are equal texts.

use tollgate_wire::{
    ir::{Content, Ext, Part, PartKind, Response},
    json::Raw,
};

use super::json::canonical;

/// An answer with the members that only its dialect knows in one order and one spelling.
pub(crate) fn canonical_response(response: &Response) -> Response {
    let mut response = response.clone();
    tidy_ext(&mut response.ext);
    tidy_ext(&mut response.usage_ext);
    for choice in &mut response.choices {
        tidy_ext(&mut choice.ext);
        tidy_ext(&mut choice.message_ext);
        choice.logprobs = choice.logprobs.as_ref().map(tidy);
        choice.parts.iter_mut().for_each(tidy_part);
    }
    response
}

fn tidy_part(part: &mut Part) {
    tidy_ext(&mut part.ext);
    match &mut part.kind {
        PartKind::Text { annotations, .. } => {
            for annotation in annotations {
                *annotation = tidy(annotation);
            }
        }
        PartKind::Opaque { value, .. } => *value = tidy(value),
        PartKind::ToolResult { content: Content { parts, .. }, .. } => parts.iter_mut().for_each(tidy_part),
        PartKind::Refusal { .. }
        | PartKind::Reasoning { .. }
        | PartKind::RedactedReasoning { .. }
        | PartKind::Image(_)
        | PartKind::File(_)
        | PartKind::Audio(_)
        | PartKind::ToolCall { .. } => {}
    }
}

fn tidy_ext(ext: &mut Ext) {
    ext.0.sort_by(|(one, _), (other, _)| one.cmp(other));
    for (_, raw) in &mut ext.0 {
        *raw = tidy(raw);
    }
}

fn tidy(raw: &Raw) -> Raw {
    canonical(raw.text().as_bytes()).and_then(|text| Raw::parse(&text)).expect("a raw value is JSON")
}

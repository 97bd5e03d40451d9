//! JSON and answers in one spelling, so that equal meanings are equal texts.

use std::collections::BTreeMap;

use serde_json::{Number, Value};
use tollgate_wire::{
    ir::{Content, Ext, Part, PartKind, Response},
    json::Raw,
};

/// JSON with its keys sorted and its numbers by value, over several lines; `None` when it is none.
pub(crate) fn canonical(json: &[u8]) -> Option<String> {
    let value: Value = serde_json::from_slice(json).ok()?;
    serde_json::to_string_pretty(&sorted(value)).ok()
}

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

fn sorted(value: Value) -> Value {
    match value {
        Value::Object(members) => {
            let members: BTreeMap<String, Value> =
                members.into_iter().map(|(name, value)| (name, sorted(value))).collect();
            Value::Object(members.into_iter().collect())
        }
        Value::Array(items) => Value::Array(items.into_iter().map(sorted).collect()),
        Value::Number(number) => Value::Number(by_value(number)),
        Value::Null | Value::Bool(_) | Value::String(_) => value,
    }
}

/// `1.0` and `1e0` are `1`, as far as a double tells whole numbers apart.
fn by_value(number: Number) -> Number {
    let float = number.as_f64().filter(|float| float.fract() == 0.0 && float.abs() < 9e15);
    match float {
        Some(float) if number.is_f64() => Number::from(float as i64),
        Some(_) | None => number,
    }
}

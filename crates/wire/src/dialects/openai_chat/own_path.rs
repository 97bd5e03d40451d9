//! Where a field stood in the caller's own body.

use crate::{
    ir::{Form, Message, Part, PartKind, Request},
    paths::{Place, renamed},
};

const FIRST: [(&str, &str); 5] = [
    ("tools[].schema", "tools[].function.parameters"),
    ("tools[].strict", "tools[].function.strict"),
    ("reasoning.effort", "reasoning_effort"),
    ("output.type", "response_format"),
    ("output", "response_format.json_schema"),
];
const LAST: [(&str, &str); 1] = [("cache", "cache_control")];
/// Members of a tool call, and of a message that holds a tool's result.
const CALL: [(&str, &str); 1] = [("arguments", "function.arguments")];
const RESULT: [(&str, &str); 1] = [("call_id", "tool_call_id")];

/// Tells a place in the representation in this dialect's words.
pub(super) fn own_path(request: &Request, path: &str) -> String {
    let place = Place::of(path);
    let message = place.as_ref().and_then(|place| request.messages.get(place.message));
    let (Some(Place { message: at, part: Some(part), rest }), Some(message)) = (place, message) else {
        return renamed(path, &FIRST, &LAST);
    };
    let of_part = parts(&format!("messages[{at}]"), message).into_iter().nth(part);
    let path = format!("{}{rest}", of_part.unwrap_or_default());
    match message.content.parts.get(part).map(|part| &part.kind) {
        Some(PartKind::ToolCall { .. }) => renamed(&path, &[], &CALL),
        Some(PartKind::ToolResult { .. }) => renamed(&path, &[], &RESULT),
        _ => renamed(&path, &[], &LAST),
    }
}

/// Where the parts of a message stand: reasoning, refusals and calls beside the content, each list counted by itself.
fn parts(base: &str, message: &Message) -> Vec<String> {
    let reasoning = ["reasoning_details", "reasoning_content", "reasoning"];
    let reasoning = reasoning.into_iter().find(|name| message.ext.get(name).is_some());
    let bare = message.content.form == Form::Bare;
    of_parts(base, reasoning.unwrap_or("reasoning_content"), &message.content.parts, bare)
}

/// Where parts of a message or of an answer stand.
pub(in crate::dialects) fn of_parts(base: &str, reasoning: &str, parts: &[Part], bare: bool) -> Vec<String> {
    let (mut contents, mut calls) = (0_usize.., 0_usize..);
    let mut path = |part: &Part| match &part.kind {
        PartKind::ToolCall { .. } => format!("{base}.tool_calls[{}]", calls.next().unwrap_or_default()),
        PartKind::Opaque { name, .. } if name == "tool_calls" => {
            format!("{base}.tool_calls[{}]", calls.next().unwrap_or_default())
        }
        PartKind::Reasoning { .. } | PartKind::RedactedReasoning { .. } => format!("{base}.{reasoning}"),
        PartKind::Refusal { .. } => format!("{base}.refusal"),
        PartKind::ToolResult { .. } => base.to_owned(),
        PartKind::Text { .. }
        | PartKind::Image(_)
        | PartKind::File(_)
        | PartKind::Audio(_)
        | PartKind::Opaque { .. } => {
            if bare {
                format!("{base}.content")
            } else {
                format!("{base}.content[{}]", contents.next().unwrap_or_default())
            }
        }
    };
    parts.iter().map(&mut path).collect()
}

//! Where a field stood in the caller's own body.

use crate::{
    ir::{Form, PartKind, Request},
    paths::{Place, renamed},
};

const FIRST: [(&str, &str); 10] = [
    ("tools[].schema", "tools[].function.parameters"),
    ("output.schema", "response_format.json_schema"),
    ("reasoning.budget_tokens", "thinking.token_budget"),
    ("reasoning", "thinking"),
    ("output.type", "response_format"),
    ("output", "response_format.json_schema"),
    ("stop", "stop_sequences"),
    ("top_p", "p"),
    ("top_k", "k"),
    ("output_tokens_max", "max_tokens"),
];

/// Tells a place in the representation in this dialect's words: a plan and calls stand beside the content.
pub(super) fn own_path(request: &Request, path: &str) -> String {
    let place = Place::of(path);
    let message = place.as_ref().and_then(|place| request.messages.get(place.message));
    let (Some(Place { message: at, part: Some(part), rest }), Some(message)) = (place, message) else {
        return renamed(path, &FIRST, &[]);
    };
    let is_call = |kind: &PartKind| matches!(kind, PartKind::ToolCall { .. });
    let before: Vec<_> = message.content.parts.iter().take(part).collect();
    let calls = before.iter().filter(|part| is_call(&part.kind)).count();
    let blocks = before.iter().filter(|part| super::whole_reader::is_block(part)).count();
    let member = match message.content.parts.get(part) {
        Some(part) if is_call(&part.kind) => format!(".tool_calls[{calls}]"),
        Some(part) if part.ext.get(super::words::PLAN).is_some() => ".tool_plan".to_owned(),
        Some(part) if matches!(part.kind, PartKind::ToolResult { .. }) => String::new(),
        _ if message.content.form == Form::Bare => ".content".to_owned(),
        _ => format!(".content[{blocks}]"),
    };
    let last =
        [("arguments", "function.arguments"), ("call_id", "tool_call_id"), ("annotations", "citations")];
    renamed(&format!("messages[{at}]{member}{rest}"), &[], &last)
}

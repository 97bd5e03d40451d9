//! Where a field stood in the caller's own body.

use crate::{
    ir::{PartKind, Request},
    paths::{Place, renamed},
};

const FIRST: [(&str, &str); 13] = [
    ("tools[].schema", "tools[].function.parameters"),
    ("output.schema", "format"),
    ("reasoning", "think"),
    ("output.type", "format"),
    ("output", "format"),
    ("temperature", "options.temperature"),
    ("top_p", "options.top_p"),
    ("top_k", "options.top_k"),
    ("seed", "options.seed"),
    ("stop", "options.stop"),
    ("frequency_penalty", "options.frequency_penalty"),
    ("presence_penalty", "options.presence_penalty"),
    ("output_tokens_max", "options.num_predict"),
];

/// Tells a place in the representation in this dialect's words.
pub(super) fn own_path(request: &Request, path: &str) -> String {
    let place = Place::of(path);
    let message = place.as_ref().and_then(|place| request.messages.get(place.message));
    let (Some(Place { message: at, part: Some(part), rest }), Some(message)) = (place, message) else {
        return renamed(path, &FIRST, &[]);
    };
    let before = message.content.parts.iter().take(part);
    let (mut images, mut calls) = (0, 0);
    for part in before {
        images += usize::from(matches!(part.kind, PartKind::Image(_)));
        calls += usize::from(matches!(part.kind, PartKind::ToolCall { .. }));
    }
    let member = match message.content.parts.get(part).map(|part| &part.kind) {
        Some(PartKind::Image(_)) => format!(".images[{images}]"),
        Some(PartKind::ToolCall { .. }) => format!(".tool_calls[{calls}]"),
        Some(PartKind::Reasoning { .. }) => ".thinking".to_owned(),
        Some(PartKind::ToolResult { .. }) => String::new(),
        _ => ".content".to_owned(),
    };
    let last = [("arguments", "function.arguments"), ("call_id", "tool_call_id")];
    renamed(&format!("messages[{at}]{member}{rest}"), &[], &last)
}

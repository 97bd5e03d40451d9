//! Where a field stood in the caller's own body.

use crate::{
    ir::{PartKind, Request, Role},
    paths::{Place, renamed},
};

const FIRST: [(&str, &str); 13] = [
    ("tools[].schema", "toolConfig.tools[].toolSpec.inputSchema.json"),
    ("tools[].strict", "toolConfig.tools[].toolSpec.strict"),
    ("reasoning", "additionalModelRequestFields.thinking"),
    ("output.type", "outputConfig.textFormat"),
    ("output", "outputConfig.textFormat.structure.jsonSchema"),
    ("temperature", "inferenceConfig.temperature"),
    ("top_p", "inferenceConfig.topP"),
    ("top_k", "additionalModelRequestFields.top_k"),
    ("stop", "inferenceConfig.stopSequences"),
    ("metadata", "requestMetadata"),
    ("tool_choice", "toolConfig.toolChoice"),
    ("tools", "toolConfig.tools"),
    ("output_tokens_max", "inferenceConfig.maxTokens"),
];

/// Tells a place in the representation in this dialect's words. A cache point is a block of its own here.
pub(super) fn own_path(request: &Request, path: &str) -> String {
    let place = Place::of(path);
    let message = place.as_ref().and_then(|place| request.messages.get(place.message));
    let (Some(Place { message: at, part, rest }), Some(message)) = (place, message) else {
        return renamed(path, &FIRST, &[]);
    };
    let apart = request.messages.first();
    let apart = apart.is_some_and(|first| first.role == Role::System && first.ext.get("role").is_none());
    let (base, list) = match at.checked_sub(usize::from(apart)) {
        Some(at) => (format!("messages[{at}]"), ".content"),
        None => ("system".to_owned(), ""),
    };
    let Some(number) = part else { return format!("{base}{rest}") };
    let before = message.content.parts.iter().take(number);
    let points = before.filter(|part| part.cache.is_some()).count();
    let at = number + points;
    if let Some(rest) = rest.strip_prefix(".cache") {
        return format!("{base}{list}[{}].cachePoint{rest}", at + 1);
    }
    let path = format!("{base}{list}[{at}]{rest}");
    let last: &[(&str, &str)] = match message.content.parts.get(number).map(|part| &part.kind) {
        Some(PartKind::ToolCall { .. }) => {
            &[("arguments", "toolUse.input"), ("call_id", "toolUse.toolUseId")]
        }
        Some(PartKind::ToolResult { .. }) => &[
            ("is_error", "toolResult.status"),
            ("call_id", "toolResult.toolUseId"),
            ("content", "toolResult.content"),
        ],
        _ => &[("annotations", "citationsContent.citations")],
    };
    renamed(&path, &[], last)
}

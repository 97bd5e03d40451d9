//! The tokens of a whole request, as far as they can be told from outside.

use crate::{
    Quirks,
    ir::{Content, Media, Message, PartKind, Request, Source, Tool, ToolKind},
};

/// What frames a message, and what begins the answer
/// (<https://cookbook.openai.com/examples/how_to_count_tokens_with_tiktoken>).
const MESSAGE_TOKENS: u64 = 3;
/// What frames a tool beside its texts.
const TOOL_TOKENS: u64 = 8;
/// A picture of a usual size (<https://platform.openai.com/docs/guides/images-vision#calculating-costs>).
const IMAGE_TOKENS: u64 = 765;
/// A document or a sound whose length is not known.
const FILE_TOKENS: u64 = 1_500;

/// Roughly how many tokens a request's prompt has: its texts are counted exactly where the model's encoding is known;
/// what frames them, and pictures and files, are counted flat.
pub fn count_request(request: &Request, quirks: &Quirks) -> u64 {
    let count = |text: &str| quirks.tokenizer.count(text, quirks.token_percent());
    let messages: u64 = request.messages.iter().map(|message| of_message(message, &count)).sum();
    let tools: u64 = request.tools.iter().map(|tool| of_tool(tool, &count)).sum();
    messages + tools + MESSAGE_TOKENS
}

fn of_message(message: &Message, count: &dyn Fn(&str) -> u64) -> u64 {
    MESSAGE_TOKENS + of_content(&message.content, count)
}

fn of_content(content: &Content, count: &dyn Fn(&str) -> u64) -> u64 {
    let of_part = |kind: &PartKind| match kind {
        PartKind::Text { text, .. } | PartKind::Refusal { text } | PartKind::Reasoning { text, .. } => {
            count(text)
        }
        // Nobody but the provider knows what is in it.
        PartKind::RedactedReasoning { .. } => 0,
        PartKind::Image(media) => of_media(media, IMAGE_TOKENS, count),
        PartKind::File(media) | PartKind::Audio(media) => of_media(media, FILE_TOKENS, count),
        PartKind::ToolCall { name, arguments, .. } => MESSAGE_TOKENS + count(name) + count(arguments),
        PartKind::ToolResult { content, .. } => MESSAGE_TOKENS + of_content(content, count),
        PartKind::Opaque { value, .. } => count(value.text()),
    };
    content.parts.iter().map(|part| of_part(&part.kind)).sum()
}

fn of_media(media: &Media, flat: u64, count: &dyn Fn(&str) -> u64) -> u64 {
    match &media.source {
        Source::Text(text) => count(text),
        Source::Url(_) | Source::Base64(_) | Source::FileId(_) => flat,
    }
}

fn of_tool(tool: &Tool, count: &dyn Fn(&str) -> u64) -> u64 {
    match &tool.kind {
        ToolKind::Function { name, description, schema, .. } => {
            let described = description.as_deref().map_or(0, count);
            TOOL_TOKENS + count(name) + described + schema.as_ref().map_or(0, |schema| count(schema.text()))
        }
        ToolKind::Opaque { value, .. } => TOOL_TOKENS + count(value.text()),
    }
}

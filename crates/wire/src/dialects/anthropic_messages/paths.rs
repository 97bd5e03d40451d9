//! Where things stood in the body they were read from, for losses.

use crate::{
    Dialect,
    ir::{Form, Message, Part, PartKind, Place},
};

/// The path of each part of a request's message.
pub(super) fn of_message(dialect: Dialect, message: &Message, at: usize) -> Vec<String> {
    let base = format!("messages[{at}]");
    if dialect != Dialect::OpenaiChat {
        return (0..message.content.parts.len()).map(|part| format!("{base}.content[{part}]")).collect();
    }
    let reasoning = ["reasoning_details", "reasoning_content", "reasoning"];
    let reasoning = reasoning.into_iter().find(|name| message.ext.get(name).is_some());
    let bare = message.content.form == Form::Bare;
    of_chat_parts(&base, reasoning.unwrap_or("reasoning_content"), &message.content.parts, bare)
}

/// The path of each part of an answer. What an answer loses is told to the caller beside what its request lost:
/// `response` tells them apart.
pub(super) fn of_answer(dialect: Dialect, parts: &[Part]) -> Vec<String> {
    if dialect == Dialect::OpenaiChat {
        return of_chat_parts(&place(dialect, Place::Message(0)), "reasoning_content", parts, true);
    }
    (0..parts.len()).map(|part| format!("response.content[{part}]")).collect()
}

/// The path of one part of a streamed answer, of which the others are not known.
pub(super) fn part(dialect: Dialect, index: u32) -> String {
    if dialect == Dialect::OpenaiChat {
        return place(dialect, Place::Message(0));
    }
    format!("response.content[{index}]")
}

/// The path of a call of a streamed answer, which is its `nth`.
pub(super) fn call(dialect: Dialect, index: u32, nth: usize) -> String {
    if dialect == Dialect::OpenaiChat {
        return format!("{}.tool_calls[{nth}]", part(dialect, index));
    }
    part(dialect, index)
}

/// The path of an object of an answer.
pub(super) fn place(dialect: Dialect, place: Place) -> String {
    match (dialect, place) {
        (Dialect::OpenaiChat, Place::Choice(number)) => format!("response.choices[{number}]"),
        (Dialect::OpenaiChat, Place::Message(number)) => format!("response.choices[{number}].message"),
        _ => "response".to_owned(),
    }
}

/// Chat completions keep reasoning, refusals and calls beside the content, and count each list by itself.
fn of_chat_parts(base: &str, reasoning: &str, parts: &[Part], bare: bool) -> Vec<String> {
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

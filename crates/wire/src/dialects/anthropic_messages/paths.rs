//! Where things stood in the answer they were read from, for losses.

use crate::{
    Dialect,
    dialects::openai_chat::of_parts,
    ir::{Part, Place},
};

/// The path of each part of an answer. What an answer loses is told to the caller beside what its request lost:
/// `response` tells them apart.
pub(super) fn of_answer(dialect: Dialect, parts: &[Part]) -> Vec<String> {
    if dialect == Dialect::OpenaiChat {
        return of_parts(&place(dialect, Place::Message(0)), "reasoning_content", parts, true);
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

//! The dialect's words for stop reasons and efforts, its ids, and log probabilities.

use crate::{
    Dialect,
    ir::{Effort, Stop, StopReason},
    json::{Object, Raw},
};

/// A model that calls stops with `stop` here.
pub(super) fn stop(raw: &str, called: bool) -> Stop {
    let reason = match raw {
        "stop" | "" if called => StopReason::ToolCalls,
        // A request without messages loads the model or unloads it.
        "stop" | "load" | "unload" | "" => StopReason::End,
        "length" => StopReason::Length,
        _ => StopReason::Other,
    };
    Stop { reason, raw: raw.to_owned(), text: None }
}

/// The word for a stop that came from another dialect; true where it says as much.
pub(super) fn done_reason(reason: StopReason) -> (&'static str, bool) {
    match reason {
        StopReason::End | StopReason::StopText | StopReason::ToolCalls => ("stop", true),
        StopReason::Length => ("length", true),
        StopReason::ContentFilter | StopReason::Refusal | StopReason::Pause | StopReason::Other => {
            ("stop", false)
        }
    }
}

/// How much to think, in this API's words (<https://docs.ollama.com/capabilities/thinking>), and whether they say as
/// much.
pub(super) fn level(effort: &Effort) -> (&'static str, bool) {
    match effort {
        Effort::None => ("false", true),
        Effort::Minimal => ("\"low\"", false),
        Effort::Low => ("\"low\"", true),
        Effort::Medium => ("\"medium\"", true),
        Effort::High => ("\"high\"", true),
        Effort::Other(_) => ("\"high\"", false),
    }
}

/// The most letters of a date in an id: clients of other APIs take ids of up to 40.
const STAMP_CHARS_MAX: usize = 28;

/// Answers have no ids here, so their date, which is exact to the nanosecond, tells them apart.
pub(super) fn stamp(created_at: &str) -> String {
    created_at.chars().filter(char::is_ascii_alphanumeric).take(STAMP_CHARS_MAX).collect()
}

/// The id of an answer of that stamp.
pub(super) fn answer_id(stamp: &str) -> String {
    if stamp.is_empty() { String::new() } else { format!("ollama-{stamp}") }
}

/// The id of a call that has none.
pub(super) fn call_id(stamp: &str, number: u64) -> String {
    format!("call_{stamp}_{number}")
}

/// Log probabilities as they stand here: a list of tokens, which chat completions have under `content`
/// (<https://platform.openai.com/docs/api-reference/chat/object>).
pub(super) fn logprobs(raw: &Raw, source: Dialect) -> Option<Raw> {
    if source == Dialect::Ollama {
        return Some(raw.clone());
    }
    let content = Object::from_raw(raw.value()).ok()?.peek("content")?;
    content.get().starts_with('[').then(|| Raw::new(content))
}

/// The seconds since 1970 of a date as RFC 3339 writes it.
pub(super) fn seconds(date: &str) -> Option<i64> {
    date.parse::<jiff::Timestamp>().ok().map(jiff::Timestamp::as_second)
}

/// The date of so many seconds since 1970.
pub(super) fn date(seconds: i64) -> String {
    jiff::Timestamp::from_second(seconds).unwrap_or_default().to_string()
}

//! The dialect's words for stop reasons, and its ids.

use std::borrow::Cow;

use crate::{
    CallIds, fit,
    ir::{Stop, StopReason},
};

pub(super) fn stop(raw: &str, text: Option<String>) -> Stop {
    let reason = match raw {
        "end_turn" => StopReason::End,
        "stop_sequence" => StopReason::StopText,
        "max_tokens" | "model_context_window_exceeded" => StopReason::Length,
        "tool_use" => StopReason::ToolCalls,
        "refusal" => StopReason::Refusal,
        "pause_turn" => StopReason::Pause,
        _ => StopReason::Other,
    };
    Stop { reason, raw: raw.to_owned(), text }
}

/// What an answer holds, as far as the word for its end depends on it.
#[derive(Clone, Copy, Default)]
pub(super) struct Told {
    pub(super) calls: bool,
    pub(super) refusal: bool,
}

/// The word for a stop that came from another dialect. Chat completions say `stop` also for a call that the
/// caller forced (<https://platform.openai.com/docs/guides/function-calling>) and for a refusal; here a call that
/// waits for its result is always `tool_use`.
pub(super) fn stop_reason(reason: StopReason, told: Told) -> &'static str {
    match reason {
        StopReason::End | StopReason::Other if told.calls => "tool_use",
        StopReason::End if told.refusal => "refusal",
        StopReason::End | StopReason::Other => "end_turn",
        StopReason::StopText => "stop_sequence",
        StopReason::Length => "max_tokens",
        StopReason::ToolCalls => "tool_use",
        StopReason::ContentFilter | StopReason::Refusal => "refusal",
        StopReason::Pause => "pause_turn",
    }
}

/// An id of a tool call that is allowed here.
pub(super) fn call_id(id: &str) -> Cow<'_, str> {
    fit::call_id(id, CallIds::Word64)
}

//! The dialect's words for stop reasons and efforts, and its ids.

use std::borrow::Cow;

use base64::{Engine, prelude::BASE64_STANDARD};

use crate::{
    CallIds, fit,
    ir::{Stop, StopReason},
};

pub(super) fn stop(raw: &str) -> Stop {
    let reason = match raw {
        "end_turn" => StopReason::End,
        "stop_sequence" => StopReason::StopText,
        "max_tokens" | "model_context_window_exceeded" => StopReason::Length,
        "tool_use" => StopReason::ToolCalls,
        "content_filtered" | "guardrail_intervened" => StopReason::ContentFilter,
        "refusal" => StopReason::Refusal,
        _ => StopReason::Other,
    };
    Stop { reason, raw: raw.to_owned(), text: None }
}

/// What an answer holds, as far as the word for its end depends on it.
#[derive(Clone, Copy, Default)]
pub(super) struct Told {
    pub(super) calls: bool,
    pub(super) refusal: bool,
}

/// The word for a stop that came from another dialect
/// (<https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html>). A call that waits for its
/// result is always `tool_use`, also where the other dialect calls that a plain end.
pub(super) fn stop_reason(reason: StopReason, told: Told) -> &'static str {
    match reason {
        StopReason::End | StopReason::Other if told.calls => "tool_use",
        StopReason::End if told.refusal => "content_filtered",
        StopReason::End | StopReason::Other | StopReason::Pause => "end_turn",
        StopReason::StopText => "stop_sequence",
        StopReason::Length => "max_tokens",
        StopReason::ToolCalls => "tool_use",
        StopReason::ContentFilter | StopReason::Refusal => "content_filtered",
    }
}

/// Whether the word for a stop of another dialect says something else.
pub(super) fn is_approximate(reason: StopReason) -> bool {
    matches!(reason, StopReason::Other | StopReason::Pause)
}

/// A seal for a member that must be base64: one that is marked is wrapped in it, any other is base64 already.
pub(super) fn sealed(seal: Cow<'_, str>) -> Cow<'_, str> {
    if crate::is_marked(seal.as_bytes()) { Cow::Owned(BASE64_STANDARD.encode(seal.as_bytes())) } else { seal }
}

/// The seal that was wrapped because it is marked; any other as it is.
pub(super) fn unsealed(seal: Cow<'_, str>) -> Cow<'_, str> {
    if !crate::is_marked(seal.as_bytes()) {
        return seal;
    }
    let bytes = BASE64_STANDARD.decode(seal.as_bytes()).ok();
    let text = bytes.and_then(|bytes| String::from_utf8(bytes).ok());
    text.filter(|text| crate::is_marked(text.as_bytes())).map_or(seal, Cow::Owned)
}

/// The type of a wish to think, as far as the rest of it tells.
pub(super) fn thinking_type(enabled: bool, budget_tokens: Option<u64>) -> &'static str {
    match (enabled, budget_tokens) {
        (false, _) => "disabled",
        (true, Some(_)) => "enabled",
        (true, None) => "adaptive",
    }
}

/// An id of a tool call that is allowed here.
pub(super) fn call_id(id: &str) -> Cow<'_, str> {
    fit::call_id(id, CallIds::Dotted64)
}

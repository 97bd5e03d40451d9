//! The dialect's words for why an answer ended (<https://docs.cohere.com/reference/chat>).

use crate::{
    Kind,
    ir::{Stop, StopReason},
};

/// The member of an answer's message in which the plan of a turn with tools stands, apart from its content.
pub(super) const PLAN: &str = "tool_plan";

pub(super) fn stop(raw: &str) -> Stop {
    let reason = match raw {
        "COMPLETE" => StopReason::End,
        "STOP_SEQUENCE" => StopReason::StopText,
        "MAX_TOKENS" => StopReason::Length,
        "TOOL_CALL" => StopReason::ToolCalls,
        _ => StopReason::Other,
    };
    Stop { reason, raw: raw.to_owned(), text: None }
}

/// What went wrong, where the word says that something did.
pub(super) fn failure(raw: &str) -> Option<Kind> {
    match raw {
        "ERROR" => Some(Kind::Internal),
        "TIMEOUT" => Some(Kind::Timeout),
        _ => None,
    }
}

/// The word for a stop that came from another dialect. A call that waits for its result is always `TOOL_CALL`.
pub(super) fn finish_reason(reason: StopReason, calls: bool) -> &'static str {
    match reason {
        StopReason::End | StopReason::Other if calls => "TOOL_CALL",
        StopReason::End
        | StopReason::Other
        | StopReason::Pause
        | StopReason::ContentFilter
        | StopReason::Refusal => "COMPLETE",
        StopReason::StopText => "STOP_SEQUENCE",
        StopReason::Length => "MAX_TOKENS",
        StopReason::ToolCalls => "TOOL_CALL",
    }
}

/// Whether the dialect has no word for the reason.
pub(super) fn is_wordless(reason: StopReason) -> bool {
    match reason {
        StopReason::Other | StopReason::Pause | StopReason::ContentFilter | StopReason::Refusal => true,
        StopReason::End | StopReason::StopText | StopReason::Length | StopReason::ToolCalls => false,
    }
}

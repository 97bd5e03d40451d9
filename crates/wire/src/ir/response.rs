//! An answer, whole.

use super::{Ext, Part, Usage};
use crate::json::Raw;

/// A complete answer: the fold of its events.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Response {
    pub id: String,
    /// The model that answered, as the provider names it.
    pub model: String,
    /// Seconds since 1970, where the dialect says it.
    pub created_s: Option<i64>,
    pub choices: Vec<Choice>,
    pub usage: Option<Usage>,
    /// Members of the usage object that have no class of their own, in the source dialect's form.
    pub usage_ext: Ext,
    pub ext: Ext,
    /// Members that repeat the request or are kept of the exchange: they mean something only in their own dialect.
    pub echo: Ext,
}

/// One of the answers (there is one, unless several were asked for).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Choice {
    pub index: u32,
    pub parts: Vec<Part>,
    pub stop: Option<Stop>,
    /// Log probabilities in the source dialect's form.
    pub logprobs: Option<Raw>,
    /// Members of the message object.
    pub message_ext: Ext,
    /// Members of the choice object.
    pub ext: Ext,
}

/// Why a choice ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stop {
    pub reason: StopReason,
    /// The provider's own word.
    pub raw: String,
    /// The text that was matched, for `StopReason::StopText`.
    pub text: Option<String>,
}

/// Why a choice ended, in one vocabulary.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StopReason {
    /// The model was done.
    End,
    /// One of the caller's stop texts came up.
    StopText,
    /// The output limit was reached.
    Length,
    /// The model waits for the results of tools.
    ToolCalls,
    /// The provider's content filter ended it.
    ContentFilter,
    /// The model would not answer.
    Refusal,
    /// The provider paused a long turn and expects to be called again.
    Pause,
    /// A word that we do not know; it is in `raw`.
    Other,
}

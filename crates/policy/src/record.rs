//! What the journal keeps of a call.

use std::borrow::Cow;

use catalog::Price;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::Money;

/// Written before a call's first request leaves for an upstream, so that the call is known to have happened
/// whatever becomes of this process. Enough for a record of a call whose end is unknown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Note<'a> {
    pub id: Uuid,
    /// Microseconds since 1970.
    pub started_us: i64,
    pub key_id: Uuid,
    #[serde(borrow)]
    pub key_name: Cow<'a, str>,
    #[serde(borrow)]
    pub dialect: Cow<'a, str>,
    #[serde(borrow)]
    pub model_asked: Cow<'a, str>,
    #[serde(borrow)]
    pub provider: Cow<'a, str>,
    #[serde(borrow)]
    pub model: Cow<'a, str>,
    pub stream: bool,
}

/// One record for every call that reached an upstream.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// The request's id (UUID version 7), as in `x-tollgate-request-id`.
    pub id: Uuid,
    /// Microseconds since 1970.
    pub started_us: i64,
    pub key_id: Uuid,
    pub key_name: String,
    /// The dialect that the caller spoke.
    pub dialect: String,
    /// The model's name as the caller wrote it.
    pub model_asked: String,
    /// Who answered, or was tried last.
    pub provider: String,
    pub model: String,
    pub stream: bool,
    pub outcome: Outcome,
    /// The status that the caller got; 0 when it went away before one was sent or nobody knows.
    pub status: u16,
    /// The kind of fault that ended the call.
    pub fault: Option<String>,
    /// The provider's own word for why the answer ended.
    pub stop: Option<String>,
    pub tokens: Tokens,
    /// Where the token counts come from.
    pub counted: Counted,
    /// What the call costs. `None` is "unpriced": the price of this model is not known. Never a guess of 0.
    pub cost: Option<Money>,
    /// The price that was applied, so that a later change of prices rewrites nothing.
    pub price: Option<Price>,
    /// From the request's arrival to the first byte of the answer's body, in microseconds.
    pub first_byte_us: Option<u64>,
    /// From the request's arrival to the end, in microseconds.
    pub total_us: u64,
    /// Paths of the fields that the target could not carry.
    pub losses: Vec<String>,
    /// In order; the last is the one that answered.
    pub attempts: Vec<Tried>,
}

/// How a call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The answer was complete.
    Complete,
    /// The provider, or the way to it, failed before an answer began.
    Failed,
    /// The answer broke off, or broke, after it had begun.
    Cut,
    /// The caller went away.
    Cancelled,
    /// This process ended before the call did: nobody knows.
    Unknown,
}

/// Tokens by class; totals include their parts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tokens {
    pub input: u64,
    pub cache_read: u64,
    pub cache_write: u64,
    pub cache_write_1h: u64,
    pub output: u64,
    pub reasoning: u64,
}

/// Where token counts come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Counted {
    /// The provider reported them.
    Reported,
    /// The provider did not report all of them: they were counted here, roughly.
    Estimated,
    /// There is nothing to count.
    Nothing,
}

/// One attempt of a call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tried {
    pub provider: String,
    pub model: String,
    /// The upstream's status, where it answered.
    pub status: Option<u16>,
    /// The kind of fault, where it failed.
    pub fault: Option<String>,
    pub total_us: u64,
    /// Whether the request may have reached the upstream.
    pub sent: bool,
}

impl Outcome {
    pub const ALL: [Outcome; 5] =
        [Outcome::Complete, Outcome::Failed, Outcome::Cut, Outcome::Cancelled, Outcome::Unknown];

    pub fn name(self) -> &'static str {
        match self {
            Outcome::Complete => "complete",
            Outcome::Failed => "failed",
            Outcome::Cut => "cut",
            Outcome::Cancelled => "cancelled",
            Outcome::Unknown => "unknown",
        }
    }
}

impl From<&wire::ir::Usage> for Tokens {
    fn from(usage: &wire::ir::Usage) -> Tokens {
        Tokens {
            input: usage.input_tokens,
            cache_read: usage.cache_read_tokens,
            cache_write: usage.cache_write_tokens,
            cache_write_1h: usage.cache_write_1h_tokens,
            output: usage.output_tokens,
            reasoning: usage.reasoning_tokens,
        }
    }
}

impl From<Note<'_>> for Record {
    /// The record of a call that was noted and never completed.
    fn from(note: Note<'_>) -> Record {
        let provider = note.provider.into_owned();
        let model = note.model.into_owned();
        Record {
            id: note.id,
            started_us: note.started_us,
            key_id: note.key_id,
            key_name: note.key_name.into_owned(),
            dialect: note.dialect.into_owned(),
            model_asked: note.model_asked.into_owned(),
            stream: note.stream,
            outcome: Outcome::Unknown,
            status: 0,
            fault: None,
            stop: None,
            tokens: Tokens::default(),
            counted: Counted::Nothing,
            cost: None,
            price: None,
            first_byte_us: None,
            total_us: 0,
            losses: Vec::new(),
            attempts: vec![Tried {
                provider: provider.clone(),
                model: model.clone(),
                status: None,
                fault: None,
                total_us: 0,
                sent: true,
            }],
            provider,
            model,
        }
    }
}

//! How a provider or a model departs from its dialect, as data of the catalogue.

use serde::{Deserialize, Serialize};

use crate::count::Tokenizer;

/// Departures from a dialect. Every member has a default that fits the dialect's own documentation.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Quirks {
    /// Which member carries the output limit in OpenAI chat requests.
    pub output_limit: OutputLimit,
    /// Whether usage on streams has to be asked for.
    pub stream_usage: StreamUsage,
    /// The role under which OpenAI chat requests carry instructions.
    pub system_role: SystemRole,
    /// The output limit for a request that has none, where the dialect requires one (Anthropic).
    pub output_tokens_default: Option<u64>,
    /// Which of temperature, top_p and top_k are taken. Others are left out of requests that are translated.
    pub sampling: Sampling,
    /// How a model is told how much to think.
    pub reasoning: ReasoningControl,
    /// How its models' texts become tokens.
    pub tokenizer: Tokenizer,
    /// How many tokens its models count where `o200k_base` counts a hundred. Default: 110.
    pub token_percent: Option<u64>,
}

/// Where no factor is known. Claude 2's is 110, Llama 3's 106, Llama 2's 130 over mixed texts.
const TOKEN_PERCENT: u64 = 110;

impl Quirks {
    pub fn token_percent(&self) -> u64 {
        self.token_percent.unwrap_or(TOKEN_PERCENT)
    }
}

/// Which sampling parameters a model takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Sampling {
    #[default]
    All,
    /// All but `top_k`, which OpenAI's own API does not know.
    NoTopK,
    /// None, as with Claude from Opus 4.7 on and OpenAI's reasoning models.
    None,
}

/// How a model is told how much to think.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReasoningControl {
    /// By an effort or a budget of tokens.
    #[default]
    Any,
    /// By an effort only; a budget is refused.
    Effort,
    /// By a budget of tokens only; an effort is refused.
    Budget,
}

/// The name of the output limit in OpenAI chat requests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OutputLimit {
    /// `max_tokens`, which nearly every compatible server takes.
    #[default]
    MaxTokens,
    /// `max_completion_tokens`, which OpenAI's reasoning models require
    /// (<https://platform.openai.com/docs/api-reference/chat/create>).
    MaxCompletionTokens,
}

/// Whether a stream carries usage.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StreamUsage {
    /// On `stream_options: {"include_usage": true}`.
    #[default]
    Ask,
    /// Without being asked; the option is left out.
    Always,
    /// Never; the option is refused.
    Never,
}

/// The role that carries instructions in OpenAI chat requests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SystemRole {
    /// As the caller wrote it; instructions from another dialect become `system`.
    #[default]
    System,
    /// `developer`.
    Developer,
}

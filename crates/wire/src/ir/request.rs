//! A request for a completion.

use super::{Ext, Message};
use crate::{Dialect, OutputLimit, json::Raw};

/// What a caller asks of a model.
#[derive(Clone, Debug, PartialEq)]
pub struct Request {
    /// The dialect it was written in: its `ext` members mean something only there.
    pub dialect: Dialect,
    /// The model's name as the caller wrote it.
    pub model: String,
    pub stream: Option<bool>,
    /// Whether the caller asked for usage on a stream (OpenAI's `stream_options.include_usage`).
    pub include_usage: Option<bool>,
    /// In order; instructions that a dialect keeps apart (Anthropic's `system`) come first.
    pub messages: Vec<Message>,
    pub tools: Vec<Tool>,
    pub tool_choice: Option<ToolChoice>,
    pub parallel_tool_calls: Option<bool>,
    /// The most tokens to generate.
    pub output_tokens_max: Option<u64>,
    /// Which of OpenAI's two names it had.
    pub output_limit_name: Option<OutputLimit>,
    pub temperature: Option<f64>,
    pub top_p: Option<f64>,
    pub top_k: Option<u64>,
    pub frequency_penalty: Option<f64>,
    pub presence_penalty: Option<f64>,
    pub stop: Option<Stops>,
    pub seed: Option<i64>,
    /// How many answers.
    pub choices: Option<u64>,
    pub logprobs: Option<bool>,
    pub top_logprobs: Option<u64>,
    pub output: Option<OutputFormat>,
    pub reasoning: Option<Reasoning>,
    /// A stable name of the end user, for the provider's abuse detection.
    pub user: Option<String>,
    /// Labels of the caller's own (a JSON object).
    pub metadata: Option<Raw>,
    pub ext: Ext,
}

/// Texts at which to stop, and whether they were spelled as one bare string.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stops {
    pub texts: Vec<String>,
    pub bare: bool,
}

/// Something the model may call.
#[derive(Clone, Debug, PartialEq)]
pub struct Tool {
    pub kind: ToolKind,
    pub cache: Option<Raw>,
    pub ext: Ext,
}

#[derive(Clone, Debug, PartialEq)]
pub enum ToolKind {
    Function {
        name: String,
        description: Option<String>,
        /// A JSON Schema, as written.
        schema: Option<Raw>,
        strict: Option<bool>,
    },
    /// A tool that the provider runs itself, or one that only its own dialect knows: the whole object.
    Opaque { name: String, value: Raw },
}

#[derive(Clone, Debug, PartialEq)]
pub enum ToolChoice {
    Auto,
    None,
    /// At least one call.
    Required,
    /// This function.
    Named(String),
    /// A form that only its own dialect knows.
    Opaque(Raw),
}

/// The form that the answer must have.
#[derive(Clone, Debug, PartialEq)]
pub enum OutputFormat {
    Text,
    /// Any JSON object.
    JsonObject,
    JsonSchema {
        name: Option<String>,
        description: Option<String>,
        schema: Option<Raw>,
        strict: Option<bool>,
        ext: Ext,
    },
    /// A form that only its own dialect knows.
    Opaque(Raw),
}

/// How much to think before answering.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Reasoning {
    /// `Some(false)`: asked not to. `Some(true)`: asked to, without an effort (Anthropic's `enabled` and
    /// `adaptive`; `ext` tells which).
    pub enabled: Option<bool>,
    pub effort: Option<Effort>,
    /// The most tokens to think for.
    pub budget_tokens: Option<u64>,
    pub ext: Ext,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effort {
    None,
    Minimal,
    Low,
    Medium,
    High,
    /// Above `high` (`xhigh`, `max`): as the dialect spells it.
    Other(String),
}

impl Request {
    /// An empty request, for a decoder to fill.
    pub fn new(dialect: Dialect, model: impl Into<String>) -> Request {
        Request {
            dialect,
            model: model.into(),
            stream: None,
            include_usage: None,
            messages: Vec::new(),
            tools: Vec::new(),
            tool_choice: None,
            parallel_tool_calls: None,
            output_tokens_max: None,
            output_limit_name: None,
            temperature: None,
            top_p: None,
            top_k: None,
            frequency_penalty: None,
            presence_penalty: None,
            stop: None,
            seed: None,
            choices: None,
            logprobs: None,
            top_logprobs: None,
            output: None,
            reasoning: None,
            user: None,
            metadata: None,
            ext: Ext::default(),
        }
    }
}

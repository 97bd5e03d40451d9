//! How a provider or a model departs from its dialect, as data of the catalogue.

use serde::{Deserialize, Serialize};

use crate::{count::Tokenizer, fit::SchemaSubset, hosting::Hosting};

/// Departures from a dialect. Every member has a default that fits the dialect's own documentation.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Quirks {
    /// Who hosts the API, where that is not its own provider.
    pub hosting: Hosting,
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
    /// How its models are asked to go on from a prompt.
    pub prompts: Prompts,
    /// How its models' texts become tokens.
    pub tokenizer: Tokenizer,
    /// How many tokens its models count where `o200k_base` counts a hundred. Default: 110.
    pub token_percent: Option<u64>,
    /// Members that a model refuses: they are left out of requests that are translated.
    pub refused: Vec<Member>,
    /// Where answers hold what the model thought.
    pub thinking: ThinkingPlace,
    /// The tags around thinking that stands in the text. Default: `<think>` and `</think>`.
    pub thinking_tags: Option<[String; 2]>,
    /// What becomes of earlier thinking in OpenAI chat requests.
    pub thinking_history: ThinkingHistory,
    /// Which ids of tool calls are taken; where nothing is said, what the dialect documents.
    pub call_ids: Option<CallIds>,
    /// In which order the turns of a conversation must come.
    pub turns: TurnOrder,
    /// What of JSON Schema is taken where answers or arguments are held to a schema; where nothing is said, what
    /// the dialect documents.
    pub schema: Option<SchemaSubset>,
}

/// Where no factor is known. Claude 2's is 110, Llama 3's 106, Llama 2's 130 over mixed texts.
const TOKEN_PERCENT: u64 = 110;

impl Quirks {
    pub fn token_percent(&self) -> u64 {
        self.token_percent.unwrap_or(TOKEN_PERCENT)
    }

    /// The tags around thinking that stands in the text.
    pub fn thinking_tags(&self) -> [&str; 2] {
        match &self.thinking_tags {
            Some([open, close]) => [open, close],
            None => ["<think>", "</think>"],
        }
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

/// How a model is asked to go on from a prompt, where its provider has a form for that.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Prompts {
    /// In that form, which goes on byte for byte.
    #[default]
    Own,
    /// As a turn of a chat: the form is refused for chat models, or is not there at all.
    Chat,
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
    /// `system`, and only as the first message: all instructions are joined there.
    First,
    /// None: instructions stand at the beginning of the user's first turn, as for Gemma
    /// (<https://ai.google.dev/gemma/docs/core/prompt-structure>).
    User,
}

/// A member of a request that a model may refuse, under its name in OpenAI chat requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Member {
    Temperature,
    TopP,
    TopK,
    FrequencyPenalty,
    PresencePenalty,
    Stop,
    Seed,
    N,
    Logprobs,
    TopLogprobs,
    User,
    Metadata,
    ParallelToolCalls,
    ToolChoice,
    ResponseFormat,
    ReasoningEffort,
    /// Of tools and of formats: what they define goes on, and is not held to.
    Strict,
}

/// Where answers hold what the model thought.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ThinkingPlace {
    /// In members of its own, as the dialect has it.
    #[default]
    Member,
    /// At the beginning of the text, between two tags, as with a server that does not parse it
    /// (<https://docs.vllm.ai/en/latest/features/reasoning_outputs.html>).
    Tags,
    /// The same, and the prompt has opened it already: the text begins within it.
    TagsOpen,
}

/// What becomes of what a model thought earlier in the conversation, in OpenAI chat requests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ThinkingHistory {
    /// It is left out: OpenAI's own API has no member for it.
    #[default]
    LeftOut,
    /// It goes back as `reasoning_content`, which stands with every tool call, since some refuse one without
    /// (<https://api-docs.deepseek.com/guides/thinking_mode>).
    ReasoningContent,
    /// It goes back as `reasoning`.
    Reasoning,
    /// It goes back between tags at the beginning of the text.
    Tags,
}

/// Which ids of tool calls a target takes. Others are replaced, the same one by the same in a call and in its result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CallIds {
    Any,
    /// Up to 40 bytes of any kind, as OpenAI's chat completions take them.
    #[serde(rename = "max_40")]
    Max40,
    /// Up to 64 bytes of any kind, as OpenAI's Responses take them
    /// (<https://platform.openai.com/docs/api-reference/responses/create>).
    #[serde(rename = "max_64")]
    Max64,
    /// Up to 64 letters, digits, `_` and `-`, as Anthropic takes them (<https://docs.anthropic.com/en/api/messages>).
    #[serde(rename = "word_64")]
    Word64,
    /// Up to 64 letters, digits, `_`, `.`, `:` and `-`, as Bedrock takes them
    /// (<https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ToolUseBlock.html>).
    #[serde(rename = "dotted_64")]
    Dotted64,
    /// Nine letters and digits, as Mistral takes them.
    #[serde(rename = "alphanumeric_9")]
    Alphanumeric9,
}

/// In which order the turns of a conversation must come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TurnOrder {
    /// Any.
    #[default]
    Any,
    /// The first turn after the instructions is the user's.
    UserFirst,
    /// Between the results of tools and the user's words the assistant speaks.
    AssistantAfterTools,
    /// User and assistant alternate, and the user begins; the assistant speaks after tools.
    Alternate,
    /// The same, and the last turn is not the assistant's.
    AlternateUserLast,
}

//! What a person writes of a provider: in the catalogue's files and, in the same format, in a configuration.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

/// A provider: where it is, how it is opened, which dialects it speaks, and its models.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ProviderDraft {
    /// The name people know it by. Default: the entry's own name.
    pub name: Option<String>,
    /// Where its API begins, without a trailing slash, as `https://api.example.com/v1`.
    pub base_url: Option<String>,
    /// The dialect that is spoken below `base_url`: `openai_chat`, `openai_responses`,
    /// `anthropic_messages`, `gemini`, `bedrock_converse`, `cohere_v2` or `ollama`.
    pub dialect: Option<String>,
    /// Further dialects, each with the whole URL that takes its requests.
    pub dialects: Option<BTreeMap<String, String>>,
    /// Wire forms of operations beside chat, each with the whole URL that takes its requests: `openai_completions`,
    /// `ollama_generate`, `openai_embeddings`, `voyage_embeddings`, `cohere_embed`, `gemini_embed`, `ollama_embed`, `cohere_rerank`, `jina_rerank`,
    /// `voyage_rerank`, `openai_images`, `openai_speech`, `openai_transcriptions` and so on. Default: those of the
    /// dialect, below `base_url`.
    pub forms: Option<BTreeMap<String, String>>,
    /// What stands for `{region}` in its addresses, and the region for which requests to AWS are signed. `{region-}` is
    /// the region and a hyphen, or nothing where the region is `global`, as Google writes its hosts.
    pub region: Option<String>,
    /// What stands for `{project}` in its addresses.
    pub project: Option<String>,
    /// What stands for `{resource}` in its addresses, as Azure calls what belongs to a customer.
    pub resource: Option<String>,
    /// How the credential is shown: `bearer`, `header: NAME`, `query: NAME`, `none`; or whose identity opens it where it
    /// has no `api_key`: `aws` (requests are signed), `google` or `azure` (tokens are fetched and refreshed). Default:
    /// what the dialect's own provider uses (`bearer` for `openai_chat`, `header: x-api-key` for `anthropic_messages`,
    /// `header: x-goog-api-key` for `gemini`).
    pub auth: Option<String>,
    /// The environment variables that usually hold the credential; the first that is set is used.
    pub env: Option<OneOrMany>,
    /// Headers that every request carries.
    pub headers: Option<BTreeMap<String, String>>,
    /// Where its API is documented.
    pub docs: Option<String>,
    /// Whether it runs on one's own machines and needs no credential. Default: false.
    pub local: Option<bool>,
    /// How it departs from its dialect; see [quirks](quirks.md).
    #[schemars(with = "Option<BTreeMap<String, serde_json::Value>>")]
    pub quirks: Option<serde_json::Value>,
    /// Its models by the names it gives them. A model that is not listed can still be asked for; it is unpriced.
    pub models: Option<BTreeMap<String, Option<ModelDraft>>>,
}

/// A model of a provider.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ModelDraft {
    /// Other names of the same model.
    pub aliases: Option<Vec<String>>,
    /// The most tokens of prompt and answer together.
    pub context_tokens: Option<u64>,
    /// The most tokens of an answer.
    pub output_tokens: Option<u64>,
    /// What it can do: `tools`, `vision`, `pdf`, `audio`, `reasoning`, `json_schema`, `caching`; or instead of text
    /// `embeddings`, `rerank`, `images`, `speech`, `transcription`, `moderation`.
    pub can: Option<Vec<String>>,
    /// What it costs, in USD per million tokens. Left out, the model is "unpriced".
    pub price: Option<PriceDraft>,
    /// The day from which the provider calls it deprecated, as `2027-01-31`.
    pub deprecated: Option<String>,
    /// How it departs from its provider's dialect; added to the provider's own quirks.
    #[schemars(with = "Option<BTreeMap<String, serde_json::Value>>")]
    pub quirks: Option<serde_json::Value>,
}

/// Prices in USD with up to six decimals; per million tokens where the name says no other unit.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct PriceDraft {
    /// Input that is not cached.
    pub input: Option<serde_json::Number>,
    /// Input read from the prompt cache. Default: the price of input.
    pub cached: Option<serde_json::Number>,
    /// Input written to the prompt cache for five minutes. Default: the price of input.
    pub cache_write: Option<serde_json::Number>,
    /// Input written to the prompt cache for an hour. Default: the price of `cache_write`.
    pub cache_write_1h: Option<serde_json::Number>,
    /// Output.
    pub output: Option<serde_json::Number>,
    /// Reasoning, where it is not sold as output.
    pub reasoning: Option<serde_json::Number>,
    /// Input that is sound. Default: the price of input.
    pub audio_input: Option<serde_json::Number>,
    /// Output that is sound. Default: the price of output.
    pub audio_output: Option<serde_json::Number>,
    /// Input that is pictures. Default: the price of input.
    pub image_input: Option<serde_json::Number>,
    /// Output that is pictures. Default: the price of output.
    pub image_output: Option<serde_json::Number>,
    /// Other prices for long prompts.
    pub above: Option<LongContextDraft>,
    /// A picture that is made.
    pub per_image: Option<serde_json::Number>,
    /// A minute of sound that is transcribed or made.
    pub per_minute: Option<serde_json::Number>,
    /// A million characters that are spoken.
    pub per_1m_characters: Option<serde_json::Number>,
    /// A thousand searches, as rerankers and search tools count them.
    pub per_1k_searches: Option<serde_json::Number>,
    /// A thousand requests, whatever they use beside.
    pub per_1k_requests: Option<serde_json::Number>,
    /// What a batch costs of all this, as `0.5`. Default: as much.
    pub batch: Option<serde_json::Number>,
    /// The day from which it holds, as `2026-01-31`.
    pub since: Option<String>,
}

/// Prices that hold for prompts above a number of tokens.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct LongContextDraft {
    /// The prompt must have more tokens than this.
    pub tokens: u64,
    /// As in `price`.
    pub input: Option<serde_json::Number>,
    /// As in `price`.
    pub cached: Option<serde_json::Number>,
    /// As in `price`.
    pub cache_write: Option<serde_json::Number>,
    /// As in `price`.
    pub cache_write_1h: Option<serde_json::Number>,
    /// As in `price`.
    pub output: Option<serde_json::Number>,
    /// As in `price`.
    pub reasoning: Option<serde_json::Number>,
    /// As in `price`.
    pub audio_input: Option<serde_json::Number>,
    /// As in `price`.
    pub audio_output: Option<serde_json::Number>,
    /// As in `price`.
    pub image_input: Option<serde_json::Number>,
    /// As in `price`.
    pub image_output: Option<serde_json::Number>,
}

/// One text or a list of them.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum OneOrMany {
    One(String),
    Many(Vec<String>),
}

impl OneOrMany {
    pub fn into_vec(self) -> Vec<String> {
        match self {
            OneOrMany::One(one) => vec![one],
            OneOrMany::Many(many) => many,
        }
    }
}

//! What may be said of any part of an organization, and of a key: the same words everywhere.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{AccessSpec, TemporarySpec};
use crate::{
    config::Span,
    limit::{Budgets, Count, LimitSpec, OperationName, Usd},
};

/// What a part of an organization, or a key, may do. What stands above it holds for it as well.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Settings {
    /// The model names it may ask for, exact or with a trailing `*`. Default: all that are allowed above it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub models: Vec<String>,
    /// The operations it may ask for, as `chat` or `embeddings`. Default: all that are allowed above it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub operations: Vec<OperationName>,
    /// Models and operations that are allowed for a time beside those.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub temporary: Vec<TemporarySpec>,
    /// How much money may be spent: one budget, or several.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub budget: Option<Budgets>,
    /// How much of what may be used, and over which time.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub limits: Vec<LimitSpec>,
    /// The most that one request may be.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub per_request: Option<PerRequest>,
    /// What its calls are marked with, for limits, rules and reports.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub tags: BTreeMap<String, String>,
    /// Where its calls may come from, as `10.0.0.0/8` or `2001:db8::1`. Default: anywhere.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub addresses: Vec<String>,
    /// [Rules](rules.md) over its calls: what is denied, and what is allowed. What is denied stays denied.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub access: Vec<AccessSpec>,
    /// For how long the journal keeps calls of an organization, as `30d`. Default: what `journal.keep` says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keep_calls: Option<Span>,
    /// Whether its calls are refused. Default: false.
    #[serde(skip_serializing_if = "is_false")]
    pub disabled: bool,
}

/// The most that one request may be.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct PerRequest {
    /// What it may cost in USD, by estimate: its prompt, and the longest answer that it allows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub usd: Option<Usd>,
    /// The tokens of its prompt, by estimate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub input_tokens: Option<Count>,
}

fn is_false(flag: &bool) -> bool {
    !flag
}

//! The part of JSON Schema that a target holds answers and arguments to.

use std::sync::LazyLock;

use serde::{Deserialize, Serialize};

use crate::Dialect;

/// What of a schema a target refuses. It concerns formats of answers, and tools that are strict: what else a tool
/// says of its arguments is only shown to the model.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SchemaSubset {
    /// Keywords that are refused; they are cut. `oneOf` becomes `anyOf`, unless that is refused too.
    pub refused: Vec<String>,
    /// The values of `format` that are taken; none where all are.
    pub formats: Option<Vec<String>>,
    /// The largest `minItems` that is taken.
    pub min_items_max: Option<u64>,
    /// Whether objects must say `additionalProperties: false`.
    pub closed: bool,
    /// Whether every property must be required.
    pub all_required: bool,
    /// Whether a schema may not hold itself.
    pub flat: bool,
    /// Whether every format is held to, and not only one that says `strict: true`.
    pub always: bool,
}

/// <https://platform.claude.com/docs/en/build-with-claude/structured-outputs#json-schema-limitations>, and the same
/// at Bedrock (<https://docs.aws.amazon.com/bedrock/latest/userguide/structured-output.html>).
static ANTHROPIC: LazyLock<SchemaSubset> = LazyLock::new(|| SchemaSubset {
    refused: owned(&[
        "minimum",
        "maximum",
        "exclusiveMinimum",
        "exclusiveMaximum",
        "multipleOf",
        "minLength",
        "maxLength",
        "maxItems",
        "uniqueItems",
        "contains",
        "minContains",
        "maxContains",
        "minProperties",
        "maxProperties",
        "patternProperties",
        "propertyNames",
        "oneOf",
        "not",
        "if",
        "then",
        "else",
    ]),
    formats: Some(owned(&[
        "date-time",
        "time",
        "date",
        "duration",
        "email",
        "hostname",
        "uri",
        "ipv4",
        "ipv6",
        "uuid",
    ])),
    min_items_max: Some(1),
    closed: true,
    all_required: false,
    flat: true,
    always: true,
});

/// <https://platform.openai.com/docs/guides/structured-outputs#supported-schemas>.
static OPENAI: LazyLock<SchemaSubset> = LazyLock::new(|| SchemaSubset {
    refused: owned(&[
        "default",
        "minLength",
        "maxLength",
        "uniqueItems",
        "contains",
        "minContains",
        "maxContains",
        "unevaluatedItems",
        "minProperties",
        "maxProperties",
        "patternProperties",
        "propertyNames",
        "unevaluatedProperties",
        "oneOf",
        "allOf",
        "not",
        "dependentRequired",
        "dependentSchemas",
        "if",
        "then",
        "else",
    ]),
    formats: Some(owned(&[
        "date-time",
        "time",
        "date",
        "duration",
        "email",
        "hostname",
        "ipv4",
        "ipv6",
        "uuid",
    ])),
    min_items_max: None,
    closed: true,
    all_required: true,
    flat: false,
    always: false,
});

fn owned(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

/// The subset that a dialect documents. Servers that speak OpenAI's chat differ; Gemini passes over what it does not
/// know (<https://ai.google.dev/gemini-api/docs/structured-output>); of the others nothing is known that they refuse.
pub(super) fn of(dialect: Dialect) -> Option<&'static SchemaSubset> {
    match dialect {
        Dialect::AnthropicMessages | Dialect::BedrockConverse => Some(&ANTHROPIC),
        Dialect::OpenaiResponses => Some(&OPENAI),
        Dialect::OpenaiChat | Dialect::CohereV2 | Dialect::Gemini | Dialect::Ollama => None,
    }
}

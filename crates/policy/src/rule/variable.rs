//! What rules can ask about.

use std::fmt::Write as _;

/// Something that a rule can ask about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Variable {
    Model,
    Operation,
    Dialect,
    Tokens,
    OutputTokens,
    Messages,
    Stream,
    HasImages,
    HasAudio,
    HasFiles,
    HasTools,
    Tools,
    Structured,
    Reasoning,
    Language,
    User,
    Difficulty,
    Intent,
    Headers,
    Metadata,
    KeyName,
    KeyId,
    KeyModels,
    KeyRoles,
    KeyOwner,
    KeyOrganization,
    KeyTeam,
    KeyTeams,
    KeyProject,
    KeyUser,
    KeyTags,
    ClientAddress,
    TargetProvider,
    TargetModel,
    TargetRegions,
    TimeHour,
    TimeMinute,
    TimeWeekday,
    TimeIso,
}

/// The type of a value, as far as it is known before there is a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Type {
    Bool,
    Int,
    Double,
    Text,
    List,
    /// Texts by name.
    Map,
    /// An element of a list.
    Any,
}

pub(super) struct Row {
    pub(super) variable: Variable,
    pub(super) name: &'static str,
    pub(super) of: Type,
    meaning: &'static str,
    example: &'static str,
}

const fn row(
    variable: Variable,
    name: &'static str,
    of: Type,
    meaning: &'static str,
    example: &'static str,
) -> Row {
    Row { variable, name, of, meaning, example }
}

/// Every variable. The page of the documentation has a table that is made of it.
pub(super) static VARIABLES: [Row; 39] = [
    row(
        Variable::Model,
        "request.model",
        Type::Text,
        "the model's name as the caller wrote it; empty where a request names none",
        r#"request.model.startsWith("smart")"#,
    ),
    row(
        Variable::Operation,
        "request.operation",
        Type::Text,
        "what is asked for: `chat`, `completions`, `embeddings`, `rerank`, `images`, `speech`, `transcription`, `moderations` …",
        r#"request.operation == "chat""#,
    ),
    row(
        Variable::Dialect,
        "request.dialect",
        Type::Text,
        "how the caller asks: `openai_chat`, `openai_responses`, `anthropic_messages`, `gemini`, `bedrock_converse`, `cohere_v2` or `ollama`",
        r#"request.dialect == "anthropic_messages""#,
    ),
    row(
        Variable::Tokens,
        "request.tokens",
        Type::Int,
        "the prompt's length in tokens by estimate, without pictures, sounds and documents",
        "request.tokens > 100000",
    ),
    row(
        Variable::OutputTokens,
        "request.output_tokens",
        Type::Int,
        "the most tokens to generate; 0 where the caller sets no limit",
        "request.output_tokens > 8000",
    ),
    row(
        Variable::Messages,
        "request.messages",
        Type::Int,
        "how many messages the conversation has",
        "request.messages > 20",
    ),
    row(
        Variable::Stream,
        "request.stream",
        Type::Bool,
        "whether the answer is to be streamed",
        "!request.stream",
    ),
    row(
        Variable::HasImages,
        "request.has_images",
        Type::Bool,
        "whether pictures stand in it, also in results of tools",
        "request.has_images",
    ),
    row(
        Variable::HasAudio,
        "request.has_audio",
        Type::Bool,
        "whether sounds stand in it",
        "request.has_audio",
    ),
    row(
        Variable::HasFiles,
        "request.has_files",
        Type::Bool,
        "whether documents stand in it",
        "request.has_files",
    ),
    row(
        Variable::HasTools,
        "request.has_tools",
        Type::Bool,
        "whether the model is given tools",
        "request.has_tools",
    ),
    row(
        Variable::Tools,
        "request.tools",
        Type::Int,
        "how many tools the model is given",
        "request.tools > 50",
    ),
    row(
        Variable::Structured,
        "request.structured",
        Type::Bool,
        "whether the answer must be JSON, with a schema or without",
        "request.structured",
    ),
    row(
        Variable::Reasoning,
        "request.reasoning",
        Type::Bool,
        "whether the model is asked to think",
        "request.reasoning",
    ),
    row(
        Variable::Language,
        "request.language",
        Type::Text,
        "the language that the user wrote last, in ISO 639-1; empty where it cannot be told",
        r#"request.language in ["de", "fr"]"#,
    ),
    row(
        Variable::User,
        "request.user",
        Type::Text,
        "the caller's name of the end user; empty where there is none",
        r#"request.user == "u-17""#,
    ),
    row(
        Variable::Difficulty,
        "request.difficulty",
        Type::Double,
        "from 0 to 1: how likely a small model answers worse than a strong one",
        "request.difficulty > 0.6",
    ),
    row(
        Variable::Intent,
        "request.intent",
        Type::Text,
        "which of the configured intents the user has; empty where it is none of them",
        r#"request.intent == "refund""#,
    ),
    row(
        Variable::Headers,
        "headers",
        Type::Map,
        "the request's headers by their names in lower case; credentials are absent",
        r#"headers["x-team"] == "search""#,
    ),
    row(
        Variable::Metadata,
        "metadata",
        Type::Map,
        "the labels in the request's `metadata`: texts, and numbers and booleans as they are written",
        r#"metadata["tier"] == "gold""#,
    ),
    row(Variable::KeyName, "key.name", Type::Text, "the name of the caller's key", r#"key.name == "batch""#),
    row(
        Variable::KeyId,
        "key.id",
        Type::Text,
        "the id of the caller's key",
        r#"key.id == "0193b1c6-5a1e-7c3f-8d2a-6f0e9b7a4c11""#,
    ),
    row(
        Variable::KeyModels,
        "key.models",
        Type::List,
        "the model names that the key may ask for; empty where it may ask for all",
        "size(key.models) == 0",
    ),
    row(
        Variable::KeyRoles,
        "key.roles",
        Type::List,
        "the roles that the caller's token names; empty where it shows a key",
        r#""editor" in key.roles"#,
    ),
    row(
        Variable::KeyOwner,
        "key.owner",
        Type::Text,
        "where the key was made: `file` (the configuration) or `registry`",
        r#"key.owner == "file""#,
    ),
    row(
        Variable::KeyOrganization,
        "key.organization",
        Type::Text,
        "the organization that the caller belongs to; empty where there is none",
        r#"key.organization == "acme""#,
    ),
    row(
        Variable::KeyTeam,
        "key.team",
        Type::Text,
        "the nearest team that the caller belongs to; empty where there is none",
        r#"key.team == "search""#,
    ),
    row(
        Variable::KeyTeams,
        "key.teams",
        Type::List,
        "all teams that the caller belongs to, the nearest first",
        r#""research" in key.teams"#,
    ),
    row(
        Variable::KeyProject,
        "key.project",
        Type::Text,
        "the project that the caller belongs to; empty where there is none",
        r#"key.project == "ranking""#,
    ),
    row(
        Variable::KeyUser,
        "key.user",
        Type::Text,
        "the person that the caller is; empty where it is none",
        r#"key.user.endsWith("@example.com")"#,
    ),
    row(
        Variable::KeyTags,
        "key.tags",
        Type::Map,
        "what the caller, and what it belongs to, is marked with",
        r#"key.tags["tier"] == "gold""#,
    ),
    row(
        Variable::ClientAddress,
        "client.address",
        Type::Text,
        "where the call comes from; empty in a dry run",
        r#"client.address.startsWith("10.")"#,
    ),
    row(
        Variable::TargetProvider,
        "target.provider",
        Type::Text,
        "the provider that would be asked; in access rules only",
        r#"target.provider == "openai""#,
    ),
    row(
        Variable::TargetModel,
        "target.model",
        Type::Text,
        "the provider's model that would be asked; in access rules only",
        r#"target.model.startsWith("gpt-")"#,
    ),
    row(
        Variable::TargetRegions,
        "target.regions",
        Type::List,
        "where the target's data is processed and kept, as the configuration says; empty where it says nothing; in access \
         rules only",
        r#"!("eu" in target.regions)"#,
    ),
    row(
        Variable::TimeHour,
        "time.hour",
        Type::Int,
        "the hour of the day in UTC, from 0 to 23",
        "time.hour >= 22 || time.hour < 6",
    ),
    row(
        Variable::TimeMinute,
        "time.minute",
        Type::Int,
        "the minute of the hour, from 0 to 59",
        "time.minute < 30",
    ),
    row(
        Variable::TimeWeekday,
        "time.weekday",
        Type::Int,
        "the day of the week in UTC, from 1 (Monday) to 7 (Sunday)",
        "time.weekday >= 6",
    ),
    row(
        Variable::TimeIso,
        "time.iso",
        Type::Text,
        "the time in UTC to the second, as `2026-03-05T07:08:09Z`; earlier times come first as texts too",
        r#"time.iso < "2026-04-01""#,
    ),
];

/// The table of variables, in Markdown.
pub fn reference() -> String {
    let mut page = String::from("| variable | type | meaning | example |\n| --- | --- | --- | --- |\n");
    for row in &VARIABLES {
        let example = row.example.replace('|', "\\|");
        let _ = writeln!(page, "| `{}` | {} | {} | `{example}` |", row.name, row.of.name(), row.meaning);
    }
    page
}

impl Variable {
    /// As it is written in rules.
    pub fn name(self) -> &'static str {
        VARIABLES.iter().find(|row| row.variable == self).map_or("", |row| row.name)
    }

    /// Whether a request must be decoded for it.
    pub fn is_decoded(self) -> bool {
        match self {
            Variable::OutputTokens
            | Variable::Messages
            | Variable::HasImages
            | Variable::HasAudio
            | Variable::HasFiles
            | Variable::HasTools
            | Variable::Tools
            | Variable::Structured
            | Variable::Reasoning
            | Variable::Language
            | Variable::User
            | Variable::Difficulty
            | Variable::Intent
            | Variable::Metadata => true,
            Variable::Model
            | Variable::Operation
            | Variable::Dialect
            | Variable::Tokens
            | Variable::Stream
            | Variable::Headers
            | Variable::KeyName
            | Variable::KeyId
            | Variable::KeyModels
            | Variable::KeyRoles
            | Variable::KeyOwner
            | Variable::KeyOrganization
            | Variable::KeyTeam
            | Variable::KeyTeams
            | Variable::KeyProject
            | Variable::KeyUser
            | Variable::KeyTags
            | Variable::ClientAddress
            | Variable::TargetProvider
            | Variable::TargetModel
            | Variable::TargetRegions
            | Variable::TimeHour
            | Variable::TimeMinute
            | Variable::TimeWeekday
            | Variable::TimeIso => false,
        }
    }
}

impl Variable {
    /// Whether it is known only of a target.
    pub(super) fn is_of_target(self) -> bool {
        matches!(self, Variable::TargetProvider | Variable::TargetModel | Variable::TargetRegions)
    }
}

impl Type {
    /// CEL's own name.
    pub(super) fn name(self) -> &'static str {
        match self {
            Type::Bool => "bool",
            Type::Int => "int",
            Type::Double => "double",
            Type::Text => "string",
            Type::List => "list",
            Type::Map => "map",
            Type::Any => "any",
        }
    }

    /// As it stands in a sentence.
    pub(super) fn noun(self) -> &'static str {
        match self {
            Type::Bool => "a bool",
            Type::Int => "an int",
            Type::Double => "a double",
            Type::Text => "a string",
            Type::List => "a list",
            Type::Map => "a map",
            Type::Any => "an element",
        }
    }

    /// Whether a value of this type may turn out to be of that one.
    pub(super) fn may_be(self, other: Type) -> bool {
        self == other || self == Type::Any || other == Type::Any
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rule::Rule;

    #[test]
    fn every_variable_is_listed_once_with_an_example_that_mentions_it() {
        for (at, row) in VARIABLES.iter().enumerate() {
            assert_eq!(row.variable as usize, at, "{}", row.name);
            assert_eq!(row.variable.name(), row.name);
            let rule = Rule::compile(row.example).unwrap_or_else(|problem| panic!("{}: {problem}", row.name));
            assert!(rule.uses(row.variable), "{}", row.name);
        }
        assert_eq!(Variable::TimeIso as usize + 1, VARIABLES.len());
    }
}

//! What a request is, as far as choosing a target and deciding on it go.

use std::{borrow::Cow, sync::OnceLock};

use catalog::{Capability, Model};
use serde_json::value::RawValue;
use wire::{
    Dialect, Form, Operation,
    count::estimate_request,
    ir::{Content, Effort, Media, Message, OutputFormat, Part, PartKind, Reasoning, Request, Role, Source},
    json::{self, Object, Raw},
};

use crate::language::language;

/// The most labels of a request that are read; further ones are taken as absent.
const LABELS_MAX: usize = 64;

/// The facts of one request. What costs time is found out when it is first asked for.
#[derive(Debug)]
pub struct RequestFacts<'r> {
    pub operation: Operation,
    /// How the caller asks: the dialect of a chat, or the one that another operation's form belongs to.
    pub dialect: Dialect,
    /// The model's name as the caller wrote it; empty where a request names none.
    pub model: &'r str,
    pub stream: bool,
    /// The most tokens to generate, where the caller set a limit.
    pub output_tokens_max: Option<u64>,
    pub messages: usize,
    pub tools: usize,
    pub has_images: bool,
    pub has_audio: bool,
    /// Documents of any kind.
    pub has_files: bool,
    /// Documents that are no plain text.
    has_pdfs: bool,
    pub structure: Structure,
    /// Whether the caller asks the model to think.
    pub reasoning: bool,
    /// The caller's name of the end user.
    pub user: Option<&'r str>,
    /// The caller's labels, a JSON object as written.
    pub metadata: Option<&'r Raw>,
    /// The text that the user said last.
    pub last_user_text: Option<&'r str>,
    body: &'r [u8],
    tokens: OnceLock<u64>,
    language: OnceLock<&'static str>,
    labels: OnceLock<Vec<(String, String)>>,
}

/// The form that the caller wants the answer in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Structure {
    #[default]
    None,
    /// Any JSON object.
    JsonObject,
    /// JSON that follows a schema.
    JsonSchema,
}

/// What a target must have to answer a request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Needs {
    /// In the order of [`Capability::ALL`].
    pub capabilities: Vec<Capability>,
    /// The least context: the prompt by estimate, and what the answer may have.
    pub context_tokens: u64,
}

impl<'r> RequestFacts<'r> {
    /// The facts of a chat. `body` is what the caller sent.
    pub fn of_chat(request: &'r Request, body: &'r [u8]) -> RequestFacts<'r> {
        let mut facts = RequestFacts::of_envelope(Operation::Chat, request.dialect, &request.model, body);
        facts.stream = request.stream == Some(true);
        facts.output_tokens_max = request.output_tokens_max;
        facts.messages = request.messages.len();
        facts.tools = request.tools.len();
        facts.structure = request.output.as_ref().map_or(Structure::None, structure);
        facts.reasoning = request.reasoning.as_ref().is_some_and(is_asked);
        facts.user = request.user.as_deref();
        // The Messages API's labels beside the user's name are kept under the name that they have there
        // (<https://docs.anthropic.com/en/api/messages>).
        facts.metadata = request.metadata.as_ref().or_else(|| request.ext.get("metadata"));
        facts.last_user_text = last_user_text(&request.messages);
        for message in &request.messages {
            facts.see(&message.content);
        }
        facts
    }

    /// The facts of a request that is no chat, as far as they are known without reading it.
    pub fn of_form(form: Form, model: &'r str, body: &'r [u8]) -> RequestFacts<'r> {
        RequestFacts::of_envelope(form.operation(), form.dialect(), model, body)
    }

    /// The facts of a request that is not decoded: what it holds is taken as nothing, but for its length.
    pub fn of_envelope(
        operation: Operation,
        dialect: Dialect,
        model: &'r str,
        body: &'r [u8],
    ) -> RequestFacts<'r> {
        RequestFacts {
            operation,
            dialect,
            model,
            stream: false,
            output_tokens_max: None,
            messages: 0,
            tools: 0,
            has_images: false,
            has_audio: false,
            has_files: false,
            has_pdfs: false,
            structure: Structure::None,
            reasoning: false,
            user: None,
            metadata: None,
            last_user_text: None,
            body,
            tokens: OnceLock::new(),
            language: OnceLock::new(),
            labels: OnceLock::new(),
        }
    }

    /// Roughly how many tokens the request has, without its pictures, sounds and documents.
    pub fn tokens(&self) -> u64 {
        *self.tokens.get_or_init(|| estimate_request(self.body))
    }

    /// The language that the user wrote last, in ISO 639-1; empty where it cannot be told.
    pub fn language(&self) -> &'static str {
        self.language.get_or_init(|| self.last_user_text.map_or("", language))
    }

    /// A label of the caller's: texts as they are, numbers and booleans as they are written. Labels that are lists or
    /// objects are absent.
    pub fn label(&self, name: &str) -> Option<&str> {
        let labels = self.labels.get_or_init(|| self.metadata.map(labels).unwrap_or_default());
        labels.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// What a target must have to answer it.
    pub fn needs(&self) -> Needs {
        let needed = |capability: &Capability| match capability {
            Capability::Tools => self.tools > 0,
            Capability::Vision => self.has_images,
            Capability::Pdf => self.has_pdfs,
            Capability::Audio => self.has_audio,
            Capability::Reasoning => self.reasoning,
            Capability::JsonSchema => self.structure == Structure::JsonSchema,
            Capability::Caching => false,
            Capability::Embeddings => self.operation == Operation::Embeddings,
            Capability::Rerank => self.operation == Operation::Rerank,
            Capability::Images => self.operation == Operation::Images,
            Capability::Speech => self.operation == Operation::Speech,
            Capability::Transcription => self.operation == Operation::Transcription,
            Capability::Moderation => self.operation == Operation::Moderations,
        };
        Needs {
            capabilities: Capability::ALL.into_iter().filter(needed).collect(),
            context_tokens: self.tokens().saturating_add(self.output_tokens_max.unwrap_or(0)),
        }
    }

    fn see(&mut self, content: &Content) {
        for part in &content.parts {
            match &part.kind {
                PartKind::Image(_) => self.has_images = true,
                PartKind::Audio(_) => self.has_audio = true,
                PartKind::File(media) => {
                    self.has_files = true;
                    self.has_pdfs |= !is_plain_text(media);
                }
                PartKind::ToolResult { content, .. } => self.see(content),
                PartKind::Text { .. }
                | PartKind::Refusal { .. }
                | PartKind::Reasoning { .. }
                | PartKind::RedactedReasoning { .. }
                | PartKind::ToolCall { .. }
                | PartKind::Opaque { .. } => {}
            }
        }
    }
}

impl Needs {
    /// Whether a model has it all. What the catalogue does not say of a model is taken as had: a model of one's own is
    /// seldom described.
    pub fn met_by(&self, model: &Model) -> bool {
        let able = model.can.is_empty() || self.capabilities.iter().all(|needed| model.can.contains(needed));
        able && model.context_tokens.is_none_or(|most| self.context_tokens <= most)
    }
}

fn structure(output: &OutputFormat) -> Structure {
    match output {
        OutputFormat::Text | OutputFormat::Opaque(_) => Structure::None,
        OutputFormat::JsonObject => Structure::JsonObject,
        OutputFormat::JsonSchema { .. } => Structure::JsonSchema,
    }
}

fn is_asked(reasoning: &Reasoning) -> bool {
    let effort = reasoning.effort.as_ref().is_some_and(|effort| *effort != Effort::None);
    let budget = reasoning.budget_tokens.is_some_and(|tokens| tokens > 0);
    reasoning.enabled.unwrap_or(effort || budget)
}

fn is_plain_text(media: &Media) -> bool {
    let text = |media_type: &String| media_type.starts_with("text/");
    matches!(media.source, Source::Text(_)) || media.media_type.as_ref().is_some_and(text)
}

/// The last text of the last message in which the user says something: results of tools stand in messages of the user
/// too, and agents put reminders of their own before what was typed.
fn last_user_text(messages: &[Message]) -> Option<&str> {
    let said = messages.iter().rev().filter(|message| message.role == Role::User);
    said.flat_map(|message| message.content.parts.iter().rev())
        .filter_map(Part::as_text)
        .find(|text| !text.trim().is_empty())
}

fn labels(metadata: &Raw) -> Vec<(String, String)> {
    let Ok(object) = Object::from_raw(metadata.value()) else { return Vec::new() };
    let text = |raw: &RawValue| match raw.get().as_bytes().first() {
        Some(b'"') => json::string(raw).ok().map(Cow::into_owned),
        Some(b'{' | b'[' | b'n') | None => None,
        Some(_) => Some(raw.get().to_owned()),
    };
    let known = object.iter().take(LABELS_MAX);
    known.filter_map(|(name, raw)| Some((name.to_owned(), text(raw)?))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is looked at, of a chat in OpenAI's words.
    fn chat<T>(members: &str, look: impl Fn(&RequestFacts<'_>) -> T) -> T {
        let body = format!(r#"{{"model":"fast",{members}}}"#);
        let request = Dialect::OpenaiChat.decode_request(body.as_bytes()).unwrap();
        look(&RequestFacts::of_chat(&request, body.as_bytes()))
    }

    const PLAIN: &str = r#""messages":[{"role":"user","content":"hello there"}]"#;

    #[test]
    fn a_plain_chat_needs_nothing_but_room() {
        let check = |facts: &RequestFacts<'_>| {
            assert_eq!((facts.model, facts.messages, facts.tools), ("fast", 1, 0));
            assert_eq!((facts.operation, facts.dialect), (Operation::Chat, Dialect::OpenaiChat));
            assert!(!facts.stream && !facts.has_images && !facts.has_audio && !facts.has_files);
            assert_eq!((facts.structure, facts.reasoning), (Structure::None, false));
            assert!((5..20).contains(&facts.tokens()), "{}", facts.tokens());
            assert_eq!(facts.needs(), Needs { capabilities: Vec::new(), context_tokens: facts.tokens() });
        };
        chat(PLAIN, check);
    }

    #[test]
    fn what_stands_in_a_request_is_needed_of_a_target() {
        let check = |members: &str, needed: &[Capability]| {
            assert_eq!(chat(members, |facts| facts.needs().capabilities), needed, "{members}");
        };
        let with = |member: &str| format!("{PLAIN},{member}");
        let part = |part: &str| format!(r#""messages":[{{"role":"user","content":[{part}]}}]"#);
        check(
            &with(r#""tools":[{"type":"function","function":{"name":"f"}}],"stream":true"#),
            &[Capability::Tools],
        );
        check(&with(r#""response_format":{"type":"json_object"}"#), &[]);
        check(
            &with(r#""response_format":{"type":"json_schema","json_schema":{"name":"a","schema":{}}}"#),
            &[Capability::JsonSchema],
        );
        check(&with(r#""reasoning_effort":"low""#), &[Capability::Reasoning]);
        check(&with(r#""reasoning_effort":"none""#), &[]);
        check(
            &part(r#"{"type":"image_url","image_url":{"url":"https://example.com/a.png"}}"#),
            &[Capability::Vision],
        );
        check(
            &part(r#"{"type":"input_audio","input_audio":{"data":"AAAA","format":"wav"}}"#),
            &[Capability::Audio],
        );
        check(
            &part(
                r#"{"type":"file","file":{"filename":"a.pdf","file_data":"data:application/pdf;base64,AAAA"}}"#,
            ),
            &[Capability::Pdf],
        );
    }

    #[test]
    fn pictures_in_results_of_tools_are_seen_and_texts_need_no_reader() {
        let body = br#"{"model":"m","max_tokens":1000,"messages":[
            {"role":"user","content":[{"type":"document","source":{"type":"text","media_type":"text/plain","data":"a"}}]},
            {"role":"assistant","content":[{"type":"tool_use","id":"t","name":"look","input":{}}]},
            {"role":"user","content":[{"type":"tool_result","tool_use_id":"t","content":[
                {"type":"image","source":{"type":"base64","media_type":"image/png","data":"AAAA"}}]}]}]}"#;
        let request = Dialect::AnthropicMessages.decode_request(body).unwrap();
        let facts = RequestFacts::of_chat(&request, body);
        assert!(facts.has_files && facts.has_images);
        let needs = facts.needs();
        assert_eq!(needs.capabilities, [Capability::Vision]);
        assert_eq!(needs.context_tokens, facts.tokens() + 1000);
    }

    #[test]
    fn the_last_text_is_what_was_typed_last() {
        let check = |messages: &str, last: Option<&str>| {
            let members = format!(r#""messages":[{messages}]"#);
            let said = chat(&members, |facts| facts.last_user_text.map(str::to_owned));
            assert_eq!(said.as_deref(), last, "{messages}");
        };
        let (question, answer) =
            (r#"{"role":"user","content":"warum?"}"#, r#"{"role":"assistant","content":"so"}"#);
        check(&format!("{question},{answer}"), Some("warum?"));
        check(
            r#"{"role":"user","content":[{"type":"text","text":"a"},{"type":"text","text":"b"},{"type":"text","text":" "}]}"#,
            Some("b"),
        );
        check(&format!(r#"{question},{{"role":"user","content":""}}"#), Some("warum?"));
        check(r#"{"role":"system","content":"be brief"}"#, None);
        let typed = r#""messages":[{"role":"user","content":"Wie installiere ich Docker auf Ubuntu?"}]"#;
        assert!(chat(typed, |facts| facts.language() == "de"));
        assert!(chat(r#""messages":[]"#, |facts| facts.language().is_empty()));
    }

    #[test]
    fn labels_are_read_as_texts() {
        let labels = r#""metadata":{"team":"s\u00e9arch","tier":2,"beta":true,"list":[1],"none":null}"#;
        let check = |name: &str, value: Option<&str>| {
            let found = chat(&format!("{PLAIN},{labels}"), |facts| facts.label(name).map(str::to_owned));
            assert_eq!(found.as_deref(), value, "{name}");
        };
        check("team", Some("séarch"));
        check("tier", Some("2"));
        check("beta", Some("true"));
        check("list", None);
        check("none", None);
        check("other", None);
        assert!(chat(PLAIN, |facts| facts.label("team").is_none()));
    }

    #[test]
    fn other_operations_need_models_that_do_them() {
        let check = |form: Form, needed: &[Capability]| {
            let facts = RequestFacts::of_form(form, "m", br#"{"model":"m","input":"some words"}"#);
            assert_eq!(facts.needs().capabilities, needed, "{}", form.name());
            assert!(facts.tokens() > 0);
        };
        check(Form::OpenaiEmbeddings, &[Capability::Embeddings]);
        check(Form::CohereRerank, &[Capability::Rerank]);
        check(Form::OpenaiImages, &[Capability::Images]);
        check(Form::OpenaiCompletions, &[]);
    }

    #[test]
    fn models_are_held_to_what_is_known_of_them() {
        let known = catalog::known().iter().flat_map(catalog::Provider::models);
        let mut model = Model::clone(known.clone().next().unwrap());
        let mut check = |can: &[Capability], context: Option<u64>, met: bool| {
            model.can = can.to_vec();
            model.context_tokens = context;
            let needs = Needs { capabilities: vec![Capability::Vision], context_tokens: 1000 };
            assert_eq!(needs.met_by(&model), met, "{can:?} {context:?}");
        };
        check(&[], None, true);
        check(&[Capability::Tools], None, false);
        check(&[Capability::Tools, Capability::Vision], None, true);
        check(&[Capability::Vision], Some(1000), true);
        check(&[Capability::Vision], Some(999), false);
    }
}

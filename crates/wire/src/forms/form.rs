//! The list of forms, and where each is found.

use super::{
    embed::{self, Embedding},
    forwarded::{self, Reading},
    operation::Operation,
    prompt::{self, Prompting},
    rerank::{self, Reranking},
    resource::Shape,
};
use crate::{Dialect, Mode, Reader, dialect::around_model, ir::Usage};

/// The wire form of an operation beside chat.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Form {
    OpenaiCompletions,
    OllamaGenerate,
    OpenaiEmbeddings,
    VoyageEmbeddings,
    CohereEmbed,
    GeminiEmbed,
    OllamaEmbed,
    CohereRerank,
    JinaRerank,
    VoyageRerank,
    OpenaiImages,
    OpenaiImageEdits,
    OpenaiImageVariations,
    OpenaiSpeech,
    OpenaiTranscriptions,
    OpenaiTranslations,
    OpenaiModerations,
    AnthropicCountTokens,
    GeminiCountTokens,
    OpenaiFiles,
    OpenaiBatches,
    OpenaiCompactions,
    OpenaiStoredResponses,
}

/// How a request's body comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Upload {
    /// One JSON object that names the model, unless the path does.
    Json,
    /// `multipart/form-data` with a field `model`.
    Multipart,
    /// Whatever the resource takes; no model is named.
    Any,
}

/// What a form is.
pub(super) struct Formed {
    pub(super) name: &'static str,
    pub(super) operation: Operation,
    /// Whose headers and errors it has.
    pub(super) dialect: Dialect,
    /// The path that takes its requests below a provider's base URL.
    pub(super) path: &'static str,
    /// Where a gateway takes them, with the method that the address says.
    pub(super) routes: &'static [(&'static str, &'static str)],
    pub(super) upload: Upload,
    pub(super) kind: Kind,
}

/// What is known of a form's bodies.
pub(super) enum Kind {
    Embed(&'static Embedding),
    Rerank(&'static Reranking),
    /// They go on as they are, or become a chat.
    Prompt(&'static Prompting),
    /// They go on as they are, and are read as forwarded ones; or become a chat that makes pictures.
    Pictures(&'static Reading, &'static Prompting),
    /// They go on as they are.
    Forwarded(&'static Reading),
    /// They go on as they are, and nothing is sold: what is listed here of a resource.
    Resource(&'static [Shape]),
}

/// What the path of a request says of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AskedForm<'a> {
    pub form: Form,
    /// The model's name as it stands in the path, in percent encoding.
    pub model: Option<&'a str>,
    /// What stands for `{method}` in the form's path, or what follows it.
    pub method: &'a str,
}

impl Form {
    pub const ALL: [Form; 23] = [
        Form::OpenaiCompletions,
        Form::OllamaGenerate,
        Form::OpenaiEmbeddings,
        Form::VoyageEmbeddings,
        Form::CohereEmbed,
        Form::GeminiEmbed,
        Form::OllamaEmbed,
        Form::CohereRerank,
        Form::JinaRerank,
        Form::VoyageRerank,
        Form::OpenaiImages,
        Form::OpenaiImageEdits,
        Form::OpenaiImageVariations,
        Form::OpenaiSpeech,
        Form::OpenaiTranscriptions,
        Form::OpenaiTranslations,
        Form::OpenaiModerations,
        Form::AnthropicCountTokens,
        Form::GeminiCountTokens,
        Form::OpenaiFiles,
        Form::OpenaiBatches,
        // Ahead of the resource that its path is below.
        Form::OpenaiCompactions,
        Form::OpenaiStoredResponses,
    ];

    pub(super) fn formed(self) -> &'static Formed {
        match self {
            Form::OpenaiEmbeddings => &embed::OPENAI,
            Form::VoyageEmbeddings => &embed::VOYAGE,
            Form::CohereEmbed => &embed::COHERE,
            Form::GeminiEmbed => &embed::GEMINI,
            Form::OllamaEmbed => &embed::OLLAMA,
            Form::CohereRerank => &rerank::COHERE,
            Form::JinaRerank => &rerank::JINA,
            Form::VoyageRerank => &rerank::VOYAGE,
            Form::OpenaiCompletions => &prompt::COMPLETIONS,
            Form::OllamaGenerate => &prompt::GENERATE,
            Form::OpenaiImages => &forwarded::IMAGES,
            Form::OpenaiImageEdits => &forwarded::IMAGE_EDITS,
            Form::OpenaiImageVariations => &forwarded::IMAGE_VARIATIONS,
            Form::OpenaiSpeech => &forwarded::SPEECH,
            Form::OpenaiTranscriptions => &forwarded::TRANSCRIPTIONS,
            Form::OpenaiTranslations => &forwarded::TRANSLATIONS,
            Form::OpenaiModerations => &forwarded::MODERATIONS,
            Form::AnthropicCountTokens => &forwarded::ANTHROPIC_COUNT,
            Form::GeminiCountTokens => &forwarded::GEMINI_COUNT,
            Form::OpenaiFiles => &forwarded::FILES,
            Form::OpenaiBatches => &forwarded::BATCHES,
            Form::OpenaiCompactions => &forwarded::COMPACTIONS,
            Form::OpenaiStoredResponses => &forwarded::STORED_RESPONSES,
        }
    }

    pub fn name(self) -> &'static str {
        self.formed().name
    }

    pub fn from_name(name: &str) -> Option<Form> {
        Form::ALL.into_iter().find(|form| form.name() == name)
    }

    pub fn operation(self) -> Operation {
        self.formed().operation
    }

    /// The dialect whose headers and errors the form shares.
    pub fn dialect(self) -> Dialect {
        self.formed().dialect
    }

    pub fn upload(self) -> Upload {
        self.formed().upload
    }

    /// The path that takes its requests below a provider's base URL; it may hold `{model}` and `{method}`.
    pub fn path(self) -> &'static str {
        self.formed().path
    }

    /// Whether the address names the model, and not the body.
    pub fn names_model_in_path(self) -> bool {
        self.path().contains("{model}")
    }

    /// The forms that a provider of a dialect takes below its base URL, unless its entry says otherwise.
    pub fn usual(dialect: Dialect) -> impl Iterator<Item = Form> {
        let shared = match dialect {
            Dialect::OpenaiResponses => Dialect::OpenaiChat,
            other => other,
        };
        // Forms that only some providers have are in their entries.
        let own = [Form::VoyageEmbeddings, Form::VoyageRerank, Form::JinaRerank];
        Form::ALL.into_iter().filter(move |form| form.dialect() == shared && !own.contains(form))
    }

    /// Whether a request of this form can be answered by a provider that takes that form.
    pub fn reaches(self, other: Form) -> bool {
        let translated = matches!(
            (&self.formed().kind, &other.formed().kind),
            (Kind::Embed(_), Kind::Embed(_)) | (Kind::Rerank(_), Kind::Rerank(_))
        );
        self == other || translated
    }

    /// The form whose SDKs call this path, with what the path says. Below a resource's own path it may say anything:
    /// [`Form::check_resource`] tells whether that is there.
    pub fn at(path: &str) -> Option<AskedForm<'_>> {
        Form::ALL.into_iter().find_map(|form| {
            form.formed().routes.iter().find_map(|(route, method)| {
                let asked = |model, method| Some(AskedForm { form, model, method });
                if let Some((before, after)) = around_model(route) {
                    let model = path.strip_prefix(before)?.strip_suffix(after)?;
                    return (!model.is_empty() && !model.starts_with('/'))
                        .then(|| asked(Some(model), method))?;
                }
                let rest = path.strip_prefix(route)?;
                let below = form.upload() == Upload::Any && rest.starts_with('/');
                (rest.is_empty() || below).then(|| asked(None, if below { rest } else { method }))?
            })
        })
    }

    /// What a whole JSON answer says was used.
    pub fn usage(self, answer: &[u8]) -> Option<Usage> {
        match &self.formed().kind {
            Kind::Embed(embedding) => (embedding.decode_answer)(answer).ok()?.usage,
            Kind::Rerank(reranking) => (reranking.decode_answer)(answer).ok()?.usage,
            Kind::Prompt(_) | Kind::Resource(_) => None,
            Kind::Pictures(reading, _) | Kind::Forwarded(reading) => (reading.answered)(answer),
        }
    }

    /// What a JSON answer of an unknown form says was used, by the names that many providers have for it.
    pub fn guessed_usage(answer: &[u8]) -> Option<Usage> {
        forwarded::openai(answer)
    }

    /// A reader of answers that go on as they are, as [`Dialect::watcher`] is one, where they are a model's texts.
    pub fn watcher(self, mode: Mode) -> Option<Box<dyn Reader>> {
        match &self.formed().kind {
            Kind::Prompt(prompting) => Some((prompting.watcher)(mode)),
            Kind::Embed(_)
            | Kind::Rerank(_)
            | Kind::Pictures(..)
            | Kind::Forwarded(_)
            | Kind::Resource(_) => None,
        }
    }

    /// Whether it asks a model to go on from a prompt: where a provider does not take it, it becomes a chat.
    pub fn is_prompt(self) -> bool {
        matches!(self.formed().kind, Kind::Prompt(_))
    }

    /// Whether it becomes a chat where no provider takes it.
    pub fn becomes_chat(self) -> bool {
        matches!(self.formed().kind, Kind::Prompt(_) | Kind::Pictures(..))
    }

    /// What the request alone says is used.
    pub fn asked_usage(self, request: &[u8]) -> Option<Usage> {
        match &self.formed().kind {
            Kind::Embed(_) | Kind::Rerank(_) | Kind::Prompt(_) | Kind::Resource(_) => None,
            Kind::Pictures(reading, _) | Kind::Forwarded(reading) => (reading.asked)(request),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_name_forms() {
        let check = |path: &str, expected: Option<(Form, Option<&str>, &str)>| {
            let found = Form::at(path).map(|asked| (asked.form, asked.model, asked.method));
            assert_eq!(found, expected, "{path}");
        };
        check("/v1/embeddings", Some((Form::OpenaiEmbeddings, None, "")));
        check("/v1beta/models/a%2Fb:embedContent", Some((Form::GeminiEmbed, Some("a%2Fb"), "embedContent")));
        check("/v1beta/a/b:embedContent", Some((Form::GeminiEmbed, Some("a/b"), "embedContent")));
        check("/v1/a/b:batchEmbedContents", Some((Form::GeminiEmbed, Some("a/b"), "batchEmbedContents")));
        check("/v1beta/a/b:countTokens", Some((Form::GeminiCountTokens, Some("a/b"), "")));
        check("/openai/deployments/d/embeddings", Some((Form::OpenaiEmbeddings, Some("d"), "")));
        check("/v1/files", Some((Form::OpenaiFiles, None, "")));
        check("/v1/files/f-1/content", Some((Form::OpenaiFiles, None, "/f-1/content")));
        check("/v1/responses/compact", Some((Form::OpenaiCompactions, None, "")));
        check("/v1/responses/compact/x", Some((Form::OpenaiStoredResponses, None, "/compact/x")));
        check("/v1/filesystem", None);
        check("/v1/embeddings/x", None);
    }

    #[test]
    fn names_are_unique_and_dialects_are_apart() {
        let mut names: Vec<&str> = Form::ALL.iter().map(|form| form.name()).collect();
        names.extend(Dialect::ALL.iter().map(|dialect| dialect.name()));
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count);
        assert!(Form::ALL.iter().all(|form| Form::from_name(form.name()) == Some(*form)));
    }
}

//! Providers and models, checked.

use std::{collections::HashMap, sync::Arc};

use wire::{Dialect, Form, Quirks};

use crate::Price;

/// A provider.
#[derive(Clone, Debug, PartialEq)]
pub struct Provider {
    /// The name in `provider/model`.
    pub id: String,
    pub name: String,
    /// The dialects it speaks and the URL that takes requests of each; the first is preferred.
    pub dialects: Vec<(Dialect, String)>,
    /// Where its API begins, without a trailing slash.
    pub base_url: Option<String>,
    /// The forms of other operations that its entry names, with the URL that takes requests of each.
    pub(crate) forms: Vec<(Form, String)>,
    pub auth: Auth,
    /// Environment variables that usually hold its credential.
    pub env: Vec<String>,
    /// Headers that every request carries.
    pub headers: Vec<(String, String)>,
    pub docs: Option<String>,
    /// Runs on one's own machines and needs no credential.
    pub local: bool,
    pub quirks: Quirks,
    pub(crate) models: Vec<Arc<Model>>,
    pub(crate) by_name: HashMap<String, Arc<Model>>,
}

/// How a credential is shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Auth {
    /// `authorization: Bearer …`
    Bearer,
    /// In a header of this name.
    Header(String),
    None,
}

/// A model of a provider.
#[derive(Clone, Debug, PartialEq)]
pub struct Model {
    pub id: String,
    pub aliases: Vec<String>,
    pub context_tokens: Option<u64>,
    pub output_tokens: Option<u64>,
    pub can: Vec<Capability>,
    /// `None` is "unpriced".
    pub price: Option<Price>,
    /// The price in JSON, as records keep it.
    pub price_json: Option<String>,
    pub deprecated: Option<String>,
    /// The provider's quirks with the model's own laid over them.
    pub quirks: Quirks,
}

/// What a model can do beyond text, or instead of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Capability {
    Tools,
    Vision,
    Pdf,
    Audio,
    Reasoning,
    JsonSchema,
    Caching,
    /// Texts to vectors.
    Embeddings,
    /// Documents by how well they answer a query.
    Rerank,
    /// Pictures.
    Images,
    /// Text to sound.
    Speech,
    /// Sound to text.
    Transcription,
    Moderation,
}

/// One thing that is wrong with a draft.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The field, as `models.gpt-x.price.input`.
    pub path: String,
    pub message: String,
}

impl Provider {
    /// The forms of operations beside chat that it takes, with the URL of each: those that its entry names, then those
    /// that are usual below its base URL.
    pub fn forms(&self) -> Vec<(Form, String)> {
        let mut forms = self.forms.clone();
        let responses = self.dialects.iter().find(|(dialect, _)| *dialect == Dialect::OpenaiResponses);
        // Below where responses are made stand those that were stored.
        let stored = Form::OpenaiStoredResponses;
        forms.extend(responses.map(|(_, url)| (stored, format!("{url}{}", stored.path()))));
        let base = self.base_url.as_ref().zip(self.dialects.first());
        let Some((base_url, (dialect, _))) = base else { return forms };
        for form in Form::usual(*dialect) {
            // What its entry names of an operation is all it has of it.
            if !self.forms.iter().any(|(named, _)| named.reaches(form)) {
                forms.push((form, format!("{base_url}{}", form.path())));
            }
        }
        forms
    }

    /// A model by its name or one of its aliases.
    pub fn model(&self, name: &str) -> Option<&Arc<Model>> {
        self.by_name.get(name)
    }

    /// In the order of the file's names.
    pub fn models(&self) -> &[Arc<Model>] {
        &self.models
    }
}

impl Capability {
    pub const ALL: [Capability; 13] = [
        Capability::Tools,
        Capability::Vision,
        Capability::Pdf,
        Capability::Audio,
        Capability::Reasoning,
        Capability::JsonSchema,
        Capability::Caching,
        Capability::Embeddings,
        Capability::Rerank,
        Capability::Images,
        Capability::Speech,
        Capability::Transcription,
        Capability::Moderation,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Capability::Tools => "tools",
            Capability::Vision => "vision",
            Capability::Pdf => "pdf",
            Capability::Audio => "audio",
            Capability::Reasoning => "reasoning",
            Capability::JsonSchema => "json_schema",
            Capability::Caching => "caching",
            Capability::Embeddings => "embeddings",
            Capability::Rerank => "rerank",
            Capability::Images => "images",
            Capability::Speech => "speech",
            Capability::Transcription => "transcription",
            Capability::Moderation => "moderation",
        }
    }

    pub fn from_name(name: &str) -> Option<Capability> {
        Capability::ALL.into_iter().find(|capability| capability.name() == name)
    }
}

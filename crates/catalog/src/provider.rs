//! Providers and models, checked.

use std::{collections::HashMap, sync::Arc};

use wire::{Dialect, Quirks};

use crate::Price;

/// A provider.
#[derive(Clone, Debug, PartialEq)]
pub struct Provider {
    /// The name in `provider/model`.
    pub id: String,
    pub name: String,
    /// The dialects it speaks and the URL that takes requests of each; the first is preferred.
    pub dialects: Vec<(Dialect, String)>,
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

/// What a model can do beyond text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Capability {
    Tools,
    Vision,
    Pdf,
    Audio,
    Reasoning,
    JsonSchema,
    Caching,
}

/// One thing that is wrong with a draft.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The field, as `models.gpt-x.price.input`.
    pub path: String,
    pub message: String,
}

impl Provider {
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
    pub const ALL: [Capability; 7] = [
        Capability::Tools,
        Capability::Vision,
        Capability::Pdf,
        Capability::Audio,
        Capability::Reasoning,
        Capability::JsonSchema,
        Capability::Caching,
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
        }
    }

    pub fn from_name(name: &str) -> Option<Capability> {
        Capability::ALL.into_iter().find(|capability| capability.name() == name)
    }
}

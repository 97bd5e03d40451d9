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
    /// What stands for `{region}` in its addresses.
    pub region: Option<String>,
    /// What stands for `{project}` in its addresses.
    pub project: Option<String>,
    /// What stands for `{resource}` in its addresses.
    pub resource: Option<String>,
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
    /// In the query, under this name.
    Query(String),
    /// By an identity; or, where there is a key, in that cloud's usual header.
    Cloud(Cloud),
    None,
}

/// Whose identities open a provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cloud {
    /// Requests are signed
    /// (<https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv.html>).
    Aws,
    /// Access tokens of OAuth 2.0 (<https://cloud.google.com/docs/authentication>).
    Google,
    /// Access tokens of Entra ID (<https://learn.microsoft.com/entra/identity-platform/v2-oauth2-client-creds-grant-flow>).
    Azure,
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
        // Below where responses are made they are made shorter, and stand those that were stored.
        for below in [Form::OpenaiCompactions, Form::OpenaiStoredResponses] {
            forms.extend(responses.map(|(_, url)| (below, format!("{url}{}", below.path()))));
        }
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

    /// Puts region, project and resource into its addresses, and names what is wanted there and was not said.
    pub fn fill(&mut self) -> Vec<&'static str> {
        let prefix = self.region.as_deref().map(|region| match region {
            "global" => String::new(),
            region => format!("{region}-"),
        });
        let values = [
            ("region", "{region-}", prefix.as_deref()),
            ("region", "{region}", self.region.as_deref()),
            ("project", "{project}", self.project.as_deref()),
            ("resource", "{resource}", self.resource.as_deref()),
        ];
        let dialects = self.dialects.iter_mut().map(|(_, url)| url);
        let forms = self.forms.iter_mut().map(|(_, url)| url);
        let mut missing = Vec::new();
        for url in dialects.chain(forms).chain(self.base_url.iter_mut()) {
            for (name, place, value) in values {
                match value {
                    Some(value) if url.contains(place) => *url = url.replace(place, value),
                    None if url.contains(place) && !missing.contains(&name) => missing.push(name),
                    Some(_) | None => {}
                }
            }
        }
        missing
    }

    /// A model by its name or one of its aliases. A dated name that is not listed is a snapshot of the model without date.
    pub fn model(&self, name: &str) -> Option<&Arc<Model>> {
        self.by_name.get(name).or_else(|| self.by_name.get(undated(name)?))
    }

    /// In the order of the file's names.
    pub fn models(&self) -> &[Arc<Model>] {
        &self.models
    }
}

/// A name without the date at its end, as in `gpt-4.1-2025-04-14`, `claude-opus-4-20250514` or `claude-opus-4@20250514`.
/// Shorter forms, as `-0528`, are not read: under those many providers sell at other prices.
fn undated(name: &str) -> Option<&str> {
    // Any digit stands where a 0 does.
    ["-2000-00-00", "-20000000", "@20000000"].into_iter().find_map(|form| {
        let (rest, end) = name.split_at_checked(name.len().checked_sub(form.len())?)?;
        let fits = |(form, is): (u8, u8)| if form == b'0' { is.is_ascii_digit() } else { is == form };
        (!rest.is_empty() && form.bytes().zip(end.bytes()).all(fits)).then_some(rest)
    })
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ProviderDraft, known};

    #[test]
    fn a_dated_name_is_a_snapshot_of_its_model() {
        let check = |id: &str, name: &str, found: Option<&str>| {
            let provider = known().iter().find(|provider| provider.id == id).unwrap();
            assert_eq!(provider.model(name).map(|model| &*model.id), found, "{id}/{name}");
        };
        check("openai", "gpt-4.1", Some("gpt-4.1"));
        check("openai", "gpt-4.1-2025-04-14", Some("gpt-4.1"));
        check("openai", "gpt-4.1-20250414", Some("gpt-4.1"));
        check("openai", "gpt-4.1@20250414", Some("gpt-4.1"));
        // What has a price of its own keeps it.
        check("openai", "gpt-4o-2024-05-13", Some("gpt-4o-2024-05-13"));
        check("openai", "gpt-4-0613", Some("gpt-4"));
        check("openai", "gpt-3.5-turbo-0125", Some("gpt-3.5-turbo"));
        for unknown in ["gpt-4.1-2025-04", "gpt-4.1-0414", "gpt-4.1-1999-04-14", "-2025-04-14", "ü-2025-04-1"]
        {
            check("openai", unknown, None);
        }
    }

    #[test]
    fn addresses_are_filled_or_say_what_they_want() {
        let check = |id: &str, said: [Option<&str>; 3], missing: &[&str], address: &str| {
            let [region, project, resource] = said.map(|said| said.map(str::to_owned));
            let draft = ProviderDraft { region, project, resource, ..ProviderDraft::default() };
            let base = known().iter().find(|provider| provider.id == id);
            let mut provider = Provider::build(id, base, draft).unwrap();
            assert_eq!(provider.fill(), missing, "{id}");
            let url = &provider.dialects[0].1;
            assert!(url.starts_with(address), "{url}");
        };
        check("bedrock", [None; 3], &[], "https://bedrock-runtime.us-east-1.amazonaws.com/model/{model}/");
        check(
            "bedrock",
            [Some("eu-west-3"), None, None],
            &[],
            "https://bedrock-runtime.eu-west-3.amazonaws.com/",
        );
        check("vertex", [None; 3], &["project"], "https://aiplatform.googleapis.com/v1/projects/{project}/");
        check(
            "vertex",
            [Some("europe-west4"), Some("p"), None],
            &[],
            "https://europe-west4-aiplatform.googleapis.com/v1/projects/p/locations/europe-west4/publishers/google/",
        );
        check("azure", [None, None, Some("r")], &[], "https://r.openai.azure.com/openai/v1/chat/completions");
        check("azure", [None; 3], &["resource"], "https://{resource}.openai.azure.com/");
    }
}

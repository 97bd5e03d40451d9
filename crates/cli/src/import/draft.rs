//! The configuration that an import makes, until it is written.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

/// What an import makes of another gateway's configuration.
pub(super) struct Draft {
    /// What is neither a provider nor a model.
    pub(super) top: Map<String, Value>,
    accounts: Vec<Account>,
    pub(super) models: Map<String, Value>,
    /// Values of secrets that stood in the open, by the names of the files that are to hold them.
    pub(super) secrets: Vec<(String, String)>,
    /// Environment variables that are referred to.
    pub(super) variables: BTreeSet<String>,
    /// The folder of the secrets' files, beside the configuration.
    folder: String,
}

/// An entry of `providers`: a provider with one credential and one address.
struct Account {
    name: String,
    /// The provider of the catalogue that it is an account at.
    base: Option<String>,
    fields: Map<String, Value>,
    /// What is known of its models beside the catalogue.
    models: Map<String, Value>,
    used: BTreeSet<String>,
}

/// An account that a target needs.
#[derive(Clone, Debug, Default)]
pub(super) struct Wanted {
    /// The provider of the catalogue.
    pub(super) base: Option<String>,
    /// The name to give it where it is in no catalogue.
    pub(super) name: String,
    pub(super) fields: Map<String, Value>,
}

impl Draft {
    pub(super) fn new(folder: &str) -> Draft {
        Draft {
            top: Map::new(),
            accounts: Vec::new(),
            models: Map::new(),
            secrets: Vec::new(),
            variables: BTreeSet::new(),
            folder: folder.to_owned(),
        }
    }

    /// The name of the account that is wanted; made where there is none like it.
    pub(super) fn account(&mut self, wanted: Wanted) -> String {
        let same = |known: &&Account| known.base == wanted.base && known.fields == wanted.fields;
        if let Some(known) = self.accounts.iter().find(same) {
            return known.name.clone();
        }
        let plain = slug(wanted.base.as_deref().unwrap_or(&wanted.name));
        // What is in the catalogue under this name is another provider.
        let reserved = wanted.base.is_none() && entry(&plain).is_some();
        let names = std::iter::once(plain.clone())
            .filter(|_| !reserved)
            .chain((2..).map(|number| format!("{plain}-{number}")));
        let free = |name: &String| {
            let mine = wanted.base.as_deref() == Some(name.as_str());
            (mine || entry(name).is_none()) && !self.accounts.iter().any(|known| known.name == *name)
        };
        let name = names.into_iter().find(free).unwrap_or(plain);
        self.accounts.push(Account {
            name: name.clone(),
            base: wanted.base,
            fields: wanted.fields,
            models: Map::new(),
            used: BTreeSet::new(),
        });
        name
    }

    /// Notes that a model of an account is used, and what is known of it.
    pub(super) fn model(&mut self, account: &str, model: &str, facts: Map<String, Value>) {
        let Some(account) = self.accounts.iter_mut().find(|known| known.name == account) else { return };
        account.used.insert(model.to_owned());
        if facts.is_empty() {
            return;
        }
        let known = account.models.entry(model).or_insert_with(|| json!({}));
        if let Some(known) = known.as_object_mut() {
            known.extend(facts);
        }
    }

    /// Lays something over every account.
    pub(super) fn every_account(&mut self, name: &str, value: &Value) {
        for account in &mut self.accounts {
            account.fields.entry(name).or_insert_with(|| value.clone());
        }
    }

    /// Lays something over one account.
    pub(super) fn lay(&mut self, account: &str, name: &str, value: Value) {
        if let Some(account) = self.accounts.iter_mut().find(|known| known.name == account) {
            account.fields.entry(name).or_insert(value);
        }
    }

    /// A reference to an environment variable.
    pub(super) fn variable(&mut self, name: &str) -> String {
        self.variables.insert(name.to_owned());
        format!("${{{name}}}")
    }

    /// A reference to a secret that stood in the open: it gets a file of its own.
    pub(super) fn secret(&mut self, value: &str, hint: &str) -> String {
        let known = self.secrets.iter().find(|(_, known)| known == value).map(|(name, _)| name.clone());
        let name = known.unwrap_or_else(|| {
            let plain = slug(hint);
            let numbered = (2..).map(|number| format!("{plain}-{number}"));
            let free = |name: &String| !self.secrets.iter().any(|(known, _)| known == name);
            let name = std::iter::once(plain.clone()).chain(numbered).find(free).unwrap_or(plain);
            self.secrets.push((name.clone(), value.to_owned()));
            name
        });
        format!("secret:file/{}/{name}", self.folder)
    }

    /// The folder of the secrets' files, beside the configuration.
    pub(super) fn folder(&self) -> &str {
        &self.folder
    }

    /// The whole configuration.
    pub(super) fn finish(&self) -> Map<String, Value> {
        let mut whole = self.top.clone();
        let providers: Map<String, Value> =
            self.accounts.iter().map(|account| (account.name.clone(), account.finish().into())).collect();
        if !providers.is_empty() {
            whole.insert("providers".to_owned(), providers.into());
        }
        if !self.models.is_empty() {
            whole.insert("models".to_owned(), self.models.clone().into());
        }
        whole
    }
}

impl Account {
    /// The provider of the catalogue with what differs, or, under another name, with all that the catalogue says.
    fn finish(&self) -> Map<String, Value> {
        let known = self.base.as_deref().and_then(entry);
        let mut finished = Map::new();
        let mut models = Map::new();
        if let Some(known) = known.filter(|_| self.base.as_ref() != Some(&self.name)) {
            let moved = self.fields.contains_key("base_url");
            let opened =
                ["api_key", "aws", "google", "azure"].iter().any(|name| self.fields.contains_key(*name));
            for (name, value) in known {
                let left_out = match name.as_str() {
                    "name" | "docs" | "models" => true,
                    "env" => opened,
                    "dialects" | "forms" => moved,
                    _ => false,
                };
                if !left_out {
                    finished.insert(name.clone(), value.clone());
                }
            }
            let listed = known.get("models").and_then(Value::as_object);
            for model in &self.used {
                if let Some(facts) = listed.and_then(|listed| listed.get(model)) {
                    models.insert(model.clone(), facts.clone());
                }
            }
        }
        for (name, value) in &self.fields {
            finished.insert(name.clone(), value.clone());
        }
        for (model, facts) in &self.models {
            let laid = models.entry(model.clone()).or_insert_with(|| json!({}));
            if let (Some(laid), Some(facts)) = (laid.as_object_mut(), facts.as_object()) {
                laid.extend(facts.clone());
            }
        }
        if !models.is_empty() {
            finished.insert("models".to_owned(), models.into());
        }
        finished
    }
}

/// What the catalogue says of a provider.
pub(super) fn entry(id: &str) -> Option<&'static Map<String, Value>> {
    catalog::entry(id)
}

/// Small letters, digits and hyphens.
pub(super) fn slug(text: &str) -> String {
    let mut slug = String::with_capacity(text.len());
    for c in text.chars() {
        match c.to_ascii_lowercase() {
            c if c.is_ascii_alphanumeric() => slug.push(c),
            _ if slug.ends_with('-') || slug.is_empty() => {}
            _ => slug.push('-'),
        }
    }
    let slug = slug.trim_end_matches('-');
    if slug.is_empty() { "imported".to_owned() } else { slug.to_owned() }
}

/// A text that is meant as it stands: what looks like a variable is none.
pub(super) fn plain(text: &str) -> String {
    text.replace("${", "$${")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(base: Option<&str>, name: &str, fields: Value) -> Wanted {
        let fields = fields.as_object().unwrap().clone();
        Wanted { base: base.map(str::to_owned), name: name.to_owned(), fields }
    }

    #[test]
    fn each_credential_has_an_account_of_its_own() {
        let mut draft = Draft::new("secrets");
        let one = draft.account(wanted(Some("openai"), "", json!({"api_key": "${A}"})));
        let same = draft.account(wanted(Some("openai"), "", json!({"api_key": "${A}"})));
        let two = draft.account(wanted(Some("openai"), "", json!({"api_key": "${B}"})));
        let own = draft.account(wanted(None, "openai", json!({"base_url": "http://h/v1"})));
        assert_eq!(
            (one.as_str(), same.as_str(), two.as_str(), own.as_str()),
            ("openai", "openai", "openai-2", "openai-3")
        );
        draft.model(&two, "gpt-4o", Map::new());
        let whole = Value::from(draft.finish());
        assert_eq!(whole["providers"]["openai"], json!({"api_key": "${A}"}));
        let copy = &whole["providers"]["openai-2"];
        assert_eq!((&copy["dialect"], &copy["api_key"]), (&json!("openai_chat"), &json!("${B}")));
        assert!(copy["models"]["gpt-4o"]["price"].is_object() && copy["env"].is_null());
    }

    #[test]
    fn a_secret_has_one_file() {
        let mut draft = Draft::new("s");
        assert_eq!(draft.secret("x", "Open AI"), "secret:file/s/open-ai");
        assert_eq!(draft.secret("x", "other"), "secret:file/s/open-ai");
        assert_eq!(draft.secret("y", "open-ai"), "secret:file/s/open-ai-2");
    }
}

//! The providers that come with the program.

use std::{collections::HashMap, sync::OnceLock};

use serde_json::{Map, Value};

use crate::Provider;

/// File names and contents of `catalog/providers`, as JSON: YAML takes ten times as long to read, at every start.
const FILES: &[(&str, &str)] = &include!(concat!(env!("OUT_DIR"), "/files.rs"));

/// Every provider of the catalogue, by name.
pub fn known() -> &'static [Provider] {
    static KNOWN: OnceLock<Vec<Provider>> = OnceLock::new();
    KNOWN.get_or_init(|| {
        FILES.iter().map(|(id, text)| parse(id, text).expect("a test has read every file")).collect()
    })
}

/// What the catalogue's file says of a provider, as it is written there.
pub fn entry(id: &str) -> Option<&'static Map<String, Value>> {
    static ENTRIES: OnceLock<HashMap<&'static str, Map<String, Value>>> = OnceLock::new();
    let entries = ENTRIES.get_or_init(|| {
        let read = |text: &str| serde_json::from_str(text).expect("a test has read every file");
        FILES.iter().map(|(id, text)| (*id, read(text))).collect()
    });
    entries.get(id)
}

fn parse(id: &str, text: &str) -> Result<Provider, String> {
    let draft = serde_json::from_str(text).map_err(|error| error.to_string())?;
    Provider::build(id, None, draft).map_err(|problems| format!("{problems:?}"))
}

#[cfg(test)]
mod tests {
    use wire::Operation;

    use super::*;
    use crate::{Auth, Capability, Price};

    #[test]
    fn every_file_is_sound() {
        for (id, text) in FILES {
            let provider = parse(id, text).unwrap_or_else(|problem| panic!("{id}: {problem}"));
            let addressed = !provider.dialects.is_empty() || !provider.forms.is_empty();
            assert!(addressed, "{id} has no address");
            assert!(provider.docs.is_some(), "{id} has no docs");
            let opened = !provider.env.is_empty() || matches!(provider.auth, Auth::Cloud(_));
            assert!(provider.local || opened, "{id} has no usual variable");
            for model in provider.models() {
                check_price(id, model);
            }
        }
    }

    /// Mistakes that people make when they copy prices.
    fn check_price(id: &str, model: &crate::Model) {
        let Some(price) = &model.price else { return };
        let rates = price.rates;
        let name = format!("{id}/{}", model.id);
        assert!(*price != Price::default(), "{name}: the price says nothing");
        let Some(input) = rates.input else {
            assert!(rates.output.is_none(), "{name}: input and output belong together");
            return;
        };
        // What makes no text has no output to sell.
        let Some(output) = rates.output else {
            let silent = [Capability::Tools, Capability::Reasoning, Capability::JsonSchema];
            assert!(!silent.iter().any(|can| model.can.contains(can)), "{name}: output has no price");
            return;
        };
        assert!(output * 4 >= input, "{name}: output is far cheaper than input");
        assert!(rates.cached.is_none_or(|cached| cached <= input), "{name}: cached is dearer");
        assert!(output <= 1_000_000_000, "{name}: over 1000 USD per million");
    }

    #[test]
    fn there_are_enough_of_them() {
        assert!(known().len() >= 27, "{}", known().len());
        let priced = known().iter().flat_map(Provider::models).filter(|model| model.price.is_some()).count();
        assert!(priced >= 200, "{priced}");
    }

    #[test]
    fn other_operations_have_models_and_prices() {
        let check = |can: Capability, least: usize| {
            let models = known().iter().flat_map(Provider::models);
            let priced = models.filter(|model| model.can.contains(&can) && model.price.is_some()).count();
            assert!(priced >= least, "{}: {priced}", can.name());
        };
        check(Capability::Embeddings, 70);
        check(Capability::Rerank, 15);
        check(Capability::Images, 8);
        check(Capability::Speech, 12);
        check(Capability::Transcription, 12);
        check(Capability::Moderation, 3);
    }

    #[test]
    fn models_of_vectors_have_an_address() {
        for provider in known() {
            let embeds = provider.models().iter().any(|model| model.can.contains(&Capability::Embeddings));
            let addressed =
                provider.forms().iter().any(|(form, _)| form.operation() == Operation::Embeddings);
            assert!(addressed || !embeds, "{} has no address for embeddings", provider.id);
        }
    }
}

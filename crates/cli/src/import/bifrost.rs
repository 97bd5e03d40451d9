//! Bifrost's `config.json` (<https://docs.getbifrost.ai/quickstart/gateway/setting-up>).

use std::{fs, path::Path};

use anyhow::Context;
use serde_json::{Map, Value, json};

use super::{
    draft::{Wanted, plain, slug},
    fields::{Fields, Known, span},
    names::catalogued,
    report::Grade::{Manual, Unsupported},
    work::{Work, even, put},
};

/// What stands before the name of an environment variable.
const VARIABLE: &str = "env.";
/// Names there and in the catalogue, where they differ.
const NAMES: [(&str, &str); 1] = [("sgl", "sglang")];

const SECTIONS: [Known; 7] = [
    ("client", Unsupported, "write `server.limits` and `server.log` for what is meant"),
    (
        "governance",
        Manual,
        "make keys with `tollgate keys create`, and write teams with their budgets and limits under `teams`",
    ),
    ("config_store", Manual, "keys stand in `store.database`; models stand in the configuration"),
    ("logs_store", Manual, "the journal stands in `store.database`"),
    ("vector_store", Unsupported, "answers are not cached by the gateway"),
    ("mcp", Unsupported, "there is no gateway for MCP"),
    ("plugins", Unsupported, "no code of others is run"),
];
const PROVIDER: [Known; 4] = [
    ("proxy_config", Unsupported, "providers are reached directly"),
    ("send_back_raw_response", Unsupported, "answers come in the caller's dialect"),
    ("pricing_overrides", Manual, "write `price` at the provider's models"),
    ("status", Unsupported, "says how it was, which is no setting"),
];
const KEY: [Known; 5] = [
    ("id", Unsupported, "credentials are known by their names"),
    ("azure_key_config", Manual, "write `resource` at the provider azure, and its deployments as targets"),
    ("bedrock_key_config", Manual, "write `region` and `aws` at the provider bedrock"),
    ("vertex_key_config", Manual, "write `project`, `region` and `google` at the provider vertex"),
    ("use_for_batch_api", Unsupported, "every credential is used for batches"),
];

pub(super) fn read(file: &Path, work: &mut Work) -> anyhow::Result<()> {
    let text = fs::read_to_string(file).with_context(|| file.display().to_string())?;
    let root: Value =
        serde_json::from_str(&text).with_context(|| format!("{} is no JSON", file.display()))?;
    let mut root =
        Fields::new("", root.as_object().context("it holds no map of sections such as providers")?);
    root.take("$schema");
    if let Some(providers) = root.take("providers").and_then(Value::as_object) {
        for (name, value) in providers {
            provider(name, value, work);
        }
    }
    root.known(&SECTIONS, &mut work.report);
    root.rest(&mut work.report);
    Ok(())
}

fn provider(name: &str, value: &Value, work: &mut Work) {
    let path = format!("providers.{name}");
    let Some(mut entry) = Fields::of(&path, value, &mut work.report) else { return };
    let mut wanted = Wanted { base: catalogued(&NAMES, name), name: name.to_owned(), fields: Map::new() };
    if let Some(custom) = entry.map("custom_provider_config", &mut work.report) {
        base(custom, &mut wanted, work);
    }
    network(&mut entry, &mut wanted, work);
    if wanted.base.is_none() && !wanted.fields.contains_key("base_url") {
        work.report
            .manual(&path, "the catalogue has no such provider; write one with its `base_url` and `dialect`");
        return;
    }
    let mut keys: Vec<Value> = entry
        .list("keys", &mut work.report)
        .iter()
        .enumerate()
        .filter_map(|(at, key)| credential(&format!("{path}.keys[{at}]"), name, key, work))
        .collect();
    even(&mut keys);
    match keys.as_slice() {
        [] => {}
        [only] if only.get("models").is_none() => {
            wanted.fields.insert("api_key".to_owned(), only.get("key").cloned().unwrap_or_default());
        }
        _ => put(&mut wanted.fields, "api_keys", keys),
    }
    if wanted.base.is_none()
        && !wanted.fields.contains_key("api_key")
        && !wanted.fields.contains_key("api_keys")
    {
        put(&mut wanted.fields, "auth", "none");
    }
    if let Some(mut size) = entry.map("concurrency_and_buffer_size", &mut work.report) {
        if let Some(most) = size.count("concurrency", &mut work.report) {
            work.report.exact(&size.at("concurrency"), "is `concurrency` of the provider");
            put(&mut wanted.fields, "concurrency", most.max(1));
        }
        if let Some(most) = size.count("buffer_size", &mut work.report) {
            work.report.exact(&size.at("buffer_size"), "is `queue.max` of the provider");
            put(&mut wanted.fields, "queue", json!({"max": most}));
        }
        size.rest(&mut work.report);
    }
    let account = work.draft.account(wanted);
    let says = format!("is the provider {account}: its models are asked for as `{account}/MODEL`");
    work.report.exact(&path, says);
    entry.known(&PROVIDER, &mut work.report);
    entry.rest(&mut work.report);
}

/// What a provider of one's own speaks.
fn base(mut custom: Fields<'_>, wanted: &mut Wanted, work: &mut Work) {
    let dialects = [
        ("openai", "openai_chat"),
        ("anthropic", "anthropic_messages"),
        ("gemini", "gemini"),
        ("cohere", "cohere_v2"),
        ("bedrock", "bedrock_converse"),
    ];
    if let Some(kind) = custom.text("base_provider_type", &mut work.report) {
        let path = custom.at("base_provider_type");
        wanted.base = None;
        match dialects.iter().find(|(theirs, _)| *theirs == kind) {
            Some((_, dialect)) => {
                put(&mut wanted.fields, "dialect", *dialect);
                work.report.exact(&path, "is `dialect` of the provider");
            }
            None => work
                .report
                .manual(&path, "is no dialect that the importer knows; write `dialect` at the provider"),
        }
    }
    custom.known(
        &[("allowed_requests", Manual, "write `operations` at the keys that are meant")],
        &mut work.report,
    );
    custom.rest(&mut work.report);
}

/// Address, headers, and how long calls may take.
fn network(entry: &mut Fields<'_>, wanted: &mut Wanted, work: &mut Work) {
    let Some(mut network) = entry.map("network_config", &mut work.report) else { return };
    if let Some(address) = network.text("base_url", &mut work.report) {
        let bare = plain(address.trim_end_matches('/'));
        // Bifrost's addresses end before the version.
        let version = match wanted.base.as_deref() {
            Some("gemini") => "/v1beta",
            Some("cohere") => "/v2",
            Some("ollama") => "/api",
            Some("bedrock") => "",
            Some(_) | None => "/v1",
        };
        let address = if bare.ends_with(version) { bare } else { format!("{bare}{version}") };
        put(&mut wanted.fields, "base_url", address);
        if wanted.base.is_none() && !wanted.fields.contains_key("dialect") {
            put(&mut wanted.fields, "dialect", "openai_chat");
        }
        work.report
            .exact(&network.at("base_url"), "is `base_url` of the provider, with the version of its API");
    }
    if let Some(headers) = network.take("extra_headers").and_then(Value::as_object) {
        let headers: Map<String, Value> = headers
            .iter()
            .filter_map(|(name, value)| {
                Some((name.to_ascii_lowercase(), work.text(value.as_str()?, VARIABLE).into()))
            })
            .collect();
        work.report.exact(&network.at("extra_headers"), "are `headers` of the provider");
        put(&mut wanted.fields, "headers", headers);
    }
    if let Some(seconds) = network.number("default_request_timeout_in_seconds", &mut work.report) {
        let says =
            "is `deadlines.first_byte` of the provider; `deadlines.total` holds for all attempts together";
        work.report.approximate(&network.at("default_request_timeout_in_seconds"), says);
        put(&mut wanted.fields, "deadlines", json!({"first_byte": span(seconds)}));
    }
    let known: [Known; 3] = [
        ("max_retries", Manual, "write `retries.max` for the file or at a model"),
        ("retry_backoff_initial", Manual, "write `retries.backoff` for the file or at a model"),
        ("retry_backoff_max", Manual, "write `retries.backoff_max` for the file or at a model"),
    ];
    network.known(&known, &mut work.report);
    network.rest(&mut work.report);
}

/// One of a provider's keys, as an entry of `api_keys`.
fn credential(path: &str, provider: &str, value: &Value, work: &mut Work) -> Option<Value> {
    let mut fields = Fields::of(path, value, &mut work.report)?;
    let mut key = Map::new();
    let name = fields.text("name", &mut work.report);
    let shown = fields.take("value");
    let shown = shown.and_then(|value| {
        value.as_str().or_else(|| value.get("env_var")?.as_str().or_else(|| value.get("value")?.as_str()))
    });
    if let Some(text) = shown.filter(|text| !text.is_empty()) {
        let reference = work.secret(&fields.at("value"), text, VARIABLE, &slug(name.unwrap_or(provider)));
        put(&mut key, "key", reference);
    }
    let models: Vec<&str> =
        fields.texts("models", &mut work.report).into_iter().filter(|model| *model != "*").collect();
    if !models.is_empty() {
        work.report.exact(&fields.at("models"), "is `models` of the key");
        put(&mut key, "models", models);
    }
    // Weights are shares of one there, and whole numbers here.
    let weight = fields.number("weight", &mut work.report);
    if weight.is_some() {
        work.report.approximate(&fields.at("weight"), "is `weight` of the key, in thousandths");
    }
    put(&mut key, "weight", (weight.unwrap_or(1.0).max(0.0) * 1_000.0).round() as u64);
    fields.known(&KEY, &mut work.report);
    fields.rest(&mut work.report);
    key.contains_key("key").then(|| {
        if let Some(name) = name {
            put(&mut key, "name", plain(name));
        }
        key.into()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::import::{draft::Draft, report::Report};

    #[test]
    fn providers_keep_their_keys() {
        let value = json!({
            "keys": [
                {"name": "one", "value": "env.ONE", "models": ["gpt-4o"], "weight": 0.7},
                {"name": "two", "value": "sk-two", "weight": 0.3, "new_field": 1},
            ],
            "network_config": {"base_url": "https://api.openai.com", "default_request_timeout_in_seconds": 30, "max_retries": 2},
            "concurrency_and_buffer_size": {"concurrency": 9, "buffer_size": 20},
        });
        let mut work = Work { report: Report::default(), draft: Draft::new("s") };
        provider("openai", &value, &mut work);
        let expected = json!({
            "base_url": "https://api.openai.com/v1", "deadlines": {"first_byte": "30s"},
            "api_keys": [
                {"key": "${ONE}", "models": ["gpt-4o"], "weight": 700, "name": "one"},
                {"key": "secret:file/s/two", "weight": 300, "name": "two"},
            ],
            "concurrency": 9, "queue": {"max": 20},
        });
        assert_eq!(Value::from(work.draft.finish())["providers"]["openai"], expected);
        assert!(work.report.markdown("x").contains("| unsupported | `providers.openai.keys[1].new_field` |"));
    }
}

//! From `litellm_params` to an account at a provider (<https://docs.litellm.ai/docs/providers>).

use serde_json::{Map, Value};

use super::deployment::VARIABLE;
use crate::import::{
    draft::{Wanted, plain, slug},
    fields::{Fields, Known},
    names::{LITELLM, catalogued, maker},
    report::Grade,
    work::{Work, put},
};

/// Prefixes of endpoints that speak OpenAI's dialect and have an address of their own.
const ALIKE: [&str; 11] = [
    "openai",
    "text-completion-openai",
    "custom_openai",
    "openai_like",
    "litellm_proxy",
    "hosted_vllm",
    "llamafile",
    "xinference",
    "docker_model_runner",
    "azure_ai",
    "databricks",
];

/// The account and the model that a deployment stands for; `None` where somebody has to write it, which the report says.
pub(super) fn place(written: &str, params: &mut Fields<'_>, work: &mut Work) -> Option<(String, String)> {
    let path = params.at("model");
    let (prefix, model, guessed) = split(written, params, work);
    let address = params.text("api_base", &mut work.report);
    let address = params.text("base_url", &mut work.report).or(address);
    let Some(prefix) = prefix else {
        work.report
            .manual(&path, "names no provider that the importer knows; write `provider/model` as a target");
        return None;
    };
    let known = catalogued(&LITELLM, &prefix);
    // An address of one's own makes a provider of one's own of what is only spoken like OpenAI.
    let own = address.is_some_and(|address| !address.contains("api.openai.com"))
        && ALIKE.contains(&prefix.as_str());
    let base = known.filter(|_| !own || prefix == "hosted_vllm");
    if base.is_none() && !own {
        let says = format!(
            "the catalogue has no provider \"{prefix}\"; write one under `providers` with its `base_url` and `dialect`, and the target"
        );
        work.report.manual(&path, says);
        return None;
    }
    let (base, model) = of_vertex(base, model);
    let mut wanted = Wanted { base, name: name_of(&prefix, address), fields: Map::new() };
    match wanted.base.as_deref() {
        Some("azure") => azure(address, params, &mut wanted.fields, work),
        Some("bedrock") => aws(params, &mut wanted.fields, work),
        Some(base) if base.starts_with("vertex") => google(params, &mut wanted.fields, work),
        Some(_) | None => {}
    }
    common(&prefix, address, params, &mut wanted, work);
    match (guessed, wanted.base.as_deref()) {
        (true, Some(base)) => {
            work.report.approximate(&path, format!("names no provider; taken for one of {base}'s"));
        }
        (true, None) | (false, _) => work.report.exact(&path, "is a target of the model"),
    }
    let concurrency = params.count("max_parallel_requests", &mut work.report);
    let account = work.draft.account(wanted);
    if let Some(most) = concurrency {
        let says =
            "is `concurrency` of the provider, which holds for all its models that share the credential";
        work.report.approximate(&params.at("max_parallel_requests"), says);
        work.draft.lay(&account, "concurrency", most.max(1).into());
    }
    Some((account, model))
}

/// Provider, model, and whether the provider had to be guessed.
fn split(written: &str, params: &mut Fields<'_>, work: &mut Work) -> (Option<String>, String, bool) {
    let known = |prefix: &str| ALIKE.contains(&prefix) || catalogued(&LITELLM, prefix).is_some();
    if let Some(provider) = params.text("custom_llm_provider", &mut work.report) {
        work.report.exact(&params.at("custom_llm_provider"), "says which provider the model is of");
        let model = written.strip_prefix(&format!("{provider}/")).unwrap_or(written);
        return (Some(provider.to_owned()), model.to_owned(), false);
    }
    match written.split_once('/') {
        Some((prefix, model)) if known(prefix) => {
            let ways = ["converse/", "invoke/", "responses/", "chat/"];
            let model = ways.iter().find_map(|way| model.strip_prefix(way)).unwrap_or(model);
            (Some(prefix.to_owned()), model.to_owned(), false)
        }
        Some((prefix, model)) if maker(written).is_none() => {
            (Some(prefix.to_owned()), model.to_owned(), false)
        }
        Some(_) | None => (maker(written).map(str::to_owned), written.to_owned(), true),
    }
}

/// Vertex AI has the models of several makers, each with a dialect of its own.
fn of_vertex(base: Option<String>, model: String) -> (Option<String>, String) {
    if base.as_deref() != Some("vertex") {
        return (base, model);
    }
    let model = model.strip_prefix("gemini/").unwrap_or(&model).to_owned();
    let base = match model.as_str() {
        name if name.starts_with("claude") => "vertex-anthropic",
        name if name.contains('/') => "vertex-open",
        _ => "vertex",
    };
    (Some(base.to_owned()), model)
}

/// A name for what is in no catalogue: that of its host.
fn name_of(prefix: &str, address: Option<&str>) -> String {
    let host = address.and_then(|address| address.split("://").nth(1));
    let host = host.and_then(|rest| rest.split(['/', ':']).next()).filter(|host| !host.is_empty());
    slug(host.unwrap_or(prefix))
}

/// What all providers may have: an address, a key, headers.
fn common(
    prefix: &str,
    address: Option<&str>,
    params: &mut Fields<'_>,
    wanted: &mut Wanted,
    work: &mut Work,
) {
    let hint = wanted.base.clone().unwrap_or_else(|| wanted.name.clone());
    let key = params.text("api_key", &mut work.report);
    if let Some(key) = key {
        let reference = work.secret(&params.at("api_key"), key, VARIABLE, &hint);
        put(&mut wanted.fields, "api_key", reference);
    }
    if let Some(address) = address.filter(|_| wanted.base.as_deref() != Some("azure")) {
        let address = match address.strip_prefix(VARIABLE) {
            Some(name) => work.draft.variable(name),
            None => based(wanted.base.as_deref().unwrap_or(prefix), address),
        };
        put(&mut wanted.fields, "base_url", address);
        work.report.exact(&params.at("api_base"), "is `base_url` of the provider");
    }
    if wanted.base.is_none() {
        put(&mut wanted.fields, "dialect", "openai_chat");
        if key.is_none() {
            put(&mut wanted.fields, "auth", "none");
        } else if prefix == "azure_ai" {
            put(&mut wanted.fields, "auth", "header: api-key");
        }
    }
    let mut headers = Map::new();
    if let Some(organization) = params.text("organization", &mut work.report) {
        put(&mut headers, "openai-organization", work.text(organization, VARIABLE));
        work.report.exact(&params.at("organization"), "is the header `openai-organization`");
    }
    for name in ["extra_headers", "headers"] {
        let Some(more) = params.take(name).and_then(Value::as_object) else { continue };
        for (name, value) in more {
            let value = value.as_str().map_or_else(|| value.to_string(), |text| work.text(text, VARIABLE));
            put(&mut headers, &name.to_ascii_lowercase(), value);
        }
        work.report.exact(&params.at(name), "are `headers` of the provider");
    }
    if !headers.is_empty() {
        put(&mut wanted.fields, "headers", headers);
    }
    if let Some(region) = params.text("region_name", &mut work.report) {
        put(&mut wanted.fields, "regions", plain(region));
        work.report.exact(&params.at("region_name"), "is `regions` of the provider");
    }
    if wanted.base.as_deref() != Some("azure") {
        params.known(&[VERSION], &mut work.report);
    }
    params.known(&REST, &mut work.report);
}

const VERSION: Known =
    ("api_version", Grade::Exact, "the provider is asked by the version of its API that the catalogue names");

const REST: [Known; 2] = [
    (
        "azure_ad_token",
        Grade::Manual,
        "tokens are fetched by the gateway itself; write `azure:` at the provider",
    ),
    ("aws_bedrock_runtime_endpoint", Grade::Manual, "write it as `base_url` of the provider"),
];

/// An address as the catalogue has them: up to the version.
fn based(provider: &str, address: &str) -> String {
    let bare = address.trim_end_matches('/');
    let paths = ["/chat/completions", "/messages", "/completions", "/embeddings"];
    let bare = paths.iter().find_map(|path| bare.strip_suffix(path)).unwrap_or(bare);
    let version = match provider {
        "anthropic" => "/v1",
        "gemini" => "/v1beta",
        "ollama" => "/api",
        "cohere" => "/v2",
        _ => return plain(bare),
    };
    if bare.ends_with(version) { plain(bare) } else { plain(&format!("{bare}{version}")) }
}

fn azure(address: Option<&str>, params: &mut Fields<'_>, fields: &mut Map<String, Value>, work: &mut Work) {
    let path = params.at("api_base");
    match address {
        Some(address) if address.starts_with(VARIABLE) => {
            let says =
                "an address in a variable has to end with `/openai/v1`: set it so, or write `resource`";
            work.report.manual(&path, says);
            let variable = work.text(address, VARIABLE);
            put(fields, "base_url", variable);
        }
        Some(address) => {
            let host = address.split("://").nth(1).and_then(|rest| rest.split('/').next()).unwrap_or(address);
            match host.strip_suffix(".openai.azure.com") {
                Some(resource) => {
                    put(fields, "resource", resource);
                    work.report.exact(&path, "is `resource` of the provider");
                }
                None => {
                    put(fields, "base_url", plain(&format!("{}/openai/v1", address.trim_end_matches('/'))));
                    work.report
                        .approximate(&path, "is `base_url` of the provider, with the path of Azure's API v1");
                }
            }
        }
        None => {
            let variable = work.draft.variable("AZURE_RESOURCE");
            put(fields, "resource", variable);
            work.report.manual(
                &path,
                "is missing; set AZURE_RESOURCE to the resource's name (`https://NAME.openai.azure.com`)",
            );
        }
    }
    let names = [("tenant_id", "tenant_id"), ("client_id", "client_id"), ("client_secret", "client_secret")];
    identity("azure", &names, params, fields, work);
    if params.take("api_version").is_some() {
        let says =
            "requests go to Azure's API v1, which has no versions by date; deployments keep their names";
        work.report.approximate(&params.at("api_version"), says);
    }
}

fn aws(params: &mut Fields<'_>, fields: &mut Map<String, Value>, work: &mut Work) {
    if let Some(region) = params.text("aws_region_name", &mut work.report) {
        put(fields, "region", work.text(region, VARIABLE));
        work.report.exact(&params.at("aws_region_name"), "is `region` of the provider");
    }
    let names = [
        ("aws_access_key_id", "access_key_id"),
        ("aws_secret_access_key", "secret_access_key"),
        ("aws_session_token", "session_token"),
        ("aws_profile_name", "profile"),
        ("aws_role_name", "role"),
        ("aws_session_name", "session_name"),
        ("aws_external_id", "external_id"),
        ("aws_web_identity_token", "web_identity_token_file"),
    ];
    identity("aws", &names, params, fields, work);
}

fn google(params: &mut Fields<'_>, fields: &mut Map<String, Value>, work: &mut Work) {
    let names = [("vertex_project", "project"), ("vertex_location", "region")];
    for (theirs, ours) in names {
        if let Some(value) = params.text(theirs, &mut work.report) {
            put(fields, ours, work.text(value, VARIABLE));
            work.report.exact(&params.at(theirs), format!("is `{ours}` of the provider"));
        }
    }
    let path = params.at("vertex_credentials");
    let Some(credentials) = params.take("vertex_credentials") else { return };
    let reference = match credentials.as_str() {
        // The content itself, as a text or as a map.
        None => work.secret(&path, &credentials.to_string(), VARIABLE, "google"),
        Some(text) if text.trim_start().starts_with('{') => work.secret(&path, text, VARIABLE, "google"),
        Some(text) if text.starts_with(VARIABLE) => work.secret(&path, text, VARIABLE, "google"),
        Some(file) => {
            work.report
                .exact(&path, "the same file is read; a relative path begins at the new configuration");
            format!("secret:file/{}", plain(file))
        }
    };
    let mut google = Map::new();
    put(&mut google, "credentials", reference);
    put(fields, "google", google);
}

/// The members of an identity in a cloud.
fn identity(
    cloud: &str,
    names: &[(&str, &str)],
    params: &mut Fields<'_>,
    fields: &mut Map<String, Value>,
    work: &mut Work,
) {
    let mut identity = Map::new();
    for (theirs, ours) in names {
        let Some(value) = params.text(theirs, &mut work.report) else { continue };
        let path = params.at(theirs);
        let is_secret = ours.contains("secret") || ours.contains("session_token");
        let value = if is_secret {
            work.secret(&path, value, VARIABLE, &format!("{cloud}-{ours}"))
        } else {
            work.report.exact(&path, format!("is `{cloud}.{ours}` of the provider"));
            work.text(value, VARIABLE)
        };
        put(&mut identity, ours, value);
    }
    if !identity.is_empty() {
        put(fields, cloud, identity);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::import::{draft::Draft, report::Report};

    #[test]
    fn deployments_have_their_places() {
        let check = |params: Value, target: Option<&str>, fields: Value| {
            let mut work = Work { report: Report::default(), draft: Draft::new("s") };
            let members = params.as_object().unwrap();
            let mut read = Fields::new("", members);
            let written = read.text("model", &mut work.report).unwrap();
            let placed = place(written, &mut read, &mut work);
            read.rest(&mut work.report);
            let told = placed.as_ref().map(|(account, model)| format!("{account}/{model}"));
            assert_eq!(told.as_deref(), target, "{params}");
            let Some((account, _)) = placed else { return };
            let whole = Value::from(work.draft.finish());
            assert_eq!(whole["providers"][&account], fields, "{params}");
            assert!(work.report.summary().ends_with(" 0 unsupported"), "{params}");
        };
        check(
            json!({"model": "gpt-4o", "api_key": "os.environ/K"}),
            Some("openai/gpt-4o"),
            json!({"api_key": "${K}"}),
        );
        check(
            json!({"model": "azure/mine", "api_base": "https://res.openai.azure.com/", "api_key": "k", "api_version": "v"}),
            Some("azure/mine"),
            json!({"resource": "res", "api_key": "secret:file/s/azure"}),
        );
        check(
            json!({"model": "openai/llama", "api_base": "http://llm.internal:8000/v1", "api_key": "k$x"}),
            Some("llm-internal/llama"),
            json!({"api_key": "secret:file/s/llm-internal", "base_url": "http://llm.internal:8000/v1", "dialect": "openai_chat"}),
        );
        check(
            json!({"model": "anthropic/claude-opus-4-8", "api_base": "https://proxy/anthropic"}),
            Some("anthropic/claude-opus-4-8"),
            json!({"base_url": "https://proxy/anthropic/v1"}),
        );
        check(
            json!({"model": "bedrock/converse/us.x", "aws_region_name": "eu-west-1", "aws_role_name": "arn:r"}),
            Some("bedrock/us.x"),
            json!({"region": "eu-west-1", "aws": {"role": "arn:r"}}),
        );
        check(
            json!({"model": "vertex_ai/claude-x", "vertex_project": "p", "vertex_location": "l", "vertex_credentials": "g.json"}),
            Some("vertex-anthropic/claude-x"),
            json!({"project": "p", "region": "l", "google": {"credentials": "secret:file/g.json"}}),
        );
        check(json!({"model": "together_ai/meta-llama/L"}), Some("together/meta-llama/L"), json!({}));
        check(
            json!({"model": "ollama/l", "api_base": "http://h:1"}),
            Some("ollama/l"),
            json!({"base_url": "http://h:1/api"}),
        );
        check(json!({"model": "sagemaker/x"}), None, json!({}));
        check(json!({"model": "whoever"}), None, json!({}));
    }
}

//! Portkey's configs (<https://portkey.ai/docs/api-reference/inference-api/config-object>): one, or several by their names.

use std::{fs, path::Path};

use anyhow::Context;
use serde_json::{Map, Value, json};

use super::{
    draft::{Wanted, plain},
    fields::{Fields, Known},
    names::catalogued,
    report::Grade::{Approximate, Manual, Unsupported},
    work::{Work, even, put},
};

/// Slugs there and names in the catalogue, where they differ (<https://portkey.ai/docs/integrations/llms>).
const NAMES: [(&str, &str); 9] = [
    ("azure-openai", "azure"),
    ("vertex-ai", "vertex"),
    ("google", "gemini"),
    ("mistral-ai", "mistral"),
    ("together-ai", "together"),
    ("fireworks-ai", "fireworks"),
    ("perplexity-ai", "perplexity"),
    ("x-ai", "xai"),
    ("github", "github-models"),
];
/// Members that make a map a config.
const CONFIG: [&str; 5] = ["strategy", "targets", "provider", "virtual_key", "override_params"];
/// Targets below targets end somewhere.
const DEPTH_MAX: usize = 8;

const REST: [Known; 8] = [
    ("cache", Unsupported, "answers are not cached by the gateway"),
    ("input_guardrails", Unsupported, "there are no guardrails"),
    ("output_guardrails", Unsupported, "there are no guardrails"),
    ("before_request_hooks", Unsupported, "there are no guardrails"),
    ("after_request_hooks", Unsupported, "there are no guardrails"),
    ("forward_headers", Unsupported, "headers of callers are not sent on"),
    ("strict_open_ai_compliance", Unsupported, "answers come in the caller's dialect"),
    ("name", Unsupported, "targets are known by `provider/model`"),
];

pub(super) fn read(file: &Path, work: &mut Work) -> anyhow::Result<()> {
    let text = fs::read_to_string(file).with_context(|| file.display().to_string())?;
    let root: Value =
        serde_json::from_str(&text).with_context(|| format!("{} is no JSON", file.display()))?;
    let root = root.as_object().context("it holds neither a config nor configs by their names")?;
    if CONFIG.iter().any(|name| root.contains_key(*name)) {
        let name =
            file.file_stem().map_or_else(|| "config".into(), |stem| stem.to_string_lossy().into_owned());
        config("", &name, root, work);
        return Ok(());
    }
    for (name, value) in root {
        match value.as_object() {
            Some(members) => config(name, name, members, work),
            None => work.report.unsupported(name, "is no config; it was left out"),
        }
    }
    Ok(())
}

/// A config is a model of its name.
fn config(path: &str, name: &str, members: &Map<String, Value>, work: &mut Work) {
    let mut model = Map::new();
    let mut targets = Vec::new();
    collect(path, members, &Map::new(), (&mut targets, &mut model), 0, work);
    if targets.is_empty() {
        work.report
            .manual(path, format!("has no target whose model is named; write \"{name}\" under `models`"));
        return;
    }
    let mut whole = Map::new();
    even(&mut targets);
    put(&mut whole, "targets", targets);
    whole.extend(model);
    work.draft.models.insert(name.to_owned(), whole.into());
}

/// Adds the targets of a config, and those below it, which take on what is said above them.
fn collect(
    path: &str,
    members: &Map<String, Value>,
    above: &Map<String, Value>,
    (targets, model): (&mut Vec<Value>, &mut Map<String, Value>),
    depth: usize,
    work: &mut Work,
) {
    let mut fields = Fields::new(path, members);
    let mut passed = above.clone();
    for name in ["provider", "virtual_key", "api_key", "custom_host", "override_params"] {
        if let Some(value) = fields.take(name) {
            passed.insert(name.to_owned(), value.clone());
        }
    }
    settings(&mut fields, model, depth == 0, work);
    let below = fields.list("targets", &mut work.report);
    let weight = fields.number("weight", &mut work.report);
    for (at, target) in below.iter().enumerate() {
        let path = fields.at(&format!("targets[{at}]"));
        match target.as_object() {
            Some(target) if depth < DEPTH_MAX => {
                collect(&path, target, &passed, (targets, model), depth + 1, work);
            }
            Some(_) | None => work.report.manual(&path, "was not read; write its target at the model"),
        }
    }
    if below.is_empty()
        && let Some(name) = target(&fields, &passed, work)
    {
        if weight.is_some() {
            work.report.approximate(&fields.at("weight"), "is `weight` of the target, in hundredths");
        }
        let weight = (weight.unwrap_or(1.0).max(0.0) * 100.0).round() as u64;
        targets.push(json!({"model": name, "weight": weight}));
    }
    fields.known(&REST, &mut work.report);
    fields.rest(&mut work.report);
}

/// How the targets of the whole config are chosen, and how often they are tried.
fn settings(fields: &mut Fields<'_>, model: &mut Map<String, Value>, is_whole: bool, work: &mut Work) {
    if let Some(mut strategy) = fields.map("strategy", &mut work.report) {
        let mode = strategy.text("mode", &mut work.report);
        let path = strategy.at("mode");
        let known = [("fallback", "ordered"), ("loadbalance", "weighted"), ("single", "ordered")];
        match known.iter().find(|(theirs, _)| mode == Some(*theirs)) {
            Some((_, ours)) if is_whole => {
                work.report.exact(&path, format!("is `strategy: {ours}`"));
                put(model, "strategy", *ours);
            }
            Some(_) => {
                let says = "targets below targets stand in one list, of which the outermost strategy chooses";
                work.report.approximate(&path, says);
            }
            None => {
                work.report
                    .manual(&path, "write `when` at targets, or `route` at the model, as rules in CEL");
            }
        }
        let codes = "which faults lead to another target depends on their kind; see docs/routing.md";
        let known = [
            ("on_status_codes", Approximate, codes),
            ("conditions", Manual, "write `when` at targets, or `route` at the model, as rules in CEL"),
            ("default", Manual, "is the target of the model that has no `when`"),
        ];
        strategy.known(&known, &mut work.report);
        strategy.rest(&mut work.report);
    }
    if let Some(mut retry) = fields.map("retry", &mut work.report) {
        if let Some(most) = retry.count("attempts", &mut work.report) {
            let says = "is `retries.max` of the model, made once all targets were asked";
            work.report.approximate(&retry.at("attempts"), says);
            model.entry("retries").or_insert_with(|| json!({"max": most}));
        }
        let codes = "which faults are tried again depends on their kind; see docs/routing.md";
        let waits = "a provider's `Retry-After` is kept to, up to `retries.wait_max`";
        let known = [("on_status_codes", Approximate, codes), ("use_retry_after_header", Approximate, waits)];
        retry.known(&known, &mut work.report);
        retry.rest(&mut work.report);
    }
    if let Some(ms) = fields.count("request_timeout", &mut work.report) {
        work.report.approximate(
            &fields.at("request_timeout"),
            "is `deadlines.total`, which holds for all attempts together",
        );
        model.entry("deadlines").or_insert_with(|| json!({"total": format!("{ms}ms")}));
    }
}

/// `provider/model` of a target; `None` where somebody has to write it, which the report says.
fn target(fields: &Fields<'_>, passed: &Map<String, Value>, work: &mut Work) -> Option<String> {
    let text = |name: &str| passed.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
    let empty = Map::new();
    let forced = passed.get("override_params").and_then(Value::as_object).unwrap_or(&empty);
    for name in forced.keys().filter(|name| *name != "model") {
        let path = fields.at(&format!("override_params.{name}"));
        work.report.unsupported(&path, "nothing is added to what callers send; let them send it");
    }
    let path = fields.at("override_params.model");
    let Some(model) = forced.get("model").and_then(Value::as_str) else {
        work.report
            .manual(&path, "is missing: targets name their model; write `provider/model` at the model");
        return None;
    };
    // `@slug/model` names a provider of the catalogue of Portkey's, whose name is one's own.
    let (slug, model) = match model.strip_prefix('@').and_then(|rest| rest.split_once('/')) {
        Some((slug, model)) => (Some(slug), model),
        None => (None, model),
    };
    let named = text("provider").map(|name| name.trim_start_matches('@')).or(text("virtual_key")).or(slug);
    let Some(named) = named else {
        work.report.manual(&fields.path, "names no provider; write `provider/model` as a target");
        return None;
    };
    let base = catalogued(&NAMES, named).or_else(|| catalogued(&NAMES, named.split('-').next()?));
    let mut wanted = Wanted { base, name: named.to_owned(), fields: Map::new() };
    if let Some(host) = text("custom_host") {
        put(&mut wanted.fields, "base_url", plain(host.trim_end_matches('/')));
        if wanted.base.is_none() {
            put(&mut wanted.fields, "dialect", "openai_chat");
        }
        work.report.exact(&fields.at("custom_host"), "is `base_url` of the provider");
    }
    if wanted.base.is_none() && text("custom_host").is_none() {
        work.report
            .manual(&fields.path, "names a provider that is not in the catalogue; write one, and the target");
        return None;
    }
    if let Some(key) = text("api_key") {
        let says = "stood in the open; it has a file of its own now, to which `secret:file/…` refers";
        work.report.exact(&fields.at("api_key"), says);
        let reference = work.draft.secret(key, named);
        put(&mut wanted.fields, "api_key", reference);
    } else if text("virtual_key").is_some() || text("provider").is_some_and(|name| name.starts_with('@')) {
        let variable = format!("{}_API_KEY", named.to_ascii_uppercase().replace('-', "_"));
        let says = format!("its credential is kept by Portkey: set {variable} to it");
        work.report.manual(&fields.at("virtual_key"), says);
        let reference = work.draft.variable(&variable);
        put(&mut wanted.fields, "api_key", reference);
    }
    let account = work.draft.account(wanted);
    work.draft.model(&account, model, Map::new());
    work.report.exact(&path, "is a target of the model");
    Some(format!("{account}/{model}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::import::{draft::Draft, report::Report};

    #[test]
    fn a_config_is_a_model() {
        let value = json!({
            "strategy": {"mode": "loadbalance"}, "retry": {"attempts": 3}, "cache": {"mode": "simple"},
            "targets": [
                {"virtual_key": "openai-prod", "weight": 0.7, "override_params": {"model": "gpt-4o", "temperature": 0}},
                {"provider": "anthropic", "api_key": "sk-a", "weight": 0.3, "override_params": {"model": "claude-opus-4-8"}},
                {"provider": "whoever", "override_params": {"model": "x"}, "strange": 1},
            ],
        });
        let mut work = Work { report: Report::default(), draft: Draft::new("s") };
        config("", "chat", value.as_object().unwrap(), &mut work);
        let whole = Value::from(work.draft.finish());
        let expected = json!({
            "targets": [
                {"model": "openai/gpt-4o", "weight": 70}, {"model": "anthropic/claude-opus-4-8", "weight": 30},
            ],
            "strategy": "weighted", "retries": {"max": 3},
        });
        assert_eq!(whole["models"]["chat"], expected);
        assert_eq!(whole["providers"]["openai"]["api_key"], "${OPENAI_PROD_API_KEY}");
        let text = work.report.markdown("x");
        for line in [
            "| unsupported | `targets[2].strange` |",
            "| manual | `targets[2]` |",
            "| unsupported | `cache` |",
        ] {
            assert!(text.contains(line), "{line}: {text}");
        }
        for (theirs, ours) in NAMES {
            assert!(catalog::entry(ours).is_some(), "{theirs}: {ours}");
        }
    }
}

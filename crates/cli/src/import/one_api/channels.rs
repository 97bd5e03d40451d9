//! Channels: what is asked, under which names, for whom.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use super::source::{Row, Writer, is_enabled, listed};
use crate::import::{
    draft::{Wanted, plain},
    fields::{Fields, Known},
    report::Grade::{Approximate, Manual, Unsupported},
    work::{Work, even, put},
};

/// The models that each group may ask for.
pub(super) type Groups = BTreeMap<String, BTreeSet<String>>;

/// Numbers of kinds of channels that both have (`relay/channeltype` of one-api, `constant/channel.go` of new-api), with the
/// catalogue's names.
const BOTH: [(u64, &str); 8] = [
    (1, "openai"),
    (3, "azure"),
    (14, "anthropic"),
    (16, "zhipuai"),
    (17, "alibaba-cn"),
    (20, "openrouter"),
    (24, "gemini"),
    (25, "moonshot-cn"),
];
const ONE_API: [(u64, &str); 11] = [
    (28, "mistral"),
    (29, "groq"),
    (30, "ollama"),
    (32, "stepfun"),
    (35, "cohere"),
    (36, "deepseek"),
    (39, "together"),
    (41, "novita"),
    (44, "siliconflow-cn"),
    (45, "xai"),
    (49, "alibaba-cn"),
];
const NEW_API: [(u64, &str); 9] = [
    (4, "ollama"),
    (26, "zhipuai"),
    (27, "perplexity"),
    (34, "cohere"),
    (38, "jina"),
    (40, "siliconflow-cn"),
    (42, "mistral"),
    (43, "deepseek"),
    (48, "xai"),
];
/// Kinds that only name an address that speaks as OpenAI does; `/v1` stands behind it.
const COMPATIBLE: [u64; 2] = [1, 8];
const COMPATIBLE_ONE_API: u64 = 50;

const REST: [Known; 26] = [
    ("created_time", Unsupported, PAST),
    ("test_time", Unsupported, PAST),
    ("response_time", Unsupported, PAST),
    ("balance", Unsupported, PAST),
    ("balance_updated_time", Unsupported, PAST),
    ("used_quota", Unsupported, PAST),
    ("other_info", Unsupported, PAST),
    ("remark", Unsupported, "providers have no remarks"),
    ("tag", Unsupported, "providers have labels; write them there"),
    ("auto_ban", Approximate, "what fails is left alone for a while, and asked again"),
    ("test_model", Manual, "write `health.check.model` at the provider"),
    ("openai_organization", Manual, "write the header `openai-organization` under `headers` of the provider"),
    ("system_prompt", Unsupported, "nothing is added to what callers send; let them send it"),
    ("param_override", Unsupported, "nothing is added to what callers send; let them send it"),
    ("header_override", Manual, "write `headers` at the provider"),
    ("status_code_mapping", Unsupported, "which faults are tried again depends on their kind"),
    ("config", Manual, "write region, project and identity at the provider"),
    ("setting", Manual, "write what of it is meant at the provider"),
    ("settings", Manual, "write what of it is meant at the provider"),
    ("other", Approximate, "is a version of an API for most; Azure's API v1 has none"),
    (
        "channel_info",
        Approximate,
        "several keys of a channel share its calls and are passed over where they fail",
    ),
    ("allow_streaming", Unsupported, "every provider streams"),
    ("allow_non_streaming", Unsupported, "every provider answers whole"),
    ("key_version", Unsupported, PAST),
    ("deleted_at", Unsupported, PAST),
    ("max_input_tokens", Manual, "write `context_tokens` at the provider's models"),
];
const PAST: &str = "what was is not taken over";

/// A channel that asks a model.
struct Asks {
    target: String,
    priority: f64,
    weight: f64,
}

/// Reads the channels into providers and models, and says who may ask for what.
pub(super) fn read(rows: &[Row], writer: Writer, work: &mut Work) -> Groups {
    let mut groups = Groups::new();
    let mut models: BTreeMap<String, Vec<Asks>> = BTreeMap::new();
    for row in rows {
        channel(row, writer, (&mut groups, &mut models), work);
    }
    for (name, mut asked) in models {
        asked.sort_by(|one, other| other.priority.total_cmp(&one.priority));
        let first = asked.first().map_or(0.0, |asks| asks.priority);
        if asked.iter().any(|asks| asks.priority < first) {
            let says = "channels of lower priority have weight 0: they are asked where no other is left";
            work.report.approximate("channels.priority", says);
        } else {
            work.report.exact("channels.priority", "all channels of a model have the same");
        }
        let target = |asks: &Asks| {
            let weight = if asks.priority < first { 0 } else { asks.weight.max(1.0) as u64 };
            json!({"model": asks.target, "weight": weight})
        };
        let mut targets: Vec<Value> = asked.iter().map(target).collect();
        even(&mut targets);
        work.draft.models.insert(name, json!({"targets": targets, "strategy": "weighted"}));
    }
    groups
}

fn channel(
    row: &Row,
    writer: Writer,
    (groups, models): (&mut Groups, &mut BTreeMap<String, Vec<Asks>>),
    work: &mut Work,
) {
    let mut fields = Fields::new("channels", row);
    let name = fields.text("name", &mut work.report).unwrap_or("channel").to_owned();
    fields.take("id");
    if !is_enabled(&mut fields, work) {
        work.report.manual("channels.status", format!("\"{name}\" is not in force, and was left out"));
        return;
    }
    let asked = listed(fields.text("models", &mut work.report));
    let mapping = mapping(fields.text("model_mapping", &mut work.report), work);
    let of_groups = listed(fields.text("group", &mut work.report));
    let priority = fields.number("priority", &mut work.report).unwrap_or_default();
    let weight = fields.number("weight", &mut work.report).unwrap_or_default();
    let weight = match writer {
        // Among channels of one priority it takes any, whatever their weights.
        Writer::OneApi => 1.0,
        Writer::NewApi => weight,
    };
    let says = match writer {
        Writer::OneApi => "one-api gives channels of one priority equal shares; so do the targets",
        Writer::NewApi => "is `weight` of the target; where it was 0 it is 1",
    };
    work.report.approximate("channels.weight", says);
    work.report
        .exact("channels.name", "is the provider's name where it is in no catalogue, and its secret's");
    let account = account(&mut fields, &name, writer, work);
    fields.known(&REST, &mut work.report);
    fields.rest(&mut work.report);
    let Some(account) = account else { return };
    work.report.exact("channels.models", "each is a model of this name, with the channel as a target");
    work.report.exact("channels.group", "is a team of this name, whose `models` are those of its channels");
    for model in asked {
        let upstream = mapping.get(&model).and_then(Value::as_str).unwrap_or(&model);
        work.draft.model(&account, upstream, Map::new());
        let target = format!("{account}/{upstream}");
        for group in &of_groups {
            groups.entry(group.clone()).or_default().insert(model.clone());
        }
        models.entry(model.clone()).or_default().push(Asks { target, priority, weight });
    }
}

/// Other names of models upstream.
fn mapping(text: Option<&str>, work: &mut Work) -> Map<String, Value> {
    let Some(text) = text else { return Map::new() };
    let path = "channels.model_mapping";
    match serde_json::from_str::<Map<String, Value>>(text) {
        Ok(mapping) => {
            if !mapping.is_empty() {
                work.report.exact(path, "is the model of the target");
            }
            mapping
        }
        Err(_) => {
            work.report.manual(path, "is no map of names; write the targets at the models");
            Map::new()
        }
    }
}

/// The provider that a channel asks; `None` where somebody has to write it, which the report says.
fn account(fields: &mut Fields<'_>, name: &str, writer: Writer, work: &mut Work) -> Option<String> {
    let kind = fields.count("type", &mut work.report).unwrap_or_default();
    let keys = fields.text("key", &mut work.report).unwrap_or_default();
    let address = fields.text("base_url", &mut work.report).map(|url| url.trim_end_matches('/'));
    let own: &[(u64, &str)] = match writer {
        Writer::OneApi => &ONE_API,
        Writer::NewApi => &NEW_API,
    };
    let base = BOTH.iter().chain(own).find(|(number, _)| *number == kind).map(|(_, base)| *base);
    let speaks = COMPATIBLE.contains(&kind)
        || base == Some("ollama")
        || (writer == Writer::OneApi && kind == COMPATIBLE_ONE_API);
    let mut wanted = Wanted { base: base.map(str::to_owned), name: name.to_owned(), fields: Map::new() };
    match (base, address) {
        (Some("azure"), Some(address)) => {
            put(&mut wanted.fields, "base_url", format!("{}/openai/v1", plain(address)));
            work.report
                .approximate("channels.base_url", "is Azure's API v1 at this address, which has no version");
        }
        (_, Some(address)) if speaks => {
            wanted.base = None;
            put(&mut wanted.fields, "dialect", "openai_chat");
            put(&mut wanted.fields, "base_url", format!("{}/v1", plain(address)));
            work.report
                .exact("channels.base_url", "is `base_url` of a provider of its own, with /v1 behind it");
        }
        // What stands at another address may be somebody else, who is to have no other's key.
        (Some(_), Some(_)) => {
            let says = format!("\"{name}\" has an address of its own; write the provider, and its models");
            work.report.manual("channels.base_url", says);
            return None;
        }
        (Some("azure"), None) | (None, _) => {
            let says = format!(
                "\"{name}\" is of type {kind}, which is not taken over; write the provider, and its models"
            );
            work.report.manual("channels.type", says);
            return None;
        }
        (Some(_), None) => {}
    }
    work.report.exact("channels.type", "is the provider of the catalogue, or one that speaks as OpenAI does");
    let keys: Vec<&str> = keys.lines().map(str::trim).filter(|key| !key.is_empty()).collect();
    let mut references: Vec<String> = keys.iter().map(|key| work.draft.secret(key, name)).collect();
    let says = "stood in the open; it has a file of its own now, to which `secret:file/…` refers";
    match references.len() {
        0 => {}
        1 => put(&mut wanted.fields, "api_key", references.remove(0)),
        _ => put(&mut wanted.fields, "api_keys", references),
    }
    work.report.exact("channels.key", says);
    Some(work.draft.account(wanted))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::import::{draft::Draft, report::Report};

    #[test]
    fn numbers_lead_to_the_catalogue() {
        for (_, name) in BOTH.iter().chain(&ONE_API).chain(&NEW_API) {
            assert!(catalog::entry(name).is_some(), "{name}");
        }
    }

    #[test]
    fn channels_become_models_of_their_groups() {
        let rows = [
            json!({"type": 1, "key": "sk-1", "status": 1, "name": "main", "models": "gpt-4o,small", "weight": 3,
                   "group": "default,vip", "model_mapping": "{\"small\": \"gpt-4o-mini\"}", "priority": 5}),
            json!({"type": 8, "key": "sk-2\nsk-3", "status": 1, "name": "own", "models": "gpt-4o", "group": "default",
                   "base_url": "http://h:1/", "priority": 0, "strange": 1}),
            json!({"type": 14, "key": "sk-4", "status": 1, "name": "proxy", "models": "claude", "group": "default",
                   "base_url": "http://elsewhere"}),
            json!({"type": 14, "key": "sk-5", "status": 2, "name": "off", "models": "claude", "group": "default"}),
        ];
        let rows: Vec<Row> = rows.iter().map(|row| row.as_object().unwrap().clone()).collect();
        let mut work = Work { report: Report::default(), draft: Draft::new("s") };
        let groups = read(&rows, Writer::OneApi, &mut work);
        assert_eq!(groups["vip"], BTreeSet::from(["gpt-4o".to_owned(), "small".to_owned()]));
        let whole = Value::from(work.draft.finish());
        let targets = json!([{"model": "openai/gpt-4o", "weight": 1}, {"model": "own/gpt-4o", "weight": 0}]);
        assert_eq!(whole["models"]["gpt-4o"]["targets"], targets);
        assert_eq!(whole["models"]["small"]["targets"][0]["model"], "openai/gpt-4o-mini");
        assert_eq!(whole["providers"]["own"]["base_url"], "http://h:1/v1");
        assert_eq!(whole["providers"]["own"]["api_keys"].as_array().map(Vec::len), Some(2));
        assert!(whole["models"]["claude"].is_null() && whole["providers"]["anthropic"].is_null());
        let text = work.report.markdown("x");
        for line in [
            "| manual | `channels.base_url` |",
            "| manual | `channels.status` |",
            "| unsupported | `channels.strange` |",
        ] {
            assert!(text.contains(line), "{line}: {text}");
        }
    }
}

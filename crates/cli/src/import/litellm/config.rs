//! LiteLLM's `config.yaml` (<https://docs.litellm.ai/docs/proxy/configs>).

use std::{collections::BTreeMap, fs, path::Path};

use anyhow::Context;
use serde_json::{Map, Value};

use super::{
    deployment::{self, Deployment},
    groups, settings,
};
use crate::import::{
    fields::{Fields, Known},
    report::Grade::{Manual, Unsupported},
    work::Work,
};

/// Files that include each other end somewhere.
const DEPTH_MAX: usize = 8;

const SECTIONS: [Known; 13] = [
    (
        "environment_variables",
        Manual,
        "set these variables in the gateway's own environment; their values were not copied",
    ),
    ("guardrails", Unsupported, "there are no guardrails"),
    ("mcp_servers", Unsupported, "there is no gateway for MCP"),
    ("mcp_aliases", Unsupported, "there is no gateway for MCP"),
    ("vector_store_registry", Unsupported, "there are no vector stores"),
    ("search_tools", Unsupported, "there are no search tools"),
    ("prompts", Unsupported, "prompts are not kept"),
    ("policies", Unsupported, "there are no guardrails"),
    ("callback_settings", Unsupported, "calls are not sent to other programs"),
    ("files_settings", Manual, "name the provider of files by the header `x-tollgate-provider`"),
    ("finetune_settings", Unsupported, "fine-tuning is passed through below a provider's name"),
    ("default_vertex_config", Manual, "write `project`, `region` and `google` at the provider vertex"),
    ("worker_config", Unsupported, "there are no workers"),
];

/// The models by the access groups that they are in.
pub(super) type AccessGroups = BTreeMap<String, Vec<String>>;

/// The file, with those that it includes.
pub(super) fn load(file: &Path) -> anyhow::Result<Value> {
    let mut root = Map::new();
    include(file, 0, &mut root)?;
    Ok(root.into())
}

/// Lists of an included file are joined to those that are there, and maps are merged
/// (<https://docs.litellm.ai/docs/proxy/config_management>).
fn include(file: &Path, depth: usize, root: &mut Map<String, Value>) -> anyhow::Result<()> {
    anyhow::ensure!(depth <= DEPTH_MAX, "{}: files include each other in a circle", file.display());
    let text = fs::read_to_string(file).with_context(|| file.display().to_string())?;
    let parsed = catalog::parse_yaml(&text).map_err(anyhow::Error::msg);
    let mut parsed = parsed.with_context(|| format!("{} is no YAML", file.display()))?;
    merge_keys(&mut parsed);
    let Value::Object(mut members) = parsed else {
        anyhow::bail!("{} holds no map of sections such as model_list", file.display());
    };
    let included = members.remove("include");
    for (name, value) in members {
        match (root.get_mut(&name), value) {
            (Some(Value::Array(known)), Value::Array(more)) => known.extend(more),
            (Some(Value::Object(known)), Value::Object(more)) => known.extend(more),
            (_, value) => drop(root.insert(name, value)),
        }
    }
    for name in included.as_ref().and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str) {
        let beside = file.parent().unwrap_or(Path::new("")).join(name);
        include(&beside, depth + 1, root)?;
    }
    Ok(())
}

/// `<<: *anchor` lays what is there over what the anchor says (<https://yaml.org/type/merge.html>).
fn merge_keys(value: &mut Value) {
    match value {
        Value::Object(members) => {
            for laid in match members.shift_remove("<<") {
                Some(Value::Array(several)) => several,
                Some(one) => vec![one],
                None => Vec::new(),
            } {
                for (name, value) in laid.as_object().into_iter().flatten() {
                    members.entry(name).or_insert_with(|| value.clone());
                }
            }
            members.values_mut().for_each(merge_keys);
        }
        Value::Array(items) => items.iter_mut().for_each(merge_keys),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// Reads a file into the draft, with the models that the database has beside it, each with its place in the report.
pub(super) fn read(root: &Value, kept: &[(String, Value)], work: &mut Work) -> AccessGroups {
    let Some(mut root) = Fields::of("", root, &mut work.report) else { return AccessGroups::new() };
    let credentials = credentials(&mut root, work);
    let listed = root.list("model_list", &mut work.report);
    let listed = listed.iter().enumerate().map(|(at, entry)| (format!("model_list[{at}]"), entry));
    let kept = kept.iter().map(|(path, entry)| (path.clone(), entry));
    let deployments: Vec<Deployment> = listed
        .chain(kept)
        .filter_map(|(path, entry)| deployment::read(&path, entry, &credentials, work))
        .collect();
    let routing = settings::read(&mut root, work);
    groups::write(&deployments, &routing, work);
    root.known(&SECTIONS, &mut work.report);
    root.rest(&mut work.report);
    let mut groups = AccessGroups::new();
    for deployment in deployments {
        for group in deployment.access_groups {
            let models = groups.entry(group).or_default();
            if !models.contains(&deployment.group) {
                models.push(deployment.group.clone());
            }
        }
    }
    groups
}

/// Values of `credential_list` by their names.
fn credentials(root: &mut Fields<'_>, work: &mut Work) -> Map<String, Value> {
    let list = root.list("credential_list", &mut work.report);
    let mut credentials = Map::new();
    for (at, entry) in list.iter().enumerate() {
        let path = format!("credential_list[{at}]");
        let Some(mut entry) = Fields::of(&path, entry, &mut work.report) else { continue };
        let name = entry.text("credential_name", &mut work.report);
        let values = entry.take("credential_values");
        if let (Some(name), Some(values)) = (name, values) {
            credentials.insert(name.to_owned(), values.clone());
            work.report.exact(&path, "its values were used where a model names it");
        }
        entry
            .known(&[("credential_info", Unsupported, "credentials have no descriptions")], &mut work.report);
        entry.rest(&mut work.report);
    }
    credentials
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_merged_is_written_out() {
        let mut value =
            catalog::parse_yaml("base: &b { a: 1, c: 2 }\nlist:\n  - { <<: *b, a: 3 }\n").unwrap();
        merge_keys(&mut value);
        assert_eq!(value["list"], json!([{"a": 3, "c": 2}]));
    }
}

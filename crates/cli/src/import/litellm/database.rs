//! LiteLLM's tables (<https://docs.litellm.ai/docs/proxy/db_info>).

use std::collections::HashMap;

use serde_json::{Map, Value, json};
use store::Foreign;

use crate::import::work::Work;

/// One row, without the columns that say nothing.
pub(super) type Row = Map<String, Value>;

/// What is read of the database, by the names of its tables.
pub(super) struct Tables(HashMap<&'static str, Vec<Row>>);

/// Tables that are read.
const READ: [&str; 11] = [
    "LiteLLM_OrganizationTable",
    "LiteLLM_TeamTable",
    "LiteLLM_ProjectTable",
    "LiteLLM_UserTable",
    "LiteLLM_VerificationToken",
    "LiteLLM_BudgetTable",
    "LiteLLM_ProxyModelTable",
    "LiteLLM_AccessGroupTable",
    "LiteLLM_ModelTable",
    "LiteLLM_Config",
    "LiteLLM_TeamMembership",
];

/// Tables of which only is told how many rows there are, and what to do about them.
const TOLD: [(&str, bool, &str); 14] = [
    (
        "LiteLLM_EndUserTable",
        true,
        "end users have no entries; write a limit with `each: [end_user]` at an organization, a team or a key",
    ),
    (
        "LiteLLM_TagTable",
        true,
        "tags have no entries; write a budget with `tags` at an organization, a team or a key",
    ),
    ("LiteLLM_OrganizationMembership", true, "who is in an organization is said by the user's own entry"),
    ("LiteLLM_ModelAccessGroupBudgetTable", true, "write a budget with `models` at an organization"),
    (
        "LiteLLM_CredentialsTable",
        true,
        "is sealed under LITELLM_SALT_KEY; write the credentials at the providers",
    ),
    ("LiteLLM_JWTKeyMapping", true, "write `authentication.jwt`, whose `map` says what claims stand for"),
    ("LiteLLM_MCPServerTable", false, "there is no gateway for MCP"),
    ("LiteLLM_AgentsTable", false, "there are no agents"),
    ("LiteLLM_GuardrailsTable", false, "there are no guardrails"),
    ("LiteLLM_PolicyTable", false, "there are no guardrails"),
    ("LiteLLM_PromptTable", false, "prompts are not kept"),
    ("LiteLLM_ManagedVectorStoresTable", false, "there are no vector stores"),
    ("LiteLLM_InvitationLink", false, "people are not invited"),
    ("LiteLLM_ObjectPermissionTable", false, "there are no tools, vector stores or agents to be permitted"),
];

impl Tables {
    pub(super) fn read(foreign: &mut Foreign, work: &mut Work) -> anyhow::Result<Tables> {
        let mut tables = HashMap::new();
        let mut found = 0;
        for name in READ {
            let rows = foreign.table(name)?;
            found += usize::from(rows.is_some());
            let rows = rows.unwrap_or_default().into_iter().map(saying);
            tables.insert(name, rows.collect());
        }
        anyhow::ensure!(
            found > 0,
            "there is no table of LiteLLM's in it; name its database, and its schema as ?schema=NAME"
        );
        for (name, is_manual, says) in TOLD {
            let rows = foreign.table(name)?.map_or(0, |rows| rows.len());
            let says = format!("{rows} rows: {says}");
            match (rows, is_manual) {
                (0, _) => {}
                (_, true) => work.report.manual(name, says),
                (_, false) => work.report.unsupported(name, says),
            }
        }
        work.report.unsupported(
            "LiteLLM_SpendLogs",
            "single calls of the past stay where they are, and so do their sums by day",
        );
        Ok(Tables(tables))
    }

    /// Takes the rows of a table out.
    pub(super) fn take(&mut self, name: &'static str) -> Vec<Row> {
        self.0.remove(name).unwrap_or_default()
    }

    /// Settings that were changed while it ran lie over those of the file.
    pub(super) fn lay_settings(&mut self, root: &mut Value, work: &mut Work) {
        for row in self.take("LiteLLM_Config") {
            let Some(name) = row.get("param_name").and_then(Value::as_str) else { continue };
            let path = format!("LiteLLM_Config.{name}");
            let laid = row.get("param_value").and_then(Value::as_object);
            let known = ["router_settings", "litellm_settings", "general_settings"].contains(&name);
            match (laid, root.as_object_mut()) {
                (Some(laid), Some(root)) if known => {
                    let section = root.entry(name).or_insert_with(|| json!({}));
                    if let Some(section) = section.as_object_mut() {
                        section.extend(laid.clone());
                    }
                    work.report.exact(&path, "was laid over the section of the file");
                }
                _ if name == "environment_variables" => {
                    work.report
                        .manual(&path, "is sealed; set these variables in the gateway's own environment");
                }
                _ => {
                    work.report.unsupported(&path, "the importer knows no such settings; they were left out");
                }
            }
        }
    }

    /// Models that the database has, as entries of `model_list`, each with its place in the report.
    pub(super) fn models(&mut self, work: &mut Work) -> Vec<(String, Value)> {
        let mut models = Vec::new();
        for row in self.take("LiteLLM_ProxyModelTable") {
            let name = row.get("model_name").and_then(Value::as_str).unwrap_or_default();
            let path = format!("LiteLLM_ProxyModelTable[{name}]");
            let params = row.get("litellm_params").and_then(object);
            let info = row.get("model_info").and_then(object).unwrap_or_default();
            let model = params.as_ref().and_then(|params| params.get("model")?.as_str());
            if row.get("blocked").is_some() {
                work.report.exact(&path, "is blocked, and was left out");
            } else if model.is_none_or(is_sealed) {
                let says = "its parameters are sealed under LITELLM_SALT_KEY; write the model under `models`, and its provider";
                work.report.manual(&path, says);
            } else {
                let entry = json!({"model_name": name, "litellm_params": params, "model_info": info});
                models.push((path, entry));
            }
        }
        models
    }
}

/// JSON that was kept as a text as well.
pub(super) fn object(value: &Value) -> Option<Map<String, Value>> {
    match value {
        Value::Object(members) => Some(members.clone()),
        Value::String(text) => serde_json::from_str(text).ok(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) => None,
    }
}

/// Values are sealed one by one, and written in base64.
fn is_sealed(value: &str) -> bool {
    let digit = |byte: u8| byte.is_ascii_alphanumeric() || b"-_=".contains(&byte);
    value.len() >= 40 && value.bytes().all(digit)
}

fn saying(row: Row) -> Row {
    let says = |value: &Value| match value {
        Value::Null | Value::Bool(false) => false,
        Value::String(text) => !text.is_empty(),
        Value::Array(items) => !items.is_empty(),
        Value::Object(members) => !members.is_empty(),
        Value::Bool(true) | Value::Number(_) => true,
    };
    row.into_iter().filter(|(_, value)| says(value)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sealed_is_not_taken_for_a_model() {
        assert!(is_sealed("pCjrDKrRPtVWyrLRnmK9HLVVm1uJqYpwVwVrFZJp1fJLaWbhCQ4v9Q=="));
        assert!(!is_sealed("bedrock/us.anthropic.claude-sonnet-4-5-20250929-v1:0"));
        assert!(!is_sealed("gpt-4o"));
    }
}

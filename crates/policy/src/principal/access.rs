//! Rules over calls: which of them somebody may make.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use wire::{Fault, Kind, Origin};

use crate::rule::{Rule, RuleFacts};

/// A [rule](rules.md) over calls, as it is written: what is denied, or what is allowed.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct AccessSpec {
    /// What a denial calls it. Default: the condition itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Calls of which this holds, or of which it cannot be told, are denied, whatever is allowed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deny: Option<String>,
    /// Where there are such rules, one of them must hold of a call.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allow: Option<String>,
}

/// The rules of one holder.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct AccessRules {
    whose: Arc<str>,
    deny: Vec<Named>,
    allow: Vec<Named>,
}

#[derive(Clone, Debug, PartialEq)]
struct Named {
    name: String,
    rule: Rule,
}

impl AccessRules {
    /// Compiles what is written; nothing where nothing is.
    pub(super) fn compile(
        whose: &Arc<str>,
        specs: &[AccessSpec],
        wrong: &mut Vec<(String, String)>,
    ) -> Option<AccessRules> {
        let mut rules = AccessRules { whose: Arc::clone(whose), deny: Vec::new(), allow: Vec::new() };
        for (at, spec) in specs.iter().enumerate() {
            let path = format!("access[{at}]");
            let (field, text, list) = match (&spec.deny, &spec.allow) {
                (Some(text), None) => ("deny", text, &mut rules.deny),
                (None, Some(text)) => ("allow", text, &mut rules.allow),
                (None, None) | (Some(_), Some(_)) => {
                    wrong.push((path, "is one condition, under deny or under allow".to_owned()));
                    continue;
                }
            };
            match Rule::compile(text) {
                Ok(rule) => {
                    let name = spec.name.clone().unwrap_or_else(|| text.clone());
                    list.push(Named { name, rule });
                }
                Err(problem) => wrong.push((format!("{path}.{field}"), problem.to_string())),
            }
        }
        (!rules.deny.is_empty() || !rules.allow.is_empty()).then_some(rules)
    }

    /// Whether a call may be made; or, where the question is of a target, whether that may be asked. What cannot be told
    /// allows nothing.
    pub(super) fn check(&self, facts: &RuleFacts<'_>) -> Result<(), Fault> {
        let of_target = facts.target.is_some();
        for Named { name, rule } in self.deny.iter().filter(|named| named.rule.asks_of_target() == of_target)
        {
            match rule.holds(facts) {
                Ok(false) => {}
                Ok(true) => return Err(self.denied(&format!("\"{name}\" denies this call"))),
                Err(error) => {
                    return Err(self.denied(&format!("\"{name}\" denies this call, since {error}")));
                }
            }
        }
        // Where one of them asks of a target, all of them wait for it: any may allow the call.
        let wait = self.allow.iter().any(|named| named.rule.asks_of_target());
        if self.allow.is_empty()
            || wait != of_target
            || self.allow.iter().any(|named| named.rule.holds(facts) == Ok(true))
        {
            return Ok(());
        }
        let names: Vec<String> = self.allow.iter().map(|named| format!("\"{}\"", named.name)).collect();
        Err(self
            .denied(&format!("none of the rules that allow calls holds of this one: {}", names.join(", "))))
    }

    /// Whether targets are held against it.
    pub(super) fn asks_of_target(&self) -> bool {
        self.deny.iter().chain(&self.allow).any(|named| named.rule.asks_of_target())
    }

    pub(super) fn needs_decoding(&self) -> bool {
        self.deny.iter().chain(&self.allow).any(|named| named.rule.needs_decoding())
    }

    fn denied(&self, why: &str) -> Fault {
        let message = format!("access rules of {}: {why}; ask its administrators", self.whose);
        Fault::new(Origin::Client, Kind::Forbidden, message).code("access_denied")
    }
}

//! Groups of deployments to models with targets (<https://docs.litellm.ai/docs/routing>).

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use super::deployment::Deployment;
use crate::import::{
    draft::plain,
    fields::span,
    work::{Work, put},
};

/// What the router's settings say of groups.
#[derive(Default)]
pub(super) struct Routing {
    /// The strategy's name here.
    pub(super) strategy: Option<&'static str>,
    /// By group; `*` stands for all.
    pub(super) fallbacks: BTreeMap<String, Vec<String>>,
    pub(super) context_too_long: BTreeMap<String, Vec<String>>,
    pub(super) content_policy: BTreeMap<String, Vec<String>>,
    /// Where each of these comes from, for the report.
    pub(super) paths: BTreeMap<&'static str, String>,
    pub(super) aliases: Vec<(String, String)>,
    /// Further attempts, by group.
    pub(super) retries: BTreeMap<String, u64>,
}

/// Weights of targets beyond this are brought down.
const WEIGHT_MAX: u64 = 10_000;

/// Writes a model for each group.
pub(super) fn write(deployments: &[Deployment], routing: &Routing, work: &mut Work) {
    let mut groups: Vec<(&str, Vec<&Deployment>)> = Vec::new();
    for deployment in deployments {
        match groups.iter_mut().find(|(name, _)| *name == deployment.group) {
            Some((_, members)) => members.push(deployment),
            None => groups.push((&deployment.group, vec![deployment])),
        }
    }
    for (name, members) in &groups {
        if name.ends_with('*') {
            wildcard(name, members, work);
            continue;
        }
        let model = model(name, members, &groups, routing, work);
        work.draft.models.insert((*name).to_owned(), model);
    }
    for (alias, name) in &routing.aliases {
        let path = format!("router_settings.model_group_alias.{alias}");
        match work.draft.models.get(name).cloned() {
            Some(model) => {
                work.report.exact(&path, "is a model of the same targets");
                work.draft.models.insert(alias.clone(), model);
            }
            None => work.report.manual(&path, "names no group; write the alias under `models`"),
        }
    }
    known_fallbacks(&groups, routing, work);
}

/// Every model of a provider can be asked for as `provider/model`, without an entry.
fn wildcard(name: &str, members: &[&Deployment], work: &mut Work) {
    let path = format!("model_list[model_name={name}]");
    for member in members {
        if member.target == *name {
            work.report.exact(&path, "every model of a provider can be asked for as `provider/model`");
        } else {
            let target = member.target.trim_end_matches('*');
            let says = format!(
                "applications ask for `{target}MODEL`; names of another form have to be written under `models`"
            );
            work.report.manual(&path, says);
        }
    }
}

fn model(
    name: &str,
    members: &[&Deployment],
    groups: &[(&str, Vec<&Deployment>)],
    routing: &Routing,
    work: &mut Work,
) -> Value {
    let own = targets(members);
    let further = |of: &BTreeMap<String, Vec<String>>| further(name, of, groups, &own);
    let fallbacks = further(&routing.fallbacks);
    let mut fields = Map::new();
    let choice = strategy(name, &own, &fallbacks, routing, work);
    let weighted = choice.is_none_or(|choice| ["weighted", "least_in_flight", "latency"].contains(&choice));
    let mut listed: Vec<Value> = own.iter().map(|target| target.shown(own.len() > 1 && weighted)).collect();
    let only_others = |target: &String| match choice {
        Some("weighted") => json!({"model": target, "weight": 0}),
        Some(_) | None => target.as_str().into(),
    };
    listed.extend(fallbacks.iter().map(only_others));
    let single = match listed.as_slice() {
        [Value::String(only)] => Some(only.clone()),
        _ => None,
    };
    put(&mut fields, "targets", listed);
    if let Some(choice) = choice {
        put(&mut fields, "strategy", choice);
    }
    let mut others = Map::new();
    for (field, of) in
        [("context_too_long", &routing.context_too_long), ("content_policy", &routing.content_policy)]
    {
        let targets = further(of);
        if !targets.is_empty() {
            put(&mut others, field, targets);
        }
    }
    if !others.is_empty() {
        put(&mut fields, "fallbacks", others);
    }
    let retries =
        routing.retries.get(name).copied().or_else(|| members.iter().find_map(|member| member.retries));
    if let Some(most) = retries {
        put(&mut fields, "retries", json!({"max": most}));
    }
    let mut deadlines = Map::new();
    if let Some(seconds) = members.iter().find_map(|member| member.timeout) {
        put(&mut deadlines, "total", span(seconds));
    }
    if let Some(seconds) = members.iter().find_map(|member| member.stream_timeout) {
        put(&mut deadlines, "first_byte", span(seconds));
    }
    if !deadlines.is_empty() {
        put(&mut fields, "deadlines", deadlines);
    }
    match single {
        Some(only) if fields.len() == 1 => only.into(),
        Some(_) | None => fields.into(),
    }
}

/// One of a group's targets.
struct Target {
    name: String,
    weight: u64,
    tags: Vec<String>,
}

impl Target {
    fn shown(&self, weighted: bool) -> Value {
        let mut fields = Map::new();
        put(&mut fields, "model", plain(&self.name));
        if weighted && self.weight != 1 {
            put(&mut fields, "weight", self.weight);
        }
        if !self.tags.is_empty() {
            put(&mut fields, "tags", self.tags.clone());
        }
        if fields.len() == 1 { plain(&self.name).into() } else { fields.into() }
    }
}

/// The targets of a group, each once. `simple-shuffle` chooses by weight where there is one, then by requests and then by
/// tokens per minute.
fn targets(members: &[&Deployment]) -> Vec<Target> {
    let said =
        |of: fn(&Deployment) -> Option<f64>| members.iter().any(|member| of(member).is_some()).then_some(of);
    let of = said(|member| member.weight)
        .or_else(|| said(|member| member.rpm))
        .or_else(|| said(|member| member.tpm));
    let weights: Vec<f64> =
        members.iter().map(|member| of.map_or(Some(1.0), |of| of(member)).unwrap_or(0.0)).collect();
    let weights = whole(&weights);
    let first = members.iter().filter_map(|member| member.order).min();
    let mut targets: Vec<Target> = Vec::new();
    for (member, weight) in members.iter().zip(weights) {
        let later = first.is_some_and(|first| member.order.is_none_or(|order| order > first));
        let weight = if later { 0 } else { weight };
        match targets.iter_mut().find(|known| known.name == member.target) {
            Some(known) => known.weight += weight,
            None => targets.push(Target { name: member.target.clone(), weight, tags: member.tags.clone() }),
        }
    }
    targets
}

/// Weights in the same proportions, as whole numbers that are not too large.
fn whole(weights: &[f64]) -> Vec<u64> {
    let is_whole = weights.iter().all(|weight| weight.fract() == 0.0);
    let scaled = |factor: f64| -> Vec<u64> {
        let scaled: Vec<u64> =
            weights.iter().map(|weight| (weight.max(0.0) * factor).round() as u64).collect();
        let common = scaled.iter().copied().fold(0, divisor).max(1);
        scaled.into_iter().map(|weight| weight / common).collect()
    };
    let exact = scaled(if is_whole { 1.0 } else { 1_000.0 });
    if exact.iter().all(|weight| *weight <= WEIGHT_MAX) {
        return exact;
    }
    let largest = weights.iter().copied().fold(1.0, f64::max);
    scaled(WEIGHT_MAX as f64 / largest)
}

fn divisor(one: u64, other: u64) -> u64 {
    if other == 0 { one } else { divisor(other, one % other) }
}

/// The targets of the groups that a group falls back on, but for its own.
fn further(
    name: &str,
    of: &BTreeMap<String, Vec<String>>,
    groups: &[(&str, Vec<&Deployment>)],
    own: &[Target],
) -> Vec<String> {
    let mut seen: BTreeSet<&str> = own.iter().map(|target| target.name.as_str()).collect();
    let mut found = Vec::new();
    for group in of.get(name).or_else(|| of.get("*")).into_iter().flatten() {
        let members = groups.iter().find(|(known, _)| known == group);
        for member in members.into_iter().flat_map(|(_, members)| members) {
            if seen.insert(&member.target) {
                found.push(plain(&member.target));
            }
        }
    }
    found
}

/// How targets are chosen; nothing where there is nothing to choose, or where they are asked in their order.
fn strategy(
    name: &str,
    own: &[Target],
    fallbacks: &[String],
    routing: &Routing,
    work: &mut Work,
) -> Option<&'static str> {
    let chosen = routing.strategy.unwrap_or("weighted");
    if own.len() < 2 {
        return None;
    }
    let path = routing.paths.get("fallbacks").map_or("router_settings.fallbacks", String::as_str);
    if !fallbacks.is_empty() && chosen != "weighted" {
        let says = format!(
            "model \"{name}\": only `weighted` knows targets that are asked when no other is left, so that its own are chosen by chance instead of by `{chosen}`"
        );
        work.report.approximate(path, says);
        return Some("weighted");
    }
    let later = own.iter().any(|target| target.weight == 0);
    if later { Some("weighted") } else { Some(chosen) }
}

/// Says of each list of fallbacks what became of it.
fn known_fallbacks(groups: &[(&str, Vec<&Deployment>)], routing: &Routing, work: &mut Work) {
    let lists = [
        (
            "fallbacks",
            &routing.fallbacks,
            "are further targets of the model, which are asked when none of its own is left",
        ),
        (
            "context_window_fallbacks",
            &routing.context_too_long,
            "are `fallbacks.context_too_long` of the model",
        ),
        ("content_policy_fallbacks", &routing.content_policy, "are `fallbacks.content_policy` of the model"),
    ];
    for (field, lists, says) in lists {
        let path = routing.paths.get(field).cloned().unwrap_or_else(|| format!("router_settings.{field}"));
        for (name, others) in lists {
            let path = format!("{path}.{name}");
            let is_known = |name: &str| groups.iter().any(|(known, _)| *known == name);
            if name != "*" && !is_known(name) {
                work.report
                    .manual(&path, "there is no group of this name; write them at the model that is meant");
            }
            for other in others.iter().filter(|other| !is_known(other)) {
                let says = format!("\"{other}\" is no group of this file; write its target at the model");
                work.report.manual(&path, says);
            }
            if others.iter().any(|other| is_known(other)) {
                work.report.exact(&path, says);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::import::{draft::Draft, report::Report};

    fn deployment(group: &str, target: &str, change: impl Fn(&mut Deployment)) -> Deployment {
        let mut made =
            Deployment { group: group.to_owned(), target: target.to_owned(), ..Deployment::default() };
        change(&mut made);
        made
    }

    fn check(deployments: &[Deployment], routing: &Routing, name: &str, expected: Value) {
        let mut work = Work { report: Report::default(), draft: Draft::new("s") };
        write(deployments, routing, &mut work);
        assert_eq!(work.draft.models.get(name), Some(&expected), "{name}");
    }

    #[test]
    fn groups_are_models() {
        let none = Routing::default();
        let one = deployment("m", "openai/a", |_| {});
        check(std::slice::from_ref(&one), &none, "m", json!("openai/a"));
        let several = [
            deployment("m", "openai/a", |made| made.rpm = Some(900.0)),
            deployment("m", "openai-2/a", |made| made.rpm = Some(300.0)),
            deployment("n", "x/n", |_| {}),
        ];
        let pair =
            json!({"targets": [{"model": "openai/a", "weight": 3}, "openai-2/a"], "strategy": "weighted"});
        check(&several, &none, "m", pair);
        let lists = |to: &str| BTreeMap::from([("m".to_owned(), vec![to.to_owned()])]);
        let routing = Routing { fallbacks: lists("n"), context_too_long: lists("n"), ..Routing::default() };
        let both = json!({
            "targets": [{"model": "openai/a", "weight": 3}, "openai-2/a", {"model": "x/n", "weight": 0}],
            "strategy": "weighted", "fallbacks": {"context_too_long": ["x/n"]},
        });
        check(&several, &routing, "m", both);
        let ordered = [one, deployment("n", "x/n", |made| made.timeout = Some(30.0))];
        let routing = Routing {
            fallbacks: lists("n"),
            aliases: vec![("k".to_owned(), "m".to_owned())],
            ..Routing::default()
        };
        check(&ordered, &routing, "k", json!({"targets": ["openai/a", "x/n"]}));
        check(&ordered, &routing, "n", json!({"targets": ["x/n"], "deadlines": {"total": "30s"}}));
    }

    #[test]
    fn weights_keep_their_proportions() {
        assert_eq!(whole(&[0.9, 0.1]), [9, 1]);
        assert_eq!(whole(&[200_000.0, 100_000.0]), [2, 1]);
        assert_eq!(whole(&[4.0, 2.0, 0.0]), [2, 1, 0]);
        assert_eq!(whole(&[0.0, 0.0]), [0, 0]);
    }
}

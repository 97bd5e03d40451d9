//! Which targets of a name come into question for a request, and why others do not.

use wire::Fault;

use crate::{
    label::Demands,
    preference::Preferences,
    route::{Asked, Target, Wants},
    rule::{RuleFacts, RuleTarget},
    snapshot::AliasTarget,
};

/// Why a target does not come into question.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Unfit {
    /// It must not be asked.
    Barred(String),
    /// The caller's access rules deny it.
    Denied(Fault),
    /// As far as is known it cannot answer this. The catalogue may be wrong: where nothing else is left, it is asked.
    Unable(String),
}

pub(crate) fn unfit(
    named: &AliasTarget,
    target: &Target,
    demands: &Demands,
    asked: &Asked<'_>,
    wants: Option<&Wants>,
) -> Option<Unfit> {
    let barred = demands
        .refuse(target, &named.labels)
        .or_else(|| asked.wishes.and_then(|wishes| wished_away(named, target, wishes)))
        .or_else(|| ruled_out(named, asked));
    if let Some(why) = barred {
        return Some(Unfit::Barred(why));
    }
    if let Some(fault) = asked.rules.and_then(|facts| denied(named, target, facts)) {
        return Some(Unfit::Denied(fault));
    }
    wants.and_then(|wants| unable(target, wants)).map(Unfit::Unable)
}

fn wished_away(named: &AliasTarget, target: &Target, wishes: &Preferences) -> Option<String> {
    if let Some(why) = wishes.excludes(target) {
        return Some(why.to_owned());
    }
    let demands = Demands { tags: wishes.tags.clone(), price: wishes.max_price(), ..Demands::default() };
    demands.refuse(target, &named.labels)
}

fn denied(named: &AliasTarget, target: &Target, facts: &RuleFacts<'_>) -> Option<Fault> {
    let target = RuleTarget {
        provider: &target.provider.facts.id,
        model: &target.model,
        regions: &named.labels.regions,
    };
    facts.principal.may_ask(facts, target).err()
}

fn ruled_out(named: &AliasTarget, asked: &Asked<'_>) -> Option<String> {
    let (rule, said) = named.when.as_ref().zip(asked.said)?;
    match rule.holds(&said.facts) {
        Ok(true) => None,
        Ok(false) => Some(format!("its rule does not hold: {}", rule.text())),
        Err(why) => Some(format!("its rule does not hold: {}: {why}", rule.text())),
    }
}

/// What the request wants and the catalogue knows that the model has not.
fn unable(target: &Target, wants: &Wants) -> Option<String> {
    let facts = target.facts()?;
    let needs = &wants.needs;
    let lacking = needs.capabilities.iter().find(|needed| !facts.can.contains(needed));
    if let Some(lacking) = lacking.filter(|_| !facts.can.is_empty()) {
        return Some(format!("it has no {}", lacking.name()));
    }
    if let Some(window) = facts.context_tokens.filter(|window| needs.context_tokens > *window) {
        let wanted = needs.context_tokens;
        return Some(format!("its context window of {window} tokens is smaller than about {wanted}"));
    }
    let most = facts.output_tokens?;
    let wanted = wants.output_tokens_max.filter(|wanted| *wanted > most)?;
    Some(format!("its answers have at most {most} tokens, and {wanted} are asked for"))
}

//! What a person types of how targets are chosen and asked again, and what it means.

use std::time::Duration;

use catalog::OneOrMany;
use schemars::JsonSchema;
use serde::Deserialize;

use super::{
    concurrency::CheckDraft,
    units::{self, Share, Span},
};
use crate::{
    attempt::Retries,
    breaker::BreakerPolicy,
    hedge::{HedgeAfter, Hedging},
    label::{Demands, Labels, MaxPrice},
    snapshot::{Affinity, Hold},
    strategy::{Strategy, adaptive::Adaptive},
};

/// A target: `provider/model`, or a map.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
pub(super) enum TargetEntry {
    /// `provider/model`.
    Name(String),
    /// A target with settings of its own.
    Full(FullTarget),
}

/// A target with settings of its own.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
pub(super) struct FullTarget {
    /// `provider/model`.
    pub(super) model: String,
    /// How often it is chosen next to the others; 0 only where no other is left. Default: 1.
    #[serde(default)]
    pub(super) weight: Option<u32>,
    /// The [rule](rules.md) that must hold of the requests that it takes. Default: all.
    #[serde(default)]
    pub(super) when: Option<String>,
    #[serde(flatten)]
    pub(super) labels: LabelsDraft,
}

/// Where requests go of which a rule holds.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct WayDraft {
    /// The [rule](rules.md).
    pub(super) when: String,
    /// The name of another model, or `provider/model`.
    pub(super) to: String,
}

/// What is promised of a provider or a target, by somebody who knows.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub(super) struct LabelsDraft {
    /// Where data is processed and kept, as `eu`.
    pub(super) regions: Option<OneOrMany>,
    /// What is promised of data, as `no_training` or `zero_retention`.
    pub(super) data: Option<OneOrMany>,
    /// Words of one's own.
    pub(super) tags: Option<OneOrMany>,
}

/// One target or a list of them.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
pub(super) enum Targets {
    /// `provider/model`.
    One(String),
    /// Targets.
    Many(Vec<TargetEntry>),
}

/// How targets are chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum StrategyName {
    /// As they stand.
    Ordered,
    /// By chance, in proportion to their weights.
    Weighted,
    /// In turns, as often as their weights say.
    RoundRobin,
    /// The one with the fewest calls in flight for its weight.
    LeastInFlight,
    /// The better of two that chance names, by calls in flight and the time to their answers.
    Latency,
    /// The one whose answers begin the soonest.
    FirstToken,
    /// The one whose answers come the fastest once they have begun.
    TokenRate,
    /// The one for which the request costs the least.
    Cheapest,
    /// Always the same one for the same session, user or beginning of a conversation.
    Sticky,
    /// Where a conversation's prompt cache lives: always the same one of those that cost the least while it goes on.
    Cached,
    /// The one that did best so far, and at times another to learn of it.
    Adaptive,
}

/// How targets are chosen: a name, or a map.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
pub(super) enum StrategyEntry {
    Name(StrategyName),
    Full(FullStrategy),
}

/// How targets are chosen, with settings.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct FullStrategy {
    pub(super) kind: StrategyName,
    /// For `sticky` and `cached`: what stays together. Default: the session, where the header `x-tollgate-session` names
    /// one; otherwise the beginning of the conversation.
    #[serde(default)]
    pub(super) by: Option<AffinityDraft>,
    /// For `adaptive`: the share of calls that go to a target that chance names. Default: `5%`.
    #[serde(default)]
    pub(super) explore: Option<Share>,
    /// For `adaptive`: how much waiting counts next to success. Default: `30%`.
    #[serde(default)]
    pub(super) latency: Option<Share>,
    /// For `adaptive`: how much cost counts next to success. Default: `30%`.
    #[serde(default)]
    pub(super) cost: Option<Share>,
}

/// What stays together.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum AffinityDraft {
    /// What the header `x-tollgate-session` names; otherwise the beginning of the conversation.
    Session,
    /// The end user that the request names; otherwise the key.
    User,
    /// The beginning of the conversation: its instructions and first message.
    Prefix,
}

/// How often, and after which waits, a target is asked again.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RetriesDraft {
    /// The most further attempts at one target. Other targets are asked before any is asked again. Default: 2.
    pub(super) max: Option<u32>,
    /// The longest first wait; chance chooses between nothing and this, and it doubles each time. Default: `250ms`.
    pub(super) backoff: Option<Span>,
    /// The longest wait that doubling comes to. Default: `8s`.
    pub(super) backoff_max: Option<Span>,
    /// The longest wait that a provider may ask for (`Retry-After`); where it asks for more, the caller is told. Default:
    /// `5s`.
    pub(super) wait_max: Option<Span>,
    /// Further attempts that fail too, as a share of all calls: what a storm of failures may add to a provider's load.
    /// Default: `20%`.
    pub(super) budget: Option<Share>,
}

/// A second request to another target where the first is late to begin; whichever begins first is the answer, and the other
/// is cancelled.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct HedgeDraft {
    /// How long the first has: a span as `2s`, or a quantile of its answers as `p95`. Default: `p95`.
    pub(super) after: Option<String>,
    /// The most hedges, as a share of the calls. Default: `5%`.
    pub(super) calls: Option<Share>,
    /// The most that they may cost, as a share of what the calls cost. Default: `5%`.
    pub(super) cost: Option<Share>,
}

/// How much of a stream is held back at first, so that a failure in it can still be made good by another target.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct HoldDraft {
    /// The longest that what has come is held back. Default: `500ms`.
    pub(super) time: Option<Span>,
    /// Until about so many tokens have come. 0 holds nothing back. Default: 1.
    pub(super) tokens: Option<u64>,
}

/// What becomes of a stream that breaks off after the caller was told some of it.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum OnBreakDraft {
    /// It ends with an error event.
    Fail,
    /// Plain text is gone on with by another target, from what was told so far.
    Continue,
}

/// When a target that fails is left alone, and for how long.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct HealthDraft {
    /// So many failures in a row; 0 never. Default: 5.
    pub(super) failures: Option<u32>,
    /// Such a share of the attempts of the last ten seconds; `0%` never. Default: `50%`.
    pub(super) failure_share: Option<Share>,
    /// Attempts in the last ten seconds before their share says anything. Default: 20.
    pub(super) calls_min: Option<u32>,
    /// A share of failures in the last ten seconds that makes it rest where it is also more than three times that of the
    /// other targets of a name; `0%` never. At most half of a name's targets rest by this. Default: `20%`;
    /// `0%` where `failure_share` is.
    pub(super) outlier_share: Option<Share>,
    /// How long it rests at first; twice as long each time that a probe fails. Default: `5s`.
    pub(super) rest: Option<Span>,
    /// The longest rest. Default: `60s`.
    pub(super) rest_max: Option<Span>,
    /// How many calls at a time try it once it has rested. Default: 1.
    pub(super) probes: Option<u32>,
    /// Asks the provider from time to time whether it is well. Default: it is not asked.
    pub(super) check: Option<CheckDraft>,
}

/// What targets must be to come into question.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct DemandsDraft {
    /// Data stays in these regions.
    pub(super) regions: Option<OneOrMany>,
    /// All of these are promised of data.
    pub(super) data: Option<OneOrMany>,
    /// All of these tags.
    pub(super) tags: Option<OneOrMany>,
    /// The most that a million tokens may cost, in USD.
    pub(super) max_price: MaxPriceDraft,
}

/// The most that a million tokens may cost, in USD.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct MaxPriceDraft {
    /// Of input.
    pub(super) input: Option<f64>,
    /// Of output.
    pub(super) output: Option<f64>,
}

/// Further targets, each for what the others refuse.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct FallbacksDraft {
    /// For requests that are too long for the others.
    pub(super) context_too_long: Option<Targets>,
    /// For requests that the others refuse for their content, where that is permitted.
    pub(super) content_policy: Option<Targets>,
}

pub(super) fn labels(draft: &LabelsDraft) -> Labels {
    Labels {
        regions: words(draft.regions.as_ref()),
        data: words(draft.data.as_ref()),
        tags: words(draft.tags.as_ref()),
    }
}

pub(super) fn demands(draft: &DemandsDraft) -> Demands {
    Demands {
        regions: words(draft.regions.as_ref()),
        data: words(draft.data.as_ref()),
        tags: words(draft.tags.as_ref()),
        price: MaxPrice::of_usd(draft.max_price.input, draft.max_price.output),
    }
}

pub(super) fn retries(draft: &RetriesDraft, base: Retries) -> Retries {
    Retries {
        max: draft.max.unwrap_or(base.max),
        backoff: span(draft.backoff, base.backoff),
        backoff_max: span(draft.backoff_max, base.backoff_max),
        wait_max: span(draft.wait_max, base.wait_max),
        budget_permille: draft.budget.map_or(base.budget_permille, |share| share.0),
    }
}

pub(super) fn hedging(draft: &HedgeDraft) -> Result<Hedging, String> {
    let base = Hedging::default();
    let after = draft.after.as_deref().map(after).transpose()?;
    Ok(Hedging {
        after: after.unwrap_or(base.after),
        calls_permille: draft.calls.map_or(base.calls_permille, |share| share.0),
        cost_permille: draft.cost.map_or(base.cost_permille, |share| share.0),
    })
}

fn after(text: &str) -> Result<HedgeAfter, String> {
    let quantile = text.strip_prefix('p').and_then(|number| number.parse::<f64>().ok());
    match (quantile, units::span(text)) {
        (Some(percent), _) if (50.0..100.0).contains(&percent) => {
            Ok(HedgeAfter::Quantile((percent * 10.0).round() as u32))
        }
        (None, Some(span)) => Ok(HedgeAfter::Span(span)),
        (Some(_) | None, _) => {
            Err(format!("\"{text}\" is no delay; write a duration, as 2s, or a quantile from p50 to p99.9"))
        }
    }
}

pub(super) fn hold(draft: &HoldDraft, base: Hold) -> Hold {
    Hold { time: span(draft.time, base.time), tokens: draft.tokens.unwrap_or(base.tokens) }
}

pub(super) fn health(draft: &HealthDraft) -> BreakerPolicy {
    let base = BreakerPolicy::default();
    // Whoever wants no share of failures to count means this one, too.
    let counts = draft.failure_share.is_none_or(|share| share.0 > 0);
    let outlier_permille = if counts { base.outlier_permille } else { 0 };
    BreakerPolicy {
        failures: draft.failures.unwrap_or(base.failures),
        failure_percent: draft.failure_share.map_or(base.failure_percent, |share| share.0 / 10),
        calls_min: draft.calls_min.unwrap_or(base.calls_min),
        outlier_permille: draft.outlier_share.map_or(outlier_permille, |share| share.0),
        rest: span(draft.rest, base.rest),
        rest_max: span(draft.rest_max, base.rest_max),
        probes: draft.probes.unwrap_or(base.probes).max(1),
    }
}

/// The strategy, and what stays together. What does not belong to the strategy is named.
pub(super) fn strategy(entry: &StrategyEntry) -> (Strategy, Affinity, Vec<(&'static str, String)>) {
    let full = match entry {
        StrategyEntry::Name(kind) => {
            &FullStrategy { kind: *kind, by: None, explore: None, latency: None, cost: None }
        }
        StrategyEntry::Full(full) => full,
    };
    let usual = Adaptive::default();
    let part =
        |share: Option<Share>, usual: f64| share.map_or(usual, |share| f64::from(share.0.min(1_000)) / 1e3);
    let strategy = match full.kind {
        StrategyName::Ordered => Strategy::Ordered,
        StrategyName::Weighted => Strategy::Weighted,
        StrategyName::RoundRobin => Strategy::RoundRobin,
        StrategyName::LeastInFlight => Strategy::LeastInFlight,
        StrategyName::Latency => Strategy::Latency,
        StrategyName::FirstToken => Strategy::FirstToken,
        StrategyName::TokenRate => Strategy::TokenRate,
        StrategyName::Cheapest => Strategy::Cheapest,
        StrategyName::Sticky => Strategy::Sticky,
        StrategyName::Cached => Strategy::Cached,
        StrategyName::Adaptive => Strategy::Adaptive(Adaptive {
            explore_permille: full.explore.map_or(usual.explore_permille, |share| share.0),
            latency: part(full.latency, usual.latency),
            cost: part(full.cost, usual.cost),
        }),
    };
    let affinity = match full.by {
        None | Some(AffinityDraft::Session) => Affinity::Session,
        Some(AffinityDraft::User) => Affinity::User,
        Some(AffinityDraft::Prefix) => Affinity::Prefix,
    };
    let sticks = strategy.keeps_together();
    let adapts = matches!(strategy, Strategy::Adaptive(_));
    let set = [
        ("by", full.by.is_some() && !sticks, "sticky and cached"),
        ("explore", full.explore.is_some() && !adapts, "adaptive"),
        ("latency", full.latency.is_some() && !adapts, "adaptive"),
        ("cost", full.cost.is_some() && !adapts, "adaptive"),
    ];
    let astray = set.into_iter().filter(|(_, astray, _)| *astray);
    let astray = astray.map(|(name, _, of)| (name, format!("is a setting of {of} and means nothing here")));
    (strategy, affinity, astray.collect())
}

fn words(draft: Option<&OneOrMany>) -> Vec<String> {
    draft.cloned().map(OneOrMany::into_vec).unwrap_or_default()
}

fn span(draft: Option<Span>, base: Duration) -> Duration {
    draft.map_or(base, |span| span.0)
}

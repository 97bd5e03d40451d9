//! What a person types of bringing in a candidate and of mirroring calls, and what it means.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use schemars::JsonSchema;
use serde::Deserialize;

use super::{
    compile::Compiler,
    routing::Targets,
    units::{Margin, Share, Span},
};
use crate::{
    attempt::TARGETS_MAX,
    rollout::{Guard, Least, PromoteWhen, Rollout, Shadow, StickyBy, VerdictMode},
    snapshot::{Alias, AliasTarget, Provider},
};

/// The steps where none are named, in thousandths.
const STEPS: [u32; 5] = [10, 50, 250, 500, 1_000];
const CALLS: u64 = 500;
const TIME: Duration = Duration::from_secs(3_600);
const SHADOW_PER_SECOND: u32 = 5;
const SHADOWS_IN_FLIGHT: usize = 16;

/// A candidate that is brought in by steps.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RolloutDraft {
    /// `provider/model`, a list of them, or the name of another model, whose targets are meant.
    pub(super) candidate: Targets,
    /// The candidate's share of the calls at each step. Default: 1%, 5%, 25%, 50% and 100%.
    #[serde(default)]
    pub(super) steps: Vec<Share>,
    /// What keeps its side while the share grows. Default: the session, where the header `x-tollgate-session` names one;
    /// otherwise the user; otherwise the key.
    #[serde(default)]
    pub(super) by: Option<StickyDraft>,
    /// The least that a step takes.
    #[serde(default)]
    pub(super) each: LeastDraft,
    /// When the next step is taken after that. Default: `looks_good`.
    #[serde(default)]
    pub(super) promote_when: Option<PromoteDraft>,
    /// How much worse than the targets the candidate may be.
    #[serde(default)]
    pub(super) guard: GuardDraft,
    /// Who acts on what is found. Default: `auto`.
    #[serde(default)]
    pub(super) verdict: Option<VerdictDraft>,
}

/// What keeps its side.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum StickyDraft {
    /// What the header `x-tollgate-session` names; otherwise as `user`.
    Session,
    /// The end user that the request names; otherwise the key.
    User,
    /// The key.
    Key,
    /// Nothing: each request goes where chance sends it.
    Request,
}

/// The least that a step takes.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct LeastDraft {
    /// Calls of the candidate. Default: 500.
    pub(super) calls: Option<u64>,
    /// Time. Default: `1h`.
    pub(super) time: Option<Span>,
}

/// When the next step is taken.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum PromoteDraft {
    /// When nothing looks worse than the guard allows.
    LooksGood,
    /// When it is proven of everything that the guard names that it is no worse than that.
    Proven,
}

/// Who acts.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum VerdictDraft {
    /// The gateway.
    Auto,
    /// A person; the gateway says what it would do.
    Manual,
}

/// How much worse the candidate may be; `off` where it does not matter.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct GuardDraft {
    /// Calls that fail, in percentage points. Default: `+2%`.
    pub(super) failures: Option<Margin>,
    /// The time to the end of an answer, next to the targets'. Default: `+30%`.
    pub(super) latency: Option<Margin>,
    /// The cost of a call, next to the targets'. Default: `+20%`.
    pub(super) cost: Option<Margin>,
    /// Calls that are refused for their content, in percentage points. Default: `+2%`.
    pub(super) refusals: Option<Margin>,
    /// Answers that are no JSON where JSON was asked for, in percentage points. Default: `+2%`.
    pub(super) schema: Option<Margin>,
    /// The mean score of `POST /v1/feedback`, in hundredths of the scale. Default: `-5%`.
    pub(super) score: Option<Margin>,
}

/// Another target to which calls are mirrored.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ShadowDraft {
    /// `provider/model`, a list of them, or the name of another model, whose targets are meant.
    pub(super) to: Targets,
    /// The share of the calls that were answered well. Default: `100%`.
    #[serde(default)]
    pub(super) share: Option<Share>,
    /// The most that are mirrored in a second. Default: 5.
    #[serde(default)]
    pub(super) max_per_second: Option<u32>,
    /// The most that are mirrored at a time. Default: 16.
    #[serde(default)]
    pub(super) max_in_flight: Option<u32>,
}

/// A name with what is tried out behind it.
pub(super) type Experiments = (String, Option<RolloutDraft>, Option<ShadowDraft>);

type Providers = BTreeMap<String, Arc<Provider>>;

impl Compiler<'_> {
    /// Once all names are known, since one may be meant by another.
    pub(super) fn experiments(
        &mut self,
        drafts: Vec<Experiments>,
        models: &mut BTreeMap<String, Alias>,
        providers: &Providers,
    ) {
        for (name, rollout, shadow) in drafts {
            let path = format!("models.{name}");
            let rollout = rollout
                .and_then(|draft| self.rollout(&name, draft, &format!("{path}.rollout"), models, providers));
            let shadow = shadow.map(|draft| self.shadow(draft, &format!("{path}.shadow"), models, providers));
            let Some(alias) = models.get_mut(&name) else { continue };
            // Sides are told by what a request says, and so is what was asked for.
            alias.reads_request |= rollout.is_some();
            (alias.rollout, alias.shadow) = (rollout.map(Arc::new), shadow.map(Arc::new));
        }
    }

    fn rollout(
        &mut self,
        name: &str,
        draft: RolloutDraft,
        path: &str,
        models: &BTreeMap<String, Alias>,
        providers: &Providers,
    ) -> Option<Rollout> {
        let alias = models.get(name)?;
        let candidate = self.meant(draft.candidate, &format!("{path}.candidate"), models, providers);
        let all = alias.targets.len() + alias.longer_context.len() + alias.permitted.len() + candidate.len();
        if all > TARGETS_MAX {
            self.fault(path, format!("makes more than {TARGETS_MAX} targets, which is the most"));
        }
        let same = candidate.len() == alias.targets.len()
            && candidate.iter().zip(&alias.targets).all(|(one, other)| one.id == other.id);
        if same && !candidate.is_empty() {
            self.fault(&format!("{path}.candidate"), "is what the name stands for already; name another");
        }
        let steps = self.steps(&draft.steps, &format!("{path}.steps"));
        let rollout = Rollout {
            route: alias.route,
            name: name.into(),
            candidate,
            steps,
            by: match draft.by {
                None | Some(StickyDraft::Session) => StickyBy::Session,
                Some(StickyDraft::User) => StickyBy::User,
                Some(StickyDraft::Key) => StickyBy::Key,
                Some(StickyDraft::Request) => StickyBy::Request,
            },
            least: Least {
                calls: draft.each.calls.unwrap_or(CALLS),
                time: draft.each.time.map_or(TIME, |span| span.0),
            },
            promote_when: match draft.promote_when {
                None | Some(PromoteDraft::LooksGood) => PromoteWhen::LooksGood,
                Some(PromoteDraft::Proven) => PromoteWhen::Proven,
            },
            guard: guard(&draft.guard),
            verdict: match draft.verdict {
                None | Some(VerdictDraft::Auto) => VerdictMode::Auto,
                Some(VerdictDraft::Manual) => VerdictMode::Manual,
            },
            design: 0,
        };
        Some(rollout.numbered(&alias.targets))
    }

    fn steps(&mut self, drafts: &[Share], path: &str) -> Vec<u32> {
        if drafts.is_empty() {
            return STEPS.to_vec();
        }
        let steps: Vec<u32> = drafts.iter().map(|share| share.0).collect();
        if steps.contains(&0) || !steps.is_sorted_by(|one, next| one < next) {
            self.fault(path, "must grow from step to step and begin above 0%, as [1%, 10%, 100%]");
        }
        steps
    }

    fn shadow(
        &mut self,
        draft: ShadowDraft,
        path: &str,
        models: &BTreeMap<String, Alias>,
        providers: &Providers,
    ) -> Shadow {
        Shadow {
            targets: self.meant(draft.to, &format!("{path}.to"), models, providers),
            share: draft.share.map_or(1_000, |share| share.0),
            per_second_max: draft.max_per_second.unwrap_or(SHADOW_PER_SECOND),
            in_flight_max: draft
                .max_in_flight
                .map_or(SHADOWS_IN_FLIGHT, |most| usize::try_from(most).unwrap_or(usize::MAX)),
        }
    }

    /// Targets, or those of another name.
    fn meant(
        &mut self,
        drafts: Targets,
        path: &str,
        models: &BTreeMap<String, Alias>,
        providers: &Providers,
    ) -> Vec<AliasTarget> {
        if let Targets::One(name) = &drafts
            && let Some(alias) = models.get(name)
        {
            return alias.targets.clone();
        }
        self.targets(drafts, path, providers)
    }
}

fn guard(draft: &GuardDraft) -> Guard {
    let mut guard = Guard::default();
    let drafts = [draft.failures, draft.refusals, draft.schema, draft.latency, draft.cost, draft.score];
    for (margin, draft) in guard.margins.iter_mut().zip(drafts) {
        if let Some(Margin(wanted)) = draft {
            *margin = wanted.map(|thousandths| f64::from(thousandths) / 1e3);
        }
    }
    guard
}

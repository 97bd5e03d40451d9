//! How rollouts and shadows come into plans.

use std::sync::Arc;

use super::{Experiment, Rollout, Shadow, Side, bucket};
use crate::{
    Snapshot,
    filter::unfit,
    preference::Preferences,
    principal::Principal,
    route::{Asked, Asking, Meant, Plan, Wants, able},
    snapshot::Alias,
    strategy::Contender,
    vitals::Vitals,
};

/// Puts the candidate before the targets that are there, where it is the call's turn; the record says so either way. A call
/// that the candidate could not take, or whose caller names its way, is no part of the rollout.
pub(crate) fn with_candidate<'n>(
    fit: &mut Vec<Meant<'n>>,
    alias: &'n Alias,
    principal: &Principal,
    asked: &Asked<'_>,
    wants: Option<&Wants>,
    vitals: &Vitals,
) -> Option<Experiment> {
    let (rollout, said): (&Rollout, _) = (alias.rollout.as_ref()?, asked.said?);
    let stage = vitals.stages().of(alias.route).filter(|stage| stage.design == rollout.design)?;
    if stage.share == 0 || asked.wishes.is_some_and(Preferences::names_a_way) {
        return None;
    }
    let mut candidate = able(&rollout.candidate, asked.asking);
    candidate.retain(|(named, target)| unfit(named, target, &alias.only, asked, wants).is_none());
    if candidate.is_empty() {
        return None;
    }
    let side = if bucket(alias.route, rollout.by, said, principal) < stage.share {
        Side::Candidate
    } else {
        Side::Current
    };
    let mut own = fit.len();
    if side == Side::Candidate {
        own = candidate.len();
        fit.retain(|(_, target)| candidate.iter().all(|(_, known)| known.id != target.id));
        candidate.append(fit);
        *fit = candidate;
    }
    let structure = said.facts.request.structure;
    let (name, run, share) = (Arc::clone(&rollout.name), stage.run, stage.share);
    Some(Experiment { route: alias.route, name, run, side, share, own, structure, compares: stage.compares })
}

/// Plans what a call is mirrored to; nothing where no target can be asked so.
pub fn plan_shadow(snapshot: &Snapshot, shadow: &Shadow, asking: Asking) -> Option<Plan> {
    let mut targets = able(&shadow.targets, asking).into_iter().map(|(_, target)| target);
    let mut plan = Plan::direct(targets.next()?, snapshot);
    plan.targets.extend(targets);
    plan.contenders.extend(plan.targets.iter().map(|target| Contender::plain(target.id)));
    plan.falls_back = true;
    plan.retries.max = 0;
    Some(plan)
}

//! What a settled call tells of the rollout that it is part of.

use policy::{
    facts::Structure,
    record::{Outcome, Record},
    rollout::{Experiment, Sample, shadow_label},
    route::Plan,
};
use wire::{Kind, ir::StopReason};

use crate::{call::Open, core::Core};

/// Tells the side of a call how the call ended. A caller that went away tells nothing of it.
pub(crate) fn tell(core: &Core, open: &Open, record: &Record<'_>) {
    let Some(plan) = &open.plan else { return };
    let Some(experiment) = plan.experiment.as_ref().filter(|experiment| experiment.compares) else { return };
    if record.outcome != Outcome::Cancelled {
        // Where the admin side does not keep up, calls of both sides are left out alike.
        let _ = core.shared.samples.try_send(sample(open, plan, experiment, record));
    }
}

/// What the journal says that a call is part of.
pub(crate) fn label(open: &Open) -> Option<String> {
    if let Some(id) = open.shadow_of {
        return Some(shadow_label(id));
    }
    Some(open.plan.as_ref()?.experiment.as_ref()?.label())
}

fn sample(open: &Open, plan: &Plan, experiment: &Experiment, record: &Record<'_>) -> Sample {
    let own = plan.targets.get(..experiment.own).unwrap_or_default();
    let is_own = |id| own.iter().any(|target| target.id == id);
    let answered = open.target.as_ref().is_some_and(|target| is_own(target.id));
    let complete = record.outcome == Outcome::Complete && answered;
    let policy = Kind::ContentPolicy.name();
    let barred =
        open.attempts.iter().any(|attempt| attempt.fault == Some(policy) && is_own(attempt.target.id));
    let of_answer = |amount: Option<u64>| amount.filter(|_| complete);
    Sample {
        route: experiment.route,
        run: experiment.run,
        side: experiment.side,
        share: experiment.share,
        failed: !complete && !barred,
        refused: barred || (complete && open.meter.was_refused()),
        invalid: complete.then(|| invalid(open, experiment.structure)).flatten(),
        total_us: of_answer(Some(record.total_us)),
        first_us: of_answer(record.first_byte_us),
        cost: of_answer(record.cost.and_then(|cost| u64::try_from(cost.picodollars()).ok())),
    }
}

/// Whether an answer that was to be JSON is none. One that was refused, or that calls tools, was not to be.
fn invalid(open: &Open, structure: Structure) -> Option<bool> {
    let wanted = match structure {
        Structure::None => false,
        Structure::JsonObject | Structure::JsonSchema => true,
    };
    let whole = match open.meter.stopped()? {
        StopReason::End | StopReason::StopText | StopReason::Length | StopReason::Other => true,
        StopReason::ToolCalls | StopReason::ContentFilter | StopReason::Refusal | StopReason::Pause => false,
    };
    let text = open.meter.text().filter(|_| wanted && whole && !open.meter.was_refused())?;
    Some(serde_json::from_str::<serde::de::IgnoredAny>(text).is_err())
}

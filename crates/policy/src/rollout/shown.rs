//! A rollout as it is kept and as it is shown.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{Measure, Phase, Progress, Rollout, Tally};
use crate::snapshot::AliasTarget;

/// What is kept of a rollout.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Kept {
    /// The candidate's share, in thousandths.
    pub share: u32,
    pub steps: Vec<u32>,
    pub progress: Progress,
}

impl Kept {
    pub fn of(rollout: &Rollout, progress: &Progress) -> Kept {
        Kept { share: progress.share(rollout), steps: rollout.steps.clone(), progress: progress.clone() }
    }
}

impl Phase {
    /// 1 for promoted, -1 for rolled back, 0 for neither yet.
    pub fn verdict(self) -> i8 {
        match self {
            Phase::Running | Phase::Paused => 0,
            Phase::Promoted => 1,
            Phase::RolledBack => -1,
        }
    }
}

impl Progress {
    /// As the admin API shows it.
    pub fn shown(&self, rollout: &Rollout, current: &[AliasTarget]) -> Value {
        let part = |thousandths: u32| f64::from(thousandths) / 1e3;
        let guarded = Measure::ALL.into_iter().filter_map(|measure| {
            let (harm, harmless) = self.odds(measure)?;
            let margin = rollout.guard.margin(measure)?;
            Some((measure.name().to_owned(), json!({"margin": margin, "harm": harm, "harmless": harmless})))
        });
        json!({
            "model": &*rollout.name,
            "phase": self.phase,
            "share": part(self.share(rollout)),
            "step": self.step,
            "steps": rollout.steps.iter().copied().map(part).collect::<Vec<f64>>(),
            "step_calls": self.step_calls,
            "step_since_us": self.step_since_us,
            "began_us": self.began_us,
            "least": {"calls": rollout.least.calls, "seconds": rollout.least.time.as_secs_f64()},
            "reason": self.reason,
            "advice": self.advice,
            "candidate": side(&self.candidate, &rollout.candidate),
            "current": side(&self.current, current),
            "evidence": guarded.collect::<serde_json::Map<String, Value>>(),
        })
    }
}

fn side(tally: &Tally, targets: &[AliasTarget]) -> Value {
    let names = targets.iter().map(|target| format!("{}/{}", target.provider.facts.id, target.model));
    let millis = |us: Option<f64>| us.map(|us| us / 1e3);
    json!({
        "targets": names.collect::<Vec<String>>(),
        "calls": tally.calls(),
        "failures": tally.failures.share(),
        "refusals": tally.refusals.share(),
        "invalid": tally.schema.share(),
        "latency_ms": millis(tally.latency_us.geometric_mean()),
        "first_byte_ms": millis(tally.first_us.geometric_mean()),
        "cost_usd": tally.cost_picodollars.mean().map(|cost| cost / 1e12),
        "score": tally.score.mean(),
        "scores": tally.score.of,
    })
}

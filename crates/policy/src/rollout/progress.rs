//! How far a rollout is, and what is done next.

use serde::{Deserialize, Serialize};

use super::{
    Measure, PromoteWhen, Rollout, Sample, Score, Side, Stage, Tally, VerdictMode,
    evidence::Evidence,
    label::percent,
    reason::{comparison, looks_worse_by},
};

/// The chance of rolling back a candidate that is no worse than is allowed, over all measures and the whole rollout.
const FALSE_ALARMS: f64 = 0.05;
/// Values of each side before a measure can look worse without being proven so.
const LOOKS_MIN: u64 = 20;
const ALL: u32 = 1_000;

/// How far a rollout is. What it holds survives the process.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Progress {
    /// Which run it is: calls of earlier ones are not counted.
    pub run: u64,
    /// When it began, in microseconds since 1970.
    pub began_us: i64,
    pub phase: Phase,
    /// The step's number, counted from 0.
    pub step: usize,
    pub step_since_us: i64,
    /// The candidate's calls at this step.
    pub step_calls: u64,
    /// Why it is where it is.
    pub reason: String,
    /// What a person should do, where persons decide.
    pub advice: Option<Advice>,
    pub candidate: Tally,
    pub current: Tally,
    evidence: [Evidence; Measure::ALL.len()],
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    Running,
    /// The share stays as it is; calls are still compared.
    Paused,
    /// The candidate has all calls.
    Promoted,
    /// The candidate has none.
    RolledBack,
}

/// What the figures say ought to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Advice {
    NextStep,
    Promote,
    RollBack,
}

/// What a person may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// All calls to the candidate.
    Promote,
    /// The next step, before its time.
    NextStep,
    /// No calls to the candidate.
    RollBack,
    Pause,
    Resume,
    /// From the first step on, with nothing known.
    Restart,
}

/// Something that changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    Step,
    Promoted,
    RolledBack,
    /// What a person should do.
    Advised(Advice),
    Paused,
    Resumed,
    Restarted,
}

impl Phase {
    pub fn name(self) -> &'static str {
        match self {
            Phase::Running => "running",
            Phase::Paused => "paused",
            Phase::Promoted => "promoted",
            Phase::RolledBack => "rolled_back",
        }
    }
}

impl Action {
    /// As it is asked for.
    pub fn name(self) -> &'static str {
        match self {
            Action::Promote => "promote",
            Action::NextStep => "next_step",
            Action::RollBack => "roll_back",
            Action::Pause => "pause",
            Action::Resume => "resume",
            Action::Restart => "restart",
        }
    }
}

impl Progress {
    pub fn new(run: u64, now_us: i64) -> Progress {
        Progress {
            run,
            began_us: now_us,
            phase: Phase::Running,
            step: 0,
            step_since_us: now_us,
            step_calls: 0,
            reason: "it has begun".to_owned(),
            advice: None,
            candidate: Tally::default(),
            current: Tally::default(),
            evidence: Measure::ALL.map(|measure| Evidence::new(measure.is_share())),
        }
    }

    /// The candidate's share, in thousandths.
    pub fn share(&self, rollout: &Rollout) -> u32 {
        match self.phase {
            Phase::Running | Phase::Paused => rollout.steps.get(self.step).copied().unwrap_or(ALL),
            Phase::Promoted => ALL,
            Phase::RolledBack => 0,
        }
    }

    /// What the data plane is told.
    pub fn stage(&self, rollout: &Rollout) -> Stage {
        Stage {
            design: rollout.design,
            run: self.run,
            share: self.share(rollout),
            compares: matches!(self.phase, Phase::Running | Phase::Paused),
        }
    }

    /// Takes in a call.
    pub fn add(&mut self, rollout: &Rollout, sample: &Sample) {
        if sample.run != self.run {
            return;
        }
        match sample.side {
            Side::Candidate => self.candidate.add(sample),
            Side::Current => self.current.add(sample),
        }
        let share = rollout.steps.get(self.step).copied().unwrap_or(ALL);
        self.step_calls += u64::from(sample.side == Side::Candidate && sample.share == share);
        let one = |is: bool| Some(f64::from(u8::from(is)));
        let log = |amount: Option<u64>| amount.map(|amount| (amount.max(1) as f64).ln());
        let values = [
            (Measure::Failures, one(sample.failed)),
            (Measure::Refusals, one(sample.refused).filter(|_| !sample.failed)),
            (Measure::Schema, sample.invalid.and_then(one)),
            (Measure::Latency, log(sample.total_us)),
            (Measure::Cost, log(sample.cost)),
        ];
        for (measure, value) in values {
            if let Some(value) = value {
                self.weigh(rollout, measure, sample.side, value, sample.share);
            }
        }
    }

    /// Takes in what somebody thought of an answer.
    pub fn score(&mut self, rollout: &Rollout, score: &Score) {
        let tally = match score.side {
            Side::Candidate => &mut self.candidate,
            Side::Current => &mut self.current,
        };
        tally.score.add(score.score);
        self.weigh(rollout, Measure::Score, score.side, 1.0 - score.score, score.share);
    }

    fn weigh(&mut self, rollout: &Rollout, measure: Measure, side: Side, value: f64, share: u32) {
        let allowed = rollout.guard.allowed(measure);
        if let (Some(allowed), Some(evidence)) = (allowed, self.evidence.get_mut(measure as usize)) {
            evidence.add(side, value, f64::from(share.min(ALL)) / f64::from(ALL), allowed);
        }
    }

    /// Does what is due, or advises it.
    pub fn decide(&mut self, rollout: &Rollout, now_us: i64) -> Option<Turn> {
        if self.phase != Phase::Running {
            return None;
        }
        let (advice, reason) = self.verdict(rollout, now_us)?;
        match rollout.verdict {
            VerdictMode::Auto => {
                self.reason = reason;
                Some(match advice {
                    Advice::NextStep => self.next_step(rollout, now_us),
                    Advice::Promote => self.end(Phase::Promoted, now_us),
                    Advice::RollBack => self.end(Phase::RolledBack, now_us),
                })
            }
            VerdictMode::Manual => {
                let new = self.advice != Some(advice);
                if new {
                    (self.advice, self.reason) = (Some(advice), reason);
                }
                new.then_some(Turn::Advised(advice))
            }
        }
    }

    /// Does what a person wants. `Err` says why that cannot be.
    pub fn act(&mut self, rollout: &Rollout, action: Action, now_us: i64) -> Result<Turn, &'static str> {
        let open = matches!(self.phase, Phase::Running | Phase::Paused);
        match action {
            Action::Restart => {
                *self = Progress::new(self.run + 1, now_us);
                "it was restarted by hand".clone_into(&mut self.reason);
                return Ok(Turn::Restarted);
            }
            Action::Promote | Action::RollBack => {}
            Action::NextStep | Action::Pause | Action::Resume if open => {}
            Action::NextStep | Action::Pause | Action::Resume => {
                return Err("it has ended; only promote, roll_back and restart are left");
            }
        }
        "it was done by hand".clone_into(&mut self.reason);
        Ok(match action {
            Action::Promote => self.end(Phase::Promoted, now_us),
            Action::RollBack => self.end(Phase::RolledBack, now_us),
            Action::NextStep => self.next_step(rollout, now_us),
            Action::Pause => {
                self.phase = Phase::Paused;
                Turn::Paused
            }
            Action::Resume | Action::Restart => {
                self.phase = Phase::Running;
                Turn::Resumed
            }
        })
    }

    /// What is due, and why.
    fn verdict(&self, rollout: &Rollout, now_us: i64) -> Option<(Advice, String)> {
        let guarded = || Measure::ALL.into_iter().filter(|measure| rollout.guard.margin(*measure).is_some());
        let compare = |measure: Measure| comparison(measure, &rollout.guard, &self.candidate, &self.current);
        let alarm = (rollout.guard.count().max(1) as f64 / FALSE_ALARMS).ln();
        let worst =
            guarded().find(|measure| self.evidence(*measure).is_some_and(|found| found.harm() >= alarm));
        if let Some(measure) = worst {
            let chance = FALSE_ALARMS * 100.0;
            let why = format!("{} (a false alarm has a chance of at most {chance:.0} %)", compare(measure));
            return Some((Advice::RollBack, why));
        }
        let waited = now_us.saturating_sub(self.step_since_us);
        let least = i64::try_from(rollout.least.time.as_micros()).unwrap_or(i64::MAX);
        if self.step_calls < rollout.least.calls || waited < least {
            return None;
        }
        let both = |measure: Measure| self.candidate.count(measure).min(self.current.count(measure));
        let good = match rollout.promote_when {
            PromoteWhen::LooksGood => guarded().all(|measure| {
                let worse = looks_worse_by(measure, &self.candidate, &self.current);
                let margin = rollout.guard.margin(measure);
                both(measure) < LOOKS_MIN || worse.zip(margin).is_none_or(|(worse, margin)| worse <= margin)
            }),
            PromoteWhen::Proven => guarded().all(|measure| {
                let proof = (1.0 / FALSE_ALARMS).ln();
                both(measure) == 0 || self.evidence(measure).is_some_and(|found| found.harmless() >= proof)
            }),
        };
        let last = self.step + 1 >= rollout.steps.len();
        let next = if last { Advice::Promote } else { Advice::NextStep };
        good.then(|| {
            let share = percent(self.share(rollout));
            let why = format!(
                "nothing is worse than allowed after {} calls at {share}%: {}",
                self.step_calls,
                compare(Measure::Failures)
            );
            (next, why)
        })
    }

    /// What was won against "worse than allowed is not so" and against its opposite: 20 is as good as 95 % certain.
    pub(super) fn odds(&self, measure: Measure) -> Option<(f64, f64)> {
        self.evidence(measure).map(|evidence| (evidence.harm().exp(), evidence.harmless().exp()))
    }

    fn evidence(&self, measure: Measure) -> Option<&Evidence> {
        self.evidence.get(measure as usize)
    }

    fn next_step(&mut self, rollout: &Rollout, now_us: i64) -> Turn {
        if self.step + 1 >= rollout.steps.len() {
            return self.end(Phase::Promoted, now_us);
        }
        self.step += 1;
        (self.step_since_us, self.step_calls, self.advice) = (now_us, 0, None);
        Turn::Step
    }

    fn end(&mut self, phase: Phase, now_us: i64) -> Turn {
        self.phase = phase;
        (self.step_since_us, self.step_calls, self.advice) = (now_us, 0, None);
        if phase == Phase::Promoted { Turn::Promoted } else { Turn::RolledBack }
    }
}

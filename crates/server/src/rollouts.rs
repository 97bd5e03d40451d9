//! Rollouts: takes in how their calls ended, does what is due, and tells the cores. It has a thread of its own, since each
//! step is written down before anybody acts on it; the admin side asks it aside.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    fmt::Write as _,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    thread::JoinHandle,
    time::Duration,
};

use policy::{
    record::Record,
    rollout::{Action, Kept, Progress, Rollout, Sample, Score, Stages, Turn, rollout_of},
    snapshot::AliasTarget,
};
use serde_json::{Value, json};
use store::{Author, Database, Event};
use tokio::sync::mpsc;
use wire::{Fault, Kind, Origin};

use crate::{core::Shared, world::now_us};

/// The most calls that wait to be taken in; further ones are left out of the comparison.
pub(crate) const SAMPLES_MAX: usize = 16_384;
/// How often calls are taken in, and what is due is done.
const STEP: Duration = Duration::from_millis(100);
/// After how many of these what is known is written down.
const KEEP_STEPS: u32 = 5;
/// The most actions of people that wait for the audit to take them; further ones are refused.
const UNTOLD_MAX: usize = 1_000;

/// All rollouts of the configuration in force. What locks it may wait for the database.
#[derive(Clone)]
pub(crate) struct Rollouts {
    all: Arc<Mutex<All>>,
    /// What Prometheus reads, which waits for nothing.
    told: Arc<Mutex<String>>,
}

/// The thread that takes calls in.
pub(crate) struct Running {
    thread: JoinHandle<()>,
    stop: Arc<AtomicBool>,
}

struct All {
    shared: Arc<Shared>,
    database: Database,
    samples: mpsc::Receiver<Sample>,
    by_name: BTreeMap<String, One>,
    /// What people did and the audit does not have yet, the earliest first: rollouts go back while the database is away.
    untold: VecDeque<Act>,
    /// The database took nothing the last time, which was told.
    unkept: bool,
}

/// What a person did.
struct Act {
    event: Event,
    author: Author,
    at_us: i64,
}

struct One {
    rollout: Arc<Rollout>,
    current: Vec<AliasTarget>,
    progress: Progress,
    /// Something is known that was not written down.
    changed: bool,
}

impl Rollouts {
    /// Begins, or goes on with what was kept.
    pub(crate) fn new(
        shared: Arc<Shared>,
        database: Database,
        samples: mpsc::Receiver<Sample>,
    ) -> Result<Rollouts, store::Error> {
        let (by_name, untold) = (BTreeMap::new(), VecDeque::new());
        let mut all = All { shared, database, samples, by_name, untold, unkept: false };
        all.adopt()?;
        let told = Arc::new(Mutex::new(all.exposition()));
        Ok(Rollouts { all: Arc::new(Mutex::new(all)), told })
    }

    pub(crate) fn run(self) -> std::io::Result<Running> {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = std::thread::Builder::new().name("rollouts".to_owned()).spawn(move || {
            let mut round: u32 = 0;
            while !stopped.load(Relaxed) {
                std::thread::sleep(STEP);
                round = round.wrapping_add(1);
                let mut all = self.stepped();
                if round.is_multiple_of(KEEP_STEPS) {
                    all.keep();
                }
            }
            // What came last is written down, too.
            self.stepped().keep();
        })?;
        Ok(Running { thread, stop })
    }

    /// Takes up the rollouts of a configuration that has just been put in force.
    pub(crate) fn adopt(&self) {
        let mut all = self.all();
        if let Err(error) = all.adopt() {
            tracing::error!(%error, "rollouts could not be read: those of before go on");
        }
        self.tell(&all);
    }

    pub(crate) fn list(&self) -> Vec<Value> {
        let all = self.stepped();
        all.by_name.values().map(One::shown).collect()
    }

    pub(crate) fn one(&self, name: &str) -> Result<Value, Fault> {
        let all = self.stepped();
        all.by_name.get(name).map(One::shown).ok_or_else(|| none(name))
    }

    /// Does what a person wants.
    pub(crate) fn act(&self, name: &str, action: Action, author: Author) -> Result<Value, Fault> {
        let (mut all, at_us) = (self.stepped(), now_us());
        if all.untold.len() >= UNTOLD_MAX {
            let message = "the audit takes nothing while the database is away; try again later";
            return Err(Fault::new(Origin::Gateway, Kind::Overloaded, message).code("audit_behind"));
        }
        let one = all.by_name.get_mut(name).ok_or_else(|| none(name))?;
        let before = one.told();
        let acted = one.progress.act(&one.rollout, action, at_us);
        let turn = acted.map_err(|why| Fault::invalid("action", why).code("rollout_has_ended"))?;
        let event = Event {
            action: action.name().to_owned(),
            kind: Some("rollout".to_owned()),
            object_name: Some(name.to_owned()),
            before: Some(before),
            after: Some(one.told()),
            ..Event::default()
        };
        all.untold.push_back(Act { event, author, at_us });
        all.turned(name, turn);
        all.publish();
        self.tell(&all);
        all.by_name.get(name).map(One::shown).ok_or_else(|| none(name))
    }

    /// Takes in what a caller thought of an answer.
    pub(crate) fn score(&self, record: &Record<'_>, score: f64) {
        let Some((name, side, share)) = record.experiment.as_deref().and_then(rollout_of) else { return };
        let mut all = self.all();
        let Some(one) = all.by_name.get_mut(name) else { return };
        // A call of an earlier run tells nothing of this one.
        if record.started_us >= one.progress.began_us {
            one.progress.score(&one.rollout, &Score { side, share, score });
            one.changed = true;
        }
    }

    /// What Prometheus reads of rollouts: as things stood at the last step.
    pub(crate) fn exposition(&self) -> String {
        self.told.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Everything, after what is due.
    fn stepped(&self) -> MutexGuard<'_, All> {
        let mut all = self.all();
        all.step();
        self.tell(&all);
        all
    }

    fn tell(&self, all: &All) {
        *self.told.lock().unwrap_or_else(PoisonError::into_inner) = all.exposition();
    }

    fn all(&self) -> MutexGuard<'_, All> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Running {
    /// Ends, with everything written down.
    pub(crate) fn finish(self) {
        self.stop.store(true, Relaxed);
        if self.thread.join().is_err() {
            tracing::error!("the rollouts' thread ended in a panic");
        }
    }
}

impl All {
    fn adopt(&mut self) -> Result<(), store::Error> {
        let world = self.shared.world.load_full();
        let mut by_name = BTreeMap::new();
        for (name, alias) in &world.snapshot.models {
            let Some(rollout) = alias.rollout.clone() else { continue };
            let current = alias.targets.clone();
            let known = self.by_name.get(name).filter(|known| known.rollout.design == rollout.design);
            let progress = match known {
                Some(known) => known.progress.clone(),
                None => self.kept(name, &rollout)?,
            };
            by_name.insert(name.clone(), One { rollout, current, progress, changed: true });
        }
        self.by_name = by_name;
        self.keep();
        self.publish();
        Ok(())
    }

    /// Goes on with what was kept of this definition, or begins.
    fn kept(&mut self, name: &str, rollout: &Rollout) -> Result<Progress, store::Error> {
        let kept = self.database.rollout(name, rollout.design)?;
        let kept = kept.and_then(|json| serde_json::from_str::<Kept>(&json).ok());
        // The moment tells the calls of this run from those of a definition before it.
        let fresh = || Progress::new(now_us().unsigned_abs(), now_us());
        Ok(kept.map_or_else(fresh, |kept| kept.progress))
    }

    /// Takes in calls, looking at the figures after each, and does what time has made due.
    fn step(&mut self) {
        let mut turned = false;
        while let Ok(sample) = self.samples.try_recv() {
            let found = self.by_name.values_mut().find(|one| one.rollout.route == sample.route);
            let Some(one) = found else { continue };
            one.progress.add(&one.rollout, &sample);
            one.changed = true;
            turned |= self.decide(Some(sample.route));
        }
        if turned | self.decide(None) {
            self.publish();
        }
    }

    fn decide(&mut self, only: Option<policy::vitals::RouteId>) -> bool {
        let asked = |one: &&mut One| only.is_none_or(|route| one.rollout.route == route);
        let turns = self.by_name.values_mut().filter(asked).filter_map(|one| {
            let turn = one.progress.decide(&one.rollout, now_us())?;
            Some((one.rollout.name.to_string(), turn))
        });
        let turns: Vec<(String, Turn)> = turns.collect();
        for (name, turn) in &turns {
            self.turned(name, *turn);
        }
        !turns.is_empty()
    }

    /// Writes down what has changed before anybody acts on it.
    fn turned(&mut self, name: &str, turn: Turn) {
        let Some(one) = self.by_name.get_mut(name) else { return };
        one.changed = true;
        let share = f64::from(one.progress.share(&one.rollout)) / 1e3;
        let phase = one.progress.phase.name();
        let reason = one.progress.reason.as_str();
        match turn {
            Turn::RolledBack => tracing::warn!(model = name, phase, share, reason, "rollout: rolled back"),
            Turn::Promoted => tracing::info!(model = name, phase, share, reason, "rollout: promoted"),
            Turn::Step => tracing::info!(model = name, phase, share, reason, "rollout: next step"),
            Turn::Advised(advice) => {
                tracing::warn!(model = name, phase, share, reason, ?advice, "rollout: a person should act");
            }
            Turn::Paused | Turn::Resumed | Turn::Restarted => {
                tracing::info!(model = name, phase, share, reason, ?turn, "rollout");
            }
        }
        self.keep();
    }

    fn keep(&mut self) {
        while let Some(Act { event, author, at_us }) = self.untold.front() {
            if let Err(error) = self.database.append_audit(event, author, *at_us) {
                if !std::mem::replace(&mut self.unkept, true) {
                    tracing::error!(%error, "the audit does not tell of a rollout: it is tried on");
                }
                return;
            }
            self.untold.pop_front();
            self.unkept = false;
        }
        for (name, one) in self.by_name.iter_mut().filter(|(_, one)| one.changed) {
            let kept = Kept::of(&one.rollout, &one.progress);
            let json = serde_json::to_string(&kept).expect("plain data always serialises");
            match self.database.keep_rollout(name, one.rollout.design, &json, now_us()) {
                Ok(()) => {
                    one.changed = false;
                    self.unkept = false;
                }
                Err(error) => {
                    if !std::mem::replace(&mut self.unkept, true) {
                        tracing::error!(%error, model = name, "a rollout could not be written down: it is tried on");
                    }
                    return;
                }
            }
        }
    }

    fn exposition(&self) -> String {
        let mut text = String::new();
        let mut metric = |name: &str, help: &str, value: fn(&One) -> u32| {
            let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} gauge");
            for (model, one) in &self.by_name {
                let model = model.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
                let _ = writeln!(text, "{name}{{model=\"{model}\"}} {}", f64::from(value(one)) / 1e3);
            }
        };
        metric("tollgate_rollout_share", "share of calls that go to a rollout's candidate", |one| {
            one.progress.share(&one.rollout)
        });
        let verdict = "tollgate_rollout_verdict";
        let help = "how a rollout ended: 1 promoted, -1 rolled back, 0 not yet";
        let _ = writeln!(text, "# HELP {verdict} {help}\n# TYPE {verdict} gauge");
        for (model, one) in &self.by_name {
            let model = model.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
            let _ = writeln!(text, "{verdict}{{model=\"{model}\"}} {}", one.progress.phase.verdict());
        }
        text
    }

    /// Tells the cores.
    fn publish(&self) {
        let stages: HashMap<u64, _> = self
            .by_name
            .values()
            .map(|one| (one.rollout.route.0, one.progress.stage(&one.rollout)))
            .collect();
        let stages = Stages(stages);
        if **self.shared.stages.load() != stages {
            self.shared.stages.store(Arc::new(stages));
        }
    }
}

impl One {
    /// Where it stands, for the audit.
    fn told(&self) -> String {
        let share = f64::from(self.progress.share(&self.rollout)) / 1e3;
        let (phase, step) = (self.progress.phase.name(), self.progress.step);
        json!({"phase": phase, "step": step, "share": share}).to_string()
    }

    fn shown(&self) -> Value {
        self.progress.shown(&self.rollout, &self.current)
    }
}

fn none(name: &str) -> Fault {
    let message = format!("model \"{name}\" has no rollout; see models.{name}.rollout in the configuration");
    Fault::new(Origin::Client, Kind::NotFound, message).code("no_such_rollout")
}

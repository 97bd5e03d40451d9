//! Laws of rollouts, by simulation: how often a candidate that is no worse is rolled back, and how soon one that is.

use std::{sync::Arc, time::Duration};

use tollgate_policy::{
    rollout::{
        Action, Advice, Guard, Least, Measure, Phase, Progress, PromoteWhen, Rollout, Sample, Score, Side,
        StickyBy, Turn, VerdictMode,
    },
    vitals::RouteId,
};

const ROUTE: RouteId = RouteId(7);

fn rollout(steps: &[u32], calls: u64, guard: Guard) -> Rollout {
    Rollout {
        route: ROUTE,
        name: Arc::from("smart"),
        candidate: Vec::new(),
        steps: steps.to_vec(),
        by: StickyBy::Request,
        least: Least { calls, time: Duration::ZERO },
        promote_when: PromoteWhen::LooksGood,
        guard,
        verdict: VerdictMode::Auto,
        design: 1,
    }
}

/// A guard that allows nothing: the hardest one to keep still under.
fn strict() -> Guard {
    Guard { margins: [Some(0.0); Measure::ALL.len()] }
}

/// What a side is like.
#[derive(Clone, Copy)]
struct Model {
    failures: f64,
    refusals: f64,
    invalid: f64,
    /// The median, in microseconds; times spread as they do in practice, with a long tail.
    latency_us: f64,
    cost: f64,
    score: f64,
}

const USUAL: Model =
    Model { failures: 0.02, refusals: 0.01, invalid: 0.03, latency_us: 8e5, cost: 2e9, score: 0.8 };

struct Chance(fastrand::Rng);

impl Chance {
    fn happens(&mut self, chance: f64) -> bool {
        self.0.f64() < chance
    }

    /// Around 0 with a deviation of 1 (Box and Muller).
    fn normal(&mut self) -> f64 {
        let radius = (-2.0 * (1.0 - self.0.f64()).ln()).sqrt();
        radius * (std::f64::consts::TAU * self.0.f64()).cos()
    }

    fn sample(&mut self, side: Side, share: u32, model: &Model) -> Sample {
        let failed = self.happens(model.failures);
        let well = |amount: f64| (!failed).then_some(amount as u64);
        let total = model.latency_us * (0.7 * self.normal()).exp();
        Sample {
            route: ROUTE,
            run: 0,
            side,
            share,
            failed,
            refused: self.happens(model.refusals),
            invalid: (!failed).then(|| self.happens(model.invalid)),
            total_us: well(total),
            first_us: well(total / 3.0),
            cost: well(model.cost * (1.0 * self.normal()).exp()),
        }
    }
}

/// One rollout, looked at after every call: the phase in which it ends, and after how many calls of the candidate.
fn run(seed: u64, rollout: &Rollout, current: &Model, candidate: &Model, calls: u32) -> (Phase, u64) {
    let mut chance = Chance(fastrand::Rng::with_seed(seed));
    let mut progress = Progress::new(0, 0);
    for _ in 0..calls {
        let share = progress.share(rollout);
        let side = if chance.0.u32(..1_000) < share { Side::Candidate } else { Side::Current };
        let model = if side == Side::Candidate { candidate } else { current };
        let sample = chance.sample(side, share, model);
        progress.add(rollout, &sample);
        if chance.happens(0.2) {
            let score = if chance.happens(model.score) { 1.0 } else { 0.0 };
            progress.score(rollout, &Score { side, share, score });
        }
        progress.decide(rollout, 1);
        if !matches!(progress.phase, Phase::Running) {
            break;
        }
    }
    (progress.phase, progress.candidate.calls())
}

/// How many of so many runs are rolled back.
fn rolled_back(runs: u64, rollout: &Rollout, current: &Model, candidate: &Model, calls: u32) -> usize {
    (0..runs).filter(|seed| run(*seed, rollout, current, candidate, calls).0 == Phase::RolledBack).count()
}

#[test]
fn a_candidate_that_is_no_worse_is_rarely_rolled_back() {
    let steps = [10, 50, 250, 500];
    let never = rollout(&steps, 100, strict());
    let wrong = rolled_back(1_000, &never, &USUAL, &USUAL, 1_500);
    println!("nothing allowed: {wrong} of 1000 rolled back wrongly");
    assert!(wrong <= 50, "{wrong} of 1000 were rolled back although there was no difference");
    // With half the calls from the first one on, which gives chance the most to work with.
    let halves = rollout(&[500], u64::MAX, strict());
    let wrong = rolled_back(1_000, &halves, &USUAL, &USUAL, 2_000);
    println!("nothing allowed, in halves: {wrong} of 1000 rolled back wrongly");
    assert!(wrong <= 50, "{wrong} of 1000 were rolled back although there was no difference");
    // At the end nothing is left to compare with but what was.
    let usual = rollout(&[100, 500, 1_000], 300, Guard::default());
    let wrong = rolled_back(1_000, &usual, &USUAL, &USUAL, 1_500);
    println!("as by default: {wrong} of 1000 rolled back wrongly");
    assert!(wrong <= 50, "{wrong} of 1000 were rolled back although there was no difference");
}

/// Sessions keep their side, and the calls of one are alike: there is less chance in which side a call gets than in
/// calls that come one by one. What the guard allows makes up for that.
#[test]
fn sessions_of_their_own_kind_raise_no_alarms() {
    let halves = rollout(&[500], u64::MAX, Guard::default());
    let one = |seed: u64| {
        let mut chance = Chance(fastrand::Rng::with_seed(seed));
        let mut progress = Progress::new(0, 0);
        for _ in 0..150 {
            let side = if chance.0.bool() { Side::Candidate } else { Side::Current };
            let failures = if chance.happens(0.1) { 0.2 } else { 0.0 };
            let latency_us = USUAL.latency_us * (0.4 * chance.normal()).exp();
            let model = Model { failures, latency_us, ..USUAL };
            for _ in 0..10 {
                progress.add(&halves, &chance.sample(side, 500, &model));
                progress.decide(&halves, 1);
            }
        }
        progress.phase == Phase::RolledBack
    };
    let wrong = (0..1_000).filter(|seed| one(*seed)).count();
    println!("sessions of ten calls: {wrong} of 1000 rolled back wrongly");
    assert!(wrong <= 50, "{wrong} of 1000 were rolled back although there was no difference");
}

/// The median number of the candidate's calls until it is rolled back, and how many of 200 runs were.
fn until_rolled_back(rollout: &Rollout, candidate: &Model, calls: u32) -> (u64, usize) {
    let runs = (0..200).map(|seed| run(seed, rollout, &USUAL, candidate, calls));
    let mut found: Vec<u64> =
        runs.filter(|(phase, _)| *phase == Phase::RolledBack).map(|(_, calls)| calls).collect();
    found.sort_unstable();
    (found.get(found.len() / 2).copied().unwrap_or(u64::MAX), found.len())
}

#[test]
fn a_candidate_that_is_worse_is_rolled_back_soon() {
    let halves = rollout(&[500], u64::MAX, Guard::default());
    let worse = [
        ("10 points more failures", Model { failures: 0.12, ..USUAL }, 300),
        ("nothing but failures", Model { failures: 1.0, ..USUAL }, 20),
        ("10 points more refusals", Model { refusals: 0.11, ..USUAL }, 300),
        ("10 points less JSON", Model { invalid: 0.13, ..USUAL }, 300),
        ("twice as slow", Model { latency_us: 1.6e6, ..USUAL }, 150),
        ("twice the cost", Model { cost: 4e9, ..USUAL }, 200),
        ("30 points less score", Model { score: 0.5, ..USUAL }, 700),
    ];
    for (name, candidate, most) in worse {
        let (median, found) = until_rolled_back(&halves, &candidate, 6_000);
        println!("{name}: {found} of 200, median {median} calls of the candidate");
        assert!(found >= 190 && median <= most, "{name}: {found} of 200, median {median} calls");
    }
    // One call in a hundred is enough to see it.
    let first = rollout(&[10], u64::MAX, Guard::default());
    let (median, found) = until_rolled_back(&first, &Model { failures: 0.12, ..USUAL }, 40_000);
    println!("10 points more failures at 1%: {found} of 200, median {median} calls of the candidate");
    assert!(found >= 190 && median <= 300, "{found} of 200, median {median} calls");
}

#[test]
fn a_candidate_that_fails_once_it_has_everything_is_rolled_back() {
    let rollout = rollout(&[500, 1_000], 200, Guard::default());
    let mut chance = Chance(fastrand::Rng::with_seed(3));
    let mut progress = Progress::new(0, 0);
    while progress.share(&rollout) < 1_000 {
        let side = if chance.0.bool() { Side::Candidate } else { Side::Current };
        progress.add(&rollout, &chance.sample(side, 500, &USUAL));
        progress.decide(&rollout, 1);
        assert_eq!(progress.phase, Phase::Running);
    }
    for _ in 0..199 {
        let sample = chance.sample(Side::Candidate, 1_000, &Model { failures: 0.5, ..USUAL });
        progress.add(&rollout, &sample);
        progress.decide(&rollout, 1);
    }
    assert_eq!(progress.phase, Phase::RolledBack, "{}", progress.reason);
}

#[test]
fn a_good_candidate_goes_through_its_steps_and_is_promoted() {
    let mut rollout = rollout(&[10, 500, 1_000], 50, Guard::default());
    assert_eq!(run(1, &rollout, &USUAL, &USUAL, 20_000).0, Phase::Promoted);
    rollout.least.time = Duration::from_secs(1);
    assert_eq!(run(1, &rollout, &USUAL, &USUAL, 20_000).0, Phase::Running, "its time has not come");
    rollout.least = Least { calls: 50, time: Duration::ZERO };
    rollout.promote_when = PromoteWhen::Proven;
    // Proof takes calls of both sides: more than the least.
    let better = Model { failures: 0.0, refusals: 0.0, invalid: 0.0, score: 0.95, ..USUAL };
    let (phase, calls) = run(1, &rollout, &USUAL, &better, 200_000);
    println!("proven after {calls} calls of the candidate");
    assert_eq!(phase, Phase::Promoted);
    assert!(calls > 150, "{calls}");
    let worse = Model { latency_us: 1.4 * USUAL.latency_us, ..USUAL };
    assert_ne!(run(1, &rollout, &USUAL, &worse, 50_000).0, Phase::Promoted);
}

#[test]
fn reasons_have_figures() {
    let rollout = rollout(&[500, 1_000], 10, Guard::default());
    let mut chance = Chance(fastrand::Rng::with_seed(5));
    let mut progress = Progress::new(0, 0);
    let turn = loop {
        for (side, failures) in [(Side::Candidate, 1.0), (Side::Current, 0.0)] {
            progress.add(&rollout, &chance.sample(side, 500, &Model { failures, ..USUAL }));
        }
        if let Some(turn) = progress.decide(&rollout, 1) {
            break turn;
        }
    };
    let calls = progress.candidate.calls();
    assert_eq!(turn, Turn::RolledBack);
    assert_eq!(
        progress.reason,
        format!(
            "failures: candidate 100.0 % of {calls} calls, current 0.0 % of {calls}; 2 points more are allowed (a false alarm has a chance of at most 5 %)"
        )
    );
}

#[test]
fn a_person_may_do_what_is_left_to_do() {
    let mut rollout = rollout(&[100, 500], 1, Guard::default());
    rollout.verdict = VerdictMode::Manual;
    let mut chance = Chance(fastrand::Rng::with_seed(5));
    let mut progress = Progress::new(0, 0);
    let good = Model { failures: 0.0, ..USUAL };
    progress.add(&rollout, &chance.sample(Side::Candidate, 100, &good));
    assert_eq!(progress.decide(&rollout, 1), Some(Turn::Advised(Advice::NextStep)));
    assert_eq!(progress.decide(&rollout, 1), None, "it is said once");
    assert_eq!((progress.share(&rollout), progress.advice), (100, Some(Advice::NextStep)));
    assert_eq!(progress.act(&rollout, Action::NextStep, 2), Ok(Turn::Step));
    assert_eq!((progress.share(&rollout), progress.advice), (500, None));
    assert_eq!(progress.act(&rollout, Action::Pause, 2), Ok(Turn::Paused));
    progress.add(&rollout, &chance.sample(Side::Candidate, 500, &good));
    assert_eq!((progress.decide(&rollout, 3), progress.share(&rollout)), (None, 500));
    assert_eq!(progress.act(&rollout, Action::Resume, 3), Ok(Turn::Resumed));
    assert_eq!(progress.decide(&rollout, 3), Some(Turn::Advised(Advice::Promote)));
    assert_eq!(progress.act(&rollout, Action::RollBack, 4), Ok(Turn::RolledBack));
    assert_eq!(progress.share(&rollout), 0);
    assert!(progress.act(&rollout, Action::Resume, 4).is_err());
    assert_eq!(progress.act(&rollout, Action::Restart, 5), Ok(Turn::Restarted));
    assert_eq!((progress.run, progress.share(&rollout), progress.candidate.calls()), (1, 100, 0));
    progress.add(&rollout, &chance.sample(Side::Candidate, 100, &good));
    assert_eq!(progress.candidate.calls(), 0, "a call of the run before");
}

#[test]
fn progress_survives_as_json() {
    let rollout = rollout(&[500], u64::MAX, Guard::default());
    let mut chance = Chance(fastrand::Rng::with_seed(9));
    let mut progress = Progress::new(0, 0);
    for number in 0..500 {
        let side = if number % 2 == 0 { Side::Candidate } else { Side::Current };
        progress.add(&rollout, &chance.sample(side, 500, &USUAL));
    }
    let text = serde_json::to_string(&progress).unwrap();
    let mut kept: Progress = serde_json::from_str(&text).unwrap();
    assert_eq!((kept.candidate.failures, kept.run, kept.step), (progress.candidate.failures, 0, 0));
    for _ in 0..200 {
        let bad = chance.sample(Side::Candidate, 500, &Model { failures: 0.4, ..USUAL });
        progress.add(&rollout, &bad);
        kept.add(&rollout, &bad);
        assert_eq!(progress.decide(&rollout, 1), kept.decide(&rollout, 1));
    }
    assert_eq!((kept.phase, progress.phase), (Phase::RolledBack, Phase::RolledBack));
}

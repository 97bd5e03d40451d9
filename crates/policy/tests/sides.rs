//! Who gets a rollout's candidate, and what is asked after it.

use std::{collections::HashMap, io, path::Path, sync::Arc};

use tollgate_policy::{
    Snapshot,
    attempt::{Attempts, Failed, Step},
    config::{self, Sources},
    facts::RequestFacts,
    moment::Moment,
    preference::Preferences,
    rollout::{Side, Stage, Stages},
    route::{self, Asked, Asking, Plan, Said},
    rule::{Headers, Judge, RuleFacts},
    vitals::Vitals,
};
use wire::{Dialect, Fault, Kind, Origin};

const FILE: &str = "
providers:
  house: { dialect: openai_chat, base_url: 'http://h/v1', auth: none, models: { old: {}, older: {}, new: { context_tokens: 100 }, odd: {} } }
models:
  m:
    targets: [ house/old, house/older ]
    strategy: weighted
    rollout: { candidate: other, steps: [10%, 40%] }
  other: [ house/new, house/old ]
keys: [ { name: a, key: 'tg-aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa' } ]
";

struct File;

impl Sources for File {
    fn read_file(&self, _: &Path) -> io::Result<String> {
        Ok(FILE.to_owned())
    }

    fn variable(&self, _: &str) -> Option<String> {
        None
    }

    fn command(&self, _: &[String]) -> Result<String, String> {
        Ok(String::new())
    }
}

struct Nothing;

impl Headers for Nothing {
    fn text(&self, _: &str) -> Option<&str> {
        None
    }
}

impl Judge for Nothing {
    fn difficulty(&self) -> Option<f64> {
        None
    }

    fn intent(&self) -> Option<&str> {
        None
    }
}

fn snapshot() -> Snapshot {
    let loaded = config::load(Path::new("t.yaml"), &File).map_err(|problems| problems.to_string());
    loaded.expect("the file is good").snapshot
}

fn at_share(snapshot: &Snapshot, share: u32) -> Vitals {
    let alias = &snapshot.models["m"];
    let design = alias.rollout.as_ref().expect("the name has a rollout").design;
    let stage = Stage { design, run: 1, share, compares: true };
    let mut vitals = Vitals::new(1);
    vitals.set_stages(Arc::new(Stages(HashMap::from([(alias.route.0, stage)]))));
    vitals
}

fn planned(
    snapshot: &Snapshot,
    vitals: &Vitals,
    session: &str,
    text: &str,
    wishes: Option<&Preferences>,
) -> Plan {
    let principal = &snapshot.caller("a").expect("the file has this key");
    let body = format!(r#"{{"model":"m","messages":[{{"role":"user","content":"{text}"}}]}}"#);
    let chat = Dialect::OpenaiChat.decode_request(body.as_bytes()).expect("the request is good");
    let facts = RequestFacts::of_chat(&chat, body.as_bytes());
    let facts = RuleFacts {
        request: &facts,
        headers: &Nothing,
        principal,
        judge: &Nothing,
        target: None,
        address: None,
        now_us: 5,
    };
    let said = Said { facts, chat: Some(&chat), session: Some(session) };
    let asked = Asked {
        model: "m",
        asking: Asking::Chat(Dialect::OpenaiChat),
        wishes,
        said: Some(&said),
        rules: None,
        wants: None,
    };
    route::plan(snapshot, principal, &asked, vitals)
        .map_err(|fault| fault.message)
        .expect("there are targets")
}

fn side(plan: &Plan) -> Option<Side> {
    plan.experiment.as_ref().map(|experiment| experiment.side)
}

/// The models in the order in which a plan asks them where all fail.
fn asked(plan: &Plan) -> Vec<String> {
    let vitals = &mut Vitals::new(1);
    let mut attempts = Attempts::new(Moment(u64::MAX));
    let fault = Fault::new(Origin::Upstream, Kind::Unreachable, "gone");
    let mut models = Vec::new();
    let mut step = attempts.first(plan, vitals, Moment(1));
    while let Step::Try(number) = step {
        models.push(plan.targets[number].model.to_string());
        step =
            attempts.after(plan, &Failed { fault: &fault, target: number, sent: false }, vitals, Moment(1));
    }
    models
}

#[test]
fn sessions_keep_their_side_while_the_share_grows() {
    let snapshot = snapshot();
    let candidates = |share: u32| -> Vec<usize> {
        let vitals = at_share(&snapshot, share);
        let is_candidate = |number: &usize| {
            side(&planned(&snapshot, &vitals, &number.to_string(), "hello", None)) == Some(Side::Candidate)
        };
        (0..2_000).filter(is_candidate).collect()
    };
    let (few, more, all) = (candidates(100), candidates(400), candidates(1_000));
    assert!((150..250).contains(&few.len()), "{}", few.len());
    assert!((720..880).contains(&more.len()), "{}", more.len());
    assert!(few.iter().all(|session| more.contains(session)));
    assert_eq!(all.len(), 2_000);
}

#[test]
fn the_candidate_comes_first_on_its_side_and_never_on_the_other() {
    let snapshot = snapshot();
    let vitals = at_share(&snapshot, 500);
    let mut seen = [0, 0];
    for session in 0..200 {
        let plan = planned(&snapshot, &vitals, &session.to_string(), "hello", None);
        let models = asked(&plan);
        let own = plan.experiment.as_ref().unwrap().own;
        match side(&plan) {
            Some(Side::Candidate) => {
                seen[0] += 1;
                // Those of its own in any order, and then what is left of those that are there.
                assert!(models[..own].contains(&"new".to_owned()), "{models:?}");
                assert_eq!(models[own..], ["older"], "{models:?}");
            }
            Some(Side::Current) => {
                seen[1] += 1;
                assert!(!models.contains(&"new".to_owned()), "{models:?}");
                assert_eq!(own, 2);
            }
            None => panic!("every call is part of it"),
        }
    }
    assert!(seen[0] > 60 && seen[1] > 60, "{seen:?}");
}

#[test]
fn some_calls_are_no_part_of_a_rollout() {
    let snapshot = snapshot();
    let vitals = at_share(&snapshot, 1_000);
    let check = |vitals: &Vitals, text: &str, wishes: &str, part: bool| {
        let wishes = Preferences::parse(wishes, "x-tollgate-route").unwrap();
        let plan = planned(&snapshot, vitals, "s", text, Some(&wishes));
        assert_eq!(plan.experiment.is_some(), part, "{text}");
    };
    check(&vitals, "hello", "{}", true);
    check(&vitals, "hello", r#"{"allow_fallbacks": false}"#, true);
    check(&vitals, "hello", r#"{"order": ["house/older"]}"#, false);
    check(&at_share(&snapshot, 0), "hello", "{}", false);
    check(&Vitals::new(1), "hello", "{}", false);
    // What the first of the candidate's targets cannot take goes to the other.
    let long = "hello ".repeat(200);
    let plan = planned(&snapshot, &vitals, "s", &long, None);
    assert_eq!(plan.experiment.as_ref().unwrap().own, 1);
}

#[test]
fn a_definition_has_a_number_of_its_own() {
    let snapshot = snapshot();
    let alias = &snapshot.models["m"];
    let rollout = alias.rollout.as_ref().unwrap();
    let same = (**rollout).clone().numbered(&alias.targets);
    assert_eq!(same.design, rollout.design);
    let mut other = (**rollout).clone();
    other.steps = vec![100, 500];
    assert_ne!(other.numbered(&alias.targets).design, rollout.design);
    assert_ne!((**rollout).clone().numbered(&alias.targets[..1]).design, rollout.design);
}

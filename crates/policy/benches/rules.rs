//! What rules cost: `cargo bench -p tollgate-policy`.

use std::{hint::black_box, time::Instant};

use tollgate_policy::{
    facts::RequestFacts,
    principal::Principal,
    rule::{Headers, Judge, Rule, RuleFacts},
};
use wire::Dialect;

const ROUNDS: u32 = 100_000;

const RULES: [(&str, &str); 6] = [
    ("one truth", "request.stream"),
    ("one comparison", "request.tokens > 100000"),
    ("a header", r#"headers["x-team"] == "search""#),
    ("a regular expression", r#"request.model.matches("^smart-[0-9]+$")"#),
    ("a list", r#"request.model in ["fast", "cheap", "smart-1"]"#),
    (
        "five clauses",
        r#"request.tokens > 10 && request.model.startsWith("smart") && headers["x-team"] == "search" && time.hour < 24 && key.name != "other""#,
    ),
];

const BODY: &str = r#"{"model":"smart-1","messages":[{"role":"user","content":"Schreibe mir eine kurze E-Mail an meinen Vermieter wegen der kaputten Heizung, und bleibe freundlich."}]}"#;

struct Sent;

impl Headers for Sent {
    fn text(&self, name: &str) -> Option<&str> {
        (name == "x-team").then_some("search")
    }
}

struct Nobody;

impl Judge for Nobody {
    fn difficulty(&self) -> Option<f64> {
        None
    }

    fn intent(&self) -> Option<&str> {
        None
    }
}

fn main() {
    let request = Dialect::OpenaiChat.decode_request(BODY.as_bytes()).expect("the body is sound");
    let principal = Principal::unbound();
    let known = RequestFacts::of_chat(&request, BODY.as_bytes());
    let facts = RuleFacts {
        request: &known,
        headers: &Sent,
        principal: &principal,
        judge: &Nobody,
        target: None,
        address: None,
        now_us: 1_772_694_489_000_000,
    };
    for (name, text) in RULES {
        let rule = Rule::compile(text).expect("the rule is sound");
        measure(name, || rule.holds(&facts) == Ok(name.is_empty()));
        measure(&format!("  to compile {name}"), || Rule::compile(text).is_ok());
    }
    measure("facts of a chat", || RequestFacts::of_chat(&request, BODY.as_bytes()).has_images);
    measure("facts, with tokens", || RequestFacts::of_chat(&request, BODY.as_bytes()).tokens() > 10);
    measure("facts, with the language", || {
        RequestFacts::of_chat(&request, BODY.as_bytes()).language().is_empty()
    });
}

fn measure(name: &str, once: impl Fn() -> bool) {
    let rounds = if name.contains("compile") || name.contains("language") { ROUNDS / 100 } else { ROUNDS };
    let began = Instant::now();
    for _ in 0..rounds {
        black_box(once());
    }
    println!("{name:<36} {:>8} ns", began.elapsed().as_nanos() / u128::from(rounds));
}

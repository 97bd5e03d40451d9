//! Rules: what they hold of, what they cost nothing for, and what is said of those that are wrong.

use std::{
    collections::BTreeMap,
    fs,
    path::Path,
    sync::atomic::{AtomicUsize, Ordering},
};

use proptest::prelude::*;
use tollgate_policy::{
    facts::RequestFacts,
    key::{Key, Owner, Scope},
    principal::{Directory, Principal, Settings},
    rule::{self, Headers, Judge, Rule, RuleFacts, Variable},
};
use uuid::Uuid;
use wire::{Dialect, ir};

/// 2026-03-05T07:08:09Z, a Thursday.
const NOW_US: i64 = 1_772_694_489_500_000;

const CHAT: &str = r#"{"model":"smart-1","stream":true,"max_tokens":500,"user":"u-17",
    "metadata":{"tier":"gold","seats":12},"reasoning_effort":"high",
    "messages":[{"role":"system","content":"Sei freundlich."},
                {"role":"user","content":"Schreibe mir eine kurze E-Mail an meinen Vermieter."}],
    "tools":[{"type":"function","function":{"name":"send"}}]}"#;

struct Sent(BTreeMap<&'static str, &'static str>);

impl Headers for Sent {
    fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name).copied()
    }
}

/// Counts how often it is asked.
#[derive(Default)]
struct Counting {
    difficulty: Option<f64>,
    intent: Option<&'static str>,
    asked: AtomicUsize,
}

impl Judge for Counting {
    fn difficulty(&self) -> Option<f64> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        self.difficulty
    }

    fn intent(&self) -> Option<&str> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        self.intent
    }
}

fn principal() -> Principal {
    let key = Key {
        id: Uuid::from_u128(7),
        name: "batch".to_owned(),
        organization: None,
        parent: None,
        settings: Settings { models: vec!["smart-1".to_owned(), "fast*".to_owned()], ..Settings::default() },
        scope: Scope::Calls,
        role: None,
        owner: Owner::File,
        created_us: 0,
        expires_us: None,
        revoked_us: None,
        hint: "tg-abcde".to_owned(),
    };
    Directory::default().principal(&key).0
}

fn ask(rule: &Rule, judge: &dyn Judge) -> Result<bool, String> {
    let request: ir::Request = Dialect::OpenaiChat.decode_request(CHAT.as_bytes()).expect("it is sound");
    let request = RequestFacts::of_chat(&request, CHAT.as_bytes());
    let sent = [("x-team", "search"), ("authorization", "Bearer tg-secret"), ("xi-api-key", "secret")];
    let facts = RuleFacts {
        request: &request,
        headers: &Sent(sent.into()),
        principal: &principal(),
        judge,
        target: None,
        address: "10.1.2.3".parse().ok(),
        now_us: NOW_US,
    };
    rule.holds(&facts)
}

fn compiled(text: &str) -> Rule {
    Rule::compile(text).expect(text)
}

fn holds(text: &str) -> Result<bool, String> {
    ask(&compiled(text), &Counting { difficulty: Some(0.75), intent: Some("letter"), ..Counting::default() })
}

#[test]
fn rules_hold_of_what_a_request_is() {
    let check = |text: &str, expected: bool| assert_eq!(holds(text), Ok(expected), "{text}");
    check(
        r#"request.model == "smart-1" && request.operation == "chat" && request.dialect == "openai_chat""#,
        true,
    );
    check("request.tokens > 20 && request.tokens < 200", true);
    check("request.output_tokens == 500 && request.messages == 2 && request.tools == 1", true);
    check("request.stream && request.has_tools && request.reasoning", true);
    check("request.has_images || request.has_audio || request.has_files || request.structured", false);
    check(r#"request.language == "de" && request.user == "u-17""#, true);
    check(r#"request.difficulty > 0.6 && request.intent == "letter""#, true);
    check("request.difficulty >= 1", false);
    check(r#"headers["x-team"] == "search" && headers["x-team"] != "search""#, false);
    check(r#"has(headers.other) || "other" in headers || !("x-team" in headers)"#, false);
    check(r#"metadata["tier"] == "gold" && int(metadata.seats) > 10"#, true);
    check(r#"key.name == "batch" && key.owner == "file" && size(key.models) == 2"#, true);
    check(r#"key.id == "00000000-0000-0000-0000-000000000007""#, true);
    check(r#"key.models.exists(m, m == request.model)"#, true);
    check("time.hour == 7 && time.minute == 8 && time.weekday == 4", true);
    check(r#"time.iso == "2026-03-05T07:08:09Z" && time.iso < "2026-04-01""#, true);
    check(r#"request.model.matches("^smart-[0-9]+$") && !request.model.matches("^fast")"#, true);
    check(
        r#"request.model.startsWith("smart") && request.model.endsWith("1") && request.model.contains("t-")"#,
        true,
    );
    check(r#"request.model in ["fast", "smart-1"]"#, true);
    check(r#"(request.stream ? request.tokens : 0) > 20"#, true);
    check(r#"[1, 2, 3].filter(n, n > 1)[1] == 3 && ["a", "b"].exists_one(t, t + "1" == "b1")"#, true);
}

#[test]
fn what_cannot_be_found_out_does_not_hold() {
    let check = |text: &str, expected: Result<bool, &str>| {
        assert_eq!(holds(text).as_ref().map(|held| *held).map_err(String::as_str), expected, "{text}");
    };
    check(r#"headers["x-other"] == "a""#, Err(r#"the request has no headers["x-other"]"#));
    check(r#"!(metadata.other == "a")"#, Err(r#"the request has no metadata["other"]"#));
    check(r#"headers["x-other"] == "a" || request.stream"#, Ok(true));
    check(r#"headers["x-other"] == "a" && !request.stream"#, Ok(false));
    check("request.tokens / 0 > 1", Err("division by zero"));
    check("key.models[9] == \"a\"", Err("a list has no such element"));
    let unjudged = ask(&compiled("request.difficulty > 0.5"), &Counting::default());
    assert_eq!(unjudged, Err("request.difficulty is not known of this request".to_owned()));
}

#[test]
fn credentials_cannot_be_read_by_any_name() {
    for name in ["authorization", "cookie", "x-api-key", "api-key", "x-goog-api-key", "XI-API-Key"] {
        let problem = Rule::compile(&format!("headers[\"{name}\"] == \"a\"")).unwrap_err();
        assert!(problem.message.contains("is a credential"), "{problem}");
    }
    assert_eq!(holds(r#"["authorization", "xi-api-key"].exists(name, name in headers)"#), Ok(false));
    let read = holds(r#"headers["author" + "ization"].startsWith("Bearer")"#);
    assert_eq!(read, Err(r#"the request has no headers["authorization"]"#.to_owned()));
}

#[test]
fn only_what_a_rule_comes_to_is_found_out() {
    let check = |text: &str, asked: usize| {
        let judge = Counting { difficulty: Some(0.5), intent: Some(""), ..Counting::default() };
        ask(&compiled(text), &judge).unwrap();
        assert_eq!(judge.asked.into_inner(), asked, "{text}");
    };
    check("request.stream", 0);
    check("request.stream || request.difficulty > 0.1", 0);
    check("!request.stream && request.intent == \"a\"", 0);
    check("request.difficulty > 0.1 && request.intent == \"\"", 2);
}

#[test]
fn a_rule_tells_what_it_mentions() {
    let rule =
        compiled(r#"[request.language].exists(l, l == "de") && has(headers.a) || "request.user" == """#);
    assert!(rule.uses(Variable::Language) && rule.uses(Variable::Headers));
    assert!(!rule.uses(Variable::User) && !rule.uses(Variable::Difficulty));
    assert!(rule.needs_decoding());
    assert!(!compiled(r#"request.tokens > 9 && "a" in headers && time.hour < 5"#).needs_decoding());
}

fn refused(text: &str, expected: &str) {
    let problem = Rule::compile(text).err().map(|problem| problem.to_string());
    assert_eq!(problem.as_deref(), Some(expected), "{text}");
}

#[test]
fn texts_and_names_that_are_wrong_say_where_and_how_to_mend_them() {
    let check = refused;
    check(" ", "is empty; write a condition, as request.tokens > 1000");
    check("request.tokens >", "is no valid CEL: it ends too early (at character 17)");
    check("request.tokens = 1", "is no valid CEL: write == for \"=\" (at character 16)");
    check("request.stream and true", "is no valid CEL: write && for \"and\" (at character 16)");
    check("request.stream ] true", "is no valid CEL: \"]\" cannot stand here (at character 16)");
    check(
        "\"é\" == \n request.modl",
        "there is no variable \"request.modl\"; did you mean request.model? (at line 2, character 2)",
    );
    check("\"é\" == ]", "is no valid CEL: \"]\" cannot stand here (at character 8)");
    check(
        "request.token > 1",
        "there is no variable \"request.token\"; did you mean request.tokens? (at character 1)",
    );
    check("tokens > 5", "there is no variable \"tokens\"; did you mean request.tokens? (at character 1)");
    check("model == \"a\"", "there is no variable \"model\"; did you mean request.model? (at character 1)");
    check(
        "foo.bar == 1",
        "there is no variable \"foo.bar\"; use request.…, headers, metadata, key.…, client.address, target.… or time.… (at character 1)",
    );
    check(
        "time.zone == 1",
        "there is no variable \"time.zone\"; use one of: time.hour, time.minute, time.weekday, time.iso (at character 1)",
    );
}

#[test]
fn values_that_do_not_fit_say_where_and_how_to_mend_them() {
    let check = refused;
    check("request.tokens", "comes to an int; a rule must be true or false, so compare it with something");
    check("request.tokens == \"a\"", "an int is never equal to a string (at character 16)");
    check("request.stream > false", "a bool is neither more nor less than a bool (at character 16)");
    check("request.tokens && true", "&& takes what is true or false, not an int (at character 16)");
    check(
        "request.tokens * 1.5 > 2.0",
        "whole numbers and fractions do not mix; write double(x), or 1.0 for 1 (at character 16)",
    );
    check(
        "request.model.match(\"a\")",
        "there is no function \"match\"; did you mean matches? (at character 20)",
    );
    check(
        "request.model.matches(\"a(\")",
        "is no valid regular expression: unclosed group (at character 23)",
    );
    check(
        "request.model.matches(request.user)",
        "matches takes a regular expression in quotes (at character 30)",
    );
    check(
        "request.model.matches(\"(a{1000}){1000}\")",
        "is no valid regular expression: takes more than 262144 bytes; make it simpler (at character 23)",
    );
    check("has(request.user)", "request.user is always there; compare it with something (at character 5)");
    check(
        "headers[\"X-Team\"] == \"a\"",
        "headers have names in lower case; write \"x-team\" (at character 9)",
    );
    check("headers.exists(h, true)", "goes through a list, not a map (at character 15)");
    check(
        "[1].all(x, [2].all(y, x == y))",
        "goes through a list inside of another; make it several rules (at character 19)",
    );
    check(
        "[1].map(x, [x, x])[0] == 1",
        "map is left out here, since it makes values; use exists, all or filter (at character 8)",
    );
    check("[1].exists(request, true)", "\"request\" has a meaning; use another name (at character 11)");
    check(
        "type(1) == 1",
        "there is no function \"type\"; use one of: size, int, double, string, bool, has (at character 5)",
    );
    let long = format!("request.model == \"{}\"", "a".repeat(4096));
    check(&long, "has 4115 bytes, 4096 at most; make it several rules");
}

#[test]
fn texts_that_nest_deeply_are_refused_or_read() {
    let units = [
        "1+",
        "!",
        "[",
        "(",
        "-",
        "a.",
        "a||",
        "f(",
        "{1:",
        "a?b:",
        "a[",
        "has(",
        "x.map(a,b,",
        "🦀",
        "\\",
        "'''",
    ];
    for unit in units {
        let text = unit.repeat(4096 / unit.len());
        assert!(Rule::compile(&text).is_err(), "{unit}");
    }
    assert_eq!(holds(&format!("{}1 > 0", "1 + ".repeat(60))), Ok(true));
    let clause = "request.stream || ";
    let wide = format!("{}true", clause.repeat(4000 / clause.len()));
    assert_eq!(holds(&wide), Ok(true));
}

proptest! {
    /// Whatever is written: it is refused, or it can be asked and does not fail for a type.
    #[test]
    fn any_text_is_refused_or_can_be_asked(words in prop::collection::vec(word(), 1..14)) {
        if let Ok(rule) = Rule::compile(&words.concat())
            && let Err(error) = ask(&rule, &Counting::default())
        {
            let loose = words.iter().any(|word| matches!(*word, "[" | "?" | "x"));
            prop_assert!(loose || !error.contains("overload"), "{}: {error}", words.concat());
        }
    }
}

fn word() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        "request",
        ".",
        "tokens",
        "model",
        "request.tokens",
        "request.model",
        "request.stream",
        "request.difficulty",
        "headers",
        "metadata",
        "key.models",
        "time.iso",
        "(",
        ")",
        "[",
        "]",
        "{",
        "}",
        ",",
        ":",
        "?",
        "!",
        "-",
        "+",
        "*",
        "/",
        "%",
        "==",
        "!=",
        "<",
        ">=",
        "&&",
        "||",
        " in ",
        "1",
        "0",
        "1.5",
        "1u",
        "\"a\"",
        "'",
        "true",
        "null",
        "has(",
        "size(",
        "int(",
        "string(",
        "bool(",
        ".matches(",
        ".contains(",
        ".exists(x,",
        ".map(x,",
        "x",
        "`",
        "\n",
        "é",
    ])
}

fn page() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/rules.md")
}

/// The page's table is what the program says now, and its examples are rules.
#[test]
fn the_page_of_rules_is_current() {
    let stored = fs::read_to_string(page()).unwrap();
    let (head, rest) = stored.split_once("| variable |").unwrap();
    let (_, tail) = rest.split_once("\n\n").unwrap();
    let made = format!("{head}{}\n{tail}", rule::reference());
    if std::env::var_os("TOLLGATE_UPDATE").is_some() {
        fs::write(page(), &made).unwrap();
    } else {
        assert!(stored == made, "docs/rules.md is old: run TOLLGATE_UPDATE=1 cargo test -p tollgate-policy");
    }
    let blocks: Vec<&str> = stored.split("```cel\n").skip(1).collect();
    assert!(!blocks.is_empty());
    for block in blocks {
        compiled(block.split("```").next().unwrap_or_default().trim());
    }
}

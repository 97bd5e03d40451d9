//! The laws over recorded traffic of real providers: a folder of `<provider>/<api>.jsonl` files, named by
//! `TOLLGATE_CORPUS`. Without it there is nothing to test, and the test says so.

mod support;

use std::{collections::BTreeMap, env, fs, path::Path};

use base64::{Engine, prelude::BASE64_STANDARD};
use serde_json::{Map, Value};
use support::{
    canonical::canonical_response,
    exchange::{encode, fold, rewrite},
    json::canonical,
};
use tollgate_wire::{Dialect, Losses, Mode, write_aws_message};

#[test]
fn recorded_traffic_keeps_the_laws() {
    let Some(folder) = env::var_os("TOLLGATE_CORPUS") else {
        eprintln!("skipped: TOLLGATE_CORPUS names no folder of recorded traffic");
        return;
    };
    let mut report = Report::default();
    for (dialect, record) in records(Path::new(&folder)) {
        check(dialect, &record, &mut report);
    }
    report.print();
    assert!(report.unexplained.is_empty(), "{} records break a law", report.unexplained.len());
}

fn check(dialect: Dialect, record: &Value, report: &mut Report) {
    let name = record["id"].as_str().unwrap_or_default();
    let provider = record["provider"].as_str().unwrap_or_default();
    let mut found = Vec::new();
    let status = record["response"]["status"].as_u64().unwrap_or(200);
    if let Some(body) = request_body(dialect, record) {
        found.extend(check_request(dialect, &body, report).err().map(|what| format!("request: {what}")));
    }
    let response = &record["response"];
    if status >= 400 {
        report.count(dialect, "error answers");
        let fault = dialect.decode_fault(status as u16, None, &json_bytes(&response["body"]));
        *report.faults.entry(format!("{status} {:?}", fault.kind)).or_default() += 1;
    } else if let Some(sse) = response["sse"].as_str() {
        found.extend(check_answer(dialect, Mode::Stream, sse.as_bytes(), report).err());
    } else if let Some(bytes) = response["body_base64"].as_str() {
        let bytes = BASE64_STANDARD.decode(bytes).expect("recorded bodies are base64");
        found.extend(check_answer(dialect, Mode::Stream, &bytes, report).err());
    } else if let Some(list) = response["events"].as_array() {
        let mut bytes = Vec::new();
        for (name, payload) in list.iter().filter_map(Value::as_object).flatten() {
            write_aws_message(&mut bytes, "event", name, payload.to_string().as_bytes());
        }
        found.extend(check_answer(dialect, Mode::Stream, &bytes, report).err());
    } else if let Some(lines) = response["ndjson"].as_str() {
        found.extend(check_answer(dialect, Mode::Stream, lines.as_bytes(), report).err());
    } else if let Some(chunks) = response["body"].as_array() {
        // A stream that came as one array, in the framing of the others.
        let events: String = chunks.iter().map(|chunk| format!("data: {chunk}\n\n")).collect();
        found.extend(check_answer(dialect, Mode::Stream, events.as_bytes(), report).err());
    } else if response["body"].is_object() {
        let body = json_bytes(&response["body"]);
        found.extend(check_answer(dialect, Mode::Whole, &body, report).err());
    } else {
        report.count(dialect, "answers in another form");
    }
    let reason = EXCEPTIONS.iter().find(|(known, _)| *known == name).map(|(_, reason)| *reason);
    match reason {
        Some(reason) if found.is_empty() => {
            report.unexplained.push(format!("{name} is no exception: {reason}"));
        }
        Some(reason) => report.explained.push(format!("{name}: {reason}")),
        None => report.unexplained.extend(found.iter().map(|what| format!("{provider} {name}: {what}"))),
    }
}

/// Records that break a law, and why they may.
const EXCEPTIONS: [(&str, &str); 9] = [
    ("anthropic-anthropic-messages-241194d6e4", "two answers stand in one stream"),
    ("azure-openai-chat-86d94b700b", "the choice was filtered and has no message; an empty one is written"),
    ("cohere-cohere-chat-6d5c06f712", "the stream ends in the provider's error"),
    ("cohere-cohere-chat-ac4979be91", "the stream ends in the provider's error"),
    ("github-copilot-openai-responses-726bc2e3ed", "the server gives an item another id at its end"),
    ("openai-openai-responses-47dc098c1e", "the stream ends in the provider's error"),
    ("groq-openai-chat-53b44413fb", "the stream ends in the provider's error"),
    ("openrouter-openai-chat-a3f82b8b7e", "the stream ends in the provider's error"),
    ("openrouter-openai-chat-ab61daa000", "a call has no arguments; empty ones are written"),
];

fn check_request(dialect: Dialect, body: &[u8], report: &mut Report) -> Result<(), String> {
    report.count(dialect, "requests");
    let request = dialect.decode_request(body).map_err(|fault| format!("refused: {fault}"))?;
    report.count(dialect, "requests decoded");
    let (again, losses) = encode(dialect, &request);
    same(body, &again)?;
    if !losses.is_empty() {
        return Err(format!("losses to its own dialect: {losses:?}"));
    }
    report.count(dialect, "requests identical");
    for target in Dialect::ALL.into_iter().filter(|target| *target != dialect) {
        let (crossed, losses) = encode(target, &request);
        target.decode_request(&crossed).map_err(|fault| format!("crossed and refused: {fault}"))?;
        report.count(dialect, if losses.is_empty() { "requests crossed whole" } else { "requests crossed" });
        report.losses(dialect, "request", &losses);
    }
    Ok(())
}

fn check_answer(dialect: Dialect, mode: Mode, body: &[u8], report: &mut Report) -> Result<(), String> {
    let word = if mode == Mode::Whole { "whole answers" } else { "streams" };
    report.count(dialect, word);
    let answer = fold(dialect, mode, body);
    if let Some(fault) = answer.fault {
        return Err(format!("{word}: {:?} fault: {fault}", fault.kind));
    }
    if !answer.complete {
        return Err(format!("{word}: not complete"));
    }
    let (again, losses) = rewrite(dialect, dialect, mode, body);
    if mode == Mode::Whole {
        same(body, &again).map_err(|what| format!("{word}: {what}"))?;
    }
    let refolded = fold(dialect, mode, &again);
    let (one, other) = (canonical_response(&answer.response), canonical_response(&refolded.response));
    if one != other {
        return Err(format!(
            "{word}: folds differ: {}",
            difference(&format!("{one:#?}"), &format!("{other:#?}"))
        ));
    }
    if !losses.is_empty() {
        return Err(format!("{word}: losses to its own dialect: {losses:?}"));
    }
    report.count(dialect, &format!("{word} identical"));
    for target in Dialect::ALL.into_iter().filter(|target| *target != dialect) {
        let (crossed, losses) = rewrite(dialect, target, mode, body);
        let read = fold(target, mode, &crossed);
        if let Some(fault) = read.fault {
            return Err(format!("{word}: crossed to {} and refused: {fault}", target.name()));
        }
        if !read.complete {
            return Err(format!("{word}: crossed and not complete"));
        }
        report.losses(dialect, "answer", &losses);
    }
    Ok(())
}

/// The request's body; providers that name the model in the address leave it out there.
fn request_body(dialect: Dialect, record: &Value) -> Option<Vec<u8>> {
    let mut members: Map<String, Value> = record["request"]["body"].as_object()?.clone();
    if !members.contains_key("model") && !dialect.names_model_in_path() {
        let model = record["model"].as_str().unwrap_or("model-of-the-address");
        members.insert("model".to_owned(), Value::from(model));
    }
    Some(json_bytes(&Value::Object(members)))
}

fn json_bytes(value: &Value) -> Vec<u8> {
    value.as_str().map_or_else(|| value.to_string().into_bytes(), |text| text.as_bytes().to_vec())
}

fn same(one: &[u8], other: &[u8]) -> Result<(), String> {
    let (one, other) = (canonical(one), canonical(other));
    match (one, other) {
        (Some(one), Some(other)) if one == other => Ok(()),
        (Some(one), Some(other)) => Err(format!("differs: {}", difference(&one, &other))),
        (_, None) => Err("what was written is no JSON".to_owned()),
        (None, _) => Err("what was recorded is no JSON".to_owned()),
    }
}

/// The first lines that differ.
fn difference(one: &str, other: &str) -> String {
    let lines = one.lines().zip(other.lines()).find(|(one, other)| one != other);
    let (one, other) = lines.unwrap_or(("(its end)", "(its end)"));
    let cut = |line: &str| line.trim().chars().take(160).collect::<String>();
    format!("{} became {}", cut(one), cut(other))
}

fn records(folder: &Path) -> Vec<(Dialect, Value)> {
    let files = [
        ("openai.chat.jsonl", Dialect::OpenaiChat),
        ("openai.responses.jsonl", Dialect::OpenaiResponses),
        ("anthropic.messages.jsonl", Dialect::AnthropicMessages),
        ("bedrock.converse.jsonl", Dialect::BedrockConverse),
        ("cohere.chat.jsonl", Dialect::CohereV2),
        ("gemini.generateContent.jsonl", Dialect::Gemini),
        ("ollama.chat.jsonl", Dialect::Ollama),
    ];
    let mut providers: Vec<_> = fs::read_dir(folder)
        .expect("TOLLGATE_CORPUS names a folder that can be read")
        .map(|entry| entry.expect("its entries can be read").path())
        .collect();
    providers.sort();
    let mut records = Vec::new();
    for provider in providers {
        for (file, dialect) in files {
            let Ok(text) = fs::read_to_string(provider.join(file)) else { continue };
            let parsed = text.lines().map(|line| serde_json::from_str(line).expect("each line is a record"));
            records.extend(parsed.map(|record| (dialect, record)));
        }
    }
    records
}

#[derive(Default)]
struct Report {
    counts: BTreeMap<(&'static str, String), usize>,
    losses: BTreeMap<(&'static str, &'static str, String), usize>,
    faults: BTreeMap<String, usize>,
    explained: Vec<String>,
    unexplained: Vec<String>,
}

impl Report {
    fn count(&mut self, dialect: Dialect, what: &str) {
        *self.counts.entry((dialect.name(), what.to_owned())).or_default() += 1;
    }

    fn losses(&mut self, dialect: Dialect, of: &'static str, losses: &Losses) {
        let mut paths: Vec<String> = losses.iter().map(|loss| without_indexes(&loss.to_string())).collect();
        paths.sort();
        paths.dedup();
        for path in paths {
            *self.losses.entry((dialect.name(), of, path)).or_default() += 1;
        }
    }

    fn print(&self) {
        for ((dialect, what), count) in &self.counts {
            eprintln!("{dialect:20} {what:28} {count}");
        }
        for ((dialect, of, path), count) in &self.losses {
            eprintln!("{dialect:20} {of} loses {path:50} {count}");
        }
        for (what, count) in &self.faults {
            eprintln!("error answers: {what} {count}");
        }
        for line in &self.explained {
            eprintln!("exception: {line}");
        }
        for line in &self.unexplained {
            eprintln!("unexplained: {line}");
        }
    }
}

/// A path with its numbers taken out.
fn without_indexes(path: &str) -> String {
    let mut out = String::with_capacity(path.len());
    for letter in path.chars() {
        if !(letter.is_ascii_digit() && out.ends_with('[')) {
            out.push(letter);
        }
    }
    out
}

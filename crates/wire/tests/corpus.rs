//! The laws over recorded traffic of real providers, where a folder of it is named by `TOLLGATE_CORPUS`.

mod common;

use std::{collections::BTreeMap, env, fs, path::Path};

use common::{canonical, cross_request, read, round_trip_request};
use serde_json::Value;
use tollgate_wire::{Dialect, Mode};

/// Counts of one dialect.
#[derive(Debug, Default)]
struct Tally {
    requests: u32,
    requests_same: u32,
    wholes: u32,
    wholes_same: u32,
    streams: u32,
    streams_same: u32,
    faults: u32,
    crossed: u32,
    crossed_without_loss: u32,
    losses: BTreeMap<String, u32>,
    exceptions: Vec<String>,
}

#[test]
fn recorded_traffic_keeps_the_laws() {
    let Some(folder) = env::var_os("TOLLGATE_CORPUS") else {
        println!("skipped: TOLLGATE_CORPUS names no folder of recorded traffic");
        return;
    };
    for (api, dialect) in
        [("openai.chat", Dialect::OpenaiChat), ("anthropic.messages", Dialect::AnthropicMessages)]
    {
        let mut tally = Tally::default();
        for record in records(Path::new(&folder), api) {
            check(dialect, &record, &mut tally);
        }
        println!("{api}: {tally:#?}");
        assert!(tally.requests > 100, "{api}: too few requests were found");
        let unexplained: Vec<&String> = tally
            .exceptions
            .iter()
            .filter(|found| !EXPLAINED.iter().any(|(id, _)| found.contains(id)))
            .collect();
        assert!(unexplained.is_empty(), "{api}: {} unexplained: {unexplained:#?}", unexplained.len());
    }
}

/// Records that do not keep a law, and why.
const EXPLAINED: [(&str, &str); 5] = [
    ("vertex-anthropic-messages", "on Vertex the model is named in the address and not in the body"),
    (
        "azure-openai-chat-86d94b700b",
        "the answer has null where a message should be: it is written as an empty one",
    ),
    ("openrouter-openai-chat-ab61daa000", "a call's arguments are null: they are written as an empty text"),
    (
        "anthropic-anthropic-messages-241194d6e4",
        "two messages begin in one stream: the record was put together by hand",
    ),
    (
        "anthropic-anthropic-messages-a7c9b3b464",
        "stop_sequence is absent: it is written as null, as the API does",
    ),
];

fn records(folder: &Path, api: &str) -> Vec<Value> {
    let mut all = Vec::new();
    let mut providers: Vec<_> = fs::read_dir(folder).expect("the folder is there").flatten().collect();
    providers.sort_by_key(fs::DirEntry::path);
    for provider in providers {
        let Ok(text) = fs::read_to_string(provider.path().join(format!("{api}.jsonl"))) else { continue };
        all.extend(text.lines().map(|line| serde_json::from_str::<Value>(line).expect("a record is JSON")));
    }
    all
}

fn check(dialect: Dialect, record: &Value, tally: &mut Tally) {
    let id = record["id"].as_str().unwrap_or_default();
    if let Some(body) = record["request"].get("body").filter(|body| body.is_object()) {
        check_request(dialect, id, body, tally);
    }
    let response = &record["response"];
    let status = response["status"].as_u64().unwrap_or(200);
    if status >= 400 {
        let fault = dialect.decode_fault(
            u16::try_from(status).unwrap_or(500),
            None,
            response["body"].to_string().as_bytes(),
        );
        assert!(!fault.message.is_empty(), "{id}: a fault says something");
        tally.faults += 1;
    } else if let Some(body) = response.get("body").filter(|body| body.is_object()) {
        check_whole(dialect, id, body, tally);
    } else if let Some(text) = response["sse"].as_str() {
        check_stream(dialect, id, text, tally);
    }
}

fn check_request(dialect: Dialect, id: &str, body: &Value, tally: &mut Tally) {
    tally.requests += 1;
    let bytes = body.to_string().into_bytes();
    match round_trip_request(dialect, &bytes) {
        Ok(encoded) if canonical(&encoded) == canonical(&bytes) => tally.requests_same += 1,
        Ok(encoded) => tally.exceptions.push(format!("{id} request: {}", difference(&bytes, &encoded))),
        Err(fault) => tally.exceptions.push(format!("{id} request: {fault}")),
    }
    let other = if dialect == Dialect::OpenaiChat { Dialect::AnthropicMessages } else { Dialect::OpenaiChat };
    if let Ok((encoded, losses)) = cross_request(dialect, other, &bytes) {
        tally.crossed += 1;
        if losses.is_empty() {
            tally.crossed_without_loss += 1;
        }
        for loss in losses.iter() {
            *tally.losses.entry(plain(&loss.to_string())).or_default() += 1;
        }
        if let Err(fault) = other.decode_request(&encoded) {
            tally.exceptions.push(format!("{id} crossed: {fault}"));
        }
    }
}

fn check_whole(dialect: Dialect, id: &str, body: &Value, tally: &mut Tally) {
    tally.wholes += 1;
    let bytes = body.to_string().into_bytes();
    let reading = read(dialect, dialect, Mode::Whole, &[&bytes]);
    if let Some(fault) = reading.fault {
        tally.exceptions.push(format!("{id} answer: {fault}"));
    } else if canonical(&reading.written) == canonical(&bytes) {
        tally.wholes_same += 1;
    } else {
        tally.exceptions.push(format!("{id} answer: {}", difference(&bytes, &reading.written)));
    }
}

fn check_stream(dialect: Dialect, id: &str, text: &str, tally: &mut Tally) {
    tally.streams += 1;
    let reading = read(dialect, dialect, Mode::Stream, &[text.as_bytes()]);
    let bytes: Vec<&[u8]> = text.as_bytes().chunks(3).collect();
    let split = read(dialect, dialect, Mode::Stream, &bytes);
    assert_eq!(
        format!("{:?}", reading.response),
        format!("{:?}", split.response),
        "{id}: a split changes nothing"
    );
    if let Some(fault) = &reading.fault {
        if fault.kind == tollgate_wire::Kind::Garbage {
            tally.exceptions.push(format!("{id} stream: {fault}"));
        } else {
            tally.streams_same += 1;
        }
        return;
    }
    let again = read(dialect, dialect, Mode::Stream, &[&reading.written]);
    let (one, other) = (format!("{:#?}", reading.response), format!("{:#?}", again.response));
    if one == other {
        tally.streams_same += 1;
    } else {
        let line = one.lines().zip(other.lines()).find(|(one, other)| one != other);
        tally.exceptions.push(format!("{id} stream: {line:?}"));
    }
}

/// The first place where two texts of JSON differ.
fn difference(one: &[u8], other: &[u8]) -> String {
    fn walk(path: &str, one: &Value, other: &Value) -> Option<String> {
        match (one, other) {
            (Value::Object(a), Value::Object(b)) => {
                let names = a.keys().chain(b.keys());
                names.into_iter().find_map(|name| {
                    walk(
                        &format!("{path}.{name}"),
                        a.get(name).unwrap_or(&Value::Null),
                        b.get(name).unwrap_or(&Value::Null),
                    )
                    .or_else(|| {
                        (a.contains_key(name) != b.contains_key(name))
                            .then(|| format!("{path}.{name} only in one"))
                    })
                })
            }
            (Value::Array(a), Value::Array(b)) if a.len() == b.len() => a
                .iter()
                .zip(b)
                .enumerate()
                .find_map(|(at, (one, other))| walk(&format!("{path}[{at}]"), one, other)),
            _ if one == other => None,
            _ => {
                let short = |value: &Value| value.to_string().chars().take(80).collect::<String>();
                Some(format!("{path}: {} became {}", short(one), short(other)))
            }
        }
    }
    walk("", &canonical(one), &canonical(other)).unwrap_or_default()
}

/// A path without its numbers.
fn plain(path: &str) -> String {
    path.chars().filter(|letter| !letter.is_ascii_digit()).collect()
}

//! The laws of every dialect over every fixture. The folder is the matrix: `fixtures/<dialect>/<case>/` holds
//! `request.json`, `response.json` and `stream.sse`, as far as the case has them, and for each other dialect a
//! snapshot `to.<dialect>.snap` of what they become there and what is lost. `UPDATE_SNAPSHOTS=1` writes them anew.

#[path = "support/order.rs"]
mod order;
mod support;

use std::{env, fmt::Write, fs, path::PathBuf};

use bytes::Bytes;
use order::well_formed;
use proptest::{
    prelude::{ProptestConfig, any},
    proptest,
    sample::Index,
};
use serde_json::Value;
use support::{
    canonical::canonical_response,
    exchange::{encode, fold, read, rewrite},
    json::canonical,
};
use tollgate_wire::{
    Dialect, Envelope, Frame, Framer, Framing, Losses, Mode, Pass, Reader, Wanted,
    ir::{Choice, Event, Part, PartKind, Response},
    write_aws_message,
};

/// One case of one dialect.
struct Case {
    dialect: Dialect,
    folder: PathBuf,
}

/// An answer's body as it came.
struct Body {
    mode: Mode,
    bytes: Vec<u8>,
}

impl Case {
    fn name(&self) -> String {
        let case = self.folder.file_name().unwrap_or_default().to_string_lossy();
        format!("{}/{case}", self.dialect.name())
    }

    fn request(&self) -> Option<Vec<u8>> {
        fs::read(self.folder.join("request.json")).ok()
    }

    fn answers(&self) -> Vec<Body> {
        let read = |file: &str| fs::read(self.folder.join(file)).ok();
        let whole = read("response.json").map(|bytes| Body { mode: Mode::Whole, bytes });
        let stream = match self.dialect.framing(Mode::Stream) {
            Framing::Lines => read("stream.ndjson"),
            Framing::Array => read("stream.json"),
            Framing::AwsEvents => read("stream.events").map(|lines| aws_messages(&lines)),
            Framing::Whole | Framing::Opaque | Framing::Sse => read("stream.sse"),
        };
        whole.into_iter().chain(stream.map(|bytes| Body { mode: Mode::Stream, bytes })).collect()
    }
}

/// Binary messages, written as lines: the event's name, a space, and its payload.
fn aws_messages(lines: &[u8]) -> Vec<u8> {
    let mut messages = Vec::new();
    for line in std::str::from_utf8(lines).expect("fixtures are text").lines() {
        let (name, payload) = line.split_once(' ').expect("each line names an event");
        let kind = if name.ends_with("Exception") { "exception" } else { "event" };
        write_aws_message(&mut messages, kind, name, payload.as_bytes());
    }
    messages
}

#[test]
fn every_dialect_has_cases() {
    for dialect in Dialect::ALL {
        let cases = cases().into_iter().filter(|case| case.dialect == dialect).count();
        assert!(cases >= 10, "{} has {cases} cases", dialect.name());
    }
}

#[test]
fn requests_stay_the_same_in_their_dialect() {
    for case in cases() {
        let Some(body) = case.request() else { continue };
        let name = case.name();
        let request = case.dialect.decode_request(&body).unwrap_or_else(|fault| panic!("{name}: {fault}"));
        let (again, losses) = encode(case.dialect, &request);
        assert_eq!(canonical(&again), canonical(&body), "{name}");
        assert!(losses.is_empty(), "{name}: {losses:?}");
    }
}

#[test]
fn answers_stay_the_same_in_their_dialect() {
    for case in cases() {
        for Body { mode, bytes } in case.answers() {
            let name = format!("{} {mode:?}", case.name());
            let (again, losses) = rewrite(case.dialect, case.dialect, mode, &bytes);
            if mode == Mode::Whole {
                assert_eq!(canonical(&again), canonical(&bytes), "{name}");
            } else {
                well_formed(case.dialect, &again, &name);
            }
            let (before, after) = (fold(case.dialect, mode, &bytes), fold(case.dialect, mode, &again));
            assert_eq!(canonical_response(&after.response), canonical_response(&before.response), "{name}");
            let messages = [&before, &after].map(|answer| answer.fault.as_ref().map(|fault| &fault.message));
            assert_eq!(messages[0], messages[1], "{name}");
            assert_eq!(after.complete, before.complete, "{name}");
            assert!(losses.is_empty(), "{name}: {losses:?}");
        }
    }
}

#[test]
fn whole_and_streamed_answers_fold_alike() {
    for case in cases() {
        let [whole, stream] =
            case.answers().try_into().map_or([None, None], |pair: [Body; 2]| pair.map(Some));
        let (Some(whole), Some(stream)) = (whole, stream) else { continue };
        let one = fold(case.dialect, whole.mode, &whole.bytes).response;
        let other = fold(case.dialect, stream.mode, &stream.bytes).response;
        assert_eq!(essence(&one), essence(&other), "{}", case.name());
        for target in others(case.dialect) {
            let told = [&whole, &stream].map(|body| {
                let (crossed, _) = rewrite(case.dialect, target, body.mode, &body.bytes);
                essence(&fold(target, body.mode, &crossed).response)
            });
            assert_eq!(told[0], told[1], "{} to {}", case.name(), target.name());
        }
    }
}

/// Providers may spell a whole answer over many lines, and a caller that wants a stream gets one: no event of it is
/// broken by a line's end.
#[test]
fn whole_answers_can_be_told_as_streams() {
    for case in cases() {
        for Body { bytes, .. } in case.answers().into_iter().filter(|body| body.mode == Mode::Whole) {
            let spread = canonical(&bytes).expect("fixtures are JSON").replace("{", "{\r\n");
            let whole = fold(case.dialect, Mode::Whole, spread.as_bytes());
            for target in Dialect::ALL {
                let name = format!("{} to {}", case.name(), target.name());
                let wanted = Wanted {
                    mode: Mode::Stream,
                    include_usage: true,
                    source: case.dialect,
                    now_s: 0,
                    as_array: false,
                };
                let mut writer = target.writer(wanted);
                let mut out = Vec::new();
                read(case.dialect, Mode::Whole, &[spread.as_bytes()], &mut |event| {
                    writer.event(&event, &mut out);
                });
                let told = fold(target, Mode::Stream, &out);
                assert_eq!(told.fault.is_some(), whole.fault.is_some(), "{name}: {:?}", told.fault);
                assert_eq!(told.complete, whole.complete, "{name}");
                assert_eq!(text(&told.response), text(&whole.response), "{name}");
            }
        }
    }
}

/// What the first answer says, refusals and all.
fn text(response: &Response) -> String {
    let first = response.choices.iter().find(|choice| choice.index == 0);
    let said = |part: &Part| match &part.kind {
        PartKind::Text { text, .. } | PartKind::Refusal { text } => text.clone(),
        _ => String::new(),
    };
    first.map(|choice| choice.parts.iter().map(said).collect()).unwrap_or_default()
}

#[test]
fn crossing_is_as_the_snapshots_say() {
    let update = env::var_os("UPDATE_SNAPSHOTS").is_some();
    let mut stale = Vec::new();
    for case in cases() {
        for target in others(case.dialect) {
            let told = crossed(&case, target);
            let file = case.folder.join(format!("to.{}.snap", target.name()));
            if fs::read_to_string(&file).is_ok_and(|known| known == told) {
                continue;
            }
            if update {
                fs::write(&file, told).expect("snapshots can be written");
            } else {
                stale.push(format!("{} to {}:\n{told}", case.name(), target.name()));
            }
        }
    }
    assert!(stale.is_empty(), "UPDATE_SNAPSHOTS=1 takes these over:\n{}", stale.join("\n"));
}

/// What a case becomes in another dialect; every part of it is in that dialect.
fn crossed(case: &Case, target: Dialect) -> String {
    let name = format!("{} to {}", case.name(), target.name());
    let mut told = String::new();
    if let Some(body) = case.request() {
        let request = case.dialect.decode_request(&body).expect("it is a request, as another test shows");
        let (body, losses) = encode(target, &request);
        let decoded = target.decode_request(&body);
        assert!(decoded.is_ok(), "{name}: {decoded:?}");
        section(&mut told, "request", &canonical(&body).unwrap_or_default(), &losses);
    }
    for Body { mode, bytes } in case.answers() {
        let (body, losses) = rewrite(case.dialect, target, mode, &bytes);
        let (before, after) = (fold(case.dialect, mode, &bytes), fold(target, mode, &body));
        assert_eq!(after.fault.is_some(), before.fault.is_some(), "{name}: {:?}", after.fault);
        assert_eq!(after.complete, before.complete, "{name} {mode:?}");
        if mode == Mode::Whole {
            section(&mut told, "response", &canonical(&body).unwrap_or_default(), &losses);
        } else {
            well_formed(target, &body, &name);
            section(&mut told, "stream", String::from_utf8_lossy(&body).trim_end(), &losses);
        }
    }
    told
}

fn section(told: &mut String, title: &str, body: &str, losses: &Losses) {
    let gap = if told.is_empty() { "" } else { "\n" };
    write!(told, "{gap}=== {title}\n{body}\n").expect("a string takes all text");
    for loss in losses.iter() {
        writeln!(told, "--- {:?} {}: {}", loss.kind, loss.path, loss.why).expect("a string takes all text");
    }
}

/// What every recording of one answer has in common. Left out are ids, dates, members of one dialect only, and a
/// signature that is empty.
fn essence(response: &Response) -> String {
    let mut choices = canonical_response(response).choices;
    choices.sort_by_key(|choice| choice.index);
    let choice =
        |choice: Choice| (choice.index, choice.stop, choice.parts.iter().map(part).collect::<Vec<_>>());
    let choices: Vec<_> = choices.into_iter().map(choice).collect();
    format!("{} {:#?} {choices:#?}", response.model, response.usage)
}

fn part(part: &Part) -> PartKind {
    match part.kind.clone() {
        // JSON by meaning: how arguments are spaced is not kept everywhere.
        PartKind::ToolCall { id, name, arguments } => {
            let arguments = canonical(arguments.as_bytes()).unwrap_or(arguments);
            PartKind::ToolCall { id, name, arguments }
        }
        PartKind::Reasoning { text, signature } => {
            PartKind::Reasoning { text, signature: signature.filter(|seal| !seal.is_empty()) }
        }
        kind => kind,
    }
}

/// What a meter sees of an answer: usage, the stop of the first choice, faults, the end.
fn metered(mut reader: Box<dyn Reader>, framing: Framing, bytes: &[u8]) -> (Vec<String>, bool) {
    let mut seen = Vec::new();
    let mut framer = Framer::new(framing);
    let mut found = |frame: &Frame<'_>| {
        reader.frame(frame, &mut |event| match event {
            Event::Usage { usage, .. } => seen.push(format!("{usage:?}")),
            Event::ChoiceStop { choice: 0, stop } => seen.push(stop.raw),
            Event::Fault(fault) => seen.push(fault.kind.name().to_owned()),
            Event::End => seen.push("end".to_owned()),
            Event::Start { .. }
            | Event::PartStart { .. }
            | Event::PartDelta { .. }
            | Event::PartStop { .. }
            | Event::Logprobs { .. }
            | Event::ChoiceStop { .. }
            | Event::Ext { .. } => {}
        });
        Pass::On
    };
    framer.push(Bytes::copy_from_slice(bytes), &mut found).expect("no frame is that large");
    framer.finish(&mut found);
    let complete = reader.complete();
    (seen, complete)
}

#[test]
fn a_watcher_sees_what_a_reader_sees() {
    for case in cases() {
        for Body { mode, bytes } in case.answers() {
            let framing = case.dialect.framing(mode);
            // Also of answers that were cut.
            for end in [bytes.len(), bytes.len() / 2, bytes.len() - 20] {
                let (part, _) = bytes.split_at(end);
                let watched = metered(case.dialect.watcher(mode), framing, part);
                assert_eq!(
                    watched,
                    metered(case.dialect.reader(mode), framing, part),
                    "{} {end}",
                    case.name()
                );
            }
        }
    }
}

fn others(dialect: Dialect) -> impl Iterator<Item = Dialect> {
    Dialect::ALL.into_iter().filter(move |other| *other != dialect)
}

/// All cases, sorted by name.
fn cases() -> Vec<Case> {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    let mut cases = Vec::new();
    for dialect in Dialect::ALL {
        let folder = root.join(dialect.name());
        let entries = fs::read_dir(&folder).expect("each dialect has a folder of fixtures");
        let folders = entries.map(|entry| entry.expect("fixtures can be read").path());
        cases.extend(folders.map(|folder| Case { dialect, folder }));
    }
    cases.sort_by(|one, other| one.folder.cmp(&other.folder));
    cases
}

/// The events of a body that came in pieces, as text.
fn events(dialect: Dialect, mode: Mode, pieces: &[&[u8]]) -> Vec<String> {
    let mut list = Vec::new();
    let complete = read(dialect, mode, pieces, &mut |event| list.push(format!("{event:?}")));
    list.push(format!("complete: {complete}"));
    list
}

#[test]
fn bytes_may_come_one_by_one() {
    for case in cases() {
        for Body { mode, bytes } in case.answers() {
            let single: Vec<&[u8]> = bytes.chunks(1).collect();
            let expected = events(case.dialect, mode, &[&bytes]);
            assert_eq!(events(case.dialect, mode, &single), expected, "{}", case.name());
        }
    }
}

/// What was found is in the test's output; files beside the sources are for fixtures.
fn config(cases: u32) -> ProptestConfig {
    ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() }
}

#[test]
fn bytes_may_come_in_any_pieces() {
    let bodies: Vec<(Dialect, Body)> =
        cases().iter().flat_map(|case| case.answers().into_iter().map(|body| (case.dialect, body))).collect();
    proptest!(config(256), |(which in any::<Index>(), cuts in proptest::collection::vec(any::<Index>(), 0..6))| {
        let (dialect, Body { mode, bytes }) = which.get(&bodies);
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
        cuts.sort_unstable();
        let ends = cuts.iter().copied().chain([bytes.len()]);
        let starts = [0].into_iter().chain(cuts.iter().copied());
        let pieces: Vec<&[u8]> =
            starts.zip(ends).map(|(start, end)| bytes.get(start..end).unwrap_or_default()).collect();
        assert_eq!(events(*dialect, *mode, &pieces), events(*dialect, *mode, &[bytes]));
    });
}

/// Fixtures with bytes overwritten, cut out and doubled, and bytes of nothing at all.
#[test]
fn no_input_panics() {
    let mut bodies: Vec<Vec<u8>> = vec![b"[\"a\"]".to_vec(), b"data: {}\n\n".to_vec(), Vec::new()];
    for case in cases() {
        bodies.extend(case.request());
        bodies.extend(case.answers().into_iter().map(|body| body.bytes));
    }
    let edits = proptest::collection::vec((any::<Index>(), any::<Index>(), any::<u8>(), 0..4_u8), 1..6);
    proptest!(config(1024), |(which in any::<Index>(), edits in edits)| {
        let mut body = which.get(&bodies).clone();
        for (at, until, byte, kind) in edits {
            let length = body.len() + 1;
            edit(&mut body, at.index(length), until.index(length), byte, kind);
        }
        swallow_all(&body);
    });
}

/// Fixtures in which one value was replaced by one of another kind: still JSON, but not what is expected.
#[test]
fn no_value_panics() {
    let mut bodies: Vec<String> = Vec::new();
    for case in cases() {
        let files = case.request().into_iter().chain(case.answers().into_iter().map(|body| body.bytes));
        // Binary streams are no JSON.
        bodies.extend(files.filter_map(|bytes| String::from_utf8(bytes).ok()));
    }
    let odd = ["null", "0", "-1.5e300", "true", "\"\"", "\"x\"", "[]", "{}", "[{}]", "{\"type\":\"text\"}"];
    proptest!(config(4096), |(which in any::<Index>(), line in any::<Index>(), node in any::<Index>(), by in any::<Index>())| {
        let by: Value = serde_json::from_str(by.get::<&str>(&odd)).expect("these are JSON");
        swallow_all(&with_odd_value(which.get::<String>(&bodies), line, node, &by));
    });
}

/// A body of JSON, or one event of a stream, with one of its values replaced.
fn with_odd_value(body: &str, line: Index, node: Index, by: &Value) -> Vec<u8> {
    let whole = serde_json::from_str::<Value>(body).is_ok();
    let events: Vec<&str> = body
        .lines()
        .filter(|_| !whole)
        .map(|line| line.strip_prefix("data: ").unwrap_or(line))
        .filter(|line| line.starts_with('{'))
        .collect();
    let json: &str = if events.is_empty() { body } else { line.get::<&str>(&events) };
    let mut value: Value = serde_json::from_str(json).expect("fixtures are JSON");
    let mut left = node.index(count(&value));
    replace(&mut value, &mut left, by);
    let changed = value.to_string();
    if events.is_empty() { changed.into_bytes() } else { body.replacen(json, &changed, 1).into_bytes() }
}

fn count(value: &Value) -> usize {
    match value {
        Value::Object(members) => 1 + members.values().map(count).sum::<usize>(),
        Value::Array(items) => 1 + items.iter().map(count).sum::<usize>(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => 1,
    }
}

/// Replaces the value before which `left` others stand.
fn replace(value: &mut Value, left: &mut usize, by: &Value) {
    if *left == 0 {
        *value = by.clone();
        *left = usize::MAX / 2;
        return;
    }
    *left -= 1;
    match value {
        Value::Object(members) => members.values_mut().for_each(|member| replace(member, left, by)),
        Value::Array(items) => items.iter_mut().for_each(|item| replace(item, left, by)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn swallow_all(body: &[u8]) {
    let _refused = Envelope::parse(body, false);
    let _unread = Envelope::addressed(body, "m".to_owned(), true);
    for dialect in Dialect::ALL {
        swallow(dialect, body);
    }
}

fn edit(body: &mut Vec<u8>, at: usize, until: usize, byte: u8, kind: u8) {
    let (from, until) = (at.min(until), at.max(until));
    match kind {
        0 => body.insert(from, byte),
        1 => drop(body.drain(from..until.min(from + 40))),
        2 => body.truncate(until),
        _ => {
            let piece = body.get(from..until.min(from + 400)).unwrap_or_default().to_vec();
            body.splice(from..from, piece);
        }
    }
}

fn swallow(dialect: Dialect, body: &[u8]) {
    if let Ok(request) = dialect.decode_request(body) {
        for target in Dialect::ALL {
            let (encoded, _) = encode(target, &request);
            assert!(serde_json::from_slice::<Value>(&encoded).is_ok(), "what is written is JSON");
        }
    }
    let fault = dialect.decode_fault(400, None, body);
    for target in Dialect::ALL {
        let written = target.encode_fault(&fault, "req-1");
        assert!(serde_json::from_slice::<Value>(&written.json).is_ok(), "what is written is JSON");
        for mode in [Mode::Whole, Mode::Stream] {
            rewrite(dialect, target, mode, body);
            fold(dialect, mode, body);
        }
    }
}

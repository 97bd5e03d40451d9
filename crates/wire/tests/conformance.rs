//! What each dialect carries of each other, told by the fixtures: every case is sent across and read again, and what
//! it says is compared feature by feature. `docs/conformance.md` is written by this test (`UPDATE_SNAPSHOTS=1`), so
//! that it cannot drift. Something that did not arrive and is no named loss fails the test.

#[path = "support/exchange.rs"]
mod exchange;
#[path = "support/features.rs"]
mod features;

use std::{collections::BTreeMap, env, fmt::Write, fs, path::PathBuf};

use exchange::{encode, fold, rewrite};
use features::{ANSWER, Feature, REQUEST};
use tollgate_wire::{Dialect, Framing, Loss, LossKind, Losses, Mode, ir::Response, write_aws_message};

/// How much of a feature arrives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Grade {
    Carried,
    Approximated,
    Lost,
}

/// One cell of the matrix.
#[derive(Default)]
struct Cell {
    grade: Option<Grade>,
    losses: Vec<String>,
}

type Matrix = BTreeMap<(Dialect, &'static str, Dialect), Cell>;

#[test]
fn the_published_matrix_is_what_the_fixtures_say() {
    let mut matrix = Matrix::new();
    let mut silent = Vec::new();
    for (dialect, folder) in cases() {
        for target in Dialect::ALL.into_iter().filter(|target| *target != dialect) {
            let name = format!("{} to {}", folder.display(), target.name());
            let mut found = Found { matrix: &mut matrix, silent: &mut silent, name, dialect, target };
            request(&folder, &mut found);
            answers(&folder, &mut found);
        }
    }
    assert!(silent.is_empty(), "these are lost in silence:\n{}", silent.join("\n"));
    let page = page(&matrix);
    let file = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../docs/conformance.md");
    if env::var_os("UPDATE_SNAPSHOTS").is_some() {
        fs::write(&file, page).expect("the page can be written");
    } else {
        let known = fs::read_to_string(&file).unwrap_or_default();
        assert!(
            known == page,
            "docs/conformance.md is not what the fixtures say; UPDATE_SNAPSHOTS=1 writes it"
        );
    }
}

/// What is said beside a part and not by it.
const BESIDE: [&str; 6] = [".cache", ".cache_control", ".cachePoint", ".name", ".detail", ".id"];

/// A fault's message, which no projection of an answer holds.
const ERRORS: Feature<Response> =
    Feature { name: "errors inside a stream", told: |_| String::new(), words: &[] };

/// Where what is found goes.
struct Found<'m> {
    matrix: &'m mut Matrix,
    silent: &'m mut Vec<String>,
    name: String,
    dialect: Dialect,
    target: Dialect,
}

impl Found<'_> {
    /// Compares what was sent with what arrived.
    fn compare<T>(&mut self, feature: &Feature<T>, before: &str, after: &str, losses: &Losses) {
        if before.is_empty() {
            return;
        }
        let words = feature.words;
        let beside = |path: &str| !words.contains(&"cache") && BESIDE.iter().any(|word| path.ends_with(word));
        let of = |path: &str| words.iter().any(|word| path.contains(word)) && !beside(path);
        let named: Vec<&Loss> = losses.iter().filter(|loss| of(&loss.path)).collect();
        let mine = if named.is_empty() { losses.iter().collect() } else { named };
        let feature = feature.name;
        let grade = if before == after {
            Grade::Carried
        } else if mine.iter().any(|loss| loss.kind != LossKind::Approximated) {
            Grade::Lost
        } else if !mine.is_empty() {
            Grade::Approximated
        } else {
            self.silent.push(format!("{} {feature}: {before} became {after}", self.name));
            return;
        };
        let cell = self.matrix.entry((self.dialect, feature, self.target)).or_default();
        cell.grade = cell.grade.max(Some(grade));
        if grade > Grade::Carried {
            cell.losses.extend(mine.into_iter().map(|loss| without_indexes(&loss.to_string())));
        }
    }
}

fn request(folder: &std::path::Path, found: &mut Found<'_>) {
    let Ok(body) = fs::read(folder.join("request.json")) else { return };
    let sent = found.dialect.decode_request(&body).expect("fixtures are requests");
    let (crossed, losses) = encode(found.target, &sent);
    let arrived = found.target.decode_request(&crossed).expect("what is written can be read");
    for feature in &REQUEST {
        found.compare(feature, &(feature.told)(&sent), &(feature.told)(&arrived), &losses);
    }
}

fn answers(folder: &std::path::Path, found: &mut Found<'_>) {
    let read = |file: &str| fs::read(folder.join(file)).ok();
    let stream = match found.dialect.framing(Mode::Stream) {
        Framing::Lines => read("stream.ndjson"),
        Framing::AwsEvents => read("stream.events").map(|lines| binary(&lines)),
        Framing::Array | Framing::Whole | Framing::Opaque | Framing::Sse => read("stream.sse"),
    };
    for (mode, body) in [(Mode::Whole, read("response.json")), (Mode::Stream, stream)] {
        let Some(body) = body else { continue };
        let sent = fold(found.dialect, mode, &body);
        let (crossed, losses) = rewrite(found.dialect, found.target, mode, &body);
        let arrived = fold(found.target, mode, &crossed);
        assert_eq!(arrived.complete, sent.complete, "{}", found.name);
        for feature in ANSWER.iter().filter(|_| sent.complete) {
            let told = [&sent, &arrived].map(|answer| (feature.told)(&answer.response));
            found.compare(feature, &told[0], &told[1], &losses);
        }
        let errors =
            |fault: Option<tollgate_wire::Fault>| fault.map(|fault| fault.message).unwrap_or_default();
        found.compare(&ERRORS, &errors(sent.fault), &errors(arrived.fault), &losses);
    }
}

/// Binary messages, written as lines: the event's name, a space, and its payload.
fn binary(lines: &[u8]) -> Vec<u8> {
    let mut messages = Vec::new();
    for line in std::str::from_utf8(lines).expect("fixtures are text").lines() {
        let (name, payload) = line.split_once(' ').expect("each line names an event");
        let kind = if name.ends_with("Exception") { "exception" } else { "event" };
        write_aws_message(&mut messages, kind, name, payload.as_bytes());
    }
    messages
}

fn cases() -> Vec<(Dialect, PathBuf)> {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    let mut cases = Vec::new();
    for dialect in Dialect::ALL {
        let entries = fs::read_dir(root.join(dialect.name())).expect("each dialect has fixtures");
        cases.extend(entries.map(|entry| (dialect, entry.expect("fixtures can be read").path())));
    }
    cases.sort();
    cases
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

fn page(matrix: &Matrix) -> String {
    let mut page = String::from(
        "# Conformance\n\nWhat each dialect carries of each other. This page is written by a test: every fixture of a \
         dialect is sent to\nevery other one and read again there (`crates/wire/tests/conformance.rs`).\n\n\
         ✓ carried · ≈ approximated · ✗ not carried, and named in `x-tollgate-loss` · – no such thing in the \
         fixtures.\nUnder each table stand the losses by name, in the caller's words; `~` marks an approximation. A \
         fixture may lose\nother things beside the feature it is counted for.\n",
    );
    for source in Dialect::ALL {
        let targets: Vec<Dialect> = Dialect::ALL.into_iter().filter(|target| *target != source).collect();
        write!(page, "\n## From `{}`\n\n| feature |", source.name()).expect("a string takes all text");
        for target in &targets {
            write!(page, " {} |", target.name()).expect("a string takes all text");
        }
        page.push_str("\n| --- |");
        page.push_str(&" :-: |".repeat(targets.len()));
        page.push('\n');
        let mut notes = String::new();
        let features =
            REQUEST.iter().map(|feature| feature.name).chain(ANSWER.iter().map(|feature| feature.name));
        for feature in features.chain([ERRORS.name]) {
            row(&mut page, &mut notes, matrix, (source, feature, &targets));
        }
        if !notes.is_empty() {
            page.push('\n');
            page.push_str(&notes);
        }
    }
    page
}

fn row(
    page: &mut String,
    notes: &mut String,
    matrix: &Matrix,
    (source, feature, targets): (Dialect, &'static str, &[Dialect]),
) {
    let cells: Vec<Option<&Cell>> =
        targets.iter().map(|target| matrix.get(&(source, feature, *target))).collect();
    if cells.iter().all(Option::is_none) {
        return;
    }
    write!(page, "| {feature} |").expect("a string takes all text");
    for (target, cell) in targets.iter().zip(cells) {
        let sign = match cell.and_then(|cell| cell.grade) {
            Some(Grade::Carried) => "✓",
            Some(Grade::Approximated) => "≈",
            Some(Grade::Lost) => "✗",
            None => "–",
        };
        write!(page, " {sign} |").expect("a string takes all text");
        let Some(cell) = cell.filter(|cell| !cell.losses.is_empty()) else { continue };
        let mut losses = cell.losses.clone();
        losses.sort();
        losses.dedup();
        let losses: Vec<String> = losses.iter().map(|loss| format!("`{loss}`")).collect();
        writeln!(notes, "- {feature} to {}: {}", target.name(), losses.join(", "))
            .expect("a string takes all text");
    }
    page.push('\n');
}

//! The laws of the forms of prompts: `prompts/<form>/<case>/` holds a `request.json` with a snapshot `chats.snap` of what
//! it becomes in each dialect and what is lost, and an answer of the form's own provider where the case has one. Every
//! answer of every dialect is told in each form. `UPDATE_SNAPSHOTS=1` writes the snapshots anew.

#[path = "support/canonical.rs"]
mod canonical;
#[path = "support/json.rs"]
mod json;

use std::{env, fmt::Write, fs, path::PathBuf};

use bytes::Bytes;
use canonical::canonical_response;
use json::canonical;
use serde_json::Value;
use tollgate_wire::{
    Dialect, Encoding, Form, Framer, Framing, Losses, Mode, Pass, Quirks, Reader, Sampling, StreamUsage,
    Wanted, Work,
    ir::{Event, Fold, PartKind, Response},
};

const FORMS: [Form; 2] = [Form::OpenaiCompletions, Form::OllamaGenerate];

struct Case {
    form: Form,
    folder: PathBuf,
}

fn tests() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests")
}

fn folders(of: PathBuf) -> Vec<PathBuf> {
    let entries = fs::read_dir(of).expect("there is a folder of cases");
    let mut folders: Vec<PathBuf> = entries.map(|entry| entry.expect("cases can be read").path()).collect();
    folders.sort();
    folders
}

fn cases() -> Vec<Case> {
    let of = |form: Form| {
        folders(tests().join("prompts").join(form.name()))
            .into_iter()
            .map(move |folder| Case { form, folder })
    };
    FORMS.into_iter().flat_map(of).collect()
}

impl Case {
    fn read(&self, file: &str) -> Option<Vec<u8>> {
        fs::read(self.folder.join(file)).ok()
    }

    fn work(&self) -> Work {
        let body = self.read("request.json").expect("each case has a request");
        work(self.form, &body)
    }

    fn name(&self) -> String {
        format!("{}/{}", self.form.name(), self.folder.file_name().unwrap_or_default().to_string_lossy())
    }
}

fn work(form: Form, body: &[u8]) -> Work {
    form.read(body, "").expect("it is a request of the form").expect("prompts can become chats")
}

#[test]
fn prompts_become_chats_as_the_snapshots_say() {
    let update = env::var_os("UPDATE_SNAPSHOTS").is_some();
    let mut stale = Vec::new();
    for case in cases() {
        let work = case.work();
        let mut told = String::new();
        for dialect in Dialect::ALL {
            let (body, losses) = encoded(&work, dialect, &Quirks::default());
            let chat =
                dialect.decode_request(&body).unwrap_or_else(|fault| panic!("{}: {fault}", case.name()));
            let said = chat.messages.iter().flat_map(|message| &message.content.parts);
            assert!(
                said.into_iter()
                    .any(|part| matches!(&part.kind, PartKind::Text { text, .. } if !text.is_empty())),
                "{} to {}: the prompt is not said",
                case.name(),
                dialect.name()
            );
            let gap = if told.is_empty() { "" } else { "\n" };
            let body = canonical(&body).unwrap_or_default();
            write!(told, "{gap}=== {}\n{body}\n", dialect.name()).expect("a string takes all text");
            for loss in losses.iter() {
                writeln!(told, "--- {:?} {}: {}", loss.kind, loss.path, loss.why)
                    .expect("a string takes all text");
            }
        }
        let file = case.folder.join("chats.snap");
        if fs::read_to_string(&file).is_ok_and(|known| known == told) {
            continue;
        }
        if update {
            fs::write(&file, told).expect("snapshots can be written");
        } else {
            stale.push(format!("{}:\n{told}", case.name()));
        }
    }
    assert!(stale.is_empty(), "UPDATE_SNAPSHOTS=1 takes these over:\n{}", stale.join("\n"));
}

fn encoded(work: &Work, dialect: Dialect, quirks: &Quirks) -> (Vec<u8>, Losses) {
    let encoding = Encoding { model: "m", quirks, output_tokens_max: None };
    let mut losses = Losses::default();
    let body = work.prompt().expect("it is a prompt").encode(dialect, &encoding, &mut losses);
    (body, losses)
}

/// The caller did not write to this API, and cannot know how its models depart from it.
#[test]
fn departures_of_the_own_dialect_are_heeded() {
    let body = br#"{"model":"a","prompt":"b","stream":true,"temperature":0.7,"top_p":1,"max_tokens":5}"#;
    let work = work(Form::OpenaiCompletions, body);
    let check = |quirks: Quirks, name: &str, expected: Value, lost: &[&str]| {
        let (body, losses) = encoded(&work, Dialect::OpenaiChat, &quirks);
        let body: Value = serde_json::from_slice(&body).expect("it is JSON");
        assert_eq!(body[name], expected, "{name}");
        assert_eq!(losses.iter().map(|loss| loss.path.as_str()).collect::<Vec<_>>(), lost, "{name}");
    };
    let quirks = Quirks::default;
    check(quirks(), "temperature", 0.7.into(), &[]);
    check(Quirks { sampling: Sampling::None, ..quirks() }, "temperature", Value::Null, &["temperature"]);
    check(quirks(), "stream_options", serde_json::json!({"include_usage": true}), &[]);
    check(Quirks { stream_usage: StreamUsage::Never, ..quirks() }, "stream_options", Value::Null, &[]);
    let limit = tollgate_wire::OutputLimit::MaxCompletionTokens;
    check(Quirks { output_limit: limit, ..quirks() }, "max_completion_tokens", 5.into(), &[]);
}

/// The frames of a body, whole or streamed.
fn frames(framing: Framing, bytes: &[u8], reader: &mut dyn Reader, sink: &mut dyn FnMut(Event<'_>)) {
    let mut framer = Framer::new(framing);
    framer
        .push(Bytes::copy_from_slice(bytes), &mut |frame| {
            reader.frame(frame, sink);
            Pass::On
        })
        .expect("no frame is that large");
    framer.finish(&mut |frame| {
        reader.frame(frame, sink);
        Pass::On
    });
}

fn wanted(mode: Mode, source: Dialect) -> Wanted {
    Wanted { mode, include_usage: true, source, now_s: 1_700_000_000, as_array: false }
}

#[test]
fn answers_of_the_own_provider_stay_the_same() {
    let mut count = 0;
    for case in cases().into_iter().filter(|case| case.form == Form::OllamaGenerate) {
        for (mode, file) in [(Mode::Whole, "response.json"), (Mode::Stream, "stream.ndjson")] {
            let Some(bytes) = case.read(file) else { continue };
            let work = case.work();
            let mut writer = work.prompt().expect("it is a prompt").writer(wanted(mode, Dialect::Ollama));
            let mut reader = case.form.watcher(mode).expect("answers are watched");
            let mut out = Vec::new();
            frames(Dialect::Ollama.framing(mode), &bytes, &mut *reader, &mut |event| {
                writer.event(&event, &mut out);
            });
            assert!(reader.complete() && writer.losses().is_empty(), "{} {:?}", case.name(), writer.losses());
            if mode == Mode::Whole {
                assert_eq!(canonical(&out), canonical(&bytes), "{}", case.name());
            }
            let folded = |bytes: &[u8]| {
                let mut fold = Fold::default();
                let mut reader = case.form.watcher(mode).expect("answers are watched");
                frames(Dialect::Ollama.framing(mode), bytes, &mut *reader, &mut |event| fold.event(&event));
                canonical_response(fold.response())
            };
            assert_eq!(folded(&out), folded(&bytes), "{}", case.name());
            count += 1;
        }
    }
    assert!(count >= 2, "there are {count} answers");
}

/// Every answer among the fixtures: its dialect, its mode and its bytes.
fn answers() -> Vec<(String, Dialect, Mode, Vec<u8>)> {
    let mut answers = Vec::new();
    for dialect in Dialect::ALL {
        for folder in folders(tests().join("fixtures").join(dialect.name())) {
            let name = folder.display().to_string();
            let read = |file: &str| fs::read(folder.join(file)).ok();
            let stream = read("stream.sse").or_else(|| read("stream.ndjson"));
            answers.extend(read("response.json").map(|bytes| (name.clone(), dialect, Mode::Whole, bytes)));
            answers.extend(stream.map(|bytes| (name, dialect, Mode::Stream, bytes)));
        }
    }
    answers
}

/// What the first answer says, refusals and all.
fn text(response: &Response) -> String {
    let parts = response.choices.iter().filter(|choice| choice.index == 0).flat_map(|choice| &choice.parts);
    let said = parts.map(|part| match &part.kind {
        PartKind::Text { text, .. } | PartKind::Refusal { text } => text.as_str(),
        _ => "",
    });
    said.collect()
}

/// The answers that a body holds, in the order in which they are told; the last line of a stream left out.
fn told(form: Form, mode: Mode, body: &[u8]) -> Vec<Value> {
    let body = std::str::from_utf8(body).expect("answers are text");
    let parsed = |text: &str| serde_json::from_str(text).expect("what is told is JSON");
    match (mode, form) {
        (Mode::Whole, _) => vec![parsed(body)],
        (Mode::Stream, Form::OllamaGenerate) => body.lines().map(parsed).collect(),
        (Mode::Stream, _) => {
            let data: Vec<&str> =
                body.split("\n\n").filter_map(|event| event.strip_prefix("data: ")).collect();
            let (last, chunks) = data.split_last().expect("a stream ends");
            assert!(*last == "[DONE]" || last.contains("\"error\""), "ends with {last}");
            chunks.iter().copied().map(parsed).collect()
        }
    }
}

/// The text of the first answer and why it ended.
fn said(form: Form, told: &[Value]) -> (String, Option<String>) {
    let mut text = String::new();
    let mut reason = None;
    for one in told {
        let (said, ended) = if form == Form::OllamaGenerate {
            (&one["response"], &one["done_reason"])
        } else {
            assert!(one["object"] == "text_completion" && one["choices"].is_array(), "{one}");
            let choices = one["choices"].as_array().into_iter().flatten();
            let first = choices.into_iter().find(|choice| choice["index"] == 0).unwrap_or(&Value::Null);
            (&first["text"], &first["finish_reason"])
        };
        text.push_str(said.as_str().unwrap_or_default());
        reason = ended.as_str().map(str::to_owned).or(reason);
    }
    (text, reason)
}

#[test]
fn every_answer_can_be_told_in_each_form() {
    let answers = answers();
    assert!(answers.len() > 100, "there are {} answers", answers.len());
    for form in FORMS {
        let work = work(form, br#"{"model":"m","prompt":"Once","echo":false}"#);
        let prompt = work.prompt().expect("it is a prompt");
        for (name, dialect, mode, bytes) in &answers {
            // A caller that wants a stream gets one, whatever the provider made of it.
            for asked in
                [Mode::Whole, Mode::Stream].into_iter().filter(|asked| mode == asked || *mode == Mode::Whole)
            {
                let name = format!("{name} {mode:?} as {} {asked:?}", form.name());
                let mut writer = prompt.writer(wanted(asked, *dialect));
                let mut reader = dialect.reader(*mode);
                let (mut fold, mut out, mut ended) = (Fold::default(), Vec::new(), false);
                frames(dialect.framing(*mode), bytes, &mut *reader, &mut |event| {
                    ended |= matches!(event, Event::End | Event::Fault(_));
                    fold.event(&event);
                    writer.event(&event, &mut out);
                });
                if reader.complete() && !ended {
                    writer.event(&Event::End, &mut out);
                }
                let (response, fault) = fold.finish();
                // What watches a provider's own answers finds in these what the meter wants to know.
                let mut seen = Fold::default();
                let mut watcher = form.watcher(asked).expect("answers are watched");
                frames(form.dialect().framing(asked), &out, &mut *watcher, &mut |event| seen.event(&event));
                let (seen, broken) = seen.finish();
                assert_eq!(broken.is_some(), fault.is_some(), "{name}: {broken:?}");
                assert_eq!(watcher.complete(), reader.complete(), "{name}");
                if fault.is_some() {
                    continue;
                }
                let (text_told, reason) = said(form, &told(form, asked, &out));
                assert_eq!(text_told, text(&response), "{name}");
                let stopped = response.choices.first().is_some_and(|choice| choice.stop.is_some());
                assert!(reason.is_some() || !stopped, "{name}: no reason");
                let used = |response: &Response| {
                    response.usage.map(|usage| (usage.input_tokens, usage.output_tokens))
                };
                assert!(
                    response.usage.is_none() || used(&seen) == used(&response),
                    "{name}: {:?}",
                    used(&seen)
                );
            }
        }
    }
}

/// Requests with one of their bytes replaced, or cut short.
#[test]
fn no_input_panics() {
    for case in cases() {
        let body = case.read("request.json").expect("each case has a request");
        for at in 0..body.len() {
            for byte in [b'"', b'[', b'{', b'0', b',', b'n', 0xff] {
                let mut damaged = body.clone();
                damaged[at] = byte;
                for damaged in [damaged.as_slice(), body.get(..at).unwrap_or_default()] {
                    let Ok(Some(work)) = case.form.read(damaged, "") else { continue };
                    for dialect in Dialect::ALL {
                        let (encoded, _) = encoded(&work, dialect, &Quirks::default());
                        assert!(canonical(&encoded).is_some(), "what is written is JSON");
                    }
                }
            }
        }
    }
}

#[test]
fn an_echo_comes_first_and_tokens_are_counted_from_it() {
    let body = br#"{"model":"m","prompt":"Once ","echo":true,"n":2}"#;
    let work = work(Form::OpenaiCompletions, body);
    let token = r#"{"token":"upon","logprob":-0.5,"top_logprobs":[{"token":"upon","logprob":-0.5}]}"#;
    let answer = format!(
        r#"{{"id":"c-1","created":1,"model":"m","system_fingerprint":"f","choices":[
            {{"index":0,"message":{{"role":"assistant","content":"upon"}},"logprobs":{{"content":[{token}]}},"finish_reason":"length"}},
            {{"index":1,"message":{{"role":"assistant","content":"more"}},"finish_reason":"tool_calls"}}],
            "usage":{{"prompt_tokens":1,"completion_tokens":2,"total_tokens":3}}}}"#
    );
    let told = |mode: Mode| {
        let mut writer = work.prompt().expect("it is a prompt").writer(wanted(mode, Dialect::OpenaiChat));
        let mut out = Vec::new();
        let mut reader = Dialect::OpenaiChat.reader(Mode::Whole);
        frames(Framing::Whole, answer.as_bytes(), &mut *reader, &mut |event| writer.event(&event, &mut out));
        assert!(writer.losses().is_empty(), "{:?}", writer.losses());
        String::from_utf8(out).expect("answers are text")
    };
    let logprobs =
        r#"{"tokens":["upon"],"token_logprobs":[-0.5],"top_logprobs":[{"upon":-0.5}],"text_offset":[5]}"#;
    assert_eq!(
        told(Mode::Whole),
        format!(
            r#"{{"id":"c-1","object":"text_completion","created":1,"model":"m","choices":[{{"text":"Once upon","index":0,"logprobs":{logprobs},"finish_reason":"length"}},{{"text":"Once more","index":1,"logprobs":null,"finish_reason":"stop"}}],"usage":{{"prompt_tokens":1,"completion_tokens":2,"total_tokens":3}},"system_fingerprint":"f"}}"#
        )
    );
    let stream = told(Mode::Stream);
    assert!(
        stream.contains(
            r#""choices":[{"text":"Once upon","index":0,"logprobs":null,"finish_reason":null}],"usage":null"#
        ),
        "{stream}"
    );
    assert!(stream.contains(logprobs) && stream.ends_with("data: [DONE]\n\n"), "{stream}");
}

#[test]
fn requests_that_are_no_prompts_are_refused_by_name() {
    let check = |form: Form, body: &str, param: &str| {
        let refused = form.read(body.as_bytes(), "").map(|_| ()).expect_err(body);
        assert_eq!(refused.param.as_deref(), Some(param), "{body}: {refused}");
    };
    check(Form::OpenaiCompletions, r#"{"model":"m"}"#, "prompt");
    check(Form::OpenaiCompletions, r#"{"model":"m","prompt":["a","b"]}"#, "prompt");
    check(Form::OpenaiCompletions, r#"{"model":"m","prompt":"a","temperature":"hot"}"#, "temperature");
    check(Form::OllamaGenerate, r#"{"model":"m","prompt":["a"]}"#, "prompt");
}

/// Recorded traffic of real providers, in the folder that `TOLLGATE_CORPUS` names.
#[test]
fn recorded_prompts_are_understood() {
    let Some(corpus) = env::var_os("TOLLGATE_CORPUS") else {
        eprintln!("skipped: TOLLGATE_CORPUS names no folder of recorded traffic");
        return;
    };
    let files = [("openai.completions.jsonl", FORMS[0]), ("ollama.generate.jsonl", FORMS[1])];
    let mut counts = [0, 0];
    for provider in folders(PathBuf::from(corpus)) {
        for (file, form) in files {
            let text = fs::read_to_string(provider.join(file)).unwrap_or_default();
            for record in text.lines() {
                let record: Value = serde_json::from_str(record).expect("each line is a record");
                let name = record["id"].as_str().unwrap_or_default();
                counts[0] += usize::from(recorded_request(form, &record["request"]["body"], name));
                counts[1] += usize::from(recorded_answer(form, &record["response"], name));
            }
        }
    }
    assert!(counts.iter().all(|count| *count > 10), "{counts:?} requests and answers");
}

/// A request becomes a chat in every dialect, or names what of its prompt does not; false where there is none.
fn recorded_request(form: Form, body: &Value, name: &str) -> bool {
    if body.is_null() {
        return false;
    }
    match form.read(body.to_string().as_bytes(), "") {
        Ok(work) => {
            let work = work.expect("prompts can become chats");
            for dialect in Dialect::ALL {
                let (chat, _) = encoded(&work, dialect, &Quirks::default());
                assert!(dialect.decode_request(&chat).is_ok(), "{name} to {}", dialect.name());
            }
        }
        Err(fault) => {
            let known = [("prompt", "/prompt"), ("max_tokens", "/max_tokens")];
            let field = known.iter().find(|(param, _)| fault.param.as_deref() == Some(param));
            let value = field.and_then(|(_, at)| body.pointer(at));
            let text = value.and_then(Value::as_str).is_some_and(|text| !text.is_empty());
            assert!(value.is_some() && !text, "{name}: {fault}");
        }
    }
    true
}

/// What was used is found in an answer, and its end; false where there is none.
fn recorded_answer(form: Form, response: &Value, name: &str) -> bool {
    let streamed = response["sse"].as_str().or(response["ndjson"].as_str());
    let (mode, body) = match streamed {
        Some(text) => (Mode::Stream, text.to_owned()),
        None => (Mode::Whole, response["body"].to_string()),
    };
    if response["status"].as_u64() != Some(200) {
        return false;
    }
    let mut fold = Fold::default();
    let mut watcher = form.watcher(mode).expect("answers are watched");
    frames(form.dialect().framing(mode), body.as_bytes(), &mut *watcher, &mut |event| fold.event(&event));
    let (seen, fault) = fold.finish();
    assert!(watcher.complete() && fault.is_none(), "{name}: {fault:?}");
    let reports = body.contains("\"eval_count\"") || body.contains("\"completion_tokens\"");
    assert_eq!(seen.usage.is_some_and(|usage| usage.output_tokens > 0), reports, "{name}");
    true
}

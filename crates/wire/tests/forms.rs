//! The laws of embeddings and rankings over recorded traffic: a folder of `<provider>/<api>.jsonl` files, named by
//! `TOLLGATE_CORPUS`. Without it there is nothing to test, and the test says so.
//!
//! A body in its own form goes on byte for byte; that it is also what its own form writes of it shows that nothing was
//! overlooked. In another form it says the same or tells what is lost, and numbers keep every bit.

#[path = "support/json.rs"]
mod json;
#[path = "support/vectors.rs"]
mod vectors;

use std::{collections::BTreeMap, env, fs, path::Path};

use json::canonical;
use serde_json::{Map, Value, json};
use tollgate_wire::{Form, LossKind, Losses, Operation, Work};
use vectors::{Scores, scores, vectors};

const MODEL: &str = "model-of-the-target";

/// What each file holds.
const FILES: [(&str, Form); 9] = [
    ("openai.embeddings.jsonl", Form::OpenaiEmbeddings),
    ("mistral.embeddings.jsonl", Form::OpenaiEmbeddings),
    ("voyage.embeddings.jsonl", Form::VoyageEmbeddings),
    ("cohere.embed.jsonl", Form::CohereEmbed),
    ("gemini.embedContent.jsonl", Form::GeminiEmbed),
    ("ollama.embed.jsonl", Form::OllamaEmbed),
    ("cohere.rerank.jsonl", Form::CohereRerank),
    ("rerank.jsonl", Form::JinaRerank),
    ("rerank.jsonl", Form::VoyageRerank),
];

/// A member of a form's bodies, and why it may differ.
type Spelling = (Form, &'static str, &'static str);

/// Records that break a law, and why they may.
const EXCEPTIONS: &[(&str, &str)] = &[
    (
        "cohere-cohere-embed-466a767a99",
        "an answer of the API's first version has a list without the kind of its numbers",
    ),
    (
        "cohere-cohere-embed-6e6e65dcf1",
        "an answer of the API's first version has a list without the kind of its numbers",
    ),
    ("gemini-gemini-embedContent-bcbb74db14", "outputDimensionality came in snake case"),
    ("gemini-gemini-embedContent-c6affe7130", "outputDimensionality came in snake case"),
    (
        "gemini-gemini-embedContent-f5bf759ed3",
        "pictures stay with their own form, where they go on as they are",
    ),
    ("mistral-mistral-embeddings-f43d58a9a6", "dimensions came by Mistral's name, output_dimension"),
    ("ollama-ollama-embed-cada2357ed", "a request of the older form is written as the newer"),
    ("perplexity-openai-embeddings-e237832c44", "its vectors are bytes in base64, which no other form knows"),
    ("vertex-gemini-embedContent-ac6b51017c", "one content is written as a batch of one"),
];

/// Members of requests that their own form writes otherwise, or writes though they were left out.
const REQUEST_SPELLINGS: &[Spelling] = &[
    (Form::CohereEmbed, "embedding_types", "floats are asked for where nothing is said"),
    (Form::GeminiEmbed, "requests.model", "the model of the target"),
    (Form::JinaRerank, "return_documents", "documents are known here and are not asked back"),
];

/// Members of answers that no form keeps.
const ANSWER_SPELLINGS: &[Spelling] = &[
    (Form::CohereEmbed, "images", "the sizes of pictures"),
    (Form::CohereEmbed, "meta.api_version", "always told as the second"),
    (Form::CohereEmbed, "meta.billed_units.image_tokens", "told where there are any"),
    (Form::CohereEmbed, "texts", "older models tell them in lower case; they are told as they were asked"),
    (Form::CohereRerank, "meta.api_version", "always told as the second"),
    (Form::GeminiEmbed, "usageMetadata.promptTokenDetails", "tokens by modality"),
    (Form::GeminiEmbed, "usageMetadata.promptTokensDetails", "tokens by modality"),
    (Form::GeminiEmbed, "usageMetadata.totalTokenCount", "the same as promptTokenCount"),
    (Form::JinaRerank, "id", "Jina's own answers have none"),
    (Form::JinaRerank, "object", "always told"),
    (Form::JinaRerank, "provider", "who answered its router"),
    (Form::JinaRerank, "results.document", "told where the request does not say otherwise"),
    (Form::JinaRerank, "usage", "tokens in the name of the total alone"),
    (Form::OllamaEmbed, "load_duration", "times"),
    (Form::OllamaEmbed, "total_duration", "times"),
    (Form::OpenaiEmbeddings, "object", "always told"),
    (Form::OpenaiEmbeddings, "usage", "tokens of the input alone"),
    (Form::OpenaiEmbeddings, "id", "OpenAI's own answers have none"),
    (Form::OpenaiEmbeddings, "created", "OpenAI's own answers have none"),
    (Form::OpenaiEmbeddings, "provider", "who answered its router"),
    (Form::VoyageEmbeddings, "usage", "told in OpenAI's names too"),
];

#[test]
fn recorded_forms_keep_the_laws() {
    let Some(folder) = env::var_os("TOLLGATE_CORPUS") else {
        eprintln!("skipped: TOLLGATE_CORPUS names no folder of recorded traffic");
        return;
    };
    let mut report = Report::default();
    for (form, record) in records(Path::new(&folder)) {
        check(form, &record, &mut report);
    }
    report.print();
    assert!(report.counts.values().sum::<usize>() > 0, "the folder holds no such traffic");
    assert!(report.unexplained.is_empty(), "{} records break a law", report.unexplained.len());
}

fn check(form: Form, record: &Value, report: &mut Report) {
    let name = record["id"].as_str().unwrap_or_default();
    let answer = &record["response"]["body"];
    let method = method(form, record);
    let mut found = Vec::new();
    let body = &record["request"]["body"];
    if body.is_object() {
        report.count(form, "requests");
        found.extend(check_request(form, body, method, report).err().map(|what| format!("request: {what}")));
    }
    let status = record["response"]["status"].as_u64().unwrap_or(200);
    if status >= 400 {
        report.count(form, "error answers");
        let fault = form.dialect().decode_fault(status as u16, None, answer.to_string().as_bytes());
        if fault.message.is_empty() {
            found.push("error: it says nothing".to_owned());
        }
    } else if answer.is_object() {
        report.count(form, "answers");
        let request = if body.is_object() { body.clone() } else { asked(form, answer) };
        let request = fitting(form, request, answer);
        found.extend(
            check_answer(form, &request, method, answer, report).err().map(|what| format!("answer: {what}")),
        );
    }
    match EXCEPTIONS.iter().find(|(known, _)| *known == name) {
        Some((_, reason)) if found.is_empty() => {
            report.unexplained.push(format!("{name} is no exception: {reason}"));
        }
        Some((_, reason)) => report.explained.push(format!("{name}: {reason}")),
        None => report.unexplained.extend(found.iter().map(|what| format!("{name}: {what}"))),
    }
}

fn check_request(form: Form, body: &Value, method: &str, report: &mut Report) -> Result<(), String> {
    let work = read(form, body, method)?;
    let (again, losses) = write(form, &work)?;
    same(&spelt(form, body, REQUEST_SPELLINGS, &losses), &spelt(form, &again, REQUEST_SPELLINGS, &losses))?;
    report.count(form, "requests identical");
    for target in others(form) {
        let (crossed, losses) = write(target, &work)?;
        if losses.iter().any(|loss| loss.kind == LossKind::Vital) {
            report.count(form, "requests refused by another form");
            continue;
        }
        let there = read(target, &crossed, usual_method(target))
            .map_err(|what| format!("crossed to {} and {what}", target.name()))?;
        if !losses.is_empty() {
            report.count(form, "requests crossed with losses");
            continue;
        }
        report.count(form, "requests crossed whole");
        let (back, losses) = write(form, &there)?;
        if losses.is_empty() {
            asked_for(&asking(form, &again), &asking(form, &back))
                .map_err(|what| format!("to {} and back: {what}", target.name()))?;
        }
    }
    Ok(())
}

fn check_answer(
    form: Form,
    request: &Value,
    method: &str,
    answer: &Value,
    report: &mut Report,
) -> Result<(), String> {
    let work = read(form, request, method)?;
    let bytes = answer.to_string();
    let turned = |to: Form, work: &Work| -> Result<Value, String> {
        let answered = to.turn(form, work, bytes.as_bytes(), "id").map_err(|fault| fault.to_string())?;
        if answered.usage != form.usage(bytes.as_bytes()) {
            return Err("what was used is told otherwise".to_owned());
        }
        serde_json::from_slice(&answered.body).map_err(|error| error.to_string())
    };
    let none = Losses::default();
    let again = turned(form, &work)?;
    same(&spelt(form, answer, ANSWER_SPELLINGS, &none), &spelt(form, &again, ANSWER_SPELLINGS, &none))?;
    if form.usage(again.to_string().as_bytes()).unwrap_or_default()
        != form.usage(bytes.as_bytes()).unwrap_or_default()
    {
        return Err("what was used is read otherwise from what was written".to_owned());
    }
    report.count(form, "answers identical");
    for target in others(form) {
        let (asked, losses) = write(target, &work)?;
        if losses.iter().any(|loss| loss.kind == LossKind::Vital) {
            continue;
        }
        for asked in spellings(target, asked) {
            let work = read(target, &asked, usual_method(target))?;
            let told = turned(target, &work).map_err(|what| format!("to {}: {what}", target.name()))?;
            if form.operation() == Operation::Embeddings {
                vectors::same_numbers(&vectors(form, answer), &vectors(target, &told))
            } else {
                same_scores(&scores(form, answer), &scores(target, &told))
            }
            .map_err(|what| format!("to {}: {what}", target.name()))?;
            report.count(form, "answers crossed");
        }
    }
    Ok(())
}

fn same_scores(one: &Scores, other: &Scores) -> Result<(), String> {
    if one == other { Ok(()) } else { Err(format!("{one:?} became {other:?}")) }
}

/// A request, and the same for the other spelling of its numbers where the form has one.
fn spellings(form: Form, request: Value) -> Vec<Value> {
    let mut packed = request.clone();
    match form {
        // Base64 holds floats.
        Form::OpenaiEmbeddings | Form::VoyageEmbeddings if is_float(&request) => {
            packed["encoding_format"] = json!("base64");
            vec![request, packed]
        }
        _ => vec![request],
    }
}

fn is_float(request: &Value) -> bool {
    request.get("output_dtype").is_none_or(|kind| kind == "float")
}

fn read(form: Form, body: &Value, method: &str) -> Result<Work, String> {
    let work = form.read(body.to_string().as_bytes(), method);
    work.map_err(|fault| format!("refused: {fault}"))?.ok_or_else(|| "is not read".to_owned())
}

fn write(form: Form, work: &Work) -> Result<(Value, Losses), String> {
    let mut losses = Losses::default();
    let (body, _) = form.write(work, MODEL, &mut losses).ok_or("is not written")?;
    Ok((serde_json::from_slice(&body).map_err(|error| error.to_string())?, losses))
}

fn others(form: Form) -> impl Iterator<Item = Form> {
    Form::ALL.into_iter().filter(move |other| *other != form && form.reaches(*other))
}

/// A body without what its form spells otherwise, without what is lost, and without what says nothing.
fn spelt(form: Form, body: &Value, spellings: &[Spelling], losses: &Losses) -> Value {
    let mut body = body.clone();
    for (_, path, _) in spellings.iter().filter(|(known, _, _)| *known == form) {
        remove(&mut body, &path.split('.').collect::<Vec<&str>>());
    }
    for loss in losses.iter() {
        remove(&mut body, &loss.path.split('.').collect::<Vec<&str>>());
    }
    remove(&mut body, &["model"]);
    without_nulls(&mut body);
    body
}

/// What a request asks for, however its numbers are to be written: another form answers in its own, which is turned.
fn asking(form: Form, body: &Value) -> Value {
    let mut body = spelt(form, body, REQUEST_SPELLINGS, &Losses::default());
    remove(&mut body, &["encoding_format"]);
    if let Some(input) = body.get_mut("input").filter(|input| input.is_string()) {
        *input = json!([input]);
    }
    body
}

/// Whether all that one request asks for is asked for in another, which may say what the first left out.
fn asked_for(one: &Value, other: &Value) -> Result<(), String> {
    match (one, other) {
        (Value::Object(ones), Value::Object(others)) => {
            ones.iter().try_for_each(|(name, one)| asked_for(one, others.get(name).unwrap_or(&Value::Null)))
        }
        (Value::Array(ones), Value::Array(others)) if ones.len() == others.len() => {
            ones.iter().zip(others).try_for_each(|(one, other)| asked_for(one, other))
        }
        _ => same(one, other),
    }
}

/// Removes a member; lists on the way are gone through.
fn remove(value: &mut Value, path: &[&str]) {
    match (value, path) {
        (Value::Object(members), [last]) => {
            members.remove(*last);
        }
        (Value::Object(members), [first, rest @ ..]) => {
            if let Some(inner) = members.get_mut(*first) {
                remove(inner, rest);
            }
        }
        (Value::Array(items), path) => items.iter_mut().for_each(|item| remove(item, path)),
        _ => {}
    }
}

fn without_nulls(value: &mut Value) {
    match value {
        Value::Object(members) => {
            members.retain(|_, value| !value.is_null());
            members.values_mut().for_each(without_nulls);
        }
        Value::Array(items) => items.iter_mut().for_each(without_nulls),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn same(one: &Value, other: &Value) -> Result<(), String> {
    let text = |value: &Value| canonical(value.to_string().as_bytes()).unwrap_or_default();
    let (one, other) = (text(one), text(other));
    if one == other {
        return Ok(());
    }
    let lines = one.lines().zip(other.lines()).find(|(one, other)| one != other);
    let (one, other) = lines.unwrap_or(("(its end)", "(its end)"));
    let cut = |line: &str| line.trim().chars().take(120).collect::<String>();
    Err(format!("{} became {}", cut(one), cut(other)))
}

/// What the address of a request says, or what its answer shows.
fn method(form: Form, record: &Value) -> &'static str {
    let url = record["request"]["url"].as_str().unwrap_or_default();
    let single = record["response"]["body"].get("embedding").is_some();
    match form {
        Form::GeminiEmbed if url.contains(":embedContent") || (url.is_empty() && single) => "embedContent",
        Form::OllamaEmbed if url.ends_with("/api/embeddings") => "dings",
        _ => usual_method(form),
    }
}

fn usual_method(form: Form) -> &'static str {
    if form == Form::GeminiEmbed { "batchEmbedContents" } else { "" }
}

/// A request that an answer may be to, where none was recorded.
fn asked(form: Form, answer: &Value) -> Value {
    let count = vectors(form, answer).len().max(scores(form, answer).len()).max(1);
    let texts = vec!["text"; count];
    match form {
        Form::CohereEmbed => json!({"texts": answer["texts"]}),
        Form::GeminiEmbed if answer.get("embedding").is_some() => {
            json!({"content": {"parts": [{"text": "text"}]}})
        }
        Form::GeminiEmbed => {
            let one = json!({"content": {"parts": [{"text": "text"}]}});
            json!({"requests": vec![one; count]})
        }
        Form::CohereRerank | Form::JinaRerank | Form::VoyageRerank => {
            json!({"query": "q", "documents": texts})
        }
        _ => json!({"input": texts}),
    }
}

/// The request with the kinds of numbers that it was answered in, where it does not say.
fn fitting(form: Form, mut request: Value, answer: &Value) -> Value {
    let packed = answer.pointer("/data/0/embedding").is_some_and(Value::is_string);
    let Some(members) = request.as_object_mut() else { return request };
    match form {
        Form::OpenaiEmbeddings | Form::VoyageEmbeddings if packed => {
            members.insert("encoding_format".to_owned(), json!("base64"));
        }
        Form::CohereEmbed => {
            let kinds = answer["embeddings"].as_object().map(Map::keys);
            let kinds: Vec<&String> = kinds.into_iter().flatten().collect();
            members.insert("embedding_types".to_owned(), json!(kinds));
        }
        _ => {}
    }
    request
}

fn records(folder: &Path) -> Vec<(Form, Value)> {
    let mut providers: Vec<_> = fs::read_dir(folder)
        .expect("TOLLGATE_CORPUS names a folder that can be read")
        .map(|entry| entry.expect("its entries can be read").path())
        .collect();
    providers.sort();
    let mut records = Vec::new();
    for provider in providers {
        let voyage = provider.ends_with("voyage");
        for (file, form) in FILES {
            if form.operation() == Operation::Rerank && voyage != (form == Form::VoyageRerank) {
                continue;
            }
            let Ok(text) = fs::read_to_string(provider.join(file)) else { continue };
            let parsed = text.lines().map(|line| serde_json::from_str(line).expect("each line is a record"));
            records.extend(parsed.map(|record| (form, record)));
        }
    }
    records
}

#[derive(Default)]
struct Report {
    counts: BTreeMap<(&'static str, &'static str), usize>,
    explained: Vec<String>,
    unexplained: Vec<String>,
}

impl Report {
    fn count(&mut self, form: Form, what: &'static str) {
        *self.counts.entry((form.name(), what)).or_default() += 1;
    }

    fn print(&self) {
        for ((form, what), count) in &self.counts {
            eprintln!("{form:20} {what:34} {count}");
        }
        for (form, path, why) in REQUEST_SPELLINGS.iter().chain(ANSWER_SPELLINGS) {
            eprintln!("spelling: {} {path}: {why}", form.name());
        }
        for line in &self.explained {
            eprintln!("exception: {line}");
        }
        for line in &self.unexplained {
            eprintln!("unexplained: {line}");
        }
    }
}

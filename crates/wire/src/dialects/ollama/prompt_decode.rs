//! Requests to go on from a prompt: bytes to meaning (<https://docs.ollama.com/api/generate>).

use serde_json::value::RawValue;

use super::{request_decode, words};
use crate::{
    Fault, Losses,
    forms::SpokenPrompt,
    json::{Object, ObjectWriter, write_array},
};

/// Reads a request as a chat whose user says the prompt. What the two APIs have in common has the same names.
pub(super) fn decode_request(body: &[u8]) -> Result<SpokenPrompt, Fault> {
    let mut object = Object::parse(body)?;
    if object.peek("messages").is_some() {
        return Err(Fault::invalid("messages", "is taken by /api/chat; send a prompt here"));
    }
    let prompt = object.string("prompt")?.unwrap_or_default();
    let system = object.string("system")?.filter(|system| !system.is_empty());
    let losses = read_unsaid(&mut object)?;
    let unasked = prompt.is_empty().then(|| unasked(object.peek("keep_alive")));
    let mut messages: Vec<Vec<u8>> = Vec::with_capacity(2);
    messages.extend(system.as_ref().map(|system| message("system", system, None)));
    messages.push(message("user", &prompt, object.take_some("images")));
    let user = messages.len() - 1;
    let mut text = Vec::with_capacity(body.len() + 64);
    let mut chat = ObjectWriter::open(&mut text);
    write_array(chat.key("messages"), messages, |out, message| out.extend_from_slice(&message));
    for (name, value) in object.iter().filter(|(_, value)| value.get() != "null") {
        chat.raw(name, value.get());
    }
    chat.close();
    let paths = user_paths(user, system.is_some());
    let own = |fault: Fault| match &fault.param {
        Some(param) => {
            let firsts: Vec<(&str, &str)> = paths.iter().map(|(from, to)| (from.as_str(), *to)).collect();
            let param = Some(crate::paths::renamed(param, &firsts, &[]));
            Fault { param, ..fault }
        }
        None => fault,
    };
    let chat = request_decode::decode_request(&text).map_err(own)?;
    Ok(SpokenPrompt { chat, pictures: None, losses, paths, echo: String::new(), unasked })
}

/// Where the user's message stood in the body, and the system's before it.
fn user_paths(user: usize, system: bool) -> Vec<(String, &'static str)> {
    let members = [(".images", "images"), (".content", "prompt"), ("", "prompt")];
    let mut paths: Vec<(String, &'static str)> =
        members.map(|(member, name)| (format!("messages[{user}]{member}"), name)).to_vec();
    if system {
        paths.extend([".content", ""].map(|member| (format!("messages[0]{member}"), "system")));
    }
    paths
}

fn message(role: &str, text: &str, images: Option<&RawValue>) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len() + 64);
    let mut object = ObjectWriter::open(&mut out);
    object.string("role", role);
    object.string("content", text);
    if let Some(images) = images {
        object.raw("images", images.get());
    }
    object.close();
    out
}

/// What no chat can say.
fn read_unsaid(object: &mut Object<'_>) -> Result<Losses, Fault> {
    let mut losses = Losses::default();
    if object.string("suffix")?.is_some_and(|suffix| !suffix.is_empty()) {
        losses.vital("suffix", "a chat model goes on from a text, and does not fill a gap in it");
    }
    if object.array("context")?.is_some_and(|tokens| !tokens.is_empty()) {
        losses.vital("context", "an earlier exchange in token numbers is read by its own model only");
    }
    if object.string("template")?.is_some_and(|template| !template.is_empty()) {
        losses.dropped("template", "a chat has its model's own template");
    }
    if object.boolean("raw")? == Some(true) {
        losses.dropped("raw", "a chat has its model's own template");
    }
    Ok(losses)
}

/// Without a prompt the model is only loaded, or unloaded where it shall be kept for no time
/// (<https://github.com/ollama/ollama/blob/main/docs/api.md#load-a-model>).
fn unasked(keep_alive: Option<&RawValue>) -> fn(&str, i64) -> Vec<u8> {
    let time = keep_alive.map_or("", |raw| raw.get().trim_matches('"'));
    if time.trim_end_matches(['s', 'm', 'h']).parse() == Ok(0.0) {
        |model, now_s| answered(model, now_s, "unload")
    } else {
        |model, now_s| answered(model, now_s, "load")
    }
}

fn answered(model: &str, now_s: i64, reason: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(128);
    let mut object = ObjectWriter::open(&mut out);
    object.string("model", model);
    object.string("created_at", &words::date(now_s));
    object.string("response", "");
    object.boolean("done", true);
    object.string("done_reason", reason);
    object.close();
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_chat_cannot_say_is_told() {
        let check = |members: &str, expected: &[&str]| {
            let body = format!(r#"{{"model":"m","prompt":"a",{members}}}"#);
            let spoken = decode_request(body.as_bytes()).unwrap();
            let told: Vec<String> =
                spoken.losses.iter().map(|loss| format!("{:?} {}", loss.kind, loss.path)).collect();
            assert_eq!(told, expected, "{members}");
        };
        check(r#""suffix":null,"context":[],"template":"","raw":false,"images":null"#, &[]);
        check(r#""suffix":"b","context":[1]"#, &["Vital suffix", "Vital context"]);
        check(r#""template":"{{ .Prompt }}","raw":true"#, &["Dropped template", "Dropped raw"]);
    }

    #[test]
    fn faults_name_the_caller_s_own_fields() {
        let check = |members: &str, expected: &str| {
            let body = format!(r#"{{"model":"m",{members}}}"#);
            let fault = decode_request(body.as_bytes()).map(|_| ()).unwrap_err();
            assert_eq!(fault.param.as_deref(), Some(expected), "{members}");
        };
        check(r#""prompt":7"#, "prompt");
        check(r#""prompt":"a","images":"b""#, "images");
        check(r#""prompt":"a","system":"b","images":[7]"#, "images[0]");
        check(r#""prompt":"a","options":{"temperature":"hot"}"#, "options.temperature");
        check(r#""messages":[]"#, "messages");
    }

    #[test]
    fn without_a_prompt_the_model_is_loaded() {
        let check = |members: &str, expected: Option<&str>| {
            let body = format!(r#"{{"model":"m"{members}}}"#);
            let spoken = decode_request(body.as_bytes()).unwrap();
            let told = spoken.unasked.map(|answer| String::from_utf8(answer("m", 0)).unwrap());
            let expected = expected.map(|reason| {
                format!(r#"{{"model":"m","created_at":"1970-01-01T00:00:00Z","response":"","done":true,"done_reason":"{reason}"}}"#)
            });
            assert_eq!(told, expected, "{members}");
        };
        check(r#","prompt":"a""#, None);
        check("", Some("load"));
        check(r#","prompt":"","keep_alive":"5m""#, Some("load"));
        check(r#","keep_alive":0"#, Some("unload"));
        check(r#","keep_alive":"0s""#, Some("unload"));
        check(r#","keep_alive":-1"#, Some("load"));
    }
}

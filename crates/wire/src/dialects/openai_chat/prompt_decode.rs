//! Text completions: requests to meaning (<https://platform.openai.com/docs/api-reference/completions>).

use serde_json::value::RawValue;

use super::request_decode;
use crate::{
    Fault, Losses,
    forms::SpokenPrompt,
    json::{self, Object, ObjectWriter, Raw},
};

/// Reads a request as a chat whose user says the prompt. What the two APIs have in common has the same names.
pub(super) fn decode_request(body: &[u8]) -> Result<SpokenPrompt, Fault> {
    let mut object = Object::parse(body)?;
    if object.peek("messages").is_some() {
        return Err(Fault::invalid("messages", "is taken by /v1/chat/completions; send a prompt here"));
    }
    let prompt = prompt(object.take("prompt"))?;
    let mut losses = Losses::default();
    let echo = object.boolean("echo")?.unwrap_or_default();
    let logprobs = object.unsigned("logprobs")?;
    read_unsaid(&mut object, &mut losses)?;
    if echo && logprobs.is_some() {
        losses.approximated("echo", "the prompt has no log probabilities there");
    }
    let mut text = Vec::with_capacity(body.len() + 64);
    let mut chat = ObjectWriter::open(&mut text);
    let said = Raw::string(&prompt);
    chat.raw("messages", &format!("[{{\"role\":\"user\",\"content\":{}}}]", said.text()));
    if let Some(count) = logprobs {
        chat.boolean("logprobs", true);
        if count > 0 {
            chat.value("top_logprobs", &count);
        }
    }
    // What is null says nothing, and chat may not know its name.
    for (name, value) in object.iter().filter(|(_, value)| value.get() != "null") {
        chat.raw(name, value.get());
    }
    chat.close();
    let mut chat = request_decode::decode_request(&text)?;
    if chat.output_tokens_max == Some(0) {
        return Err(Fault::invalid("max_tokens", "must be at least 1: a chat model does not score a prompt"));
    }
    // Whichever name the target's API has for it.
    chat.output_limit_name = None;
    let paths = [("messages[0].content", "prompt"), ("messages[0]", "prompt"), ("top_logprobs", "logprobs")];
    Ok(SpokenPrompt {
        chat,
        pictures: None,
        losses,
        paths: paths.map(|(from, to)| (from.to_owned(), to)).to_vec(),
        echo: if echo { prompt } else { String::new() },
        unasked: None,
    })
}

/// The text to go on from: one, as a string or as a list of one.
fn prompt(raw: Option<&RawValue>) -> Result<String, Fault> {
    let invalid = |message: String| Err(Fault::invalid("prompt", message));
    let Some(raw) = raw.filter(|raw| raw.get() != "null") else {
        return invalid("is missing; send the text to go on from".to_owned());
    };
    let listed = if raw.get().starts_with('[') { json::array(raw)? } else { vec![raw] };
    let prompt = match listed.as_slice() {
        [one] if one.get().starts_with('"') => json::string(one)?.into_owned(),
        [one] if !matches!(json::kind_of(one), "a number" | "an array") => {
            return invalid(format!("must be a string, not {}", json::kind_of(one)));
        }
        texts if texts.len() > 1 && texts.iter().all(|text| text.get().starts_with('"')) => {
            return invalid(format!(
                "has {} texts, and a chat model answers one: send a request for each",
                texts.len()
            ));
        }
        [] => String::new(),
        _ => return invalid("has token numbers, which a chat model does not take: send text".to_owned()),
    };
    if prompt.is_empty() {
        return invalid("is empty; send the text to go on from".to_owned());
    }
    Ok(prompt)
}

/// What no chat can say.
fn read_unsaid(object: &mut Object<'_>, losses: &mut Losses) -> Result<(), Fault> {
    if object.string("suffix")?.is_some_and(|suffix| !suffix.is_empty()) {
        losses.vital("suffix", "a chat model goes on from a text, and does not fill a gap in it");
    }
    let choices = object.peek("n").and_then(|raw| raw.get().parse().ok()).unwrap_or(1);
    if object.unsigned("best_of")?.is_some_and(|tries| tries > choices) {
        losses.dropped("best_of", "all answers that are made are told there");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prompts_are_texts() {
        let check = |prompt: &str, expected: Result<&str, &str>| {
            let raw = serde_json::from_str(prompt).unwrap();
            match (super::prompt(Some(raw)), expected) {
                (Ok(text), Ok(expected)) => assert_eq!(text, expected, "{prompt}"),
                (Err(fault), Err(expected)) => {
                    assert_eq!(fault.param.as_deref(), Some("prompt"));
                    assert!(fault.message.contains(expected), "{prompt}: {fault}");
                }
                (found, _) => panic!("{prompt}: {found:?}"),
            }
        };
        check(r#""a\nb""#, Ok("a\nb"));
        check(r#"["a"]"#, Ok("a"));
        check(r#"["a","b","c"]"#, Err("has 3 texts"));
        check("[1,2]", Err("token numbers"));
        check("[1]", Err("token numbers"));
        check("[[1,2],[3]]", Err("token numbers"));
        check("7", Err("token numbers"));
        check("true", Err("must be a string, not a boolean"));
        check("[]", Err("is empty"));
        check(r#""""#, Err("is empty"));
        check("null", Err("is missing"));
    }

    #[test]
    fn what_a_chat_cannot_say_is_told() {
        let check = |members: &str, expected: &[&str]| {
            let body = format!(r#"{{"model":"m","prompt":"a",{members}}}"#);
            let spoken = decode_request(body.as_bytes()).unwrap();
            let told: Vec<String> =
                spoken.losses.iter().map(|loss| format!("{:?} {}", loss.kind, loss.path)).collect();
            assert_eq!(told, expected, "{members}");
        };
        check(r#""suffix":null,"echo":null,"best_of":null,"logprobs":null"#, &[]);
        check(r#""suffix":"","echo":true,"best_of":1,"logprobs":3"#, &["Approximated echo"]);
        check(r#""suffix":"b","n":2,"best_of":2"#, &["Vital suffix"]);
        check(r#""n":2,"best_of":3"#, &["Dropped best_of"]);
        let refused = |members: &str| {
            let body = format!(r#"{{"model":"m","prompt":"a",{members}}}"#);
            decode_request(body.as_bytes()).map(|_| ()).unwrap_err().param
        };
        assert_eq!(refused(r#""max_tokens":0"#).as_deref(), Some("max_tokens"));
        assert_eq!(refused(r#""logprobs":true"#).as_deref(), Some("logprobs"));
        assert_eq!(refused(r#""messages":[]"#).as_deref(), Some("messages"));
    }
}

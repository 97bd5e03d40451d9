//! What every encoder does with what comes from another dialect.

use std::borrow::Cow;

use crate::{
    Dialect, Fault, Losses,
    ir::{Ext, ExtRef, Message, OutputFormat, PartKind, Place, Reasoning, Request},
    json::Raw,
};

/// Refuses a request that holds nothing to answer. Its own provider may know what it is about all the same, by a prompt or
/// a conversation that it keeps; no other does.
pub fn must_ask(request: &Request) -> Result<(), Fault> {
    let (name, hint) = match request.dialect {
        Dialect::OpenaiResponses => ("input", "instructions"),
        Dialect::BedrockConverse => ("messages", ""),
        // These are refused when they are read; without messages, Ollama's only loads its model.
        Dialect::OpenaiChat
        | Dialect::AnthropicMessages
        | Dialect::Gemini
        | Dialect::CohereV2
        | Dialect::Ollama => return Ok(()),
    };
    let asks = |message: &Message| message.ext.get(hint).is_none();
    if request.messages.iter().any(asks) {
        return Ok(());
    }
    Err(Fault::invalid(name, "is missing; send what is to be answered"))
}

/// A request that other dialects can tell as it is.
pub(crate) fn as_it_is<'r>(request: &'r Request, _: &mut Losses) -> Cow<'r, Request> {
    Cow::Borrowed(request)
}

/// Members of a message that say something which no part says. Reasoning stands in parts as well.
pub(crate) fn unread(message: &Message) -> Ext {
    let reasons = message
        .content
        .parts
        .iter()
        .any(|part| matches!(part.kind, PartKind::Reasoning { .. } | PartKind::RedactedReasoning { .. }));
    let read = ["reasoning", "reasoning_content", "reasoning_details"];
    let kept = message.ext.0.iter().filter(|(name, raw)| {
        let known = reasons && read.contains(&name.as_str());
        !known && !matches!(raw.text(), "[]" | "\"\"")
    });
    Ext(kept.cloned().collect())
}

/// A call's arguments as an object. Models err: what is no object is wrapped, so that the call is not lost. `own` is
/// whether they come from the same dialect, and go on as they are when they are JSON at all.
pub(crate) fn arguments<'t>(
    arguments: &'t str,
    own: bool,
    path: impl FnOnce() -> String,
    losses: &mut Losses,
) -> Cow<'t, str> {
    match Raw::parse(arguments) {
        Some(_) if own || arguments.trim_start().starts_with('{') => Cow::Borrowed(arguments),
        None if arguments.trim().is_empty() => Cow::Borrowed("{}"),
        Some(_) | None => {
            losses.approximated(path(), "the arguments are no JSON object");
            Cow::Owned(format!("{{\"arguments\":{}}}", Raw::string(arguments).text()))
        }
    }
}

/// Tells what is lost of a wish to think beside how much: not how thoughts are told, which means nothing where there
/// is one way.
pub(crate) fn report_reasoning(reasoning: &Reasoning, losses: &mut Losses) {
    let told = ["type", "summary", "generate_summary", "display", "exclude"];
    let kept = reasoning.ext.0.iter().filter(|(name, _)| !told.contains(&name.as_str())).cloned();
    losses.ext("reasoning", &Ext(kept.collect()));
}

/// Tells what is lost of a format where only its schema is taken, and always kept to.
pub(crate) fn report_format(output: &OutputFormat, losses: &mut Losses) {
    let OutputFormat::JsonSchema { name, description, strict, ext, .. } = output else { return };
    if description.is_some() {
        losses.dropped("output.description", "a format has no description there");
    }
    if name.is_some() {
        losses.approximated("output.name", "a format has no name there");
    }
    if *strict == Some(false) {
        losses.approximated("output.strict", "a schema is always kept to there");
    }
    losses.ext("output", ext);
}

/// Tells what is lost of the members of an answer that only its own dialect knows.
pub(crate) fn report_ext(place: Place, ext: &ExtRef<'_>, losses: &mut Losses) {
    let path = match place {
        // What repeats the request means nothing elsewhere.
        Place::Echo => return,
        Place::Choice(_) => "response.choices",
        Place::Message(_) => "response.message",
        Place::Response => "response",
    };
    losses.answer_ext(path, &ext.to_owned());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_that_holds_nothing_to_answer_is_refused() {
        let check = |dialect: Dialect, body: &str, field: Option<&str>| {
            let fault = must_ask(&dialect.decode_request(body.as_bytes()).unwrap()).err();
            assert_eq!(fault.and_then(|fault| fault.param).as_deref(), field, "{body}");
        };
        check(Dialect::OpenaiResponses, r#"{"model":"m"}"#, Some("input"));
        check(Dialect::OpenaiResponses, r#"{"model":"m","input":[]}"#, Some("input"));
        check(Dialect::OpenaiResponses, r#"{"model":"m","instructions":"be short"}"#, Some("input"));
        check(Dialect::OpenaiResponses, r#"{"model":"m","input":"hi"}"#, None);
        check(Dialect::OpenaiResponses, r#"{"model":"m","input":[{"role":"system","content":"s"}]}"#, None);
        check(Dialect::BedrockConverse, "{}", Some("messages"));
        check(Dialect::BedrockConverse, r#"{"messages":[]}"#, Some("messages"));
        check(Dialect::BedrockConverse, r#"{"messages":[{"role":"user","content":[{"text":"hi"}]}]}"#, None);
        check(Dialect::Ollama, r#"{"model":"m"}"#, None);
    }
}

//! A request of this dialect as other dialects tell it: what a model said between two turns of the user is one message
//! there.
//!
//! Callers that stream keep what they saw, each chunk as a content of its own
//! (<https://googleapis.github.io/python-genai/#send-message-streaming>): a thought in pieces and behind it its seal with
//! an empty text, a text in pieces, an empty text at the end. Who sealed a thought wants it back whole, and results must
//! follow their calls.

use std::borrow::Cow;

use crate::{
    Losses,
    ir::{Form, Message, Part, PartKind, Request, Role},
    seal,
};

/// The request with the pieces of a turn in one message, and each seal with its thought.
pub(super) fn joined<'r>(request: &'r Request, _: &mut Losses) -> Cow<'r, Request> {
    let in_pieces = request.messages.windows(2).any(|pair| match pair {
        [last, next] => continues(last, next),
        _ => false,
    });
    let lone = request.messages.iter().flat_map(|message| &message.content.parts).any(is_lone_seal);
    if !in_pieces && !lone {
        return Cow::Borrowed(request);
    }
    let mut joined: Vec<Message> = Vec::with_capacity(request.messages.len());
    for message in &request.messages {
        let mut message = message.clone();
        if message.role == Role::Assistant {
            let parts = std::mem::take(&mut message.content.parts);
            match joined.last_mut().filter(|last| continues(last, &message)) {
                Some(last) => {
                    add(&mut last.content.parts, parts, true);
                    last.content.form = Form::List;
                    last.ext.0.append(&mut message.ext.0);
                    continue;
                }
                None => add(&mut message.content.parts, parts, false),
            }
        }
        joined.push(message);
    }
    Cow::Owned(Request { messages: joined, ..request.clone() })
}

/// Where a message of the joined request began, and whether it came in several.
pub(super) fn origin(messages: &[Message], wanted: usize) -> (usize, bool) {
    let mut group = 0;
    let mut begun = (0, false);
    for (at, pair) in messages.windows(2).enumerate() {
        if let [last, next] = pair
            && continues(last, next)
        {
            begun.1 = true;
        } else if group == wanted {
            break;
        } else {
            group += 1;
            begun = (at + 1, false);
        }
    }
    begun
}

fn continues(last: &Message, next: &Message) -> bool {
    last.role == Role::Assistant && next.role == Role::Assistant
}

/// Adds the parts of a content to those before it; of the next content the first may go on where they end.
fn add(parts: &mut Vec<Part>, more: Vec<Part>, next: bool) {
    for (at, mut part) in more.into_iter().enumerate() {
        if parts.last().is_some_and(is_silent) {
            parts.pop();
        }
        if is_lone_seal(&part)
            && let PartKind::Reasoning { text, .. } = &mut part.kind
        {
            *text = thought_at_end(parts);
        }
        let goes_on = next && at == 0 && part.ext.is_empty() && part.cache.is_none();
        let last = parts.last_mut().filter(|last| goes_on && last.ext.is_empty());
        match (last.map(|last| &mut last.kind), part.kind) {
            (
                Some(PartKind::Text { text, annotations }),
                PartKind::Text { text: more, annotations: mut others },
            ) => {
                text.push_str(&more);
                annotations.append(&mut others);
            }
            (
                Some(PartKind::Reasoning { text, signature: signature @ None }),
                PartKind::Reasoning { text: more, signature: seal },
            ) => {
                text.push_str(&more);
                *signature = seal;
            }
            (_, kind) => {
                part.kind = kind;
                if parts.is_empty() || !is_silent(&part) {
                    parts.push(part);
                }
            }
        }
    }
}

/// Whether a part is an empty text, as the last of a stream.
fn is_silent(part: &Part) -> bool {
    matches!(&part.kind, PartKind::Text { text, annotations } if text.is_empty() && annotations.is_empty())
        && part.ext.is_empty()
}

/// Whether a part is a seal that another provider made, without its thought.
fn is_lone_seal(part: &Part) -> bool {
    match &part.kind {
        PartKind::Reasoning { text, signature: Some(seal) } => {
            text.is_empty() && seal::is_marked(seal.as_bytes())
        }
        _ => false,
    }
}

/// Takes the pieces of a thought without a seal with which parts end.
fn thought_at_end(parts: &mut Vec<Part>) -> String {
    let is_piece = |part: &&Part| {
        matches!(part.kind, PartKind::Reasoning { signature: None, .. }) && part.ext.is_empty()
    };
    let pieces = parts.iter().rev().take_while(is_piece).count();
    let pieces = parts.drain(parts.len().saturating_sub(pieces)..);
    let texts = pieces.filter_map(|part| match part.kind {
        PartKind::Reasoning { text, .. } => Some(text),
        _ => None,
    });
    texts.collect()
}

#[cfg(test)]
mod tests {
    use super::super::{request_decode::decode_request, signature::wrapped};
    use super::*;
    use crate::Dialect;

    const USER: &str = r#"{"role":"user","parts":[{"text":"hi"}]}"#;
    const SEAL: &str = r#"{"text":"","thought":true,"thoughtSignature":"SEAL"}"#;
    const ONE: &str = r#"{"text":"one ","thought":true}"#;
    const TWO: &str = r#"{"text":"two","thought":true}"#;
    const SAID: &str = r#"{"text":"I "}"#;
    const MORE: &str = r#"{"text":"say"}"#;
    const NONE: &str = r#"{"text":""}"#;
    const CALL: &str = r#"{"functionCall":{"id":"c","name":"f","args":{}}}"#;

    /// A conversation in which the model said these contents.
    fn conversation(contents: &[&str]) -> Request {
        let seal = wrapped("EqQB", Dialect::AnthropicMessages);
        let contents: Vec<String> = contents
            .iter()
            .map(|parts| format!(r#"{{"role":"model","parts":[{}]}}"#, parts.replace("SEAL", &seal)))
            .collect();
        let body = format!(r#"{{"contents":[{USER},{},{USER}]}}"#, contents.join(","));
        decode_request(body.as_bytes()).unwrap()
    }

    /// What the model said, as another dialect is told it.
    fn check(contents: &[&str], expected: &[&str]) {
        let request = conversation(contents);
        let joined = joined(&request, &mut Losses::default());
        let [_, model, _] = joined.messages.as_slice() else { panic!("{contents:?}: not one turn") };
        let told: Vec<String> = model
            .content
            .parts
            .iter()
            .map(|part| match &part.kind {
                PartKind::Text { text, .. } => format!("says {text}"),
                PartKind::Reasoning { text, signature: None } => format!("thinks {text}"),
                PartKind::Reasoning { text, signature: Some(_) } => format!("seals {text}"),
                PartKind::ToolCall { id, .. } => format!("calls {id}"),
                other => format!("{other:?}"),
            })
            .collect();
        assert_eq!(told, expected, "{contents:?}");
    }

    #[test]
    fn a_seal_finds_its_thought() {
        let whole = ["seals one two", "calls c"];
        check(&[&format!("{ONE},{TWO},{SEAL},{CALL}")], &whole);
        check(&[ONE, TWO, SEAL, CALL], &whole);
        check(&[ONE, &format!("{TWO},{SEAL}"), CALL, NONE], &whole);
        check(&[&format!("{ONE},{CALL},{SEAL}")], &["thinks one ", "calls c", "seals "]);
        check(&[&format!("{ONE},{SEAL},{SEAL}")], &["seals one ", "seals "]);
        // A signature of the provider's own stays where it stood.
        check(&[&format!("{ONE},{}", SEAL.replace("SEAL", "CiMB"))], &["thinks one ", "seals "]);
    }

    #[test]
    fn pieces_of_a_turn_are_one_message() {
        check(&[SAID, MORE, NONE], &["says I say"]);
        check(&[&format!("{SAID},{MORE}"), CALL, NONE], &["says I ", "says say", "calls c"]);
        check(&[NONE, CALL], &["calls c"]);
        check(&[NONE, NONE], &["says "]);
        check(&[ONE, TWO, SAID], &["thinks one two", "says I "]);
    }

    #[test]
    fn places_are_those_of_the_callers_contents() {
        let request = conversation(&[SAID, MORE, NONE]);
        let found: Vec<_> = (0..3).map(|at| origin(&request.messages, at)).collect();
        assert_eq!(found, [(0, false), (1, true), (4, false)]);
        let path = |path| super::super::own_path::own_path(&request, path);
        assert_eq!(path("messages[1].content[0].cache"), "contents[1].cache");
        assert_eq!(path("messages[2].content[0].cache"), "contents[4].parts[0].cache");
    }
}

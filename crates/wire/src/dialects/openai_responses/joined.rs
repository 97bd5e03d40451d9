//! A request of this dialect as other dialects tell it: what an assistant thought, said and called between two turns
//! of the user is one message there.

use std::borrow::Cow;

use super::words::ITEM;
use crate::{
    Losses,
    ir::{Content, Ext, Form, Message, Request, Role},
    json::Raw,
    paths::{Place, renamed},
};

/// The members without which a request means something else, and whose target cannot keep them.
const VITAL: [(&str, &str); 4] = [
    (
        "previous_response_id",
        "only the provider that answered before has that answer; send the whole conversation",
    ),
    ("conversation", "only its own provider keeps the conversation; send it whole"),
    ("prompt", "only its own provider has the prompt"),
    ("background", "only its own provider answers in the background"),
];

/// Names of messages that are hints about how they were spelled.
const HINTS: [&str; 3] = [ITEM, "instructions", "input"];

/// The request with the items of one turn in one message.
pub(super) fn joined<'r>(request: &'r Request, losses: &mut Losses) -> Cow<'r, Request> {
    let mut joined = request.clone();
    joined.messages = Vec::with_capacity(request.messages.len());
    for message in &request.messages {
        let kept = message.ext.0.iter().filter(|(name, _)| !HINTS.contains(&name.as_str())).cloned();
        match joined.messages.last_mut().filter(|last| continues(last.role, message.role)) {
            Some(last) => {
                last.content.parts.extend(message.content.parts.iter().cloned());
                last.content.form = Form::List;
                last.ext.0.extend(kept);
            }
            None => {
                let form = if message.content.form == Form::Bare { Form::Bare } else { Form::List };
                let content = Content { parts: message.content.parts.clone(), form };
                joined.messages.push(Message { role: message.role, content, ext: Ext(kept.collect()) });
            }
        }
    }
    for (name, why) in VITAL {
        let stands = |value: &Raw| !matches!(value.text(), "null" | "false");
        if joined.ext.get(name).is_some_and(stands) {
            losses.vital(name, why);
        }
    }
    joined.ext.0.retain(|(name, value)| match name.as_str() {
        // Seals come back without being asked for, and nothing is kept.
        "include" => value.text() != "[\"reasoning.encrypted_content\"]",
        "store" | "background" => value.text() == "true",
        "truncation" => value.text() != "\"disabled\"",
        "service_tier" => value.text() != "\"auto\"",
        name => !VITAL.iter().any(|(vital, _)| *vital == name),
    });
    Cow::Owned(joined)
}

fn continues(last: Role, next: Role) -> bool {
    last == Role::Assistant && next == Role::Assistant
}

const FIRST: [(&str, &str); 4] = [
    ("tools[].schema", "tools[].parameters"),
    ("output.type", "text.format"),
    ("output", "text.format"),
    ("output_tokens_max", "max_output_tokens"),
];
const LAST: [(&str, &str); 1] = [("cache", "cache_control")];

/// Tells a place in the joined request in this dialect's words.
pub(super) fn own_path(request: &Request, path: &str) -> String {
    let Some(Place { message, part, rest }) = Place::of(path) else { return renamed(path, &FIRST, &LAST) };
    let place = place(request, message, part).unwrap_or_else(|| "input".to_owned());
    renamed(&format!("{place}{rest}"), &[], &LAST)
}

/// The place of a message of the joined request, or of one of its parts.
fn place(request: &Request, wanted: usize, part: Option<usize>) -> Option<String> {
    let instructed = request.messages.first().is_some_and(|first| first.ext.get("instructions").is_some());
    let mut group = 0;
    let mut last: Option<Role> = None;
    let mut before = 0;
    for (at, message) in request.messages.iter().enumerate() {
        if last.is_some_and(|last| !continues(last, message.role)) {
            group += 1;
            before = 0;
        }
        last = Some(message.role);
        let count = message.content.parts.len();
        let inside = part.is_none_or(|part| part < before + count);
        if group == wanted && inside {
            let item = match (message.ext.get("instructions"), message.ext.get("input")) {
                (Some(_), _) => return Some("instructions".to_owned()),
                (_, Some(_)) => return Some("input".to_owned()),
                _ => format!("input[{}]", at - usize::from(instructed)),
            };
            let said = message.ext.get(ITEM).is_none_or(|item| !item.text().contains("\"summary\""));
            let spoken = matches!(message.role, Role::User | Role::System | Role::Developer)
                || (message.role == Role::Assistant && said && count > 1);
            return Some(match part {
                Some(part) if spoken && message.content.form == Form::List => {
                    format!("{item}.content[{}]", part - before)
                }
                _ => item,
            });
        }
        before += count;
    }
    None
}

//! Ids of tool calls that a target takes.
//!
//! An id names nothing outside its request, so nothing is lost when it is replaced in a call and in its result. What
//! replaces it depends on the id alone: it is the same in every turn of a conversation, and a cached prompt stays one.

use std::{
    borrow::Cow,
    collections::{HashMap, HashSet},
};

use crate::{
    CallIds, Dialect,
    ir::{PartKind, Request},
};

/// The rule that a dialect documents.
pub(super) fn of(dialect: Dialect) -> CallIds {
    match dialect {
        Dialect::AnthropicMessages => CallIds::Word64,
        Dialect::BedrockConverse => CallIds::Dotted64,
        Dialect::OpenaiResponses => CallIds::Max64,
        Dialect::OpenaiChat | Dialect::CohereV2 | Dialect::Gemini | Dialect::Ollama => CallIds::Any,
    }
}

/// An id of an answer as callers of a dialect with this rule take it.
pub(crate) fn call_id(id: &str, rule: CallIds) -> Cow<'_, str> {
    if fits(id, rule) && !id.is_empty() { Cow::Borrowed(id) } else { Cow::Owned(made(id, rule, 0)) }
}

/// Replaces every id that is not taken.
pub(super) fn replace(request: &mut Cow<'_, Request>, rule: CallIds) {
    if rule == CallIds::Any || ids(request).all(|id| fits(id, rule)) {
        return;
    }
    let mut taken: HashSet<String> = ids(request).filter(|id| fits(id, rule)).map(str::to_owned).collect();
    let mut replaced: HashMap<String, String> = HashMap::new();
    for id in ids(request).filter(|id| !fits(id, rule)) {
        if !replaced.contains_key(id) {
            let new = fresh(id, rule, &taken);
            taken.insert(new.clone());
            replaced.insert(id.to_owned(), new);
        }
    }
    let parts = request.to_mut().messages.iter_mut().flat_map(|message| &mut message.content.parts);
    for part in parts {
        if let PartKind::ToolCall { id, .. } | PartKind::ToolResult { call_id: id, .. } = &mut part.kind
            && let Some(new) = replaced.get(id)
        {
            id.clone_from(new);
        }
    }
}

/// The ids of all calls and results, in order.
fn ids(request: &Request) -> impl Iterator<Item = &str> {
    let parts = request.messages.iter().flat_map(|message| &message.content.parts);
    parts.filter_map(|part| match &part.kind {
        PartKind::ToolCall { id, .. } | PartKind::ToolResult { call_id: id, .. } => Some(id.as_str()),
        PartKind::Text { .. }
        | PartKind::Refusal { .. }
        | PartKind::Reasoning { .. }
        | PartKind::RedactedReasoning { .. }
        | PartKind::Image(_)
        | PartKind::File(_)
        | PartKind::Audio(_)
        | PartKind::Opaque { .. } => None,
    })
}

/// An empty id is no id: encoders know what to do without one.
fn fits(id: &str, rule: CallIds) -> bool {
    let spelled = |max: usize, more: &str| id.len() <= max && id.bytes().all(|byte| is_taken(byte, more));
    match rule {
        CallIds::Any => true,
        CallIds::Max40 => id.len() <= 40,
        CallIds::Max64 => id.len() <= 64,
        CallIds::Word64 => spelled(64, "_-"),
        CallIds::Dotted64 => spelled(64, "_.:-"),
        CallIds::Alphanumeric9 => id.is_empty() || (id.len() == 9 && spelled(9, "")),
    }
}

fn is_taken(byte: u8, more: &str) -> bool {
    byte.is_ascii_alphanumeric() || more.as_bytes().contains(&byte)
}

/// An id that is taken and that no other call of the request has.
fn fresh(id: &str, rule: CallIds, taken: &HashSet<String>) -> String {
    let mut candidates = (0_u64..).map(|number| made(id, rule, number));
    candidates.find(|new| !taken.contains(new)).unwrap_or_default()
}

/// What is left of the id, and a hash of it: another one for every number.
fn made(id: &str, rule: CallIds, number: u64) -> String {
    let hash = hash(id, number);
    let (max, more) = match rule {
        CallIds::Alphanumeric9 => return base_36(hash, 9),
        CallIds::Max40 => (40, "_-"),
        CallIds::Any | CallIds::Max64 | CallIds::Word64 => (64, "_-"),
        CallIds::Dotted64 => (64, "_.:-"),
    };
    let fitting = |byte: u8| if is_taken(byte, more) { char::from(byte) } else { '_' };
    let kept: String = id.bytes().take(max - "call__".len() - 16).map(fitting).collect();
    format!("call_{kept}_{hash:016x}")
}

/// The last digits of a number in base 36, the last one first.
fn base_36(mut number: u64, digits: usize) -> String {
    let mut text = String::with_capacity(digits);
    for _ in 0..digits {
        let digit = u32::try_from(number % 36).ok().and_then(|digit| char::from_digit(digit, 36));
        text.push(digit.unwrap_or('0'));
        number /= 36;
    }
    text
}

/// FNV-1a, which is short and stays the same in every version.
fn hash(id: &str, number: u64) -> u64 {
    let numbered = if number == 0 { Vec::new() } else { number.to_le_bytes().to_vec() };
    id.bytes()
        .chain(numbered)
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_take_what_their_providers_take() {
        let check = |rule, taken: &[&str], refused: &[&str]| {
            for id in taken {
                assert!(fits(id, rule), "{id}");
            }
            for id in refused {
                assert!(!fits(id, rule), "{id}");
                let new = fresh(id, rule, &HashSet::new());
                assert!(fits(&new, rule), "{id} becomes {new}");
            }
        };
        let long = "a".repeat(65);
        check(CallIds::Alphanumeric9, &["aB3xK9mP2"], &["call_1234", "short", "call_aB3xK9mP2"]);
        check(CallIds::Word64, &["toolu_01-a"], &["functions.f:0", &long]);
        check(CallIds::Dotted64, &["functions.f:0"], &["a b", &long]);
        check(CallIds::Max40, &["functions.f:0", ""], &[&long]);
        check(CallIds::Max64, &["functions f"], &[&long]);
    }

    #[test]
    fn a_taken_id_is_not_made_again() {
        let first = fresh("a b", CallIds::Alphanumeric9, &HashSet::new());
        let second = fresh("a b", CallIds::Alphanumeric9, &HashSet::from([first.clone()]));
        assert_ne!(first, second);
    }
}

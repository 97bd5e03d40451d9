//! What is to stay together, as a number that every process computes alike.

use wire::ir::{Part, Request, Role};

use crate::{principal::Principal, snapshot::Affinity, vitals::number};

/// The most bytes of a conversation's beginning that are looked at.
const PREFIX_BYTES_MAX: usize = 16 << 10;

/// The number of what a request belongs to. `session` is what the caller names.
pub(crate) fn affinity(
    by: Affinity,
    session: Option<&str>,
    request: Option<&Request>,
    principal: &Principal,
) -> u64 {
    let user = || request.and_then(|request| request.user.as_deref());
    match by {
        Affinity::Session => match session {
            Some(session) => number(&[principal.id.as_bytes(), session.as_bytes()]),
            None => beginning(request, principal),
        },
        Affinity::User => number(&[principal.id.as_bytes(), user().unwrap_or_default().as_bytes()]),
        Affinity::Prefix => beginning(request, principal),
    }
}

/// The beginning of a conversation: its instructions and the first message of its user, which stay as they are while it goes
/// on, and are what a provider's prompt cache holds first.
fn beginning(request: Option<&Request>, principal: &Principal) -> u64 {
    let Some(request) = request else { return number(&[principal.id.as_bytes()]) };
    let mut left = PREFIX_BYTES_MAX;
    let mut texts: Vec<&[u8]> = vec![request.model.as_bytes()];
    for message in &request.messages {
        for text in message.content.parts.iter().filter_map(Part::as_text) {
            let text = text.as_bytes();
            texts.push(text.get(..left).unwrap_or(text));
            left = left.saturating_sub(text.len());
        }
        if message.role == Role::User || left == 0 {
            break;
        }
    }
    number(&texts)
}

#[cfg(test)]
mod tests {
    use wire::Dialect;

    use super::*;

    #[test]
    fn a_conversation_keeps_its_number_while_it_goes_on() {
        let principal = Principal::unbound();
        let of = |messages: &str, session: Option<&str>| {
            let body = format!(r#"{{"model":"m","messages":[{messages}]}}"#);
            let request = Dialect::OpenaiChat.decode_request(body.as_bytes()).unwrap();
            affinity(Affinity::Session, session, Some(&request), &principal)
        };
        let first = r#"{"role":"system","content":"be brief"},{"role":"user","content":"hello"}"#;
        let next =
            format!(r#"{first},{{"role":"assistant","content":"hi"}},{{"role":"user","content":"more"}}"#);
        assert_eq!(of(first, None), of(&next, None));
        assert_ne!(of(first, None), of(r#"{"role":"user","content":"hello"}"#, None));
        assert_eq!(of(first, Some("s")), of(r#"{"role":"user","content":"other"}"#, Some("s")));
    }
}

//! Thought signatures (<https://ai.google.dev/gemini-api/docs/thought-signatures>). They stand on a thought, a text or
//! a call, and must come back on the same part. Other dialects have a place for them on a thought only: there the
//! signature of a text or a call stands as a sealed thought of its own, which names the part that it is for.

use std::borrow::Cow;

use base64::Engine;

use crate::{Dialect, base64::LENIENT, seal};

/// The part that a signature stands on, of those of one message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Bearer {
    /// An empty text of its own, as the last of a stream.
    Nothing,
    /// The nth text that is no thought.
    Text(usize),
    /// The nth call.
    Call(usize),
}

/// A signature as it came in a request.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Came<'a> {
    /// Of this dialect's provider.
    Own(Cow<'a, str>),
    /// Another provider's, which a thought was given for its caller.
    Seal(String),
    /// Another provider's sealed thought.
    Redacted(String),
}

/// How another provider's sealed thought begins.
const REDACTED: &str = "redacted:";

/// In place of a signature on a call that this provider did not make: models that think by level refuse the calls of
/// a turn without one (<https://ai.google.dev/gemini-api/docs/thought-signatures>).
pub(super) const STAND_IN: &str = "skip_thought_signature_validator";

/// The signature with the name of its bearer.
pub(super) fn borne(bearer: Bearer, signature: &str) -> String {
    match bearer {
        Bearer::Nothing => format!("e.{signature}"),
        Bearer::Text(nth) => format!("t{nth}.{signature}"),
        Bearer::Call(nth) => format!("c{nth}.{signature}"),
    }
}

/// The bearer and the signature; none where it names no bearer.
pub(super) fn bearer(borne: &str) -> Option<(Bearer, &str)> {
    let (name, signature) = borne.split_once('.')?;
    if name == "e" {
        return Some((Bearer::Nothing, signature));
    }
    let nth = |prefix| name.strip_prefix(prefix)?.parse().ok();
    let bearer = nth('t').map(Bearer::Text).or_else(|| nth('c').map(Bearer::Call))?;
    Some((bearer, signature))
}

/// Another provider's seal as it stands here. Clients read signatures as base64, so what is none is wrapped in it.
pub(super) fn wrapped(seal: &str, by: Dialect) -> String {
    if by == Dialect::Gemini {
        return seal.to_owned();
    }
    LENIENT.encode(seal::mark(seal, by, Dialect::Gemini).as_bytes())
}

/// Another provider's sealed thought as it stands here.
pub(super) fn wrapped_redacted(bytes: &str, by: Dialect) -> String {
    let marked = seal::mark(bytes, by, Dialect::Gemini);
    let marked = match marked.split_once('.') {
        Some((mark, bytes)) => format!("{mark}.{REDACTED}{bytes}"),
        None => marked.into_owned(),
    };
    LENIENT.encode(marked.as_bytes())
}

/// What a signature in a request is.
pub(super) fn came(signature: Cow<'_, str>) -> Came<'_> {
    let marked = || {
        // Clients write it in either alphabet.
        let plain = signature.replace('-', "+").replace('_', "/");
        let bytes = seal::is_marked(signature.as_bytes()).then(|| LENIENT.decode(plain).ok())?;
        String::from_utf8(bytes?).ok().filter(|text| seal::is_marked(text.as_bytes()))
    };
    match marked() {
        None => Came::Own(signature),
        Some(seal) => match seal.split_once('.') {
            Some((mark, rest)) if rest.starts_with(REDACTED) => {
                Came::Redacted(format!("{mark}.{}", rest.strip_prefix(REDACTED).unwrap_or_default()))
            }
            Some(_) | None => Came::Seal(seal),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bearer_is_named() {
        for place in [Bearer::Nothing, Bearer::Text(0), Bearer::Call(12)] {
            assert_eq!(bearer(&borne(place, "a+b/c==")), Some((place, "a+b/c==")));
        }
        assert_eq!(bearer("tollgate-seal-x.c0.y"), None);
    }

    #[test]
    fn foreign_seals_are_base64_here() {
        let wrapped = wrapped("ErUB+/=", Dialect::AnthropicMessages);
        let expected = "tollgate-seal-anthropic_messages.ErUB+/=";
        assert!(seal::is_marked(wrapped.as_bytes()));
        assert_eq!(came(wrapped.as_str().into()), Came::Seal(expected.to_owned()));
        // Clients write it in the other alphabet, or without padding.
        let plain = wrapped.replace('+', "-").replace('/', "_").replace('=', "");
        assert_eq!(came(plain.into()), Came::Seal(expected.to_owned()));
        let redacted = wrapped_redacted("EmwK", Dialect::AnthropicMessages);
        let expected = "tollgate-seal-anthropic_messages.EmwK";
        assert_eq!(came(redacted.into()), Came::Redacted(expected.to_owned()));
        assert_eq!(came("CiMBjz1r".into()), Came::Own("CiMBjz1r".into()));
    }
}

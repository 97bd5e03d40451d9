//! Whose seal is on a thought.
//!
//! Providers sign or encrypt their models' reasoning and want it back unchanged; another provider's they refuse. A
//! caller sends back what it was given, whichever provider gave it. So a seal that is written for a caller of another
//! dialect carries the name of the dialect it comes from, and is taken off only for a target of that dialect.

use std::{borrow::Cow, sync::LazyLock};

use memchr::memmem::Finder;

use crate::Dialect;

/// What a marked seal begins with; the dialect's name, a dot and the seal itself follow. It has only letters that
/// stand in base64 for URLs as they are.
const MARK: &str = "tollgate-seal-";

/// Which way seals go.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Seals {
    /// To a caller, in an answer that comes from this dialect.
    Told(Dialect),
    /// Back to a target, in a request that was written in this dialect.
    SentBack(Dialect),
}

impl Seals {
    /// The seal as it is written in a dialect; none where it is another provider's.
    pub(crate) fn written(self, seal: &str, dialect: Dialect) -> Option<Cow<'_, str>> {
        match self {
            Seals::Told(by) => Some(mark(seal, by, dialect)),
            Seals::SentBack(written) => unmark(seal, written, dialect).map(Cow::Borrowed),
        }
    }
}

/// The seal as a caller of `reader` gets it.
pub(crate) fn mark(seal: &str, by: Dialect, reader: Dialect) -> Cow<'_, str> {
    if by == reader || seal.is_empty() || seal.starts_with(MARK) {
        return Cow::Borrowed(seal);
    }
    Cow::Owned(format!("{MARK}{}.{seal}", by.name()))
}

/// The seal for a target of `target`, when it is one of its own. `written` is the dialect of the request in which it
/// came back.
pub(crate) fn unmark(seal: &str, written: Dialect, target: Dialect) -> Option<&str> {
    match seal.strip_prefix(MARK).and_then(|rest| rest.split_once('.')) {
        Some((by, seal)) => (by == target.name()).then_some(seal),
        None => (written == target).then_some(seal),
    }
}

/// How a marked seal begins where it stands in base64, which some dialects want of every seal.
const MARK_IN_BASE64: &str = "dG9sbGdhdGUtc2VhbC";

/// Whether a request's body holds a seal that was marked, so that it cannot go on as it is.
pub fn is_marked(body: &[u8]) -> bool {
    // Every request is looked through, so that what to look for is prepared once.
    static FINDERS: LazyLock<[Finder<'static>; 2]> =
        LazyLock::new(|| [MARK, MARK_IN_BASE64].map(|mark| Finder::new(mark.as_bytes())));
    FINDERS.iter().any(|finder| finder.find(body).is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seal_goes_back_only_to_whom_it_is_from() {
        let (openai, anthropic) = (Dialect::OpenaiChat, Dialect::AnthropicMessages);
        assert_eq!(mark("abc", anthropic, anthropic), "abc");
        let marked = mark("abc", anthropic, openai);
        assert!(is_marked(marked.as_bytes()));
        assert_eq!(mark(&marked, openai, anthropic), marked, "it is marked once");
        assert_eq!(unmark(&marked, openai, anthropic), Some("abc"));
        assert_eq!(unmark(&marked, openai, openai), None);
        assert_eq!(unmark("abc", anthropic, anthropic), Some("abc"));
        assert_eq!(unmark("abc", anthropic, openai), None);
    }
}

//! Which headers cross the gateway, and the names of our own.

use http::{HeaderMap, HeaderName};
use wire::Dialect;

pub(crate) const REQUEST_ID: HeaderName = HeaderName::from_static("x-tollgate-request-id");
pub(crate) const TARGET: HeaderName = HeaderName::from_static("x-tollgate-target");
pub(crate) const ATTEMPTS: HeaderName = HeaderName::from_static("x-tollgate-attempts");
pub(crate) const COST: HeaderName = HeaderName::from_static("x-tollgate-cost-usd");
pub(crate) const LOSS: HeaderName = HeaderName::from_static("x-tollgate-loss");
pub(crate) const ORIGIN: HeaderName = HeaderName::from_static("x-tollgate-origin");

/// Headers of a caller that go on to the provider: those that change what the provider does, and the trace.
/// Everything else stays here, credentials above all.
/// A dialect beside a name: only targets of that dialect get it.
const FORWARDED: [(&str, Option<Dialect>); 6] = [
    ("anthropic-beta", Some(Dialect::AnthropicMessages)),
    ("anthropic-version", Some(Dialect::AnthropicMessages)),
    ("openai-beta", Some(Dialect::OpenaiChat)),
    ("openai-beta", Some(Dialect::OpenaiResponses)),
    ("traceparent", None),
    ("tracestate", None),
];

/// The version of the Messages API that is asked for where a caller asks for none
/// (<https://docs.anthropic.com/en/api/versioning>).
const ANTHROPIC_VERSION: &str = "2023-06-01";

/// Headers of an answer that go back to the caller, beside those that begin with one of `ANSWER_PREFIXES`.
const ANSWER: [&str; 7] = [
    "content-type",
    "retry-after",
    "retry-after-ms",
    "request-id",
    "x-request-id",
    "x-should-retry",
    "content-encoding",
];

const ANSWER_PREFIXES: [&str; 3] = ["x-ratelimit-", "anthropic-", "openai-"];

/// Whether a header of an upstream's answer is kept.
pub(crate) fn is_answer_header(name: &str) -> bool {
    ANSWER.iter().any(|kept| name.eq_ignore_ascii_case(kept))
        || ANSWER_PREFIXES
            .iter()
            .any(|prefix| name.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix)))
}

/// The headers of a caller's request that go on to a target of this dialect.
pub(crate) fn forwarded(
    headers: &HeaderMap,
    dialect: Dialect,
) -> impl Iterator<Item = (&'static str, &[u8])> {
    let anthropic = dialect == Dialect::AnthropicMessages;
    let version = (anthropic && !headers.contains_key("anthropic-version"))
        .then_some(("anthropic-version", ANTHROPIC_VERSION.as_bytes()));
    let own = FORWARDED.iter().filter(move |(_, of)| of.is_none_or(|of| of == dialect));
    own.filter_map(|(name, _)| Some((*name, headers.get(*name)?.as_bytes()))).chain(version)
}

#[cfg(test)]
mod tests {
    use super::is_answer_header;

    #[test]
    fn answer_headers_are_chosen_by_name() {
        for kept in ["Content-Type", "x-ratelimit-remaining-tokens", "Anthropic-RateLimit-Tokens-Limit"] {
            assert!(is_answer_header(kept), "{kept}");
        }
        for left in ["set-cookie", "server", "connection", "x-rate", "é-limit"] {
            assert!(!is_answer_header(left), "{left}");
        }
    }
}

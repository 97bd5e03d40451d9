//! Which headers cross the gateway, and the names of our own.

use http::{HeaderMap, HeaderName, HeaderValue};
use wire::Dialect;

pub(crate) const REQUEST_ID: HeaderName = HeaderName::from_static("x-tollgate-request-id");
pub(crate) const TARGET: HeaderName = HeaderName::from_static("x-tollgate-target");
pub(crate) const ATTEMPTS: HeaderName = HeaderName::from_static("x-tollgate-attempts");
pub(crate) const COST: HeaderName = HeaderName::from_static("x-tollgate-cost-usd");
pub(crate) const LOSS: HeaderName = HeaderName::from_static("x-tollgate-loss");
pub(crate) const PROVIDER: HeaderName = HeaderName::from_static("x-tollgate-provider");
/// How long the caller waits for the whole answer, over all attempts.
pub(crate) const TIMEOUT: HeaderName = HeaderName::from_static("x-tollgate-timeout");
/// What the caller wishes of the way its request goes.
pub(crate) const ROUTE: HeaderName = HeaderName::from_static("x-tollgate-route");
/// The session whose requests are to stay together.
pub(crate) const SESSION: HeaderName = HeaderName::from_static("x-tollgate-session");
/// The class of service, where calls wait for a place at a provider.
pub(crate) const PRIORITY: HeaderName = HeaderName::from_static("x-tollgate-priority");
/// The end user for whom the caller asks.
pub(crate) const USER: HeaderName = HeaderName::from_static("x-tollgate-user");
/// What the caller marks its call with, as `name=value, other=value`.
pub(crate) const TAGS: HeaderName = HeaderName::from_static("x-tollgate-tags");
/// What the caller should know though its call was taken.
pub(crate) const WARNING: &str = "x-tollgate-warning";
pub(crate) const COUNTED: HeaderName = HeaderName::from_static("x-tollgate-counted");
pub(crate) const ORIGIN: HeaderName = HeaderName::from_static("x-tollgate-origin");

/// A header of our own, which few callers send: a look at each name is quicker than working out where it would stand.
pub(crate) fn own<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Option<&'h HeaderValue> {
    headers.iter().find(|(known, _)| *known == name).map(|(_, value)| value)
}

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
const ANSWER: [&str; 11] = [
    "content-type",
    "content-disposition",
    "etag",
    "last-modified",
    "location",
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

/// Headers of a caller that stay here when a request is passed through: what belongs to the connection (RFC 9110,
/// section 7.6.1), credentials, what the gateway writes itself, and what has servers take a request for another one than
/// was checked here. Encodings are left out, since answers are read.
const KEPT_BACK: [&str; 26] = [
    "accept-encoding",
    "api-key",
    "authorization",
    "connection",
    "content-length",
    "cookie",
    "expect",
    "forwarded",
    "host",
    "keep-alive",
    "origin",
    "proxy-authorization",
    "proxy-connection",
    "referer",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "user-agent",
    "x-api-key",
    "x-goog-api-key",
    "x-http-method",
    "x-http-method-override",
    "x-method-override",
    "x-original-url",
    "x-rewrite-url",
];

const KEPT_BACK_PREFIXES: [&str; 4] = ["x-tollgate-", "x-forwarded-", "x-real-", "x-amz-"];

/// The headers of a caller's request that go on when it is passed through.
pub(crate) fn passed(headers: &HeaderMap) -> impl Iterator<Item = (&str, &[u8])> {
    let own = |name: &str| {
        KEPT_BACK.binary_search(&name).is_ok()
            || KEPT_BACK_PREFIXES.iter().any(|prefix| name.starts_with(prefix))
    };
    let all = headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes()));
    all.filter(move |(name, _)| !own(name))
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
    use super::*;

    #[test]
    fn the_list_of_what_stays_is_in_order() {
        assert!(KEPT_BACK.is_sorted());
    }

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

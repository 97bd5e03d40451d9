//! Error answers: <https://docs.cohere.com/reference/errors>.

use std::{borrow::Cow, time::Duration};

use serde_json::Value;

use crate::{Fault, FaultBody, Kind, Origin, Retry, json::ObjectWriter};

/// The most of a provider's message that is kept.
const MESSAGE_CHARS_MAX: usize = 2_000;

/// Cohere's own name for a prompt that does not fit.
const TOO_MANY_TOKENS: &str = "TOO_MANY_TOKENS";

/// Reads a provider's error answer.
pub(super) fn decode_fault(status: u16, retry_after: Option<Duration>, body: &[u8]) -> Fault {
    let value: Value = serde_json::from_slice(body).unwrap_or(Value::Null);
    let text = |name: &str| value.get(name).and_then(Value::as_str);
    let message = text("message").or_else(|| text("error")).or_else(|| text("detail"));
    let mut fault = fault(Some(status), message.unwrap_or_default(), text("error_type"));
    if fault.message.is_empty() {
        fault.message = format!("the provider answered with status {status} and no error message");
    }
    fault.upstream_status = Some(status);
    if let Some(after) = retry_after {
        fault.retry = Retry::After(after);
    }
    fault
}

/// The fault that an answer ends in, with `finish_reason` saying so.
pub(super) fn failed(kind: Kind, message: Option<&str>, error_type: Option<&str>) -> Fault {
    let mut fault = fault(None, message.unwrap_or("the generation failed"), error_type);
    if fault.kind == Kind::Internal {
        fault.kind = kind;
        fault.retry = kind.retry();
    }
    fault
}

/// A fault of which a message tells, and sometimes a name. Inside a stream there is no status.
pub(super) fn fault(status: Option<u16>, message: &str, error_type: Option<&str>) -> Fault {
    let kind = kind(status, message, error_type.unwrap_or_default());
    let message: String = message.chars().take(MESSAGE_CHARS_MAX).collect();
    let mut fault = Fault::new(Origin::Upstream, kind, message);
    fault.code = error_type.map(|name| Cow::Owned(name.to_owned()));
    fault
}

/// Writes a fault as Cohere does, with our own `code` and `param` beside.
pub(super) fn encode_fault(fault: &Fault, request_id: &str) -> FaultBody {
    let mut json = Vec::with_capacity(256);
    write_error(&mut json, fault, request_id);
    FaultBody { status: status(fault), json }
}

pub(super) fn write_error(out: &mut Vec<u8>, fault: &Fault, request_id: &str) {
    let mut body = ObjectWriter::open(out);
    if !request_id.is_empty() {
        body.string("id", request_id);
    }
    body.string("message", &fault.to_string());
    write_names(&mut body, fault);
    if let Some(param) = &fault.param {
        body.string("param", param);
    }
    body.close();
}

/// The names of a fault: Cohere's own where it has one, and the code.
pub(super) fn write_names(object: &mut ObjectWriter<'_>, fault: &Fault) {
    let upper = |code: &&str| code.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_');
    let known = fault.code.as_deref().filter(upper);
    let named = if fault.kind == Kind::ContextTooLong { Some(TOO_MANY_TOKENS) } else { known };
    if let Some(named) = named {
        object.string("error_type", named);
    }
    object.string("code", fault.code.as_deref().unwrap_or(fault.kind.name()));
}

fn kind(status: Option<u16>, message: &str, error_type: &str) -> Kind {
    if error_type == TOO_MANY_TOKENS || message.contains("too many tokens") {
        return Kind::ContextTooLong;
    }
    match status {
        // Trial keys have so many calls a month (https://docs.cohere.com/docs/rate-limits).
        Some(429) if message.contains("/ month") => Kind::QuotaExhausted,
        Some(401) => Kind::Unauthenticated,
        Some(402) => Kind::QuotaExhausted,
        Some(403) => Kind::Forbidden,
        Some(404) => Kind::NotFound,
        Some(405) => Kind::MethodNotAllowed,
        Some(408 | 504) => Kind::Timeout,
        Some(413) => Kind::TooLarge,
        Some(429) => Kind::RateLimited,
        // A request or an answer has a token that is on a deny list.
        Some(498) => Kind::ContentPolicy,
        Some(400..=499 | 501) => Kind::Invalid,
        Some(502) => Kind::Unreachable,
        Some(503 | 529) => Kind::Overloaded,
        Some(_) | None => Kind::Internal,
    }
}

fn status(fault: &Fault) -> u16 {
    match fault.kind {
        Kind::Invalid | Kind::Unsupported | Kind::ContextTooLong => 400,
        Kind::ContentPolicy => 498,
        // A provider that refuses the gateway's own credential is no fault of the caller's key.
        Kind::Unauthenticated | Kind::Forbidden if fault.origin == Origin::Upstream => 502,
        Kind::Unauthenticated => 401,
        Kind::Forbidden => 403,
        Kind::NotFound => 404,
        Kind::MethodNotAllowed => 405,
        Kind::TooLarge => 413,
        Kind::QuotaExhausted => 402,
        Kind::RateLimited => 429,
        Kind::Overloaded => 503,
        Kind::Timeout => 504,
        Kind::Unreachable | Kind::Cut | Kind::Garbage => 502,
        Kind::Internal if fault.origin == Origin::Upstream => 502,
        Kind::Internal => 500,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn provider_errors_are_told_apart() {
        let check = |status, body: &str, kind| {
            assert_eq!(decode_fault(status, None, body.as_bytes()).kind, kind, "{status} {body}");
        };
        check(400, r#"{"id":"a","message":"too many tokens: over by 3"}"#, Kind::ContextTooLong);
        check(400, r#"{"message":"over","error_type":"TOO_MANY_TOKENS"}"#, Kind::ContextTooLong);
        check(400, r#"{"message":"invalid request: p must be at most 0.99"}"#, Kind::Invalid);
        check(401, r#"{"message":"invalid api token"}"#, Kind::Unauthenticated);
        check(404, r#"{"message":"model 'm' not found"}"#, Kind::NotFound);
        check(422, r#"{"message":"no messages"}"#, Kind::Invalid);
        check(429, r#"{"message":"limited to 40 API calls / minute"}"#, Kind::RateLimited);
        check(429, r#"{"message":"limited to 1000 API calls / month"}"#, Kind::QuotaExhausted);
        check(498, r#"{"message":"invalid token"}"#, Kind::ContentPolicy);
        check(503, "<html>", Kind::Overloaded);
        check(504, "", Kind::Timeout);
        check(500, "[]", Kind::Internal);
        let failed = failed(Kind::Timeout, None, None);
        assert_eq!((failed.kind, failed.message.as_str()), (Kind::Timeout, "the generation failed"));
    }

    #[test]
    fn faults_are_written_as_the_api_does() {
        let check = |origin, kind, status, error_type: Value| {
            let body = encode_fault(&Fault::new(origin, kind, "no"), "req-1");
            let value: Value = serde_json::from_slice(&body.json).unwrap();
            assert_eq!(body.status, status, "{kind:?}");
            assert_eq!((&value["id"], &value["message"]), (&"req-1".into(), &"no".into()));
            assert_eq!((&value["error_type"], &value["code"]), (&error_type, &kind.name().into()));
        };
        check(Origin::Client, Kind::Invalid, 400, Value::Null);
        check(Origin::Upstream, Kind::ContextTooLong, 400, TOO_MANY_TOKENS.into());
        check(Origin::Gateway, Kind::Unauthenticated, 401, Value::Null);
        check(Origin::Upstream, Kind::Unauthenticated, 502, Value::Null);
        check(Origin::Upstream, Kind::Overloaded, 503, Value::Null);
    }
}

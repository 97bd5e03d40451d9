//! Error answers: a text under `error`, whole and as a line of a stream
//! (<https://docs.ollama.com/api/errors>).

use std::{borrow::Cow, time::Duration};

use serde_json::Value;

use crate::{Fault, FaultBody, Kind, Origin, Retry, json::ObjectWriter};

/// The most of a provider's message that is kept.
const MESSAGE_CHARS_MAX: usize = 2_000;

/// Reads a provider's error answer.
pub(super) fn decode_fault(status: u16, retry_after: Option<Duration>, body: &[u8]) -> Fault {
    let value: Value = serde_json::from_slice(body).unwrap_or(Value::Null);
    let mut fault = error_object(&value, Some(status));
    if fault.message.is_empty() {
        fault.message = plain_message(status, body);
    }
    fault.upstream_status = Some(status);
    if let Some(after) = retry_after {
        fault.retry = Retry::After(after);
    }
    fault
}

/// Reads an error, also one inside a stream, where there is no status.
pub(super) fn error_object(value: &Value, status: Option<u16>) -> Fault {
    let error = value.get("error").unwrap_or(value);
    let inner = error.get("message").and_then(Value::as_str);
    let message = match error.as_str().or(inner) {
        Some(message) => Cow::Borrowed(message),
        None if error.is_null() || value.get("error").is_none() => Cow::Borrowed(""),
        None => Cow::Owned(error.to_string()),
    };
    let kind = kind(status.unwrap_or(500), &message);
    Fault::new(Origin::Upstream, kind, message.chars().take(MESSAGE_CHARS_MAX).collect::<String>())
}

/// Writes a fault as Ollama does, with the field at fault and the request's id in its text.
pub(super) fn encode_fault(fault: &Fault, request_id: &str) -> FaultBody {
    let mut json = Vec::with_capacity(256);
    write_error(&mut json, fault, request_id);
    FaultBody { status: status(fault), json }
}

pub(super) fn write_error(out: &mut Vec<u8>, fault: &Fault, request_id: &str) {
    let mut body = ObjectWriter::open(out);
    if request_id.is_empty() {
        body.string("error", &fault.to_string());
    } else {
        body.string("error", &format!("{fault} (request {request_id})"));
    }
    body.close();
}

fn kind(status: u16, message: &str) -> Kind {
    let says = |text: &str| message.contains(text);
    if says("context length") || says("context window") || says("prompt too long") {
        return Kind::ContextTooLong;
    }
    match status {
        500 if says("not found, try pulling it") => Kind::NotFound,
        500 if says("server busy") || says("overloaded") => Kind::Overloaded,
        500 if says("does not support") || says("invalid ") => Kind::Invalid,
        401 => Kind::Unauthenticated,
        402 => Kind::QuotaExhausted,
        403 => Kind::Forbidden,
        404 => Kind::NotFound,
        405 => Kind::MethodNotAllowed,
        408 | 504 => Kind::Timeout,
        413 => Kind::TooLarge,
        429 => Kind::RateLimited,
        400..=499 => Kind::Invalid,
        502 => Kind::Unreachable,
        503 | 529 => Kind::Overloaded,
        _ => Kind::Internal,
    }
}

fn plain_message(status: u16, body: &[u8]) -> String {
    let text = String::from_utf8_lossy(body.get(..body.len().min(400)).unwrap_or_default());
    let text = text.trim();
    if text.is_empty() || text.starts_with(['<', '{', '[']) {
        return format!("the provider answered with status {status} and no error message");
    }
    format!("the provider answered with status {status}: {text}")
}

fn status(fault: &Fault) -> u16 {
    match fault.kind {
        Kind::Invalid | Kind::Unsupported | Kind::ContextTooLong | Kind::ContentPolicy => 400,
        // A provider that refuses the gateway's own credential is no fault of the caller's key.
        Kind::Unauthenticated | Kind::Forbidden if fault.origin == Origin::Upstream => 502,
        Kind::Unauthenticated => 401,
        Kind::Forbidden => 403,
        Kind::NotFound => 404,
        Kind::MethodNotAllowed => 405,
        Kind::TooLarge => 413,
        Kind::RateLimited => 429,
        Kind::QuotaExhausted => 402,
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
        check(404, r#"{"error":"model \"m\" not found, try pulling it first"}"#, Kind::NotFound);
        check(400, r#"{"error":"\"m\" does not support tools"}"#, Kind::Invalid);
        check(400, r#"{"error":"the input length exceeds the context length"}"#, Kind::ContextTooLong);
        check(503, r#"{"error":"server busy, please try again"}"#, Kind::Overloaded);
        check(
            500,
            r#"{"error":"model requires more system memory (9 GiB) than is available"}"#,
            Kind::Internal,
        );
        check(401, r#"{"error":"unauthorized","signin_url":"https://a.example"}"#, Kind::Unauthenticated);
        check(429, r#"{"error":{"message":"slow down"}}"#, Kind::RateLimited);
        check(405, "405 method not allowed", Kind::MethodNotAllowed);
        check(502, "<html>", Kind::Unreachable);
        assert_eq!(decode_fault(400, None, br#"{"error":{"message":"m"}}"#).message, "m");
        assert_eq!(decode_fault(400, None, br#"{"error":7}"#).message, "7");
        let after = Duration::from_secs(7);
        assert_eq!(decode_fault(429, Some(after), b"{}").retry, Retry::After(after));
    }

    #[test]
    fn a_fault_names_its_field_and_its_request() {
        let body = encode_fault(&Fault::invalid("messages[0].role", "is missing"), "req-1");
        assert_eq!(body.status, 400);
        assert_eq!(body.json, br#"{"error":"messages[0].role: is missing (request req-1)"}"#);
    }
}

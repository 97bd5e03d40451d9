//! Error answers: <https://docs.anthropic.com/en/api/errors>.

use std::time::Duration;

use serde_json::Value;

use crate::{Fault, FaultBody, Kind, Origin, Retry, json::ObjectWriter};

/// The most of a provider's message that is kept.
const MESSAGE_CHARS_MAX: usize = 2_000;

/// Reads a provider's error answer.
pub(super) fn decode_fault(status: u16, retry_after: Option<Duration>, body: &[u8]) -> Fault {
    let value: Value = serde_json::from_slice(body).unwrap_or(Value::Null);
    let mut fault = error_object(&value, Some(status));
    if fault.message.is_empty() {
        fault.message = format!("the provider answered with status {status} and no error message");
    }
    fault.upstream_status = Some(status);
    if let Some(after) = retry_after {
        fault.retry = Retry::After(after);
    }
    fault
}

/// Reads an error object, also one inside a stream, where there is no status.
pub(super) fn error_object(value: &Value, status: Option<u16>) -> Fault {
    // Google's front of Vertex answers with a list of one.
    let value = value.get(0).unwrap_or(value);
    let error = value.get("error").unwrap_or(value);
    let text = |name: &str| error.get(name).and_then(Value::as_str).unwrap_or_default();
    let message = error.as_str().unwrap_or_else(|| text("message"));
    let kind = kind(status, text("type"), message);
    Fault::new(Origin::Upstream, kind, message.chars().take(MESSAGE_CHARS_MAX).collect::<String>())
}

/// Writes a fault as Anthropic does, with our own `code` and `param` beside.
pub(super) fn encode_fault(fault: &Fault, request_id: &str) -> FaultBody {
    let mut json = Vec::with_capacity(256);
    write_error(&mut json, fault, request_id);
    FaultBody { status: status(fault), json }
}

pub(super) fn write_error(out: &mut Vec<u8>, fault: &Fault, request_id: &str) {
    let mut body = ObjectWriter::open(out);
    body.string("type", "error");
    let mut error = ObjectWriter::open(body.key("error"));
    error.string("type", error_type(fault));
    error.string("message", &message(fault));
    error.string("code", fault.code.as_deref().unwrap_or(fault.kind.name()));
    if let Some(param) = &fault.param {
        error.string("param", param);
    }
    error.close();
    if !request_id.is_empty() {
        body.string("request_id", request_id);
    }
    body.close();
}

/// Clients of this API know a prompt that is too long by these words, and shorten the conversation.
fn message(fault: &Fault) -> String {
    let known = "prompt is too long";
    if fault.kind == Kind::ContextTooLong && !fault.message.contains(known) {
        return format!("{known}: {fault}");
    }
    fault.to_string()
}

fn kind(status: Option<u16>, error_type: &str, message: &str) -> Kind {
    if message.contains("prompt is too long") || message.contains("exceed context limit") {
        return Kind::ContextTooLong;
    }
    if message.contains("credit balance is too low") {
        return Kind::QuotaExhausted;
    }
    if message.contains("content filtering policy") {
        return Kind::ContentPolicy;
    }
    match (error_type, status) {
        ("invalid_request_error", Some(413)) | ("request_too_large", _) => Kind::TooLarge,
        ("invalid_request_error", _) => Kind::Invalid,
        ("authentication_error", _) => Kind::Unauthenticated,
        ("billing_error", _) => Kind::QuotaExhausted,
        ("permission_error", _) => Kind::Forbidden,
        ("not_found_error", _) => Kind::NotFound,
        ("rate_limit_error", _) => Kind::RateLimited,
        ("overloaded_error", _) => Kind::Overloaded,
        ("timeout_error", _) => Kind::Timeout,
        (_, Some(401)) => Kind::Unauthenticated,
        (_, Some(402)) => Kind::QuotaExhausted,
        (_, Some(403)) => Kind::Forbidden,
        (_, Some(404)) => Kind::NotFound,
        (_, Some(405)) => Kind::MethodNotAllowed,
        (_, Some(408 | 504)) => Kind::Timeout,
        (_, Some(413)) => Kind::TooLarge,
        (_, Some(429)) => Kind::RateLimited,
        (_, Some(400..=499)) => Kind::Invalid,
        (_, Some(502)) => Kind::Unreachable,
        (_, Some(503 | 529)) => Kind::Overloaded,
        (_, Some(_) | None) => Kind::Internal,
    }
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
        Kind::Overloaded => 529,
        Kind::Timeout => 504,
        Kind::Unreachable | Kind::Cut | Kind::Garbage => 502,
        Kind::Internal if fault.origin == Origin::Upstream => 502,
        Kind::Internal => 500,
    }
}

fn error_type(fault: &Fault) -> &'static str {
    match fault.kind {
        Kind::Invalid
        | Kind::Unsupported
        | Kind::MethodNotAllowed
        | Kind::ContextTooLong
        | Kind::ContentPolicy => "invalid_request_error",
        Kind::Unauthenticated if fault.origin == Origin::Upstream => "api_error",
        Kind::Unauthenticated => "authentication_error",
        Kind::Forbidden if fault.origin == Origin::Upstream => "api_error",
        Kind::Forbidden => "permission_error",
        Kind::NotFound => "not_found_error",
        Kind::TooLarge => "request_too_large",
        Kind::RateLimited => "rate_limit_error",
        Kind::QuotaExhausted => "billing_error",
        Kind::Overloaded => "overloaded_error",
        Kind::Timeout => "timeout_error",
        Kind::Unreachable | Kind::Cut | Kind::Garbage | Kind::Internal => "api_error",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn provider_errors_are_told_apart() {
        let check = |status, error_type: &str, message: &str, kind| {
            let body =
                format!(r#"{{"type":"error","error":{{"type":"{error_type}","message":"{message}"}}}}"#);
            assert_eq!(
                decode_fault(status, None, body.as_bytes()).kind,
                kind,
                "{status} {error_type} {message}"
            );
        };
        check(529, "overloaded_error", "Overloaded", Kind::Overloaded);
        check(400, "invalid_request_error", "prompt is too long: 210000 tokens", Kind::ContextTooLong);
        check(400, "invalid_request_error", "messages: Field required", Kind::Invalid);
        check(400, "invalid_request_error", "Your credit balance is too low", Kind::QuotaExhausted);
        check(401, "authentication_error", "invalid x-api-key", Kind::Unauthenticated);
        check(413, "request_too_large", "too big", Kind::TooLarge);
        check(500, "api_error", "Internal server error", Kind::Internal);
        check(
            400,
            "invalid_request_error",
            "input length and `max_tokens` exceed context limit",
            Kind::ContextTooLong,
        );
        check(
            400,
            "invalid_request_error",
            "Output blocked by content filtering policy",
            Kind::ContentPolicy,
        );
        check(402, "billing_error", "Payment is due", Kind::QuotaExhausted);
        check(403, "permission_error", "not yours", Kind::Forbidden);
        check(404, "not_found_error", "model: x", Kind::NotFound);
        check(429, "rate_limit_error", "slow down", Kind::RateLimited);
        check(504, "timeout_error", "too slow", Kind::Timeout);
        assert_eq!(decode_fault(529, None, b"<html>").kind, Kind::Overloaded);
        let list =
            br#"[{"error":{"code":404,"message":"Publisher Model was not found","status":"NOT_FOUND"}}]"#;
        let fault = decode_fault(404, None, list);
        assert_eq!((fault.kind, fault.message.as_str()), (Kind::NotFound, "Publisher Model was not found"));
    }

    #[test]
    fn faults_are_written_as_the_api_does() {
        let check = |origin, kind, status, error_type: &str| {
            let body = encode_fault(&Fault::new(origin, kind, "no"), "req-1");
            let value: Value = serde_json::from_slice(&body.json).unwrap();
            assert_eq!(body.status, status, "{kind:?}");
            assert_eq!(value["type"], "error");
            assert_eq!(value["error"]["type"], error_type, "{kind:?}");
            assert_eq!(value["error"]["code"], kind.name());
            assert_eq!(value["request_id"], "req-1");
        };
        check(Origin::Client, Kind::Invalid, 400, "invalid_request_error");
        check(Origin::Gateway, Kind::Unauthenticated, 401, "authentication_error");
        check(Origin::Upstream, Kind::Unauthenticated, 502, "api_error");
        check(Origin::Gateway, Kind::QuotaExhausted, 402, "billing_error");
        check(Origin::Gateway, Kind::RateLimited, 429, "rate_limit_error");
        check(Origin::Upstream, Kind::Overloaded, 529, "overloaded_error");
        check(Origin::Client, Kind::TooLarge, 413, "request_too_large");
        let body = encode_fault(&Fault::new(Origin::Upstream, Kind::ContextTooLong, "8192 is the most"), "");
        let value: Value = serde_json::from_slice(&body.json).unwrap();
        assert_eq!(value["error"]["message"], "prompt is too long: 8192 is the most");
    }
}

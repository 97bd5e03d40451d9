//! Error answers (<https://docs.aws.amazon.com/bedrock/latest/APIReference/CommonErrors.html>).

use std::{borrow::Cow, time::Duration};

use serde_json::Value;

use crate::{Fault, FaultBody, Kind, Origin, Retry, json::ObjectWriter};

/// The most of a provider's message that is kept.
const MESSAGE_CHARS_MAX: usize = 2_000;

/// Reads a provider's error answer.
pub(super) fn decode_fault(status: u16, retry_after: Option<Duration>, body: &[u8]) -> Fault {
    let value: Value = serde_json::from_slice(body).unwrap_or(Value::Null);
    let name = value["__type"].as_str().unwrap_or_default();
    let mut fault = named(Some(status), name.rsplit('#').next().unwrap_or_default(), &value);
    if fault.message.is_empty() {
        fault.message = format!("the provider answered with status {status} and no error message");
    }
    fault.upstream_status = Some(status);
    if let Some(after) = retry_after {
        fault.retry = Retry::After(after);
    }
    fault
}

/// A fault by its name, as an error answer or an event of a stream has it.
pub(super) fn named(status: Option<u16>, name: &str, value: &Value) -> Fault {
    let text = |name: &str| value.get(name).and_then(Value::as_str);
    let message = text("message").or_else(|| text("Message")).unwrap_or_default();
    let kind = kind(status, name, message);
    let message: String = message.chars().take(MESSAGE_CHARS_MAX).collect();
    let mut fault = Fault::new(Origin::Upstream, kind, message);
    fault.code = (!name.is_empty()).then(|| Cow::Owned(name.to_owned()));
    fault
}

fn kind(status: Option<u16>, name: &str, message: &str) -> Kind {
    let says = |text: &str| message.contains(text);
    if says("Input is too long")
        || says("prompt is too long")
        || says("exceeds the maximum number of input tokens")
    {
        return Kind::ContextTooLong;
    }
    let is = |known: &str| name.eq_ignore_ascii_case(known);
    if is("throttlingException") {
        return if says("per day") { Kind::QuotaExhausted } else { Kind::RateLimited };
    }
    if is("serviceQuotaExceededException") {
        return Kind::QuotaExhausted;
    }
    if is("validationException") {
        return Kind::Invalid;
    }
    if is("accessDeniedException") {
        return Kind::Forbidden;
    }
    if is("unrecognizedClientException") || is("expiredTokenException") || says("security token") {
        return Kind::Unauthenticated;
    }
    if is("resourceNotFoundException") {
        return Kind::NotFound;
    }
    if is("modelTimeoutException") {
        return Kind::Timeout;
    }
    if is("serviceUnavailableException") || is("modelNotReadyException") {
        return Kind::Overloaded;
    }
    match status {
        Some(401) => Kind::Unauthenticated,
        Some(402) => Kind::QuotaExhausted,
        Some(403) => Kind::Forbidden,
        Some(404) => Kind::NotFound,
        Some(408 | 504) => Kind::Timeout,
        Some(413) => Kind::TooLarge,
        Some(424) => Kind::Internal,
        Some(429) => Kind::RateLimited,
        Some(400..=499) => Kind::Invalid,
        Some(502) => Kind::Unreachable,
        Some(503) => Kind::Overloaded,
        Some(_) | None => Kind::Internal,
    }
}

/// Writes a fault as Bedrock does. Its SDKs find the name in a header, or where that is not there in `__type`.
pub(super) fn encode_fault(fault: &Fault, request_id: &str) -> FaultBody {
    let mut json = Vec::with_capacity(256);
    let (status, name) = name(fault);
    let mut body = ObjectWriter::open(&mut json);
    body.string("__type", name);
    body.string("message", &fault.to_string());
    // Not `code`, which the SDKs would take for the name.
    body.string("reason", fault.code.as_deref().unwrap_or(fault.kind.name()));
    if let Some(param) = &fault.param {
        body.string("field", param);
    }
    if !request_id.is_empty() {
        body.string("request_id", request_id);
    }
    body.close();
    FaultBody { status, json }
}

/// The name of a fault inside a stream.
pub(super) fn stream_name(fault: &Fault) -> &'static str {
    match fault.kind {
        Kind::RateLimited | Kind::QuotaExhausted => "throttlingException",
        Kind::Invalid | Kind::Unsupported | Kind::ContextTooLong | Kind::TooLarge => "validationException",
        Kind::Overloaded => "serviceUnavailableException",
        Kind::Cut | Kind::Garbage | Kind::Timeout => "modelStreamErrorException",
        _ => "internalServerException",
    }
}

fn name(fault: &Fault) -> (u16, &'static str) {
    match fault.kind {
        Kind::Invalid | Kind::Unsupported | Kind::ContextTooLong | Kind::ContentPolicy => {
            (400, "ValidationException")
        }
        // A provider that refuses the gateway's own credential is no fault of the caller's key.
        Kind::Unauthenticated | Kind::Forbidden if fault.origin == Origin::Upstream => {
            (502, "ServiceUnavailableException")
        }
        Kind::Unauthenticated => (401, "UnrecognizedClientException"),
        Kind::Forbidden => (403, "AccessDeniedException"),
        Kind::NotFound => (404, "ResourceNotFoundException"),
        Kind::MethodNotAllowed => (405, "ValidationException"),
        Kind::TooLarge => (413, "ValidationException"),
        Kind::RateLimited => (429, "ThrottlingException"),
        Kind::QuotaExhausted => (400, "ServiceQuotaExceededException"),
        Kind::Overloaded => (503, "ServiceUnavailableException"),
        Kind::Timeout => (408, "ModelTimeoutException"),
        Kind::Unreachable | Kind::Cut | Kind::Garbage => (502, "ServiceUnavailableException"),
        Kind::Internal if fault.origin == Origin::Upstream => (424, "ModelErrorException"),
        Kind::Internal => (500, "InternalServerException"),
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
        check(400, r#"{"message":"Input is too long for requested model."}"#, Kind::ContextTooLong);
        check(400, r#"{"__type":"com.amazon#ValidationException","message":"bad"}"#, Kind::Invalid);
        check(429, r#"{"message":"Too many requests"}"#, Kind::RateLimited);
        check(
            403,
            r#"{"message":"The security token included in the request is invalid."}"#,
            Kind::Unauthenticated,
        );
        check(404, r#"{"message":"no such model"}"#, Kind::NotFound);
        check(503, "<html>", Kind::Overloaded);
        let body = encode_fault(&Fault::invalid("messages[0].role", "is missing"), "req-1");
        let value: Value = serde_json::from_slice(&body.json).unwrap();
        assert_eq!((body.status, value["__type"].as_str()), (400, Some("ValidationException")));
        assert_eq!(value["field"], "messages[0].role");
    }
}

//! Error answers: <https://ai.google.dev/gemini-api/docs/troubleshooting>, <https://google.aip.dev/193>.

use std::time::Duration;

use serde_json::Value;

use crate::{
    Fault, FaultBody, Kind, Origin, Retry,
    json::{ObjectWriter, write_array},
};

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

/// Reads an error object, also one inside a stream, where the status stands in it.
pub(super) fn error_object(value: &Value, status: Option<u16>) -> Fault {
    // A stream that is an array answers with an error in an array.
    let value = value.get(0).unwrap_or(value);
    let error = value.get("error").unwrap_or(value);
    let message = error.as_str().or_else(|| error["message"].as_str()).unwrap_or_default();
    let code = error["code"].as_u64().and_then(|code| u16::try_from(code).ok());
    let details = error["details"].as_array().map_or(&[][..], Vec::as_slice);
    let reason = details.iter().find_map(|detail| detail["reason"].as_str()).unwrap_or_default();
    let kind =
        kind(status.or(code).unwrap_or(500), error["status"].as_str().unwrap_or_default(), reason, message);
    let mut fault =
        Fault::new(Origin::Upstream, kind, message.chars().take(MESSAGE_CHARS_MAX).collect::<String>());
    let delay = details.iter().find_map(|detail| detail["retryDelay"].as_str());
    if let Some(seconds) = delay.and_then(|delay| delay.strip_suffix('s')?.parse::<f64>().ok()) {
        fault.retry = Duration::try_from_secs_f64(seconds).map_or(fault.retry, Retry::After);
    }
    fault
}

/// The words of the status are Google's canonical codes; one of them, `INVALID_ARGUMENT`, says little.
fn kind(status: u16, word: &str, reason: &str, message: &str) -> Kind {
    if message.contains("exceeds the maximum number of tokens") {
        return Kind::ContextTooLong;
    }
    match (word, reason) {
        (_, "API_KEY_INVALID") => Kind::Unauthenticated,
        ("RESOURCE_EXHAUSTED", _) if message.contains("limit: 0") => Kind::QuotaExhausted,
        ("RESOURCE_EXHAUSTED", _) => Kind::RateLimited,
        ("UNAUTHENTICATED", _) => Kind::Unauthenticated,
        ("PERMISSION_DENIED", _) => Kind::Forbidden,
        ("NOT_FOUND", _) => Kind::NotFound,
        ("UNAVAILABLE", _) => Kind::Overloaded,
        ("DEADLINE_EXCEEDED", _) => Kind::Timeout,
        ("INVALID_ARGUMENT" | "FAILED_PRECONDITION" | "OUT_OF_RANGE", _) => Kind::Invalid,
        _ => match status {
            401 => Kind::Unauthenticated,
            402 => Kind::QuotaExhausted,
            403 => Kind::Forbidden,
            404 => Kind::NotFound,
            408 | 504 => Kind::Timeout,
            413 => Kind::TooLarge,
            429 => Kind::RateLimited,
            400..=499 => Kind::Invalid,
            502 => Kind::Unreachable,
            503 => Kind::Overloaded,
            _ => Kind::Internal,
        },
    }
}

/// Writes a fault as Google does. The field at fault, our own code and the request's id stand in its details.
pub(super) fn encode_fault(fault: &Fault, request_id: &str) -> FaultBody {
    let mut json = Vec::with_capacity(256);
    write_error(&mut json, fault, request_id);
    FaultBody { status: status(fault).0, json }
}

pub(super) fn write_error(out: &mut Vec<u8>, fault: &Fault, request_id: &str) {
    let (code, word) = status(fault);
    let mut body = ObjectWriter::open(out);
    let mut error = ObjectWriter::open(body.key("error"));
    error.value("code", &code);
    error.string("message", &fault.to_string());
    error.string("status", word);
    write_array(error.key("details"), details(fault, request_id), |out, detail| {
        out.extend_from_slice(&detail);
    });
    error.close();
    body.close();
}

/// What and where, and when to try again (<https://google.aip.dev/193#error_model>).
fn details(fault: &Fault, request_id: &str) -> Vec<Vec<u8>> {
    let mut out = Vec::with_capacity(160);
    let mut info = ObjectWriter::open(&mut out);
    info.string("@type", "type.googleapis.com/google.rpc.ErrorInfo");
    info.string("reason", fault.code.as_deref().unwrap_or(fault.kind.name()));
    info.string("domain", "tollgate");
    let mut metadata = ObjectWriter::open(info.key("metadata"));
    if !request_id.is_empty() {
        metadata.string("request_id", request_id);
    }
    if let Some(param) = &fault.param {
        metadata.string("field", param);
    }
    metadata.close();
    info.close();
    let mut details = vec![out];
    if let Some(seconds) = fault.retry.seconds() {
        let mut out = Vec::with_capacity(80);
        let mut retry = ObjectWriter::open(&mut out);
        retry.string("@type", "type.googleapis.com/google.rpc.RetryInfo");
        retry.string("retryDelay", &format!("{seconds}s"));
        retry.close();
        details.push(out);
    }
    details
}

/// The status and its canonical word.
fn status(fault: &Fault) -> (u16, &'static str) {
    match fault.kind {
        Kind::Invalid | Kind::Unsupported | Kind::ContextTooLong | Kind::ContentPolicy => {
            (400, "INVALID_ARGUMENT")
        }
        // A provider that refuses the gateway's own credential is no fault of the caller's key.
        Kind::Unauthenticated | Kind::Forbidden if fault.origin == Origin::Upstream => (502, "UNAVAILABLE"),
        Kind::Unauthenticated => (401, "UNAUTHENTICATED"),
        Kind::Forbidden => (403, "PERMISSION_DENIED"),
        Kind::NotFound => (404, "NOT_FOUND"),
        Kind::MethodNotAllowed => (405, "UNIMPLEMENTED"),
        Kind::TooLarge => (413, "INVALID_ARGUMENT"),
        Kind::RateLimited | Kind::QuotaExhausted => (429, "RESOURCE_EXHAUSTED"),
        Kind::Overloaded => (503, "UNAVAILABLE"),
        Kind::Timeout => (504, "DEADLINE_EXCEEDED"),
        Kind::Unreachable | Kind::Cut | Kind::Garbage => (502, "UNAVAILABLE"),
        Kind::Internal if fault.origin == Origin::Upstream => (502, "INTERNAL"),
        Kind::Internal => (500, "INTERNAL"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn provider_errors_are_told_apart() {
        let check = |status, word: &str, message: &str, kind| {
            let body = format!(r#"{{"error":{{"code":{status},"status":"{word}","message":"{message}"}}}}"#);
            assert_eq!(decode_fault(status, None, body.as_bytes()).kind, kind, "{status} {word} {message}");
        };
        check(400, "INVALID_ARGUMENT", "contents is not specified", Kind::Invalid);
        check(
            400,
            "INVALID_ARGUMENT",
            "The input token count (9) exceeds the maximum number of tokens allowed (8).",
            Kind::ContextTooLong,
        );
        check(403, "PERMISSION_DENIED", "no", Kind::Forbidden);
        check(404, "NOT_FOUND", "models/x is not found", Kind::NotFound);
        check(429, "RESOURCE_EXHAUSTED", "slow down", Kind::RateLimited);
        check(503, "UNAVAILABLE", "The model is overloaded.", Kind::Overloaded);
        check(500, "INTERNAL", "An internal error has occurred.", Kind::Internal);
        assert_eq!(decode_fault(503, None, b"<html>").kind, Kind::Overloaded);
        let key = br#"[{"error":{"code":400,"status":"INVALID_ARGUMENT","message":"API key not valid.",
            "details":[{"reason":"API_KEY_INVALID"},{"retryDelay":"7s"}]}}]"#;
        let fault = decode_fault(400, None, key);
        assert_eq!(fault.kind, Kind::Unauthenticated);
        assert_eq!(fault.retry, Retry::After(Duration::from_secs(7)));
    }

    #[test]
    fn faults_are_written_as_the_api_does() {
        let mut fault = Fault::invalid("contents[0].role", "must be user or model");
        fault.retry = Retry::After(Duration::from_millis(2_100));
        let body = encode_fault(&fault, "req-1");
        let value: Value = serde_json::from_slice(&body.json).unwrap();
        assert_eq!(body.status, 400);
        assert_eq!(value["error"]["code"], 400);
        assert_eq!(value["error"]["status"], "INVALID_ARGUMENT");
        assert_eq!(value["error"]["details"][0]["metadata"]["field"], "contents[0].role");
        assert_eq!(value["error"]["details"][1]["retryDelay"], "3s");
    }
}

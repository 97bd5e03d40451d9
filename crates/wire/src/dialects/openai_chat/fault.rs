//! Error answers: <https://platform.openai.com/docs/guides/error-codes/api-errors>.

use std::{borrow::Cow, time::Duration};

use serde_json::Value;

use crate::{Fault, FaultBody, Kind, Origin, Retry, json::ObjectWriter};

/// The most of a provider's message that is kept.
const MESSAGE_CHARS_MAX: usize = 2_000;

/// Reads a provider's error answer, in the shapes that compatible servers use.
pub(in crate::dialects) fn decode_fault(status: u16, retry_after: Option<Duration>, body: &[u8]) -> Fault {
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

/// Reads an error object, also one inside a stream, where there is no status.
pub(in crate::dialects) fn error_object(value: &Value, status: Option<u16>) -> Fault {
    let error = value.get("error").filter(|error| !error.is_null()).unwrap_or(value);
    let text = |name: &str| error.get(name).and_then(Value::as_str);
    let code = error.get("code").and_then(|code| match code {
        Value::String(code) => Some(code.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    });
    let message = error
        .as_str()
        .or_else(|| text("message"))
        .or_else(|| value.get("message").and_then(Value::as_str))
        .or_else(|| value.get("detail").and_then(Value::as_str));
    let message = match (message, value.get("detail").or_else(|| value.get("message"))) {
        (Some(message), _) => message.to_owned(),
        // FastAPI servers list what they miss.
        (None, Some(detail)) => detail.to_string(),
        (None, None) => String::new(),
    };
    // Some providers put the status into the body of a stream's error.
    let status = status.or_else(|| code.as_deref().and_then(|code| code.parse().ok()));
    let kind = kind(status.unwrap_or(500), text("type").unwrap_or_default(), code.as_deref(), &message);
    let mut fault =
        Fault::new(Origin::Upstream, kind, message.chars().take(MESSAGE_CHARS_MAX).collect::<String>());
    fault.code = code.filter(|code| code.parse::<u16>().is_err()).map(Cow::Owned);
    fault.param = text("param").map(str::to_owned);
    fault
}

/// Writes a fault as OpenAI does.
pub(in crate::dialects) fn encode_fault(fault: &Fault, request_id: &str) -> FaultBody {
    let mut json = Vec::with_capacity(256);
    let mut body = ObjectWriter::open(&mut json);
    write_error(&mut body, fault, request_id);
    body.close();
    FaultBody { status: status(fault), json }
}

/// Writes the last chunk of a stream that broke.
pub(super) fn write_event(out: &mut Vec<u8>, fault: &Fault) {
    out.extend_from_slice(b"data: ");
    let mut body = ObjectWriter::open(out);
    write_error(&mut body, fault, "");
    body.close();
    out.extend_from_slice(b"\n\n");
}

pub(in crate::dialects) fn write_error(body: &mut ObjectWriter<'_>, fault: &Fault, request_id: &str) {
    let mut error = ObjectWriter::open(body.key("error"));
    error.string("message", &error_message(fault, request_id));
    error.string("type", error_type(fault.kind));
    match &fault.param {
        Some(param) => error.string("param", param),
        None => error.raw("param", "null"),
    }
    error.string("code", error_code(fault));
    error.close();
}

/// What a person reads, with the request's id where there is one.
pub(in crate::dialects) fn error_message(fault: &Fault, request_id: &str) -> String {
    if request_id.is_empty() { fault.to_string() } else { format!("{fault} (request {request_id})") }
}

/// A provider that finds nothing has no such model: clients look for OpenAI's own word for that.
pub(in crate::dialects) fn error_code(fault: &Fault) -> &str {
    if fault.kind == Kind::NotFound && fault.origin == Origin::Upstream {
        return "model_not_found";
    }
    fault.code.as_deref().unwrap_or(fault.kind.name())
}

fn kind(status: u16, error_type: &str, code: Option<&str>, message: &str) -> Kind {
    let says = |text: &str| message.contains(text);
    match code {
        Some("context_length_exceeded" | "string_above_max_length") => return Kind::ContextTooLong,
        Some("content_filter" | "content_policy_violation" | "ResponsibleAIPolicyViolation") => {
            return Kind::ContentPolicy;
        }
        Some("insufficient_quota" | "billing_hard_limit_reached") => return Kind::QuotaExhausted,
        Some(_) | None => {}
    }
    if error_type == "insufficient_quota" {
        return Kind::QuotaExhausted;
    }
    let too_long = says("context length")
        || says("context window")
        || says("maximum context")
        || says("prompt is too long");
    match status {
        400 | 413 | 422 if too_long => Kind::ContextTooLong,
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
    if text.is_empty() || text.starts_with('<') {
        return format!("the provider answered with status {status} and no error message");
    }
    format!("the provider answered with status {status}: {text}")
}

fn status(fault: &Fault) -> u16 {
    match fault.kind {
        Kind::Invalid | Kind::Unsupported | Kind::ContextTooLong | Kind::ContentPolicy => 400,
        // A provider that refuses the gateway's own credential is no fault of the caller's key.
        Kind::Unauthenticated if fault.origin == Origin::Upstream => 502,
        Kind::Unauthenticated => 401,
        Kind::Forbidden if fault.origin == Origin::Upstream => 502,
        Kind::Forbidden => 403,
        Kind::NotFound => 404,
        Kind::MethodNotAllowed => 405,
        Kind::TooLarge => 413,
        Kind::RateLimited | Kind::QuotaExhausted => 429,
        Kind::Overloaded => 503,
        Kind::Timeout => 504,
        Kind::Unreachable | Kind::Cut | Kind::Garbage => 502,
        Kind::Internal if fault.origin == Origin::Upstream => 502,
        Kind::Internal => 500,
    }
}

fn error_type(kind: Kind) -> &'static str {
    match kind {
        Kind::Invalid
        | Kind::Unsupported
        | Kind::NotFound
        | Kind::MethodNotAllowed
        | Kind::TooLarge
        | Kind::ContextTooLong
        | Kind::ContentPolicy => "invalid_request_error",
        Kind::Unauthenticated => "authentication_error",
        Kind::Forbidden => "permission_error",
        Kind::RateLimited => "rate_limit_error",
        Kind::QuotaExhausted => "insufficient_quota",
        Kind::Overloaded => "service_unavailable_error",
        Kind::Timeout | Kind::Unreachable | Kind::Cut | Kind::Garbage | Kind::Internal => "server_error",
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
        check(
            401,
            r#"{"error":{"message":"Incorrect API key","type":"invalid_request_error","code":"invalid_api_key"}}"#,
            Kind::Unauthenticated,
        );
        check(
            400,
            r#"{"error":{"message":"too long","code":"context_length_exceeded"}}"#,
            Kind::ContextTooLong,
        );
        check(400, r#"{"error":"this model's maximum context length is 8192"}"#, Kind::ContextTooLong);
        check(400, r#"{"error":{"message":"no","code":"content_filter"}}"#, Kind::ContentPolicy);
        check(
            429,
            r#"{"error":{"message":"m","type":"insufficient_quota","code":null}}"#,
            Kind::QuotaExhausted,
        );
        check(429, r#"{"error":{"message":"slow down"}}"#, Kind::RateLimited);
        check(422, r#"{"detail":[{"loc":["body","messages"],"msg":"Field required"}]}"#, Kind::Invalid);
        check(502, "<html>bad gateway</html>", Kind::Unreachable);
        check(529, "", Kind::Overloaded);
        check(500, "not json", Kind::Internal);
    }

    #[test]
    fn a_model_that_is_not_found_has_its_code() {
        let check = |origin, code: Option<&'static str>, expected: &str| {
            let mut fault = Fault::new(origin, Kind::NotFound, "no");
            fault.code = code.map(Cow::Borrowed);
            let body: Value = serde_json::from_slice(&encode_fault(&fault, "").json).unwrap();
            assert_eq!(body["error"]["code"], expected);
        };
        check(Origin::Upstream, None, "model_not_found");
        check(Origin::Upstream, Some("ResourceNotFoundException"), "model_not_found");
        check(Origin::Client, Some("path_not_found"), "path_not_found");
    }

    #[test]
    fn a_retry_hint_is_kept() {
        let after = Duration::from_secs(7);
        assert_eq!(decode_fault(429, Some(after), b"{}").retry, Retry::After(after));
    }
}

//! Answers that the gateway makes itself; the one place where faults become responses.

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Response, StatusCode, header};
use uuid::Uuid;
use wire::{Dialect, Fault, Kind, Origin, Retry};

use crate::{headers, relay::Body};

/// A fault in the caller's dialect.
pub(crate) fn fault(fault: &Fault, dialect: Dialect, id: Uuid) -> Response<Body> {
    let mut text = Uuid::encode_buffer();
    let id = id.hyphenated().encode_lower(&mut text);
    let body = dialect.encode_fault(fault, id);
    let mut response = json(StatusCode::from_u16(body.status).unwrap_or(StatusCode::BAD_GATEWAY), body.json);
    let response_headers = response.headers_mut();
    if let Ok(id) = HeaderValue::from_str(id) {
        response_headers.insert(headers::REQUEST_ID, id);
    }
    response_headers.insert(headers::ORIGIN, HeaderValue::from_static(fault.origin.name()));
    let after = match fault.retry {
        Retry::After(_) => fault.retry.seconds(),
        Retry::Soon if fault.kind == Kind::RateLimited || fault.kind == Kind::Overloaded => Some(1),
        Retry::Soon | Retry::Never => None,
    };
    if let Some(seconds) = after {
        response_headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    for (name, value) in &fault.headers {
        if let Ok(value) = HeaderValue::from_str(value) {
            response_headers.insert(HeaderName::from_static(name), value);
        }
    }
    // The SDKs of OpenAI and Anthropic try again by themselves unless they are told not to.
    if fault.kind == Kind::QuotaExhausted && fault.origin == Origin::Gateway {
        response_headers.insert("x-should-retry", HeaderValue::from_static("false"));
    }
    if fault.kind == Kind::Unauthenticated && body.status == 401 {
        // What was wrong with a token is told where there was one
        // (<https://www.rfc-editor.org/rfc/rfc6750#section-3>).
        let token = fault.code.as_deref().is_some_and(|code| code.starts_with("token_"));
        let challenge = if token { "Bearer error=\"invalid_token\"" } else { "Bearer" };
        response_headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
    }
    response
}

pub(crate) fn json(status: StatusCode, body: impl Into<Bytes>) -> Response<Body> {
    typed(status, "application/json", body)
}

pub(crate) fn typed(status: StatusCode, kind: &'static str, body: impl Into<Bytes>) -> Response<Body> {
    let mut response = Response::new(Body::full(body.into()));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn who_waits_as_long_as_was_said_has_waited_long_enough() {
        let refused = Fault::new(Origin::Gateway, Kind::RateLimited, "slow down")
            .retry(Retry::After(Duration::from_millis(5_020)));
        let response = fault(&refused, Dialect::OpenaiChat, Uuid::nil());
        assert_eq!(response.headers()[header::RETRY_AFTER], "6");
    }
}

//! The head of an answer: what is kept of the provider's, and what the gateway says of the call.

use http::{HeaderMap, HeaderName, HeaderValue, Response, header};
use policy::{Money, route::Target};
use wire::Dialect;

use super::Body;
use crate::{call::Call, headers};

/// Whether an answer is a stream of its dialect.
pub(super) fn is_stream(headers: &HeaderMap, dialect: Dialect) -> bool {
    let essence = |kind: &str| kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let kind = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    kind.is_some_and(|kind| essence(kind) == essence(dialect.stream_type()))
}

/// The provider's headers that are kept, and what the gateway says of the call.
pub(super) fn set_headers(
    response: &mut Response<Body>,
    call: &mut Call,
    upstream: &HeaderMap,
    target: &Target,
) {
    let open = call.open();
    let own = open.dialect == target.dialect;
    let to = response.headers_mut();
    for (name, value) in upstream {
        // Rate limits of another dialect would mislead an SDK.
        if (own || !is_dialects(name)) && !to.contains_key(name) {
            to.append(name.clone(), value.clone());
        }
    }
    let mut id = uuid::Uuid::encode_buffer();
    let id = open.arrival.id.hyphenated().encode_lower(&mut id);
    if let Ok(id) = HeaderValue::from_str(id) {
        let usual = HeaderName::from_static(open.dialect.id_header());
        to.entry(usual).or_insert_with(|| id.clone());
        to.insert(headers::REQUEST_ID, id);
    }
    let shown = format!("{}/{}", target.provider.facts.id, target.model);
    if let Ok(shown) = HeaderValue::from_str(&shown) {
        to.insert(headers::TARGET, shown);
    }
    for (name, value) in &open.told {
        if let Ok(value) = HeaderValue::from_str(value) {
            to.insert(HeaderName::from_static(name), value);
        }
    }
    to.insert(headers::ATTEMPTS, HeaderValue::from(open.attempts.len()));
    if !open.losses.is_empty() {
        let names: Vec<String> = open.losses.iter().map(ToString::to_string).collect();
        // A header has room for ASCII only, and a caller may name its members otherwise.
        let names = names.join(", ").replace(|letter: char| !(' '..='~').contains(&letter), "?");
        if let Ok(names) = HeaderValue::from_str(&names) {
            to.insert(headers::LOSS, names);
        }
    }
}

pub(super) fn set_cost(to: &mut HeaderMap, cost: Option<Money>) {
    let text = cost.map_or_else(|| "unpriced".to_owned(), |cost| cost.to_string());
    if let Ok(text) = HeaderValue::from_str(&text) {
        to.insert(headers::COST, text);
    }
}

/// Headers that mean something only to callers of the provider's own dialect.
fn is_dialects(name: &HeaderName) -> bool {
    !matches!(name.as_str(), "content-type" | "retry-after" | "retry-after-ms")
}

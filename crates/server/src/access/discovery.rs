//! Where an issuer's keys are, and what they are. Redirects are not followed: they would lead to whatever address somebody in
//! between, or the issuer's website, says.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Request, StatusCode, header};
use policy::authentication::{Issuer, Keys, is_private};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::Value;

use super::key_set::KeySet;
use crate::credentials::Fetcher;

/// For one answer.
const TIME_MAX: Duration = Duration::from_secs(10);
/// How long keys are used before they are looked at again, where the issuer does not say, and the bounds of what it says.
const LASTS: Duration = Duration::from_secs(3_600);
const LASTS_MIN: Duration = Duration::from_secs(300);
const LASTS_MAX: Duration = Duration::from_secs(86_400);

/// The member of an issuer's description that tells of its keys
/// (<https://openid.net/specs/openid-connect-discovery-1_0.html#ProviderMetadata>).
#[derive(Deserialize)]
struct Description {
    jwks_uri: String,
}

/// An issuer's keys, and how long they last.
pub(super) async fn keys(issuer: &Issuer, fetcher: &Fetcher) -> Result<(KeySet, Duration), String> {
    let url = match &issuer.keys {
        Keys::Shared(secret) => return Ok((KeySet::shared(secret), LASTS_MAX)),
        Keys::At { url } => url.clone(),
        Keys::Discovered { url, allow_http } => {
            let (description, _) = description::<Description>(url, &issuer.issuer, fetcher).await?;
            if !allow_http && !is_private(&description.jwks_uri) {
                return Err(format!("{url} has its keys at an address without https"));
            }
            description.jwks_uri
        }
    };
    let (headers, body) = fetched(&url, fetcher).await?;
    let keys = KeySet::parse(&body).map_err(|error| format!("{url}: {error}"))?;
    Ok((keys, lasts(&headers)))
}

/// What an issuer says of itself, and how long that lasts.
pub(crate) async fn description<T: DeserializeOwned>(
    url: &str,
    issuer: &str,
    fetcher: &Fetcher,
) -> Result<(T, Duration), String> {
    let (headers, body) = fetched(url, fetcher).await?;
    let unread = || format!("{url} answered with no description of an issuer");
    let members: Value = serde_json::from_slice(&body).map_err(|_| unread())?;
    // Otherwise one issuer could bring the keys of another
    // (<https://openid.net/specs/openid-connect-discovery-1_0.html#ProviderConfigurationValidation>).
    let named = members.get("issuer").and_then(Value::as_str).ok_or_else(unread)?;
    if named != issuer {
        return Err(format!("{url} describes another issuer, \"{named}\""));
    }
    Ok((serde_json::from_value(members).map_err(|_| unread())?, lasts(&headers)))
}

async fn fetched(url: &str, fetcher: &Fetcher) -> Result<(HeaderMap, Bytes), String> {
    let request = Request::get(url).header(header::ACCEPT, "application/json").body(Bytes::new());
    let request = request.map_err(|_| format!("\"{url}\" is no address"))?;
    let answer = fetcher.send_within(request, TIME_MAX).await.map_err(|error| format!("{url}: {error}"))?;
    let (parts, body) = answer.into_parts();
    match parts.status {
        StatusCode::OK => Ok((parts.headers, body)),
        status if status.is_redirection() => {
            Err(format!("{url} answered with {}, and redirects are not followed", status.as_u16()))
        }
        status => Err(format!("{url} answered with {}", status.as_u16())),
    }
}

/// How long an answer says that it may be used (<https://www.rfc-editor.org/rfc/rfc9111#section-5.2.2>), within bounds.
fn lasts(headers: &HeaderMap) -> Duration {
    let values = headers.get_all(header::CACHE_CONTROL).into_iter().filter_map(|value| value.to_str().ok());
    let mut directives = values.flat_map(|value| value.split(',')).map(str::trim);
    let said = directives.find_map(|directive| {
        let (name, seconds) = directive.split_once('=')?;
        let seconds = seconds.trim_matches('"').parse().ok()?;
        name.eq_ignore_ascii_case("max-age").then_some(Duration::from_secs(seconds))
    });
    said.unwrap_or(LASTS).clamp(LASTS_MIN, LASTS_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_last_as_long_as_their_issuer_says_within_bounds() {
        let check = |value: Option<&'static str>, seconds: u64| {
            let pairs = value.map(|value| (header::CACHE_CONTROL, http::HeaderValue::from_static(value)));
            assert_eq!(lasts(&pairs.into_iter().collect()).as_secs(), seconds, "{value:?}");
        };
        check(None, 3_600);
        check(Some("public, max-age=7200, must-revalidate"), 7_200);
        check(Some("Max-Age=\"600\""), 600);
        check(Some("max-age=0"), 300);
        check(Some("max-age=99999999"), 86_400);
        check(Some("max-age=soon"), 3_600);
        check(Some("no-store"), 3_600);
    }
}

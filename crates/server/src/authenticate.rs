//! Who is asking: the key, the token or the certificate that a caller shows.

use std::{net::IpAddr, rc::Rc, sync::Arc};

use http::{HeaderMap, request};
use policy::{
    key::{IMPORTED_PREFIX, KEY_PREFIX, Scope},
    principal::{AddressRange, Principal},
};
use wire::{Fault, Kind, Origin};

use crate::{access, call::Arrival, callers::Callers, core::Core};

/// Whether the certificate of the connection, if there is one, is good still: that must be so whatever else is shown.
pub(crate) fn connection(arrival: &Arrival) -> Result<(), Fault> {
    let certificate = arrival.peer.certificate.as_ref();
    certificate
        .map_or(Ok(()), |certificate| certificate.check(arrival.started_us))
        .map_err(|refusal| refusal.fault())
}

/// Finds whoever makes a call: by a key, a token or, where neither is shown, the certificate of the connection.
pub(crate) async fn caller(
    core: &Rc<Core>,
    parts: &request::Parts,
    arrival: &Arrival,
) -> Result<Arc<Principal>, Fault> {
    let certificate = arrival.peer.certificate.as_ref();
    let world = core.world();
    let shown = Shown::by(parts);
    let token = if world.access.takes_tokens() { shown.token() } else { None };
    let found = match (token, certificate) {
        // Boxed, since every call would carry what only this way needs.
        (Some(text), _) => Some(Box::pin(access::by_token(core, &world, text, arrival)).await),
        (None, Some(certificate)) if shown.key().is_none() => {
            access::by_certificate(core, &world, certificate).transpose()
        }
        (None, _) => None,
    };
    let Some(found) = found else { return authenticate(core, parts, arrival, Scope::Calls) };
    let principal = found.map_err(|refusal| refusal.fault())?;
    let trusted = &world.snapshot.server.trusted_proxies;
    principal.may_come_from(address(arrival.peer.address, &parts.headers, trusted))?;
    Ok(principal.at(arrival.started_us))
}

/// Finds the caller behind a key, and checks that it is good for this scope and may call from where it does.
pub(crate) fn authenticate(
    core: &Core,
    parts: &request::Parts,
    arrival: &Arrival,
    scope: Scope,
) -> Result<Arc<Principal>, Fault> {
    let address =
        address(arrival.peer.address, &parts.headers, &core.world().snapshot.server.trusted_proxies);
    by_key(&core.callers(), Shown::by(parts), scope, (arrival.started_us, address))
}

/// The same, for a key that is shown at a moment, in microseconds since 1970, from an address.
pub(crate) fn by_key(
    callers: &Callers,
    shown: Shown<'_>,
    scope: Scope,
    (now_us, address): (i64, IpAddr),
) -> Result<Arc<Principal>, Fault> {
    let refused = |message: &str, code| Fault::new(Origin::Client, Kind::Unauthenticated, message).code(code);
    let shown = shown.key().ok_or_else(|| {
        refused(
            "no key was sent; send it as \"authorization: Bearer tg-…\" or in your SDK's own header",
            "key_missing",
        )
    })?;
    of_key(callers, shown, scope, (now_us, address))
}

/// The same, for a key that was found already.
pub(crate) fn of_key(
    callers: &Callers,
    shown: &str,
    scope: Scope,
    (now_us, address): (i64, IpAddr),
) -> Result<Arc<Principal>, Fault> {
    let refused = |message: &str, code| Fault::new(Origin::Client, Kind::Unauthenticated, message).code(code);
    let principal = callers.find(shown).ok_or_else(|| {
        refused(
            "this key is not known here; check that it was copied whole, or ask for a new one",
            "key_unknown",
        )
    })?;
    principal.check(now_us)?;
    principal.may_come_from(address)?;
    if principal.scope == scope {
        return Ok(principal.at(now_us));
    }
    let message = match scope {
        Scope::Calls => "an admin key opens the admin API and no models; use an application's key",
        Scope::Admin => "this needs an admin key",
    };
    Err(Fault::new(Origin::Client, Kind::Forbidden, message).code("wrong_key_scope"))
}

/// Where a call comes from: what a trusted proxy says of it, the nearest address that no trusted proxy has
/// (<https://developer.mozilla.org/en-US/docs/Web/HTTP/Reference/Headers/X-Forwarded-For>).
pub(crate) fn address(peer: IpAddr, headers: &HeaderMap, trusted: &[AddressRange]) -> IpAddr {
    let is_trusted = |address: IpAddr| trusted.iter().any(|range| range.contains(address));
    if trusted.is_empty() || !is_trusted(peer) {
        return peer;
    }
    let mut nearest = peer;
    let lines: Vec<&str> =
        headers.get_all("x-forwarded-for").iter().filter_map(|line| line.to_str().ok()).collect();
    for text in lines.iter().rev().flat_map(|line| line.rsplit(',')) {
        // What is no address was made up by somebody: nothing before it can be believed.
        let Ok(address) = text.trim().parse::<IpAddr>() else { return nearest };
        nearest = address.to_canonical();
        if !is_trusted(nearest) {
            return nearest;
        }
    }
    nearest
}

/// The headers in which SDKs send a key: Anthropic's, Google's and Azure's.
const KEY_HEADERS: [&str; 3] = ["x-api-key", "x-goog-api-key", "api-key"];

/// The access key id of a request that an AWS SDK signed, which is the key. The signature says nothing here: who knows
/// the key is its owner
/// (<https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html>).
fn signer(authorization: &str) -> Option<&str> {
    let credential = authorization.split(',').find_map(|part| part.trim().strip_prefix("Credential="))?;
    credential.split('/').next()
}

/// Where a request may show a key.
#[derive(Clone, Copy)]
pub(crate) struct Shown<'a> {
    headers: &'a HeaderMap,
    query: &'a str,
}

impl<'a> Shown<'a> {
    pub(crate) fn by(parts: &'a request::Parts) -> Shown<'a> {
        Shown { headers: &parts.headers, query: parts.uri.query().unwrap_or_default() }
    }

    /// A key in a header only: an address is written down in too many places to open the admin side.
    pub(crate) fn in_headers(headers: &'a HeaderMap) -> Shown<'a> {
        Shown { headers, query: "" }
    }

    /// Whether anything is shown that could be a key.
    pub(crate) fn has_any(self) -> bool {
        self.key().is_some()
    }

    /// What is shown in a header and is no key. A token in an address would be written down in too many places.
    fn token(self) -> Option<&'a str> {
        let signed = |value: &http::HeaderValue| value.as_bytes().starts_with(b"AWS4-");
        if self.headers.get("authorization").is_some_and(signed) {
            return None;
        }
        let is_key = |shown: &str| shown.starts_with(KEY_PREFIX) || shown.starts_with(IMPORTED_PREFIX);
        Shown::in_headers(self.headers).key().filter(|shown| !is_key(shown))
    }

    /// The key in the header of any SDK, or in the address, as Google's older clients send it.
    fn key(self) -> Option<&'a str> {
        let text = |name: &str| self.headers.get(name).and_then(|value| value.to_str().ok());
        let bearer = text("authorization").and_then(|value| {
            let (scheme, key) = value.split_once(' ')?;
            if scheme.eq_ignore_ascii_case("AWS4-HMAC-SHA256") {
                return signer(key);
            }
            scheme.eq_ignore_ascii_case("bearer").then_some(key.trim())
        });
        let named = || KEY_HEADERS.iter().find_map(|name| text(name)).map(str::trim);
        let queried = || self.query.split('&').find_map(|pair| pair.strip_prefix("key="));
        bearer.or_else(named).or_else(queried)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn proxies_are_believed_where_they_are_trusted() {
        let check = |peer: &str, forwarded: &[&str], expected: &str| {
            let trusted: Vec<AddressRange> =
                ["10.0.0.0/8", "::1"].map(|range| range.parse().unwrap()).to_vec();
            let mut headers = HeaderMap::new();
            for line in forwarded {
                headers.append("x-forwarded-for", line.parse().unwrap());
            }
            let found = address(peer.parse().unwrap(), &headers, &trusted);
            assert_eq!(found, expected.parse::<IpAddr>().unwrap(), "{peer} {forwarded:?}");
        };
        check("203.0.113.9", &["198.51.100.1"], "203.0.113.9");
        check("10.0.0.1", &[], "10.0.0.1");
        check("10.0.0.1", &["198.51.100.1"], "198.51.100.1");
        check("10.0.0.1", &["1.1.1.1, 198.51.100.1, 10.2.2.2"], "198.51.100.1");
        check("10.0.0.1", &["1.1.1.1", "198.51.100.1"], "198.51.100.1");
        check("10.0.0.1", &["10.3.3.3, 10.2.2.2"], "10.3.3.3");
        check("10.0.0.1", &["1.1.1.1, nonsense, 10.2.2.2"], "10.2.2.2");
        check("::1", &["2001:db8::1"], "2001:db8::1");
        check("10.0.0.1", &["::ffff:198.51.100.1"], "198.51.100.1");
    }
}

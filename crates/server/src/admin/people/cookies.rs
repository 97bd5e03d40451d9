//! The cookies of people who sign in (<https://www.rfc-editor.org/rfc/rfc6265>), and what shows that a browser sends a request
//! because a page of this gateway asked it to.

use http::{HeaderMap, Method, StatusCode, request};
use policy::Snapshot;

use crate::{
    admin::{AdminRequest, refusal::Refusal},
    authenticate::Shown,
};

const SESSION: &str = "tollgate-session";
const LOGIN: &str = "tollgate-login";
/// Browsers take cookies of such a name over TLS only, for all paths of this host and no other
/// (<https://developer.mozilla.org/en-US/docs/Web/HTTP/Reference/Headers/Set-Cookie#cookie_prefixes>).
const HOST_PREFIX: &str = "__Host-";
/// A form of another site cannot send it, and its scripts may not
/// (<https://cheatsheetseries.owasp.org/cheatsheets/Cross-Site_Request_Forgery_Prevention_Cheat_Sheet.html#employing-custom-request-headers-for-ajaxapi>).
const PROOF: &str = "x-tollgate-csrf";
/// The longest cookie that is read.
const COOKIE_BYTES_MAX: usize = 4_096;

/// One of the cookies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cookie {
    Session,
    /// Of a login at a provider that is under way.
    Login,
}

/// How cookies are set under a configuration.
#[derive(Clone, Copy, Debug)]
pub(super) struct Jar {
    is_secure: bool,
}

impl Jar {
    /// Without an address for browsers, the listener's own says whether they come over TLS.
    pub(super) fn of(snapshot: &Snapshot) -> Jar {
        let url = snapshot.sign_in.url.as_deref();
        Jar { is_secure: url.map_or(snapshot.server.tls.is_some(), |url| url.starts_with("https://")) }
    }

    /// A cookie's value. One of the other name is none: without the prefix, a page of a neighbouring host could have set it.
    pub(super) fn read(self, headers: &HeaderMap, cookie: Cookie) -> Option<&str> {
        let wanted = self.name(cookie);
        let lines = headers.get_all("cookie").iter().filter_map(|line| line.to_str().ok());
        let pairs = lines.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='));
        let mut values = pairs.filter(|(name, _)| *name == wanted).map(|(_, value)| value);
        values.next().filter(|value| !value.is_empty() && value.len() <= COOKIE_BYTES_MAX)
    }

    /// The line that sets it, for so many seconds.
    pub(super) fn set(self, cookie: Cookie, value: &str, seconds: u64) -> String {
        let secure = if self.is_secure { "; Secure" } else { "" };
        let name = self.name(cookie);
        format!("{name}={value}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Lax{secure}")
    }

    /// The line that takes it away.
    pub(super) fn clear(self, cookie: Cookie) -> String {
        self.set(cookie, "", 0)
    }

    fn name(self, cookie: Cookie) -> String {
        let name = match cookie {
            Cookie::Session => SESSION,
            Cookie::Login => LOGIN,
        };
        if self.is_secure { format!("{HOST_PREFIX}{name}") } else { name.to_owned() }
    }
}

/// Whether a request has no key, and a cookie that could be a session's.
pub(crate) fn shows_session(parts: &request::Parts) -> bool {
    let has = |is_secure| Jar { is_secure }.read(&parts.headers, Cookie::Session).is_some();
    !Shown::in_headers(&parts.headers).has_any() && (has(true) || has(false))
}

/// What a browser sends by itself must not change anything.
pub(super) fn check_written_by_page(request: &AdminRequest, url: Option<&str>) -> Result<(), Refusal> {
    if request.method == Method::GET || request.method == Method::HEAD {
        return Ok(());
    }
    if !request.headers.contains_key(PROOF) {
        let message = format!(
            "what comes with a cookie and changes something needs the header {PROOF}; send {PROOF}: 1"
        );
        return Err(refused(message));
    }
    check_origin(&request.headers, url)
}

/// Where a browser tells whose page asked it, that page must be this gateway's
/// (<https://developer.mozilla.org/en-US/docs/Web/HTTP/Reference/Headers/Origin>).
pub(super) fn check_origin(headers: &HeaderMap, url: Option<&str>) -> Result<(), Refusal> {
    let text = |name: &str| headers.get(name).map(|value| value.to_str().unwrap_or_default());
    let Some(origin) = text("origin") else { return Ok(()) };
    let origin = origin.to_ascii_lowercase();
    let host = origin.split_once("://").map(|(_, host)| host);
    let own = text("host").map(str::to_ascii_lowercase);
    if url == Some(&origin) || (host.is_some() && host == own.as_deref()) {
        return Ok(());
    }
    Err(refused(
        "a page of another site asked for this; ask from a page of the gateway, whose address is sign_in.url"
            .to_owned(),
    ))
}

fn refused(message: String) -> Refusal {
    Refusal::new(StatusCode::FORBIDDEN, "cross_site", message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect()
    }

    #[test]
    fn cookies_are_read_by_the_name_that_they_are_set_by() {
        let check = |is_secure: bool, line: &'static str, expected: Option<&str>| {
            let headers = headers(&[("cookie", line)]);
            assert_eq!(Jar { is_secure }.read(&headers, Cookie::Session), expected, "{line}");
        };
        check(false, "a=b; tollgate-session=x; c=d", Some("x"));
        check(true, "tollgate-session=x", None);
        check(true, "tollgate-session=x; __Host-tollgate-session=y", Some("y"));
        check(false, "__Host-tollgate-session=y", None);
        check(false, "tollgate-session=", None);
        let set = Jar { is_secure: true }.set(Cookie::Session, "x", 9);
        assert_eq!(set, "__Host-tollgate-session=x; Path=/; Max-Age=9; HttpOnly; SameSite=Lax; Secure");
    }

    #[test]
    fn pages_of_other_sites_are_told_by_their_origin() {
        let check = |pairs: &[(&'static str, &'static str)], url: Option<&str>, good: bool| {
            assert_eq!(check_origin(&headers(pairs), url).is_ok(), good, "{pairs:?}");
        };
        check(&[("host", "gate.example.com")], None, true);
        check(&[("host", "gate.example.com"), ("origin", "https://gate.example.com")], None, true);
        check(&[("host", "10.0.0.1:8080"), ("origin", "https://gate.example.com")], None, false);
        check(
            &[("host", "10.0.0.1:8080"), ("origin", "https://gate.example.com")],
            Some("https://gate.example.com"),
            true,
        );
        check(&[("host", "gate.example.com"), ("origin", "https://evil.example.com")], None, false);
        check(&[("host", "gate.example.com"), ("origin", "null")], None, false);
        check(&[("host", "gate.example.com"), ("origin", "gate.example.com")], None, false);
    }
}

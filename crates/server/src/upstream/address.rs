//! Where a target listens, taken apart once for each snapshot.

use std::borrow::Cow;

use http::Uri;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// An endpoint's address: one pool of connections for each.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Address {
    pub(crate) tls: bool,
    pub(crate) host: String,
    pub(crate) port: u16,
    /// `host` or `host:port`, for the `host` header.
    pub(crate) authority: String,
}

/// Path and query of an address; `{model}` and `{method}` in it are filled for each request.
#[derive(Clone, Debug)]
pub(crate) struct Path(String);

/// What does not stand for itself in a path: everything but RFC 3986's `pchar` and the slash.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~')
    .remove(b'!')
    .remove(b'$')
    .remove(b'&')
    .remove(b'\'')
    .remove(b'(')
    .remove(b')')
    .remove(b'*')
    .remove(b'+')
    .remove(b',')
    .remove(b';')
    .remove(b'=')
    .remove(b':')
    .remove(b'@')
    .remove(b'/');

/// The same, and the slash.
const SEGMENT: &AsciiSet = &ESCAPED.add(b'/');

impl Address {
    /// Takes a URL apart; the catalogue and the configuration have checked it, so `None` is a bug there.
    pub(crate) fn parse(url: &str) -> Option<(Address, Path)> {
        let (start, rest) = url.split_once("://")?;
        let at = rest.find(['/', '?']).unwrap_or(rest.len());
        let (host, path) = rest.split_at_checked(at)?;
        let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
        let uri: Uri = format!("{start}://{host}/").parse().ok()?;
        let tls = match uri.scheme_str()? {
            "https" => true,
            "http" => false,
            _ => return None,
        };
        let authority = uri.authority()?;
        let host = authority.host().trim_matches(['[', ']']).to_owned();
        let port = authority.port_u16().unwrap_or(if tls { 443 } else { 80 });
        let shown = match authority.port_u16() {
            Some(port) => format!("{}:{port}", authority.host()),
            None => authority.host().to_owned(),
        };
        Some((Address { tls, host, port, authority: shown }, Path(path)))
    }
}

impl Path {
    /// The path for a model, with the dialect's method for it.
    pub(crate) fn filled(&self, model: &str, method: &str) -> Cow<'_, str> {
        if !self.0.contains('{') {
            return Cow::Borrowed(&self.0);
        }
        // A name that is a whole segment of the path (Bedrock's) holds no slash there.
        let escaped = if self.0.contains("{model}/") { SEGMENT } else { ESCAPED };
        let filled = self.0.replace("{model}", &Cow::from(utf8_percent_encode(model, escaped)));
        // A method with a query of its own joins the one that is there.
        match (filled.split_once('?'), method.split_once('?')) {
            (Some((path, query)), Some((method, more))) => {
                Cow::Owned(format!("{}?{query}&{more}", path.replace("{method}", method)))
            }
            _ => Cow::Owned(filled.replace("{method}", method)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_filled() {
        let check = |url: &str, model: &str, method: &str, expected: &str| {
            let (address, path) = Address::parse(url).unwrap();
            assert_eq!(address.authority, "a.example:8443");
            assert_eq!(path.filled(model, method), expected);
        };
        check("https://a.example:8443/v1/chat", "m", "", "/v1/chat");
        check("https://a.example:8443", "m", "", "/");
        let gemini = "https://a.example:8443/v1beta/models/{model}:{method}";
        check(
            gemini,
            "g-1",
            "streamGenerateContent?alt=sse",
            "/v1beta/models/g-1:streamGenerateContent?alt=sse",
        );
        check(
            "https://a.example:8443/{model}/{method}?v=1",
            "a b/ü",
            "x?alt=sse",
            "/a%20b%2F%C3%BC/x?v=1&alt=sse",
        );
    }
}

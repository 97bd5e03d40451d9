//! Where a target listens, taken apart once for each snapshot.

use http::Uri;

/// An endpoint's address: one pool of connections for each.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Address {
    pub(crate) tls: bool,
    pub(crate) host: String,
    pub(crate) port: u16,
    /// `host` or `host:port`, for the `host` header.
    pub(crate) authority: String,
    /// Path and query.
    pub(crate) path: String,
}

impl Address {
    /// Takes a URL apart; the catalogue and the configuration have checked it, so `None` is a bug there.
    pub(crate) fn parse(url: &str) -> Option<Address> {
        let uri: Uri = url.parse().ok()?;
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
        let path = uri.path_and_query().map_or("/", |path| path.as_str()).to_owned();
        Some(Address { tls, host, port, authority: shown, path })
    }
}

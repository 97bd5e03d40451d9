//! Whom the configuration believes, and what it believes of them.

use std::{path::PathBuf, sync::Arc, time::Duration};

use super::{Algorithm, CertificateRule, Mapping};
use crate::Secret;

/// Everything by which callers are known, beside keys.
#[derive(Clone, Default)]
pub struct Authentication {
    /// Each has an issuer of its own.
    pub issuers: Vec<Arc<Issuer>>,
    pub introspection: Option<Arc<Introspection>>,
    pub certificates: Option<Arc<ClientCertificates>>,
}

/// Whoever signs tokens that are taken.
#[derive(Clone, PartialEq, Eq)]
pub struct Issuer {
    /// What the claim `iss` must equal.
    pub issuer: String,
    /// One of these must be in the claim `aud`.
    pub audience: Vec<String>,
    pub keys: Keys,
    pub algorithms: Vec<Algorithm>,
    /// How far clocks may be apart.
    pub clock_skew: Duration,
    /// Claims that must be there, each with the values that are taken.
    pub required_claims: Vec<(super::ClaimPath, Vec<String>)>,
    /// What the header's `typ` may be, in lower case and without `application/`; `None` where the usual ones are taken.
    pub token_types: Option<Vec<String>>,
    pub mapping: Mapping,
}

/// Where the keys come from that check an issuer's signatures.
#[derive(Clone, PartialEq, Eq)]
pub enum Keys {
    /// The document of this address says where they are
    /// (<https://openid.net/specs/openid-connect-discovery-1_0.html#ProviderConfig>).
    Discovered { url: String, allow_http: bool },
    /// They are at this address (<https://www.rfc-editor.org/rfc/rfc7517#section-5>).
    At { url: String },
    /// One that both sides know.
    Shared(Secret),
}

/// Who is asked what a token stands for (<https://www.rfc-editor.org/rfc/rfc7662>).
#[derive(Clone, PartialEq, Eq)]
pub struct Introspection {
    pub url: String,
    pub client_id: String,
    pub client_secret: Secret,
    /// One of these must be in the answer's `aud`; none are asked for where it is empty.
    pub audience: Vec<String>,
    /// How long an answer is believed at the longest.
    pub cache: Duration,
    /// For one answer.
    pub timeout: Duration,
    pub clock_skew: Duration,
    pub required_claims: Vec<(super::ClaimPath, Vec<String>)>,
    pub mapping: Mapping,
}

/// Which clients' certificates are taken, and whom they stand for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientCertificates {
    /// A file with the authorities' certificates, in PEM.
    pub authorities: PathBuf,
    /// A file with lists of certificates that were revoked, in PEM.
    pub revoked: Option<PathBuf>,
    /// Connections without a certificate are refused.
    pub required: bool,
    /// The first that fits says who it is.
    pub rules: Vec<CertificateRule>,
}

/// Whether nobody in between can read or change what is fetched from an address: it is encrypted, or never leaves the machine.
pub fn is_private(url: &str) -> bool {
    let Some((scheme, rest)) = url.split_once("://") else { return false };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    if authority.is_empty() || authority.contains('@') {
        return false;
    }
    if scheme == "https" {
        return true;
    }
    let host = match authority.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => authority.split(':').next().unwrap_or_default(),
    };
    let loopback = host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback());
    scheme == "http" && (host == "localhost" || loopback)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_fetched_where_nobody_can_change_them() {
        let check = |url: &str, private: bool| assert_eq!(is_private(url), private, "{url}");
        check("https://login.example.com/keys", true);
        check("http://127.0.0.1:9/keys", true);
        check("http://[::1]:9/keys", true);
        check("http://localhost/keys", true);
        check("http://localhost.example.com/keys", false);
        check("http://127.0.0.1.example.com/keys", false);
        check("http://localhost@example.com/keys", false);
        check("http://login.example.com", false);
        check("https://", false);
        check("ftp://localhost/", false);
        check("login.example.com", false);
    }
}

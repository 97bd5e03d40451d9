//! How callers are known beside keys: what a person types.

use std::collections::BTreeMap;

use catalog::OneOrMany;
use schemars::JsonSchema;
use serde::Deserialize;

use super::units::Span;
use crate::authentication::Algorithm;

/// How callers are known, beside those that show a key.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct AuthenticationDraft {
    /// Issuers of signed tokens (JWT) that are taken.
    pub(super) jwt: Vec<IssuerDraft>,
    /// Who is asked what any other token stands for (RFC 7662).
    pub(super) introspection: Option<IntrospectionDraft>,
    /// Clients' certificates (mTLS). They need `server.tls`.
    pub(super) certificates: Option<CertificatesDraft>,
}

/// An issuer of signed tokens that are taken.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct IssuerDraft {
    /// What the claim `iss` must equal, to the letter.
    pub(super) issuer: String,
    /// What tokens for this gateway name in `aud`: one of these must be there.
    pub(super) audience: OneOrMany,
    /// Where the issuer's public keys are. Default: where its `/.well-known/openid-configuration` says.
    #[serde(default)]
    pub(super) jwks_url: Option<String>,
    /// A secret that the issuer signs with as well, instead of public keys, as `${VARIABLE}` or a `secret:` reference: at least 32
    /// characters.
    #[serde(default)]
    pub(super) secret: Option<String>,
    /// How tokens may be signed. Default: every way that needs a public key; with `secret`, `HS256`.
    #[serde(default)]
    pub(super) algorithms: Option<Vec<Algorithm>>,
    /// How far the issuer's clock and this one may be apart. Default: `30s`.
    #[serde(default)]
    pub(super) clock_skew: Option<Span>,
    /// Claims that a token must have, each with the value or one of the values that it must have. Numbers and truth values are
    /// written as texts, as `"true"`.
    #[serde(default)]
    pub(super) required_claims: BTreeMap<String, OneOrMany>,
    /// Types of tokens (`typ`) that are taken, as `at+jwt`; then a token must name one. Default: `JWT`, `at+jwt`, or none named.
    #[serde(default)]
    pub(super) token_types: Option<Vec<String>>,
    /// Whether keys may be fetched over plain HTTP, where anyone in between can put in their own. Default: only from this machine.
    #[serde(default)]
    pub(super) allow_http: bool,
    /// What claims mean.
    #[serde(default)]
    pub(super) map: MapDraft,
}

/// What claims mean. A claim is named by its path: names with dots between them, as `realm_access.roles`, or a JSON pointer, as
/// `/realm_access/roles`.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct MapDraft {
    /// Who the caller is for the issuer, always the same. Default: `sub`, or `client_id` where there is none.
    pub(super) subject: Option<String>,
    /// The organization. A caller for whom it names none that there is may do nothing, unless `required: false`.
    pub(super) organization: Option<ClaimEntry>,
    /// The team; likewise.
    pub(super) team: Option<ClaimEntry>,
    /// The project; likewise.
    pub(super) project: Option<ClaimEntry>,
    /// The user, whom the journal shows. It need not be one that there is, unless `required: true`.
    pub(super) user: Option<ClaimEntry>,
    /// The service account. A caller for whom it names none that there is may do nothing, unless `required: false`.
    pub(super) service_account: Option<ClaimEntry>,
    /// The caller's roles, for [rules](rules.md) over `key.roles`.
    pub(super) roles: Option<ClaimEntry>,
    /// A list of model names, exact or with a trailing `*`, which narrows what the caller may ask for; an empty list allows nothing.
    pub(super) models: Option<String>,
    /// Tags of the caller's calls: the name of each, and the claim with its value.
    pub(super) tags: BTreeMap<String, String>,
}

/// A claim that names something: its path, or a map.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
pub(super) enum ClaimEntry {
    /// Its path.
    Path(String),
    /// With what its values stand for.
    Full(ClaimDraft),
}

/// A claim that names something. Of several values, the first that names something that there is counts.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct ClaimDraft {
    /// Its path.
    pub(super) claim: Option<String>,
    /// What its values stand for; those that are not listed stand for nothing. Default: each stands for itself.
    pub(super) values: Option<BTreeMap<String, String>>,
    /// A name that is the same for all callers, instead of a claim.
    pub(super) value: Option<String>,
    /// Whether a caller for whom it names nothing that there is may do nothing.
    pub(super) required: Option<bool>,
}

/// Who is asked what a token stands for that is not signed (<https://www.rfc-editor.org/rfc/rfc7662>).
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct IntrospectionDraft {
    /// Where to ask.
    pub(super) url: String,
    /// Who the gateway is there.
    pub(super) client_id: String,
    /// What it shows there, as `${VARIABLE}` or a `secret:` reference.
    pub(super) client_secret: String,
    /// How long an answer is believed, and never longer than the token lasts. Default: `30s`.
    #[serde(default)]
    pub(super) cache: Option<Span>,
    /// For an answer; without one, callers get 503. Default: `3s`.
    #[serde(default)]
    pub(super) timeout: Option<Span>,
    /// What tokens for this gateway name in `aud`. Default: it is not looked at.
    #[serde(default)]
    pub(super) audience: Option<OneOrMany>,
    /// How far clocks may be apart. Default: `30s`.
    #[serde(default)]
    pub(super) clock_skew: Option<Span>,
    /// Claims that an answer must have, each with the value or one of the values that it must have.
    #[serde(default)]
    pub(super) required_claims: BTreeMap<String, OneOrMany>,
    /// Whether it may be asked over plain HTTP, where anyone in between can read tokens. Default: only on this machine.
    #[serde(default)]
    pub(super) allow_http: bool,
    /// What the answer's members mean.
    #[serde(default)]
    pub(super) map: MapDraft,
}

/// Clients' certificates (mTLS).
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct CertificatesDraft {
    /// The authorities that vouch for clients: a file in PEM, relative to this one. A change of it is taken up by itself.
    pub(super) ca: String,
    /// Lists of certificates that were revoked: a file in PEM, likewise.
    #[serde(default)]
    pub(super) crl: Option<String>,
    /// Whether connections without a certificate are refused; changing it needs no restart. Default: false.
    #[serde(default)]
    pub(super) required: bool,
    /// Whom certificates stand for, where their owners show no key and no token; the first entry that fits counts.
    #[serde(default)]
    pub(super) map: Vec<CertificateDraft>,
}

/// Whom certificates stand for that have a certain name. One of `subject_cn`, `san_dns`, `san_uri` and `san_email` says which, with
/// one `*` for one part of it (between dots, slashes, or beside the `@`); in the other members `*` is what that stood for.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct CertificateDraft {
    /// The subject's common name.
    pub(super) subject_cn: Option<String>,
    /// A name of a host.
    pub(super) san_dns: Option<String>,
    /// An address, such as a SPIFFE id.
    pub(super) san_uri: Option<String>,
    /// An e-mail address.
    pub(super) san_email: Option<String>,
    /// What the journal shows. Default: the user, or the name in the certificate.
    pub(super) name: Option<String>,
    /// The organization.
    pub(super) organization: Option<String>,
    /// The team.
    pub(super) team: Option<String>,
    /// The project.
    pub(super) project: Option<String>,
    /// The user.
    pub(super) user: Option<String>,
    /// The service account.
    pub(super) service_account: Option<String>,
    /// The model names it may ask for, exact or with a trailing `*`. Default: all.
    pub(super) models: Option<Vec<String>>,
    /// Tags of its calls.
    pub(super) tags: BTreeMap<String, String>,
}

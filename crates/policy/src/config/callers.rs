//! How callers are known beside keys: what a draft means.

use std::{
    collections::{BTreeMap, HashSet},
    sync::Arc,
    time::Duration,
};

use catalog::OneOrMany;

use super::{
    authentication::{
        AuthenticationDraft, CertificateDraft, CertificatesDraft, ClaimDraft, ClaimEntry, IntrospectionDraft,
        IssuerDraft, MapDraft,
    },
    compile::Compiler,
    units::Span,
};
use crate::authentication::{
    Algorithm, Authentication, CertificateField, CertificateRule, ClaimPath, ClaimRule, ClaimSource,
    ClientCertificates, Introspection, Issuer, Keys, Mapping, Pattern, is_private,
};

const CLOCK_SKEW: Duration = Duration::from_secs(30);
const CLOCK_SKEW_MAX: Duration = Duration::from_secs(600);
const INTROSPECTION_CACHE: Duration = Duration::from_secs(30);
const INTROSPECTION_TIMEOUT: Duration = Duration::from_secs(3);
/// As long as what the weakest of the algorithms makes of it (<https://www.rfc-editor.org/rfc/rfc7518#section-3.2>).
const SECRET_BYTES_MIN: usize = 32;

impl Compiler<'_> {
    /// `tls` says whether the gateway serves HTTPS.
    pub(super) fn authentication(&mut self, draft: AuthenticationDraft, tls: bool) -> Authentication {
        let mut known = HashSet::new();
        let mut issuers = Vec::new();
        for (at, draft) in draft.jwt.into_iter().enumerate() {
            let path = format!("authentication.jwt[{at}]");
            if !known.insert(draft.issuer.clone()) {
                let message = format!("there are two entries for \"{}\"; join them", draft.issuer);
                self.fault(&format!("{path}.issuer"), message);
            }
            issuers.extend(self.issuer(draft, &path).map(Arc::new));
        }
        let introspection = draft.introspection.and_then(|draft| self.introspection(draft)).map(Arc::new);
        let certificates = draft.certificates.map(|draft| Arc::new(self.certificates(draft, tls)));
        Authentication { issuers, introspection, certificates }
    }

    fn issuer(&mut self, draft: IssuerDraft, path: &str) -> Option<Issuer> {
        let symmetric = draft.secret.is_some();
        let keys = self.issuer_keys(&draft, path);
        let algorithms = match &draft.algorithms {
            Some(named) => named.clone(),
            None if symmetric => vec![Algorithm::Hs256],
            None => Algorithm::asymmetric().collect::<Vec<_>>(),
        };
        if algorithms.is_empty() {
            self.fault(&format!("{path}.algorithms"), "is empty; leave it out for the usual ones");
        }
        if algorithms.iter().any(|algorithm| algorithm.is_symmetric() != symmetric) {
            let message = if symmetric {
                "a secret signs with HS256, HS384 or HS512; take the others out"
            } else {
                "HS256, HS384 and HS512 need a secret that both sides know; write secret, or take them out"
            };
            self.fault(&format!("{path}.algorithms"), message);
        }
        let token_types = draft.token_types.map(|types| {
            if types.is_empty() {
                self.fault(&format!("{path}.token_types"), "is empty; leave it out for the usual ones");
            }
            let lower = types.iter().map(|one| one.to_ascii_lowercase());
            lower
                .map(|one| one.strip_prefix("application/").map_or_else(|| one.clone(), str::to_owned))
                .collect()
        });
        let audience = self.audience(draft.audience, path);
        Some(Issuer {
            issuer: draft.issuer,
            audience,
            keys: keys?,
            algorithms,
            clock_skew: self.clock_skew(draft.clock_skew, path),
            required_claims: self.required_claims(draft.required_claims, path),
            token_types,
            mapping: self.mapping(draft.map, path),
        })
    }

    fn issuer_keys(&mut self, draft: &IssuerDraft, path: &str) -> Option<Keys> {
        if draft.issuer.is_empty() {
            self.fault(&format!("{path}.issuer"), "is empty; write what tokens have in iss");
        }
        match (&draft.secret, &draft.jwks_url) {
            (Some(_), Some(_)) => {
                self.fault(&format!("{path}.jwks_url"), "and secret are two kinds of keys; write one");
                None
            }
            (Some(text), None) => {
                let place = format!("{path}.secret");
                let secret = self.secret(text, &place)?;
                if secret.expose().len() < SECRET_BYTES_MIN {
                    self.fault(&place, format!("must have at least {SECRET_BYTES_MIN} characters"));
                }
                Some(Keys::Shared(secret))
            }
            (None, Some(url)) => {
                self.address(url, draft.allow_http, &format!("{path}.jwks_url"));
                Some(Keys::At { url: url.clone() })
            }
            (None, None) => {
                self.address(&draft.issuer, draft.allow_http, &format!("{path}.issuer"));
                let issuer = draft.issuer.trim_end_matches('/');
                let url = format!("{issuer}/.well-known/openid-configuration");
                Some(Keys::Discovered { url, allow_http: draft.allow_http })
            }
        }
    }

    fn introspection(&mut self, draft: IntrospectionDraft) -> Option<Introspection> {
        let path = "authentication.introspection";
        self.address(&draft.url, draft.allow_http, &format!("{path}.url"));
        let client_secret = self.secret(&draft.client_secret, &format!("{path}.client_secret"));
        let timeout = draft.timeout.map_or(INTROSPECTION_TIMEOUT, |span| span.0);
        if timeout.is_zero() {
            self.fault(&format!("{path}.timeout"), "must be longer than nothing; write 3s");
        }
        Some(Introspection {
            audience: draft.audience.map(|audience| self.audience(audience, path)).unwrap_or_default(),
            clock_skew: self.clock_skew(draft.clock_skew, path),
            required_claims: self.required_claims(draft.required_claims, path),
            mapping: self.mapping(draft.map, path),
            url: draft.url,
            client_id: draft.client_id,
            client_secret: client_secret?,
            cache: draft.cache.map_or(INTROSPECTION_CACHE, |span| span.0),
            timeout,
        })
    }

    fn certificates(&mut self, draft: CertificatesDraft, tls: bool) -> ClientCertificates {
        let path = "authentication.certificates";
        if !tls {
            self.fault(path, "certificates are shown over HTTPS only; write server.tls as well");
        }
        let rules = draft.map.into_iter().enumerate();
        let rules =
            rules.filter_map(|(at, draft)| self.certificate_rule(draft, &format!("{path}.map[{at}]")));
        let rules = rules.collect();
        ClientCertificates {
            authorities: self.folder.join(draft.ca),
            revoked: draft.crl.map(|name| self.folder.join(name)),
            required: draft.required,
            rules,
        }
    }

    fn certificate_rule(&mut self, draft: CertificateDraft, path: &str) -> Option<CertificateRule> {
        let fields = [
            (CertificateField::CommonName, "subject_cn", draft.subject_cn),
            (CertificateField::Dns, "san_dns", draft.san_dns),
            (CertificateField::Uri, "san_uri", draft.san_uri),
            (CertificateField::Email, "san_email", draft.san_email),
        ];
        let mut written = fields.into_iter().filter_map(|(field, name, text)| Some((field, name, text?)));
        let (Some((field, name, text)), None) = (written.next(), written.next()) else {
            self.fault(path, "looks at one name: write one of subject_cn, san_dns, san_uri and san_email");
            return None;
        };
        let place = format!("{path}.{name}");
        if text.is_empty() {
            self.fault(&place, "is empty; write a name, with one * for anything");
        }
        let Some(pattern) = Pattern::new(field, &text) else {
            self.fault(&place, "has more than one *; write one");
            return None;
        };
        if draft.models.as_ref().is_some_and(Vec::is_empty) {
            self.fault(&format!("{path}.models"), "is empty; leave it out for all models");
        }
        Some(CertificateRule {
            field,
            pattern,
            name: draft.name,
            organization: draft.organization,
            team: draft.team,
            project: draft.project,
            user: draft.user,
            service_account: draft.service_account,
            models: draft.models,
            tags: draft.tags,
        })
    }

    fn mapping(&mut self, draft: MapDraft, path: &str) -> Mapping {
        let path = format!("{path}.map");
        let subject = draft.subject.map(|claim| self.claim_path(claim, &format!("{path}.subject")));
        let models = draft.models.map(|claim| self.claim_path(claim, &format!("{path}.models")));
        let tags = draft.tags.into_iter();
        let tags = tags.map(|(tag, claim)| {
            let claim = self.claim_path(claim, &format!("{path}.tags.{tag}"));
            (tag, claim)
        });
        let tags = tags.collect();
        let mut rule = |name: &str, entry: Option<ClaimEntry>, required: bool| {
            self.claim_rule(entry?, required, &format!("{path}.{name}"))
        };
        Mapping {
            subject,
            organization: rule("organization", draft.organization, true),
            team: rule("team", draft.team, true),
            project: rule("project", draft.project, true),
            user: rule("user", draft.user, false),
            service_account: rule("service_account", draft.service_account, true),
            roles: rule("roles", draft.roles, false),
            models,
            tags,
        }
    }

    fn claim_rule(&mut self, entry: ClaimEntry, required: bool, path: &str) -> Option<ClaimRule> {
        let draft = match entry {
            ClaimEntry::Path(claim) => ClaimDraft { claim: Some(claim), ..ClaimDraft::default() },
            ClaimEntry::Full(draft) => draft,
        };
        let from = match (draft.claim, draft.value) {
            (Some(claim), None) => {
                let path = self.claim_path(claim, path);
                ClaimSource::Claim { path, values: draft.values }
            }
            (None, Some(name)) if draft.values.is_none() && !name.is_empty() => ClaimSource::Fixed(name),
            (None, Some(_)) => {
                self.fault(path, "value is one name for all callers; leave out values, or name a claim");
                return None;
            }
            (Some(_), Some(_)) | (None, None) => {
                self.fault(
                    path,
                    "comes from one place; write claim, or value for a name that all callers have",
                );
                return None;
            }
        };
        Some(ClaimRule { from, required: draft.required.unwrap_or(required) })
    }

    fn claim_path(&mut self, claim: String, path: &str) -> ClaimPath {
        if claim.trim_matches(['.', '/']).is_empty() {
            self.fault(path, "names no claim; write its path, as groups or realm_access.roles");
        }
        ClaimPath::new(claim)
    }

    fn audience(&mut self, audience: OneOrMany, path: &str) -> Vec<String> {
        let audience = audience.into_vec();
        if audience.is_empty() || audience.iter().any(String::is_empty) {
            let message = "is empty; write what tokens for this gateway have in aud";
            self.fault(&format!("{path}.audience"), message);
        }
        audience
    }

    fn clock_skew(&mut self, draft: Option<Span>, path: &str) -> Duration {
        let skew = draft.map_or(CLOCK_SKEW, |span| span.0);
        if skew > CLOCK_SKEW_MAX {
            let message = "is too long: tokens would be taken long after their end; the most is 10m";
            self.fault(&format!("{path}.clock_skew"), message);
        }
        skew
    }

    pub(super) fn required_claims(
        &mut self,
        draft: BTreeMap<String, OneOrMany>,
        path: &str,
    ) -> Vec<(ClaimPath, Vec<String>)> {
        let claims = draft.into_iter().map(|(claim, values)| {
            let values = values.into_vec();
            if values.is_empty() {
                let message = "has no values, so that no token could have one; write some";
                self.fault(&format!("{path}.required_claims.{claim}"), message);
            }
            (ClaimPath::new(claim), values)
        });
        claims.collect()
    }

    /// Keys that come over a line that others can write on would let them make tokens.
    pub(super) fn address(&mut self, url: &str, allow_http: bool, path: &str) {
        let web = url.starts_with("https://") || url.starts_with("http://");
        if !web || url.contains(|letter: char| !letter.is_ascii_graphic()) {
            self.fault(path, format!("\"{url}\" is no address; write it as https://login.example.com/"));
        } else if !is_private(url) && (!allow_http || url.starts_with("https://")) {
            self.fault(
                path,
                "must begin with https://, or write allow_http: true where the way to it is safe",
            );
        }
    }
}

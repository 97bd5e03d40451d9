//! How people sign in to the admin side: what a person types, and what it means.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use catalog::OneOrMany;
use schemars::JsonSchema;
use serde::Deserialize;

use super::{compile::Compiler, units::Span};
use crate::{
    authentication::{Algorithm, ClaimPath, Issuer, Keys, Mapping, is_private},
    role::{RoleName, Roles},
    sign_in::{Grant, SignIn, SignInProvider},
};

const CLOCK_SKEW: Duration = Duration::from_secs(30);
/// Sessions that are used would end otherwise.
const IDLE_MIN: Duration = Duration::from_secs(300);
const LENGTH_MAX: Duration = Duration::from_secs(30 * 24 * 3_600);
const SCOPES: &str = "openid email profile";

/// How [people](people.md) sign in to the admin side, beside keys.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct SignInDraft {
    /// The gateway's own address as browsers reach it, as `https://gateway.example.com`. Providers send people back there, and
    /// where it is `https`, cookies are sent over nothing else.
    url: Option<String>,
    /// Whether accounts with passwords open the admin side. Default: true.
    accounts: Option<bool>,
    /// What sessions last.
    session: SessionDraft,
    /// Identity providers (OpenID Connect), by the name that stands in their paths.
    providers: BTreeMap<String, SignInProviderDraft>,
}

/// What sessions of people last.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct SessionDraft {
    /// For how long a session may not be used; 5 minutes at least. Default: `1h`.
    idle: Option<Span>,
    /// For how long a session lasts, however much it is used; 30 days at most. Default: `12h`.
    length: Option<Span>,
}

/// An identity provider where people sign in.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct SignInProviderDraft {
    /// What people are shown. Default: its name.
    #[serde(default)]
    title: Option<String>,
    /// What its tokens have in `iss`, to the letter; `/.well-known/openid-configuration` below it tells the rest.
    issuer: String,
    /// Who the gateway is there.
    client_id: String,
    /// What it shows there, as `${VARIABLE}` or a `secret:` reference. Default: none, as for a public client.
    #[serde(default)]
    client_secret: Option<String>,
    /// What is asked for. Default: `[openid, email, profile]`.
    #[serde(default)]
    scopes: Option<Vec<String>>,
    /// The claim that names a person, which must be one that people cannot choose themselves. Default: `email` where the provider
    /// has checked it (`email_verified`), and `sub` otherwise.
    #[serde(default)]
    name: Option<String>,
    /// The claim of a person's groups. Default: `groups`.
    #[serde(default)]
    groups: Option<String>,
    /// What groups may administer; the first that a person is in counts.
    #[serde(default)]
    roles: Vec<GroupDraft>,
    /// What those may administer who are in none of these groups. Default: nothing, so that they are refused.
    #[serde(default)]
    default_role: Option<String>,
    /// The organization that `default_role` is bound to, by name or id. Default: none.
    #[serde(default)]
    default_organization: Option<String>,
    /// Claims that a token must have, each with the value or one of the values that it must have.
    #[serde(default)]
    required_claims: BTreeMap<String, OneOrMany>,
    /// Whether it may be reached over plain HTTP, where anyone in between can sign in as anybody. Default: only on this machine.
    #[serde(default)]
    allow_http: bool,
}

/// What a group may administer.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct GroupDraft {
    /// The group, as the claim has it.
    group: String,
    /// The role, as `owner`, `admin` or `viewer`.
    role: String,
    /// The organization that it is bound to, by name or id. Default: none, which is the whole gateway.
    #[serde(default)]
    organization: Option<String>,
}

impl Compiler<'_> {
    pub(super) fn sign_in(&mut self, draft: SignInDraft, roles: &Roles) -> SignIn {
        let usual = SignIn::default();
        let url = draft.url.map(|url| self.public_address(&url));
        if url.is_none() && !draft.providers.is_empty() {
            self.fault("sign_in", "\"url\" is missing; providers send people back there");
        }
        let idle = draft.session.idle.map_or(usual.idle, |span| span.0);
        let length = draft.session.length.map_or(usual.length, |span| span.0);
        if idle < IDLE_MIN {
            self.fault("sign_in.session.idle", "must be 5m at least, since use is noted once a minute");
        }
        if length.is_zero() || length > LENGTH_MAX {
            self.fault("sign_in.session.length", "must be longer than nothing, and 30d at most");
        }
        let providers = draft.providers.into_iter().filter_map(|(name, draft)| {
            let provider = self.sign_in_provider(&name, draft, roles)?;
            Some((name, Arc::new(provider)))
        });
        let providers = providers.collect();
        SignIn { url, accounts: draft.accounts.unwrap_or(usual.accounts), idle, length, providers }
    }

    /// An address without a path: cookies and redirects are for all of it.
    fn public_address(&mut self, url: &str) -> String {
        let path = "sign_in.url";
        let bare = url.strip_suffix('/').unwrap_or(url);
        let host = bare.strip_prefix("https://").or_else(|| bare.strip_prefix("http://"));
        let good = |host: &str| {
            !host.is_empty()
                && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-:[]".contains(&byte))
        };
        if !host.is_some_and(good) {
            self.fault(path, "must be an address without a path, as https://gateway.example.com");
        } else if !is_private(bare) {
            let message = "without https, anyone in between can take sessions over; put TLS in front";
            self.warnings.push((path.to_owned(), message.to_owned()));
        }
        bare.to_ascii_lowercase()
    }

    fn sign_in_provider(
        &mut self,
        name: &str,
        draft: SignInProviderDraft,
        known: &Roles,
    ) -> Option<SignInProvider> {
        let path = format!("sign_in.providers.{name}");
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        if name.is_empty() || !name.bytes().all(plain) {
            self.fault(&path, "its name stands in paths; use letters, digits, - and _");
        }
        if draft.client_id.is_empty() {
            self.fault(&format!("{path}.client_id"), "is empty; write who the gateway is there");
        }
        self.address(&draft.issuer, draft.allow_http, &format!("{path}.issuer"));
        let secret_path = format!("{path}.client_secret");
        let client_secret = match draft.client_secret {
            Some(text) => Some(self.secret(&text, &secret_path)?),
            None => None,
        };
        let roles = draft.roles.into_iter().enumerate().map(|(at, entry)| {
            let path = format!("{path}.roles[{at}]");
            self.check_role(Some(&RoleName::new(&entry.role)), known, &format!("{path}.role"));
            Grant { group: Some(entry.group), role: entry.role, organization: entry.organization }
        });
        let roles: Vec<Grant> = roles.collect();
        if draft.default_role.is_none() && draft.default_organization.is_some() {
            let message = "is for default_role, which is missing";
            self.fault(&format!("{path}.default_organization"), message);
        }
        let organization = draft.default_organization;
        let default = draft.default_role.map(|role| {
            self.check_role(Some(&RoleName::new(&role)), known, &format!("{path}.default_role"));
            Grant { group: None, role, organization }
        });
        if roles.is_empty() && default.is_none() {
            self.fault(&path, "lets nobody in; write roles, or default_role");
        }
        let bare = draft.issuer.trim_end_matches('/');
        let url = format!("{bare}/.well-known/openid-configuration");
        let issuer = Issuer {
            keys: Keys::Discovered { url, allow_http: draft.allow_http },
            issuer: draft.issuer,
            audience: vec![draft.client_id.clone()],
            algorithms: Algorithm::asymmetric().collect(),
            clock_skew: CLOCK_SKEW,
            required_claims: self.required_claims(draft.required_claims, &path),
            token_types: None,
            mapping: Mapping::default(),
        };
        Some(SignInProvider {
            title: draft.title.unwrap_or_else(|| name.to_owned()),
            issuer: Arc::new(issuer),
            client_id: draft.client_id,
            client_secret,
            scopes: self.scopes(draft.scopes, &format!("{path}.scopes")),
            name: draft.name.map(ClaimPath::new),
            groups: ClaimPath::new(draft.groups.unwrap_or_else(|| "groups".to_owned())),
            roles,
            default,
        })
    }

    fn scopes(&mut self, scopes: Option<Vec<String>>, path: &str) -> String {
        let Some(scopes) = scopes else { return SCOPES.to_owned() };
        if !scopes.iter().any(|scope| scope == "openid") {
            self.fault(path, "must have openid in it, or there is no token that says who signed in");
        }
        scopes.join(" ")
    }
}

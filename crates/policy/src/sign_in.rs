//! How people sign in to the admin side.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use crate::{
    Secret,
    authentication::{ClaimPath, Claims, Issuer},
};

/// The claim that an address was checked by the provider
/// (<https://openid.net/specs/openid-connect-core-1_0.html#StandardClaims>).
const EMAIL: &str = "email";
const EMAIL_VERIFIED: &str = "email_verified";
/// The longest name of a person, in characters.
const NAME_CHARS_MAX: usize = 200;
/// The most groups of a person that are looked at.
const GROUPS_MAX: usize = 1_000;

/// How people sign in to the admin side.
#[derive(Clone)]
pub struct SignIn {
    /// The gateway's own address for browsers, without a slash at its end.
    pub url: Option<String>,
    /// Whether accounts with passwords open it.
    pub accounts: bool,
    /// For how long a session may not be used.
    pub idle: Duration,
    /// For how long a session lasts, however much it is used.
    pub length: Duration,
    /// By name.
    pub providers: BTreeMap<String, Arc<SignInProvider>>,
}

/// An identity provider where people sign in (<https://openid.net/specs/openid-connect-core-1_0.html#CodeFlowAuth>).
#[derive(Clone, PartialEq, Eq)]
pub struct SignInProvider {
    /// What people are shown.
    pub title: String,
    /// What its tokens must be: they are for the client's id.
    pub issuer: Arc<Issuer>,
    pub client_id: String,
    /// Nothing for a public client.
    pub client_secret: Option<Secret>,
    /// With spaces between them.
    pub scopes: String,
    /// The claim that names a person; where there is none, a checked address or the subject.
    pub name: Option<ClaimPath>,
    pub groups: ClaimPath,
    /// The first whose group a person is in.
    pub roles: Vec<Grant>,
    /// What people have who are in no such group; without it they are refused.
    pub default: Option<Grant>,
}

/// What a group may administer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// Nothing for everybody.
    pub group: Option<String>,
    pub role: String,
    /// The name or id of the organization it is bound to.
    pub organization: Option<String>,
}

impl Default for SignIn {
    fn default() -> SignIn {
        let hour = Duration::from_secs(3_600);
        SignIn { url: None, accounts: true, idle: hour, length: 12 * hour, providers: BTreeMap::new() }
    }
}

impl SignInProvider {
    /// What a person is called. `claims` are those of the token and, behind them, what the provider says of its owner. An address
    /// that the provider has not checked names nobody, since its owner could have chosen another's.
    pub fn name_of(&self, claims: &[&Claims]) -> Option<String> {
        let text = |path: &ClaimPath| {
            let found = claims.iter().find_map(|claims| claims.texts(path).first().map(ToString::to_string));
            found.and_then(|text| name(&text))
        };
        let checked = || {
            let holder = claims.iter().find(|claims| claims.at(&ClaimPath::new(EMAIL)).is_some())?;
            let texts = holder.texts(&ClaimPath::new(EMAIL_VERIFIED));
            texts.first().filter(|value| *value == "true")?;
            name(holder.texts(&ClaimPath::new(EMAIL)).first()?)
        };
        match &self.name {
            Some(path) if path.text() == EMAIL => checked(),
            Some(path) => text(path),
            None => checked().or_else(|| text(&ClaimPath::new("sub"))),
        }
    }

    /// What a person may administer, by the groups that the first of these claims tells that has any.
    pub fn grant(&self, claims: &[&Claims]) -> Option<&Grant> {
        let told = claims.iter().find(|claims| claims.at(&self.groups).is_some());
        let groups = told.map(|claims| claims.texts(&self.groups)).unwrap_or_default();
        let is_in = |grant: &&Grant| {
            grant.group.as_ref().is_some_and(|group| groups.iter().take(GROUPS_MAX).any(|one| one == group))
        };
        self.roles.iter().find(is_in).or(self.default.as_ref())
    }

    /// What a group is given now; without one, what everybody is.
    pub fn of_group(&self, group: Option<&str>) -> Option<&Grant> {
        match group {
            Some(group) => self.roles.iter().find(|grant| grant.group.as_deref() == Some(group)),
            None => self.default.as_ref(),
        }
    }
}

/// What can stand in a journal and in a line of a log.
fn name(text: &str) -> Option<String> {
    let text = text.trim();
    let good = !text.is_empty() && text.chars().count() <= NAME_CHARS_MAX;
    (good && !text.chars().any(char::is_control)).then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::authentication::{Algorithm, Keys, Mapping};

    fn provider(name: Option<&str>, default: Option<&str>) -> SignInProvider {
        let grant = |group: Option<&str>, role: &str| Grant {
            group: group.map(str::to_owned),
            role: role.to_owned(),
            organization: None,
        };
        SignInProvider {
            title: "a".to_owned(),
            issuer: Arc::new(Issuer {
                issuer: "https://a/".to_owned(),
                audience: vec!["gateway".to_owned()],
                keys: Keys::At { url: "https://a/keys".to_owned() },
                algorithms: Algorithm::asymmetric().collect(),
                clock_skew: Duration::ZERO,
                required_claims: Vec::new(),
                token_types: None,
                mapping: Mapping::default(),
            }),
            client_id: "gateway".to_owned(),
            client_secret: None,
            scopes: "openid".to_owned(),
            name: name.map(ClaimPath::new),
            groups: ClaimPath::new("groups"),
            roles: vec![grant(Some("ops"), "owner"), grant(Some("staff"), "viewer")],
            default: default.map(|role| grant(None, role)),
        }
    }

    fn claims(text: &str) -> Claims {
        Claims::parse(text.as_bytes()).unwrap_or_else(|refusal| panic!("{refusal:?}"))
    }

    #[test]
    fn an_address_that_was_not_checked_names_nobody() {
        let check = |name: Option<&str>, token: &str, info: &str, expected: Option<&str>| {
            let (token, info) = (claims(token), claims(info));
            let found = provider(name, None).name_of(&[&token, &info]);
            assert_eq!(found.as_deref(), expected, "{name:?}");
        };
        let checked = r#"{"sub":"u1","email":"kim@example.com","email_verified":true}"#;
        check(None, checked, "{}", Some("kim@example.com"));
        check(None, r#"{"sub":"u1"}"#, checked, Some("kim@example.com"));
        check(None, r#"{"sub":"u1","email":"kim@example.com"}"#, "{}", Some("u1"));
        // Each address is as good as the one who tells it says.
        check(None, r#"{"sub":"u1","email":"kim@example.com"}"#, checked, Some("u1"));
        check(None, r#"{"sub":"u1","email":"kim@example.com","email_verified":false}"#, "{}", Some("u1"));
        check(Some("email"), r#"{"sub":"u1","email":"kim@example.com"}"#, "{}", None);
        check(Some("email"), checked, "{}", Some("kim@example.com"));
        check(Some("preferred_username"), r#"{"sub":"u1","preferred_username":" kim "}"#, "{}", Some("kim"));
        check(Some("preferred_username"), r#"{"sub":"u1","preferred_username":"k\nim"}"#, "{}", None);
        check(Some("preferred_username"), r#"{"sub":"u1"}"#, "{}", None);
    }

    #[test]
    fn the_first_group_counts() {
        let check = |default: Option<&str>, token: &str, info: &str, expected: Option<&str>| {
            let (token, info) = (claims(token), claims(info));
            let provider = provider(None, default);
            let found = provider.grant(&[&token, &info]).map(|grant| grant.role.as_str());
            assert_eq!(found, expected, "{token:?} {info:?}");
        };
        check(None, r#"{"groups":["staff","ops"]}"#, "{}", Some("owner"));
        check(None, r#"{"groups":"staff"}"#, "{}", Some("viewer"));
        check(None, "{}", r#"{"groups":["staff"]}"#, Some("viewer"));
        // What is signed counts before what is only said.
        check(None, r#"{"groups":[]}"#, r#"{"groups":["ops"]}"#, None);
        check(None, r#"{"groups":["Ops","ops "]}"#, "{}", None);
        check(Some("analyst"), r#"{"groups":["other"]}"#, "{}", Some("analyst"));
        let provider = provider(None, Some("analyst"));
        let role = |group: Option<&str>| provider.of_group(group).map(|grant| grant.role.as_str());
        assert_eq!(
            [role(Some("ops")), role(Some("other")), role(None)],
            [Some("owner"), None, Some("analyst")]
        );
    }
}

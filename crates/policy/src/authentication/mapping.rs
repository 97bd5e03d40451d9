//! From what is said of a caller to whom it is here.

use std::collections::BTreeMap;

use serde_json::{Map, Value};
use uuid::Uuid;

use super::{Claims, Refusal};

/// The longest name, in bytes.
const NAME_BYTES_MAX: usize = 200;
/// The most values of a claim that are looked at.
const VALUES_MAX: usize = 1_000;

/// Where a claim stands: a JSON pointer (`/realm_access/roles`), or names with dots between them (`realm_access.roles`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClaimPath(String);

/// What names something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClaimRule {
    pub from: ClaimSource,
    /// A caller for whom it names nothing that there is may do nothing.
    pub required: bool,
}

/// Where a name comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClaimSource {
    /// It is the same for all callers.
    Fixed(String),
    /// A claim has it. Where there is a table of what its values stand for, others stand for nothing.
    Claim { path: ClaimPath, values: Option<BTreeMap<String, String>> },
}

/// What claims mean.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mapping {
    /// Who the caller is for its issuer, always the same. Otherwise it is in `sub`, and in `client_id` of a program that comes for
    /// nobody (<https://www.rfc-editor.org/rfc/rfc7662#section-2.2>).
    pub subject: Option<ClaimPath>,
    pub organization: Option<ClaimRule>,
    pub team: Option<ClaimRule>,
    pub project: Option<ClaimRule>,
    pub user: Option<ClaimRule>,
    pub service_account: Option<ClaimRule>,
    pub roles: Option<ClaimRule>,
    /// Names of models, exact or with a trailing `*`.
    pub models: Option<ClaimPath>,
    /// By the tag's name.
    pub tags: BTreeMap<String, ClaimPath>,
}

/// Names that a credential brings of one kind of entity.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Claimed {
    /// The first that names an entity that there is counts.
    pub names: Vec<String>,
    pub required: bool,
}

/// Who a caller is by a credential that was found good.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identified {
    /// The same whenever the same caller shows up.
    pub id: Uuid,
    /// What the journal shows.
    pub name: String,
    pub organization: Claimed,
    pub team: Claimed,
    pub project: Claimed,
    pub user: Claimed,
    pub service_account: Claimed,
    pub roles: Vec<String>,
    /// What the caller may ask for at the most; `None` where the credential does not say.
    pub models: Option<Vec<String>>,
    pub tags: BTreeMap<String, String>,
}

impl ClaimPath {
    pub fn new(text: impl Into<String>) -> ClaimPath {
        ClaimPath(text.into())
    }

    pub fn text(&self) -> &str {
        &self.0
    }

    /// Whether the claim is a list in one text.
    pub(super) fn is_scope(&self) -> bool {
        matches!(self.0.rsplit(['.', '/']).next(), Some("scope" | "scp"))
    }

    pub(super) fn within<'c>(&self, claims: &'c Map<String, Value>) -> Option<&'c Value> {
        if !self.0.starts_with('/') {
            return dotted(claims, &self.0);
        }
        let (first, rest) = self.0.get(1..)?.split_once('/').map_or_else(
            || (self.0.get(1..).unwrap_or_default(), None),
            |(first, rest)| (first, Some(format!("/{rest}"))),
        );
        let value = claims.get(&first.replace("~1", "/").replace("~0", "~"))?;
        rest.map_or(Some(value), |rest| value.pointer(&rest))
    }
}

/// A name may hold dots itself, as addresses do that serve as names of claims: the longest that fits counts.
fn dotted<'c>(members: &'c Map<String, Value>, path: &str) -> Option<&'c Value> {
    if let Some(found) = members.get(path) {
        return Some(found);
    }
    path.rmatch_indices('.').find_map(|(at, _)| {
        let (first, rest) = path.split_at_checked(at)?;
        dotted(members.get(first)?.as_object()?, rest.get(1..)?)
    })
}

impl ClaimRule {
    fn claimed(&self, claims: &Claims) -> Claimed {
        let names = match &self.from {
            ClaimSource::Fixed(name) => vec![name.clone()],
            ClaimSource::Claim { path, values } => {
                let texts = claims.texts(path);
                let names = texts.iter().take(VALUES_MAX).filter_map(|text| match values {
                    Some(table) => table.get(text.as_ref()).cloned(),
                    None => name(text).map(str::to_owned),
                });
                names.collect()
            }
        };
        Claimed { names, required: self.required }
    }
}

impl Mapping {
    /// Whom claims stand for that `authority` vouches for: the name of an issuer, say.
    pub fn identify(&self, authority: &str, claims: &Claims) -> Result<Identified, Refusal> {
        let (id, subject) = self.subject(authority, claims)?;
        let claimed =
            |rule: &Option<ClaimRule>| rule.as_ref().map(|rule| rule.claimed(claims)).unwrap_or_default();
        let models = self.models.as_ref().and_then(|path| {
            claims.at(path)?;
            Some(claims.texts(path).iter().take(VALUES_MAX).map(ToString::to_string).collect())
        });
        let tags = self.tags.iter().filter_map(|(tag, path)| {
            let texts = claims.texts(path);
            Some((tag.clone(), name(texts.first()?)?.to_owned()))
        });
        let user = claimed(&self.user);
        Ok(Identified {
            id,
            name: user.names.first().unwrap_or(&subject).clone(),
            organization: claimed(&self.organization),
            team: claimed(&self.team),
            project: claimed(&self.project),
            user,
            service_account: claimed(&self.service_account),
            roles: claimed(&self.roles).names,
            models,
            tags: tags.collect(),
        })
    }

    fn subject(&self, authority: &str, claims: &Claims) -> Result<(Uuid, String), Refusal> {
        let first = |path: &ClaimPath| claims.texts(path).first().map(ToString::to_string);
        let good = |text: String| {
            let long = Refusal::Malformed("its subject is too long, or no text");
            name(&text).map(str::to_owned).ok_or(long)
        };
        let program = first(&ClaimPath::new("client_id"));
        let (subject, is_program) = match &self.subject {
            Some(path) => (first(path).ok_or_else(|| Refusal::Claim(path.text().to_owned()))?, false),
            None => match (first(&ClaimPath::new("sub")), program) {
                (Some(subject), program) => {
                    let is_program = program.as_deref() == Some(&subject);
                    (subject, is_program)
                }
                (None, Some(program)) => (program, true),
                (None, None) => return Err(Refusal::Claim("sub".to_owned())),
            },
        };
        let subject = good(subject)?;
        // A person may be called as a program is.
        let authority = if is_program { &format!("{authority} client") } else { authority };
        Ok((id(authority, &subject), subject))
    }
}

/// The id of whom an authority calls by a subject.
pub(super) fn id(authority: &str, subject: &str) -> Uuid {
    // A length in front, so that no two pairs are written alike.
    let both = format!("{}:{authority}{subject}", authority.len());
    Uuid::new_v5(&Uuid::NAMESPACE_URL, both.as_bytes())
}

/// What can stand as a name in a journal and in a line of a log.
pub(super) fn name(text: &str) -> Option<&str> {
    let text = text.trim();
    let good = !text.is_empty() && text.len() <= NAME_BYTES_MAX && !text.chars().any(char::is_control);
    good.then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claims() -> Claims {
        let text = r#"{
            "sub": "u-1", "email": "kim@example.com", "groups": ["everyone", "idp-data"], "scope": "openid llm",
            "realm_access": {"roles": ["admin"]}, "resource": {"my.app": {"roles": ["x"]}},
            "https://example.com/team": "data", "models": [], "a/b": {"c": 7}, "cost": 12
        }"#;
        Claims::parse(text.as_bytes()).unwrap_or_else(|refusal| panic!("{refusal:?}"))
    }

    #[test]
    fn claims_are_found_by_their_paths() {
        let check = |path: &str, expected: &[&str]| {
            assert_eq!(claims().texts(&ClaimPath::new(path)), expected, "{path}");
        };
        check("sub", &["u-1"]);
        check("groups", &["everyone", "idp-data"]);
        check("realm_access.roles", &["admin"]);
        check("/realm_access/roles", &["admin"]);
        check("/realm_access/roles/0", &["admin"]);
        check("resource.my.app.roles", &["x"]);
        check("https://example.com/team", &["data"]);
        check("/a~1b/c", &["7"]);
        check("scope", &["openid", "llm"]);
        check("cost", &["12"]);
        check("realm_access", &[]);
        check("groups.0", &[]);
        check("", &[]);
        check("/", &[]);
        check(".", &[]);
    }

    fn rule(path: &str) -> Option<ClaimRule> {
        let from = ClaimSource::Claim { path: ClaimPath::new(path), values: None };
        Some(ClaimRule { from, required: true })
    }

    #[test]
    fn claims_say_who_it_is() {
        let table = BTreeMap::from([("idp-data".to_owned(), "data".to_owned())]);
        let mapping = Mapping {
            organization: Some(ClaimRule { from: ClaimSource::Fixed("acme".to_owned()), required: true }),
            team: Some(ClaimRule {
                from: ClaimSource::Claim { path: ClaimPath::new("groups"), values: Some(table) },
                required: true,
            }),
            project: rule("nothing"),
            user: rule("email"),
            roles: rule("realm_access.roles"),
            models: Some(ClaimPath::new("models")),
            tags: BTreeMap::from([("cost".to_owned(), ClaimPath::new("cost"))]),
            ..Mapping::default()
        };
        let found = mapping.identify("https://a/", &claims()).unwrap_or_else(|refusal| panic!("{refusal:?}"));
        assert_eq!(found.name, "kim@example.com");
        assert_eq!(found.team.names, ["data"]);
        assert_eq!(found.project, Claimed { names: Vec::new(), required: true });
        assert_eq!(found.organization.names, ["acme"]);
        assert_eq!(found.service_account, Claimed::default());
        assert_eq!(found.roles, ["admin"]);
        assert_eq!(found.models, Some(Vec::new()));
        assert_eq!(found.tags.get("cost").map(String::as_str), Some("12"));
        let plain = Mapping::default();
        let again = plain.identify("https://a/", &claims()).unwrap_or_else(|refusal| panic!("{refusal:?}"));
        assert_eq!((again.id, again.name.as_str(), again.models), (found.id, "u-1", None));
        let elsewhere = plain.identify("https://b/", &claims());
        assert!(elsewhere.is_ok_and(|elsewhere| elsewhere.id != found.id));
        let program = |text: &str| {
            let claims = Claims::parse(text.as_bytes()).unwrap_or_else(|refusal| panic!("{refusal:?}"));
            plain.identify("https://a/", &claims).map(|found| found.id)
        };
        let alone = program(r#"{"client_id":"u-1"}"#);
        assert_eq!(program(r#"{"client_id":"u-1","sub":"u-1"}"#), alone);
        assert_eq!(program(r#"{"client_id":"x","sub":"u-1"}"#), Ok(found.id));
        assert_ne!(alone, Ok(found.id));
        assert_eq!(program("{}"), Err(Refusal::Claim("sub".to_owned())));
        let nobody = Mapping { subject: Some(ClaimPath::new("oid")), ..Mapping::default() };
        assert_eq!(nobody.identify("https://a/", &claims()), Err(Refusal::Claim("oid".to_owned())));
    }

    #[test]
    fn ids_do_not_meet_by_chance() {
        assert_ne!(id("https://a/", "b"), id("https://a", "/b"));
        assert_ne!(id("1:a", "b"), id("1:ab", ""));
        assert_eq!(name("a\nb"), None);
        assert_eq!(name(&"a".repeat(201)), None);
    }
}

//! Whom a client's certificate stands for.

use std::collections::BTreeMap;

use super::{
    Claimed, Identified,
    mapping::{id, name},
};

/// Where in a certificate a name stands: the subject's common name, or one of the alternative names
/// (<https://www.rfc-editor.org/rfc/rfc5280#section-4.2.1.6>).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CertificateField {
    CommonName,
    Dns,
    Uri,
    Email,
}

/// A name with at most one `*`, which stands for one part of it: for what lies between two dots of a host's name, two slashes of
/// an address, or before or behind the `@`; in a common name for anything.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern {
    before: String,
    /// Behind the star, where there is one.
    after: Option<String>,
    /// What parts lie between.
    border: Option<char>,
}

/// Whom certificates stand for that have such a name. In each name here, `*` is what the pattern's own `*` stood for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateRule {
    pub field: CertificateField,
    pub pattern: Pattern,
    /// What the journal shows. Otherwise the user, or the name in the certificate.
    pub name: Option<String>,
    pub organization: Option<String>,
    pub team: Option<String>,
    pub project: Option<String>,
    pub user: Option<String>,
    pub service_account: Option<String>,
    pub models: Option<Vec<String>>,
    pub tags: BTreeMap<String, String>,
}

/// The names in a certificate, those of hosts in lower case.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Presented {
    pub common_name: Option<String>,
    pub dns: Vec<String>,
    pub uris: Vec<String>,
    pub emails: Vec<String>,
}

impl Pattern {
    /// `None` where it has more than one star.
    pub fn new(field: CertificateField, text: &str) -> Option<Pattern> {
        let (text, border) = match field {
            CertificateField::CommonName => (text.to_owned(), None),
            // Hosts' names are the same in capital letters (<https://www.rfc-editor.org/rfc/rfc4343>).
            CertificateField::Dns => (text.to_ascii_lowercase(), Some('.')),
            CertificateField::Uri => (text.to_owned(), Some('/')),
            CertificateField::Email => (text.to_owned(), Some('@')),
        };
        match text.split_once('*') {
            None => Some(Pattern { before: text, after: None, border }),
            Some((_, after)) if after.contains('*') => None,
            Some((before, after)) => {
                Some(Pattern { before: before.to_owned(), after: Some(after.to_owned()), border })
            }
        }
    }

    /// What the star stands for, which is at least one letter.
    fn fits<'t>(&self, text: &'t str) -> Option<&'t str> {
        let rest = text.strip_prefix(self.before.as_str())?;
        let Some(after) = &self.after else { return rest.is_empty().then_some(text) };
        let star = rest.strip_suffix(after.as_str())?;
        let whole = self.border.is_none_or(|border| !star.contains(border));
        (whole && !star.is_empty()).then_some(star)
    }
}

impl CertificateRule {
    /// Who it is, where the rule is about such a certificate.
    pub fn identify(&self, presented: &Presented) -> Option<Identified> {
        let names = match self.field {
            CertificateField::CommonName => presented.common_name.as_slice(),
            CertificateField::Dns => &presented.dns,
            CertificateField::Uri => &presented.uris,
            CertificateField::Email => &presented.emails,
        };
        let (subject, star) = names.iter().find_map(|found| {
            let subject = name(found)?;
            Some((subject, self.pattern.fits(subject)?))
        })?;
        let filled = |text: &String| text.replace('*', star);
        let claimed = |text: &Option<String>| Claimed {
            names: text.iter().map(filled).collect(),
            required: text.is_some(),
        };
        let shown = self.name.as_ref().or(self.user.as_ref()).map(filled);
        Some(Identified {
            id: id(AUTHORITY, subject),
            name: shown.unwrap_or_else(|| subject.to_owned()),
            organization: claimed(&self.organization),
            team: claimed(&self.team),
            project: claimed(&self.project),
            user: Claimed { required: false, ..claimed(&self.user) },
            service_account: claimed(&self.service_account),
            roles: Vec::new(),
            models: self.models.clone(),
            tags: self.tags.iter().map(|(tag, text)| (tag.clone(), filled(text))).collect(),
        })
    }
}

/// Stands for whoever vouches for clients' certificates; no issuer of tokens has such a name.
const AUTHORITY: &str = "certificate";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_something() {
        use CertificateField::{CommonName, Dns, Email, Uri};
        let check = |field: CertificateField, pattern: &str, text: &str, star: Option<&str>| {
            let pattern = Pattern::new(field, pattern).unwrap_or_else(|| panic!("{pattern}"));
            assert_eq!(pattern.fits(text), star, "{pattern:?} {text}");
        };
        check(Dns, "a.example.com", "a.example.com", Some("a.example.com"));
        check(Dns, "a.example.com", "b.a.example.com", None);
        check(Dns, "*.Example.com", "a.example.com", Some("a"));
        check(Dns, "*.example.com", "a.b.example.com", None);
        check(Dns, "*.example.com", ".example.com", None);
        check(Dns, "*.example.com", "a.example.com.evil", None);
        check(Uri, "spiffe://prod/ns/*/sa/app", "spiffe://prod/ns/data/sa/app", Some("data"));
        check(Uri, "spiffe://prod/ns/*/sa/app", "spiffe://prod/ns/sa/app", None);
        check(Uri, "spiffe://prod/ns/*/sa/app", "spiffe://prod/ns/x/sa/app/ns/y/sa/app", None);
        check(Email, "*@example.com", "kim@example.com", Some("kim"));
        check(Email, "*@example.com", "kim@evil@example.com", None);
        check(CommonName, "*", "x.y/z", Some("x.y/z"));
        assert_eq!(Pattern::new(CommonName, "*.*"), None);
    }

    #[test]
    fn a_certificate_stands_for_whom_a_rule_says() {
        let rule = CertificateRule {
            field: CertificateField::Uri,
            pattern: Pattern::new(CertificateField::Uri, "spiffe://prod/ns/*/sa/app")
                .unwrap_or_else(|| unreachable!()),
            name: None,
            organization: None,
            team: Some("team-*".to_owned()),
            project: None,
            user: None,
            service_account: None,
            models: Some(vec!["fast".to_owned()]),
            tags: BTreeMap::from([("space".to_owned(), "*".to_owned())]),
        };
        let mut presented = Presented { common_name: Some("app".to_owned()), ..Presented::default() };
        assert_eq!(rule.identify(&presented), None);
        presented.uris = vec!["spiffe://prod/ns/data/sa/app".to_owned()];
        let found = rule.identify(&presented).unwrap_or_else(|| panic!("it fits"));
        assert_eq!(found.name, "spiffe://prod/ns/data/sa/app");
        assert_eq!(found.team, Claimed { names: vec!["team-data".to_owned()], required: true });
        assert_eq!(found.tags.get("space").map(String::as_str), Some("data"));
    }
}

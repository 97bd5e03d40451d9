//! What stands behind the question mark of a request, and in the headers that make it conditional.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use http::{HeaderMap, StatusCode};
use policy::config::nearest;
use uuid::Uuid;

use super::{
    refusal::{Refusal, Wrong},
    routes::Parameter,
};

/// How many things an answer lists where nothing is said, and at most.
pub(super) const LISTED: u32 = 100;
pub(super) const LISTED_MAX: u32 = 500;
/// The longest text of a parameter.
const TEXT_BYTES_MAX: usize = 1_000;

/// The parameters of a request; all of them are known.
#[derive(Clone, Debug, Default)]
pub(super) struct Parameters(Vec<(String, String)>);

impl Parameters {
    pub(super) fn read(query: &str, known: &[Parameter]) -> Result<Parameters, Refusal> {
        let pairs = form_urlencoded::parse(query.as_bytes()).into_owned();
        let pairs: Vec<(String, String)> = pairs.collect();
        let mut wrong = Vec::new();
        for (name, value) in &pairs {
            let names = || known.iter().map(|parameter| parameter.name);
            if names().any(|known| known == name) {
                if value.len() > TEXT_BYTES_MAX {
                    wrong.push(Wrong::new(name, format!("has {TEXT_BYTES_MAX} bytes at most")));
                }
                continue;
            }
            let remedy = match nearest(name, names()) {
                Some(near) => format!("did you mean \"{near}\"?"),
                None => format!("known here: {}", names().collect::<Vec<_>>().join(", ")),
            };
            wrong.push(Wrong::new(name, format!("unknown parameter \"{name}\"; {remedy}")));
        }
        if wrong.is_empty() { Ok(Parameters(pairs)) } else { Err(Refusal::invalid(wrong)) }
    }

    pub(super) fn text(&self, name: &str) -> Option<&str> {
        let found = self.0.iter().find(|(known, value)| known == name && !value.is_empty());
        found.map(|(_, value)| value.as_str())
    }

    pub(super) fn number(&self, name: &str) -> Result<Option<i64>, Refusal> {
        let number = |text: &str| {
            text.parse().map_err(|_| Refusal::invalid(vec![Wrong::new(name, "must be a whole number")]))
        };
        self.text(name).map(number).transpose()
    }

    pub(super) fn id(&self, name: &str) -> Result<Option<Uuid>, Refusal> {
        let id = |text: &str| {
            Uuid::parse_str(text)
                .map_err(|_| Refusal::invalid(vec![Wrong::new(name, format!("\"{text}\" is no id"))]))
        };
        self.text(name).map(id).transpose()
    }

    pub(super) fn limit(&self, max: u32) -> Result<u32, Refusal> {
        let Some(number) = self.number("limit")? else { return Ok(LISTED.min(max)) };
        let fits = u32::try_from(number).ok().filter(|limit| (1..=max).contains(limit));
        fits.ok_or_else(|| Refusal::invalid(vec![Wrong::new("limit", format!("must be from 1 to {max}"))]))
    }

    /// Where a list is to go on.
    pub(super) fn cursor(&self) -> Result<Option<String>, Refusal> {
        let Some(text) = self.text("cursor") else { return Ok(None) };
        let bytes = URL_SAFE_NO_PAD.decode(text).ok();
        bytes.and_then(|bytes| String::from_utf8(bytes).ok()).map(Some).ok_or_else(no_cursor)
    }
}

pub(super) fn no_cursor() -> Refusal {
    Refusal::invalid(vec![Wrong::new("cursor", "is none; send what next_cursor said")])
}

/// A place in a list, which callers need not understand.
pub(super) fn cursor(place: &str) -> String {
    URL_SAFE_NO_PAD.encode(place)
}

/// Which version a thing must have (<https://www.rfc-editor.org/rfc/rfc9110#section-13.1.1>).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Expected(Option<Vec<u64>>);

impl Expected {
    /// What no thing has is in no list: weak tags, and those of others.
    pub(super) fn read(headers: &HeaderMap) -> Expected {
        let texts: Vec<&str> =
            headers.get_all("if-match").iter().map(|value| value.to_str().unwrap_or_default()).collect();
        if texts.is_empty() || texts.iter().any(|text| text.trim() == "*") {
            return Expected(None);
        }
        Expected(Some(versions(&texts)))
    }

    /// The same where tags are weak (<https://www.rfc-editor.org/rfc/rfc7644#section-3.14>).
    pub(super) fn read_weak(headers: &HeaderMap) -> Expected {
        let mut strong = HeaderMap::new();
        for value in headers.get_all("if-match") {
            let text = value.to_str().unwrap_or_default().replace("W/", "");
            strong.extend(text.parse().ok().map(|value| (Some(http::header::IF_MATCH), value)));
        }
        Expected::read(&strong)
    }

    pub(super) fn check(&self, version: u64) -> Result<(), Refusal> {
        match &self.0 {
            Some(wanted) if !wanted.contains(&version) => {
                let message =
                    format!("it was changed meanwhile and has version {version} now; read it again");
                let refusal = Refusal::new(StatusCode::PRECONDITION_FAILED, "version_mismatch", message);
                Err(refusal.with("etag", format!("\"{version}\"")))
            }
            Some(_) | None => Ok(()),
        }
    }
}

/// Whether the caller has this version (<https://www.rfc-editor.org/rfc/rfc9110#section-13.1.2>).
pub(super) fn is_known(headers: &HeaderMap, version: u64) -> bool {
    let texts: Vec<&str> =
        headers.get_all("if-none-match").iter().map(|value| value.to_str().unwrap_or_default()).collect();
    // Comparison is weak here.
    let strong: Vec<String> = texts.iter().map(|text| text.replace("W/", "")).collect();
    let strong: Vec<&str> = strong.iter().map(String::as_str).collect();
    texts.iter().any(|text| text.trim() == "*") || versions(&strong).contains(&version)
}

fn versions(texts: &[&str]) -> Vec<u64> {
    let tags = texts.iter().flat_map(|text| text.split(',')).map(str::trim);
    tags.filter_map(|tag| tag.strip_prefix('"')?.strip_suffix('"')?.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conditions_are_met_by_versions() {
        let check = |text: &str, matched: bool, known: bool| {
            let mut headers = HeaderMap::new();
            headers.insert("if-match", text.parse().unwrap());
            headers.insert("if-none-match", text.parse().unwrap());
            assert_eq!(Expected::read(&headers).check(3).is_ok(), matched, "{text}");
            assert_eq!(is_known(&headers, 3), known, "{text}");
        };
        check("\"3\"", true, true);
        check("\"2\", \"3\"", true, true);
        check("*", true, true);
        check("W/\"3\"", false, true);
        check("\"2\"", false, false);
        check("3", false, false);
        assert!(Expected::read(&HeaderMap::new()).check(3).is_ok());
    }
}

//! What a token says, and whether it may be believed here and now
//! (<https://www.rfc-editor.org/rfc/rfc7519#section-4.1>, <https://www.rfc-editor.org/rfc/rfc9068#section-4>).

use std::{borrow::Cow, time::Duration};

use serde_json::{Map, Value};

use super::{ClaimPath, Header, Introspection, Issuer, Refusal, strict};

/// Types of tokens that are taken unless the configuration names some: an access token by its own type, and by none in
/// particular. Tokens for something else (`logout+jwt`, `dpop+jwt`, `secevent+jwt`) have types of their own.
const USUAL_TYPES: [&str; 2] = ["jwt", "at+jwt"];
const MICROS: f64 = 1_000_000.0;

/// The members of a token, or of what its issuer says of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Claims(Map<String, Value>);

impl Claims {
    pub fn parse(text: &[u8]) -> Result<Claims, Refusal> {
        let unread = Refusal::Malformed("its claims are no object with each member once");
        strict::object(text).map(Claims).ok_or(unread)
    }

    /// Who made the token, by its own account.
    pub fn issuer(&self) -> Option<&str> {
        self.0.get("iss")?.as_str()
    }

    /// The value at a path.
    pub fn at(&self, path: &ClaimPath) -> Option<&Value> {
        path.within(&self.0)
    }

    /// All texts at a path: one, or those of a list. Scopes are one text with spaces
    /// (<https://www.rfc-editor.org/rfc/rfc8693#section-4.2>).
    pub fn texts(&self, path: &ClaimPath) -> Vec<Cow<'_, str>> {
        match self.at(path) {
            Some(Value::String(text)) if path.is_scope() => {
                text.split_ascii_whitespace().map(Cow::Borrowed).collect()
            }
            Some(Value::Array(items)) => items.iter().filter_map(text).collect(),
            Some(value) => text(value).into_iter().collect(),
            None => Vec::new(),
        }
    }

    /// Whether its issuer says that the token is good.
    pub fn is_active(&self) -> bool {
        self.0.get("active") == Some(&Value::Bool(true))
    }

    /// When the token ends, in microseconds since 1970.
    pub fn expires_us(&self) -> Result<Option<i64>, Refusal> {
        self.moment("exp")
    }

    /// What the token is bound to: the hash of a certificate, in base64url
    /// (<https://www.rfc-editor.org/rfc/rfc8705#section-3.1>).
    pub fn bound_to(&self) -> Result<Option<&str>, Refusal> {
        let Some(bound) = self.0.get("cnf") else { return Ok(None) };
        let bound = bound.as_object().filter(|bound| bound.len() == 1).ok_or(Refusal::Bound)?;
        bound.get("x5t#S256").and_then(Value::as_str).map(Some).ok_or(Refusal::Bound)
    }

    fn moment(&self, name: &'static str) -> Result<Option<i64>, Refusal> {
        let Some(value) = self.0.get(name) else { return Ok(None) };
        let seconds = value.as_f64().filter(|seconds| seconds.is_finite() && *seconds >= 0.0);
        let seconds = seconds.ok_or(Refusal::Malformed("a time in it is no number of seconds"))?;
        Ok(Some((seconds * MICROS) as i64))
    }

    /// Whether the time is right.
    fn check_time(&self, skew: Duration, now_us: i64) -> Result<(), Refusal> {
        let skew = i64::try_from(skew.as_micros()).unwrap_or(i64::MAX);
        if self.expires_us()?.is_some_and(|end| end.saturating_add(skew) <= now_us) {
            return Err(Refusal::Expired);
        }
        for name in ["nbf", "iat"] {
            if self.moment(name)?.is_some_and(|begin| begin > now_us.saturating_add(skew)) {
                return Err(Refusal::NotYet);
            }
        }
        Ok(())
    }

    fn check_audience(&self, audience: &[String]) -> Result<(), Refusal> {
        let ours =
            |named: &Value| named.as_str().is_some_and(|named| audience.iter().any(|ours| ours == named));
        let named = match self.0.get("aud") {
            Some(Value::Array(names)) => names.iter().any(ours),
            Some(name) => ours(name),
            None => false,
        };
        if named { Ok(()) } else { Err(Refusal::Audience) }
    }

    fn check_required(&self, required: &[(ClaimPath, Vec<String>)]) -> Result<(), Refusal> {
        let missing = required.iter().find(|(path, taken)| {
            let texts = self.texts(path);
            !texts.iter().any(|text| taken.iter().any(|taken| taken == text))
        });
        missing.map_or(Ok(()), |(path, _)| Err(Refusal::Claim(path.text().to_owned())))
    }
}

impl Issuer {
    /// Whether a header is such that its token may be checked with this issuer's keys at all.
    pub fn check_header(&self, header: &Header) -> Result<(), Refusal> {
        if !self.algorithms.contains(&header.algorithm) {
            return Err(Refusal::Signature("it is signed by an algorithm that is not taken of its issuer"));
        }
        let Some(named) = &header.token_type else {
            return if self.token_types.is_none() { Ok(()) } else { Err(Refusal::Type) };
        };
        let named = named.to_ascii_lowercase();
        let named = named.strip_prefix("application/").unwrap_or(&named);
        let taken = match &self.token_types {
            Some(types) => types.iter().any(|taken| taken == named),
            None => USUAL_TYPES.contains(&named),
        };
        if taken { Ok(()) } else { Err(Refusal::Type) }
    }

    /// Whether claims whose signature is good hold here and now.
    pub fn check(&self, claims: &Claims, now_us: i64) -> Result<(), Refusal> {
        if claims.issuer() != Some(&self.issuer) {
            return Err(Refusal::Untrusted);
        }
        if claims.expires_us()?.is_none() {
            return Err(Refusal::Claim("exp".to_owned()));
        }
        claims.check_time(self.clock_skew, now_us)?;
        claims.check_audience(&self.audience)?;
        claims.check_required(&self.required_claims)
    }
}

impl Introspection {
    /// Whether what is said of a token holds here and now.
    pub fn check(&self, claims: &Claims, now_us: i64) -> Result<(), Refusal> {
        if !claims.is_active() {
            return Err(Refusal::Inactive);
        }
        claims.check_time(self.clock_skew, now_us)?;
        if !self.audience.is_empty() {
            claims.check_audience(&self.audience)?;
        }
        claims.check_required(&self.required_claims)
    }
}

fn text(value: &Value) -> Option<Cow<'_, str>> {
    match value {
        Value::String(text) => Some(Cow::Borrowed(text)),
        Value::Number(_) | Value::Bool(_) => Some(Cow::Owned(value.to_string())),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        Secret,
        authentication::{Algorithm, Keys, Mapping},
    };

    const NOW_US: i64 = 1_000_000_000;

    fn issuer() -> Issuer {
        Issuer {
            issuer: "https://a/".to_owned(),
            audience: vec!["here".to_owned(), "there".to_owned()],
            keys: Keys::Shared(Secret::new("x")),
            algorithms: vec![Algorithm::Rs256],
            clock_skew: Duration::from_secs(30),
            required_claims: vec![(ClaimPath::new("realm.roles"), vec!["llm".to_owned(), "true".to_owned()])],
            token_types: None,
            mapping: Mapping::default(),
        }
    }

    fn code(refused: Result<(), Refusal>) -> String {
        let code = refused.err().and_then(|refusal| refusal.fault().code);
        code.unwrap_or_default().into_owned()
    }

    #[test]
    fn claims_hold_here_and_now_or_not_at_all() {
        let check = |claims: &str, expected: &str| {
            let checked = Claims::parse(claims.as_bytes()).and_then(|claims| issuer().check(&claims, NOW_US));
            assert_eq!(code(checked), expected, "{claims}");
        };
        let with = |members: &str| format!("{{{members},\"realm\":{{\"roles\":[\"x\",\"llm\"]}}}}");
        let good = "\"iss\":\"https://a/\",\"aud\":\"here\"";
        check(&with(&format!("{good},\"exp\":1000")), "");
        check(&with(&format!("{good},\"exp\":970")), "token_expired");
        check(&with(&format!("{good},\"exp\":970.5")), "");
        check(&with(&format!("{good},\"exp\":1e300")), "");
        check(&with(&format!("{good},\"exp\":-1")), "token_malformed");
        check(&with(&format!("{good},\"exp\":\"1000\"")), "token_malformed");
        check(&with(&format!("{good},\"exp\":null")), "token_malformed");
        check(&with(good), "token_claims");
        check(&with(&format!("{good},\"exp\":2000,\"nbf\":1030")), "");
        check(&with(&format!("{good},\"exp\":2000,\"nbf\":1031")), "token_not_yet_valid");
        check(&with(&format!("{good},\"exp\":2000,\"iat\":1031")), "token_not_yet_valid");
        check(&with("\"iss\":\"https://a\",\"aud\":\"here\",\"exp\":2000"), "token_untrusted");
        check(&with("\"iss\":[\"https://a/\"],\"aud\":\"here\",\"exp\":2000"), "token_untrusted");
        check(&with("\"iss\":\"https://a/\",\"aud\":[\"x\",\"there\"],\"exp\":2000"), "");
        check(&with("\"iss\":\"https://a/\",\"aud\":[\"x\"],\"exp\":2000"), "token_not_for_here");
        check(&with("\"iss\":\"https://a/\",\"aud\":{\"here\":1},\"exp\":2000"), "token_not_for_here");
        check(&with("\"iss\":\"https://a/\",\"exp\":2000"), "token_not_for_here");
        check(&format!("{{{good},\"exp\":2000}}"), "token_claims");
        check(&format!("{{{good},\"exp\":2000,\"realm\":{{\"roles\":true}}}}"), "");
        check(&format!("{{{good},\"exp\":2000,\"realm.roles\":\"llm\"}}"), "");
    }

    #[test]
    fn tokens_for_something_else_are_of_another_type() {
        let check = |types: Option<&[&str]>, named: Option<&str>, expected: &str| {
            let types = types.map(|types| types.iter().map(|&one| one.to_owned()).collect());
            let issuer = Issuer { token_types: types, ..issuer() };
            let token_type = named.map(str::to_owned);
            let header = Header { algorithm: Algorithm::Rs256, key_id: None, token_type };
            assert_eq!(code(issuer.check_header(&header)), expected, "{named:?}");
        };
        check(None, None, "");
        check(None, Some("JWT"), "");
        check(None, Some("application/at+JWT"), "");
        check(None, Some("logout+jwt"), "token_type");
        check(None, Some("none"), "token_type");
        check(Some(&["at+jwt"]), Some("at+jwt"), "");
        check(Some(&["at+jwt"]), Some("JWT"), "token_type");
        check(Some(&["at+jwt"]), None, "token_type");
        let header = Header { algorithm: Algorithm::Hs256, key_id: None, token_type: None };
        assert_eq!(code(issuer().check_header(&header)), "token_signature");
    }

    #[test]
    fn a_token_that_is_bound_is_no_bearer_token() {
        let bound = |claims: &str| {
            let claims = Claims::parse(claims.as_bytes()).unwrap_or_else(|refusal| panic!("{refusal:?}"));
            claims.bound_to().map(|hash| hash.map(str::to_owned))
        };
        assert_eq!(bound("{}"), Ok(None));
        assert_eq!(bound(r#"{"cnf":{"x5t#S256":"abc"}}"#), Ok(Some("abc".to_owned())));
        assert_eq!(bound(r#"{"cnf":{"jkt":"abc"}}"#), Err(Refusal::Bound));
        assert_eq!(bound(r#"{"cnf":{"x5t#S256":"abc","jkt":"abc"}}"#), Err(Refusal::Bound));
        assert_eq!(bound(r#"{"cnf":{}}"#), Err(Refusal::Bound));
        assert_eq!(bound(r#"{"cnf":null}"#), Err(Refusal::Bound));
    }
}

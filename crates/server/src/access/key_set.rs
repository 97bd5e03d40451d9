//! The keys of an issuer (<https://www.rfc-editor.org/rfc/rfc7517>), and whether one of them signed a token.

use jsonwebtoken::DecodingKey;
use policy::{
    Secret,
    authentication::{Algorithm, KeyType, Token},
};
use serde::Deserialize;
use serde_json::Value;

/// The most keys of one issuer.
const KEYS_MAX: usize = 100;
/// How many keys are tried for a token that names none.
const TRIES_MAX: usize = 8;

/// An issuer's keys.
pub(super) struct KeySet {
    /// As they were given, to tell whether they are others.
    given: Vec<Jwk>,
    keys: Vec<Key>,
}

struct Key {
    id: Option<String>,
    key_type: KeyType,
    /// The only algorithm it is for, where it says one.
    algorithm: Option<Algorithm>,
    key: DecodingKey,
}

/// What came of checking a signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Checked {
    Good,
    Bad,
    /// There is no such key: it may be a new one.
    NoKey,
}

#[derive(Deserialize)]
struct Given {
    keys: Vec<Value>,
}

/// Members of a key that count; the rest, private parts included, is not read.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
struct Jwk {
    kty: String,
    kid: Option<String>,
    alg: Option<String>,
    #[serde(rename = "use")]
    usage: Option<String>,
    key_ops: Option<Vec<String>>,
    crv: Option<String>,
    n: Option<String>,
    e: Option<String>,
    x: Option<String>,
    y: Option<String>,
}

impl KeySet {
    /// What can be used of a set: an issuer may have keys for other things in it.
    pub(super) fn parse(text: &[u8]) -> Result<KeySet, String> {
        let Given { keys } =
            serde_json::from_slice(text).map_err(|_| "it answered with no set of keys".to_owned())?;
        if keys.len() > KEYS_MAX {
            return Err(format!("it has {} keys, and {KEYS_MAX} are the most", keys.len()));
        }
        let mut set = KeySet { given: Vec::new(), keys: Vec::new() };
        for jwk in keys.into_iter().filter_map(|value| serde_json::from_value::<Jwk>(value).ok()) {
            if let Some(key) = jwk.key() {
                set.keys.push(key);
                set.given.push(jwk);
            }
        }
        if set.keys.is_empty() {
            return Err("it has no key that checks signatures".to_owned());
        }
        Ok(set)
    }

    /// One key that both sides know.
    pub(super) fn shared(secret: &Secret) -> KeySet {
        let key = DecodingKey::from_secret(secret.expose().as_bytes());
        let key = Key { id: None, key_type: KeyType::Secret, algorithm: None, key };
        KeySet { given: Vec::new(), keys: vec![key] }
    }

    pub(super) fn len(&self) -> usize {
        self.keys.len()
    }

    pub(super) fn is_same(&self, other: &KeySet) -> bool {
        self.given == other.given
    }

    /// A key is only ever used for its own kind of algorithm, whatever a token says.
    pub(super) fn check(&self, token: &Token<'_>) -> Checked {
        let Token { header, message, signature, .. } = token;
        let algorithm = header.algorithm;
        let fits = |key: &&Key| {
            let named = match (&header.key_id, &key.id) {
                (Some(named), Some(id)) => named == id,
                (None, _) | (_, None) => true,
            };
            named
                && key.key_type == algorithm.key_type()
                && key.algorithm.is_none_or(|only| only == algorithm)
        };
        let mut checked = Checked::NoKey;
        for key in self.keys.iter().filter(fits).take(TRIES_MAX) {
            let good =
                jsonwebtoken::crypto::verify(signature, message.as_bytes(), &key.key, library(algorithm));
            if good.unwrap_or(false) {
                return Checked::Good;
            }
            checked = Checked::Bad;
        }
        checked
    }
}

impl Jwk {
    fn key(&self) -> Option<Key> {
        let signs = self.usage.as_deref().is_none_or(|usage| usage == "sig");
        let checks = self.key_ops.as_ref().is_none_or(|all| all.iter().any(|one| one == "verify"));
        if !signs || !checks {
            return None;
        }
        let made = |key: Option<DecodingKey>, key_type| Some((key?, key_type));
        // A secret that stands in a public set is no secret.
        let (key, key_type) = match (self.kty.as_str(), self.crv.as_deref()) {
            ("RSA", _) => {
                let key = DecodingKey::from_rsa_components(self.n.as_deref()?, self.e.as_deref()?);
                made(key.ok(), KeyType::Rsa)
            }
            ("EC", Some(curve)) => {
                let key = DecodingKey::from_ec_components(self.x.as_deref()?, self.y.as_deref()?);
                let key_type = match curve {
                    "P-256" => KeyType::P256,
                    "P-384" => KeyType::P384,
                    _ => return None,
                };
                made(key.ok(), key_type)
            }
            ("OKP", Some("Ed25519")) => {
                made(DecodingKey::from_ed_components(self.x.as_deref()?).ok(), KeyType::Ed25519)
            }
            _ => None,
        }?;
        let algorithm = match &self.alg {
            // One that is not known here is not used for another.
            Some(name) => Some(Algorithm::named(name).filter(|algorithm| algorithm.key_type() == key_type)?),
            None => None,
        };
        Some(Key { id: self.kid.clone(), key_type, algorithm, key })
    }
}

/// The library's word for an algorithm.
fn library(algorithm: Algorithm) -> jsonwebtoken::Algorithm {
    match algorithm {
        Algorithm::Rs256 => jsonwebtoken::Algorithm::RS256,
        Algorithm::Rs384 => jsonwebtoken::Algorithm::RS384,
        Algorithm::Rs512 => jsonwebtoken::Algorithm::RS512,
        Algorithm::Ps256 => jsonwebtoken::Algorithm::PS256,
        Algorithm::Ps384 => jsonwebtoken::Algorithm::PS384,
        Algorithm::Ps512 => jsonwebtoken::Algorithm::PS512,
        Algorithm::Es256 => jsonwebtoken::Algorithm::ES256,
        Algorithm::Es384 => jsonwebtoken::Algorithm::ES384,
        Algorithm::EdDsa => jsonwebtoken::Algorithm::EdDSA,
        Algorithm::Hs256 => jsonwebtoken::Algorithm::HS256,
        Algorithm::Hs384 => jsonwebtoken::Algorithm::HS384,
        Algorithm::Hs512 => jsonwebtoken::Algorithm::HS512,
    }
}

#[cfg(test)]
mod tests {
    use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};

    use super::*;

    const SET: &str = r#"{"keys":[
        {"kty":"RSA","kid":"r","n":"AQAB","e":"AQAB"},
        {"kty":"RSA","kid":"r-enc","use":"enc","n":"AQAB","e":"AQAB"},
        {"kty":"RSA","kid":"r-oaep","alg":"RSA-OAEP","n":"AQAB","e":"AQAB"},
        {"kty":"RSA","kid":"r-hs","alg":"HS256","n":"AQAB","e":"AQAB"},
        {"kty":"RSA","kid":"r-sign","key_ops":["sign"],"n":"AQAB","e":"AQAB"},
        {"kty":"EC","kid":"e","crv":"P-256","x":"AQAB","y":"AQAB"},
        {"kty":"EC","kid":"e-521","crv":"P-521","x":"AQAB","y":"AQAB"},
        {"kty":"OKP","kid":"o","alg":"EdDSA","crv":"Ed25519","x":"AQAB"},
        {"kty":"oct","kid":"s","k":"AQAB"},
        {"kid":"no kind"}, "no object", {"kty":"RSA","kid":"r-part","n":"AQAB"}
    ]}"#;

    fn token(header: &str) -> String {
        let encoded = |text: &str| URL_SAFE_NO_PAD.encode(text);
        format!("{}.{}.c2ln", encoded(header), encoded("{}"))
    }

    #[test]
    fn keys_that_check_no_signatures_are_left_out() {
        let set = KeySet::parse(SET.as_bytes()).unwrap_or_else(|error| panic!("{error}"));
        let ids: Vec<&str> = set.keys.iter().filter_map(|key| key.id.as_deref()).collect();
        assert_eq!(ids, ["r", "e", "o"]);
        assert!(set.is_same(&KeySet::parse(SET.as_bytes()).unwrap_or_else(|error| panic!("{error}"))));
        assert!(KeySet::parse(b"{\"keys\":[]}").is_err());
        assert!(KeySet::parse(b"[]").is_err());
        let many = format!("{{\"keys\":[{}]}}", vec!["{}"; KEYS_MAX + 1].join(","));
        assert!(KeySet::parse(many.as_bytes()).is_err());
    }

    #[test]
    fn a_key_is_used_for_its_own_algorithm_only() {
        let check = |set: &KeySet, header: &str, expected: Checked| {
            let text = token(header);
            let token = Token::parse(&text).unwrap_or_else(|refusal| panic!("{refusal:?}"));
            assert_eq!(set.check(&token), expected, "{header}");
        };
        let set = KeySet::parse(SET.as_bytes()).unwrap_or_else(|error| panic!("{error}"));
        check(&set, r#"{"alg":"RS256","kid":"r"}"#, Checked::Bad);
        check(&set, r#"{"alg":"RS256"}"#, Checked::Bad);
        check(&set, r#"{"alg":"HS256","kid":"r"}"#, Checked::NoKey);
        check(&set, r#"{"alg":"HS256","kid":"s"}"#, Checked::NoKey);
        check(&set, r#"{"alg":"ES256","kid":"r"}"#, Checked::NoKey);
        check(&set, r#"{"alg":"ES384","kid":"e"}"#, Checked::NoKey);
        check(&set, r#"{"alg":"RS256","kid":"new"}"#, Checked::NoKey);
        let shared = KeySet::shared(&Secret::new("s".repeat(32)));
        check(&shared, r#"{"alg":"HS256","kid":"any"}"#, Checked::Bad);
        check(&shared, r#"{"alg":"RS256"}"#, Checked::NoKey);
    }
}

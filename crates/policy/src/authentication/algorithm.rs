//! How tokens are signed (<https://www.rfc-editor.org/rfc/rfc7518#section-3.1>).

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, de};

/// An algorithm of signatures. `none` is not one of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Algorithm {
    Rs256,
    Rs384,
    Rs512,
    Ps256,
    Ps384,
    Ps512,
    Es256,
    Es384,
    EdDsa,
    Hs256,
    Hs384,
    Hs512,
}

/// What kind of key checks a signature: an algorithm has exactly one, so that no key is ever used for another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum KeyType {
    Rsa,
    P256,
    P384,
    Ed25519,
    /// Known to both sides, so that whoever checks could sign as well.
    Secret,
}

/// Each with the name it has in a token.
const NAMES: [(Algorithm, &str); 12] = [
    (Algorithm::Rs256, "RS256"),
    (Algorithm::Rs384, "RS384"),
    (Algorithm::Rs512, "RS512"),
    (Algorithm::Ps256, "PS256"),
    (Algorithm::Ps384, "PS384"),
    (Algorithm::Ps512, "PS512"),
    (Algorithm::Es256, "ES256"),
    (Algorithm::Es384, "ES384"),
    (Algorithm::EdDsa, "EdDSA"),
    (Algorithm::Hs256, "HS256"),
    (Algorithm::Hs384, "HS384"),
    (Algorithm::Hs512, "HS512"),
];

impl<'de> Deserialize<'de> for Algorithm {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Algorithm, D::Error> {
        let name = String::deserialize(deserializer)?;
        Algorithm::named(&name).ok_or_else(|| de::Error::custom(format!("\"{name}\" is no algorithm")))
    }
}

impl JsonSchema for Algorithm {
    fn schema_name() -> Cow<'static, str> {
        "Algorithm".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "string", "enum": NAMES.map(|(_, name)| name)})
    }
}

impl Algorithm {
    /// By its name in a token. `Ed25519` is the newer name of what is called `EdDSA` elsewhere
    /// (<https://www.rfc-editor.org/rfc/rfc9864>).
    pub fn named(name: &str) -> Option<Algorithm> {
        let name = if name == "Ed25519" { "EdDSA" } else { name };
        NAMES.iter().find(|(_, known)| *known == name).map(|(algorithm, _)| *algorithm)
    }

    pub fn key_type(self) -> KeyType {
        match self {
            Algorithm::Rs256
            | Algorithm::Rs384
            | Algorithm::Rs512
            | Algorithm::Ps256
            | Algorithm::Ps384
            | Algorithm::Ps512 => KeyType::Rsa,
            Algorithm::Es256 => KeyType::P256,
            Algorithm::Es384 => KeyType::P384,
            Algorithm::EdDsa => KeyType::Ed25519,
            Algorithm::Hs256 | Algorithm::Hs384 | Algorithm::Hs512 => KeyType::Secret,
        }
    }

    /// Those whose keys are public.
    pub fn asymmetric() -> impl Iterator<Item = Algorithm> {
        NAMES.iter().map(|(algorithm, _)| *algorithm).filter(|algorithm| !algorithm.is_symmetric())
    }

    pub fn is_symmetric(self) -> bool {
        self.key_type() == KeyType::Secret
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_are_no_signature_name_nothing() {
        for name in ["none", "None", "NONE", "", "rs256", "HS1", "RS256 ", "ES256K"] {
            assert_eq!(Algorithm::named(name), None, "{name}");
        }
        assert_eq!(Algorithm::named("Ed25519"), Some(Algorithm::EdDsa));
        assert_eq!(Algorithm::asymmetric().count(), 9);
    }
}

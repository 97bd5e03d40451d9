//! A token's form (<https://www.rfc-editor.org/rfc/rfc7515#section-7.1>), before anything in it is believed.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::Value;

use super::{Algorithm, Claims, Refusal, strict};
use crate::key::KEY_PREFIX;

/// The longest token that is looked at.
pub const TOKEN_BYTES_MAX: usize = 16 << 10;

/// What a credential is by its looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// A virtual key.
    Key,
    /// A signed token.
    Signed,
    /// Anything else: only its issuer can say what it stands for.
    Opaque,
}

/// Looks at a credential's beginning and its dots.
pub fn shape(shown: &str) -> Shape {
    if shown.starts_with(KEY_PREFIX) {
        return Shape::Key;
    }
    // A header is an object, so that its base64 begins with that of a brace.
    let object = shown.starts_with("ey") || shown.starts_with("ew");
    if object && shown.bytes().filter(|byte| *byte == b'.').count() == 2 {
        Shape::Signed
    } else {
        Shape::Opaque
    }
}

/// A token that was taken apart; nothing in it is to be believed until its signature was checked.
pub struct Token<'t> {
    pub header: Header,
    pub claims: Claims,
    /// What is signed.
    pub message: &'t str,
    /// In base64.
    pub signature: &'t str,
}

/// What of a token's header counts. Keys and addresses of keys in it (`jwk`, `jku`, `x5c`, `x5u`) are never looked at: whoever
/// made the token wrote them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    pub algorithm: Algorithm,
    /// Which of its issuer's keys signed it.
    pub key_id: Option<String>,
    pub token_type: Option<String>,
}

impl<'t> Token<'t> {
    pub fn parse(text: &'t str) -> Result<Token<'t>, Refusal> {
        if text.len() > TOKEN_BYTES_MAX {
            return Err(Refusal::Malformed("it is over 16 KiB"));
        }
        let parts = text.rsplit_once('.').and_then(|(message, signature)| {
            let (header, claims) = message.split_once('.')?;
            Some((header, claims, message, signature))
        });
        let (header, claims, message, signature) =
            parts.ok_or(Refusal::Malformed("it has not three parts"))?;
        let header = Header::parse(&decoded(header)?)?;
        let claims = Claims::parse(&decoded(claims)?)?;
        Ok(Token { header, claims, message, signature })
    }
}

impl Header {
    fn parse(text: &[u8]) -> Result<Header, Refusal> {
        let unread = Refusal::Malformed("its header is no object with each member once");
        let members = strict::object(text).ok_or(unread)?;
        let text = |name: &str| match members.get(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.clone())),
            Some(_) => Err(Refusal::Malformed("a member of its header is no text")),
        };
        // Whoever does not know a member that is listed here must not take the token; this gateway knows of none
        // (<https://www.rfc-editor.org/rfc/rfc7515#section-4.1.11>).
        if members.contains_key("crit") {
            return Err(Refusal::Malformed("its header asks for an extension (crit)"));
        }
        let name = text("alg")?.ok_or(Refusal::Malformed("its header has no alg"))?;
        let unknown = Refusal::Signature("it is signed by an algorithm that is not taken here");
        let algorithm = Algorithm::named(&name).ok_or(unknown)?;
        Ok(Header { algorithm, key_id: text("kid")?, token_type: text("typ")? })
    }
}

fn decoded(part: &str) -> Result<Vec<u8>, Refusal> {
    URL_SAFE_NO_PAD.decode(part).map_err(|_| Refusal::Malformed("a part of it is no base64url"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(header: &str, claims: &str) -> String {
        format!("{}.{}.c2ln", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims))
    }

    #[test]
    fn credentials_are_told_apart_by_their_looks() {
        assert_eq!(shape("tg-eyJ.a.b"), Shape::Key);
        assert_eq!(shape(&token("{\"alg\":\"RS256\"}", "{}")), Shape::Signed);
        assert_eq!(shape(&token("{ \"alg\":\"RS256\"}", "{}")), Shape::Signed);
        assert_eq!(shape("v1.local.abc"), Shape::Opaque);
        assert_eq!(shape("eyJhbGciOiJSUzI1NiJ9.e30"), Shape::Opaque);
        assert_eq!(shape(""), Shape::Opaque);
    }

    #[test]
    fn what_cannot_be_read_is_refused() {
        let check = |text: &str, code: &str| {
            let refused = Token::parse(text).err().map(|refusal| refusal.fault());
            assert_eq!(refused.and_then(|fault| fault.code).as_deref(), Some(code), "{text}");
        };
        let good = "{\"alg\":\"RS256\",\"kid\":\"a\"}";
        assert!(Token::parse(&token(good, "{}")).is_ok());
        check("a.b", "token_malformed");
        check("a.b.c.d", "token_malformed");
        check("..", "token_malformed");
        check(&format!("{}=.e30.c2ln", URL_SAFE_NO_PAD.encode(good)), "token_malformed");
        check(&token(good, &format!("{{\"a\":\"{}\"}}", "a".repeat(TOKEN_BYTES_MAX))), "token_malformed");
        check(&token(good, "[]"), "token_malformed");
        check(&token(good, "{\"sub\":\"a\",\"sub\":\"b\"}"), "token_malformed");
        check(&token("{\"alg\":\"RS256\",\"alg\":\"none\"}", "{}"), "token_malformed");
        check(&token("{\"alg\":\"RS256\",\"crit\":[]}", "{}"), "token_malformed");
        check(&token("{\"alg\":\"RS256\",\"kid\":7}", "{}"), "token_malformed");
        check(&token("{\"alg\":[\"RS256\"]}", "{}"), "token_malformed");
        check(&token("{}", "{}"), "token_malformed");
        check(&token("{\"alg\":\"none\"}", "{}"), "token_signature");
        check(&token("{\"alg\":\"nOnE\"}", "{}"), "token_signature");
    }

    #[test]
    fn a_header_names_a_key_and_brings_none() {
        let header = "{\"alg\":\"ES256\",\"kid\":\"../../x\",\"typ\":\"at+jwt\",\"jku\":\"http://a\",\"jwk\":{\"kty\":\"EC\"}}";
        let text = token(header, "{\"iss\":\"a\"}");
        let token = Token::parse(&text).unwrap_or_else(|refusal| panic!("{refusal:?}"));
        let expected = Header {
            algorithm: Algorithm::Es256,
            key_id: Some("../../x".to_owned()),
            token_type: Some("at+jwt".to_owned()),
        };
        assert_eq!(token.header, expected);
        assert!(text.starts_with(token.message) && text.ends_with(token.signature));
    }

    proptest::proptest! {
        #[test]
        fn whatever_a_token_says_it_is_taken_apart_or_refused(
            noise in "[ey.=A-Za-z0-9_-]{0,80}",
            header in "[{}\\[\\]\":,a-z0-9 ]{0,40}",
            claims in "[{}\\[\\]\":,a-z0-9 ]{0,40}",
        ) {
            for text in [noise, token(&header, &claims), token("{\"alg\":\"RS256\"}", &claims)] {
                let _ = shape(&text);
                if let Ok(token) = Token::parse(&text) {
                    proptest::prop_assert_eq!(format!("{}.{}", token.message, token.signature), text.as_str());
                    let _ = super::super::Mapping::default().identify("x", &token.claims);
                }
            }
        }
    }
}

//! A login at a provider that is under way. The browser keeps what is known of it in a cookie, and everything that must be a secret
//! follows from that cookie and the installation's secret: `state` is its seal, so that nothing is kept here, however many begin one.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use policy::Secret;
use sha2::{Digest, Sha256};
use store::KeyHasher;

/// How long a login may take, in microseconds.
const TIME_US_MAX: i64 = 600 * 1_000_000;
/// The longest path to return to, in bytes.
const RETURN_BYTES_MAX: usize = 2_000;
/// Where people go who were on no page.
const USUAL_RETURN: &str = "/admin/v1/me";

/// A login that is under way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Login {
    /// The provider's name.
    pub(super) provider: String,
    /// A path of this gateway.
    pub(super) return_to: String,
    /// Microseconds since 1970.
    pub(super) until_us: i64,
    /// As the cookie has it.
    text: String,
}

/// What is told apart by the cookie of a login.
#[derive(Clone, Copy, Debug)]
enum Part {
    State,
    Nonce,
    Verifier,
}

impl Login {
    /// For how long its cookie lasts, in seconds.
    pub(super) const SECONDS: u64 = (TIME_US_MAX / 1_000_000).unsigned_abs();

    pub(super) fn begin(provider: &str, return_to: &str, now_us: i64) -> Result<Login, store::Error> {
        let random = store::new_key("")?;
        let until_us = now_us.saturating_add(TIME_US_MAX);
        let place = URL_SAFE_NO_PAD.encode(return_to);
        let text = format!("{}.{until_us}.{provider}.{place}", random.expose());
        Ok(Login { provider: provider.to_owned(), return_to: return_to.to_owned(), until_us, text })
    }

    /// The login of a cookie, where `state` is its seal and it is not too late.
    pub(super) fn found(text: &str, state: &str, hasher: &KeyHasher, now_us: i64) -> Option<Login> {
        let mut parts = text.split('.');
        let (_, until_us, provider, place) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        let return_to = String::from_utf8(URL_SAFE_NO_PAD.decode(place).ok()?).ok()?;
        let until_us = until_us.parse().ok().filter(|until_us| *until_us > now_us)?;
        let login = Login { provider: provider.to_owned(), return_to, until_us, text: text.to_owned() };
        // Compared by hashes that nobody can predict, so that the time it takes says nothing.
        let same = hasher.hash(&login.state(hasher)) == hasher.hash(state);
        (same && parts.next().is_none()).then_some(login)
    }

    /// What the cookie has.
    pub(super) fn cookie(&self) -> &str {
        &self.text
    }

    /// Comes back with the answer (<https://www.rfc-editor.org/rfc/rfc6749#section-10.12>).
    pub(super) fn state(&self, hasher: &KeyHasher) -> String {
        URL_SAFE_NO_PAD.encode(self.seal(Part::State, hasher))
    }

    /// What the login is told by, once it is used up.
    pub(super) fn mark(&self, hasher: &KeyHasher) -> [u8; 32] {
        self.seal(Part::State, hasher)
    }

    /// Comes back in the token (<https://openid.net/specs/openid-connect-core-1_0.html#NonceNotes>).
    pub(super) fn nonce(&self, hasher: &KeyHasher) -> String {
        URL_SAFE_NO_PAD.encode(self.seal(Part::Nonce, hasher))
    }

    /// Shown with the code (<https://www.rfc-editor.org/rfc/rfc7636#section-4.1>).
    pub(super) fn verifier(&self, hasher: &KeyHasher) -> Secret {
        Secret::new(URL_SAFE_NO_PAD.encode(self.seal(Part::Verifier, hasher)))
    }

    /// Shown before it (<https://www.rfc-editor.org/rfc/rfc7636#section-4.2>).
    pub(super) fn challenge(&self, hasher: &KeyHasher) -> String {
        URL_SAFE_NO_PAD.encode(Sha256::digest(self.verifier(hasher).expose()))
    }

    fn seal(&self, part: Part, hasher: &KeyHasher) -> [u8; 32] {
        hasher.hash(&format!("login {part:?}:{}", self.text))
    }
}

/// A path of this gateway, and nothing that a browser takes for an address elsewhere: `//host`, `/\host`, and both with what
/// browsers leave out in between (<https://url.spec.whatwg.org/#url-parsing>).
pub(super) fn return_path(wanted: Option<&str>) -> Option<&str> {
    let Some(path) = wanted else { return Some(USUAL_RETURN) };
    let plain = path.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\');
    let good = path.starts_with('/') && !path.starts_with("//") && path.len() <= RETURN_BYTES_MAX;
    (good && plain).then_some(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hasher_of(letter: char) -> KeyHasher {
        KeyHasher::of_secret(&Secret::new(letter.to_string().repeat(32)))
    }

    #[test]
    fn a_login_is_found_by_its_own_cookie_and_state() {
        let hasher = hasher_of('a');
        let login = Login::begin("okta", "/console?a=b", 5).unwrap();
        let state = login.state(&hasher);
        let check = |text: &str, state: &str, now_us: i64, expected: bool| {
            let found = Login::found(text, state, &hasher, now_us);
            assert_eq!(found.is_some_and(|found| found == login), expected, "{text} {state} {now_us}");
        };
        check(login.cookie(), &state, 6, true);
        check(login.cookie(), &state, login.until_us, false);
        check(login.cookie(), "x", 6, false);
        check(&login.cookie().replace("okta", "other"), &state, 6, false);
        check(&format!("{}.x", login.cookie()), &state, 6, false);
        let later = (login.until_us + 1).to_string();
        check(&login.cookie().replace(&login.until_us.to_string(), &later), &state, 6, false);
        let other = Login::begin("okta", "/console?a=b", 5).unwrap();
        check(other.cookie(), &state, 6, false);
        assert!(Login::found(login.cookie(), &state, &hasher_of('b'), 6).is_none());
        let parts = [login.state(&hasher), login.nonce(&hasher), login.verifier(&hasher).expose().to_owned()];
        assert!(parts.iter().all(|part| part.len() == 43) && parts[0] != parts[1] && parts[1] != parts[2]);
    }

    #[test]
    fn people_return_to_this_gateway_only() {
        let check = |path: &str, good: bool| assert_eq!(return_path(Some(path)).is_some(), good, "{path:?}");
        check("/", true);
        check("/console?tab=keys#top", true);
        check("/a//b", true);
        for path in [
            "",
            "console",
            "//evil.example",
            "/\\evil.example",
            "/\t/evil.example",
            "https://evil.example",
            "/a b",
            "/ä",
            "\\\\evil.example",
            "/\n/evil.example",
        ] {
            check(path, false);
        }
        assert_eq!(return_path(None), Some(USUAL_RETURN));
    }
}

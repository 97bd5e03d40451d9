//! Keys: how they are made, and the keyed hash under which they are stored.

use policy::Secret;
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use crate::Error;

/// Hashes keys under a secret of this installation, so that a stolen database opens nothing and tells nobody
/// whether a guessed key is right.
#[derive(Clone)]
pub struct KeyHasher([u8; 32]);

impl KeyHasher {
    pub(crate) fn new(secret: [u8; 32]) -> KeyHasher {
        KeyHasher(secret)
    }

    /// From a secret that people keep, of any length.
    pub fn of_secret(secret: &Secret) -> KeyHasher {
        KeyHasher(blake3::derive_key("tollgate: what keys are hashed under", secret.expose().as_bytes()))
    }

    /// Tells secrets apart and gives none away.
    pub(crate) fn fingerprint(&self) -> String {
        let hash = blake3::keyed_hash(&self.0, b"tollgate: fingerprint of the secret");
        hash.to_hex().chars().take(32).collect()
    }

    pub fn hash(&self, key: &str) -> [u8; 32] {
        *blake3::keyed_hash(&self.0, key.as_bytes()).as_bytes()
    }

    /// For a key of another gateway.
    pub fn hash_imported(&self, key: &str) -> [u8; 32] {
        let sha256 = Sha256::digest(key.as_bytes());
        self.hash_of_sha256(&sha256.iter().map(|byte| format!("{byte:02x}")).collect::<String>())
    }

    /// For a key of which another gateway has kept the SHA-256 only, in lower-case hexadecimal digits. No key that somebody
    /// shows begins as what is hashed here.
    pub(crate) fn hash_of_sha256(&self, sha256: &str) -> [u8; 32] {
        self.hash(&format!("sha256:{sha256}"))
    }
}

/// The id of the record of work that is charged when it has ended: it begins with the time, as those of calls do, and
/// the rest follows from the work's own id (version 8, RFC 9562, section 5.8).
pub fn later_id(provider: &str, work: &str, ended_s: i64) -> Uuid {
    let mut hasher = blake3::Hasher::new();
    for part in [provider, work] {
        hasher.update(&(part.len() as u64).to_le_bytes()).update(part.as_bytes());
    }
    let mut id = [0; 16];
    let ms = u64::try_from(ended_s.saturating_mul(1_000)).unwrap_or_default().to_be_bytes();
    let hash = hasher.finalize();
    let bytes = ms.iter().skip(2).chain(hash.as_bytes());
    for (slot, byte) in id.iter_mut().zip(bytes) {
        *slot = *byte;
    }
    Uuid::new_v8(id)
}

/// A new key of 256 random bits.
pub fn new_key(prefix: &str) -> Result<Secret, Error> {
    let random = random_bytes()?;
    let mut text = String::with_capacity(prefix.len() + 43);
    text.push_str(prefix);
    for group in random.chunks(3) {
        let mut bits = [0; 3];
        for (slot, byte) in bits.iter_mut().zip(group) {
            *slot = *byte;
        }
        let [first, second, third] = bits.map(u32::from);
        let bits = first << 16 | second << 8 | third;
        for at in 0..=group.len() {
            text.push(base64url(bits >> (18 - 6 * at) & 63));
        }
    }
    Ok(Secret::new(text))
}

pub(crate) fn random_bytes() -> Result<[u8; 32], Error> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes)
        .map_err(|error| Error::file("the system's random numbers".as_ref(), std::io::Error::other(error)))?;
    Ok(bytes)
}

/// RFC 4648, section 5.
fn base64url(digit: u32) -> char {
    let digit = u8::try_from(digit).unwrap_or_default();
    char::from(match digit {
        0..=25 => b'A' + digit,
        26..=51 => b'a' + (digit - 26),
        52..=61 => b'0' + (digit - 52),
        62 => b'-',
        _ => b'_',
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_long_and_differ() {
        let (one, other) = (new_key("tg-").unwrap(), new_key("tg-").unwrap());
        assert_eq!(one.expose().len(), 3 + 43);
        assert!(one.expose() != other.expose());
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        assert!(one.expose().bytes().all(plain));
    }

    #[test]
    fn hashes_depend_on_the_installation() {
        let (here, there) = (KeyHasher::new([1; 32]), KeyHasher::new([2; 32]));
        assert_eq!(here.hash("tg-a"), here.hash("tg-a"));
        assert_ne!(here.hash("tg-a"), there.hash("tg-a"));
        // FIPS 180-4's example of "abc".
        let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(here.hash_imported("abc"), here.hash_of_sha256(abc));
        assert_ne!(here.hash_imported("abc"), here.hash("abc"));
        assert_ne!(here.hash_imported("abc"), here.hash(abc));
    }
}

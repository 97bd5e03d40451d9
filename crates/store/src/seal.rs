//! What is sealed before it reaches the database.
//!
//! AES-256-GCM, each record under a key of its own: BLAKE3 derives it from the data key and 32 random bytes that stand in the
//! record. So it does not matter how many records a data key seals: random nonces of 96 bits would otherwise allow 2³² under
//! one key (<https://nvlpubs.nist.gov/nistpubs/Legacy/SP/nistspecialpublication800-38d.pdf>, section 8.3). Table, row and column
//! are authenticated, so that what is sealed for one place opens in no other.
//!
//! Data keys are kept wrapped ([`sealer`](crate::sealer)).

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use policy::Secret;
use uuid::Uuid;
use zeroize::Zeroizing;

use crate::Error;

/// The form of what is sealed: version, id of the key, salt, nonce, then the text with its tag.
const VERSION: u8 = 1;
pub(crate) const ID_LEN: usize = 16;
const SALT_LEN: usize = 32;
pub(crate) const KEY_LEN: usize = 32;
const RECORD_CONTEXT: &str = "tollgate: the key of one sealed record";
const ID_CONTEXT: &str = "tollgate: the id of an encryption key";

/// Where something sealed stands.
#[derive(Clone, Copy)]
pub(crate) struct Place<'p> {
    pub(crate) table: &'p str,
    pub(crate) row: Uuid,
    pub(crate) column: &'p str,
}

/// A key with its id, which gives nothing of it away.
#[derive(Clone)]
pub(crate) struct SealingKey {
    id: [u8; ID_LEN],
    key: Zeroizing<[u8; KEY_LEN]>,
}

/// What is sealed, taken apart.
pub(crate) struct Parts<'s> {
    pub(crate) id: [u8; ID_LEN],
    salt: &'s [u8],
    nonce: [u8; NONCE_LEN],
    text: &'s [u8],
}

/// A new key for `store.encryption.key`, in base64.
pub fn new_encryption_key() -> Result<Secret, Error> {
    Ok(Secret::new(STANDARD.encode(*random::<KEY_LEN>()?)))
}

impl SealingKey {
    /// A key of random bits.
    pub(crate) fn random() -> Result<SealingKey, Error> {
        Ok(SealingKey::new(random()?))
    }

    pub(crate) fn new(key: Zeroizing<[u8; KEY_LEN]>) -> SealingKey {
        SealingKey { id: id_of(ID_CONTEXT, &*key), key }
    }

    /// From the bytes that it was unwrapped to.
    pub(crate) fn of(bytes: &[u8]) -> Result<SealingKey, Error> {
        let key: [u8; KEY_LEN] = bytes.try_into().map_err(|_| damaged())?;
        Ok(SealingKey::new(Zeroizing::new(key)))
    }

    pub(crate) fn id(&self) -> [u8; ID_LEN] {
        self.id
    }

    pub(crate) fn bytes(&self) -> &[u8; KEY_LEN] {
        &self.key
    }

    pub(crate) fn written(key: &Secret) -> Result<SealingKey, Error> {
        let bytes = STANDARD.decode(key.expose()).ok().map(Zeroizing::new);
        let bytes = bytes.and_then(|bytes| <[u8; KEY_LEN]>::try_from(bytes.as_slice()).ok());
        let wrong = || {
            Error::Encryption("a key is 32 bytes in base64; tollgate secrets generate makes one".to_owned())
        };
        Ok(SealingKey::new(Zeroizing::new(bytes.ok_or_else(wrong)?)))
    }

    pub(crate) fn seal(&self, place: Place<'_>, text: &[u8]) -> Result<Vec<u8>, Error> {
        let (salt, nonce) = (random::<SALT_LEN>()?, random::<NONCE_LEN>()?);
        let mut sealed = Zeroizing::new(text.to_vec());
        let key = self.record_key(&*salt)?;
        key.seal_in_place_append_tag(
            Nonce::assume_unique_for_key(*nonce),
            Aad::from(self.bound(place)),
            &mut *sealed,
        )
        .map_err(|_| Error::Encryption("the text is too long to be sealed".to_owned()))?;
        Ok([[VERSION].as_slice(), &self.id, &*salt, &*nonce, &sealed].concat())
    }

    pub(crate) fn open(&self, place: Place<'_>, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, Error> {
        let parts = Parts::of(sealed)?;
        if parts.id != self.id {
            return Err(Error::Encryption(format!("it was sealed under another key, {}…", hex(&parts.id))));
        }
        let key = self.record_key(parts.salt)?;
        let mut text = Zeroizing::new(parts.text.to_vec());
        let nonce = Nonce::assume_unique_for_key(parts.nonce);
        let length = key.open_in_place(nonce, Aad::from(self.bound(place)), &mut text);
        let length = length.map_err(|_| damaged())?.len();
        text.truncate(length);
        Ok(text)
    }

    fn record_key(&self, salt: &[u8]) -> Result<LessSafeKey, Error> {
        let mut hasher = blake3::Hasher::new_derive_key(RECORD_CONTEXT);
        hasher.update(&*self.key).update(salt);
        let key = Zeroizing::new(*hasher.finalize().as_bytes());
        let key = UnboundKey::new(&AES_256_GCM, &*key).map_err(|_| damaged())?;
        Ok(LessSafeKey::new(key))
    }

    /// What the tag vouches for beside the text; lengths keep the parts apart.
    fn bound(&self, place: Place<'_>) -> Vec<u8> {
        let mut bound = vec![VERSION];
        bound.extend_from_slice(&self.id);
        for part in [place.table.as_bytes(), place.row.as_bytes(), place.column.as_bytes()] {
            bound.extend_from_slice(&(part.len() as u64).to_le_bytes());
            bound.extend_from_slice(part);
        }
        bound
    }
}

impl Parts<'_> {
    pub(crate) fn of(sealed: &[u8]) -> Result<Parts<'_>, Error> {
        let taken = || {
            let (version, rest) = sealed.split_first()?;
            let (id, rest) = rest.split_first_chunk()?;
            let (salt, rest) = rest.split_at_checked(SALT_LEN)?;
            let (nonce, text) = rest.split_first_chunk()?;
            Some((*version, Parts { id: *id, salt, nonce: *nonce, text }))
        };
        match taken() {
            Some((VERSION, parts)) => Ok(parts),
            Some((version, _)) => {
                Err(Error::Encryption(format!("it was sealed by a newer tollgate (form {version}); upgrade")))
            }
            None => Err(damaged()),
        }
    }
}

/// The first bytes of what BLAKE3 makes of it.
pub(crate) fn id_of(context: &str, of: &[u8]) -> [u8; ID_LEN] {
    let mut id = [0; ID_LEN];
    for (slot, byte) in id.iter_mut().zip(blake3::derive_key(context, of)) {
        *slot = byte;
    }
    id
}

pub(crate) fn damaged() -> Error {
    Error::Encryption("what is sealed is damaged, or stands where it was not sealed for".to_owned())
}

pub(crate) fn hex(id: &[u8]) -> String {
    id.iter().take(4).map(|byte| format!("{byte:02x}")).collect()
}

fn random<const N: usize>() -> Result<Zeroizing<[u8; N]>, Error> {
    let mut bytes = Zeroizing::new([0; N]);
    getrandom::fill(&mut *bytes).map_err(|error| Error::Encryption(format!("no random bytes: {error}")))?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROW: Uuid = Uuid::from_u128(7);

    fn place() -> Place<'static> {
        Place { table: "objects", row: ROW, column: "body" }
    }

    #[test]
    fn what_is_sealed_opens_only_where_it_stands() {
        let key = SealingKey::random().unwrap();
        let sealed = key.seal(place(), b"sk-secret").unwrap();
        assert_eq!(key.open(place(), &sealed).unwrap().as_slice(), b"sk-secret");
        let elsewhere = [
            Place { table: "object", ..place() },
            Place { row: Uuid::from_u128(8), ..place() },
            Place { column: "bodys", ..place() },
            Place { table: "objectsb", column: "ody", ..place() },
        ];
        for other in elsewhere {
            assert!(key.open(other, &sealed).is_err());
        }
        for at in 0..sealed.len() {
            let mut bent = sealed.clone();
            bent[at] ^= 1;
            assert!(key.open(place(), &bent).is_err(), "byte {at}");
            assert!(key.open(place(), &sealed[..at]).is_err(), "cut at {at}");
        }
        assert!(SealingKey::random().unwrap().open(place(), &sealed).is_err());
        assert_ne!(key.seal(place(), b"sk-secret").unwrap(), sealed, "neither salt nor nonce comes twice");
    }
}

//! Passwords: the slow hash under which they are stored.

use argon2::{Algorithm, Argon2, Block, Params, Version};
use policy::Secret;
use zeroize::Zeroizing;

use crate::{
    Error, KeyHasher,
    hash::{new_key, random_bytes},
};

/// What a guess costs: 19 MiB of memory, two passes, one lane
/// (<https://cheatsheetseries.owasp.org/cheatsheets/Password_Storage_Cheat_Sheet.html#argon2id>).
const COST: Cost = Cost { memory_kib: 19_456, passes: 2, lanes: 1 };
const HASH_LEN: usize = 32;
/// The characters of a password that is made up: 120 bits.
const NEW_CHARS: usize = 20;

/// A password as it is stored: Argon2id (RFC 9106) over its keyed hash, so that a stolen database alone tells nobody whether a
/// guess is right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PasswordHash {
    pub(crate) salt: [u8; 32],
    pub(crate) hash: [u8; HASH_LEN],
    pub(crate) cost: Cost,
}

/// What a hash costs to make.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Cost {
    pub(crate) memory_kib: u32,
    pub(crate) passes: u32,
    pub(crate) lanes: u32,
}

/// One that nobody can guess.
pub fn new_password() -> Result<Secret, Error> {
    let random = new_key("")?;
    Ok(Secret::new(random.expose().chars().take(NEW_CHARS).collect::<String>()))
}

impl PasswordHash {
    /// It takes a while and memory: keep it off threads that run tasks.
    pub fn new(hasher: &KeyHasher, password: &Secret) -> Result<PasswordHash, Error> {
        let salt = random_bytes()?;
        Ok(PasswordHash { hash: COST.hash(hasher, password, &salt)?, salt, cost: COST })
    }

    /// One that no password fits, and that costs as much to find that out.
    pub fn of_nobody() -> PasswordHash {
        PasswordHash { salt: [0; 32], hash: [0; HASH_LEN], cost: COST }
    }

    /// Whether this is the password. As slow as making one.
    pub fn fits(&self, hasher: &KeyHasher, password: &Secret) -> Result<bool, Error> {
        let hash = self.cost.hash(hasher, password, &self.salt)?;
        // Compared by what nobody can predict of them, so that the time it takes says nothing.
        let blinded = |bytes: &[u8; HASH_LEN]| blake3::keyed_hash(&self.salt, bytes);
        Ok(self.hash != [0; HASH_LEN] && blinded(&hash) == blinded(&self.hash))
    }

    /// Whether it costs what passwords cost now.
    pub fn is_current(&self) -> bool {
        self.cost == COST
    }
}

impl Cost {
    fn hash(self, hasher: &KeyHasher, password: &Secret, salt: &[u8; 32]) -> Result<[u8; HASH_LEN], Error> {
        let failed = |error: argon2::Error| Error::Database(format!("a password's hash: {error}"));
        let params = Params::new(self.memory_kib, self.passes, self.lanes, Some(HASH_LEN)).map_err(failed)?;
        let keyed = Zeroizing::new(hasher.hash(&format!("password:{}", password.expose())));
        let mut hash = [0; HASH_LEN];
        let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
        let mut memory = vec![Block::default(); argon2.params().block_count()];
        argon2.hash_password_into_with_memory(&*keyed, salt, &mut hash, &mut memory).map_err(failed)?;
        Ok(hash)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_fit_their_own_hash_in_their_own_installation() {
        let (here, there) = (KeyHasher::new([1; 32]), KeyHasher::new([2; 32]));
        let password = Secret::new("correct horse battery");
        let hash = PasswordHash::new(&here, &password).unwrap();
        assert!(hash.is_current());
        assert!(hash.fits(&here, &password).unwrap());
        assert!(!hash.fits(&there, &password).unwrap());
        assert!(!hash.fits(&here, &Secret::new("correct horse batterz")).unwrap());
        assert_ne!(hash, PasswordHash::new(&here, &password).unwrap(), "each has a salt of its own");
        assert!(!PasswordHash::of_nobody().fits(&here, &password).unwrap());
        let cheap = Cost { memory_kib: 8, passes: 1, lanes: 1 };
        let old = PasswordHash {
            hash: cheap.hash(&here, &password, &[7; 32]).unwrap(),
            salt: [7; 32],
            cost: cheap,
        };
        assert!(old.fits(&here, &password).unwrap() && !old.is_current());
    }
}

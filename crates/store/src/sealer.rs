//! What wraps data keys: keys of the configuration, or keys that their keepers never give out.
//!
//! A written key wraps in the form of records. What a keeper wrapped has a form of its own: a version, the id of the keeper's
//! key, and what the keeper answered. A data key that a keeper unwrapped stays in memory, so that nothing waits for a keeper
//! but the first look at it.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use policy::{
    key_keeper,
    snapshot::{Encryption, EncryptionKey},
};
use uuid::Uuid;
use zeroize::Zeroizing;

use crate::{
    Error,
    seal::{ID_LEN, Parts, Place, SealingKey, damaged, hex, id_of},
};

/// The form of what a keeper wrapped: version, id of its key, its answer.
const KEPT_VERSION: u8 = 2;
/// Outside the database.
const KEY_COLUMN: &str = "key";
const TEXT_COLUMN: &str = "text";
const KEEPER_CONTEXT: &str = "tollgate: the id of a key that is kept elsewhere";

/// Keeps a key and wraps with it; asking it waits.
pub trait KeyKeeper: Send + Sync {
    /// Wraps a data key. What it is bound to must be shown again to unwrap it.
    fn wrap(&self, key: &[u8], bound: &str) -> Result<Vec<u8>, String>;

    fn unwrap(&self, wrapped: &[u8], bound: &str) -> Result<Zeroizing<Vec<u8>>, String>;
}

/// The configuration's keys, which wrap data keys.
pub struct Sealer {
    current: Wrapper,
    /// They open and do not wrap.
    previous: Vec<Wrapper>,
    /// What keepers unwrapped, by the data key's row.
    opened: Mutex<HashMap<Uuid, SealingKey>>,
    /// The data key of what is sealed outside the database, with its row and what it was wrapped to.
    apart: Mutex<Option<(Uuid, SealingKey, Vec<u8>)>>,
}

enum Wrapper {
    Written(SealingKey),
    Kept { id: [u8; ID_LEN], name: String, keeper: Box<dyn KeyKeeper> },
}

impl Sealer {
    /// `keeper` makes what asks a keeper.
    pub fn new(
        settings: &Encryption,
        keeper: impl Fn(&key_keeper::KeyKeeper) -> Box<dyn KeyKeeper>,
    ) -> Result<Sealer, Error> {
        let wrapper = |key: &EncryptionKey| {
            Ok(match key {
                EncryptionKey::Written(secret) => Wrapper::Written(SealingKey::written(secret)?),
                EncryptionKey::Kept(kept) => {
                    let name = kept.name();
                    Wrapper::Kept { id: id_of(KEEPER_CONTEXT, name.as_bytes()), name, keeper: keeper(kept) }
                }
            })
        };
        Ok(Sealer {
            current: wrapper(&settings.key)?,
            previous: settings.previous.iter().map(wrapper).collect::<Result<_, Error>>()?,
            opened: Mutex::default(),
            apart: Mutex::default(),
        })
    }

    /// Seals what stands outside the database, under this name: the data key's row, the length of the wrapped data key, the
    /// wrapped data key, the record.
    pub fn seal_apart(&self, name: &str, text: &[u8]) -> Result<Vec<u8>, Error> {
        let mut apart = self.apart.lock().unwrap_or_else(PoisonError::into_inner);
        let (row, key, wrapped) = match &*apart {
            Some(known) => known.clone(),
            None => {
                let (row, key) = (Uuid::now_v7(), SealingKey::random()?);
                let wrapped = self.wrap(Place { table: name, row, column: KEY_COLUMN }, &key)?;
                apart.insert((row, key, wrapped)).clone()
            }
        };
        let length = u32::try_from(wrapped.len()).map_err(|_| damaged())?.to_le_bytes();
        let sealed = key.seal(Place { table: name, row, column: TEXT_COLUMN }, text)?;
        Ok([row.as_bytes().as_slice(), &length, &wrapped, &sealed].concat())
    }

    pub fn open_apart(&self, name: &str, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, Error> {
        let taken = || {
            let (row, rest) = sealed.split_first_chunk()?;
            let (length, rest) = rest.split_first_chunk()?;
            let length = usize::try_from(u32::from_le_bytes(*length)).ok()?;
            let (wrapped, sealed) = rest.split_at_checked(length)?;
            Some((Uuid::from_bytes(*row), wrapped, sealed))
        };
        let (row, wrapped, sealed) = taken().ok_or_else(damaged)?;
        let key = self.unwrap(Place { table: name, row, column: KEY_COLUMN }, wrapped)?;
        key.open(Place { table: name, row, column: TEXT_COLUMN }, sealed)
    }

    pub(crate) fn wrap(&self, place: Place<'_>, key: &SealingKey) -> Result<Vec<u8>, Error> {
        match &self.current {
            Wrapper::Written(written) => written.seal(place, key.bytes()),
            Wrapper::Kept { id, name, keeper } => {
                let failed = |error| Error::Encryption(format!("{name}: {error}"));
                let bound = bound(place);
                let wrapped = keeper.wrap(key.bytes(), &bound).map_err(failed)?;
                // Nothing may rest on what cannot be opened again: a role may be let wrap and not unwrap.
                let again = keeper.unwrap(&wrapped, &bound).map_err(failed)?;
                if again.as_slice() != key.bytes() {
                    return Err(failed("it unwraps to something else than it wrapped".to_owned()));
                }
                self.opened().insert(place.row, key.clone());
                Ok([[KEPT_VERSION].as_slice(), id, &wrapped].concat())
            }
        }
    }

    pub(crate) fn unwrap(&self, place: Place<'_>, wrapped: &[u8]) -> Result<SealingKey, Error> {
        if let Some(known) = self.opened().get(&place.row) {
            return Ok(known.clone());
        }
        match wrapped.split_first() {
            Some((&KEPT_VERSION, rest)) => self.unwrap_kept(place, rest),
            Some(_) | None => self.unwrap_written(place, wrapped),
        }
    }

    fn unwrap_written(&self, place: Place<'_>, wrapped: &[u8]) -> Result<SealingKey, Error> {
        let id = Parts::of(wrapped)?.id;
        let known = self.wrappers().find_map(|wrapper| match wrapper {
            Wrapper::Written(key) => (key.id() == id).then_some(key),
            Wrapper::Kept { .. } => None,
        });
        let known = known.ok_or_else(|| missing(&id))?;
        SealingKey::of(&known.open(place, wrapped)?)
    }

    /// Two keepers may have keys of the same name: the first that opens it is right.
    fn unwrap_kept(&self, place: Place<'_>, rest: &[u8]) -> Result<SealingKey, Error> {
        let (wanted, wrapped) = rest.split_first_chunk::<ID_LEN>().ok_or_else(damaged)?;
        let mut failure = missing(wanted);
        for wrapper in self.wrappers() {
            let (name, keeper) = match wrapper {
                Wrapper::Kept { id, name, keeper } if id == wanted => (name, keeper),
                Wrapper::Kept { .. } | Wrapper::Written(_) => continue,
            };
            match keeper.unwrap(wrapped, &bound(place)) {
                Ok(key) => {
                    let key = SealingKey::of(&key)?;
                    self.opened().insert(place.row, key.clone());
                    return Ok(key);
                }
                Err(error) => failure = Error::Encryption(format!("{name}: {error}")),
            }
        }
        Err(failure)
    }

    /// Whether it is wrapped under the current key already. Of a keeper's keys only the keeper knows the versions.
    pub(crate) fn is_current(&self, wrapped: &[u8]) -> bool {
        match &self.current {
            Wrapper::Written(key) => Parts::of(wrapped).is_ok_and(|parts| parts.id == key.id()),
            Wrapper::Kept { .. } => false,
        }
    }

    fn wrappers(&self) -> impl Iterator<Item = &Wrapper> {
        std::iter::once(&self.current).chain(&self.previous)
    }

    fn opened(&self) -> MutexGuard<'_, HashMap<Uuid, SealingKey>> {
        self.opened.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn missing(id: &[u8; ID_LEN]) -> Error {
    Error::Encryption(format!(
        "the database has something under the key {}…, which is not here; add it to previous",
        hex(id)
    ))
}

/// What keepers bind to, which stands in their logs.
fn bound(place: Place<'_>) -> String {
    format!("{}/{}/{}", place.table, place.row, place.column)
}

#[cfg(test)]
mod tests {
    use std::sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed},
    };

    use policy::{Secret, identity::GoogleIdentity};

    use super::*;
    use crate::new_encryption_key;

    /// Hands back what it was given, with what it was bound to in front.
    #[derive(Clone, Default)]
    struct Memory(Arc<State>);

    #[derive(Default)]
    struct State {
        asked: AtomicUsize,
        away: AtomicBool,
        refuses: AtomicBool,
    }

    impl KeyKeeper for Memory {
        fn wrap(&self, key: &[u8], bound: &str) -> Result<Vec<u8>, String> {
            Ok([bound.as_bytes(), key].concat())
        }

        fn unwrap(&self, wrapped: &[u8], bound: &str) -> Result<Zeroizing<Vec<u8>>, String> {
            self.0.asked.fetch_add(1, Relaxed);
            if self.0.away.load(Relaxed) {
                return Err("it is away".to_owned());
            }
            if self.0.refuses.load(Relaxed) {
                return Err("access is refused".to_owned());
            }
            let key = wrapped.strip_prefix(bound.as_bytes()).ok_or("it was bound to something else")?;
            Ok(Zeroizing::new(key.to_vec()))
        }
    }

    fn place(row: u128) -> Place<'static> {
        Place { table: "settings", row: Uuid::from_u128(row), column: "value" }
    }

    fn written(key: &Secret) -> EncryptionKey {
        EncryptionKey::Written(key.clone())
    }

    fn kept(name: &str) -> EncryptionKey {
        let identity = GoogleIdentity { credentials: None, scope: String::new() };
        EncryptionKey::Kept(Box::new(key_keeper::KeyKeeper::GoogleKms {
            identity,
            key: name.to_owned(),
            address: None,
        }))
    }

    fn sealer(key: &EncryptionKey, previous: &[EncryptionKey], keeper: &Memory) -> Sealer {
        let settings = Encryption { key: key.clone(), previous: previous.to_vec() };
        Sealer::new(&settings, |_| Box::new(keeper.clone())).unwrap()
    }

    fn error(found: Result<SealingKey, Error>) -> String {
        found.err().unwrap().to_string()
    }

    #[test]
    fn data_keys_are_wrapped_anew_under_another_key() {
        let keeper = Memory::default();
        let keys = [new_encryption_key(), new_encryption_key()].map(|key| written(&key.unwrap()));
        let data = SealingKey::random().unwrap();
        for (old, new) in [(&keys[0], &keys[1]), (&keys[0], &kept("a")), (&kept("a"), &kept("b"))] {
            let wrapped = sealer(old, &[], &keeper).wrap(place(7), &data).unwrap();
            let after = sealer(new, std::slice::from_ref(old), &keeper);
            assert!(!after.is_current(&wrapped));
            let again = after.unwrap(place(7), &wrapped).unwrap();
            assert_eq!((again.id(), again.bytes()), (data.id(), data.bytes()));
            let rewrapped = after.wrap(place(7), &data).unwrap();
            assert!(sealer(new, &[], &keeper).unwrap(place(7), &rewrapped).is_ok());
            let told = error(sealer(new, &[], &keeper).unwrap(place(7), &wrapped));
            assert!(told.contains("add it to previous"), "{told}");
        }
        let short = Encryption { key: written(&Secret::new("c2hvcnQ=")), previous: Vec::new() };
        assert!(Sealer::new(&short, |_| Box::new(Memory::default())).is_err());
    }

    #[test]
    fn a_keeper_is_asked_once_and_is_told_the_place() {
        let (keeper, data) = (Memory::default(), SealingKey::random().unwrap());
        let wrapped = sealer(&kept("a"), &[], &keeper).wrap(place(7), &data).unwrap();
        let fresh = sealer(&kept("a"), &[], &keeper);
        let told = error(fresh.unwrap(place(8), &wrapped));
        assert!(told.contains("google_kms:a: it was bound to something else"), "{told}");
        keeper.0.asked.store(0, Relaxed);
        fresh.unwrap(place(7), &wrapped).unwrap();
        keeper.0.away.store(true, Relaxed);
        assert!(fresh.unwrap(place(7), &wrapped).is_ok(), "it stays in memory");
        assert_eq!(keeper.0.asked.load(Relaxed), 1);
        let told = error(sealer(&kept("a"), &[], &keeper).unwrap(place(7), &wrapped));
        assert!(told.contains("google_kms:a: it is away"), "{told}");
    }

    #[test]
    fn what_is_sealed_apart_opens_under_its_name_and_undamaged() {
        let keeper = Memory::default();
        for key in [written(&new_encryption_key().unwrap()), kept("a")] {
            let before = sealer(&key, &[], &keeper);
            let sealed = before.seal_apart("file", b"sk-secret").unwrap();
            let next = before.seal_apart("file", b"sk-other").unwrap();
            // One that has opened nothing before.
            let open = |name: &str, sealed: &[u8]| {
                sealer(&kept("b"), std::slice::from_ref(&key), &keeper).open_apart(name, sealed)
            };
            assert_eq!(open("file", &sealed).unwrap().as_slice(), b"sk-secret");
            assert_eq!(open("file", &next).unwrap().as_slice(), b"sk-other");
            assert!(open("elif", &sealed).is_err());
            for at in 0..sealed.len() {
                let mut bent = sealed.clone();
                bent[at] ^= 1;
                assert!(open("file", &bent).is_err(), "byte {at}");
                assert!(open("file", &sealed[..at]).is_err(), "cut at {at}");
            }
        }
    }

    #[test]
    fn what_could_not_be_opened_again_is_not_kept() {
        let (keeper, data) = (Memory::default(), SealingKey::random().unwrap());
        keeper.0.refuses.store(true, Relaxed);
        let wrapped = sealer(&kept("a"), &[], &keeper).wrap(place(7), &data);
        assert!(wrapped.err().unwrap().to_string().contains("access is refused"));
    }
}

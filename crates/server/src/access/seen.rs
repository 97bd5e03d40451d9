//! What a core has found of tokens, by their hash: a token that comes again costs one.

use std::{
    cell::{Cell, RefCell},
    collections::HashMap,
    rc::Rc,
    sync::Arc,
};

use hashlink::LruCache;
use policy::{
    authentication::{Identified, Refusal},
    principal::{Principal, Proof},
};
use tokio::sync::watch;

use super::key_set::KeySet;
use crate::{callers::Callers, core::Held};

/// The most tokens that a core remembers.
const GOOD_MAX: usize = 8_192;
/// The same for those that are not good, which anybody can make up.
const BAD_MAX: usize = 1_024;

/// A token's keyed hash.
pub(super) type Hash = [u8; 32];
/// What comes of asking about a token.
pub(super) type Answer = Result<Rc<Found>, Refusal>;

/// What was found of a token that is good.
pub(super) struct Found {
    pub(super) whom: Whom,
    /// Microseconds since 1970.
    pub(super) until_us: i64,
    /// The hash of the certificate that its owner must show.
    pub(super) bound: Option<String>,
    /// The number of its issuer, and the keys that it was checked with.
    pub(super) keys: Option<(usize, Arc<KeySet>)>,
}

/// Whom a good credential stands for.
pub(super) struct Whom {
    identified: Identified,
    proof: Proof,
    /// The caller that was made of it, and whose organizations it was made with.
    made: RefCell<Option<(Held<Callers>, Arc<Principal>)>>,
}

/// One core's memory. It holds for one configuration at a time.
pub(crate) struct Seen {
    access: Cell<u64>,
    good: RefCell<LruCache<Hash, Rc<Found>>>,
    bad: RefCell<LruCache<Hash, (Refusal, i64)>>,
    /// Tokens that are being asked about.
    pub(super) asked: RefCell<HashMap<Hash, watch::Receiver<Option<Answer>>>>,
    /// Until when nobody is asked, since there was no answer.
    pub(super) quiet_until_us: Cell<i64>,
}

impl Whom {
    pub(super) fn new(identified: Identified, proof: Proof) -> Whom {
        Whom { identified, proof, made: RefCell::new(None) }
    }

    /// The caller that it is among those there are.
    pub(super) fn principal(&self, callers: &Held<Callers>) -> Result<Arc<Principal>, Refusal> {
        let mut made = self.made.borrow_mut();
        if let Some((known, principal)) = &*made
            && Rc::ptr_eq(known, callers)
        {
            return Ok(Arc::clone(principal));
        }
        let principal = Arc::new(callers.directory.identified(&self.identified, self.proof)?);
        *made = Some((Rc::clone(callers), Arc::clone(&principal)));
        Ok(principal)
    }
}

impl Default for Seen {
    fn default() -> Seen {
        Seen {
            access: Cell::new(0),
            good: RefCell::new(LruCache::new(GOOD_MAX)),
            bad: RefCell::new(LruCache::new(BAD_MAX)),
            asked: RefCell::default(),
            quiet_until_us: Cell::new(0),
        }
    }
}

impl Seen {
    /// Forgets everything that was found under another configuration.
    pub(super) fn under(&self, access: u64) {
        if self.access.replace(access) != access {
            self.good.borrow_mut().clear();
            self.bad.borrow_mut().clear();
            self.asked.borrow_mut().clear();
            self.quiet_until_us.set(0);
        }
    }

    /// What was found of a token. `holds` says whether the keys that it was checked with are good still.
    pub(super) fn find(
        &self,
        hash: &Hash,
        now_us: i64,
        holds: impl Fn(usize, &Arc<KeySet>) -> bool,
    ) -> Option<Answer> {
        let mut good = self.good.borrow_mut();
        if let Some(found) = good.get(hash) {
            let checked = found.keys.as_ref().is_none_or(|(issuer, keys)| holds(*issuer, keys));
            if found.until_us > now_us && checked {
                return Some(Ok(Rc::clone(found)));
            }
            good.remove(hash);
            return None;
        }
        let mut bad = self.bad.borrow_mut();
        let (refusal, until_us) = bad.get(hash)?;
        (*until_us > now_us).then(|| Err(refusal.clone()))
    }

    /// Remembers what was found, unless the configuration is another one by now.
    pub(super) fn keep(&self, access: u64, hash: Hash, found: &Rc<Found>) {
        if self.access.get() == access {
            self.good.borrow_mut().insert(hash, Rc::clone(found));
        }
    }

    pub(super) fn keep_bad(&self, access: u64, hash: Hash, refusal: &Refusal, until_us: i64) {
        if self.access.get() == access {
            self.bad.borrow_mut().insert(hash, (refusal.clone(), until_us));
        }
    }
}

#[cfg(test)]
mod tests {
    use policy::authentication::{Claims, Mapping};

    use super::*;

    fn found(until_us: i64, keys: Option<(usize, Arc<KeySet>)>) -> Rc<Found> {
        let claims = Claims::parse(br#"{"sub":"a"}"#).unwrap_or_else(|refusal| panic!("{refusal:?}"));
        let identified = Mapping::default().identify("x", &claims);
        let identified = identified.unwrap_or_else(|refusal| panic!("{refusal:?}"));
        Rc::new(Found { whom: Whom::new(identified, Proof::Token), until_us, bound: None, keys })
    }

    #[test]
    fn what_was_found_holds_until_its_end_and_under_its_configuration() {
        let seen = Seen::default();
        let good = |hash: u8, now_us: i64| {
            seen.find(&[hash; 32], now_us, |_, _| true).is_some_and(|answer| answer.is_ok())
        };
        seen.under(1);
        seen.keep(1, [1; 32], &found(100, None));
        seen.keep(2, [2; 32], &found(100, None));
        seen.keep_bad(1, [3; 32], &Refusal::Inactive, 100);
        assert!(good(1, 99) && !good(2, 99) && !good(3, 99));
        assert!(seen.find(&[3; 32], 99, |_, _| true).is_some());
        assert!(seen.find(&[3; 32], 100, |_, _| true).is_none());
        seen.under(1);
        assert!(good(1, 99));
        assert!(!good(1, 100) && !good(1, 99), "what has ended is gone");
        seen.keep(1, [1; 32], &found(100, None));
        seen.under(2);
        assert!(!good(1, 99));
    }

    #[test]
    fn what_was_checked_with_keys_that_are_gone_is_checked_again() {
        let seen = Seen::default();
        seen.under(1);
        let keys = Arc::new(KeySet::shared(&policy::Secret::new("s")));
        seen.keep(1, [1; 32], &found(100, Some((7, Arc::clone(&keys)))));
        let holds = |issuer: usize, kept: &Arc<KeySet>| issuer == 7 && Arc::ptr_eq(kept, &keys);
        assert!(seen.find(&[1; 32], 0, holds).is_some());
        assert!(seen.find(&[1; 32], 0, |_, _| false).is_none());
        assert!(seen.find(&[1; 32], 0, holds).is_none());
    }
}

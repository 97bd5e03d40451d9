//! Which passwords are taken, and how many are hashed at a time.

use std::{sync::Arc, time::Duration};

use policy::Secret;
use store::{KeyHasher, PasswordHash};
use tokio::{sync::Semaphore, time::timeout};
use wire::{Fault, Kind, Origin, Retry};

use crate::{admin::refusal::Wrong, tasks};

/// As NIST and OWASP ask for, or more (<https://pages.nist.gov/800-63-4/sp800-63b.html#passwordver>).
const CHARS_MIN: usize = 12;
const CHARS_MAX: usize = 128;
/// The fewest characters that differ.
const DIFFERENT_MIN: usize = 5;
/// A name that is shorter may stand in a password.
const NAME_CHARS_MIN: usize = 4;
/// How many passwords are hashed at a time, each in 19 MiB, and how many wait for that.
const AT_A_TIME_MAX: usize = 4;
const WAITING_MAX: usize = 16;
const WAIT_MAX: Duration = Duration::from_secs(10);

/// What is tried first, of those that are long enough; letters in lower case.
const COMMON: [&str; 24] = [
    "123456789012",
    "1234567890123",
    "12345678901234",
    "123456789123",
    "1q2w3e4r5t6y",
    "1qaz2wsx3edc",
    "abcdefghijkl",
    "administrator",
    "adminpassword",
    "changemenow1",
    "changeme1234",
    "correcthorsebatterystaple",
    "iloveyou1234",
    "letmein12345",
    "passw0rd1234",
    "password1234",
    "password12345",
    "passwordpassword",
    "qwertyuiop12",
    "qwertyuiop123",
    "qwertyuiopasdf",
    "tollgate1234",
    "welcome12345",
    "zaq12wsxcde3",
];

/// Hashes passwords, a few at a time.
pub(super) struct Passwords {
    room: Arc<Semaphore>,
    waiting: Semaphore,
}

impl Default for Passwords {
    fn default() -> Passwords {
        Passwords {
            room: Arc::new(Semaphore::new(AT_A_TIME_MAX)),
            waiting: Semaphore::new(AT_A_TIME_MAX + WAITING_MAX),
        }
    }
}

impl Passwords {
    pub(super) async fn hash(&self, hasher: KeyHasher, password: Secret) -> Result<PasswordHash, Fault> {
        self.aside(move || PasswordHash::new(&hasher, &password)).await
    }

    pub(super) async fn fits(
        &self,
        hasher: KeyHasher,
        hash: PasswordHash,
        password: Secret,
    ) -> Result<bool, Fault> {
        self.aside(move || hash.fits(&hasher, &password)).await
    }

    /// Work that takes a core and memory for a while.
    async fn aside<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, store::Error> + Send + 'static,
    ) -> Result<T, Fault> {
        let _waiting = self.waiting.try_acquire().map_err(|_| busy())?;
        let place = timeout(WAIT_MAX, Arc::clone(&self.room).acquire_owned()).await;
        let place = place.ok().and_then(Result::ok).ok_or_else(busy)?;
        // The place is given back when the work is done, also where nobody waits for it any more.
        let done = tasks::aside(move || {
            let done = work();
            drop(place);
            done
        });
        let broken = |message: String| {
            Fault::new(Origin::Gateway, Kind::Internal, message).code("password_not_hashed")
        };
        let done = done.await.ok_or_else(|| broken("the password could not be hashed".to_owned()))?;
        done.map_err(|error| broken(error.to_string()))
    }
}

fn busy() -> Fault {
    let message = "too many people are signing in; try again";
    let fault = Fault::new(Origin::Gateway, Kind::Overloaded, message).code("sign_in_busy");
    fault.retry(Retry::After(Duration::from_secs(1)))
}

/// What is wrong with a password that somebody chose.
pub(super) fn check(password: &str, name: &str, path: &str) -> Result<(), Wrong> {
    let wrong = |message: String| Err(Wrong::new(path, message));
    let count = password.chars().count();
    if !(CHARS_MIN..=CHARS_MAX).contains(&count) {
        return wrong(format!("must have from {CHARS_MIN} to {CHARS_MAX} characters"));
    }
    let lower = password.to_lowercase();
    let name = name.to_lowercase();
    let person = name.split_once('@').map_or(name.as_str(), |(person, _)| person);
    if person.chars().count() >= NAME_CHARS_MIN && lower.contains(person) {
        return wrong("has the account's name in it; choose another".to_owned());
    }
    let mut letters: Vec<char> = lower.chars().collect();
    letters.sort_unstable();
    letters.dedup();
    if letters.len() < DIFFERENT_MIN || COMMON.contains(&lower.as_str()) {
        return wrong("is one of those that are tried first; choose another".to_owned());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_that_are_easily_guessed_are_not_taken() {
        let taken = |password: &str| check(password, "Kimberly@example.com", "new").is_ok();
        assert!(taken("seven green bottles"));
        assert!(taken(&"äöüßé ñçåø".repeat(2)), "characters count, not bytes");
        for password in
            ["eleven char", &"abcde ".repeat(22), "PassWord1234", "my kimberly 1999", "ababababababab", ""]
        {
            assert!(!taken(password), "{password}");
        }
        assert!(COMMON.iter().all(|common| common.len() >= CHARS_MIN && *common == common.to_lowercase()));
    }
}

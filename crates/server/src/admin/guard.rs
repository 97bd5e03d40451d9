//! How often the admin API may be asked, and how often somebody may fail to get in.

use std::{
    collections::HashMap,
    hash::Hash,
    net::{IpAddr, Ipv6Addr},
    sync::{Mutex, PoisonError},
    time::Duration,
};

use uuid::Uuid;
use wire::{Fault, Kind, Origin, Retry};

/// How long is counted together, in microseconds.
const WINDOW_US: i64 = 60_000_000;
/// The most requests of one key in a window.
const REQUESTS_MAX: u32 = 6_000;
/// The most failures from one address in a window that are told why.
const FAILURES_MAX: u32 = 10;
/// The most failures from everywhere in a window that the audit takes in.
const AUDITED_MAX: u32 = 100;
/// The most keys or addresses that are counted.
const COUNTED_MAX: usize = 10_000;

/// Counts in memory: each replica has its own.
#[derive(Default)]
pub(super) struct Guard(Mutex<Counts>);

#[derive(Default)]
struct Counts {
    by_key: Windows<Uuid>,
    failures: Windows<IpAddr>,
    audited: Windows<()>,
}

/// What is to be done about a failure.
pub(super) struct Failure {
    /// What to answer in place of why it failed.
    pub(super) instead: Option<Fault>,
    /// Whether the audit takes it in: the first of a window, and the one that was too much.
    pub(super) is_audited: bool,
}

struct Windows<K>(HashMap<K, (i64, u32)>);

impl<K> Default for Windows<K> {
    fn default() -> Windows<K> {
        Windows(HashMap::new())
    }
}

impl<K: Eq + Hash + Copy> Windows<K> {
    /// One more; returns how many there are now, and when they are forgotten.
    fn count(&mut self, key: K, now_us: i64) -> (u32, i64) {
        if self.0.len() >= COUNTED_MAX && !self.0.contains_key(&key) {
            self.0.retain(|_, (began_us, _)| now_us.saturating_sub(*began_us) < WINDOW_US);
            // Whoever comes from so many addresses is not counted by them.
            if self.0.len() >= COUNTED_MAX {
                self.0.clear();
            }
        }
        let (began_us, count) = self.0.entry(key).or_insert((now_us, 0));
        if now_us.saturating_sub(*began_us) >= WINDOW_US {
            (*began_us, *count) = (now_us, 0);
        }
        *count = count.saturating_add(1);
        (*count, began_us.saturating_add(WINDOW_US))
    }

    /// How many there are, and when they are forgotten.
    fn seen(&self, key: &K, now_us: i64) -> (u32, i64) {
        let kept = self.0.get(key).filter(|(began_us, _)| now_us.saturating_sub(*began_us) < WINDOW_US);
        kept.map_or((0, now_us), |(began_us, count)| (*count, began_us.saturating_add(WINDOW_US)))
    }
}

impl Guard {
    /// Counts a request of a key that is good.
    pub(super) fn asked(&self, key_id: Uuid, now_us: i64) -> Result<(), Fault> {
        let (count, end_us) = self.counts().by_key.count(key_id, now_us);
        if count <= REQUESTS_MAX {
            return Ok(());
        }
        let message = format!("this key has asked {REQUESTS_MAX} times in a minute, which is the most");
        Err(refused(message, "admin_rate_limited", end_us.saturating_sub(now_us)))
    }

    /// Counts somebody who did not get in. Good keys go on to work from the same address: others may share it.
    pub(super) fn failed(&self, address: IpAddr, now_us: i64) -> Failure {
        let mut counts = self.counts();
        let (count, end_us) = counts.failures.count(network(address), now_us);
        let is_audited =
            (count == 1 || count == FAILURES_MAX + 1) && counts.audited.count((), now_us).0 <= AUDITED_MAX;
        let instead = (count > FAILURES_MAX).then(|| {
            let message = format!("more than {FAILURES_MAX} requests in a minute showed no good key");
            refused(message, "too_many_failures", end_us.saturating_sub(now_us))
        });
        Failure { instead, is_audited }
    }

    /// The same for somebody who did not sign in: the audit takes all of them in, up to its most.
    pub(super) fn failed_to_sign_in(&self, address: IpAddr, now_us: i64) -> Failure {
        let failure = self.failed(address, now_us);
        let is_audited = failure.is_audited || self.counts().audited.count((), now_us).0 <= AUDITED_MAX;
        Failure { is_audited, ..failure }
    }

    /// Whether somebody from this address may try to sign in: it costs more than to be refused.
    pub(super) fn may_try(&self, address: IpAddr, now_us: i64) -> Result<(), Fault> {
        let (count, end_us) = self.counts().failures.seen(&network(address), now_us);
        if count < FAILURES_MAX {
            return Ok(());
        }
        let message = format!("{FAILURES_MAX} attempts to get in have failed within a minute");
        Err(refused(message, "too_many_failures", end_us.saturating_sub(now_us)))
    }

    fn counts(&self) -> std::sync::MutexGuard<'_, Counts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn refused(message: String, code: &'static str, wait_us: i64) -> Fault {
    let wait = Duration::from_micros(wait_us.max(0).unsigned_abs()).as_secs() + 1;
    let message = format!("{message}; try again in {wait} s");
    let fault = Fault::new(Origin::Client, Kind::RateLimited, message).code(code);
    fault.retry(Retry::After(Duration::from_secs(wait)))
}

/// Whoever has an address of version 6 has the 2^64 around it.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => IpAddr::V4(address),
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_are_told_why_ten_times_a_minute() {
        let guard = Guard::default();
        let (here, there) = ("2001:db8::1".parse().unwrap(), "2001:db8:0:1::1".parse().unwrap());
        let mut audited = 0;
        for turn in 0..20 {
            let failure = guard.failed(here, turn);
            assert_eq!(failure.instead.is_some(), turn >= 10, "{turn}");
            audited += u32::from(failure.is_audited);
        }
        assert_eq!(audited, 2);
        let fault = guard.failed("2001:db8::2".parse().unwrap(), 30_000_000).instead.unwrap();
        assert_eq!(fault.retry, Retry::After(Duration::from_secs(31)));
        assert!(guard.failed(there, 21).instead.is_none(), "another network");
        assert!(guard.failed(here, WINDOW_US).instead.is_none(), "another minute");
    }

    #[test]
    fn keys_are_counted_apart() {
        let guard = Guard::default();
        for _ in 0..REQUESTS_MAX {
            guard.asked(Uuid::nil(), 0).unwrap();
        }
        assert!(guard.asked(Uuid::nil(), 0).is_err());
        assert!(guard.asked(Uuid::max(), 0).is_ok());
        assert!(guard.asked(Uuid::nil(), WINDOW_US).is_ok());
    }
}

//! Counters in this process.

use std::{
    collections::{HashMap, VecDeque},
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
};

use policy::ledger::{
    Bucket, Claim, Counter, Held, Judged, Keeper, Reserved, Rule, Standing, Tenant, conclude,
};

use super::{LedgerError, Raise};

/// Buckets, spread over shards by their names. A step locks the shards that it needs in their order, so that two steps
/// never wait for each other; no lock is held across an await.
pub(super) struct Memory {
    shards: Vec<Mutex<Shard>>,
    buckets: AtomicUsize,
    buckets_max: usize,
    /// Which shard is next where all of them have to make room.
    turn: AtomicUsize,
    /// Reservations that found no room for a bucket.
    overflows: AtomicU64,
}

#[derive(Default)]
struct Shard {
    counters: HashMap<Bucket, Counter>,
    /// All buckets of the shard, in the order in which they are looked at for being idle.
    round: VecDeque<Bucket>,
}

/// The shards of one step.
struct Locked<'m> {
    shards: Vec<(usize, MutexGuard<'m, Shard>)>,
}

impl Memory {
    pub(super) fn new(buckets_max: usize) -> Memory {
        let shards = (0..SHARDS).map(|_| Mutex::default()).collect();
        Memory {
            shards,
            buckets: AtomicUsize::new(0),
            buckets_max,
            turn: AtomicUsize::new(0),
            overflows: AtomicU64::new(0),
        }
    }

    pub(super) fn reserve(
        &self,
        tenant: Tenant,
        now_us: i64,
        hold_until_us: i64,
        claims: &[Claim],
    ) -> Result<Reserved, LedgerError> {
        let mut locked = self.lock(claims.iter().map(|claim| claim.bucket));
        let nothing = Counter::default();
        let mut unseeded = Vec::new();
        let mut judged = Vec::with_capacity(claims.len());
        let mut new = 0;
        for claim in claims {
            let known = locked.counter(claim.bucket);
            new += usize::from(known.is_none());
            let counter = known.unwrap_or(&nothing);
            if claim.durable && !counter.is_seeded() {
                unseeded.push(claim.bucket);
            }
            judged.push(counter.judge(now_us, claim));
        }
        if !unseeded.is_empty() {
            return Ok(Reserved::Unseeded(unseeded));
        }
        let reserved = conclude(tenant, now_us, hold_until_us, claims, &judged);
        if let Reserved::Granted { hold, .. } = &reserved {
            self.make_room(&mut locked, now_us, new)?;
            for held in &hold.held {
                self.entry(&mut locked, held.claim.bucket, |counter| counter.hold(now_us, held));
            }
        }
        self.sweep(&mut locked, now_us, SWEPT);
        Ok(reserved)
    }

    /// Settles the claims that one keeper counted.
    pub(super) fn settle(&self, now_us: i64, held: &[Held], keeper: Keeper, actual: &[i64]) {
        for (at, held) in held.iter().enumerate().filter(|(_, held)| held.keeper == keeper) {
            let mut locked = self.lock([held.claim.bucket].into_iter());
            let actual = actual.get(at).copied().unwrap_or(held.claim.amount);
            self.entry(&mut locked, held.claim.bucket, |counter| counter.settle(now_us, held, actual));
        }
    }

    pub(super) fn raise(&self, now_us: i64, raises: &[Raise]) -> Result<(), LedgerError> {
        for raise in raises {
            self.change(now_us, raise.bucket, |counter| {
                counter.raise(raise.slot_us, raise.amount, raise.ends_us);
            })?;
        }
        Ok(())
    }

    /// What a bucket's window holds is from now on just so much.
    pub(super) fn replace(&self, now_us: i64, raise: &Raise) {
        // Where there is no room, the bucket is not known, and stays so.
        let _ = self.change(now_us, raise.bucket, |counter| {
            counter.replace(raise.slot_us, raise.amount, raise.ends_us);
        });
    }

    pub(super) fn used(&self, now_us: i64, buckets: &[(Bucket, Rule)]) -> Vec<Standing> {
        let nothing = Counter::default();
        let look = |(bucket, rule): &(Bucket, Rule)| {
            let locked = self.lock([*bucket].into_iter());
            let seen = locked.counter(*bucket).unwrap_or(&nothing).seen(now_us, rule);
            Judged { seen, verdict: rule.verdict(now_us, 0, &seen, &[]) }.standing(now_us, rule)
        };
        buckets.iter().map(look).collect()
    }

    pub(super) fn len(&self) -> usize {
        self.buckets.load(Ordering::Relaxed)
    }

    pub(super) fn overflows(&self) -> u64 {
        self.overflows.load(Ordering::Relaxed)
    }

    fn lock(&self, buckets: impl Iterator<Item = Bucket>) -> Locked<'_> {
        let mut wanted: Vec<usize> = buckets.map(shard_of).collect();
        wanted.sort_unstable();
        wanted.dedup();
        let lock = |at: usize| {
            let shard = self.shards.get(at)?;
            Some((at, shard.lock().unwrap_or_else(PoisonError::into_inner)))
        };
        Locked { shards: wanted.into_iter().filter_map(lock).collect() }
    }

    fn change(
        &self,
        now_us: i64,
        bucket: Bucket,
        change: impl FnOnce(&mut Counter),
    ) -> Result<(), LedgerError> {
        let mut locked = self.lock([bucket].into_iter());
        let new = usize::from(locked.counter(bucket).is_none());
        self.make_room(&mut locked, now_us, new)?;
        self.entry(&mut locked, bucket, change);
        Ok(())
    }

    fn make_room(&self, locked: &mut Locked<'_>, now_us: i64, new: usize) -> Result<(), LedgerError> {
        if new == 0 || self.len() + new <= self.buckets_max {
            return Ok(());
        }
        self.sweep(locked, now_us, SWEPT_FOR_ROOM);
        self.sweep_others(now_us);
        if self.len() + new <= self.buckets_max {
            return Ok(());
        }
        self.overflows.fetch_add(1, Ordering::Relaxed);
        Err(LedgerError::Full(self.buckets_max))
    }

    fn entry(&self, locked: &mut Locked<'_>, bucket: Bucket, change: impl FnOnce(&mut Counter)) {
        let Some(shard) = locked.shard(bucket) else { return };
        if !shard.counters.contains_key(&bucket) {
            shard.round.push_back(bucket);
            self.buckets.fetch_add(1, Ordering::Relaxed);
        }
        change(shard.counters.entry(bucket).or_default());
    }

    /// Makes room in some of the shards that nobody is in, other ones each time.
    fn sweep_others(&self, now_us: i64) {
        for _ in 0..SHARDS_FOR_ROOM {
            let at = self.turn.fetch_add(1, Ordering::Relaxed) % SHARDS;
            if let Some(Ok(shard)) = self.shards.get(at).map(Mutex::try_lock) {
                self.sweep(&mut Locked { shards: vec![(at, shard)] }, now_us, SWEPT_FOR_ROOM);
            }
        }
    }

    /// Looks at a few buckets, and removes those that nothing counts in any more.
    fn sweep(&self, locked: &mut Locked<'_>, now_us: i64, most: usize) {
        for (_, shard) in &mut locked.shards {
            for _ in 0..most.min(shard.round.len()) {
                let Some(bucket) = shard.round.pop_front() else { break };
                if shard.counters.get(&bucket).is_some_and(|counter| counter.is_idle(now_us)) {
                    shard.counters.remove(&bucket);
                    self.buckets.fetch_sub(1, Ordering::Relaxed);
                } else {
                    shard.round.push_back(bucket);
                }
            }
        }
    }
}

impl Locked<'_> {
    fn counter(&self, bucket: Bucket) -> Option<&Counter> {
        let at = self.shards.binary_search_by_key(&shard_of(bucket), |(at, _)| *at).ok()?;
        self.shards.get(at)?.1.counters.get(&bucket)
    }

    fn shard(&mut self, bucket: Bucket) -> Option<&mut Shard> {
        let at = self.shards.binary_search_by_key(&shard_of(bucket), |(at, _)| *at).ok()?;
        self.shards.get_mut(at).map(|(_, shard)| &mut **shard)
    }
}

fn shard_of(bucket: Bucket) -> usize {
    (bucket.0 % SHARDS as u128) as usize
}

const SHARDS: usize = 64;
/// Buckets that each reservation looks at for being idle, in each shard that it has locked.
const SWEPT: usize = 2;
const SWEPT_FOR_ROOM: usize = 64;
const SHARDS_FOR_ROOM: usize = 8;

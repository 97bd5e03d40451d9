//! What is asked of a shared store.

use policy::ledger::{Bucket, Claim, Held, Hold, Keeper, Reserved, Rule, Standing, Tenant};
use tokio::sync::oneshot;

use super::Raise;

/// Where an answer goes. Nobody listens any more where its caller went away or was late.
pub(super) type Answer<T> = oneshot::Sender<Result<T, Failure>>;

pub(super) enum Job {
    Reserve(Ask, Answer<Reserved>),
    Raise { tenant: Tenant, now_us: i64, raises: Vec<Raise>, answer: Answer<()> },
    Used { tenant: Tenant, now_us: i64, buckets: Vec<(Bucket, Rule)>, answer: Answer<Vec<Standing>> },
}

/// A reservation.
pub(super) struct Ask {
    pub(super) tenant: Tenant,
    pub(super) now_us: i64,
    pub(super) hold_until_us: i64,
    pub(super) claims: Vec<Claim>,
}

/// What one call settles.
pub(super) struct Settlement {
    pub(super) tenant: Tenant,
    pub(super) postings: Vec<Posting>,
}

#[derive(Clone, Copy)]
pub(super) struct Posting {
    pub(super) now_us: i64,
    pub(super) held: Held,
    pub(super) actual: i64,
}

/// Settlements of one tenant, sent under one name until they are answered, so that a store which took them in and could
/// not say so does not take them in twice.
pub(super) struct Batch {
    pub(super) id: u128,
    pub(super) tenant: Tenant,
    pub(super) postings: Vec<Posting>,
    /// How many calls they are of.
    pub(super) calls: u64,
}

#[derive(Clone, Debug)]
pub(super) enum Failure {
    /// The connection is of no use any more.
    Lost(String),
    /// The store could not do it just now.
    Busy(String),
    /// The store will not do it, however often it is asked.
    Failed(String),
}

impl Failure {
    pub(super) fn why(&self) -> &str {
        match self {
            Failure::Lost(why) | Failure::Busy(why) | Failure::Failed(why) => why,
        }
    }
}

impl Settlement {
    /// What a shared store has to hear of a call that has ended. What this replica counted alone while the store was away is
    /// added to windows; places and rates of that time are past.
    pub(super) fn of(now_us: i64, hold: &Hold, actual: &[i64]) -> Settlement {
        let posting = |(at, held): (usize, &Held)| {
            let actual = actual.get(at).copied().unwrap_or(held.claim.amount).max(0);
            let counted = match held.keeper {
                Keeper::Ledger => true,
                Keeper::Replica | Keeper::Nobody => matches!(held.claim.rule, Rule::Window { .. }),
            };
            let mut held = *held;
            if held.keeper != Keeper::Ledger {
                held.claim.amount = 0;
            }
            held.claim.amount = held.claim.amount.max(0);
            counted.then_some(Posting { now_us, held, actual })
        };
        Settlement {
            tenant: hold.tenant,
            postings: hold.held.iter().enumerate().filter_map(posting).collect(),
        }
    }

    /// All of a hold is given back.
    pub(super) fn release(now_us: i64, hold: &Hold) -> Settlement {
        Settlement::of(now_us, hold, &vec![0; hold.held.len()])
    }
}

/// When what a claim leaves behind in a bucket has stopped counting, so that the bucket may be forgotten.
pub(super) fn keep_us(now_us: i64, rule: &Rule, hold_end_us: i64) -> i64 {
    let end_us = match rule {
        Rule::Window { ends_us, .. } => (*ends_us).max(hold_end_us),
        Rule::Places { .. } => hold_end_us,
        Rule::Rate { .. } => now_us.saturating_add(rule.debt_us_max()).saturating_add(rule.wait_us_max()),
    };
    end_us.saturating_add(SKEW_US)
}

/// From when on the database's sums hold a posting for certain: a settlement that comes late, since the store was away, is
/// not added to a bucket that has been told them since. `i64::MAX` where the database never hears of it.
pub(super) fn known_us(posting: &Posting) -> i64 {
    if posting.held.claim.durable { posting.now_us.saturating_add(JOURNAL_US) } else { i64::MAX }
}

/// How long the journal takes at most to bring a call's record to the database, as a rule.
const JOURNAL_US: i64 = 1_000_000;
/// How far replicas' clocks may be apart.
const SKEW_US: i64 = 60_000_000;

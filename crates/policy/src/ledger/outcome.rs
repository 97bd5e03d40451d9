//! What comes of claims: a hold that is settled later, or a refusal.

use super::{Bucket, Claim, Rule, Seen, Tenant, Verdict, hold_end};

/// What comes of a reservation.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub enum Reserved {
    /// All claims are granted; the call goes out after the wait.
    Granted { hold: Hold, wait_us: i64, standings: Vec<Option<Standing>> },
    /// Nothing is granted. The claim is the one that takes longest to fit; `retry_us` is how long that is at the least,
    /// `None` where the amount is more than the limit.
    Refused {
        claim: usize,
        cause: Cause,
        limit: i64,
        left: i64,
        retry_us: Option<i64>,
        standings: Vec<Option<Standing>>,
    },
    /// The ledger does not know these durable buckets: it has to be told what the database knows, by `raise`, and asked
    /// again. Nothing is granted.
    Unseeded(Vec<Bucket>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Cause {
    /// The limit is reached.
    Limit,
    /// The shared store does not answer, and the claim is to be refused then.
    Away,
}

/// How a bucket stands: after the call, where that is granted. For each claim, in their order; `None` where the store that
/// knows it is away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    pub limit: i64,
    pub left: i64,
    /// The moment at which all of the limit is left again, unless something is claimed until then.
    pub resets_us: i64,
    /// There was no room: the call was refused for it, or the claim is a shadow.
    pub exceeded: bool,
}

/// What was granted, until it is settled.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub struct Hold {
    pub tenant: Tenant,
    pub held: Vec<Held>,
}

/// One granted claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Held {
    pub claim: Claim,
    /// When it stops being held by itself.
    pub until_us: i64,
    /// Whether the rate was charged: a shadow beyond its rate is not, or its debt would only grow.
    pub charged: bool,
    pub keeper: Keeper,
}

/// Who counted a claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Keeper {
    /// The ledger itself.
    Ledger,
    /// This replica alone, while the shared ledger was away.
    Replica,
    Nobody,
}

/// What a ledger found for one claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Judged {
    pub seen: Seen,
    pub verdict: Verdict,
}

impl Judged {
    /// Whether the claim may go on as far as it is concerned.
    pub fn passes(&self, claim: &Claim) -> bool {
        claim.shadow || matches!(self.verdict, Verdict::Fits { .. })
    }

    /// How the bucket stands where nothing is claimed.
    pub fn standing(&self, now_us: i64, rule: &Rule) -> Standing {
        let (left, resets_us) = rule.left(now_us, &self.seen, 0);
        Standing {
            limit: rule.limit(),
            left,
            resets_us,
            exceeded: matches!(self.verdict, Verdict::Over { .. }),
        }
    }

    /// Whether the claim is charged to its bucket once the call is granted.
    pub fn charges(&self, claim: &Claim) -> bool {
        matches!(self.verdict, Verdict::Fits { .. }) || !matches!(claim.rule, Rule::Rate { .. })
    }
}

/// What comes of claims, given what was found for each.
pub fn conclude(
    tenant: Tenant,
    now_us: i64,
    hold_until_us: i64,
    claims: &[Claim],
    judged: &[Judged],
) -> Reserved {
    let pairs = || claims.iter().zip(judged);
    let granted = pairs().all(|(claim, judged)| judged.passes(claim));
    let standings = pairs().map(|(claim, judged)| Some(standing(now_us, claim, judged, granted))).collect();
    if granted {
        let until_us = hold_end(now_us, hold_until_us);
        let held = pairs().map(|(claim, judged)| Held {
            claim: *claim,
            until_us,
            charged: judged.charges(claim),
            keeper: Keeper::Ledger,
        });
        let hold = Hold { tenant, held: held.collect() };
        let wait_us = pairs().map(|(claim, judged)| wait_us(claim, judged)).max().unwrap_or(0);
        return Reserved::Granted { hold, wait_us, standings };
    }
    refused(now_us, claims, judged, standings)
}

fn refused(now_us: i64, claims: &[Claim], judged: &[Judged], standings: Vec<Option<Standing>>) -> Reserved {
    let over = claims.iter().zip(judged).enumerate().filter_map(|(at, (claim, judged))| {
        let Verdict::Over { retry_us } = judged.verdict else { return None };
        (!claim.shadow).then_some((at, claim, judged, retry_us))
    });
    // The first of those that take longest.
    let longest = over.reduce(|most, next| if patience(next.3) > patience(most.3) { next } else { most });
    let Some((at, claim, judged, retry_us)) = longest else {
        return Reserved::Refused {
            claim: 0,
            cause: Cause::Limit,
            limit: 0,
            left: 0,
            retry_us: None,
            standings,
        };
    };
    let (left, _) = claim.rule.left(now_us, &judged.seen, 0);
    Reserved::Refused { claim: at, cause: Cause::Limit, limit: claim.rule.limit(), left, retry_us, standings }
}

fn standing(now_us: i64, claim: &Claim, judged: &Judged, granted: bool) -> Standing {
    let amount = if granted && judged.charges(claim) { claim.amount } else { 0 };
    let (left, resets_us) = claim.rule.left(now_us, &judged.seen, amount);
    let exceeded = matches!(judged.verdict, Verdict::Over { .. });
    Standing { limit: claim.rule.limit(), left, resets_us, exceeded }
}

/// A shadow lets nobody wait.
fn wait_us(claim: &Claim, judged: &Judged) -> i64 {
    match judged.verdict {
        Verdict::Fits { wait_us } if !claim.shadow => wait_us,
        Verdict::Fits { .. } | Verdict::Over { .. } => 0,
    }
}

fn patience(retry_us: Option<i64>) -> i64 {
    retry_us.unwrap_or(i64::MAX)
}

//! What becomes of claims while the shared store is away.

use policy::ledger::{
    Cause, Claim, Held, Hold, Keeper, OnFailure, Reserved, Rule, Standing, Tenant, hold_end,
};

use super::{LedgerError, memory::Memory};

/// Each claim goes its own way: granted and not counted, refused, or counted in this replica's memory against its share.
pub(super) fn alone(
    memory: &Memory,
    replicas: u32,
    tenant: Tenant,
    (now_us, hold_until_us): (i64, i64),
    claims: &[Claim],
) -> Result<Reserved, LedgerError> {
    if let Some(refused) = refused(claims) {
        return Ok(refused);
    }
    let is_shared = |claim: &Claim| claim.on_failure == OnFailure::Share;
    let places: Vec<usize> =
        claims.iter().enumerate().filter(|(_, claim)| is_shared(claim)).map(|(at, _)| at).collect();
    let shares: Vec<Claim> =
        claims.iter().filter(|claim| is_shared(claim)).map(|claim| share(claim, replicas)).collect();
    let mut standings = vec![None; claims.len()];
    let mut spread = |told: Vec<Option<Standing>>| {
        for (at, standing) in places.iter().zip(told) {
            if let Some(place) = standings.get_mut(*at) {
                *place = standing;
            }
        }
    };
    match memory.reserve(tenant, now_us, hold_until_us, &shares) {
        Ok(Reserved::Granted { hold, wait_us, standings: told }) => {
            spread(told);
            let mut counted = hold.held.into_iter();
            let held = claims.iter().map(|claim| match claim.on_failure {
                OnFailure::Share => counted.next().map(|held| Held { keeper: Keeper::Replica, ..held }),
                OnFailure::Allow | OnFailure::Refuse => None,
            });
            let held = held.zip(claims).map(|(held, claim)| held.unwrap_or(uncounted(now_us, claim)));
            Ok(Reserved::Granted { hold: Hold { tenant, held: held.collect() }, wait_us, standings })
        }
        Ok(Reserved::Refused { claim, cause, limit, left, retry_us, standings: told }) => {
            spread(told);
            let claim = places.get(claim).copied().unwrap_or_default();
            Ok(Reserved::Refused { claim, cause, limit, left, retry_us, standings })
        }
        Ok(Reserved::Unseeded(buckets)) => Ok(Reserved::Unseeded(buckets)),
        Err(LedgerError::Full(_)) => Ok(without(tenant, now_us, claims)),
        Err(error) => Err(error),
    }
}

/// Nothing counts at all: what may go uncounted goes.
pub(super) fn without(tenant: Tenant, now_us: i64, claims: &[Claim]) -> Reserved {
    let strict = |claim: &Claim| match claim.on_failure {
        OnFailure::Allow => *claim,
        OnFailure::Refuse | OnFailure::Share => Claim { on_failure: OnFailure::Refuse, ..*claim },
    };
    let strict: Vec<Claim> = claims.iter().map(strict).collect();
    if let Some(refused) = refused(&strict) {
        return refused;
    }
    let held = claims.iter().map(|claim| uncounted(now_us, claim)).collect();
    Reserved::Granted { hold: Hold { tenant, held }, wait_us: 0, standings: vec![None; claims.len()] }
}

/// This replica's share of what a limit allows, rounded up: all shares together are less than one for each replica above
/// the limit.
pub(super) fn share(claim: &Claim, replicas: u32) -> Claim {
    let part = |amount: i64| part(amount, replicas);
    let rule = match claim.rule {
        Rule::Window { limit, slot_us, since_us, ends_us } => {
            Rule::Window { limit: part(limit), slot_us, since_us, ends_us }
        }
        Rule::Rate { burst, amount_per_period, period_us, wait_us_max } => {
            // The period grows rather than the amount shrinks: nothing is rounded.
            let period_us = period_us.saturating_mul(i64::from(replicas.max(1)));
            Rule::Rate { burst: part(burst), amount_per_period, period_us, wait_us_max }
        }
        Rule::Places { limit } => Rule::Places { limit: part(limit) },
    };
    Claim { rule, ..*claim }
}

/// One part of as many as there are replicas, rounded up.
pub(super) fn part(amount: i64, replicas: u32) -> i64 {
    let replicas = i64::from(replicas.max(1));
    amount / replicas + i64::from(amount % replicas > 0)
}

fn refused(claims: &[Claim]) -> Option<Reserved> {
    let strict = |claim: &Claim| claim.on_failure == OnFailure::Refuse && !claim.shadow;
    let (at, claim) = claims.iter().enumerate().find(|(_, claim)| strict(claim))?;
    Some(Reserved::Refused {
        claim: at,
        cause: Cause::Away,
        limit: claim.rule.limit(),
        left: 0,
        retry_us: Some(RETRY_US),
        standings: vec![None; claims.len()],
    })
}

fn uncounted(now_us: i64, claim: &Claim) -> Held {
    Held { claim: *claim, until_us: hold_end(now_us, now_us), charged: false, keeper: Keeper::Nobody }
}

/// When to ask again a store that is away.
const RETRY_US: i64 = 1_000_000;

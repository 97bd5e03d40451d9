//! What faults and headers of providers teach: whom to leave alone, and for how long.

use std::time::Duration;

use wire::{Fault, Kind, Origin, Retry};

use crate::{
    allowance::Allowances,
    moment::Moment,
    route::Target,
    vitals::{RestReason, SeatId, Vitals},
};

/// How long a credential rests that is limited, where its provider does not say.
const LIMITED: Duration = Duration::from_secs(1);
/// How long a credential rests whose credit is used up.
const EXHAUSTED: Duration = Duration::from_secs(60);
/// How long a credential rests that its provider refuses.
const REFUSED: Duration = Duration::from_secs(60);
/// How long a model rests that its provider does not know.
const MISSING: Duration = Duration::from_secs(60);
/// The longest rest that a provider can ask for.
const REST_MAX: Duration = Duration::from_secs(3_600);

/// An attempt has failed.
pub fn failed(vitals: &mut Vitals, target: &Target, credential: usize, fault: &Fault, now: Moment) {
    let theirs = fault.origin == Origin::Upstream;
    let ill = match fault.kind {
        Kind::Overloaded | Kind::Timeout | Kind::Unreachable | Kind::Cut | Kind::Garbage | Kind::Internal => {
            theirs
        }
        Kind::Invalid
        | Kind::Unsupported
        | Kind::Unauthenticated
        | Kind::Forbidden
        | Kind::NotFound
        | Kind::MethodNotAllowed
        | Kind::TooLarge
        | Kind::ContextTooLong
        | Kind::ContentPolicy
        | Kind::RateLimited
        | Kind::QuotaExhausted => false,
    };
    if ill {
        vitals.failed(target.id, now, &target.provider.breaker);
    } else {
        vitals.let_go(target.id);
    }
    if !theirs {
        return;
    }
    let asked = match fault.retry {
        Retry::After(after) => Some(after.min(REST_MAX)),
        Retry::Soon | Retry::Never => None,
    };
    let seat = SeatId::of(target.id, credential);
    let mut rest = |span: Duration, why| vitals.rest(seat, now, span, why);
    match fault.kind {
        Kind::RateLimited => rest(asked.unwrap_or(LIMITED), RestReason::Limited),
        Kind::QuotaExhausted => rest(asked.unwrap_or(EXHAUSTED), RestReason::Exhausted),
        Kind::Unauthenticated | Kind::Forbidden => rest(REFUSED, RestReason::Refused),
        // Where no model was named, it is something of the caller's own that is not there.
        Kind::NotFound if target.model.is_empty() => {}
        Kind::NotFound => vitals.cool(target.id, now, MISSING),
        Kind::Overloaded => {
            if let Some(asked) = asked {
                vitals.cool(target.id, now, asked);
            }
        }
        Kind::Invalid
        | Kind::Unsupported
        | Kind::MethodNotAllowed
        | Kind::TooLarge
        | Kind::ContextTooLong
        | Kind::ContentPolicy
        | Kind::Timeout
        | Kind::Unreachable
        | Kind::Cut
        | Kind::Garbage
        | Kind::Internal => {}
    }
}

/// An answer told what is left: where that is nothing, others are asked until there is more, before a refusal says so.
pub fn allowed(vitals: &mut Vitals, target: &Target, credential: usize, left: &Allowances, now: Moment) {
    // Calls under way take from what is left, too.
    let in_flight = u64::from(vitals.in_flight(target.id).saturating_sub(1));
    let spent = left.all().filter(|(kind, allowance)| allowance.is_spent(*kind, in_flight));
    if let Some(resets_in) = spent.filter_map(|(_, allowance)| allowance.resets_in).max() {
        let seat = SeatId::of(target.id, credential);
        vitals.rest(seat, now, resets_in.min(REST_MAX), RestReason::Limited);
    }
}

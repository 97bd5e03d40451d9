//! Who gets the candidate.

use super::StickyBy;
use crate::{
    principal::Principal,
    route::Said,
    vitals::{RouteId, number},
};

/// Buckets that there are: a thousandth of the calls each.
const BUCKETS: u64 = 1_000;

/// The bucket of a call, in `0..1000`. Those below the share get the candidate, so that whoever has it keeps it while
/// the share grows. Rollouts of other names have other buckets.
pub(crate) fn bucket(route: RouteId, by: StickyBy, said: &Said<'_>, principal: &Principal) -> u32 {
    let user = said.chat.and_then(|chat| chat.user.as_deref());
    let id = principal.id.as_bytes();
    let route = route.0.to_le_bytes();
    let number = match (by, said.session, user) {
        (StickyBy::Session, Some(session), _) => number(&[&route, id, b"session", session.as_bytes()]),
        (StickyBy::Session | StickyBy::User, _, Some(user)) => {
            number(&[&route, id, b"user", user.as_bytes()])
        }
        (StickyBy::Session | StickyBy::User | StickyBy::Key, _, _) => number(&[&route, id]),
        // The moment of arrival in microseconds stands for chance.
        (StickyBy::Request, _, _) => number(&[&route, id, &said.facts.now_us.to_le_bytes()]),
    };
    u32::try_from(number % BUCKETS).unwrap_or_default()
}

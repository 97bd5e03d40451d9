//! Reading what scripts answer.

use policy::ledger::{Claim, Judged, Rule, Seen};
use redis::Value;

/// The places of claims whose buckets are not known, where that is the answer.
pub(super) fn unseeded(reply: &Value) -> Option<Vec<usize>> {
    let (status, places) = list(reply)?.split_first()?;
    if number(status)? != -1 {
        return None;
    }
    Some(places.iter().filter_map(|place| usize::try_from(number(place)? - 1).ok()).collect())
}

/// What was found for each claim.
pub(super) fn judged(reply: &Value, now_us: i64, claims: &[Claim]) -> Option<Vec<Judged>> {
    let (_, found) = list(reply)?.split_first()?;
    if found.len() != claims.len() {
        return None;
    }
    found.iter().zip(claims).map(|(found, claim)| one(found, now_us, claim)).collect()
}

fn one(found: &Value, now_us: i64, claim: &Claim) -> Option<Judged> {
    let [_, first, second, slots @ ..] = list(found)? else { return None };
    let (first, second) = (number(first)?, number(second)?);
    let seen = match claim.rule {
        Rule::Window { .. } | Rule::Places { .. } => Seen { settled: first, held: second, arrival_us: 0 },
        Rule::Rate { .. } => Seen { settled: 0, held: 0, arrival_us: first },
    };
    let slots: Option<Vec<(i64, i64)>> = slots
        .chunks_exact(2)
        .map(|pair| match pair {
            [slot, amount] => Some((number(slot)?, number(amount)?)),
            _ => None,
        })
        .collect();
    let verdict = claim.rule.verdict(now_us, claim.amount, &seen, &slots?);
    Some(Judged { seen, verdict })
}

/// A whole number, as such or in digits; one that is too large is the largest.
pub(super) fn number(value: &Value) -> Option<i64> {
    match value {
        Value::Int(number) => Some(*number),
        Value::BulkString(digits) => {
            let number: i128 = std::str::from_utf8(digits).ok()?.parse().ok()?;
            Some(i64::try_from(number).unwrap_or(i64::MAX))
        }
        _ => None,
    }
}

fn list(value: &Value) -> Option<&[Value]> {
    match value {
        Value::Array(values) => Some(values),
        _ => None,
    }
}

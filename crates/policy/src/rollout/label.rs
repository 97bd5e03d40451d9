//! What the journal says of a call that is part of an experiment.

use std::sync::Arc;

use uuid::Uuid;

use super::Side;
use crate::{facts::Structure, vitals::RouteId};

/// A call's part in a rollout.
#[derive(Clone, Debug)]
pub struct Experiment {
    pub route: RouteId,
    pub name: Arc<str>,
    /// Which run of the rollout it belongs to.
    pub run: u64,
    pub side: Side,
    /// The candidate's share when the call came, in thousandths.
    pub share: u32,
    /// How many of the plan's targets, the first ones, are the side's own.
    pub own: usize,
    /// The form that the caller wants the answer in.
    pub structure: Structure,
    /// Whether the call is compared with those of the other side.
    pub compares: bool,
}

impl Experiment {
    /// As it stands in the journal.
    pub fn label(&self) -> String {
        rollout_label(&self.name, self.side, self.share)
    }
}

/// `rollout smart: candidate at 5%`.
pub fn rollout_label(name: &str, side: Side, share: u32) -> String {
    format!("rollout {name}: {} at {}%", side.name(), percent(share))
}

/// The name, the side and the share in thousandths of what [`rollout_label`] wrote.
pub fn rollout_of(label: &str) -> Option<(&str, Side, u32)> {
    let (name, rest) = label.strip_prefix("rollout ")?.rsplit_once(": ")?;
    let (side, share) = rest.strip_suffix('%')?.split_once(" at ")?;
    let side = [Side::Candidate, Side::Current].into_iter().find(|known| known.name() == side)?;
    let share: f64 = share.parse().ok()?;
    Some((name, side, (share * 10.0).round() as u32))
}

/// `shadow of ID`.
pub fn shadow_label(id: Uuid) -> String {
    format!("shadow of {id}")
}

/// Thousandths as a percentage without needless digits.
pub(super) fn percent(share: u32) -> String {
    if share.is_multiple_of(10) { (share / 10).to_string() } else { format!("{}.{}", share / 10, share % 10) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_read_as_they_were_written() {
        for (name, side, share) in
            [("smart", Side::Candidate, 50), ("a: b at 5%", Side::Current, 5), ("x", Side::Candidate, 1_000)]
        {
            assert_eq!(rollout_of(&rollout_label(name, side, share)), Some((name, side, share)));
        }
        assert_eq!(rollout_label("smart", Side::Candidate, 5), "rollout smart: candidate at 0.5%");
        assert_eq!(rollout_of("shadow of x"), None);
    }
}

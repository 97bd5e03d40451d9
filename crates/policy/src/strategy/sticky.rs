//! Always the same one for the same session, user or beginning of a conversation, in every core and every replica alike,
//! and without a memory: each target draws a number from the affinity, and the best number wins, so that a target that
//! comes or goes moves only its own share (rendezvous hashing with weights; Schindelhauer and Schomaker, "Weighted
//! Distributed Hash Tables", 2005).

use super::{Choice, Contender};
use crate::vitals::mix;

pub(super) fn pick(choice: &mut Choice<'_>) -> usize {
    let affinity = choice.affinity;
    choice.least(|_, contender| distance(affinity, contender))
}

/// The less, the nearer.
pub(super) fn distance(affinity: u64, contender: &Contender) -> f64 {
    let drawn = mix(affinity ^ contender.id.0);
    // In 0..1, and neither of both.
    let share = ((drawn >> 11) as f64 + 0.5) / (1_u64 << 53) as f64;
    -share.ln() / f64::from(contender.weight.max(1))
}

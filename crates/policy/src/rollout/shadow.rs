//! Calls that are mirrored to another target, whose answers nobody waits for.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};

use crate::snapshot::AliasTarget;

/// Where calls are mirrored to, and how many.
#[derive(Clone)]
pub struct Shadow {
    /// Tried in order.
    pub targets: Vec<AliasTarget>,
    /// In thousandths of the calls that were answered well.
    pub share: u32,
    pub per_second_max: u32,
    pub in_flight_max: usize,
}

/// Bounds what is mirrored, over all cores.
#[derive(Debug, Default)]
pub struct Throttle {
    /// A second, and behind it in 32 bits how many were let through in it.
    passed: AtomicU64,
    in_flight: AtomicUsize,
}

impl Throttle {
    /// Lets one more through, or not. `second` is any clock's.
    pub fn enter(&self, shadow: &Shadow, second: u32) -> bool {
        let passes = |state: u64| {
            let (at, count) = (state >> 32, state & u64::from(u32::MAX));
            let count = if at == u64::from(second) { count } else { 0 };
            (count < u64::from(shadow.per_second_max)).then_some(u64::from(second) << 32 | (count + 1))
        };
        if self.in_flight.fetch_add(1, Relaxed) >= shadow.in_flight_max
            || self.passed.fetch_update(Relaxed, Relaxed, passes).is_err()
        {
            self.leave();
            return false;
        }
        true
    }

    /// One that was let through has ended.
    pub fn leave(&self) {
        self.in_flight.fetch_sub(1, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gate_bounds_a_second_and_what_is_in_flight() {
        let shadow = Shadow { targets: Vec::new(), share: 1_000, per_second_max: 3, in_flight_max: 2 };
        let throttle = Throttle::default();
        let entered = |second| throttle.enter(&shadow, second);
        assert_eq!([entered(7), entered(7), entered(7)], [true, true, false], "two are in flight");
        throttle.leave();
        throttle.leave();
        assert_eq!([entered(7), entered(7)], [true, false], "three in a second");
        throttle.leave();
        assert!(entered(8));
    }
}

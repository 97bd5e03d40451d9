//! Amounts of money as whole numbers.

use std::fmt;

use serde::{Deserialize, Serialize};

/// An amount in picodollars (10⁻¹² USD): a price of up to six decimals in USD per million tokens is a whole
/// number of picodollars per token, so that no cost is ever rounded. An `i64` holds 9.2 million USD.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Money(pub i64);

impl Money {
    pub const ZERO: Money = Money(0);

    const PER_DOLLAR: u64 = 1_000_000_000_000;

    pub fn picodollars(self) -> i64 {
        self.0
    }

    #[must_use]
    pub fn saturating_add(self, other: Money) -> Money {
        Money(self.0.saturating_add(other.0))
    }
}

/// Dollars with all decimals that are not zero, and at least two: `0.00042`, `3.00`.
impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { "-" } else { "" };
        let amount = self.0.unsigned_abs();
        let decimals = format!("{:012}", amount % Money::PER_DOLLAR);
        let kept = decimals.trim_end_matches('0').len().max(2);
        let (shown, _) = decimals.split_at(kept);
        write!(f, "{sign}{}.{shown}", amount / Money::PER_DOLLAR)
    }
}

#[cfg(test)]
mod tests {
    use super::Money;

    #[test]
    fn shows_all_decimals_that_count() {
        let check = |amount: i64, shown: &str| assert_eq!(Money(amount).to_string(), shown);
        check(0, "0.00");
        check(3_000_000_000_000, "3.00");
        check(420_000_000, "0.00042");
        check(1, "0.000000000001");
        check(-1_500_000_000_000, "-1.50");
    }
}

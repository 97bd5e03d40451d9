//! How a bucket limits what is claimed of it.

/// A limit. Moments are microseconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// The sum of what was settled in all slots from `since_us` on, of what is held, and of what is claimed is at most the
    /// limit. What is claimed now will be settled in the slot that begins at `slot_us`, which counts until `ends_us`.
    Window { limit: i64, slot_us: i64, since_us: i64, ends_us: i64 },
    /// A bucket that holds `burst`, and is filled with `amount_per_period` in each period. Where it does not hold enough, a
    /// claim waits for up to `wait_us_max`, and is refused if that does not suffice.
    Rate { burst: i64, amount_per_period: i64, period_us: i64, wait_us_max: i64 },
    /// So much is held at a time.
    Places { limit: i64 },
}

/// What a bucket has seen, as far as a rule looks at it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// Settled in the slots of the window.
    pub settled: i64,
    pub held: i64,
    /// When the bucket of a rate is full again: the theoretical arrival time of GCRA, the generic cell rate algorithm
    /// (ITU-T I.371).
    pub arrival_us: i64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// There is room, after a wait.
    Fits { wait_us: i64 },
    /// There is none until so many microseconds have passed at the least; `None` where there never will be.
    Over { retry_us: Option<i64> },
}

impl Rule {
    /// A window with a beginning and an end of its own, as a day or a month has.
    pub fn fixed(limit: i64, start_us: i64, end_us: i64) -> Rule {
        Rule::Window { limit, slot_us: start_us, since_us: start_us, ends_us: end_us.max(start_us + 1) }
    }

    /// The window of some length that ends now. Its slots are a sixtieth of it, and count until all of them is out of the
    /// window: no window of that length holds more than the limit, and room comes back up to a slot late.
    pub fn sliding(limit: i64, length_us: i64, now_us: i64) -> Rule {
        let length_us = length_us.max(1);
        let grain_us = (length_us / SLOTS).max(GRAIN_US_MIN);
        let begin = |moment_us: i64| moment_us.div_euclid(grain_us) * grain_us;
        let slot_us = begin(now_us);
        Rule::Window {
            limit,
            slot_us,
            since_us: begin(now_us - length_us),
            ends_us: slot_us + grain_us + length_us,
        }
    }

    pub fn limit(&self) -> i64 {
        match self {
            Rule::Window { limit, .. } | Rule::Places { limit } => *limit,
            Rule::Rate { burst, .. } => *burst,
        }
    }

    /// What an amount takes of a rate, as the time in which so much flows in; rounded up. Zero for other rules.
    pub fn cost_us(&self, amount: i64) -> i64 {
        match *self {
            Rule::Window { .. } | Rule::Places { .. } => 0,
            Rule::Rate { amount_per_period, period_us, .. } => {
                let flow = i128::from(amount_per_period.max(1));
                let cost = (i128::from(amount.max(0)) * i128::from(period_us.max(1)) + flow - 1) / flow;
                i64::try_from(cost).unwrap_or(COST_US_MAX).min(COST_US_MAX)
            }
        }
    }

    /// How long a claim waits at most.
    pub fn wait_us_max(&self) -> i64 {
        match self {
            Rule::Window { .. } | Rule::Places { .. } => 0,
            Rule::Rate { wait_us_max, .. } => (*wait_us_max).clamp(0, COST_US_MAX),
        }
    }

    /// How far a settlement may take the bucket of a rate: what it holds and one period's debt.
    pub fn debt_us_max(&self) -> i64 {
        match self {
            Rule::Window { .. } | Rule::Places { .. } => 0,
            Rule::Rate { period_us, .. } => self.cost_us(self.limit()).saturating_add(*period_us),
        }
    }

    /// How long after its beginning a slot of the window counts.
    pub fn slot_life_us(&self) -> i64 {
        match self {
            Rule::Window { slot_us, ends_us, .. } => ends_us.saturating_sub(*slot_us),
            Rule::Rate { .. } | Rule::Places { .. } => 0,
        }
    }

    /// Slots that began before this may be forgotten. It is somewhat before the window, since replicas' clocks differ.
    pub fn forget_us(&self) -> i64 {
        match self {
            Rule::Window { since_us, .. } => {
                since_us.saturating_sub(self.slot_life_us().min(SKEW_US)).max(i64::MIN + 1)
            }
            Rule::Rate { .. } | Rule::Places { .. } => i64::MIN,
        }
    }

    /// Whether an amount fits beside what a bucket has seen. `slots` are those of the window with what was settled in
    /// them; only how long to wait for room depends on them.
    pub fn verdict(&self, now_us: i64, amount: i64, seen: &Seen, slots: &[(i64, i64)]) -> Verdict {
        let amount = amount.max(0);
        match *self {
            Rule::Window { limit, .. } | Rule::Places { limit } => {
                let sum = i128::from(seen.settled) + i128::from(seen.held) + i128::from(amount);
                if sum <= i128::from(limit.max(0)) {
                    return Verdict::Fits { wait_us: 0 };
                }
                Verdict::Over { retry_us: self.room_after(now_us, limit.saturating_sub(amount), slots) }
            }
            Rule::Rate { .. } => {
                let cost_us = self.cost_us(amount);
                let burst_us = self.cost_us(self.limit());
                let wait_us_max = self.wait_us_max();
                if cost_us > burst_us.saturating_add(wait_us_max) {
                    return Verdict::Over { retry_us: None };
                }
                let debt_us = seen.arrival_us.saturating_sub(now_us).max(0);
                let wait_us = debt_us.saturating_add(cost_us).saturating_sub(burst_us).max(0);
                if wait_us <= wait_us_max {
                    return Verdict::Fits { wait_us };
                }
                Verdict::Over { retry_us: Some(wait_us - wait_us_max) }
            }
        }
    }

    /// In how many microseconds the slots that still count hold at most so much: when there is room at the earliest, since
    /// what is held may be given back at any moment.
    fn room_after(&self, now_us: i64, most: i64, slots: &[(i64, i64)]) -> Option<i64> {
        if most < 0 {
            return None;
        }
        let life_us = self.slot_life_us();
        let mut sum: i128 = slots.iter().map(|(_, amount)| i128::from(*amount)).sum();
        let mut after_us = RETRY_US_MIN;
        let mut slots = slots.to_vec();
        slots.sort_unstable();
        for (slot_us, amount) in slots {
            if sum <= i128::from(most) {
                break;
            }
            sum -= i128::from(amount);
            after_us = after_us.max(slot_us.saturating_add(life_us).saturating_sub(now_us));
        }
        Some(after_us)
    }

    /// What is left of the limit beside what has been seen and an amount, and when all of it will be.
    pub(crate) fn left(&self, now_us: i64, seen: &Seen, amount: i64) -> (i64, i64) {
        match *self {
            Rule::Window { limit, ends_us, .. } => {
                let used = seen.settled.saturating_add(seen.held).saturating_add(amount.max(0));
                (limit.saturating_sub(used).max(0), if used == 0 { now_us } else { ends_us })
            }
            Rule::Places { limit } => {
                (limit.saturating_sub(seen.held).saturating_sub(amount.max(0)).max(0), now_us)
            }
            Rule::Rate { burst, amount_per_period, period_us, .. } => {
                let full_us = seen.arrival_us.max(now_us).saturating_add(self.cost_us(amount));
                let missing = i128::from(full_us - now_us) * i128::from(amount_per_period.max(1));
                let period_us = i128::from(period_us.max(1));
                let missing = (missing + period_us - 1) / period_us;
                let left = i64::try_from(i128::from(burst) - missing).unwrap_or(0).max(0);
                (left, full_us)
            }
        }
    }
}

/// Slots of a sliding window.
const SLOTS: i64 = 60;
const GRAIN_US_MIN: i64 = 1_000;
/// How far replicas' clocks may be apart.
const SKEW_US: i64 = 60_000_000;
/// When to ask again for what is only held, and may be free at any moment.
const RETRY_US_MIN: i64 = 1_000_000;
/// A hundred years: beyond it no sum of a moment and a cost is exact in a store that counts in floating point.
const COST_US_MAX: i64 = 100 * 366 * 86_400 * 1_000_000;

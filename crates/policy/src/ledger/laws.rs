//! Laws of counting, whatever is claimed in whatever order.

use std::collections::BTreeMap;

use proptest::{collection::vec, prelude::*};

use super::*;

const START_US: i64 = 1_780_000_000_000_000;
const SECOND_US: i64 = 1_000_000;
const MINUTE_US: i64 = 60 * SECOND_US;

/// What happens next.
#[derive(Clone, Debug)]
enum Step {
    /// Time passes, and a call claims an amount.
    Claim { after_us: i64, amount: i64 },
    /// The oldest call that is not settled is, to a share of its claim in percent.
    Settle { percent: i64 },
    /// The gateway forgets the oldest call.
    Leak,
}

fn steps(longest_us: i64) -> impl Strategy<Value = Vec<Step>> {
    let claim = (0..longest_us, 0..40_i64).prop_map(|(after_us, amount)| Step::Claim { after_us, amount });
    let settle = (0..=100_i64).prop_map(|percent| Step::Settle { percent });
    vec(prop_oneof![5 => claim, 4 => settle, 1 => Just(Step::Leak)], 0..120)
}

fn claim(rule: Rule, amount: i64) -> Claim {
    let on_failure = OnFailure::Refuse;
    Claim { bucket: Bucket(1), rule, amount, shadow: false, durable: false, on_failure }
}

fn granted(now_us: i64, counter: &mut Counter, claim: Claim) -> Option<(Held, i64)> {
    let judged = counter.judge(now_us, &claim);
    let reserved = conclude(Tenant(1), now_us, now_us + MINUTE_US, &[claim], &[judged]);
    let Reserved::Granted { hold, wait_us, .. } = reserved else { return None };
    let held = *hold.held.first()?;
    counter.hold(now_us, &held);
    Some((held, wait_us))
}

/// A naive reference: everything that was ever granted, with all that is known of it.
struct Told {
    at_us: i64,
    slot_us: i64,
    until_us: i64,
    claimed: i64,
    settled: Option<i64>,
}

impl Told {
    /// What it counts at a moment, for a window that begins at a slot.
    fn counts(&self, now_us: i64, since_us: i64) -> i64 {
        match self.settled {
            Some(actual) if self.slot_us >= since_us => actual,
            Some(_) => 0,
            None if self.until_us > now_us => self.claimed,
            None => 0,
        }
    }
}

proptest! {
    /// The counter of a sliding window is what a list of all calls says, and what has gone out in any window of its length
    /// is at most the limit.
    #[test]
    fn a_sliding_window_is_kept(steps in steps(3 * SECOND_US), limit in 1..200_i64) {
        let length_us = 10 * SECOND_US;
        let mut counter = Counter::default();
        let mut now_us = START_US;
        let mut told: Vec<Told> = Vec::new();
        let mut open: Vec<(usize, Held)> = Vec::new();
        for step in steps {
            match step {
                Step::Claim { after_us, amount } => {
                    now_us += after_us;
                    let rule = Rule::sliding(limit, length_us, now_us);
                    let Rule::Window { slot_us, since_us, .. } = rule else { unreachable!() };
                    let known: i64 = told.iter().map(|told| told.counts(now_us, since_us)).sum();
                    let fits = known + amount <= limit;
                    let claim = claim(rule, amount);
                    let judged = counter.judge(now_us, &claim);
                    prop_assert_eq!(judged.seen.settled + judged.seen.held, known);
                    let held = granted(now_us, &mut counter, claim);
                    prop_assert_eq!(held.is_some(), fits);
                    let Some((held, _)) = held else { continue };
                    open.push((told.len(), held));
                    let until_us = held.until_us;
                    told.push(Told { at_us: now_us, slot_us, until_us, claimed: amount, settled: None });
                    let sent: i64 = told
                        .iter()
                        .filter(|told| told.at_us > now_us - length_us)
                        .map(|told| told.settled.unwrap_or(told.claimed))
                        .sum();
                    prop_assert!(sent <= limit, "{sent} in one window of {limit}");
                }
                Step::Settle { percent } if !open.is_empty() => {
                    let (at, held) = open.remove(0);
                    let actual = held.claim.amount * percent / 100;
                    counter.settle(now_us, &held, actual);
                    told[at].settled = Some(actual);
                }
                Step::Leak if !open.is_empty() => drop(open.remove(0)),
                Step::Settle { .. } | Step::Leak => {}
            }
        }
        for (at, held) in open {
            counter.settle(now_us, &held, held.claim.amount);
            told[at].settled = Some(held.claim.amount);
        }
        let rule = Rule::sliding(limit, length_us, now_us);
        let Rule::Window { since_us, .. } = rule else { unreachable!() };
        let later_us = now_us + 2 * MINUTE_US;
        let sum: i64 = told.iter().filter(|told| told.slot_us >= since_us).filter_map(|told| told.settled).sum();
        prop_assert_eq!(counter.seen(later_us, &rule), Seen { settled: sum, held: 0, arrival_us: 0 });
        prop_assert!(counter.is_idle(now_us + 2 * MINUTE_US + length_us));
    }

    /// Slots of a fixed window hold the sum of what was settled, though it be more than was claimed.
    #[test]
    fn sums_are_exact(calls in vec((0..100_i64, 0..300_i64), 1..60)) {
        let rule = Rule::fixed(i64::MAX, START_US, START_US + 60 * MINUTE_US);
        let mut counter = Counter::default();
        let mut sums: BTreeMap<i64, i64> = BTreeMap::new();
        for (amount, actual) in calls {
            let (held, _) = granted(START_US, &mut counter, claim(rule, amount)).expect("there is room");
            counter.settle(START_US + 1, &held, actual);
            *sums.entry(START_US).or_default() += actual;
        }
        let seen = counter.seen(START_US + 2, &rule);
        prop_assert_eq!((seen.settled, seen.held), (sums.values().sum(), 0));
    }

    /// What is given back leaves no trace.
    #[test]
    fn a_release_restores(amounts in vec(1..50_i64, 0..8), amount in 1..60_i64, kind in 0..4) {
        let rule = match kind {
            0 => Rule::fixed(100, START_US, START_US + MINUTE_US),
            1 => Rule::sliding(100, MINUTE_US, START_US),
            2 => Rule::Rate { burst: 100, amount_per_period: 7, period_us: SECOND_US, wait_us_max: 0 },
            _ => Rule::Places { limit: 100 },
        };
        let mut counter = Counter::default();
        for amount in amounts {
            granted(START_US, &mut counter, claim(rule, amount));
        }
        let before = counter.judge(START_US, &claim(rule, amount));
        if let Some((held, _)) = granted(START_US, &mut counter, claim(rule, amount)) {
            counter.settle(START_US, &held, 0);
        }
        let mut after = counter.judge(START_US, &claim(rule, amount));
        // A bucket that is full is full, whenever it became so.
        after.seen.arrival_us = after.seen.arrival_us.max(before.seen.arrival_us);
        if before.seen.arrival_us == 0 {
            prop_assert!(counter.seen(START_US, &rule).arrival_us <= START_US);
            after.seen.arrival_us = 0;
        }
        prop_assert_eq!(before, after);
    }

    /// A rate grants at most its burst and what has flowed in since, counting a call from when its wait is over.
    #[test]
    fn a_rate_is_kept(
        claims in vec((0..2 * SECOND_US, 0..30_i64), 0..100),
        burst in 1..60_i64,
        flow in 1..40_i64,
        wait_us_max in prop_oneof![Just(0), 0..5 * SECOND_US],
    ) {
        let rule = Rule::Rate { burst, amount_per_period: flow, period_us: SECOND_US, wait_us_max };
        let mut counter = Counter::default();
        let mut now_us = START_US;
        let mut sent: Vec<(i64, i64)> = Vec::new();
        for (after_us, amount) in claims {
            now_us += after_us;
            let Some((_, wait_us)) = granted(now_us, &mut counter, claim(rule, amount)) else { continue };
            prop_assert!(wait_us <= wait_us_max);
            sent.push((now_us + wait_us, amount));
        }
        for (first, (from_us, first_amount)) in sent.iter().enumerate() {
            let mut sum = 0;
            for (to_us, amount) in sent.iter().skip(first) {
                sum += i128::from(*amount);
                // Times are whole microseconds: what flows in during one of them is within the precision.
                let most = i128::from(burst) * 1_000_000 + i128::from(flow) * i128::from(to_us - from_us + 1);
                // A call that waits may itself be larger than the burst: what flowed in before has paid for it.
                let larger = i128::from((first_amount - burst).max(0)) * 1_000_000;
                prop_assert!(sum * 1_000_000 <= most + larger, "{sum} from {from_us} to {to_us}");
            }
        }
    }

    /// A claim that is told when to come back fits then, where nothing else happens.
    #[test]
    fn a_retry_fits(amounts in vec(1..40_i64, 1..40), amount in 1..=100_i64, kind in 0..4) {
        let rule = |now_us: i64| match kind {
            0 => {
                let day_us = START_US + (now_us - START_US).div_euclid(MINUTE_US) * MINUTE_US;
                Rule::fixed(100, day_us, day_us + MINUTE_US)
            }
            1 => Rule::sliding(100, MINUTE_US, now_us),
            2 => Rule::Rate { burst: 100, amount_per_period: 7, period_us: SECOND_US, wait_us_max: 0 },
            _ => Rule::Rate { burst: 50, amount_per_period: 9, period_us: SECOND_US, wait_us_max: 6 * SECOND_US },
        };
        let mut counter = Counter::default();
        let mut now_us = START_US;
        for settled in amounts {
            if let Some((held, _)) = granted(now_us, &mut counter, claim(rule(now_us), settled)) {
                counter.settle(now_us, &held, settled);
            }
            now_us += SECOND_US / 3;
        }
        let verdict = counter.judge(now_us, &claim(rule(now_us), amount)).verdict;
        if let Verdict::Over { retry_us } = verdict {
            let retry_us = retry_us.expect("the amount is within the limit");
            let then_us = now_us + retry_us;
            let verdict = counter.judge(then_us, &claim(rule(then_us), amount)).verdict;
            prop_assert!(matches!(verdict, Verdict::Fits { .. }), "after {retry_us} µs");
            if retry_us > SECOND_US {
                let verdict = counter.judge(then_us - 1, &claim(rule(then_us - 1), amount)).verdict;
                prop_assert!(matches!(verdict, Verdict::Over { .. }), "before {retry_us} µs");
            }
        }
    }

    #[test]
    fn raising_twice_is_raising_once(settled in 0..100_i64, known in 0..100_i64) {
        let rule = Rule::fixed(1000, START_US, START_US + MINUTE_US);
        let mut counter = Counter::default();
        let (held, _) = granted(START_US, &mut counter, claim(rule, settled)).expect("there is room");
        counter.settle(START_US, &held, settled);
        for _ in 0..2 {
            counter.raise(START_US, known, START_US + MINUTE_US);
        }
        prop_assert_eq!(counter.seen(START_US, &rule).settled, settled.max(known));
        prop_assert!(counter.is_seeded());
    }
}

#[test]
fn a_debt_is_bounded_to_one_period() {
    let rule = Rule::Rate { burst: 10, amount_per_period: 10, period_us: SECOND_US, wait_us_max: 0 };
    let mut counter = Counter::default();
    let (held, _) = granted(START_US, &mut counter, claim(rule, 1)).expect("there is room");
    counter.settle(START_US, &held, 1_000_000);
    let verdict = counter.judge(START_US, &claim(rule, 1)).verdict;
    assert_eq!(verdict, Verdict::Over { retry_us: Some(SECOND_US + SECOND_US / 10) });
}

#[test]
fn a_shadow_counts_and_refuses_nobody() {
    for rule in [
        Rule::fixed(1, START_US, START_US + MINUTE_US),
        Rule::Places { limit: 1 },
        Rule::Rate { burst: 1, amount_per_period: 1, period_us: SECOND_US, wait_us_max: 0 },
    ] {
        let mut counter = Counter::default();
        let shadow = Claim { shadow: true, ..claim(rule, 1) };
        for exceeded in [false, true, true] {
            let judged = counter.judge(START_US, &shadow);
            let Reserved::Granted { hold, wait_us, standings } =
                conclude(Tenant(1), START_US, START_US, &[shadow], &[judged])
            else {
                panic!("a shadow refused");
            };
            assert_eq!((wait_us, standings[0].unwrap().exceeded), (0, exceeded), "{rule:?}");
            counter.hold(START_US, &hold.held[0]);
        }
    }
}

#[test]
fn the_claim_that_takes_longest_is_the_one_told_of() {
    let day = Rule::fixed(0, START_US, START_US + 60 * MINUTE_US);
    let claims = [claim(Rule::Places { limit: 0 }, 0), claim(day, 0), claim(Rule::Places { limit: 0 }, 1)];
    let full = |retry_us| Judged { seen: Seen::default(), verdict: Verdict::Over { retry_us } };
    let index = |judged: &[Judged]| match conclude(Tenant(1), START_US, START_US, &claims, judged) {
        Reserved::Refused { claim, retry_us, .. } => (claim, retry_us),
        other => panic!("{other:?}"),
    };
    assert_eq!(index(&[full(Some(1)), full(Some(3)), full(Some(3))]), (1, Some(3)));
    assert_eq!(index(&[full(Some(1)), full(Some(3)), full(None)]), (2, None));
}

#[test]
fn budgets_of_millions_of_dollars_are_exact() {
    let limit = 5_000_000_000_000_000_000;
    let rule = Rule::fixed(limit, START_US, START_US + MINUTE_US);
    let mut counter = Counter::default();
    counter.raise(START_US, limit - 1, START_US + MINUTE_US);
    assert!(granted(START_US, &mut counter, claim(rule, 2)).is_none());
    assert!(granted(START_US, &mut counter, claim(rule, 1)).is_some());
    assert!(granted(START_US, &mut counter, claim(rule, 1)).is_none());
    assert!(granted(START_US, &mut counter, claim(rule, i64::MAX)).is_none());
}

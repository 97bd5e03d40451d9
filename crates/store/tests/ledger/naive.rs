//! Memory says what a list of everything that ever happened says.

use policy::ledger::{Bucket, Claim, Hold, OnFailure, Reserved, Rule, Tenant};
use tollgate_store::ledger::{Ledger, LedgerSettings};

use crate::{
    stores::{HOUR_US, MINUTE_US, SECOND_US, now_us, unique, wait},
    twins::Dice,
};

const STEPS: usize = 6000;
const BUCKETS: usize = 8;

/// A claim that was granted.
struct Told {
    call: usize,
    claim: Claim,
    until_us: i64,
    /// When it was settled, and to what.
    settled: Option<(i64, i64)>,
}

/// Everything, and for rates what is in their buckets: amounts times the period, as of a moment.
#[derive(Default)]
struct Naive {
    told: Vec<Told>,
    levels: Vec<(usize, i64, i64)>,
}

#[test]
fn memory_says_what_a_list_says() {
    let ledger = Ledger::memory(&LedgerSettings::default());
    let names: Vec<Bucket> = (0..BUCKETS).map(|_| Bucket(unique())).collect();
    let mut naive = Naive::default();
    let mut dice = Dice(0x2545_f491_4f6c_dd1d);
    let mut now_us = now_us();
    let mut open: Vec<(usize, Hold)> = Vec::new();
    let (mut granted, mut refused) = (0, 0);
    for call in 0..STEPS {
        now_us += dice.below(2 * SECOND_US);
        if dice.below(5) < 2 && !open.is_empty() {
            let (call, hold) = open.swap_remove(dice.below(open.len() as i64) as usize);
            let actual: Vec<i64> = hold.held.iter().map(|held| dice.below(held.claim.amount + 1)).collect();
            ledger.settle(now_us, &hold, &actual);
            naive.settle(now_us, call, &actual, &names);
            continue;
        }
        let first = dice.below(BUCKETS as i64) as usize;
        let chosen = (0..1 + dice.below(3) as usize).map(|at| (first + at * 3) % BUCKETS);
        let claims: Vec<Claim> = chosen.map(|at| claim(names[at], at, dice.below(12), now_us)).collect();
        let until_us = now_us + dice.below(MINUTE_US);
        let fits = claims.iter().all(|claim| naive.fits(now_us, claim, &names));
        let reserved = wait(ledger.reserve(Tenant(1), now_us, until_us, &claims)).expect("sound");
        match reserved {
            Reserved::Granted { hold, .. } => {
                assert!(fits, "step {call}: granted {claims:?}");
                granted += 1;
                naive.grant(now_us, call, &hold, &names);
                if dice.below(30) > 0 {
                    open.push((call, hold));
                }
            }
            Reserved::Refused { .. } => {
                assert!(!fits, "step {call}: refused {claims:?}");
                refused += 1;
            }
            Reserved::Unseeded(_) => unreachable!("nothing is durable"),
        }
    }
    assert!(granted > STEPS / 10 && refused > STEPS / 10, "{granted} granted, {refused} refused");
}

fn claim(bucket: Bucket, at: usize, amount: i64, now_us: i64) -> Claim {
    let hour_us = now_us.div_euclid(HOUR_US) * HOUR_US;
    let rule = match at % 4 {
        0 => Rule::fixed(1500, hour_us, hour_us + HOUR_US),
        1 => Rule::sliding(50, MINUTE_US, now_us),
        // What one costs is a whole number of microseconds.
        2 => Rule::Rate { burst: 25, amount_per_period: 2, period_us: SECOND_US, wait_us_max: 0 },
        _ => Rule::Places { limit: 30 },
    };
    Claim { bucket, rule, amount, shadow: false, durable: false, on_failure: OnFailure::Refuse }
}

impl Naive {
    fn fits(&mut self, now_us: i64, claim: &Claim, names: &[Bucket]) -> bool {
        let of_bucket = || self.told.iter().filter(|told| told.claim.bucket == claim.bucket);
        let held = |told: &&Told| told.settled.is_none() && told.until_us > now_us;
        let held: i64 = of_bucket().filter(held).map(|told| told.claim.amount).sum();
        match claim.rule {
            Rule::Window { limit, since_us, .. } => {
                let counts = |told: &Told| match (told.settled, told.claim.rule) {
                    (Some((at_us, actual)), Rule::Window { slot_us, ends_us, .. })
                        if slot_us >= since_us && at_us < ends_us =>
                    {
                        actual
                    }
                    _ => 0,
                };
                of_bucket().map(counts).sum::<i64>() + held + claim.amount <= limit
            }
            Rule::Places { limit } => held + claim.amount <= limit,
            Rule::Rate { .. } => claim.amount * SECOND_US <= *self.level(now_us, claim, names),
        }
    }

    fn grant(&mut self, now_us: i64, call: usize, hold: &Hold, names: &[Bucket]) {
        for held in &hold.held {
            *self.level(now_us, &held.claim, names) -= held.claim.amount * SECOND_US;
            self.told.push(Told { call, claim: held.claim, until_us: held.until_us, settled: None });
        }
    }

    fn settle(&mut self, now_us: i64, call: usize, actual: &[i64], names: &[Bucket]) {
        let mut back = Vec::new();
        for (told, actual) in self.told.iter_mut().filter(|told| told.call == call).zip(actual) {
            told.settled = Some((now_us, *actual));
            back.push((told.claim, told.claim.amount - actual));
        }
        for (claim, back) in back {
            *self.level(now_us, &claim, names) += back * SECOND_US;
            // No more than it can hold.
            self.level(now_us, &claim, names);
        }
    }

    /// What is in the bucket of a rate now; of other rules it says nothing.
    fn level(&mut self, now_us: i64, claim: &Claim, names: &[Bucket]) -> &mut i64 {
        let at = names.iter().position(|name| *name == claim.bucket).expect("it is one of them");
        let (burst, flow) = match claim.rule {
            Rule::Rate { burst, amount_per_period, .. } => (burst, amount_per_period),
            Rule::Window { .. } | Rule::Places { .. } => (0, 0),
        };
        let known = self.levels.iter().position(|(bucket, ..)| *bucket == at);
        let known = known.unwrap_or_else(|| {
            self.levels.push((at, now_us, burst * SECOND_US));
            self.levels.len() - 1
        });
        let (_, as_of_us, level) = &mut self.levels[known];
        *level = (*level + (now_us - *as_of_us) * flow).min(burst * SECOND_US);
        *as_of_us = now_us;
        level
    }
}

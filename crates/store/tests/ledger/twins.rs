//! A shared store says what memory says, whatever happens.

use policy::ledger::{Bucket, Claim, Hold, OnFailure, Reserved, Rule};
use tollgate_store::ledger::{Ledger, LedgerSettings, Raise};

use crate::stores::{HOUR_US, MINUTE_US, SECOND_US, each_shared, unique};

const STEPS: usize = 600;

#[test]
fn a_shared_store_says_what_memory_says() {
    each_shared(async |store| {
        let memory = Ledger::memory(&LedgerSettings::default());
        let buckets: Vec<Bucket> = (0..10).map(|_| Bucket(unique())).collect();
        let mut dice = Dice(0x9e37_79b9_7f4a_7c15);
        let mut now_us = store.now_us;
        let mut open: Vec<(Hold, Hold)> = Vec::new();
        for step in 0..STEPS {
            now_us += dice.below(4 * SECOND_US);
            if dice.below(3) == 0 && !open.is_empty() {
                let (there, here) = open.swap_remove(dice.below(open.len() as i64) as usize);
                let actual: Vec<i64> =
                    here.held.iter().map(|held| dice.below(held.claim.amount.max(1) * 3 / 2 + 1)).collect();
                store.ledger.settle(now_us, &there, &actual);
                store.ledger.flush().await;
                memory.settle(now_us, &here, &actual);
                continue;
            }
            let claims = claims(&mut dice, &buckets, now_us);
            let until_us = now_us + dice.below(3 * MINUTE_US);
            let there = store.ledger.reserve(store.tenant, now_us, until_us, &claims).await.expect("sound");
            let here = memory.reserve(store.tenant, now_us, until_us, &claims).await.expect("sound");
            assert_eq!(there, here, "{:?}, step {step}: {claims:?}", store.kind);
            match (there, here) {
                (Reserved::Granted { hold: there, .. }, Reserved::Granted { hold: here, .. }) => {
                    // A twentieth leaks.
                    if dice.below(20) > 0 {
                        open.push((there, here));
                    }
                }
                (Reserved::Unseeded(unknown), _) => {
                    let raise = |bucket: &Bucket| {
                        let begins_us = now_us.div_euclid(HOUR_US) * HOUR_US;
                        Raise {
                            bucket: *bucket,
                            slot_us: begins_us,
                            amount: 40,
                            ends_us: begins_us + HOUR_US,
                        }
                    };
                    let raises: Vec<Raise> = unknown.iter().map(raise).collect();
                    store.ledger.raise(store.tenant, now_us, &raises).await.expect("the store answers");
                    memory.raise(store.tenant, now_us, &raises).await.expect("there is room");
                }
                (Reserved::Granted { .. } | Reserved::Refused { .. }, _) => {}
            }
        }
    });
}

/// Up to four claims on different buckets; each bucket keeps its kind.
fn claims(dice: &mut Dice, buckets: &[Bucket], now_us: i64) -> Vec<Claim> {
    let first = dice.below(buckets.len() as i64) as usize;
    let count = 1 + dice.below(4) as usize;
    let chosen = (0..count).map(|at| (first + at * 3) % buckets.len());
    let claim = |at: usize| {
        let begins_us = now_us.div_euclid(HOUR_US) * HOUR_US;
        let rule = match at % 5 {
            0 => Rule::fixed(400, begins_us, begins_us + HOUR_US),
            1 => Rule::sliding(60, MINUTE_US, now_us),
            2 => Rule::Rate { burst: 30, amount_per_period: 7, period_us: SECOND_US, wait_us_max: 0 },
            3 => Rule::Rate {
                burst: 9,
                amount_per_period: 3,
                period_us: SECOND_US,
                wait_us_max: 3 * SECOND_US,
            },
            _ => Rule::Places { limit: 25 },
        };
        Claim {
            bucket: buckets[at],
            rule,
            amount: dice.below(16),
            shadow: dice.below(8) == 0,
            durable: at == 0 || at == 5,
            on_failure: OnFailure::Refuse,
        }
    };
    chosen.map(claim).collect()
}

/// The same throws in each run: xorshift64.
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    pub(crate) fn below(&mut self, most: i64) -> i64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as i64 % most.max(1)
    }
}

//! What one bucket holds, as a ledger in memory keeps it.

use super::{Claim, Held, Judged, Rule, Seen};

/// The state of one bucket.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counter {
    /// What was settled, by the beginnings of slots, ascending.
    slots: Vec<(i64, i64)>,
    /// What is held, by the ends of holds, ascending.
    holds: Vec<(i64, i64)>,
    /// See [`Seen::arrival_us`].
    arrival_us: i64,
    /// The database's sums have been told.
    seeded: bool,
    /// From when on nothing in it counts.
    idle_us: i64,
}

impl Counter {
    pub fn is_seeded(&self) -> bool {
        self.seeded
    }

    /// Whether nothing in it counts any more.
    pub fn is_idle(&self, now_us: i64) -> bool {
        now_us >= self.idle_us
    }

    pub fn seen(&self, now_us: i64, rule: &Rule) -> Seen {
        let settled = self.window(rule).iter().fold(0_i64, |sum, (_, amount)| sum.saturating_add(*amount));
        let live = self.holds.iter().filter(|(end_us, _)| *end_us > now_us);
        let held = live.fold(0_i64, |sum, (_, amount)| sum.saturating_add(*amount));
        Seen { settled, held, arrival_us: self.arrival_us }
    }

    pub fn judge(&self, now_us: i64, claim: &Claim) -> Judged {
        let seen = self.seen(now_us, &claim.rule);
        let verdict = claim.rule.verdict(now_us, claim.amount, &seen, self.window(&claim.rule));
        Judged { seen, verdict }
    }

    /// Takes in what has been granted.
    pub fn hold(&mut self, now_us: i64, held: &Held) {
        self.holds.retain(|(end_us, _)| *end_us > now_us);
        let amount = held.claim.amount.max(0);
        match held.claim.rule {
            Rule::Window { .. } => {
                self.forget(held.claim.rule.forget_us());
                add(&mut self.holds, held.until_us, amount);
            }
            Rule::Places { .. } => add(&mut self.holds, held.until_us, amount),
            Rule::Rate { .. } if held.charged => {
                let cost_us = held.claim.rule.cost_us(amount);
                self.arrival_us = self.arrival_us.max(now_us).saturating_add(cost_us);
                self.keep(self.arrival_us);
                return;
            }
            Rule::Rate { .. } => return,
        }
        self.keep(held.until_us);
    }

    /// What was granted turns out to have been an actual amount; 0 gives it back.
    pub fn settle(&mut self, now_us: i64, held: &Held, actual: i64) {
        let actual = actual.max(0);
        if let Ok(at) = self.holds.binary_search_by_key(&held.until_us, |(end_us, _)| *end_us)
            && let Some((_, amount)) = self.holds.get_mut(at)
        {
            *amount = amount.saturating_sub(held.claim.amount.max(0)).max(0);
            if *amount == 0 {
                self.holds.remove(at);
            }
        }
        match held.claim.rule {
            Rule::Window { slot_us, ends_us, .. } => self.post(now_us, slot_us, ends_us, actual),
            Rule::Places { .. } => {}
            Rule::Rate { .. } if held.charged => {
                let rule = &held.claim.rule;
                let change_us = rule.cost_us(actual) - rule.cost_us(held.claim.amount);
                let most_us = now_us.saturating_add(rule.debt_us_max());
                let wanted_us = self.arrival_us.saturating_add(change_us);
                // A debt that others have made stays as it is.
                self.arrival_us =
                    if change_us > 0 { wanted_us.min(most_us.max(self.arrival_us)) } else { wanted_us };
                self.keep(self.arrival_us);
            }
            Rule::Rate { .. } => {}
        }
    }

    /// What a slot holds becomes at least so much, and the bucket is known.
    pub fn raise(&mut self, slot_us: i64, amount: i64, ends_us: i64) {
        match self.slots.binary_search_by_key(&slot_us, |(slot_us, _)| *slot_us) {
            Ok(at) => {
                if let Some((_, settled)) = self.slots.get_mut(at) {
                    *settled = amount.max(*settled);
                }
            }
            Err(at) if amount > 0 => self.slots.insert(at, (slot_us, amount)),
            Err(_) => {}
        }
        self.seeded = true;
        self.keep(ends_us);
    }

    /// The window holds just so much, settled in one slot, and the bucket is known.
    pub fn replace(&mut self, slot_us: i64, amount: i64, ends_us: i64) {
        self.slots.clear();
        self.raise(slot_us, amount, ends_us);
    }

    fn post(&mut self, now_us: i64, slot_us: i64, ends_us: i64, actual: i64) {
        if ends_us > now_us && actual > 0 {
            add(&mut self.slots, slot_us, actual);
            self.keep(ends_us);
        }
    }

    fn window(&self, rule: &Rule) -> &[(i64, i64)] {
        let Rule::Window { since_us, .. } = rule else { return &[] };
        let first = self.slots.partition_point(|(slot_us, _)| slot_us < since_us);
        self.slots.get(first..).unwrap_or_default()
    }

    fn forget(&mut self, before_us: i64) {
        let kept = self.slots.partition_point(|(slot_us, _)| *slot_us < before_us);
        if kept > 0 {
            self.slots.drain(..kept);
        }
    }

    fn keep(&mut self, until_us: i64) {
        self.idle_us = self.idle_us.max(until_us);
    }
}

fn add(entries: &mut Vec<(i64, i64)>, key: i64, amount: i64) {
    match entries.binary_search_by_key(&key, |(key, _)| *key) {
        Ok(at) => {
            if let Some((_, sum)) = entries.get_mut(at) {
                *sum = sum.saturating_add(amount);
            }
        }
        Err(at) => entries.insert(at, (key, amount)),
    }
}

//! Budgets: how each stands by the journal, and what is added to them.

use std::{collections::HashSet, sync::Arc};

use policy::{
    Snapshot,
    limit::{AdjustmentKind, Adjustments, Limit, Meter},
    principal::Directory,
};
use store::{Adjustment, Database};
use uuid::Uuid;

/// A budget, and how it stands.
#[derive(Clone, Debug)]
pub struct Budget {
    pub limit: Arc<Limit>,
    /// When the current period begins and ends, in microseconds since 1970.
    pub period: (i64, i64),
    /// What it has in this period beside what is configured, in picodollars.
    pub given: i64,
    /// In picodollars.
    pub used: i64,
}

/// Every limit that holds for somebody, of the file and of the registry, once.
pub fn limits(snapshot: Snapshot, database: &mut Database) -> Result<Vec<Arc<Limit>>, store::Error> {
    let entities = snapshot.entities.into_iter().chain(database.entities()?).collect();
    let (directory, _) = Directory::new(entities);
    let file = snapshot.keys.into_iter().map(|file| file.key);
    let keys: Vec<_> = file.chain(database.keys()?.into_iter().map(|(_, key)| key)).collect();
    let of_keys = keys.iter().flat_map(|key| directory.principal(key).0.limits);
    let mut seen = HashSet::new();
    let all = directory.limits().cloned().chain(of_keys);
    Ok(all.filter(|limit| seen.insert(limit.id)).collect())
}

/// The budget of this id or name, where there is one; where several have the name, their ids.
pub fn find_one<'b>(all: &'b [Budget], wanted: &str) -> Result<Option<&'b Budget>, Vec<String>> {
    let id = Uuid::parse_str(wanted).ok();
    let fits = |budget: &&Budget| id.map_or(budget.shown() == wanted, |id| budget.limit.id == id);
    let fitting: Vec<&Budget> = all.iter().filter(fits).collect();
    match &*fitting {
        [] => Ok(None),
        [one] => Ok(Some(one)),
        several => Err(several.iter().map(|budget| budget.limit.id.to_string()).collect()),
    }
}

/// The budgets among these limits, by name.
pub fn budgets(
    limits: Vec<Arc<Limit>>,
    database: &mut Database,
    now_us: i64,
) -> Result<Vec<Budget>, store::Error> {
    let periodic = limits.into_iter().filter(|limit| limit.meter == Meter::Money);
    let periodic = periodic.filter_map(|limit| Some((limit.slot(now_us)?, limit)));
    let periodic: Vec<((i64, i64), Arc<Limit>)> = periodic.collect();
    let entries = database.adjustments(now_us)?;
    let given = Adjustments::new(entries.iter().map(|entry| (entry.bucket, entry.slot_us, entry.amount)));
    let ids: Vec<Uuid> = periodic.iter().map(|(_, limit)| limit.id).collect();
    let used = database.ledger(&ids, now_us)?;
    let standing = |(period, limit): ((i64, i64), Arc<Limit>)| {
        let posted = used.iter().find(|posting| posting.bucket == limit.id && posting.slot_us == period.0);
        let used = posted.map_or(0, |posting| posting.amount);
        Budget { given: given.of(limit.id, period.0), used, period, limit }
    };
    let mut budgets: Vec<Budget> = periodic.into_iter().map(standing).collect();
    budgets.sort_by_key(Budget::shown);
    Ok(budgets)
}

impl Budget {
    /// As `monthly of team search`.
    pub fn shown(&self) -> String {
        format!("{} of {}", self.limit.name, self.limit.whose)
    }

    /// What may be used in this period, in picodollars.
    pub fn total(&self) -> i64 {
        self.limit.amount.saturating_add(self.given)
    }

    pub fn left(&self) -> i64 {
        self.total().saturating_sub(self.used)
    }

    /// When the next period begins, in microseconds since 1970.
    pub fn renews_us(&self) -> Option<i64> {
        self.limit.renews_us(self.period.0).map(|(at_us, _)| at_us)
    }

    /// An entry that adds an amount, in picodollars.
    pub fn top_up(&self, amount: i64, note: Option<String>, now_us: i64) -> Adjustment {
        self.entry((AdjustmentKind::TopUp, amount), note, now_us)
    }

    /// An entry that forgives what was used so far, given what there is of this budget.
    pub fn reset(&self, entries: &[Adjustment], note: Option<String>, now_us: i64) -> Adjustment {
        let forgiven = entries.iter().filter(|entry| {
            (entry.bucket, entry.slot_us, entry.kind) == (self.limit.id, self.period.0, AdjustmentKind::Reset)
        });
        let forgiven: i64 = forgiven.map(|entry| entry.amount).sum();
        self.entry((AdjustmentKind::Reset, self.used.saturating_sub(forgiven)), note, now_us)
    }

    fn entry(&self, (kind, amount): (AdjustmentKind, i64), note: Option<String>, now_us: i64) -> Adjustment {
        Adjustment {
            id: Uuid::now_v7(),
            bucket: self.limit.id,
            slot_us: self.period.0,
            until_us: self.period.1,
            kind,
            amount,
            of: self.shown(),
            note,
            at_us: now_us,
        }
    }
}

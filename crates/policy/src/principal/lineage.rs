//! What a part of an organization passes on to everything below it.

use std::{collections::BTreeMap, net::IpAddr, sync::Arc};

use uuid::Uuid;
use wire::{Fault, Kind, Operation, Origin};

use super::{AddressRange, EntityKind, Settings, access::AccessRules, temporary::Temporary};
use crate::{
    Money,
    limit::{self, Budgets, Holder, Limit},
};

/// What one holder allows.
#[derive(Clone, Debug, PartialEq)]
pub struct Grant {
    /// As `team search`.
    pub whose: Arc<str>,
    /// Exact or with a trailing `*`; empty means all.
    pub models: Vec<String>,
    /// Empty means all.
    pub operations: Vec<Operation>,
    /// What is allowed beside both for a time.
    pub(super) temporary: Vec<Temporary>,
    /// Empty means anywhere.
    pub addresses: Vec<AddressRange>,
    pub disabled: bool,
    pub cost_max: CostMax,
}

/// The most that one request may be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CostMax {
    pub money: Option<Money>,
    pub input_tokens: Option<u64>,
}

/// A part of an organization that a caller belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ancestor {
    pub id: Uuid,
    pub kind: EntityKind,
    pub name: String,
}

/// Everything that holds for what stands below an entity.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Lineage {
    /// The nearest first; the organization last.
    pub(super) ancestors: Vec<Ancestor>,
    /// In the same order.
    pub(super) grants: Vec<Arc<Grant>>,
    pub(super) access: Vec<Arc<AccessRules>>,
    pub(super) limits: Vec<Arc<Limit>>,
    /// The nearest say what they say first.
    pub(super) tags: BTreeMap<String, String>,
}

/// A field's path and what is wrong with it.
type Wrong = (String, String);

impl Lineage {
    /// Everything that holds for a holder with these settings, below this.
    pub(super) fn below(&self, holder: &Holder, settings: &Settings) -> (Lineage, Vec<Wrong>) {
        let mut faults = Vec::new();
        let mut below = self.clone();
        let grant = grant(holder, settings, &mut faults);
        // What allows everything need not be asked.
        if grant.restricts() {
            below.grants.insert(0, Arc::new(grant));
        }
        if let Some(rules) = AccessRules::compile(&holder.shown, &settings.access, &mut faults) {
            below.access.insert(0, Arc::new(rules));
        }
        let mut own = Vec::new();
        let budgets = settings.budget.as_ref().map_or(&[][..], Budgets::list);
        for (at, spec) in budgets.iter().enumerate() {
            let path = match settings.budget {
                Some(Budgets::Many(_)) => format!("budget[{at}]"),
                Some(Budgets::One(_)) | None => "budget".to_owned(),
            };
            take(limit::budget(spec, holder), &path, &mut own, &mut faults);
        }
        for (at, spec) in settings.limits.iter().enumerate() {
            take(limit::limit(spec, holder), &format!("limits[{at}]"), &mut own, &mut faults);
        }
        for (at, limit) in own.iter().enumerate() {
            if own.iter().take(at).any(|earlier: &Arc<Limit>| earlier.id == limit.id) {
                let message =
                    format!("there are two limits \"{}\"; give them names of their own", limit.name);
                faults.push(("limits".to_owned(), message));
            }
        }
        own.extend(below.limits);
        below.limits = own;
        for (name, value) in &settings.tags {
            below.tags.insert(name.clone(), value.clone());
        }
        (below, faults)
    }
}

impl Lineage {
    /// What holds for whoever belongs to both: everything that holds for one of them.
    pub(super) fn joined(&self, other: &Lineage) -> Lineage {
        let mut joined = self.clone();
        for above in &other.ancestors {
            if !joined.ancestors.iter().any(|known| known.id == above.id) {
                joined.ancestors.push(above.clone());
            }
        }
        for grant in &other.grants {
            if !joined.grants.iter().any(|known| Arc::ptr_eq(known, grant)) {
                joined.grants.push(Arc::clone(grant));
            }
        }
        for rules in &other.access {
            if !joined.access.iter().any(|known| Arc::ptr_eq(known, rules)) {
                joined.access.push(Arc::clone(rules));
            }
        }
        for limit in &other.limits {
            if !joined.limits.iter().any(|known| known.id == limit.id) {
                joined.limits.push(Arc::clone(limit));
            }
        }
        for (name, value) in &other.tags {
            joined.tags.entry(name.clone()).or_insert_with(|| value.clone());
        }
        joined.ancestors.sort_by_key(|above| std::cmp::Reverse(above.kind));
        joined
    }
}

fn take(made: Result<Limit, Vec<Wrong>>, path: &str, limits: &mut Vec<Arc<Limit>>, faults: &mut Vec<Wrong>) {
    match made {
        Ok(limit) => limits.push(Arc::new(limit)),
        Err(found) => faults.extend(found.into_iter().map(|(field, message)| {
            (if field.is_empty() { path.to_owned() } else { format!("{path}.{field}") }, message)
        })),
    }
}

fn grant(holder: &Holder, settings: &Settings, faults: &mut Vec<Wrong>) -> Grant {
    let addresses = settings.addresses.iter().enumerate().filter_map(|(at, text)| match text.parse() {
        Ok(range) => Some(range),
        Err(message) => {
            faults.push((format!("addresses[{at}]"), message));
            None
        }
    });
    let addresses = addresses.collect();
    let most = settings.per_request.as_ref();
    Grant {
        whose: Arc::clone(&holder.shown),
        models: settings.models.clone(),
        operations: settings.operations.iter().map(|name| name.0).collect(),
        temporary: Temporary::compile(&settings.temporary, faults),
        addresses,
        disabled: settings.disabled,
        cost_max: CostMax {
            money: most.and_then(|most| most.usd).map(|usd| usd.0),
            input_tokens: most
                .and_then(|most| most.input_tokens)
                .and_then(|count| u64::try_from(count.0).ok()),
        },
    }
}

/// Whether a name is one of those that a list allows.
pub(crate) fn names(patterns: &[String], name: &str) -> bool {
    patterns.iter().any(|pattern| match pattern.strip_suffix('*') {
        Some(start) => name.starts_with(start),
        None => pattern == name,
    })
}

impl Grant {
    /// When the next thing ends that is allowed for a time, in microseconds since 1970.
    pub(super) fn lapses_us(&self) -> Option<i64> {
        self.temporary.iter().map(|one| one.until_us).min()
    }

    /// Without what has ended at this moment.
    pub(super) fn without_lapsed(&self, now_us: i64) -> Grant {
        let mut grant = self.clone();
        grant.temporary.retain(|one| one.until_us > now_us);
        grant
    }

    fn restricts(&self) -> bool {
        !self.models.is_empty()
            || !self.operations.is_empty()
            || !self.addresses.is_empty()
            || self.disabled
            || self.cost_max != CostMax::default()
    }

    pub(super) fn may_use(&self, model: &str) -> Result<(), Fault> {
        let mut temporary = self.temporary.iter();
        if self.models.is_empty()
            || names(&self.models, model)
            || temporary.any(|one| names(&one.models, model))
        {
            return Ok(());
        }
        let message = format!(
            "{} may not use model \"{model}\"; it may use: {}; ask for it at POST /v1/access-requests",
            self.whose,
            self.models.join(", ")
        );
        let mut fault = Fault::new(Origin::Client, Kind::Forbidden, message).code("model_not_allowed");
        fault.param = Some("model".to_owned());
        Err(fault)
    }

    /// Whether a provider may be asked for anything, whatever the model.
    pub(super) fn may_reach(&self, provider: &str) -> Result<(), Fault> {
        let whole = |pattern: &String| {
            let start = pattern.strip_suffix('*');
            start.is_some_and(|start| format!("{provider}/").starts_with(start))
        };
        let mut temporary = self.temporary.iter().flat_map(|one| &one.models);
        if self.models.is_empty() || self.models.iter().any(whole) || temporary.any(whole) {
            return Ok(());
        }
        let message = format!(
            "{} is for some models only, and this request names none; it may use: {}",
            self.whose,
            self.models.join(", ")
        );
        Err(Fault::new(Origin::Client, Kind::Forbidden, message).code("model_not_allowed"))
    }

    pub(super) fn may_do(&self, operation: Operation) -> Result<(), Fault> {
        let mut temporary = self.temporary.iter();
        if self.operations.is_empty()
            || self.operations.contains(&operation)
            || temporary.any(|one| one.operations.contains(&operation))
        {
            return Ok(());
        }
        let allowed: Vec<&str> = self.operations.iter().map(|operation| operation.name()).collect();
        let message = format!(
            "{} may not ask for {}; it may ask for: {}; ask for more at POST /v1/access-requests",
            self.whose,
            operation.name(),
            allowed.join(", ")
        );
        Err(Fault::new(Origin::Client, Kind::Forbidden, message).code("operation_not_allowed"))
    }

    pub(super) fn may_come_from(&self, address: IpAddr) -> Result<(), Fault> {
        if self.disabled {
            let message = format!("{} is disabled; ask its administrators", self.whose);
            return Err(Fault::new(Origin::Client, Kind::Forbidden, message).code("disabled"));
        }
        if self.addresses.is_empty() || self.addresses.iter().any(|range| range.contains(address)) {
            return Ok(());
        }
        let message = format!("{} may not call from {address}; ask its administrators", self.whose);
        Err(Fault::new(Origin::Client, Kind::Forbidden, message).code("address_not_allowed"))
    }
}

//! What a call claims of the limits that hold for it.

use std::{collections::BTreeMap, sync::Arc};

use jiff::tz::TimeZone;
use uuid::Uuid;
use wire::Operation;

use super::{Adjustments, Each, Limit, Meter, Only, Window};
use crate::{
    Money,
    ledger::{Bucket, Claim, Rule},
    principal::{Principal, names},
};

/// What a call is, as far as limits go.
#[derive(Clone, Copy, Debug)]
pub struct Called<'c> {
    pub principal: &'c Principal,
    pub operation: Operation,
    /// The model's name as the caller wrote it.
    pub model: &'c str,
    pub end_user: Option<&'c str>,
    /// What the call is marked with where its principal's tags say nothing.
    pub tags: &'c BTreeMap<String, String>,
}

/// What a call is expected to use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Expected {
    pub input_tokens: u64,
    pub output_tokens: u64,
    /// Nothing where nobody knows.
    pub cost: Option<Money>,
    /// The part of it that is sure: that of the prompt.
    pub cost_sure: Money,
}

/// What a call turned out to use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Used {
    /// One where the call went out, and otherwise none.
    pub requests: i64,
    pub input_tokens: i64,
    pub output_tokens: i64,
    pub money: Money,
}

/// The limits that hold for a call, given the providers and models that may be asked.
pub fn holding<'t>(
    called: &Called<'_>,
    targets: impl Iterator<Item = (&'t str, &'t str)> + Clone,
) -> Vec<Arc<Limit>> {
    let limits = called.principal.limits.iter();
    limits.filter(|limit| limit.only.holds(called, targets.clone())).cloned().collect()
}

/// What a call claims of each of its limits, in their order.
pub fn claims(
    limits: &[Arc<Limit>],
    called: &Called<'_>,
    expected: &Expected,
    given: &Adjustments,
    now_us: i64,
) -> Vec<Claim> {
    let claim = |limit: &Arc<Limit>| Claim {
        bucket: limit.bucket(called),
        rule: limit.rule(given, now_us),
        amount: limit.amount_of(expected),
        shadow: limit.shadow,
        durable: limit.is_durable(),
        on_failure: limit.on_failure,
    };
    limits.iter().map(claim).collect()
}

impl Only {
    fn holds<'t>(&self, called: &Called<'_>, mut targets: impl Iterator<Item = (&'t str, &'t str)>) -> bool {
        let tagged = |(name, value): (&String, &String)| {
            called.principal.tags.get(name).or_else(|| called.tags.get(name)) == Some(value)
        };
        (self.operations.is_empty() || self.operations.contains(&called.operation))
            && (self.is_of_name(called.model) || targets.any(|target| self.is_of_target(target)))
            && self.tags.iter().all(tagged)
    }

    /// Whether it is for a call of this name, wherever that leads.
    pub fn is_of_name(&self, model: &str) -> bool {
        self.models.is_empty() || names(&self.models, model)
    }

    /// Whether it is for what this model of a provider does, whatever the caller named.
    pub fn is_of_target(&self, (provider, model): (&str, &str)) -> bool {
        self.models.is_empty() || names(&self.models, &format!("{provider}/{model}"))
    }
}

impl Limit {
    /// The counter that a call is counted by.
    fn bucket(&self, called: &Called<'_>) -> Bucket {
        if self.each.is_empty() {
            return Bucket(self.id.as_u128());
        }
        let mut told = Vec::with_capacity(64);
        for each in &self.each {
            let part = match each {
                Each::EndUser => called.end_user.unwrap_or_default().as_bytes(),
                Each::Model => called.model.as_bytes(),
                Each::Operation => called.operation.name().as_bytes(),
                Each::Key => called.principal.id.as_bytes(),
            };
            told.extend_from_slice(&(part.len() as u64).to_le_bytes());
            told.extend_from_slice(part);
        }
        Bucket(Uuid::new_v5(&self.id, &told).as_u128())
    }

    fn rule(&self, given: &Adjustments, now_us: i64) -> Rule {
        let limit = self.amount;
        // What is counted apart for each of something is given nothing.
        let more = |slot_us: i64| limit.saturating_add(given.of(self.id, slot_us));
        match &self.window {
            Window::Calendar(period, zone) => {
                let (start, end) = period.around(now_us, zone);
                Rule::fixed(more(start), start, end)
            }
            Window::Sliding { length_us } => Rule::sliding(limit, *length_us, now_us),
            Window::Bucket { burst, period_us, wait_us } => Rule::Rate {
                burst: *burst,
                amount_per_period: limit,
                period_us: *period_us,
                wait_us_max: *wait_us,
            },
            Window::Concurrent => Rule::Places { limit },
            Window::Forever => Rule::fixed(more(0), 0, FOREVER_US),
        }
    }

    /// What a call claims.
    fn amount_of(&self, expected: &Expected) -> i64 {
        match self.meter {
            Meter::Requests | Meter::Concurrency => 1,
            Meter::InputTokens => count(expected.input_tokens),
            Meter::OutputTokens => count(expected.output_tokens),
            Meter::Tokens => count(expected.input_tokens.saturating_add(expected.output_tokens)),
            Meter::Money => expected.cost.map_or(0, Money::picodollars),
        }
    }

    /// What of it is sure: what is only expected refuses no call that has room for this.
    pub fn sure_of(&self, expected: &Expected) -> i64 {
        match self.meter {
            Meter::Requests | Meter::Concurrency => 1,
            Meter::InputTokens => count(expected.input_tokens),
            Meter::OutputTokens => count(expected.output_tokens.min(1)),
            Meter::Tokens => count(expected.input_tokens.saturating_add(expected.output_tokens.min(1))),
            Meter::Money => expected
                .cost_sure
                .picodollars()
                .max(expected.cost.map_or(0, |cost| cost.picodollars().min(1))),
        }
    }

    /// When what is counted now begins anew; nothing where it does so little by little, or never.
    pub fn renews_us(&self, now_us: i64) -> Option<(i64, &TimeZone)> {
        match &self.window {
            Window::Calendar(period, zone) => Some((period.around(now_us, zone).1, zone)),
            Window::Sliding { .. } | Window::Bucket { .. } | Window::Concurrent | Window::Forever => None,
        }
    }
}

impl Meter {
    /// What a call turned out to use of it.
    pub fn of(self, used: &Used) -> i64 {
        match self {
            Meter::Requests => used.requests,
            Meter::Tokens => used.input_tokens.saturating_add(used.output_tokens),
            Meter::InputTokens => used.input_tokens,
            Meter::OutputTokens => used.output_tokens,
            Meter::Money => used.money.picodollars(),
            // What is under way is only held.
            Meter::Concurrency => 0,
        }
    }
}

fn count(tokens: u64) -> i64 {
    i64::try_from(tokens).unwrap_or(i64::MAX)
}

/// The year 9999, where calendars end.
pub(super) const FOREVER_US: i64 = 253_402_300_800_000_000;

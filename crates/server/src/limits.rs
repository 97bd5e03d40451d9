//! Limits and budgets at the door: what a call claims of them before it goes out, and what that is settled to.

use std::{
    collections::BTreeMap,
    iter,
    rc::Rc,
    sync::Arc,
    time::{Duration, Instant},
};

use http::HeaderMap;
use policy::{
    Money,
    ledger::{
        Bucket, Cause, Claim, Hold, Reserved, Rule, Standing, Tenant,
        estimate::{Estimates, PRIOR_OUTPUT},
    },
    limit::{self, Called, Exceeded, Expected, Limit, Over, Used},
    record::{Posting, Tokens},
    route::{Plan, Target},
};
use uuid::Uuid;
use wire::{Fault, Kind, Origin};

use crate::{
    call::{Call, Open},
    core::Core,
    forecast::{self, Learns},
    headers, limit_headers,
    metrics::Counter,
    terms::{Terms, named},
    world::now_us,
};

/// How much longer than a call may take what it claims is held, for those that end late.
const HOLD_SLACK: Duration = Duration::from_secs(60);
/// A call that waits for room asks again after this at the latest: others may give theirs back.
const ASK_AGAIN: Duration = Duration::from_millis(500);
/// The most tags of a call, and the most characters of one.
const TAGS_MAX: usize = 32;
const TAG_CHARS_MAX: usize = 128;
/// Pairs of keys and models of which a core keeps what it has learned.
const PAIRS_MAX: usize = 4_096;

/// What a call holds of its limits until it is settled.
pub(crate) struct Claimed {
    pub(crate) limits: Vec<Arc<Limit>>,
    /// Which of them hold for some of the targets that might have been asked; empty where there was one only.
    pub(crate) of_targets: Vec<bool>,
    pub(crate) hold: Hold,
    /// What it was expected to cost, where that was known.
    pub(crate) cost: Option<Money>,
    pub(crate) learns: Option<Learns>,
}

/// What a call is charged.
pub(crate) struct Charge<'c> {
    pub(crate) tokens: &'c Tokens,
    /// Nothing where nobody knows.
    pub(crate) cost: Option<Money>,
    /// What of it is known in any case.
    pub(crate) cost_least: Money,
}

/// What calls turn out to use, as one core has learned it.
pub(crate) struct Learning {
    pub(crate) tokens: Estimates,
    /// Costs of calls that are not sold by tokens of text, in microdollars.
    pub(crate) costs: Estimates,
}

impl Learning {
    pub(crate) fn new() -> Learning {
        Learning { tokens: Estimates::new(PAIRS_MAX, PRIOR_OUTPUT), costs: Estimates::new(PAIRS_MAX, 0) }
    }
}

/// How a call comes to its limits.
#[derive(Clone, Copy)]
pub(crate) enum Turn<'t> {
    /// Another model may take it.
    First,
    /// It is for one provider, and nothing else may take it.
    Only,
    /// This model takes it, since a limit sent it here: those that did do not refuse it.
    Downgraded(&'t str),
}

/// What becomes of a call at its limits.
pub(crate) enum Entered {
    In,
    /// A model of this name takes it.
    Downgraded(String),
}

/// The end user for whom a call is made, and its tags, by its headers.
pub(crate) fn marks(from: &HeaderMap) -> Result<(Option<String>, BTreeMap<String, String>), Fault> {
    let text = |name| {
        let value = headers::own(from, &name);
        let text = value.map(|value| value.to_str().map(str::trim)).transpose();
        text.map_err(|_| Fault::invalid(name.as_str(), "is no text"))
    };
    let user = text(headers::USER)?.filter(|user| !user.is_empty()).map(str::to_owned);
    let mut tags = BTreeMap::new();
    let wrong = |message: String| Fault::invalid(headers::TAGS.as_str(), message).code("invalid_tags");
    for pair in text(headers::TAGS)?.unwrap_or_default().split(',').filter(|pair| !pair.trim().is_empty()) {
        let (name, value) = pair
            .split_once('=')
            .ok_or_else(|| wrong("is a list of tags; write them as name=value, other=value".to_owned()))?;
        if pair.chars().count() > TAG_CHARS_MAX || tags.len() >= TAGS_MAX {
            let message =
                format!("holds too much; at most {TAGS_MAX} tags of {TAG_CHARS_MAX} characters are taken");
            return Err(wrong(message));
        }
        tags.insert(name.trim().to_owned(), value.trim().to_owned());
    }
    Ok((user, tags))
}

/// Claims what a call needs of each of its limits, all or nothing, before anything leaves for a provider. Targets that may
/// not be asked are taken out of its plan.
pub(crate) async fn enter(call: &mut Call, plan: &mut Plan, turn: Turn<'_>) -> Result<Entered, Fault> {
    let core = Rc::clone(call.core());
    let open = call.open();
    let principal = Arc::clone(&open.principal);
    if principal.limits.is_empty() && principal.cost_max().next().is_none() {
        return Ok(Entered::In);
    }
    let called = Called {
        principal: &principal,
        operation: open.operation,
        model: match turn {
            Turn::Downgraded(model) => model,
            Turn::First | Turn::Only => &open.model_asked,
        },
        end_user: open.end_user.as_deref(),
        tags: &open.tags,
    };
    let callers = core.callers();
    let until = open.until(&plan.deadlines);
    let mut terms = Terms::of(&core, open, &called, plan)?;
    loop {
        let now_us = now_us();
        let claims = terms.claims(&called, &callers.given, turn, now_us);
        let left = until.saturating_duration_since(Instant::now());
        let hold_until_us = now_us.saturating_add(micros(left + HOLD_SLACK));
        let door = Door { core: &core, limits: &terms.limits, turn, until, now_us };
        match reserve(&core, tenant(&principal), (now_us, hold_until_us), &claims).await? {
            Reserved::Granted { hold, wait_us, standings } => {
                let told = door.told(open, &standings);
                let claimed = terms.claimed(&called, plan, hold);
                // From here on the call gives back what it holds, however it ends.
                (open.told, open.claimed) = (told, Some(Box::new(claimed)));
                if wait_us > 0 {
                    core.count(Counter::LimitsWaited);
                    tokio::time::sleep(Duration::from_micros(wait_us.unsigned_abs()).min(left)).await;
                }
                return Ok(Entered::In);
            }
            Reserved::Refused { claim, cause, limit, left, retry_us, standings } => {
                let (sure, amount) = (terms.sure(claim), claims.get(claim).map_or(0, |claim| claim.amount));
                // What is only expected refuses no call: where there is room for what is sure, the rest is taken.
                if cause == Cause::Limit && amount > sure {
                    // Less than before in any case, so that this ends.
                    terms.take(claim, if left < amount { left.max(sure) } else { sure });
                    continue;
                }
                let over = Over { cause, limit, left, amount: sure, retry_us };
                if cause == Cause::Limit && door.goes_elsewhere(&called, plan, claim, &over) {
                    terms = Terms::of(&core, open, &called, plan)?;
                    continue;
                }
                match door.refused(open, claim, over, &standings)? {
                    Instead::Wait(span) => tokio::time::sleep(span).await,
                    Instead::Downgrade(model) => return Ok(Entered::Downgraded(model)),
                }
            }
            Reserved::Unseeded(_) => return Err(away()),
        }
    }
}

/// One try of a call to get in.
struct Door<'d> {
    core: &'d Core,
    limits: &'d [Arc<Limit>],
    turn: Turn<'d>,
    /// When the call must have ended.
    until: Instant,
    now_us: i64,
}

/// What a call does that a limit has no room for.
enum Instead {
    Wait(Duration),
    Downgrade(String),
}

impl Door<'_> {
    fn refused(
        &self,
        open: &Open,
        claim: usize,
        over: Over,
        standings: &[Option<Standing>],
    ) -> Result<Instead, Fault> {
        let Some(limit) = self.limits.get(claim) else {
            let message = "a limit refused the call, and nobody knows which";
            return Err(Fault::new(Origin::Gateway, Kind::Internal, message));
        };
        let at_limit = over.cause == Cause::Limit;
        let retry = over.retry_us.map(|us| Duration::from_micros(us.unsigned_abs()).min(ASK_AGAIN));
        match (&limit.exceeded, retry, self.turn) {
            (Exceeded::Queue, Some(retry), _) if at_limit && Instant::now() + retry < self.until => {
                self.core.count(Counter::LimitsWaited);
                Ok(Instead::Wait(retry))
            }
            (Exceeded::Downgrade(model), _, Turn::First) if at_limit => {
                self.core.count(Counter::LimitsDowngraded);
                Ok(Instead::Downgrade(model.clone()))
            }
            (Exceeded::Refuse | Exceeded::Queue | Exceeded::Downgrade(_), _, _) => {
                self.core.count(Counter::LimitsRefused);
                let mut fault = limit::refusal(limit, &over, self.now_us);
                fault.headers = self.told(open, standings).into();
                Err(fault)
            }
        }
    }

    /// Whether the call goes on without the targets that a limit is for: it is not for the others.
    fn goes_elsewhere(&self, called: &Called<'_>, plan: &mut Plan, claim: usize, over: &Over) -> bool {
        let limit = self.limits.get(claim).filter(|limit| !limit.only.is_of_name(called.model));
        let Some(limit) = limit else { return false };
        let is_there = |target: &Target| limit.only.is_of_target(named(target));
        if plan.targets.iter().all(is_there) {
            return false;
        }
        let why = limit::refusal(limit, over, self.now_us).message;
        plan.leave_out(|target| is_there(target).then(|| why.to_string()));
        true
    }

    /// What the caller is told of its limits. Those in shadow that would have refused it are counted.
    fn told(&self, open: &Open, standings: &[Option<Standing>]) -> Vec<(&'static str, String)> {
        let would_refuse =
            self.limits.iter().zip(standings).filter(|(limit, standing)| {
                limit.shadow && standing.is_some_and(|standing| standing.exceeded)
            });
        for (limit, _) in would_refuse {
            self.core.count(Counter::LimitsShadowed);
            let (name, whose) = (&*limit.name, &*limit.whose);
            tracing::info!(limit = name, whose, call = %open.arrival.id, "a limit in shadow would refuse a call");
        }
        limit_headers::told(open.dialect, self.limits, standings, self.now_us)
    }
}

/// Asks the ledger; what it does not know it is told first.
async fn reserve(
    core: &Core,
    tenant: Tenant,
    (now_us, hold_until_us): (i64, i64),
    claims: &[Claim],
) -> Result<Reserved, Fault> {
    let ledger = &core.shared.ledger;
    let reserved = ledger.reserve(tenant, now_us, hold_until_us, claims).await.map_err(unsound)?;
    let Reserved::Unseeded(buckets) = &reserved else { return Ok(reserved) };
    seed(core, tenant, claims, buckets).await?;
    ledger.reserve(tenant, now_us, hold_until_us, claims).await.map_err(unsound)
}

fn unsound(error: store::ledger::LedgerError) -> Fault {
    Fault::new(Origin::Gateway, Kind::Internal, error.to_string()).code("limits_failed")
}

fn away() -> Fault {
    let message = "what was used of this call's limits is being looked up; try again";
    Fault::new(Origin::Gateway, Kind::Overloaded, message).code("limit_unavailable")
}

/// Gives back what a call held of its limits, and charges what it used; nothing where it never went out. Where nobody
/// knows what it cost, it is taken to have cost what was expected. Returns what the journal's record posts.
pub(crate) fn settle(core: &Core, open: &mut Open, charge: Option<&Charge<'_>>) -> Vec<Posting> {
    let Some(claimed) = open.claimed.take() else { return Vec::new() };
    let count = |tokens: u64| i64::try_from(tokens).unwrap_or(i64::MAX);
    let used = charge.map_or_else(Used::default, |charge| Used {
        requests: 1,
        input_tokens: count(charge.tokens.input),
        output_tokens: count(charge.tokens.output),
        money: charge.cost.unwrap_or_else(|| charge.cost_least.max(claimed.cost.unwrap_or(Money::ZERO))),
    });
    let of = |(number, limit): (usize, &Arc<Limit>)| match claimed.of_targets.get(number) {
        Some(true) => limit.meter.of(&used_there(open, limit, &used)),
        Some(false) | None => limit.meter.of(&used),
    };
    let actual: Vec<i64> = claimed.limits.iter().enumerate().map(of).collect();
    core.shared.ledger.settle(now_us(), &claimed.hold, &actual);
    if let Some((learns, charge)) = claimed.learns.zip(charge) {
        forecast::learn(core, open, learns, charge.tokens, charge.cost);
    }
    let postings = postings(&claimed.hold, &actual);
    core.shared.seeds.posted(claimed.hold.tenant, &postings);
    postings
}

/// What a call used of it at the targets that a limit is for.
fn used_there(open: &Open, limit: &Limit, used: &Used) -> Used {
    let is_there = |target: &Target| limit.only.is_of_target(named(target));
    let cost = |there: bool| {
        let attempts = open.attempts.iter().filter(|attempt| is_there(&attempt.target) == there);
        attempts.filter_map(|attempt| attempt.cost).fold(Money::ZERO, Money::saturating_add)
    };
    let asked = open.attempts.iter().any(|attempt| is_there(&attempt.target));
    let requests = if asked { used.requests } else { 0 };
    if open.target.as_ref().is_some_and(is_there) {
        let elsewhere = cost(false).picodollars();
        let money = Money(used.money.picodollars().saturating_sub(elsewhere).max(0));
        return Used { requests, money, ..*used };
    }
    Used { requests, money: cost(true), ..Used::default() }
}

/// What work posts that is charged when it has ended: nobody held anything for it. The journal takes its record once
/// however often it is looked at, and tells the ledger. `money_max` is what counts where nothing unpriced is allowed.
pub(crate) fn post_later(
    core: &Core,
    open: &Open,
    target: (&str, &str),
    used: &Used,
    money_max: Money,
) -> Vec<Posting> {
    let called = Called {
        principal: &open.principal,
        operation: open.operation,
        model: &open.model_asked,
        end_user: open.end_user.as_deref(),
        tags: &open.tags,
    };
    let limits = limit::holding(&called, iter::once(target));
    let claims = limit::claims(&limits, &called, &Expected::default(), &core.callers().given, now_us());
    let strict = Used { money: money_max, ..*used };
    let used = |limit: &Limit| limit.meter.of(if limit.allows_unpriced { used } else { &strict });
    let postings = limits.iter().zip(&claims).filter_map(|(limit, claim)| posting(claim, used(limit)));
    let postings: Vec<Posting> = postings.collect();
    core.shared.seeds.posted_alone(tenant(&open.principal), &postings);
    postings
}

/// What a hold comes to in counters that must outlive every process.
fn postings(hold: &Hold, actual: &[i64]) -> Vec<Posting> {
    hold.held.iter().zip(actual).filter_map(|(held, amount)| posting(&held.claim, *amount)).collect()
}

fn posting(claim: &Claim, amount: i64) -> Option<Posting> {
    let Rule::Window { slot_us, ends_us, .. } = claim.rule else { return None };
    let bucket = Uuid::from_u128(claim.bucket.0);
    (claim.durable && amount != 0).then_some(Posting { bucket, slot_us, amount, until_us: ends_us })
}

/// Whose counters are kept together.
fn tenant(principal: &policy::principal::Principal) -> Tenant {
    Tenant(principal.organization.map_or(0, |id| id.as_u128()))
}

fn micros(span: Duration) -> i64 {
    i64::try_from(span.as_micros()).unwrap_or(i64::MAX)
}

/// Has the ledger told what the database knows of buckets that it has not heard of.
async fn seed(core: &Core, tenant: Tenant, claims: &[Claim], buckets: &[Bucket]) -> Result<(), Fault> {
    let wanted = claims.iter().filter(|claim| buckets.contains(&claim.bucket)).copied().collect();
    core.shared.seeds.ask(tenant, wanted).await.ok_or_else(away)
}

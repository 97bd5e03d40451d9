//! The end of a call, once: what it cost, its record, its metrics.

use std::{
    borrow::Cow,
    rc::Rc,
    sync::atomic::Ordering::Relaxed,
    time::{Duration, Instant},
};

use policy::{
    Money,
    concurrency::Seen,
    health::Shown,
    lesson, outlier, price,
    record::{AppliedPrice, Candidate, Counted, Outcome, Record, Routed, Tokens, Tried, Units},
    route::{Plan, Target},
    strategy::{Strategy, adaptive::Reaped},
};
use wire::{Counting, Fault, Form};

use crate::{
    call::{Attempt, Open},
    core::Core,
    experiment,
    limits::{self, Charge},
    metrics::Counter,
    settle_later, shadow,
};

/// How a call ended.
pub(crate) enum Ending {
    Complete,
    /// No answer began; the last fault says why.
    Failed(Fault),
    /// The answer broke off after it had begun.
    Cut(Fault),
    /// The caller went away.
    Cancelled,
}

/// What the caller is told of the settlement.
pub(crate) struct Receipt {
    pub(crate) cost: Option<Money>,
}

/// Charges, journals and counts a call.
pub(crate) fn settle(core: &Rc<Core>, mut open: Open, ending: Ending) -> Receipt {
    core.metrics.subtract(Counter::CallsOpen, 1);
    core.shared.calls_open.fetch_sub(1, Relaxed);
    if !open.noted {
        let _ = limits::settle(core, &mut open, None);
        core.count(Counter::CallsRefused);
        return Receipt { cost: None };
    }
    let (outcome, fault) = match &ending {
        Ending::Complete => (Outcome::Complete, None),
        Ending::Failed(fault) => (Outcome::Failed, Some(fault)),
        Ending::Cut(fault) => (Outcome::Cut, Some(fault)),
        Ending::Cancelled => (Outcome::Cancelled, None),
    };
    let works = open.meter.take_ended_works();
    let bill = if works.is_empty() { bill(&mut open, outcome) } else { aside(&open) };
    settle_later::charge_all(core, &open, &works);
    if open.meter.disbelieved {
        let target = open.target.as_ref().map_or("", |target| &target.provider.facts.id);
        tracing::warn!(
            call = %open.arrival.id, provider = target,
            "the provider reports a use that cannot be true; what can be counted here is charged"
        );
    }
    teach(core, &mut open, fault, &bill);
    let charge = Charge { tokens: &bill.tokens, cost: bill.all, cost_least: bill.least };
    let postings = limits::settle(core, &mut open, Some(&charge));
    let record = Record { postings, ..record(&open, outcome, fault.map(|fault| fault.kind.name()), bill) };
    core.metrics.settled(&record);
    experiment::tell(core, &open, &record);
    if let Err(error) = core.spool.borrow_mut().done(&record) {
        // The note is in the spool: the call will come to a record of unknown end.
        core.count(Counter::SpoolFailures);
        tracing::error!(%error, call = %record.id, "the end of a call could not be written");
    }
    tracing::debug!(
        call = %record.id, key = &*record.key_name, provider = &*record.provider, model = &*record.model,
        outcome = record.outcome.name(), status = record.status, total_us = record.total_us, "call"
    );
    let receipt = Receipt { cost: record.cost };
    if outcome == Outcome::Complete {
        shadow::follow(core, &mut open);
    }
    receipt
}

/// Ends a call that the gateway has answered by itself: it was a request, and nothing has left that a record would tell
/// of.
pub(crate) fn here(core: &Core, mut open: Open) {
    core.metrics.subtract(Counter::CallsOpen, 1);
    core.shared.calls_open.fetch_sub(1, Relaxed);
    let nothing = Charge { tokens: &Tokens::default(), cost: Some(Money::ZERO), cost_least: Money::ZERO };
    let _ = limits::settle(core, &mut open, Some(&nothing));
}

/// What a call used, and what that costs.
struct Bill {
    tokens: Tokens,
    units: Units,
    counted: Counted,
    /// Of the answer.
    own: Option<Money>,
    /// Of all attempts.
    all: Option<Money>,
    /// What is known of that.
    least: Money,
}

/// The bill of a call whose use is that of work done aside, which is charged on its own.
fn aside(open: &Open) -> Bill {
    let others = open.attempts.iter().filter_map(|attempt| attempt.cost);
    let others = others.fold(Money::ZERO, Money::saturating_add);
    let (tokens, units) = (Tokens::default(), Units::default());
    let counted = Counted::Nothing;
    Bill { tokens, units, counted, own: Some(Money::ZERO), all: Some(others), least: others }
}

fn bill(open: &mut Open, outcome: Outcome) -> Bill {
    let under_way = open.attempts.iter().any(|attempt| attempt.ended.is_none());
    let mut own_broke = false;
    // What an answer that broke off has cost is the call's own, where no other came after it.
    if let Some(last) = open.attempts.last_mut().filter(|last| outcome == Outcome::Cut && last.broke) {
        (last.cost, last.broke) = (None, false);
        own_broke = true;
    }
    let (tokens, units, counted) = if under_way || own_broke {
        count(open, outcome)
    } else {
        (Tokens::default(), Units::default(), Counted::Nothing)
    };
    let own = cost(open, &tokens, &units, counted);
    // Where a caller goes away while two are asked, both have read its request.
    let last = open.attempts.iter().rposition(|attempt| attempt.ended.is_none()).unwrap_or_default();
    for attempt in open.attempts.iter_mut().take(last).filter(|attempt| attempt.ended.is_none()) {
        attempt.cost = cost_of_reading(&open.prompt, &attempt.target);
    }
    let unpriced = open.attempts.iter().any(|attempt| attempt.broke && attempt.cost.is_none());
    let others = open.attempts.iter().filter_map(|attempt| attempt.cost);
    let others = others.fold(Money::ZERO, Money::saturating_add);
    let least = own.unwrap_or(Money::ZERO).saturating_add(others);
    let all = own.filter(|_| !unpriced).map(|_| least);
    Bill { tokens, units, counted, own, all, least }
}

fn cost(open: &Open, tokens: &Tokens, units: &Units, counted: Counted) -> Option<Money> {
    let facts = open.target.as_ref().and_then(Target::facts);
    match facts.and_then(|facts| facts.price.as_ref()) {
        // Where nothing was used there is nothing to pay, whatever the price.
        _ if counted == Counted::Nothing => Some(Money::ZERO),
        _ if counted == Counted::Unknown => None,
        Some(price) => price::cost(price, tokens, units),
        None => None,
    }
}

/// What an answer that broke off has cost.
pub(crate) fn cost_so_far(open: &Open) -> Option<Money> {
    let (tokens, units, counted) = count(open, Outcome::Cut);
    cost(open, &tokens, &units, counted)
}

/// What a target may charge for reading a request, whatever becomes of its answer.
pub(crate) fn cost_of_reading(prompt: &[u8], target: &Target) -> Option<Money> {
    let price = target.facts().and_then(|facts| facts.price.as_ref())?;
    let input = wire::count::estimate_request(prompt);
    price::cost(price, &Tokens { input, ..Tokens::default() }, &Units::default())
}

/// Ends the attempts that are under way, and learns from the one that answered.
fn teach(core: &Core, open: &mut Open, fault: Option<&Fault>, bill: &Bill) {
    let at = Instant::now();
    let mut vitals = core.own_vitals();
    let now = core.moment(at);
    let answered = open.meter.first_byte;
    let goes_on = open.plan.as_ref().is_some_and(|plan| plan.goes_on);
    let stream = open.stream;
    // What the caller had no time for is not the target's doing.
    let blamed = fault.filter(|fault| !open.is_hasty(fault, at));
    for attempt in open.attempts.iter_mut().filter(|attempt| attempt.ended.is_none()) {
        attempt.ended = Some(at);
        attempt.status = (open.status > 0).then_some(open.status);
        attempt.fault = fault.map(|fault| fault.kind.name());
        if let Some(fault) = blamed {
            lesson::failed(&mut vitals, &attempt.target, attempt.credential, fault, now);
        } else if fault.is_none() && answered.is_some() {
            vitals.ended(attempt.target.id, &shown((attempt, answered), stream, goes_on, bill));
        } else {
            vitals.let_go(attempt.target.id);
        }
        if let Some(permit) = attempt.permit.take() {
            // The answer that another target began says nothing of how soon this one answers.
            let wait = answered.and_then(|at| at.checked_duration_since(attempt.began));
            let seen = wait.map_or(Seen::Nothing, |wait| Seen::answer(stream, bill.tokens.output, wait));
            permit.give_back(blamed.map_or(seen, Seen::fault));
        }
        let Some(plan) = &open.plan else { continue };
        if blamed.is_some() {
            outlier::eject(&mut vitals, plan, &attempt.target, now);
        }
        if let Strategy::Adaptive(weights) = &plan.strategy
            && (blamed.is_some() || (fault.is_none() && answered.is_some()))
        {
            let wait = answered.map_or(Duration::ZERO, |at| at.saturating_duration_since(attempt.began));
            let cost = bill.own.and_then(|cost| u64::try_from(cost.picodollars()).ok());
            let reaped = Reaped { answered: fault.is_none(), wait, cost };
            vitals.arms(plan.route, now).learn(attempt.target.id, weights, &reaped);
        }
    }
    if let Some(plan) = open.plan.as_ref().filter(|plan| plan.hedging.is_some()) {
        let amount = |cost: Option<Money>| cost.and_then(|cost| u64::try_from(cost.picodollars()).ok());
        let hedged = open.attempts.iter().filter(|attempt| !attempt.broke);
        let hedged = hedged.filter_map(|attempt| amount(attempt.cost)).sum();
        vitals.hedges(plan.route, now).settle(amount(bill.all).unwrap_or_default(), hedged);
    }
    core.tell(&mut vitals);
}

/// What an answer has shown of its target. How fast tokens come can be told of a stream only.
fn shown(
    (attempt, answered): (&Attempt, Option<Instant>),
    stream: bool,
    goes_on: bool,
    bill: &Bill,
) -> Shown {
    Shown {
        wait: answered.map(|at| at.saturating_duration_since(attempt.began)),
        flow: answered
            .filter(|_| stream)
            .zip(attempt.ended)
            .map(|(at, end)| end.saturating_duration_since(at)),
        output_tokens: bill.tokens.output,
        input_tokens: bill.tokens.input,
        cached_tokens: bill.tokens.cache_read,
        went_on: goes_on,
    }
}

fn record<'a>(open: &'a Open, outcome: Outcome, fault: Option<&'static str>, bill: Bill) -> Record<'a> {
    let facts = open.target.as_ref().and_then(Target::facts);
    let since = |at: Instant| {
        u64::try_from(at.saturating_duration_since(open.arrival.at).as_micros()).unwrap_or(u64::MAX)
    };
    Record {
        id: open.arrival.id,
        started_us: open.arrival.started_us,
        key_id: open.principal.id,
        key_name: borrowed(&open.principal.name),
        operation: borrowed(open.operation.name()),
        dialect: borrowed(open.form.map_or(open.dialect.name(), Form::name)),
        first_byte_us: open.meter.first_byte.map(since),
        total_us: since(Instant::now()),
        model_asked: borrowed(&open.model_asked),
        provider: borrowed(open.target.as_ref().map_or("", |target| &target.provider.facts.id)),
        model: borrowed(open.target.as_ref().map_or("", |target| &target.model)),
        stream: open.stream,
        outcome,
        status: open.status,
        fault: fault.map(borrowed),
        stop: open.meter.stop.as_deref().map(borrowed),
        tokens: bill.tokens,
        units: bill.units,
        counted: bill.counted,
        cost: bill.all,
        price: facts.and_then(|facts| facts.price_json.as_deref()).map(|json| AppliedPrice(borrowed(json))),
        losses: open.losses.iter().map(ToString::to_string).collect(),
        attempts: open.attempts.iter().map(|attempt| tried(attempt, since(attempt.began))).collect(),
        routed: open.plan.as_ref().and_then(|plan| routed(plan, &open.standing)),
        experiment: experiment::label(open).map(Cow::Owned),
        stand: open.principal.stand,
        end_user: open.end_user.as_deref().map(borrowed),
        tags: open.all_tags(),
        postings: Vec::new(),
    }
}

fn tried(attempt: &Attempt, began_us: u64) -> Tried<'_> {
    let credentials = &attempt.target.provider.credentials;
    let credential = (credentials.len() > 1).then(|| {
        let name = credentials.get(attempt.credential).and_then(|credential| credential.name.as_deref());
        name.map_or_else(|| attempt.credential.to_string().into(), borrowed)
    });
    let total = attempt.ended.map_or(Duration::ZERO, |ended| ended.saturating_duration_since(attempt.began));
    Tried {
        provider: borrowed(&attempt.target.provider.facts.id),
        model: borrowed(&attempt.target.model),
        credential,
        status: attempt.status,
        fault: attempt.fault.map(borrowed),
        began_us,
        total_us: u64::try_from(total.as_micros()).unwrap_or(u64::MAX),
        sent: attempt.sent,
        cost: attempt.cost,
        told_chars: attempt.told_chars,
    }
}

/// How the target was chosen, where there was something to choose.
fn routed<'a>(plan: &'a Plan, standing: &'a [Cow<'static, str>]) -> Option<Routed<'a>> {
    if standing.is_empty() && plan.rule.is_none() {
        return None;
    }
    let asked = plan.targets.iter().zip(standing).map(|(target, standing)| Candidate {
        provider: borrowed(&target.provider.facts.id),
        model: borrowed(&target.model),
        why: borrowed(standing),
    });
    let skipped = plan.skipped.iter().map(|skipped| Candidate {
        provider: borrowed(&skipped.provider),
        model: borrowed(&skipped.model),
        why: borrowed(&skipped.why),
    });
    Some(Routed {
        strategy: borrowed(plan.strategy.name()),
        rule: plan.rule.as_deref().map(borrowed),
        candidates: asked.chain(skipped).collect(),
    })
}

fn borrowed(text: &str) -> Cow<'_, str> {
    Cow::Borrowed(text)
}

/// What was used, as the provider reported it, or as counted here where it did not or could not.
fn count(open: &Open, outcome: Outcome) -> (Tokens, Units, Counted) {
    let generated = open.meter.generated_tokens();
    match (open.meter.usage(), outcome) {
        (Some(usage), _) if open.meter.disbelieved => {
            let (mut tokens, _, counted) = estimated(open, generated);
            tokens.input = tokens.input.max(usage.input_tokens);
            tokens.output = tokens.output.max(usage.output_tokens);
            (tokens, Units::default(), counted)
        }
        (Some(usage), Outcome::Complete) => (usage.into(), usage.into(), Counted::Reported),
        // What is reported before the end is what stood at the beginning.
        (Some(usage), _) => {
            let mut tokens = Tokens::from(usage);
            if tokens.output >= generated {
                return (tokens, usage.into(), Counted::Reported);
            }
            tokens.output = generated;
            (tokens, usage.into(), Counted::Estimated)
        }
        (None, Outcome::Failed) => (Tokens::default(), Units::default(), Counted::Nothing),
        // What broke before it said anything was no answer.
        (None, Outcome::Cut) if generated == 0 => (Tokens::default(), Units::default(), Counted::Nothing),
        (None, _) => match open.counting() {
            Counting::Text => estimated(open, generated),
            // What was passed through and said something was a model's answer.
            Counting::Unknown if generated > 0 => estimated(open, generated),
            Counting::Unknown => (Tokens::default(), Units::default(), Counted::Unknown),
            Counting::Free => (Tokens::default(), Units::default(), Counted::Nothing),
        },
    }
}

fn estimated(open: &Open, output: u64) -> (Tokens, Units, Counted) {
    let input = wire::count::estimate_request(&open.prompt);
    (Tokens { input, output, ..Tokens::default() }, Units::default(), Counted::Estimated)
}

/// Settles what was dropped before its end: the caller went away.
pub(crate) fn abandoned(core: &Rc<Core>) {
    let calls = std::mem::take(&mut *core.abandoned.borrow_mut());
    for open in calls {
        settle(core, open, Ending::Cancelled);
    }
}

//! The end of a call, once: what it cost, its record, its metrics.

use std::{borrow::Cow, rc::Rc, sync::atomic::Ordering::Relaxed, time::Instant};

use policy::{
    Money, price,
    record::{AppliedPrice, Counted, Outcome, Record, Tokens, Tried, Units},
    route::Target,
};
use wire::{Counting, Fault, Form};

use crate::{
    call::{Attempt, Open},
    core::Core,
    metrics::Counter,
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
        core.count(Counter::CallsRefused);
        return Receipt { cost: None };
    }
    let (outcome, fault) = match &ending {
        Ending::Complete => (Outcome::Complete, None),
        Ending::Failed(fault) => (Outcome::Failed, Some(fault)),
        Ending::Cut(fault) => (Outcome::Cut, Some(fault)),
        Ending::Cancelled => (Outcome::Cancelled, None),
    };
    let fault = fault.map(|fault| fault.kind.name());
    close_attempt(&mut open, fault);
    let record = record(&open, outcome, fault);
    core.metrics.settled(&record);
    if let Err(error) = core.spool.borrow_mut().done(&record) {
        // The note is in the spool: the call will come to a record of unknown end.
        core.count(Counter::SpoolFailures);
        tracing::error!(%error, call = %record.id, "the end of a call could not be written");
    }
    tracing::debug!(
        call = %record.id, key = &*record.key_name, provider = &*record.provider, model = &*record.model,
        outcome = record.outcome.name(), status = record.status, total_us = record.total_us, "call"
    );
    Receipt { cost: record.cost }
}

fn record<'a>(open: &'a Open, outcome: Outcome, fault: Option<&'static str>) -> Record<'a> {
    let (tokens, units, counted) = count(open, outcome);
    let facts = open.target.as_ref().and_then(Target::facts);
    let price = facts.and_then(|facts| facts.price.as_ref());
    let cost = match price {
        // Where nothing was used there is nothing to pay, whatever the price.
        _ if counted == Counted::Nothing => Some(Money::ZERO),
        _ if counted == Counted::Unknown => None,
        Some(price) => price::cost(price, &tokens, &units),
        None => None,
    };
    let since = |at: Instant| {
        u64::try_from(at.saturating_duration_since(open.arrival.at).as_micros()).unwrap_or(u64::MAX)
    };
    Record {
        id: open.arrival.id,
        started_us: open.arrival.started_us,
        key_id: open.key.id,
        key_name: borrowed(&open.key.name),
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
        tokens,
        units,
        counted,
        cost,
        price: facts.and_then(|facts| facts.price_json.as_deref()).map(|json| AppliedPrice(borrowed(json))),
        losses: open.losses.iter().map(ToString::to_string).collect(),
        attempts: open.attempts.iter().map(tried).collect(),
    }
}

fn tried(attempt: &Attempt) -> Tried<'_> {
    Tried {
        provider: borrowed(&attempt.target.provider.facts.id),
        model: borrowed(&attempt.target.model),
        status: attempt.status,
        fault: attempt.fault.map(borrowed),
        total_us: attempt.total_us,
        sent: attempt.sent,
    }
}

fn borrowed(text: &str) -> Cow<'_, str> {
    Cow::Borrowed(text)
}

/// An attempt that was under way when the call ended.
fn close_attempt(open: &mut Open, fault: Option<&'static str>) {
    let (Some(began), Some(target)) = (open.attempt_began.take(), &open.target) else { return };
    open.attempts.push(Attempt {
        target: target.clone(),
        status: (open.status > 0).then_some(open.status),
        fault,
        total_us: u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX),
        sent: true,
    });
}

/// What was used, as the provider reported it, or as counted here where it did not or could not.
fn count(open: &Open, outcome: Outcome) -> (Tokens, Units, Counted) {
    let generated = open.meter.generated_tokens();
    match (open.meter.usage(), outcome) {
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
        (None, _) if open.free => (Tokens::default(), Units::default(), Counted::Nothing),
        (None, _) => match open.operation.counting() {
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

//! The end of a call, once: what it cost, its record, its metrics.

use std::{rc::Rc, sync::atomic::Ordering::Relaxed};

use policy::{
    Money, price,
    record::{Counted, Outcome, Record, Tokens, Tried},
};
use wire::Fault;

use crate::{call::Open, core::Core, metrics::Counter};

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
pub(crate) fn settle(core: &Rc<Core>, open: Open, ending: Ending) -> Receipt {
    core.metrics.subtract(Counter::CallsOpen, 1);
    core.shared.calls_open.fetch_sub(1, Relaxed);
    if !open.noted {
        core.count(Counter::CallsRefused);
        return Receipt { cost: None };
    }
    let record = record(open, ending);
    core.metrics.settled(&record);
    if let Err(error) = core.spool.borrow_mut().done(&record) {
        // The note is in the spool: the call will come to a record of unknown end.
        core.count(Counter::SpoolFailures);
        tracing::error!(%error, call = %record.id, "the end of a call could not be written");
    }
    tracing::debug!(
        call = %record.id, key = record.key_name, provider = record.provider, model = record.model,
        outcome = record.outcome.name(), status = record.status, total_us = record.total_us, "call"
    );
    Receipt { cost: record.cost }
}

fn record(mut open: Open, ending: Ending) -> Record {
    let (outcome, fault) = match ending {
        Ending::Complete => (Outcome::Complete, None),
        Ending::Failed(fault) => (Outcome::Failed, Some(fault)),
        Ending::Cut(fault) => (Outcome::Cut, Some(fault)),
        Ending::Cancelled => (Outcome::Cancelled, None),
    };
    let fault = fault.map(|fault| fault.kind.name().to_owned());
    close_attempt(&mut open, fault.as_deref());
    let (tokens, counted) = count(&open, outcome);
    let (provider, model) = match &open.target {
        Some(target) => (target.provider.facts.id.clone(), target.model.clone()),
        None => (String::new(), String::new()),
    };
    let price = open.target.as_ref().and_then(|target| target.facts()?.price.clone());
    let cost = match &price {
        // Where nothing was used there is nothing to pay, whatever the price.
        _ if counted == Counted::Nothing => Some(Money::ZERO),
        Some(price) => price::cost(price, &tokens),
        None => None,
    };
    let since = |at: std::time::Instant| {
        u64::try_from(at.saturating_duration_since(open.arrival.at).as_micros()).unwrap_or(u64::MAX)
    };
    Record {
        id: open.arrival.id,
        started_us: open.arrival.started_us,
        key_id: open.key.id,
        key_name: open.key.name.clone(),
        dialect: open.dialect.name().to_owned(),
        first_byte_us: open.meter.first_byte.map(since),
        total_us: since(std::time::Instant::now()),
        model_asked: open.model_asked,
        provider,
        model,
        stream: open.stream,
        outcome,
        status: open.status,
        fault,
        stop: open.meter.stop,
        tokens,
        counted,
        cost,
        price,
        losses: open.losses.iter().map(ToString::to_string).collect(),
        attempts: open.attempts,
    }
}

/// An attempt that was under way when the call ended.
fn close_attempt(open: &mut Open, fault: Option<&str>) {
    let (Some(began), Some(target)) = (open.attempt_began.take(), &open.target) else { return };
    open.attempts.push(Tried {
        provider: target.provider.facts.id.clone(),
        model: target.model.clone(),
        status: (open.status > 0).then_some(open.status),
        fault: fault.map(str::to_owned),
        total_us: u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX),
        sent: true,
    });
}

/// Tokens as the provider reported them, or as counted here where it did not or could not.
fn count(open: &Open, outcome: Outcome) -> (Tokens, Counted) {
    let generated = open.meter.generated_tokens();
    match (open.meter.usage(), outcome) {
        (Some(usage), Outcome::Complete) => (usage.into(), Counted::Reported),
        // What is reported before the end is what stood at the beginning.
        (Some(usage), _) => {
            let mut tokens = Tokens::from(usage);
            if tokens.output >= generated {
                return (tokens, Counted::Reported);
            }
            tokens.output = generated;
            (tokens, Counted::Estimated)
        }
        (None, Outcome::Failed) => (Tokens::default(), Counted::Nothing),
        (None, _) => {
            let input = wire::count::estimate_request(&open.prompt);
            (Tokens { input, output: generated, ..Tokens::default() }, Counted::Estimated)
        }
    }
}

/// Settles what was dropped before its end: the caller went away.
pub(crate) fn abandoned(core: &Rc<Core>) {
    let calls = std::mem::take(&mut *core.abandoned.borrow_mut());
    for open in calls {
        settle(core, open, Ending::Cancelled);
    }
}

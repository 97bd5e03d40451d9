//! Batches, and responses in the background: what one used is known when it has ended, and whoever looks at it then
//! brings it to the journal, once.

use std::borrow::Cow;

use policy::{
    Money,
    limit::Used,
    price,
    record::{AppliedPrice, Counted, Outcome, Record, Tokens, Units},
    route::Target,
};
use wire::Operation;

use crate::{call::Call, limits, metrics::Counter};

/// Charges work that an answer shows to have ended. Its record's id follows from the work's own, so that it is in the
/// journal once however often it is looked at.
pub(crate) fn settle_later(call: &mut Call, target: &Target, body: &[u8]) {
    let Some(form) = target.form else { return };
    let Some(work) = form.ended_later(body) else { return };
    let provider = target.provider.facts.id.as_str();
    let (tokens, units) = (Tokens::from(&work.usage), Units::from(&work.usage));
    let facts = target.provider.facts.model(&work.model);
    let price = facts.and_then(|facts| facts.price.as_ref());
    // A batch has a price of its own; what a response used costs what it costs at once.
    let (operation, cost): (_, fn(_, _, _) -> _) = if form.operation() == Operation::Batches {
        (Operation::Batches, price::batch_cost)
    } else {
        (Operation::Chat, price::cost)
    };
    let core = std::rc::Rc::clone(call.core());
    let open = call.open();
    let cost = price.and_then(|price| cost(price, &tokens, &units));
    let count = |tokens: u64| i64::try_from(tokens).unwrap_or(i64::MAX);
    let used = Used {
        requests: 0,
        input_tokens: count(tokens.input),
        output_tokens: count(tokens.output),
        money: cost.unwrap_or(Money::ZERO),
    };
    let postings = limits::post_later(&core, open, (provider, &work.model), &used);
    let record = Record {
        id: store::later_id(provider, &work.id, work.ended_s),
        started_us: work.ended_s.saturating_mul(1_000_000),
        key_id: open.principal.id,
        key_name: Cow::Borrowed(&open.principal.name),
        operation: operation.name().into(),
        dialect: form.name().into(),
        model_asked: Cow::Borrowed(&work.model),
        provider: provider.into(),
        model: Cow::Borrowed(&work.model),
        stream: false,
        outcome: Outcome::Complete,
        status: open.status,
        fault: None,
        stop: None,
        tokens,
        units,
        counted: Counted::Reported,
        cost,
        price: facts
            .and_then(|facts| facts.price_json.as_deref())
            .map(|json| AppliedPrice(Cow::Borrowed(json))),
        first_byte_us: None,
        total_us: 0,
        losses: Vec::new(),
        attempts: Vec::new(),
        routed: None,
        experiment: None,
        stand: open.principal.stand,
        end_user: open.end_user.as_deref().map(Cow::Borrowed),
        tags: open.all_tags(),
        postings,
    };
    if let Err(error) = core.spool.borrow_mut().done(&record) {
        // Looking at it again brings it again.
        core.count(Counter::SpoolFailures);
        tracing::error!(%error, work = work.id, "ended work could not be written to the journal");
    }
}

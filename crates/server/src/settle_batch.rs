//! Batches: what one used is known when it has ended, and whoever looks at it then brings it to the journal, once.

use std::borrow::Cow;

use policy::{
    price,
    record::{AppliedPrice, Counted, Outcome, Record, Tokens, Units},
    route::Target,
};
use wire::{Form, Operation};

use crate::{call::Call, metrics::Counter};

/// Charges a batch that an answer shows to have ended. Its record's id follows from the batch's, so that it is in the
/// journal once however often it is looked at.
pub(crate) fn settle_batch(call: &mut Call, target: &Target, body: &[u8]) {
    if target.form != Some(Form::OpenaiBatches) {
        return;
    }
    let Some(batch) = Form::ended_batch(body) else { return };
    let provider = target.provider.facts.id.as_str();
    let (tokens, units) = (Tokens::from(&batch.usage), Units::from(&batch.usage));
    let facts = target.provider.facts.model(&batch.model);
    let price = facts.and_then(|facts| facts.price.as_ref());
    let core = std::rc::Rc::clone(call.core());
    let open = call.open();
    let record = Record {
        id: store::batch_id(provider, &batch.id, batch.ended_s),
        started_us: batch.ended_s.saturating_mul(1_000_000),
        key_id: open.key.id,
        key_name: Cow::Borrowed(&open.key.name),
        operation: Operation::Batches.name().into(),
        dialect: Form::OpenaiBatches.name().into(),
        model_asked: Cow::Borrowed(&batch.model),
        provider: provider.into(),
        model: Cow::Borrowed(&batch.model),
        stream: false,
        outcome: Outcome::Complete,
        status: open.status,
        fault: None,
        stop: None,
        tokens,
        units,
        counted: Counted::Reported,
        cost: price.and_then(|price| price::batch_cost(price, &tokens, &units)),
        price: facts
            .and_then(|facts| facts.price_json.as_deref())
            .map(|json| AppliedPrice(Cow::Borrowed(json))),
        first_byte_us: None,
        total_us: 0,
        losses: Vec::new(),
        attempts: Vec::new(),
    };
    if let Err(error) = core.spool.borrow_mut().done(&record) {
        // Looking at it again brings it again.
        core.count(Counter::SpoolFailures);
        tracing::error!(%error, batch = batch.id, "a batch could not be written to the journal");
    }
}

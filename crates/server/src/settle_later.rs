//! Batches, and responses in the background: what one used is known when it has ended, and whoever looks at it then
//! brings it to the journal, once.

use std::borrow::Cow;

use policy::{
    Money,
    limit::Used,
    price,
    record::{AppliedPrice, Counted, Outcome, Posting, Record, Tokens, Units},
    route::Target,
};
use wire::{EndedWork, Operation};

use crate::{call::Open, core::Core, limits, metrics::Counter};

/// The most of anything that one piece of work can use: a provider that reports more is not believed.
const USED_MAX: u64 = 100_000_000_000;
/// The latest moment that work is believed to have ended at, in seconds since 1970: 2100.
const ENDED_S_MAX: i64 = 4_102_444_800;

/// Charges work that a call's answer has shown to have ended.
pub(crate) fn charge_all(core: &Core, open: &Open, works: &[EndedWork]) {
    let Some(target) = &open.target else { return };
    works.iter().for_each(|work| charge(core, open, target, work));
}

/// What ended work used, and what that costs.
struct Bill<'b> {
    model: Option<&'b catalog::Model>,
    tokens: Tokens,
    units: Units,
    counted: Counted,
    cost: Option<Money>,
    /// What counts where nothing is allowed whose cost is not known.
    money_max: Money,
}

/// The record's id follows from the work's own, so that it is in the journal once however often it is looked at.
fn charge(core: &Core, open: &Open, target: &Target, work: &EndedWork) {
    let provider = target.provider.facts.id.as_str();
    let is_batch = work.form.operation() == Operation::Batches;
    let bill = bill(&target.provider.facts, is_batch, work);
    let ended_s = work.ended_s.clamp(0, ENDED_S_MAX);
    let record = Record {
        id: store::later_id(provider, &work.id, ended_s),
        started_us: ended_s.saturating_mul(1_000_000),
        key_id: open.principal.id,
        key_name: Cow::Borrowed(&open.principal.name),
        operation: if is_batch { Operation::Batches } else { Operation::Chat }.name().into(),
        dialect: work.form.name().into(),
        model_asked: Cow::Borrowed(&work.model),
        provider: provider.into(),
        model: Cow::Borrowed(&work.model),
        stream: false,
        outcome: Outcome::Complete,
        status: open.status,
        fault: None,
        stop: None,
        tokens: bill.tokens,
        units: bill.units,
        counted: bill.counted,
        cost: bill.cost,
        price: bill
            .model
            .and_then(|model| model.price_json.as_deref())
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
        postings: postings(core, open, (provider, &work.model), &bill),
    };
    if let Err(error) = core.spool.borrow_mut().done(&record) {
        // Looking at it again brings it again.
        core.count(Counter::SpoolFailures);
        tracing::error!(%error, work = work.id, "ended work could not be written to the journal");
    }
}

fn bill<'b>(provider: &'b catalog::Provider, is_batch: bool, work: &EndedWork) -> Bill<'b> {
    let model = provider.model(&work.model).map(std::sync::Arc::as_ref);
    if work.usage.largest() > USED_MAX {
        tracing::warn!(
            provider = provider.id,
            work = work.id,
            "the provider reports a use that cannot be true; nobody knows what the work used"
        );
        let (tokens, units) = (Tokens::default(), Units::default());
        return Bill { model, tokens, units, counted: Counted::Unknown, cost: None, money_max: Money::ZERO };
    }
    let (tokens, units) = (Tokens::from(&work.usage), Units::from(&work.usage));
    // A batch has a price of its own; what a response used costs what it costs at once.
    let cost = if is_batch { price::batch_cost } else { price::cost };
    let cost = model.and_then(|model| model.price.as_ref()).and_then(|price| cost(price, &tokens, &units));
    let money_max = cost.unwrap_or_else(|| dearest(provider, &tokens, &units));
    if cost.is_none() {
        tracing::warn!(
            provider = provider.id,
            model = work.model,
            work = work.id,
            "ended work has no known price; budgets that allow nothing unpriced count it at the dearest one"
        );
    }
    Bill { model, tokens, units, counted: Counted::Reported, cost, money_max }
}

fn postings(core: &Core, open: &Open, (provider, name): (&str, &str), bill: &Bill<'_>) -> Vec<Posting> {
    let count = |tokens: u64| i64::try_from(tokens).unwrap_or(i64::MAX);
    let used = Used {
        requests: 0,
        input_tokens: count(bill.tokens.input),
        output_tokens: count(bill.tokens.output),
        money: bill.cost.unwrap_or(Money::ZERO),
    };
    // Limits are for the names that people know: those of the catalogue.
    let model = bill.model.map_or(name, |model| &model.id);
    limits::post_later(core, open, (provider, model), &used, bill.money_max)
}

/// What the same would cost of the provider's dearest model, or of the dearest that there is: no less than it really does.
fn dearest(provider: &catalog::Provider, tokens: &Tokens, units: &Units) -> Money {
    let most = |provider: &catalog::Provider| {
        let prices = provider.models().iter().filter_map(|model| model.price.as_ref());
        prices.filter_map(|price| price::cost(price, tokens, units)).max()
    };
    most(provider).or_else(|| catalog::known().iter().filter_map(most).max()).unwrap_or(Money::ZERO)
}

//! What holds for a call before it goes out: its limits, and what may be used of them wherever its plan leads.

use std::sync::Arc;

use policy::{
    Money,
    ledger::{Claim, Hold},
    limit::{self, Adjustments, Called, Exceeded, Expected, Limit, Meter},
    route::{Plan, Target},
};
use wire::{Fault, Kind, Origin};

use crate::{
    call::Open,
    core::Core,
    forecast::{Forecast, Most, Request},
    limits::{Claimed, Turn},
};

/// The limits that hold for a call wherever its plan may lead, and what is claimed of them.
pub(crate) struct Terms {
    pub(crate) limits: Vec<Arc<Limit>>,
    forecast: Forecast,
    /// How much of each limit is claimed at most.
    room: Vec<i64>,
}

impl Terms {
    pub(crate) fn of(core: &Core, open: &Open, called: &Called<'_>, plan: &mut Plan) -> Result<Terms, Fault> {
        let mut limits = limit::holding(called, plan.targets.iter().map(named));
        let mut forecast = Forecast::nothing();
        if let Some(request) = Request::of(core, open, &limits) {
            let before = plan.targets.len();
            forecast = foreseen(open, &request, (called, &limits), plan)?;
            if plan.targets.len() < before {
                limits = limit::holding(called, plan.targets.iter().map(named));
            }
        }
        let room = vec![i64::MAX; limits.len()];
        Ok(Terms { limits, forecast, room })
    }

    pub(crate) fn claims(
        &self,
        called: &Called<'_>,
        given: &Adjustments,
        turn: Turn<'_>,
        now_us: i64,
    ) -> Vec<Claim> {
        let mut claims = limit::claims(&self.limits, called, &self.forecast.expected, given, now_us);
        claims.iter_mut().zip(&self.room).for_each(|(claim, room)| claim.amount = claim.amount.min(*room));
        if let Turn::Downgraded(model) = turn {
            let sent_here = |limit: &Limit| limit.exceeded == Exceeded::Downgrade(model.to_owned());
            let sent = claims.iter_mut().zip(&self.limits).filter(|(_, limit)| sent_here(limit));
            sent.for_each(|(claim, _)| claim.shadow = true);
        }
        claims
    }

    /// What a call uses of a limit in any case.
    pub(crate) fn sure(&self, claim: usize) -> i64 {
        self.limits.get(claim).map_or(i64::MAX, |limit| limit.sure_of(&self.forecast.expected))
    }

    /// Claims only so much of a limit.
    pub(crate) fn take(&mut self, claim: usize, amount: i64) {
        if let Some(room) = self.room.get_mut(claim) {
            *room = amount;
        }
    }

    pub(crate) fn claimed(self, called: &Called<'_>, plan: &Plan, hold: Hold) -> Claimed {
        let Terms { limits, forecast: Forecast { expected, learns, .. }, .. } = self;
        let of_targets = |limit: &Arc<Limit>| !limit.only.is_of_name(called.model);
        // What has one target only has no others to give anything back for.
        let of_targets = match plan.targets.as_slice() {
            [] | [_] => Vec::new(),
            _ => limits.iter().map(of_targets).collect(),
        };
        Claimed { limits, of_targets, hold, cost: expected.cost, learns }
    }
}

/// What a call may use, wherever its plan leads. Targets that may not be asked for what they cost are taken out.
fn foreseen(
    open: &Open,
    request: &Request<'_>,
    (called, limits): (&Called<'_>, &[Arc<Limit>]),
    plan: &mut Plan,
) -> Result<Forecast, Fault> {
    let at = |target: &Target| {
        let forecast = request.at(Some(target));
        check_request(open, &forecast.most)?;
        let holds = |limit: &&Arc<Limit>| {
            limit.only.is_of_name(called.model) || limit.only.is_of_target(named(target))
        };
        check_priced(open, limits.iter().filter(holds), &forecast.expected)?;
        Ok(forecast)
    };
    if let [target] = plan.targets.as_slice() {
        return at(target);
    }
    let (mut all, mut refused): (Option<Forecast>, _) = (None, None);
    let mut whys = Vec::with_capacity(plan.targets.len());
    for target in &plan.targets {
        let found: Result<Forecast, Fault> = at(target);
        whys.push(found.as_ref().err().map(|fault| fault.message.to_string()));
        match found {
            Ok(forecast) => {
                all = Some(match all {
                    Some(all) => all.either(forecast),
                    None => forecast,
                });
            }
            Err(fault) => refused = refused.or(Some(fault)),
        }
    }
    let Some(all) = all else { return refused.map_or_else(|| Ok(request.at(None)), Err) };
    if refused.is_some() {
        let mut whys = whys.into_iter();
        plan.leave_out(|_| whys.next().flatten());
    }
    Ok(all)
}

/// As limits name a target.
pub(crate) fn named(target: &Target) -> (&str, &str) {
    (&target.provider.facts.id, &target.model)
}

/// Whether one request is small enough by itself.
fn check_request(open: &Open, asks: &Most) -> Result<(), Fault> {
    for (whose, most) in open.principal.cost_max() {
        if let Some(tokens) = most.input_tokens.filter(|tokens| asks.input_tokens > *tokens) {
            let message = format!(
                "the prompt has about {} tokens, and {whose} allows {tokens} in one request; make it shorter",
                asks.input_tokens
            );
            return Err(Fault::new(Origin::Gateway, Kind::TooLarge, message).code("request_too_large"));
        }
        let cost = asks.cost.unwrap_or(Money::ZERO);
        if let Some(money) = most.money.filter(|money| cost > *money) {
            let message = format!(
                "this call may cost {cost} USD, and {whose} allows {money} USD for one request; make it shorter, or take a cheaper model"
            );
            return Err(Fault::new(Origin::Gateway, Kind::Forbidden, message).code("request_too_expensive"));
        }
    }
    Ok(())
}

fn check_priced<'l>(
    open: &Open,
    mut limits: impl Iterator<Item = &'l Arc<Limit>>,
    expected: &Expected,
) -> Result<(), Fault> {
    if expected.cost.is_some() {
        return Ok(());
    }
    let counts_money =
        |limit: &&Arc<Limit>| limit.meter == Meter::Money && !limit.allows_unpriced && !limit.shadow;
    match limits.find(counts_money) {
        Some(limit) => Err(limit::unpriced(limit, &open.model_asked)),
        None => Ok(()),
    }
}

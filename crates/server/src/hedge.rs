//! A second target beside the first, where the first is late: whichever begins to answer well first is the answer.

use std::{pin::pin, rc::Rc, time::Duration};

use policy::{attempt::Attempts, route::Plan};
use tokio::time::{Instant, sleep};

use crate::{
    attempt::{self, Missed, Sending},
    call::Call,
    core::Core,
    gate,
    inbound::Inbound,
    metrics::Counter,
    outbound::{encode, endpoint},
    upstream::Answer,
    world::World,
};

/// What is known of a call wherever it is sent.
#[derive(Clone, Copy)]
pub(crate) struct Journey<'a> {
    pub(crate) core: &'a Rc<Core>,
    pub(crate) world: &'a World,
    pub(crate) inbound: &'a Inbound<'a>,
    pub(crate) plan: &'a Plan,
    pub(crate) deadline: Instant,
}

/// An attempt, and what came of it.
pub(crate) type Outcome<'a> = (Sending<'a>, Result<Answer, Missed>);

/// Sends a request and, where its answer is late and there is another target, a second one. The one that is not needed is
/// cancelled. Where both fail, the later one's fault is told.
pub(crate) async fn send<'a>(
    journey: Journey<'a>,
    call: &mut Call,
    attempts: &mut Attempts,
    first: Sending<'a>,
) -> Outcome<'a> {
    let Journey { core, inbound, plan, deadline, .. } = journey;
    let delay = plan.hedging.filter(|_| plan.can_hedge() && inbound.rest().is_none());
    let delay = delay.and_then(|hedging| hedging.delay(core.vitals().health(first.target.id)));
    let Some(delay) = delay else {
        let answered = first.send(core, inbound, plan, deadline).await;
        return (first, answered);
    };
    // Boxed, since every call would carry what only hedged ones need.
    let (second, answered) = Box::pin(race(journey, call, attempts, &first, delay)).await;
    (second.unwrap_or(first), answered)
}

/// The second, where its answer is the one.
async fn race<'a>(
    journey: Journey<'a>,
    call: &mut Call,
    attempts: &mut Attempts,
    first: &Sending<'a>,
    delay: Duration,
) -> (Option<Sending<'a>>, Result<Answer, Missed>) {
    let mut one = pin!(begun(first, journey));
    tokio::select! {
        biased;
        answered = &mut one => return (None, answered),
        () = sleep(delay) => {}
    }
    let Some(second) = second(journey, call, attempts, first) else {
        return (None, one.await);
    };
    let (is_first, answered) = {
        let mut two = pin!(begun(&second, journey));
        let (is_first, answered) = tokio::select! {
            biased;
            answered = &mut one => (true, answered),
            answered = &mut two => (false, answered),
        };
        if answered.as_ref().is_ok_and(|answer| answer.status < 300) {
            let overtaken = if is_first { &second } else { first };
            attempt::close_overtaken(call, overtaken.attempt);
            (is_first, answered)
        } else {
            // One has failed: the other is all there is.
            end(call, if is_first { first } else { &second }, answered, journey.deadline).await;
            (!is_first, if is_first { two.await } else { one.await })
        }
    };
    let chosen = if is_first { first } else { &second };
    call.open().target = Some(chosen.target.clone());
    ((!is_first).then_some(second), answered)
}

/// Sends a request and waits until the first piece of its answer is there.
async fn begun(sending: &Sending<'_>, journey: Journey<'_>) -> Result<Answer, Missed> {
    let Journey { core, inbound, plan, deadline, .. } = journey;
    let mut answer = sending.send(core, inbound, plan, deadline).await?;
    let silence_max = sending.target.provider.deadlines.between_events;
    // What breaks or stalls here does so again where it is read.
    let wait = (Instant::now() + silence_max).min(deadline);
    let _ = tokio::time::timeout_at(wait, answer.body.begin()).await;
    Ok(answer)
}

/// Another target that is ready, where one more attempt can be afforded.
fn second<'a>(
    journey: Journey<'a>,
    call: &mut Call,
    attempts: &mut Attempts,
    first: &Sending<'_>,
) -> Option<Sending<'a>> {
    let Journey { core, world, inbound, plan, .. } = journey;
    let number = attempts.hedge(plan, first.number, &mut core.vitals(), core.now())?;
    let target = plan.targets.get(number)?;
    let endpoint = endpoint(world, inbound, target).ok()?;
    let outbound = encode(call.open(), inbound, target, endpoint, plan.fidelity).ok()?;
    core.count(Counter::HedgesMade);
    // A hedge waits for no place: others need it more.
    let permit = gate::try_enter(endpoint).ok()?;
    attempt::start(call, (number, target), (endpoint, outbound), permit).ok()
}

/// Ends one that failed while another is still under way.
async fn end(call: &mut Call, failed: &Sending<'_>, answered: Result<Answer, Missed>, deadline: Instant) {
    match answered {
        Ok(answer) => {
            attempt::refusal(call, failed.attempt, answer, failed.target, deadline).await;
        }
        Err(missed) => attempt::close(call, failed.attempt, None, &missed.fault, missed.sent),
    }
}

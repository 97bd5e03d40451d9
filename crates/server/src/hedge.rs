//! A second target beside the first, where the first is late: whichever begins to answer well first is the answer.

use std::{pin::pin, rc::Rc};

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

/// How often a second one is asked for while the first has not begun.
const ASKED_MAX: u32 = 8;

/// What is known of a call wherever it is sent.
#[derive(Clone, Copy)]
pub(crate) struct Journey<'a> {
    pub(crate) core: &'a Rc<Core>,
    pub(crate) world: &'a World,
    pub(crate) inbound: &'a Inbound<'a>,
    pub(crate) plan: &'a Plan,
    pub(crate) deadline: Instant,
}

/// Sends a request and, where its answer is late and there is another target, a second one. The one that is not needed is
/// cancelled. Where both fail, the later one's fault is told. What is given back beside the answer is the second one, where
/// the answer is its.
pub(crate) async fn send<'a>(
    journey: Journey<'a>,
    call: &mut Call,
    attempts: &mut Attempts,
    first: &Sending<'a>,
) -> (Option<Sending<'a>>, Result<Answer, Missed>) {
    let Journey { core, inbound, plan, deadline, .. } = journey;
    let delay = plan.hedging.and_then(|hedging| hedging.delay(core.vitals().health(first.target.id)));
    let Some(delay) = delay else {
        return (None, first.send(core, inbound, plan, deadline).await);
    };
    let mut one = pin!(begun(first, journey));
    let mut found = None;
    // Where no second one can be afforded yet, it is asked for again when as much time has passed.
    for _ in 0..ASKED_MAX {
        tokio::select! {
            biased;
            answered = &mut one => return (None, answered),
            () = sleep(delay) => {}
        }
        found = second(journey, call, attempts, first);
        if found.is_some() {
            break;
        }
    }
    let Some(second) = found else { return (None, one.await) };
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
    let number = attempts.beside(plan, first.number, &mut core.vitals(), core.now())?;
    let target = plan.targets.get(number)?;
    let endpoint = endpoint(world, inbound, target).ok()?;
    let outbound = encode(call.open(), inbound, target, endpoint, plan.fidelity).ok()?;
    // A hedge waits for no place: others need it more.
    let permit = gate::try_enter(endpoint).ok()?;
    if !attempts.hedge(plan, number, &mut core.own_vitals(), core.now()) {
        return None;
    }
    core.count(Counter::HedgesMade);
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

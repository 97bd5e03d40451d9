//! Asks targets for an answer until one begins, and hands it to the relay.

use std::rc::Rc;

use http::{HeaderValue, Response};
use policy::{
    allowance::Allowances,
    attempt::{Attempts, Failed, Step},
    lesson,
    route::{Plan, Target},
};
use tokio::time::Instant;
use wire::{Fault, Kind, Origin};

use crate::{
    attempt::{self, Missed, Refusal, Sending},
    call::Call,
    core::Core,
    gate, headers,
    hedge::{self, Journey},
    inbound::{Asks, Inbound},
    outbound::{Outbound, encode, endpoint},
    relay::{self, Body, Resumption, Told},
    settle::Ending,
    upstream::{Answer, Rest},
    world::Endpoint,
};

/// What came of asking one target.
enum Asked<'a> {
    /// An answer has begun, from this target, which was asked at this time.
    Answered(Response<Body>, &'a Target, std::time::Instant),
    /// It cannot take the request: nothing was sent.
    Unfit(Box<Call>, Fault),
    Failed(Box<Lost<'a>>),
}

/// An attempt that failed.
struct Lost<'a> {
    call: Call,
    fault: Fault,
    /// Which target failed.
    number: usize,
    target: &'a Target,
    /// Whether the request may have reached the provider.
    sent: bool,
    /// Whether an answer had begun.
    begun: bool,
    /// Whether no other target would do better.
    fatal: bool,
    /// The provider's own words.
    refusal: Option<Refusal>,
}

impl<'a> Lost<'a> {
    fn missed(call: Call, number: usize, target: &'a Target, missed: Missed) -> Lost<'a> {
        let Missed { fault, sent, fatal } = missed;
        Lost { call, fault, number, target, sent, begun: false, fatal, refusal: None }
    }
}

/// Brings a call to the beginning of an answer, or to the fault that its caller is told.
pub(crate) async fn drive(
    mut call: Call,
    inbound: &Inbound<'_>,
    plan: Plan,
) -> Result<Response<Body>, Fault> {
    let core = Rc::clone(call.core());
    let world = Rc::clone(&call.open().world);
    let deadline = Instant::from_std(call.open().until(&plan.deadlines));
    call.open().priority = gate::priority(inbound, &plan)?;
    let plan = Rc::new(plan);
    let journey = Journey { core: &core, world: &world, inbound, plan: &plan, deadline };
    let mut attempts = Attempts::new(core.moment(deadline.into_std()));
    let mut step = first(&mut call, &plan, &mut attempts);
    loop {
        let number = match step {
            Step::Try(number) => number,
            Step::Wait(span, number) => {
                tokio::time::sleep(span).await;
                number
            }
            Step::GiveUp => {
                let fault = Fault::new(Origin::Gateway, Kind::Internal, "the model has no targets");
                return Ok(give_up(call, fault, false));
            }
        };
        match ask(journey, call, &mut attempts, number).await {
            Asked::Answered(response, target, began) => {
                answered(&core, &plan, &attempts, target, began);
                return Ok(response);
            }
            Asked::Unfit(back, fault) => {
                // Where the request itself is at fault, it is so everywhere.
                let elsewhere = fault.kind == Kind::Unsupported;
                let other =
                    elsewhere.then(|| attempts.without(&plan, number, &mut core.vitals(), core.now()));
                call = *back;
                match other {
                    Some(other) if other != Step::GiveUp => step = other,
                    Some(_) | None => return Ok(give_up(call, fault, false)),
                }
            }
            Asked::Failed(lost) => {
                let failed = Failed { fault: &lost.fault, target: lost.number, sent: lost.sent };
                let spent = lost.fatal || inbound.rest().is_some_and(Rest::is_spent);
                let other = (!spent).then(|| attempts.after(&plan, &failed, &mut core.vitals(), core.now()));
                let lost = *lost;
                match (other, lost.refusal) {
                    (Some(other), _) if other != Step::GiveUp => (call, step) = (lost.call, other),
                    (_, Some(refusal)) => return Ok(relay::refusal(lost.call, refusal, lost.target)),
                    (_, None) => return Ok(give_up(lost.call, lost.fault, lost.begun)),
                }
            }
        }
    }
}

/// Tells the caller of the last fault, and settles the call.
fn give_up(mut call: Call, fault: Fault, begun: bool) -> Response<Body> {
    let dialect = call.open().dialect;
    let id = call.open().arrival.id;
    let mut response = crate::respond::fault(&fault, dialect, id);
    response.headers_mut().insert(headers::ATTEMPTS, HeaderValue::from(call.open().attempts.len()));
    call.open().status = response.status().as_u16();
    call.settle(if begun { Ending::Cut(fault) } else { Ending::Failed(fault) });
    response
}

fn first(call: &mut Call, plan: &Rc<Plan>, attempts: &mut Attempts) -> Step {
    let core = Rc::clone(call.core());
    let mut vitals = core.own_vitals();
    let now = core.now();
    let open = call.open();
    open.standing = plan.standing(&vitals, now);
    open.plan = Some(Rc::clone(plan));
    attempts.first(plan, &mut vitals, now)
}

/// The first piece of an answer has come.
fn answered(core: &Core, plan: &Plan, attempts: &Attempts, target: &Target, began: std::time::Instant) {
    let at = std::time::Instant::now();
    let mut vitals = core.own_vitals();
    let now = core.moment(at);
    vitals.answered(target.id, now, at.saturating_duration_since(began));
    attempts.answered(plan, &mut vitals, now);
    core.tell(&mut vitals);
}

/// Asks one target, and waits for its answer to begin. Another may come in between where it is late.
async fn ask<'a>(journey: Journey<'a>, mut call: Call, attempts: &mut Attempts, number: usize) -> Asked<'a> {
    let Journey { inbound, plan, deadline, .. } = journey;
    let Some(target) = plan.targets.get(number) else {
        let fault = Fault::new(Origin::Gateway, Kind::Internal, "the plan has no such target");
        return Asked::Unfit(Box::new(call), fault);
    };
    let way = match way(journey, &mut call, target) {
        Ok(way) => way,
        Err(fault) => return Asked::Unfit(Box::new(call), fault),
    };
    // A provider that takes only so many calls at a time has a place for this one, or it waits for one.
    let permit = match gate::enter(&mut call, way.0, target, deadline).await {
        Ok(permit) => permit,
        Err(missed) => return Asked::Failed(Box::new(Lost::missed(call, number, target, missed))),
    };
    let sending = match attempt::start(&mut call, (number, target), way, permit) {
        Ok(sending) => sending,
        Err(missed) => return Asked::Failed(Box::new(Lost::missed(call, number, target, missed))),
    };
    let hedged = plan.hedging.is_some() && plan.can_hedge() && inbound.rest().is_none();
    let (second, answered) = if hedged {
        // Boxed, since every call would carry what only these need.
        Box::pin(hedge::send(journey, &mut call, attempts, &sending)).await
    } else {
        (None, sending.send(journey.core, inbound, plan, deadline).await)
    };
    let sending = second.as_ref().unwrap_or(&sending);
    let (number, target) = (sending.number, sending.target);
    let answer = match answered {
        Ok(answer) => answer,
        Err(missed) => {
            attempt::close(&mut call, sending.attempt, None, &missed.fault, missed.sent);
            return Asked::Failed(Box::new(Lost::missed(call, number, target, missed)));
        }
    };
    learn(&mut call, sending, &answer);
    let lost = |call, fault| Lost {
        call,
        fault,
        number,
        target,
        sent: true,
        begun: false,
        fatal: false,
        refusal: None,
    };
    // An address that the provider points to instead is none that anybody has configured: it is not asked.
    let points_elsewhere = answer.status >= 300 && !matches!(inbound.asks, Asks::Pass { .. });
    if answer.status >= 400 || points_elsewhere {
        let refusal = attempt::refusal(&mut call, sending.attempt, answer, target, deadline).await;
        let fault = refusal.fault.clone();
        return Asked::Failed(Box::new(Lost { refusal: Some(refusal), ..lost(call, fault) }));
    }
    let (status, attempt, began) = (answer.status, sending.attempt, sending.began);
    call.open().losses.clone_from(&sending.outbound.losses);
    let relayed = match inbound.reading(target) {
        None => {
            let resumption = resumption(journey, &mut call, *attempts, sending);
            let usage_added = sending.outbound.usage_added;
            let told = Told { prompt: inbound.prompt(target), usage_added, resumption };
            relay::relay(call, answer, target, told, deadline).await
        }
        Some(reading) => relay::relay_form(call, answer, target, reading, deadline).await,
    };
    match relayed {
        Ok(response) => Asked::Answered(response, target, began),
        Err(broken) => {
            let relay::Broken { mut call, fault } = *broken;
            attempt::close_broken(&mut call, attempt, status, &fault);
            Asked::Failed(Box::new(Lost { begun: true, ..lost(call, fault) }))
        }
    }
}

/// Where a target takes the request, and the request as it takes it.
fn way<'a>(
    journey: Journey<'a>,
    call: &mut Call,
    target: &'a Target,
) -> Result<(&'a Endpoint, Outbound<'a>), Fault> {
    let endpoint = endpoint(journey.world, journey.inbound, target)?;
    let outbound = encode(call.open(), journey.inbound, target, endpoint, journey.plan.fidelity)?;
    Ok((endpoint, outbound))
}

/// What another target needs to go on with an answer that breaks off, where that is wished for.
fn resumption(
    journey: Journey<'_>,
    call: &mut Call,
    attempts: Attempts,
    sending: &Sending<'_>,
) -> Option<Box<Resumption>> {
    let open = call.open();
    let plan = open.plan.as_ref().filter(|plan| plan.continues && open.stream)?;
    let Asks::Chat { body, envelope } = &journey.inbound.asks else { return None };
    Some(Box::new(Resumption {
        parts: journey.inbound.parts.clone(),
        dialect: open.dialect,
        body: body.clone(),
        model: envelope.model.clone(),
        plan: Rc::clone(plan),
        attempts,
        number: sending.number,
        attempt: sending.attempt,
        deadline: journey.deadline,
    }))
}

/// What the answer's head tells of limits.
fn learn(call: &mut Call, sending: &Sending<'_>, answer: &Answer) {
    let core = Rc::clone(call.core());
    let credential = call.open().attempts.get(sending.attempt).map_or(0, |attempt| attempt.credential);
    let told = answer.headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes()));
    if let Some(left) = Allowances::read(told, crate::world::now_us) {
        let mut vitals = core.own_vitals();
        lesson::allowed(&mut vitals, sending.target, credential, &left, core.now());
        core.tell(&mut vitals);
    }
}

//! One request to one target: written down before it leaves, and judged when it has failed.

use std::{borrow::Cow, rc::Rc, time::Duration};

use bytes::Bytes;
use policy::{
    concurrency::Seen,
    lesson, outlier, pool,
    record::Note,
    route::{Plan, Target},
    strategy::{Strategy, adaptive::Reaped},
};
use tokio::time::Instant;
use wire::{Fault, Form, Kind, Origin};

use crate::{
    call::{Attempt, Call, Open},
    core::Core,
    experiment,
    gate::Permit,
    headers,
    inbound::{Asks, Inbound},
    meter::Meter,
    metrics::Counter,
    outbound::Outbound,
    relay, settle,
    upstream::{Answer, Exchange, Failure, FailureKind},
    world::{Door, Endpoint},
};

/// The most of a provider's error answer that is read.
const FAULT_BYTES_MAX: usize = 64 << 10;
/// What the journal says of an attempt that another one overtook.
const OVERTAKEN: &str = "overtaken";
/// How long reading it may take.
const FAULT_TIME_MAX: Duration = Duration::from_secs(10);

/// An attempt without an answer.
pub(crate) struct Missed {
    pub(crate) fault: Fault,
    /// Whether the request may have reached the provider.
    pub(crate) sent: bool,
    /// Whether no other target would do better.
    pub(crate) fatal: bool,
}

/// A provider's error answer, read.
pub(crate) struct Refusal {
    pub(crate) answer: Answer,
    pub(crate) body: Bytes,
    pub(crate) fault: Fault,
}

/// A request that is on its way to a target. It stands in the call's list of attempts.
pub(crate) struct Sending<'a> {
    /// The number of the attempt in the call's list.
    pub(crate) attempt: usize,
    /// The number of the target in the plan.
    pub(crate) number: usize,
    pub(crate) target: &'a Target,
    endpoint: &'a Endpoint,
    door: &'a Door,
    pub(crate) outbound: Outbound<'a>,
    pub(crate) began: std::time::Instant,
}

/// Begins an attempt: the call is written down, a credential is chosen.
pub(crate) fn start<'a>(
    call: &mut Call,
    (number, target): (usize, &'a Target),
    (endpoint, outbound): (&'a Endpoint, Outbound<'a>),
    permit: Option<Permit>,
) -> Result<Sending<'a>, Missed> {
    note(call, target).map_err(|fault| Missed { fault, sent: false, fatal: true })?;
    let began = std::time::Instant::now();
    let (credential, door) = door(call, target, endpoint, began)?;
    let attempt = begin(call, target, Attempt::new(target, credential, began, permit));
    Ok(Sending { attempt, number, target, endpoint, door, outbound, began })
}

impl Sending<'_> {
    /// Sends it and waits for the head of its answer.
    pub(crate) async fn send(
        &self,
        core: &Core,
        inbound: &Inbound<'_>,
        plan: &Plan,
        deadline: Instant,
    ) -> Result<Answer, Missed> {
        let mut head = head(inbound, self.target, self.door);
        let path = self.door.opening.path(&self.outbound.path);
        let mut exchange = Exchange {
            address: &self.endpoint.address,
            path: &path,
            method: &inbound.parts.method,
            head: &[],
            body: &self.outbound.body,
            rest: inbound.rest(),
            repeatable: plan.repeatable || inbound.parts.method.is_idempotent(),
            connections_max: self.target.provider.connections_max,
            connect: plan.deadlines.connect,
            first_byte: plan.deadlines.first_byte,
            deadline,
        };
        let opened = self.door.opening.open(&exchange, &mut head, &self.target.provider.facts.id).await;
        opened.map_err(|fault| Missed { fault, sent: false, fatal: false })?;
        exchange.head = &head;
        match core.pool.exchange(&exchange).await {
            Ok(answer) => {
                self.door.opening.answered(answer.status);
                Ok(answer)
            }
            Err(failure) => {
                let fault = failure_fault(&failure, self.target, plan);
                Err(Missed { fault, sent: failure.sent, fatal: false })
            }
        }
    }
}

/// The credential that opens this call, of those that the provider has.
fn door<'e>(
    call: &Call,
    target: &Target,
    endpoint: &'e Endpoint,
    at: std::time::Instant,
) -> Result<(usize, &'e Door), Missed> {
    let core = call.core();
    let credentials = &target.provider.credentials;
    let chosen = pool::choose(credentials, target.id, &target.model, &mut core.own_vitals(), core.moment(at));
    let found = chosen.and_then(|chosen| Some((chosen.number, endpoint.doors.get(chosen.number)?)));
    found.ok_or_else(|| {
        let provider = &target.provider.facts.id;
        let message = format!(
            "no credential of {provider} is for model \"{}\" (providers.{provider}.api_keys)",
            target.model
        );
        let fault = Fault::new(Origin::Gateway, Kind::QuotaExhausted, message).code("no_credential");
        Missed { fault, sent: false, fatal: false }
    })
}

/// Puts an attempt on the call's list; its number.
fn begin(call: &mut Call, target: &Target, attempt: Attempt) -> usize {
    let core = Rc::clone(call.core());
    core.count(Counter::AttemptsMade);
    core.own_vitals().begin(target.id, core.moment(attempt.began));
    let open = call.open();
    open.attempts.push(attempt);
    let experiment = open.plan.as_ref().and_then(|plan| plan.experiment.as_ref());
    let closely = experiment.is_some_and(|experiment| experiment.compares);
    open.meter = Meter::new(closely);
    open.target = Some(target.clone());
    open.attempts.len() - 1
}

/// Ends an attempt that did not become the answer.
pub(crate) fn close(call: &mut Call, number: usize, status: Option<u16>, fault: &Fault, sent: bool) {
    let core = Rc::clone(call.core());
    let at = std::time::Instant::now();
    let open = call.open();
    let hasty = open.is_hasty(fault, at);
    let Some(attempt) = open.attempts.get_mut(number).filter(|attempt| attempt.ended.is_none()) else {
        return;
    };
    attempt.ended = Some(at);
    (attempt.status, attempt.fault, attempt.sent) = (status, Some(fault.kind.name()), sent);
    let permit = attempt.permit.take();
    let mut vitals = core.own_vitals();
    if hasty {
        // What the caller had no time for is not the target's doing.
        vitals.let_go(attempt.target.id);
        return;
    }
    let now = core.moment(at);
    lesson::failed(&mut vitals, &attempt.target, attempt.credential, fault, now);
    if let Some(permit) = permit {
        permit.give_back(Seen::fault(fault));
    }
    if let Some(plan) = &open.plan {
        outlier::eject(&mut vitals, plan, &attempt.target, now);
        if let Strategy::Adaptive(weights) = &plan.strategy {
            let reaped = Reaped { answered: false, wait: Duration::ZERO, cost: None };
            vitals.arms(plan.route, now).learn(attempt.target.id, weights, &reaped);
        }
    }
    core.tell(&mut vitals);
}

/// Ends an attempt whose answer broke off before anything of it reached the caller: what was used is charged.
pub(crate) fn close_broken(call: &mut Call, number: usize, status: u16, fault: &Fault) {
    let cost = settle::cost_so_far(call.open());
    close(call, number, Some(status), fault, true);
    if let Some(attempt) = call.open().attempts.get_mut(number) {
        (attempt.cost, attempt.broke) = (cost, true);
    }
}

/// Ends an attempt that another one overtook: the provider may charge at least for what it read.
pub(crate) fn close_overtaken(call: &mut Call, number: usize) {
    let core = Rc::clone(call.core());
    let open = call.open();
    let Some(attempt) = open.attempts.get_mut(number).filter(|attempt| attempt.ended.is_none()) else {
        return;
    };
    attempt.ended = Some(std::time::Instant::now());
    attempt.fault = Some(OVERTAKEN);
    attempt.permit = None;
    attempt.cost = settle::cost_of_reading(&open.prompt, &attempt.target);
    core.own_vitals().outrun(attempt.target.id, core.now(), attempt.began.elapsed());
}

/// The header lines of a request.
fn head(inbound: &Inbound<'_>, target: &Target, door: &Door) -> Vec<u8> {
    let mut head = Vec::with_capacity(door.head.len() + 256);
    head.extend_from_slice(&door.head);
    let mut line = |name: &str, value: &[u8]| {
        for piece in [name.as_bytes(), b": ", value, b"\r\n"] {
            head.extend_from_slice(piece);
        }
    };
    let caller = &inbound.parts.headers;
    if let Asks::Pass { .. } = inbound.asks {
        headers::passed(caller).for_each(|(name, value)| line(name, value));
        return head;
    }
    match inbound.content_type() {
        Some(kind) => line("content-type", kind),
        None => line("content-type", b"application/json"),
    }
    headers::forwarded(caller, target.dialect).for_each(|(name, value)| line(name, value));
    head
}

/// Writes the call down, once, before anything of it leaves.
fn note(call: &mut Call, target: &Target) -> Result<(), Fault> {
    let core = Rc::clone(call.core());
    let open: &mut Open = call.open();
    if open.noted {
        return Ok(());
    }
    let note = Note {
        id: open.arrival.id,
        started_us: open.arrival.started_us,
        key_id: open.principal.id,
        key_name: open.principal.name.as_str().into(),
        operation: open.operation.name().into(),
        dialect: open.form.map_or(open.dialect.name(), Form::name).into(),
        model_asked: open.model_asked.as_str().into(),
        provider: target.provider.facts.id.as_str().into(),
        model: (&*target.model).into(),
        stream: open.stream,
        stand: open.principal.stand,
        end_user: open.end_user.as_deref().map(Cow::Borrowed),
        experiment: experiment::label(open).map(Cow::Owned),
    };
    let noted = core.spool.borrow_mut().note(&note);
    if let Err(error) = noted {
        core.count(Counter::SpoolFailures);
        tracing::error!(%error, "a call could not be noted");
        let message = "the journal cannot be written, so nothing is sent; see the gateway's log";
        return Err(Fault::new(Origin::Gateway, Kind::Overloaded, message).code("journal_unavailable"));
    }
    open.noted = true;
    Ok(())
}

/// Reads an error answer, and ends its attempt.
pub(crate) async fn refusal(
    call: &mut Call,
    number: usize,
    mut answer: Answer,
    target: &Target,
    deadline: Instant,
) -> Refusal {
    let wait = (Instant::now() + FAULT_TIME_MAX).min(deadline);
    let read = relay::collect(&mut answer.body, FAULT_BYTES_MAX, FAULT_TIME_MAX);
    let body = tokio::time::timeout_at(wait, read).await.ok().and_then(Result::ok).unwrap_or_default();
    let after = retry_after(&answer.headers, crate::world::now_us());
    let fault = target.dialect.decode_fault(answer.status, after, &body);
    close(call, number, Some(answer.status), &fault, true);
    Refusal { answer, body, fault }
}

/// How long to wait, in seconds or until a date (RFC 9110, section 10.2.3), or in OpenAI's own header in milliseconds.
fn retry_after(headers: &http::HeaderMap, now_us: i64) -> Option<Duration> {
    let text = |name: &str| headers.get(name)?.to_str().ok().map(str::trim);
    let number = |name: &str| text(name)?.parse::<u64>().ok();
    let date = || {
        let date = jiff::fmt::rfc2822::parse(text("retry-after")?).ok()?;
        let left = date.timestamp().as_microsecond().saturating_sub(now_us);
        Some(Duration::from_micros(u64::try_from(left).unwrap_or_default()))
    };
    number("retry-after-ms")
        .map(Duration::from_millis)
        .or_else(|| number("retry-after").map(Duration::from_secs))
        .or_else(date)
}

fn failure_fault(failure: &Failure, target: &Target, plan: &Plan) -> Fault {
    let provider = &target.provider.facts.id;
    let (origin, kind, message) = match &failure.kind {
        FailureKind::Connect(error) if error.kind() == std::io::ErrorKind::TimedOut => {
            let limit = plan.deadlines.connect;
            (
                Origin::Upstream,
                Kind::Unreachable,
                format!("{provider} took no connection within {limit:?} (deadlines.connect)"),
            )
        }
        FailureKind::Connect(error) => {
            (Origin::Upstream, Kind::Unreachable, format!("{provider} cannot be reached: {error}"))
        }
        FailureKind::Busy => {
            let message =
                format!("all connections to {provider} are busy (providers.{provider}.connections)");
            (Origin::Gateway, Kind::Overloaded, message)
        }
        FailureKind::Stale => (
            Origin::Upstream,
            Kind::Unreachable,
            format!("{provider} closed the connection before it answered"),
        ),
        FailureKind::Broken(error) => {
            (Origin::Upstream, Kind::Unreachable, format!("{provider} broke off before it answered: {error}"))
        }
        FailureKind::FirstByte => {
            let limit = plan.deadlines.first_byte;
            (
                Origin::Upstream,
                Kind::Timeout,
                format!("{provider} did not answer within {limit:?} (deadlines.first_byte)"),
            )
        }
        FailureKind::Deadline => {
            let limit = plan.deadlines.total;
            (Origin::Upstream, Kind::Timeout, format!("no answer within {limit:?} (deadlines.total)"))
        }
    };
    Fault::new(origin, kind, message)
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, HeaderName, HeaderValue};

    use super::*;

    #[test]
    fn waits_are_read_as_providers_write_them() {
        // Ten seconds before the date.
        let now_us = 784_111_767_000_000;
        let check = |lines: &[(&'static str, &'static str)], expected| {
            let line = |(name, value): &(&'static str, &'static str)| {
                (HeaderName::from_static(name), HeaderValue::from_static(value))
            };
            let headers: HeaderMap = lines.iter().map(line).collect();
            assert_eq!(retry_after(&headers, now_us), expected, "{lines:?}");
        };
        check(&[("retry-after", "3")], Some(Duration::from_secs(3)));
        check(&[("retry-after", "1"), ("retry-after-ms", "250")], Some(Duration::from_millis(250)));
        check(&[("retry-after", "Sun, 06 Nov 1994 08:49:37 GMT")], Some(Duration::from_secs(10)));
        check(&[("retry-after", "Sun, 06 Nov 1994 08:49:07 GMT")], Some(Duration::ZERO));
        check(&[("retry-after", "soon")], None);
    }
}

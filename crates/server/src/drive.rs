//! Asks targets for an answer until one begins, and hands it to the relay.

use std::time::{Duration, Instant};

use bytes::Bytes;
use http::Response;
use policy::{
    attempt::{Attempts, Step},
    record::Note,
    route::{Plan, Target},
    snapshot::Fidelity,
};
use wire::{Dialect, Edits, Encoding, Fault, Kind, LossKind, Losses, Origin, StreamUsage};

use crate::{
    call::{Attempt, Call},
    headers,
    meter::Meter,
    metrics::Counter,
    pipeline::Inbound,
    relay::{self, Body},
    settle::Ending,
    upstream::{Answer, Exchange, Failure, FailureKind},
};

/// The most of a provider's error answer that is read.
const FAULT_BYTES_MAX: usize = 64 << 10;

/// A request as one target takes it.
struct Outbound {
    body: Bytes,
    losses: Losses,
    /// Usage on the stream was asked for by the gateway and not by the caller.
    usage_added: bool,
}

/// Brings a call to the beginning of an answer, or to the fault that its caller is told.
pub(crate) async fn drive(
    mut call: Call,
    inbound: &Inbound<'_>,
    plan: &Plan,
) -> Result<Response<Body>, Fault> {
    let deadline = deadline(&mut call, plan);
    let mut attempts = Attempts::new(plan.targets.len());
    let mut step = attempts.first();
    let mut last = Fault::new(Origin::Gateway, Kind::Internal, "the model has no targets").code("no_targets");
    // Whether an answer had begun when the last target failed.
    let mut begun = false;
    while let Step::Try(number) = step {
        let Some(target) = plan.targets.get(number) else { break };
        let outbound = match encode(&call.open().dialect.clone(), inbound, target, plan.fidelity) {
            Ok(outbound) => outbound,
            Err(fault) => {
                // A request that this target cannot take is refused as it is: another would get another request.
                last = fault;
                break;
            }
        };
        match attempt(&mut call, inbound, plan, target, &outbound).await {
            Ok(answer) if answer.status < 400 => {
                call.open().losses = outbound.losses;
                let status = answer.status;
                let broken = match relay::relay(call, answer, target, outbound.usage_added, deadline).await {
                    Ok(response) => return Ok(response),
                    Err(broken) => *broken,
                };
                (call, last, begun) = (broken.call, broken.fault, true);
                close(&mut call, target, Some(status), &last, true);
                step = attempts.after(&last);
            }
            Ok(answer) => {
                begun = false;
                let refusal = refusal(&mut call, answer, target, deadline).await;
                last = refusal.fault.clone();
                step = attempts.after(&last);
                if step == Step::GiveUp {
                    return Ok(relay::refusal(call, refusal, target));
                }
            }
            Err(fault) => {
                begun = false;
                step = attempts.after(&fault);
                last = fault;
            }
        }
    }
    let dialect = call.open().dialect;
    let id = call.open().arrival.id;
    let response = crate::respond::fault(&last, dialect, id);
    call.open().status = response.status().as_u16();
    call.settle(if begun { Ending::Cut(last) } else { Ending::Failed(last) });
    Ok(response)
}

/// When the whole call must have ended.
fn deadline(call: &mut Call, plan: &Plan) -> tokio::time::Instant {
    tokio::time::Instant::from_std(call.open().arrival.at + plan.deadlines.total)
}

/// The request in the target's dialect. In the caller's own it goes on byte for byte, but for the model's name.
fn encode(
    caller: &Dialect,
    inbound: &Inbound<'_>,
    target: &Target,
    fidelity: Fidelity,
) -> Result<Outbound, Fault> {
    let quirks = target.quirks();
    let envelope = &inbound.envelope;
    let openai = target.dialect == Dialect::OpenaiChat;
    // A seal that was marked for this caller goes back as its provider gave it, which takes a translation.
    if *caller == target.dialect && !wire::is_marked(&inbound.body) {
        let include_usage = openai && envelope.stream && quirks.stream_usage == StreamUsage::Ask;
        let edits = Edits { model: Some(&target.model), include_usage };
        let usage_added = include_usage && !envelope.include_usage;
        let body = envelope.edit(&inbound.body, &edits);
        return Ok(Outbound { body, losses: Losses::default(), usage_added });
    }
    let mut request = caller.decode_request(&inbound.body)?;
    if caller.names_model_in_path() {
        request.stream = Some(envelope.stream);
    }
    let output_tokens_max = target.facts().and_then(|facts| facts.output_tokens);
    let encoding = Encoding { model: &target.model, quirks, output_tokens_max };
    let mut losses = Losses::default();
    let body = target.dialect.encode_request(&request, &encoding, &mut losses);
    let vital = losses.iter().find(|loss| loss.kind == LossKind::Vital);
    let refused = vital.or_else(|| losses.iter().next().filter(|_| fidelity == Fidelity::Strict));
    if let Some(loss) = refused {
        let (provider, why) = (&target.provider.facts.id, loss.why);
        let strict = if vital.is_some() { "" } else { " (fidelity: strict)" };
        let message = format!("{} cannot be carried to {provider}: {why}{strict}", loss.path);
        let mut fault = Fault::new(Origin::Client, Kind::Unsupported, message).code("unsupported_field");
        fault.param = Some(loss.path.clone());
        return Err(fault);
    }
    Ok(Outbound { body: body.into(), losses, usage_added: false })
}

/// One request to one target. It is noted before it leaves.
async fn attempt(
    call: &mut Call,
    inbound: &Inbound<'_>,
    plan: &Plan,
    target: &Target,
    outbound: &Outbound,
) -> Result<Answer, Fault> {
    note(call, target)?;
    let core = std::rc::Rc::clone(call.core());
    let world = std::rc::Rc::clone(&call.open().world);
    let open = call.open();
    open.attempt_began = Some(Instant::now());
    open.meter = Meter::default();
    open.target = Some(target.clone());
    core.count(Counter::AttemptsMade);
    let Some(endpoint) = world.endpoint(target) else {
        let message = format!("{} has no address", target.provider.facts.id);
        return Err(Fault::new(Origin::Gateway, Kind::Internal, message));
    };
    let mut head = Vec::with_capacity(endpoint.head.len() + 256);
    head.extend_from_slice(&endpoint.head);
    for (name, value) in headers::forwarded(&inbound.parts.headers, target.dialect) {
        for piece in [name.as_bytes(), b": ", value, b"\r\n"] {
            head.extend_from_slice(piece);
        }
    }
    let exchange = Exchange {
        address: &endpoint.address,
        path: &endpoint.path.filled(&target.model, target.dialect.method(inbound.envelope.stream)),
        head: &head,
        body: &outbound.body,
        connections_max: target.provider.connections_max,
        connect: plan.deadlines.connect,
        first_byte: plan.deadlines.first_byte,
        deadline: deadline(call, plan),
    };
    match core.pool.exchange(&exchange).await {
        Ok(answer) => Ok(answer),
        Err(failure) => {
            let fault = failure_fault(&failure, target, plan);
            close(call, target, None, &fault, failure.sent);
            Err(fault)
        }
    }
}

/// Writes the call down, once, before anything of it leaves.
fn note(call: &mut Call, target: &Target) -> Result<(), Fault> {
    let core = std::rc::Rc::clone(call.core());
    let open = call.open();
    if open.noted {
        return Ok(());
    }
    let note = Note {
        id: open.arrival.id,
        started_us: open.arrival.started_us,
        key_id: open.key.id,
        key_name: open.key.name.as_str().into(),
        dialect: open.dialect.name().into(),
        model_asked: open.model_asked.as_str().into(),
        provider: target.provider.facts.id.as_str().into(),
        model: (&*target.model).into(),
        stream: open.stream,
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

/// Ends an attempt that did not become the answer.
fn close(call: &mut Call, target: &Target, status: Option<u16>, fault: &Fault, sent: bool) {
    let open = call.open();
    let began = open.attempt_began.take().unwrap_or_else(Instant::now);
    open.attempts.push(Attempt {
        target: target.clone(),
        status,
        fault: Some(fault.kind.name()),
        total_us: u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX),
        sent,
    });
}

/// A provider's error answer, read.
pub(crate) struct Refusal {
    pub(crate) answer: Answer,
    pub(crate) body: Bytes,
    pub(crate) fault: Fault,
}

async fn refusal(
    call: &mut Call,
    mut answer: Answer,
    target: &Target,
    deadline: tokio::time::Instant,
) -> Refusal {
    let limit = Duration::from_secs(10);
    let wait = (tokio::time::Instant::now() + limit).min(deadline);
    let read = relay::collect(&mut answer.body, FAULT_BYTES_MAX, limit);
    let body = tokio::time::timeout_at(wait, read).await.ok().and_then(Result::ok).unwrap_or_default();
    let after = retry_after(&answer.headers);
    let fault = target.dialect.decode_fault(answer.status, after, &body);
    close(call, target, Some(answer.status), &fault, true);
    Refusal { answer, body, fault }
}

fn retry_after(headers: &http::HeaderMap) -> Option<Duration> {
    let number = |name: &str| headers.get(name)?.to_str().ok()?.trim().parse::<u64>().ok();
    number("retry-after-ms")
        .map(Duration::from_millis)
        .or_else(|| number("retry-after").map(Duration::from_secs))
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

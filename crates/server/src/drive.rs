//! Asks targets for an answer until one begins, and hands it to the relay.

use std::{
    borrow::Cow,
    rc::Rc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use http::Response;
use policy::{
    attempt::{Attempts, Step},
    record::Note,
    route::{Plan, Target},
    snapshot::Fidelity,
};
use wire::{Dialect, Edits, Encoding, Envelope, Fault, Form, Kind, LossKind, Losses, Origin, StreamUsage};

use crate::{
    call::{Attempt, Call, Open},
    headers,
    inbound::{Asks, Inbound},
    meter::Meter,
    metrics::Counter,
    relay::{self, Body, Told},
    settle::Ending,
    upstream::{Answer, Exchange, Failure, FailureKind, Rest},
    world::{Endpoint, World},
};

/// The most of a provider's error answer that is read.
const FAULT_BYTES_MAX: usize = 64 << 10;

/// A request as one target takes it.
struct Outbound<'i> {
    body: Bytes,
    /// Path and query.
    path: Cow<'i, str>,
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
        let world = Rc::clone(&call.open().world);
        let encoded = endpoint(&world, inbound, target).and_then(|endpoint| {
            let outbound = encode(call.open(), inbound, target, endpoint, plan.fidelity)?;
            Ok((endpoint, outbound))
        });
        let (endpoint, outbound) = match encoded {
            Ok(encoded) => encoded,
            Err(fault) => {
                // A request that this target cannot take is refused as it is: another would get another request.
                last = fault;
                break;
            }
        };
        match attempt(&mut call, inbound, plan, target, endpoint, &outbound).await {
            Ok(answer) if answer.status < 400 => {
                call.open().losses = outbound.losses;
                let status = answer.status;
                let relayed = match inbound.reading(target) {
                    None => {
                        let told = Told { prompt: inbound.prompt(target), usage_added: outbound.usage_added };
                        relay::relay(call, answer, target, told, deadline).await
                    }
                    Some(reading) => relay::relay_form(call, answer, target, reading, deadline).await,
                };
                let broken = match relayed {
                    Ok(response) => return Ok(response),
                    Err(broken) => *broken,
                };
                (call, last, begun) = (broken.call, broken.fault, true);
                close(&mut call, target, Some(status), &last, true);
                step = next(&mut attempts, inbound, &last);
            }
            Ok(answer) => {
                begun = false;
                let refusal = refusal(&mut call, answer, target, deadline).await;
                last = refusal.fault.clone();
                step = next(&mut attempts, inbound, &last);
                if step == Step::GiveUp {
                    return Ok(relay::refusal(call, refusal, target));
                }
            }
            Err(fault) => {
                begun = false;
                step = next(&mut attempts, inbound, &fault);
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

/// What to do after a fault. A body that was sent as it came is gone.
fn next(attempts: &mut Attempts, inbound: &Inbound<'_>, fault: &Fault) -> Step {
    if inbound.rest().is_some_and(Rest::is_spent) { Step::GiveUp } else { attempts.after(fault) }
}

/// Where a target takes such a request.
fn endpoint<'w>(world: &'w World, inbound: &Inbound<'_>, target: &Target) -> Result<&'w Endpoint, Fault> {
    let provider = &target.provider.facts.id;
    let found = match inbound.asks {
        Asks::Chat { .. } | Asks::Form { .. } => world.endpoint(target),
        Asks::Pass { .. } => world.root(provider),
    };
    found.ok_or_else(|| {
        Fault::new(Origin::Gateway, Kind::Internal, format!("{provider} has no address for this"))
    })
}

fn encode<'i>(
    open: &Open,
    inbound: &'i Inbound<'_>,
    target: &Target,
    endpoint: &'i Endpoint,
    fidelity: Fidelity,
) -> Result<Outbound<'i>, Fault> {
    if let Some(prompt) = inbound.prompt(target) {
        let mut losses = Losses::default();
        let body = prompt.encode(target.dialect, &encoding(target), &mut losses);
        let body = target.quirks().hosting.body(body.into());
        refuse_losses(&losses, target, fidelity)?;
        let path =
            endpoint.path.filled(&target.model, target.quirks().hosting.method(target.dialect, open.stream));
        return Ok(Outbound { body, path, losses, usage_added: false });
    }
    match &inbound.asks {
        Asks::Chat { body, envelope } => {
            encode_chat(open.dialect, (body, envelope), target, endpoint, fidelity)
        }
        Asks::Form { asked, work, body } => {
            let mut losses = Losses::default();
            let own = target.form == Some(asked.form);
            let written = match (work, target.form) {
                (Some(work), Some(form)) if !own => form.write(work, &target.model, &mut losses),
                _ => None,
            };
            refuse_losses(&losses, target, fidelity)?;
            let (body, method) = match written {
                Some((body, method)) => (body.into(), method),
                None => (asked.form.renamed(&body.named(&target.model), &target.model), asked.method),
            };
            let mut path = endpoint.path.filled(&target.model, method);
            if let Some(query) = inbound.query() {
                path.to_mut().push_str(&query);
            }
            Ok(Outbound { body, path, losses, usage_added: false })
        }
        Asks::Pass { path, body, .. } => {
            let root = endpoint.path.filled("", "");
            let path = Cow::Owned(format!("{}{path}", root.trim_end_matches('/')));
            Ok(Outbound { body: body.first(), path, losses: Losses::default(), usage_added: false })
        }
    }
}

/// The request in the target's dialect. In the caller's own it goes on byte for byte, but for the model's name.
fn encode_chat<'i>(
    caller: Dialect,
    (body, envelope): (&Bytes, &Envelope),
    target: &Target,
    endpoint: &'i Endpoint,
    fidelity: Fidelity,
) -> Result<Outbound<'i>, Fault> {
    let quirks = target.quirks();
    let path = endpoint.path.filled(&target.model, quirks.hosting.method(target.dialect, envelope.stream));
    let openai = target.dialect == Dialect::OpenaiChat;
    // A seal that was marked for this caller goes back as its provider gave it, which takes a translation.
    if caller == target.dialect && !wire::is_marked(body) {
        let include_usage = openai && envelope.stream && quirks.stream_usage == StreamUsage::Ask;
        let edits = Edits { model: Some(&target.model), include_usage };
        let usage_added = include_usage && !envelope.include_usage;
        let body = quirks.hosting.body(envelope.edit(body, &edits));
        return Ok(Outbound { body, path, losses: Losses::default(), usage_added });
    }
    let mut request = caller.decode_request(body)?;
    if caller.names_model_in_path() {
        request.stream = Some(envelope.stream);
    }
    let mut losses = Losses::default();
    let body = target.dialect.encode_request(&request, &encoding(target), &mut losses);
    refuse_losses(&losses, target, fidelity)?;
    let body = quirks.hosting.body(body.into());
    Ok(Outbound { body, path, losses, usage_added: false })
}

/// What an encoder has to know of a target.
fn encoding(target: &Target) -> Encoding<'_> {
    let output_tokens_max = target.facts().and_then(|facts| facts.output_tokens);
    Encoding { model: &target.model, quirks: target.quirks(), output_tokens_max }
}

/// Refuses a request that would lose what it is about; with `fidelity: strict`, one that would lose anything.
fn refuse_losses(losses: &Losses, target: &Target, fidelity: Fidelity) -> Result<(), Fault> {
    let vital = losses.iter().find(|loss| loss.kind == LossKind::Vital);
    let refused = vital.or_else(|| losses.iter().next().filter(|_| fidelity == Fidelity::Strict));
    let Some(loss) = refused else { return Ok(()) };
    let (provider, why) = (&target.provider.facts.id, loss.why);
    let strict = if vital.is_some() { "" } else { " (fidelity: strict)" };
    let message = format!("{} cannot be carried to {provider}: {why}{strict}", loss.path);
    let mut fault = Fault::new(Origin::Client, Kind::Unsupported, message).code("unsupported_field");
    fault.param = Some(loss.path.clone());
    Err(fault)
}

/// One request to one target. It is noted before it leaves.
async fn attempt(
    call: &mut Call,
    inbound: &Inbound<'_>,
    plan: &Plan,
    target: &Target,
    endpoint: &Endpoint,
    outbound: &Outbound<'_>,
) -> Result<Answer, Fault> {
    note(call, target)?;
    let core = Rc::clone(call.core());
    let open = call.open();
    open.attempt_began = Some(Instant::now());
    open.meter = Meter::default();
    open.target = Some(target.clone());
    core.count(Counter::AttemptsMade);
    let mut head = head(inbound, target, endpoint);
    let path = endpoint.opening.path(&outbound.path);
    let mut exchange = Exchange {
        address: &endpoint.address,
        path: &path,
        method: &inbound.parts.method,
        head: &[],
        body: &outbound.body,
        rest: inbound.rest(),
        connections_max: target.provider.connections_max,
        connect: plan.deadlines.connect,
        first_byte: plan.deadlines.first_byte,
        deadline: deadline(call, plan),
    };
    if let Err(fault) = endpoint.opening.open(&exchange, &mut head, &target.provider.facts.id).await {
        close(call, target, None, &fault, false);
        return Err(fault);
    }
    exchange.head = &head;
    match core.pool.exchange(&exchange).await {
        Ok(answer) => {
            endpoint.opening.answered(answer.status);
            Ok(answer)
        }
        Err(failure) => {
            let fault = failure_fault(&failure, target, plan);
            close(call, target, None, &fault, failure.sent);
            Err(fault)
        }
    }
}

/// The header lines of a request.
fn head(inbound: &Inbound<'_>, target: &Target, endpoint: &Endpoint) -> Vec<u8> {
    let mut head = Vec::with_capacity(endpoint.head.len() + 256);
    head.extend_from_slice(&endpoint.head);
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
    let open = call.open();
    if open.noted {
        return Ok(());
    }
    let note = Note {
        id: open.arrival.id,
        started_us: open.arrival.started_us,
        key_id: open.key.id,
        key_name: open.key.name.as_str().into(),
        operation: open.operation.name().into(),
        dialect: open.form.map_or(open.dialect.name(), Form::name).into(),
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

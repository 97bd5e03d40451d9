//! Operations beside chat, step by step, as completions go in `pipeline.rs`.

use std::{rc::Rc, sync::Arc};

use bytes::{Bytes, BytesMut};
use http::{Response, StatusCode, header, request};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use policy::{
    facts::RequestFacts,
    principal::Principal,
    route::{self, Plan},
    rule::RuleTarget,
    snapshot::Limits,
};
use tokio::time::timeout;
use wire::{
    AskedForm, Counting, Envelope, Fault, Field, Form, Kind, Multipart, Operation, Origin, Upload, Work,
};

use crate::{
    authenticate::caller,
    call::{Arrival, Call, Open},
    core::{Core, Held},
    count_tokens, drive, entry, front, headers,
    inbound::{Asks, Inbound, Named, Sent},
    limits::{self, Entered, Turn},
    pipeline::admit,
    plan::Asker,
    relay::Body,
    respond,
    upstream::Rest,
    world::World,
};

/// Bodies up to this size are kept, so that another target can be asked; larger ones are sent on as they come.
const KEPT_BYTES_MAX: u64 = 1 << 20;

/// Answers one request.
pub(crate) async fn perform(
    core: &Rc<Core>,
    arrival: Arrival,
    parts: &request::Parts,
    body: Incoming,
    asked: AskedForm<'_>,
) -> Result<Response<Body>, Fault> {
    let world = core.world();
    let principal = caller(core, parts, &arrival).await?;
    principal.may_do(asked.form.operation())?;
    let accepted = &world.snapshot.server.limits;
    let model = asked.model.map(entry::model_name).transpose()?;
    let (sent, model) = match asked.form.upload() {
        Upload::Json => json(body, accepted, asked.form, model.as_deref()).await?,
        Upload::Multipart => multipart(parts, body, accepted, model.as_deref()).await?,
        Upload::Any => (any(parts, body, accepted).await?, String::new()),
    };
    if asked.form.operation() == Operation::CountTokens
        && let Some(target) = count_tokens::target(core, &principal, &model, asked.form)?
    {
        let open = opened(arrival, (&world, &principal), parts, asked.form, (&sent, &model))?;
        admit(core, accepted.calls_max)?;
        return count_tokens::count(Call::new(core, open), asked.form, target).await;
    }
    let (address, now_us) = (arrival.address(parts, &world), arrival.started_us);
    let asker = Asker { core, world: &world, principal: &principal, parts, address, now_us };
    let is_resource = asked.form.upload() == Upload::Any;
    let mut plan: Plan = if is_resource {
        let named = parts.headers.get(headers::PROVIDER).and_then(|value| value.to_str().ok());
        let plan = route::plan_resource(&world.snapshot, &principal, named, asked.form)?;
        let provider = plan.targets.first().map(|target| &*target.provider);
        let target = RuleTarget {
            provider: provider.map_or("", |provider| &provider.facts.id),
            model: "",
            regions: provider.map_or(&[], |provider| &provider.labels.regions),
        };
        asker.may_call(&RequestFacts::of_form(asked.form, "", &[]), target)?;
        plan
    } else {
        asker.form(asked.form, &model, &sent)?
    };
    // Only where another form, or a chat, may carry it is the request read.
    let crosses = plan.targets.iter().any(|target| target.form != Some(asked.form));
    let work = if crosses { asked.form.read(&sent.first(), asked.method)? } else { None };
    let prompt = work.as_ref().and_then(Work::prompt);
    if let Some(answer) = prompt.and_then(|prompt| prompt.unasked(now_us / 1_000_000)) {
        return Ok(respond::json(StatusCode::OK, answer));
    }
    let open = opened(arrival, (&world, &principal), parts, asked.form, (&sent, &model))?;
    admit(core, accepted.calls_max)?;
    let mut call = Call::new(core, open);
    let turn = if is_resource { Turn::Only } else { Turn::First };
    if let Entered::Downgraded(model) = limits::enter(&mut call, &mut plan, turn).await? {
        plan = asker.form(asked.form, &model, &sent)?;
        limits::enter(&mut call, &mut plan, Turn::Downgraded(&model)).await?;
    }
    let inbound = Inbound { parts, asks: Asks::Form { asked, work, body: sent } };
    drive::drive(call, &inbound, plan).await
}

/// A call of which nothing has happened yet.
fn opened(
    arrival: Arrival,
    (world, principal): (&Held<World>, &Arc<Principal>),
    parts: &request::Parts,
    form: Form,
    (sent, model): (&Sent, &str),
) -> Result<Open, Fault> {
    let (end_user, tags) = limits::marks(&parts.headers)?;
    let mut open = Open::new(arrival, Rc::clone(world), Arc::clone(principal), form.dialect());
    let envelope = sent.envelope();
    open.end_user = end_user.or_else(|| envelope.and_then(|envelope| envelope.user.clone()));
    open.tags = tags;
    open.hurry(&parts.headers)?;
    open.output_tokens_max = envelope.and_then(|envelope| envelope.output_tokens_max);
    open.operation = form.operation();
    open.counted_as = open.operation;
    open.form = Some(form);
    open.free = form.operation().counting() == Counting::Free;
    open.model_asked.push_str(model);
    (open.stream, open.include_usage) = streaming(form, sent);
    open.prompt = sent.first();
    open.body_bytes = coming(parts).unwrap_or_default();
    Ok(open)
}

/// Whether the answer to a prompt is streamed, and with what was used.
fn streaming(form: Form, sent: &Sent) -> (bool, bool) {
    let envelope = sent.envelope().filter(|_| form.is_prompt());
    envelope.map_or((false, false), |envelope| (envelope.stream, envelope.include_usage))
}

/// A JSON body, and the model that it or its address names.
async fn json(
    body: Incoming,
    limits: &Limits,
    form: Form,
    model: Option<&str>,
) -> Result<(Sent, String), Fault> {
    let body = front::body(body, limits).await?;
    let (body, envelope) = match model {
        Some(model) if form.names_model_in_path() => {
            let envelope = Envelope::addressed(&body, model.to_owned(), false)?;
            (body, envelope)
        }
        Some(model) => Envelope::deployed(&body, model)?,
        None => {
            let unasked = form.is_prompt() && form.dialect().streams_unasked();
            let envelope = Envelope::parse(&body, unasked)?;
            (body, envelope)
        }
    };
    let (body, envelope) = envelope.without_gateway(body)?;
    let name = envelope.model.clone();
    Ok((Sent::new(body, None, Named::Json(envelope)), name))
}

/// A form with files: read until its model is known. What is large is sent on as it comes.
async fn multipart(
    parts: &request::Parts,
    mut body: Incoming,
    limits: &Limits,
    model: Option<&str>,
) -> Result<(Sent, String), Fault> {
    let kind = parts.headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let mut form = Multipart::new(kind.unwrap_or_default())?;
    let mut read = BytesMut::new();
    let mut ended = false;
    let found = loop {
        match form.find(&read, "model")? {
            Field::NotYet if !ended => {}
            Field::NotYet => {
                return Err(
                    Fault::invalid("", "the form ends in the middle of a field").code("invalid_multipart")
                );
            }
            found => break found,
        }
        if read.len() > limits.body_bytes_max {
            let message =
                "send the field \"model\" before the file, so that a large one can be sent on as it comes";
            return Err(Fault::new(Origin::Client, Kind::TooLarge, message).code("body_too_large"));
        }
        ended = !more(&mut body, &mut read, limits).await?;
    };
    let (named, name) = match (found, model) {
        (Field::At(at), None) => {
            let name = read.get(at.clone()).map(String::from_utf8_lossy).unwrap_or_default();
            let name = name.trim().to_owned();
            (Named::Field(at), name)
        }
        // The address says it, in place of the field.
        (Field::At(at), Some(model)) => (Named::Field(at), model.to_owned()),
        (_, Some(model)) => (Named::Nowhere, model.to_owned()),
        (_, None) => return Err(Fault::invalid("model", "is missing; name the model to ask")),
    };
    let whole = coming(parts).filter(|length| *length <= KEPT_BYTES_MAX);
    while !ended && whole.is_some() {
        ended = !more(&mut body, &mut read, limits).await?;
    }
    let first: Bytes = read.freeze();
    let rest = (!ended).then(|| rest(parts, body, limits, first.len())).transpose()?;
    Ok((Sent::new(first, rest, named), name))
}

/// Any body: kept where it is small.
pub(crate) async fn any(parts: &request::Parts, body: Incoming, limits: &Limits) -> Result<Sent, Fault> {
    let small = match coming(parts) {
        Some(length) => length <= KEPT_BYTES_MAX,
        None => http_body::Body::is_end_stream(&body),
    };
    if small {
        return Ok(Sent::new(front::body(body, limits).await?, None, Named::Nowhere));
    }
    let rest = rest(parts, body, limits, 0)?;
    Ok(Sent::new(Bytes::new(), Some(rest), Named::Nowhere))
}

/// Reads another piece; false at the end.
async fn more(body: &mut Incoming, read: &mut BytesMut, limits: &Limits) -> Result<bool, Fault> {
    let frame = timeout(limits.body_time_max, body.frame()).await.map_err(|_| {
        let message =
            format!("the body did not come within {:?} (server.limits.body_time)", limits.body_time_max);
        Fault::new(Origin::Client, Kind::Timeout, message).code("body_timeout")
    })?;
    match frame {
        None => Ok(false),
        Some(Ok(frame)) => {
            read.extend_from_slice(&frame.into_data().unwrap_or_default());
            Ok(true)
        }
        Some(Err(error)) => Err(Fault::invalid("", format!("the body broke off: {error}"))),
    }
}

/// How many bytes the caller says that its body has.
fn coming(parts: &request::Parts) -> Option<u64> {
    parts.headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// What comes behind the bytes that were read.
fn rest(parts: &request::Parts, body: Incoming, limits: &Limits, read: usize) -> Result<Rest, Fault> {
    let left = coming(parts).map(|length| length.saturating_sub(read as u64));
    let most = limits.upload_bytes_max.saturating_sub(read as u64);
    if left.is_some_and(|left| left > most) {
        let message = format!("the body is over {} bytes (server.limits.upload)", limits.upload_bytes_max);
        return Err(Fault::new(Origin::Client, Kind::TooLarge, message).code("body_too_large"));
    }
    Ok(Rest::new(body, left, most, limits.body_time_max))
}

//! The life of one request, from top to bottom.

use std::{
    rc::Rc,
    sync::{Arc, atomic::Ordering::Relaxed},
};

use bytes::Bytes;
use http::{Request, Response, StatusCode, request};
use hyper::body::Incoming;
use wire::{Asked, Envelope, Fault, Kind, Operation, Origin};

use crate::{
    access_request, admin,
    authenticate::{caller, connection},
    call::{Arrival, Call, Open, Peer},
    core::Core,
    drive,
    entry::{self, Entry},
    explain, feedback, front,
    inbound::{Asks, Inbound},
    limits::{self, Entered, Turn},
    metrics::Counter,
    models, pass, perform,
    plan::Asker,
    relay::Body,
    respond, shadow,
};

/// The gateway's version, in the shape of Ollama's.
const VERSION: &str = concat!("{\"version\":\"", env!("CARGO_PKG_VERSION"), "\"}");

/// Answers one request. Every way out is a response: faults are told in the caller's dialect.
pub(crate) async fn answer(core: Rc<Core>, request: Request<Incoming>, peer: Rc<Peer>) -> Response<Body> {
    let arrival = Arrival::now(peer);
    let id = arrival.id;
    let (parts, body) = request.into_parts();
    let path = parts.uri.path();
    // A connection may outlive the certificate that it was made with.
    let entered = connection(&arrival).and_then(|()| entry::entry(&parts.method, path));
    let answered = match entered {
        Err(fault) if fault.kind == Kind::Unauthenticated => Err(fault),
        // Azure's own paths begin as those of a provider that is named as OpenAI usually is.
        Ok(_) if pass::is_ahead(&core, path) => pass::pass(&core, arrival, &parts, body).await,
        Ok(Entry::Complete(asked)) => complete(&core, arrival, &parts, body, asked).await,
        Ok(Entry::Perform(asked)) => perform::perform(&core, arrival, &parts, body, asked).await,
        Ok(Entry::Models) => models::list(&core, &parts, &arrival).await,
        Ok(Entry::Model(name)) => models::one(&core, &parts, name, &arrival).await,
        Ok(Entry::Show) => models::show(&core, &parts, body, &arrival).await,
        Ok(Entry::Running) => models::running(&core, &parts, &arrival).await,
        Ok(Entry::Version) => Ok(respond::json(StatusCode::OK, VERSION)),
        Ok(Entry::Health) => Ok(respond::json(StatusCode::OK, "{\"status\":\"ok\"}")),
        Ok(Entry::Ready) => Ok(ready(&core)),
        Ok(Entry::Explain) => explain::explain(&core, &parts, body, &arrival).await,
        Ok(Entry::Feedback) => feedback::take(&core, &parts, body, &arrival).await,
        Ok(Entry::AccessRequest) => access_request::take(&core, &parts, body, &arrival).await,
        Ok(Entry::Admin) => admin::forward(&core, &parts, body, &arrival).await,
        Err(fault) if !pass::is_passed(&core, path) => Err(fault),
        Err(_) => pass::pass(&core, arrival, &parts, body).await,
    };
    answered.unwrap_or_else(|fault| {
        if fault.kind == Kind::Unauthenticated && fault.origin == Origin::Client {
            core.count(Counter::Unauthenticated);
        }
        respond::fault(&fault, entry::dialect(path, &parts.headers), id)
    })
}

/// A completion, step by step. Each step needs what the one above it made.
async fn complete(
    core: &Rc<Core>,
    arrival: Arrival,
    parts: &request::Parts,
    body: Incoming,
    asked: Asked<'_>,
) -> Result<Response<Body>, Fault> {
    // One configuration for the whole life of the request.
    let world = core.world();
    // Before the body is read: a caller without a key costs no memory.
    let principal = caller(core, parts, &arrival).await?;
    principal.may_do(Operation::Chat)?;
    let body = front::body(body, &world.snapshot.server.limits).await?;
    let (body, envelope) = envelope(body, asked)?;
    let (body, envelope) = envelope.without_gateway(body)?;
    let dialect = asked.dialect;
    let (address, now_us) = (arrival.address(parts, &world), arrival.started_us);
    let asker = Asker { core, world: &world, principal: &principal, parts, address, now_us };
    let mut plan = asker.chat((dialect, &envelope.model), &body, &envelope)?;
    let (end_user, tags) = limits::marks(&parts.headers)?;
    let mut open = Open::new(arrival, Rc::clone(&world), Arc::clone(&principal), dialect);
    open.mirror = shadow::mirror(core, &world, &plan, parts, (&body, &envelope));
    (open.end_user, open.tags) = (end_user.or_else(|| envelope.user.clone()), tags);
    open.hurry(&parts.headers)?;
    open.output_tokens_max = envelope.output_tokens_max;
    open.model_asked = envelope.model.clone();
    open.stream = envelope.stream;
    open.as_array = entry::is_array(asked, parts.uri.query().unwrap_or_default());
    open.include_usage = envelope.include_usage;
    open.prompt = body.clone();
    // From here on settling the call gives its place back.
    admit(core, world.snapshot.server.limits.calls_max)?;
    let mut call = Call::new(core, open);
    // What it may use is claimed before anything leaves for a provider.
    if let Entered::Downgraded(model) = limits::enter(&mut call, &mut plan, Turn::First).await? {
        plan = asker.chat((dialect, &model), &body, &envelope)?;
        limits::enter(&mut call, &mut plan, Turn::Downgraded(&model)).await?;
    }
    let inbound = Inbound { parts, asks: Asks::Chat { body, envelope } };
    drive::drive(call, &inbound, plan).await
}

/// What routing needs of a request, from its path and its body; and the body as its dialect has it.
fn envelope(body: Bytes, asked: Asked<'_>) -> Result<(Bytes, Envelope), Fault> {
    let Some(model) = asked.model else {
        let envelope = Envelope::parse(&body, asked.dialect.streams_unasked())?;
        return Ok((body, envelope));
    };
    let model = entry::model_name(model)?;
    match asked.stream {
        Some(stream) => {
            let envelope = Envelope::addressed(&body, model.into_owned(), stream)?;
            Ok((body, envelope))
        }
        None => Envelope::deployed(&body, &model),
    }
}

/// Takes one of the places for calls in flight; settling gives it back.
pub(crate) fn admit(core: &Core, calls_max: usize) -> Result<(), Fault> {
    let open = &core.shared.calls_open;
    if open.fetch_add(1, Relaxed) < calls_max {
        return Ok(());
    }
    open.fetch_sub(1, Relaxed);
    core.count(Counter::CallsRefused);
    let message = format!("{calls_max} calls are in flight, which is the most (server.limits.calls)");
    Err(Fault::new(Origin::Gateway, Kind::Overloaded, message).code("too_many_calls"))
}

fn ready(core: &Core) -> Response<Body> {
    if core.shared.draining.load(Relaxed) {
        return respond::json(StatusCode::SERVICE_UNAVAILABLE, "{\"status\":\"draining\"}");
    }
    respond::json(StatusCode::OK, "{\"status\":\"ready\"}")
}

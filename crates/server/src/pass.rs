//! Requests to a provider's own paths, passed through as they are: `/NAME/…` stands for where its API begins.
//! The gateway's keys, limits and journal hold for them as for everything else.

use std::{rc::Rc, sync::Arc};

use http::{Method, Response, request};
use hyper::body::Incoming;
use policy::{
    facts::RequestFacts,
    principal::Principal,
    route::{Plan, Target},
    rule::RuleTarget,
};
use wire::{Dialect, Envelope, Fault, Form, Kind, Operation, Origin};

use crate::{
    authenticate::caller,
    call::{Arrival, Call, Open},
    core::Core,
    drive, entry,
    forecast::counted_as,
    inbound::{Asks, Inbound, passed_query},
    limits::{self, Turn},
    path, perform,
    pipeline::admit,
    plan::Asker,
    relay::Body,
};

/// Where Azure's newer clients find what is chat here.
const AZURE: &str = "/openai/v1/";

/// Whether a path begins with a provider's name.
pub(crate) fn is_passed(core: &Core, path: &str) -> bool {
    let name = path.strip_prefix('/').and_then(|path| path.split_once('/')).map(|(name, _)| name);
    name.is_some_and(|name| core.world().snapshot.providers.contains_key(name))
}

/// Whether a path is a provider's own though another meaning is known: who has a provider of that name means it.
pub(crate) fn is_ahead(core: &Core, path: &str) -> bool {
    path.starts_with(AZURE) && is_passed(core, path)
}

/// Passes a request through.
pub(crate) async fn pass(
    core: &Rc<Core>,
    arrival: Arrival,
    parts: &request::Parts,
    body: Incoming,
) -> Result<Response<Body>, Fault> {
    let world = core.world();
    let principal = caller(core, parts, &arrival).await?;
    principal.may_do(Operation::PassThrough)?;
    let named = parts.uri.path().strip_prefix('/').and_then(|path| path.split_once('/'));
    let named = named.and_then(|(name, path)| Some((name, path, world.snapshot.providers.get(name)?)));
    let Some((name, path, provider)) = named else {
        return Err(Fault::new(Origin::Client, Kind::NotFound, "there is no such provider"));
    };
    let path = format!("/{path}");
    check(&parts.method, &path)?;
    let accepted = &world.snapshot.server.limits;
    let body = perform::any(parts, body, accepted).await?;
    let (chat, form) = (Dialect::at(&path), Form::at(&path));
    let addressed = chat.and_then(|asked| asked.model).or_else(|| form.and_then(|asked| asked.model));
    let model = match addressed {
        Some(encoded) => entry::model_name(encoded)?.into_owned(),
        None => Envelope::parse(&body.first(), false).map(|envelope| envelope.model).unwrap_or_default(),
    };
    allowed(&principal, name, &model)?;
    let (chat, form) = (chat.map(|asked| asked.dialect), form.map(|asked| asked.form));
    let first = provider.facts.dialects.first().map(|(dialect, _)| *dialect);
    let dialect = chat.or_else(|| form.map(Form::dialect)).or(first).unwrap_or(Dialect::OpenaiChat);
    let (address, now_us) = (arrival.address(parts, &world), arrival.started_us);
    let asker = Asker { core, world: &world, principal: &principal, parts, address, now_us };
    let target = RuleTarget { provider: name, model: &model, regions: &provider.labels.regions };
    may_call(&asker, chat, (dialect, target), &body.first())?;
    let (end_user, tags) = limits::marks(&parts.headers)?;
    let mut open = Open::new(arrival, Rc::clone(&world), principal, dialect);
    (open.end_user, open.tags) = (end_user, tags);
    open.hurry(&parts.headers)?;
    open.operation = Operation::PassThrough;
    open.counted_as = counted_as(chat.is_some(), form);
    open.free = matches!(parts.method, Method::GET | Method::DELETE);
    open.model_asked.clone_from(&model);
    open.prompt = body.first();
    let target = Target::passed(Arc::clone(provider), &model, dialect);
    let mut plan = Plan::direct(target, &world.snapshot);
    plan.repeatable = chat.is_some() || open.free;
    let path = format!("{path}{}", parts.uri.query().map(passed_query).unwrap_or_default());
    let inbound = Inbound { parts, asks: Asks::Pass { path, body, dialect: chat, form } };
    // From here on settling the call gives its place back.
    admit(core, accepted.calls_max)?;
    let mut call = Call::new(core, open);
    limits::enter(&mut call, &mut plan, Turn::Only).await?;
    drive::drive(call, &inbound, plan).await
}

/// Whether the caller's rules let a request through. Where they ask what requests say, only a chat can be told to say it.
fn may_call(
    asker: &Asker<'_>,
    chat: Option<Dialect>,
    (dialect, target): (Dialect, RuleTarget<'_>),
    body: &[u8],
) -> Result<(), Fault> {
    if !asker.principal.reads_request() {
        let facts = RequestFacts::of_envelope(Operation::PassThrough, dialect, target.model, body);
        return asker.may_call(&facts, target);
    }
    let Some(chat) = chat else {
        let message = "your access rules ask what requests say, and what is passed through here is not read; use the \
                       gateway's own paths";
        return Err(Fault::new(Origin::Client, Kind::Forbidden, message).code("access_denied"));
    };
    let request = chat.decode_request(body)?;
    let mut facts = RequestFacts::of_chat(&request, body);
    (facts.operation, facts.model) = (Operation::PassThrough, target.model);
    asker.may_call(&facts, target)
}

fn check(method: &Method, path: &str) -> Result<(), Fault> {
    if ![Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE].contains(method) {
        let message = format!("{method} cannot be passed through");
        return Err(Fault::new(Origin::Client, Kind::MethodNotAllowed, message).code("method_not_allowed"));
    }
    if !path::leads_down(path) || path.contains("//") {
        let message = "the path must hold no \"..\" and no empty segments";
        return Err(Fault::invalid("", message).code("invalid_path"));
    }
    Ok(())
}

/// A key that is for some models only passes where the request says which one it is about.
fn allowed(principal: &Principal, provider: &str, model: &str) -> Result<(), Fault> {
    if model.is_empty() {
        principal.may_reach(provider)
    } else {
        principal.may_use(&format!("{provider}/{model}"))
    }
}

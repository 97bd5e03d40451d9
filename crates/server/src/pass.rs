//! Requests to a provider's own paths, passed through as they are: `/NAME/…` stands for where its API begins.
//! The gateway's keys, limits and journal hold for them as for everything else.

use std::{rc::Rc, sync::Arc};

use http::{Method, Response, request};
use hyper::body::Incoming;
use policy::{
    facts::RequestFacts,
    limit::{Limit, Meter},
    principal::Principal,
    route::{Plan, Target},
    rule::RuleTarget,
};
use wire::{Asked, AskedForm, Dialect, Envelope, Fault, Form, Kind, Operation, Origin, Upload};

use crate::{
    authenticate::caller,
    call::{Arrival, Call, Open},
    core::Core,
    drive,
    entry::{self, Entry},
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
    let method = &parts.method;
    check(method)?;
    // What goes on is what is looked at.
    let path = path::plain(&format!("/{path}"))?;
    let usual = usual(&path);
    let purpose =
        Purpose::of(method, &path).or_else(|| Purpose::of(method, &usual)).unwrap_or(Purpose::Unknown);
    let accepted = &world.snapshot.server.limits;
    let body = perform::any(parts, body, accepted).await?;
    let model = purpose.model(&body.first())?;
    let known = (!matches!(purpose, Purpose::Unknown)).then_some(&*model);
    allowed(&principal, name, (method, &path), known)?;
    let first = provider.facts.dialects.first().map(|(dialect, _)| *dialect);
    let dialect = purpose.dialect().or(first).unwrap_or(Dialect::OpenaiChat);
    let (address, now_us) = (arrival.address(parts, &world), arrival.started_us);
    let asker = Asker { core, world: &world, principal: &principal, parts, address, now_us };
    let target = RuleTarget { provider: name, model: &model, regions: &provider.labels.regions };
    may_call(&asker, purpose.chat(), (dialect, target), &body.first())?;
    let (end_user, tags) = limits::marks(&parts.headers)?;
    let mut open = Open::new(arrival, Rc::clone(&world), principal, dialect);
    // Whichever model it names, or none: only its end user is looked for.
    let envelope = Envelope::addressed(&body.first(), "any".to_owned(), false);
    open.end_user = end_user.or_else(|| envelope.ok()?.user);
    open.tags = tags;
    open.hurry(&parts.headers)?;
    open.operation = Operation::PassThrough;
    open.counted_as = counted_as(purpose.chat().is_some(), purpose.form());
    let reads = matches!(*method, Method::GET | Method::DELETE);
    // A resource that the provider is known to have is paid for as on the gateway's own paths.
    let kept = purpose.resource().filter(|form| provider.forms.contains(form));
    open.free =
        matches!(purpose, Purpose::Listing) || kept.is_some() || (reads && purpose.resource().is_some());
    open.model_asked.clone_from(&model);
    open.prompt = body.first();
    let target = Target { form: kept, ..Target::passed(Arc::clone(provider), &model, dialect) };
    let mut plan = Plan::direct(target, &world.snapshot);
    plan.repeatable = purpose.chat().is_some() || reads;
    let path = format!("{path}{}", parts.uri.query().map(passed_query).unwrap_or_default());
    let (chat, form) = (purpose.chat(), purpose.form());
    let inbound = Inbound { parts, asks: Asks::Pass { path, body, dialect: chat, form } };
    // From here on settling the call gives its place back.
    admit(core, accepted.calls_max)?;
    let mut call = Call::new(core, open);
    limits::enter(&mut call, &mut plan, Turn::Only).await?;
    drive::drive(call, &inbound, plan).await
}

/// What a provider's own path is for, by what the gateway takes at such paths itself.
#[derive(Clone, Copy)]
enum Purpose<'p> {
    Chat(Asked<'p>),
    Form(AskedForm<'p>),
    /// What models there are: nothing is sold.
    Listing,
    /// Nobody knows which model is asked, or what that uses.
    Unknown,
}

impl<'p> Purpose<'p> {
    fn of(method: &Method, path: &'p str) -> Option<Purpose<'p>> {
        match entry::entry(method, path).ok()? {
            Entry::Complete(asked) => Some(Purpose::Chat(asked)),
            Entry::Perform(asked) => Some(Purpose::Form(asked)),
            Entry::Models | Entry::Model(_) | Entry::Show | Entry::Running | Entry::Version => {
                Some(Purpose::Listing)
            }
            Entry::Health
            | Entry::Ready
            | Entry::Explain
            | Entry::Feedback
            | Entry::AccessRequest
            | Entry::Admin => None,
        }
    }

    /// The model that is asked: the address says it, or the body where that is known to decide; empty where neither does.
    fn model(self, body: &[u8]) -> Result<String, Fault> {
        let addressed = match self {
            Purpose::Chat(asked) => asked.model,
            Purpose::Form(asked) => asked.model,
            Purpose::Listing | Purpose::Unknown => None,
        };
        let decides = self.chat().is_some() || (self.form().is_some() && self.resource().is_none());
        match addressed {
            Some(encoded) => Ok(entry::model_name(encoded)?.into_owned()),
            None if decides => Ok(Envelope::parse(body, false).map(|told| told.model).unwrap_or_default()),
            None => Ok(String::new()),
        }
    }

    fn chat(self) -> Option<Dialect> {
        match self {
            Purpose::Chat(asked) => Some(asked.dialect),
            Purpose::Form(_) | Purpose::Listing | Purpose::Unknown => None,
        }
    }

    fn form(self) -> Option<Form> {
        match self {
            Purpose::Form(asked) => Some(asked.form),
            Purpose::Chat(_) | Purpose::Listing | Purpose::Unknown => None,
        }
    }

    /// What its provider keeps.
    fn resource(self) -> Option<Form> {
        self.form().filter(|form| form.upload() == Upload::Any)
    }

    fn dialect(self) -> Option<Dialect> {
        self.chat().or_else(|| self.form().map(Form::dialect))
    }
}

/// The path as most providers have it: below version 1, where their own is another or none.
fn usual(path: &str) -> String {
    let version = |segment: &str| {
        segment.strip_prefix('v').is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
    };
    let parts = path.strip_prefix('/').and_then(|path| path.split_once('/'));
    match parts.filter(|(first, _)| version(first)) {
        Some((_, rest)) => format!("/v1/{rest}"),
        None => format!("/v1{path}"),
    }
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

fn check(method: &Method) -> Result<(), Fault> {
    if [Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE].contains(method) {
        return Ok(());
    }
    let message = format!("{method} cannot be passed through");
    Err(Fault::new(Origin::Client, Kind::MethodNotAllowed, message).code("method_not_allowed"))
}

/// A key that is for some models only passes where it is known which one is asked, and one whose money is counted where
/// it is known what that uses.
fn allowed(
    principal: &Principal,
    provider: &str,
    (method, path): (&Method, &str),
    asked: Option<&str>,
) -> Result<(), Fault> {
    let Some(model) = asked else { return unknown(principal, provider, &format!("{method} {path}")) };
    if model.is_empty() {
        principal.may_reach(provider)
    } else {
        principal.may_use(&format!("{provider}/{model}"))
    }
}

/// Refuses a path that nothing is known of, where something depends on it.
fn unknown(principal: &Principal, provider: &str, what: &str) -> Result<(), Fault> {
    let refused =
        |message: String, code| Err(Fault::new(Origin::Client, Kind::Forbidden, message).code(code));
    if principal.may_reach(provider).is_err() {
        let message = format!(
            "which model {what} asks is not known, and this key is for some models only; use a path of which it is known, as \
             /v1/chat/completions, or have {provider}/* added to its models"
        );
        return refused(message, "model_not_allowed");
    }
    let counts = |limit: &&Arc<Limit>| {
        let operations = &limit.only.operations;
        limit.meter == Meter::Money
            && !limit.allows_unpriced
            && !limit.shadow
            && (operations.is_empty() || operations.contains(&Operation::PassThrough))
    };
    let Some(limit) = principal.limits.iter().find(counts) else { return Ok(()) };
    let message = format!(
        "what {what} costs is not known, and {} of {} counts money; use a path of which it is known, as \
         /v1/chat/completions, or write unpriced: allow there",
        limit.name, limit.whose
    );
    refused(message, "path_unpriced")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_paths_are_for_is_known_by_their_method_too() {
        let check = |method: Method, path: &str, expected: &str| {
            let usual = usual(path);
            let purpose = Purpose::of(&method, path).or_else(|| Purpose::of(&method, &usual));
            let found = match purpose.unwrap_or(Purpose::Unknown) {
                Purpose::Chat(asked) => asked.dialect.name(),
                Purpose::Form(asked) => asked.form.name(),
                Purpose::Listing => "listing",
                Purpose::Unknown => "unknown",
            };
            assert_eq!(found, expected, "{method} {path}");
        };
        check(Method::POST, "/v1/chat/completions", "openai_chat");
        check(Method::POST, "/chat/completions", "openai_chat");
        check(Method::POST, "/v4/chat/completions", "openai_chat");
        check(Method::POST, "/v1alpha/models/m:generateContent", "gemini");
        check(Method::POST, "/v1/embeddings", "openai_embeddings");
        check(Method::GET, "/v1/files/f/content", "openai_files");
        check(Method::GET, "/v1/models/m", "listing");
        check(Method::GET, "/v1beta/models", "listing");
        check(Method::POST, "/v1/responses/compact", "openai_compactions");
        for (method, path) in [
            (Method::GET, "/v1/chat/completions"),
            (Method::PUT, "/v1/files/f"),
            (Method::POST, "/v1/chat/completions/"),
            (Method::POST, "/v1beta/models/m:rawPredict"),
            (Method::POST, "/v1/models"),
            (Method::POST, "/v1/videos"),
            (Method::GET, "/healthz"),
            (Method::GET, "/admin/v1/keys"),
        ] {
            check(method, path, "unknown");
        }
    }
}

//! The admin side: metrics, keys, calls. It runs on a runtime of its own, so that nothing it does stalls a call.

use std::{net::IpAddr, rc::Rc, sync::Arc};

use bytes::Bytes;
use http::{HeaderMap, Method, Response, StatusCode, request};
use hyper::body::Incoming;
use policy::{
    key::Scope,
    principal::Principal,
    rollout::Action,
    vitals::{News, RouteId, TargetId},
};
use serde::Deserialize;
use serde_json::json;
use store::{Feedback, Filter, NewKey};
use tokio::sync::{Semaphore, mpsc, oneshot};
use wire::{Fault, Kind, Origin};

use crate::{
    authenticate::{self, Shown},
    call::Arrival,
    core::{Core, Shared},
    database::DatabaseThread,
    entry,
    feedback::{self, Opinion},
    front,
    metrics::{CoreMetrics, exposition},
    relay::Body,
    reload::refresh_callers,
    respond,
    rollouts::Rollouts,
    secrets::SecretStores,
    tasks,
    world::now_us,
};

/// The most records that one answer lists.
const CALLS_MAX: u32 = 1_000;
/// The most requests that are answered at a time.
const AT_A_TIME_MAX: usize = 64;
/// Who writes on the board and reads nothing of it.
const NOT_A_CORE: usize = usize::MAX;

/// A request on its way to the admin runtime.
pub(crate) struct AdminRequest {
    method: Method,
    path: String,
    query: String,
    headers: HeaderMap,
    body: Bytes,
    peer: IpAddr,
    /// Who calls, where that was found out already.
    caller: Option<Arc<Principal>>,
    reply: oneshot::Sender<Reply>,
}

/// What the admin runtime answers.
pub(crate) struct Reply {
    status: StatusCode,
    kind: &'static str,
    body: String,
}

/// What the admin runtime works with.
pub(crate) struct Admin {
    pub(crate) shared: Arc<Shared>,
    pub(crate) database: DatabaseThread,
    pub(crate) rollouts: Rollouts,
    pub(crate) metrics: Vec<Arc<CoreMetrics>>,
    pub(crate) secrets: SecretStores,
}

/// Hands a request over and waits for the answer.
pub(crate) async fn forward(
    core: &Rc<Core>,
    parts: &request::Parts,
    body: Incoming,
    arrival: &Arrival,
) -> Result<Response<Body>, Fault> {
    let world = core.world();
    let body = front::body(body, &world.snapshot.server.limits).await?;
    ask(core, parts, body, arrival, None).await.map(Reply::response)
}

/// The same for a body that was read.
pub(crate) async fn ask(
    core: &Rc<Core>,
    parts: &request::Parts,
    body: Bytes,
    arrival: &Arrival,
    caller: Option<&Arc<Principal>>,
) -> Result<Reply, Fault> {
    let (reply, answered) = oneshot::channel();
    let request = AdminRequest {
        method: parts.method.clone(),
        path: parts.uri.path().to_owned(),
        query: parts.uri.query().unwrap_or_default().to_owned(),
        headers: parts.headers.clone(),
        body,
        peer: arrival.peer.address,
        caller: caller.cloned(),
        reply,
    };
    let busy = || {
        let message = "the admin side is busy; try again";
        Fault::new(Origin::Gateway, Kind::Overloaded, message).code("admin_busy")
    };
    core.admin.try_send(request).map_err(|_| busy())?;
    answered.await.map_err(|_| busy())
}

impl Reply {
    pub(crate) fn response(self) -> Response<Body> {
        respond::typed(self.status, self.kind, self.body)
    }

    pub(crate) fn is_not_found(&self) -> bool {
        self.status == StatusCode::NOT_FOUND
    }
}

impl Admin {
    /// Answers requests until the last core is gone.
    pub(crate) async fn run(self: Arc<Self>, mut requests: mpsc::Receiver<AdminRequest>) {
        let room = Arc::new(Semaphore::new(AT_A_TIME_MAX));
        while let Some(request) = requests.recv().await {
            // What waits for the database holds up nothing else.
            let Ok(place) = Arc::clone(&room).acquire_owned().await else { return };
            let admin = Arc::clone(&self);
            tasks::spawn("admin request", async move {
                let reply = admin.answer(&request).await.unwrap_or_else(|fault| told(&fault));
                // A caller that went away needs no answer.
                let _ = request.reply.send(reply);
                drop(place);
            });
        }
    }

    async fn answer(&self, request: &AdminRequest) -> Result<Reply, Fault> {
        if let (feedback::PATH, Some(principal)) = (request.path.as_str(), &request.caller) {
            return self.feedback(principal, &request.body).await;
        }
        let public = request.path == "/metrics" && self.shared.world.load().snapshot.server.metrics_public;
        if !public {
            self.caller(request, Scope::Admin)?;
        }
        match (&request.method, request.path.as_str()) {
            (&Method::GET, "/metrics") => Ok(Reply {
                status: StatusCode::OK,
                kind: "text/plain; version=0.0.4; charset=utf-8",
                body: exposition(&self.metrics, &self.shared)
                    + &self.rollouts.exposition()
                    + &self.secrets.exposition(),
            }),
            (&Method::GET, "/admin/v1/keys") => self.keys().await,
            (&Method::POST, "/admin/v1/keys") => self.create_key(&request.body).await,
            (&Method::GET, "/admin/v1/calls") => self.calls(&request.query).await,
            (&Method::GET, "/admin/v1/rollouts") => self.rollouts().await,
            (&Method::GET | &Method::POST, path) => match path.strip_prefix("/admin/v1/rollouts/") {
                Some(name) => self.rollout(request, name).await,
                None => Err(nothing(path)),
            },
            (&Method::DELETE, path) => match path.strip_prefix("/admin/v1/keys/") {
                Some(name) => self.revoke_key(name).await,
                None => Err(nothing(path)),
            },
            (_, path) => Err(nothing(path)),
        }
    }

    fn caller(&self, request: &AdminRequest, scope: Scope) -> Result<Arc<Principal>, Fault> {
        let shown = Shown::in_headers(&request.headers);
        let trusted = &self.shared.world.load().snapshot.server.trusted_proxies;
        let address = authenticate::address(request.peer, &request.headers, trusted);
        authenticate::by_key(&self.shared.callers.load(), shown, scope, (now_us(), address))
    }

    async fn keys(&self) -> Result<Reply, Fault> {
        let registry = self.database.ask(store::Database::keys).await?;
        let world = self.shared.world.load();
        let file = world.snapshot.keys.iter().map(|file_key| file_key.key.clone());
        let keys: Vec<_> = file.chain(registry.into_iter().map(|(_, key)| key)).collect();
        Ok(ok(json!({"data": keys})))
    }

    async fn create_key(&self, body: &[u8]) -> Result<Reply, Fault> {
        let wish: Wish =
            serde_json::from_slice(body).map_err(|error| Fault::invalid("", error.to_string()))?;
        let scope = if wish.admin { Scope::Admin } else { Scope::Calls };
        let new = NewKey { name: wish.name, models: wish.models, scope, expires_us: wish.expires_us };
        if new.name.is_empty() || new.name.len() > 200 {
            return Err(Fault::invalid("name", "must have between 1 and 200 characters"));
        }
        let (key, secret) = self.database.ask(move |database| database.create_key(&new, now_us())).await?;
        self.refresh().await?;
        let mut body = json!(key);
        body["key"] = secret.expose().into();
        Ok(ok(body))
    }

    async fn revoke_key(&self, name: &str) -> Result<Reply, Fault> {
        let world = self.shared.world.load_full();
        if world.snapshot.keys.iter().any(|file_key| file_key.key.name == name) {
            let message = format!("key \"{name}\" is owned by the configuration file; take it out there");
            return Err(Fault::new(Origin::Client, Kind::Invalid, message).code("owned_by_file"));
        }
        let name = name.to_owned();
        let key = self.database.ask(move |database| database.revoke_key(&name, now_us())).await?;
        self.refresh().await?;
        Ok(ok(json!(key)))
    }

    async fn calls(&self, query: &str) -> Result<Reply, Fault> {
        let mut filter = Filter { limit: 100, ..Filter::default() };
        for (name, value) in query.split('&').filter_map(|pair| pair.split_once('=')) {
            let number = || value.parse().map_err(|_| Fault::invalid(name, "must be a whole number"));
            match name {
                "key" => filter.key_name = Some(value.to_owned()),
                "limit" => filter.limit = u32::try_from(number()?).unwrap_or(CALLS_MAX).min(CALLS_MAX),
                "before_us" => filter.before_us = Some(number()?),
                other => return Err(Fault::invalid(other, "is not known; use key, limit or before_us")),
            }
        }
        let shown = self.database.ask(move |database| {
            let calls = database.calls(&filter)?;
            let shown = calls.iter().map(|call| {
                let mut call_shown = json!(call);
                if let Some(said) = database.feedback(call.id)? {
                    call_shown["feedback"] = json!({"score": said.score, "comment": said.comment});
                }
                Ok(call_shown)
            });
            shown.collect::<Result<Vec<_>, _>>()
        });
        Ok(ok(json!({"data": shown.await?})))
    }

    async fn rollouts(&self) -> Result<Reply, Fault> {
        let rollouts = self.rollouts.clone();
        let list = tasks::aside(move || rollouts.list()).await.ok_or_else(broken)?;
        Ok(ok(json!({"data": list})))
    }

    async fn rollout(&self, request: &AdminRequest, name: &str) -> Result<Reply, Fault> {
        let name = entry::decoded(name).ok_or_else(|| Fault::invalid("", "the model's name is not UTF-8"))?;
        let name = name.into_owned();
        let rollouts = self.rollouts.clone();
        if request.method == Method::GET {
            return tasks::aside(move || rollouts.one(&name).map(ok)).await.ok_or_else(broken)?;
        }
        let order: Order =
            serde_json::from_slice(&request.body).map_err(|error| Fault::invalid("", error.to_string()))?;
        tasks::aside(move || rollouts.act(&name, order.action).map(ok)).await.ok_or_else(broken)?
    }

    /// Keeps what a caller thought of one of its own calls, and tells those who learn from it.
    async fn feedback(&self, principal: &Principal, body: &[u8]) -> Result<Reply, Fault> {
        let opinion = Opinion::read(body)?;
        let (call_id, score, comment) = (opinion.call_id, opinion.score, opinion.comment.clone());
        let feedback = Feedback { call_id, score, comment, given_us: now_us() };
        let key_id = principal.id;
        let kept = self.database.ask(move |database| {
            let found = database.call(call_id)?.filter(|record| record.key_id == key_id);
            let Some(record) = found else { return Ok(None) };
            let first = database.keep_feedback(&feedback)?;
            Ok(Some((record, first)))
        });
        let (record, first) = kept.await?.ok_or_else(|| feedback::unknown(call_id))?;
        // Who changes an opinion has been counted.
        if first {
            let target = TargetId::of(&record.provider, &record.model);
            let news = News::Feedback(RouteId::of(&record.model_asked), target, score);
            self.shared.board.post(NOT_A_CORE, [news]);
            let rollouts = self.rollouts.clone();
            tasks::aside(move || rollouts.score(&record, score)).await;
        }
        Ok(Reply { status: StatusCode::OK, kind: "application/json", body: feedback::kept(&opinion) })
    }

    async fn refresh(&self) -> Result<(), Fault> {
        Ok(refresh_callers(&self.shared, &self.database).await?)
    }
}

/// What a person wants of a rollout.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Order {
    action: Action,
}

/// A key that somebody asks for.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wish {
    name: String,
    #[serde(default)]
    models: Vec<String>,
    #[serde(default)]
    expires_us: Option<i64>,
    #[serde(default)]
    admin: bool,
}

fn ok(body: serde_json::Value) -> Reply {
    Reply { status: StatusCode::OK, kind: "application/json", body: body.to_string() }
}

fn told(fault: &Fault) -> Reply {
    let body = wire::Dialect::OpenaiChat.encode_fault(fault, "");
    let status = StatusCode::from_u16(body.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    Reply { status, kind: "application/json", body: String::from_utf8_lossy(&body.json).into_owned() }
}

fn nothing(path: &str) -> Fault {
    let message = format!(
        "there is nothing at {path}; see /admin/v1/keys, /admin/v1/calls, /admin/v1/rollouts and /metrics"
    );
    Fault::new(Origin::Client, Kind::NotFound, message).code("path_not_found")
}

fn broken() -> Fault {
    Fault::new(Origin::Gateway, Kind::Internal, "the rollouts could not be asked").code("rollouts_failed")
}

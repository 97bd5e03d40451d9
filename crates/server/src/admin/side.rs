//! Takes requests of the admin API, finds out who asks, and hands them to whoever answers.

use std::{net::IpAddr, sync::Arc};

use http::{Method, StatusCode};
use policy::{key::Scope, principal::EntityKind, rollout::Action as RolloutAction};
use serde::Deserialize;
use serde_json::json;
use store::{ActorKind, Author, Database, Repeatable, Sealer};
use tokio::sync::{Semaphore, mpsc};
use wire::{Fault, Kind, Origin};

use super::{
    AdminRequest, Reply, audit, calls,
    change::Wish,
    examine::{object, object_or_nothing},
    find::Finder,
    guard::Guard,
    list,
    openapi::openapi,
    people::People,
    query::{Expected, Parameters},
    refusal::{Refusal, Wrong},
    resource::Resource,
    rotate::overlap_us,
    routes::{self, Action, Found, Route},
    scim,
    who::Who,
};
use crate::{
    access_request,
    authenticate::{self, Shown},
    core::Shared,
    credentials::Fetcher,
    database::DatabaseThread,
    feedback,
    metrics::{CoreMetrics, exposition},
    reload::refresh_callers,
    rollouts::Rollouts,
    secrets::SecretStores,
    tasks,
    world::now_us,
};

/// The most requests that are answered at a time.
const AT_A_TIME_MAX: usize = 64;
/// The longest `Idempotency-Key`.
const REPEATABLE_CHARS_MAX: usize = 255;

/// What the admin runtime is made of.
pub(crate) struct Settings {
    pub(crate) shared: Arc<Shared>,
    pub(crate) database: DatabaseThread,
    pub(crate) rollouts: Rollouts,
    pub(crate) metrics: Vec<Arc<CoreMetrics>>,
    pub(crate) secrets: SecretStores,
    pub(crate) sealer: Option<Arc<Sealer>>,
    pub(crate) fetcher: Fetcher,
}

/// What the admin runtime works with.
pub(crate) struct Admin {
    pub(super) shared: Arc<Shared>,
    pub(super) database: DatabaseThread,
    pub(super) rollouts: Rollouts,
    metrics: Vec<Arc<CoreMetrics>>,
    secrets: SecretStores,
    /// What seals credentials of providers.
    pub(super) sealer: Option<Arc<Sealer>>,
    pub(super) guard: Guard,
    pub(super) people: People,
}

/// A request whose caller is known and may ask it.
pub(super) struct Asked<'r> {
    pub(super) who: Who,
    pub(super) request: &'r AdminRequest,
    /// What stands in the path.
    pub(super) name: String,
    pub(super) parameters: Parameters,
}

impl Admin {
    pub(crate) fn new(settings: Settings) -> Admin {
        let Settings { shared, database, rollouts, metrics, secrets, sealer, fetcher } = settings;
        let (guard, people) = (Guard::default(), People::new(fetcher));
        Admin { shared, database, rollouts, metrics, secrets, sealer, guard, people }
    }

    /// Answers requests until the last core is gone.
    pub(crate) async fn run(self: Arc<Self>, mut requests: mpsc::Receiver<AdminRequest>) {
        let room = Arc::new(Semaphore::new(AT_A_TIME_MAX));
        while let Some(request) = requests.recv().await {
            // What waits for the database holds up nothing else.
            let Ok(place) = Arc::clone(&room).acquire_owned().await else { return };
            let admin = Arc::clone(&self);
            tasks::spawn("admin request", async move {
                let reply = admin
                    .answer(&request)
                    .await
                    .unwrap_or_else(|refusal| scim::reply(&request.path, refusal));
                // A caller that went away needs no answer.
                let _ = request.reply.send(reply);
                drop(place);
            });
        }
    }

    async fn answer(&self, request: &AdminRequest) -> Result<Reply, Refusal> {
        if let (feedback::PATH, Some(principal)) = (request.path.as_str(), &request.caller) {
            return Ok(self.feedback(principal, &request.body).await?);
        }
        if let (Some(_), Some(principal)) = (access_request::behind(&request.path), &request.caller) {
            return self.access_request(principal, request).await;
        }
        if request.path == "/metrics" && self.shared.world.load().snapshot.server.metrics_public {
            return Ok(self.metrics());
        }
        let found = routes::find(&request.method, &request.path);
        if let Found::Route(route, name) = &found
            && let Action::People(action) = route.action
            && action.is_public()
        {
            return self.anybody(action, request, name.as_deref().unwrap_or_default()).await;
        }
        let who = self.caller(request).await?;
        let (route, name) = match found {
            Found::Route(route, name) => (route, name.unwrap_or_default()),
            Found::OtherMethods(methods) => return Err(other_methods(request, &methods)),
            Found::Nothing => return Err(nothing(&request.path)),
        };
        if let Some(person) = &who.person {
            person.may_ask(route.action)?;
        }
        if let Some(permission) = route.needs {
            who.may(permission)?;
        }
        // SCIM has parameters of its own, and lets unknown ones be.
        let known = !matches!(route.action, Action::Scim(_));
        let parameters =
            if known { Parameters::read(&request.query, route.parameters)? } else { Parameters::default() };
        self.act(route, Asked { who, request, name, parameters }).await
    }

    /// Who asks, with a key that is good here. Whoever has none is told why a few times, and then no more.
    async fn caller(&self, request: &AdminRequest) -> Result<Who, Refusal> {
        let shown = Shown::in_headers(&request.headers);
        let (address, now_us) = (self.address(request), now_us());
        if !shown.has_any()
            && let Some(token) = self.session_token(&request.headers)
        {
            let who = self.by_session(request, token, address).await?;
            self.guard.asked(who.id, now_us)?;
            return Ok(who);
        }
        let world = self.shared.world.load_full();
        let roles = &world.snapshot.roles;
        let found = authenticate::by_key(&self.shared.callers.load(), shown, Scope::Admin, (now_us, address));
        let who = found.as_ref().ok().and_then(|principal| Who::new(principal, roles, (address, request.id)));
        if let Some(who) = who {
            self.guard.asked(who.id, now_us)?;
            return Ok(who);
        }
        let fault = found.err().unwrap_or_else(|| {
            Fault::new(Origin::Client, Kind::Forbidden, "this needs an admin key").code("wrong_key_scope")
        });
        let failure = self.guard.failed(address, now_us);
        if failure.is_audited {
            let author = Author {
                actor: "unknown".to_owned(),
                kind: ActorKind::Key,
                address: Some(address.to_string()),
                request_id: Some(request.id),
            };
            let code = fault.code.clone().unwrap_or_default().into_owned();
            let path = request.path.clone();
            let written = self.database.ask(move |database| audit::refused(&author, &code, &path, database));
            if let Err(error) = written.await {
                tracing::error!(%error, "the audit does not tell of a caller that was refused");
            }
        }
        Err(failure.instead.unwrap_or(fault).into())
    }

    /// Where a request comes from.
    pub(super) fn address(&self, request: &AdminRequest) -> IpAddr {
        let world = self.shared.world.load();
        authenticate::address(request.peer, &request.headers, &world.snapshot.server.trusted_proxies)
    }

    async fn act(&self, route: &Route, asked: Asked<'_>) -> Result<Reply, Refusal> {
        match route.action {
            Action::List(resource) => {
                let (finder, parameters) = (self.finder(&asked, resource), asked.parameters);
                self.read(move |database| list::list(&finder, &parameters, database)).await
            }
            Action::Read(resource) => {
                let (finder, headers) = (self.finder(&asked, resource), asked.request.headers.clone());
                self.read(move |database| list::one(&finder, &asked.name, &headers, database)).await
            }
            Action::Create(resource) => {
                let members = object(&asked.request.body)?;
                let wish = self.wish(&asked, resource, true)?;
                self.write(move |database| wish.create(&members, database)).await
            }
            Action::Replace(resource) | Action::Merge(resource) => {
                let members = object(&asked.request.body)?;
                let wish = self.wish(&asked, resource, false)?;
                let is_merged = matches!(route.action, Action::Merge(_));
                self.write(move |database| wish.update(&asked.name, &members, is_merged, database)).await
            }
            Action::Delete(resource) => {
                let wish = self.wish(&asked, resource, false)?;
                self.write(move |database| wish.delete(&asked.name, database)).await
            }
            Action::RotateKey => {
                let body = &asked.request.body;
                let members = object_or_nothing(body)?;
                let overlap_us = overlap_us(&members)?;
                let wish = self.wish(&asked, Resource::Key, true)?;
                self.write(move |database| wish.rotate(&asked.name, overlap_us, database)).await
            }
            Action::Audit => {
                let finder = audit::finder(&asked.who, &self.shared.world.load_full());
                let (parameters, headers) = (asked.parameters, asked.request.headers.clone());
                self.read(move |database| audit::list(&finder, &parameters, &headers, database)).await
            }
            Action::VerifyAudit => self.read_at_length(audit::verify).await,
            Action::Budgets(action) => self.budgets(action, asked).await,
            Action::Erasures(action) => self.erasures(action, asked).await,
            Action::Calls => {
                let (finder, parameters) = (self.finder(&asked, Resource::Key), asked.parameters);
                self.read(move |database| calls::list(&finder, &parameters, database)).await
            }
            Action::AccessRequests(action) => {
                let named = (asked.name, asked.parameters);
                self.access_requests(action, &asked.who, named, asked.request).await
            }
            Action::Scim(action) => {
                let users = self.finder(&asked, Resource::Part(EntityKind::User));
                self.scim(action, (users, asked.name), asked.request).await
            }
            Action::Rollouts => self.rollouts().await,
            Action::Rollout => self.rollout(asked.name).await,
            Action::ActOnRollout => {
                let order: Order = serde_json::from_slice(&asked.request.body)
                    .map_err(|error| Refusal::invalid(vec![Wrong::new("", error.to_string())]))?;
                self.act_on_rollout(asked.name, order.action, asked.who.author()).await
            }
            // A core takes it, and asks here whether somebody who has signed in may.
            Action::Explain => Ok(Reply::ok(&json!({}))),
            Action::Metrics => Ok(self.metrics()),
            Action::Description => Ok(Reply::ok(&openapi())),
            Action::Credentials(act) => self.credentials(act, asked).await,
            Action::Registry(action) => self.registry(action, &asked).await,
            Action::People(action) => self.people(action, asked).await,
        }
    }

    pub(super) fn finder(&self, asked: &Asked<'_>, resource: Resource) -> Finder {
        Finder { who: asked.who.clone(), world: self.shared.world.load_full(), resource }
    }

    pub(super) fn wish(
        &self,
        asked: &Asked<'_>,
        resource: Resource,
        may_repeat: bool,
    ) -> Result<Wish, Refusal> {
        let request = asked.request;
        let named = request.headers.get("idempotency-key").filter(|_| may_repeat);
        let repeatable = named.map(|value| {
            let name = value.to_str().ok().filter(|name| (1..=REPEATABLE_CHARS_MAX).contains(&name.len()));
            let name = name.ok_or_else(|| {
                let message = format!("must have between 1 and {REPEATABLE_CHARS_MAX} letters of ASCII");
                Refusal::invalid(vec![Wrong::new("Idempotency-Key", message)])
            })?;
            let body = String::from_utf8_lossy(&request.body);
            let request = format!("{} {}\n{body}", request.method, request.path);
            Ok::<_, Refusal>(Repeatable { caller: asked.who.id, name: name.to_owned(), request })
        });
        Ok(Wish {
            finder: self.finder(asked, resource),
            repeatable: repeatable.transpose()?,
            expected: Expected::read(&request.headers),
        })
    }

    /// Asks the database.
    pub(super) async fn read(
        &self,
        work: impl FnOnce(&mut Database) -> Result<Reply, Refusal> + Send + 'static,
    ) -> Result<Reply, Refusal> {
        self.database.ask(move |database| Ok(work(database))).await?
    }

    /// The same for what takes long.
    pub(super) async fn read_at_length(
        &self,
        work: impl FnOnce(&mut Database) -> Result<Reply, Refusal> + Send + 'static,
    ) -> Result<Reply, Refusal> {
        self.database.ask_at_length(move |database| Ok(work(database))).await?
    }

    /// The same for what changes something; callers are answered when the change holds here.
    pub(super) async fn write(
        &self,
        work: impl FnOnce(&mut Database) -> Result<Reply, Refusal> + Send + 'static,
    ) -> Result<Reply, Refusal> {
        let reply = self.read(work).await?;
        refresh_callers(&self.shared, &self.database).await?;
        Ok(reply)
    }

    fn metrics(&self) -> Reply {
        Reply {
            status: StatusCode::OK,
            kind: "text/plain; version=0.0.4; charset=utf-8",
            body: exposition(&self.metrics, &self.shared)
                + &self.rollouts.exposition()
                + &self.secrets.exposition(),
            headers: Vec::new(),
        }
    }

    async fn rollouts(&self) -> Result<Reply, Refusal> {
        let rollouts = self.rollouts.clone();
        let list = tasks::aside(move || rollouts.list()).await.ok_or_else(broken)?;
        Ok(Reply::ok(&json!({"data": list})))
    }

    async fn rollout(&self, name: String) -> Result<Reply, Refusal> {
        let rollouts = self.rollouts.clone();
        let shown = tasks::aside(move || rollouts.one(&name)).await.ok_or_else(broken)??;
        Ok(Reply::ok(&shown))
    }

    async fn act_on_rollout(
        &self,
        name: String,
        action: RolloutAction,
        author: Author,
    ) -> Result<Reply, Refusal> {
        let rollouts = self.rollouts.clone();
        let acted = tasks::aside(move || rollouts.act(&name, action, author));
        Ok(Reply::ok(&acted.await.ok_or_else(broken)??))
    }
}

/// What a person wants of a rollout.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Order {
    action: RolloutAction,
}

fn other_methods(request: &AdminRequest, methods: &[&Method]) -> Refusal {
    let names: Vec<&str> = methods.iter().map(|method| method.as_str()).collect();
    let message = format!("{} takes {}, not {}", request.path, names.join(", "), request.method);
    let refusal = Refusal::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", message);
    refusal.with("allow", names.join(", "))
}

fn nothing(path: &str) -> Refusal {
    let shown: String = path.chars().take(100).collect();
    let message = format!("there is nothing at {shown}; see /admin/v1/openapi.json");
    Refusal::new(StatusCode::NOT_FOUND, "path_not_found", message)
}

fn broken() -> Fault {
    Fault::new(Origin::Gateway, Kind::Internal, "the rollouts could not be asked").code("rollouts_failed")
}

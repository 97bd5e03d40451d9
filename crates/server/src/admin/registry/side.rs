//! Answers what the admin API is asked of the registry as a whole.

use http::{HeaderMap, StatusCode};
use policy::{config::Document, role::Permission};
use serde::de::DeserializeOwned;
use serde_json::Value as Json;
use store::Database;

use super::super::{
    Reply,
    bodies::List,
    change::Wish,
    query::{LISTED_MAX, Parameters, cursor, no_cursor},
    refusal::{Refusal, Wrong},
    resource::Resource,
    side::{Admin, Asked},
};
use super::{
    desk::{Desk, Wanted},
    plan::Planned,
    routes::{Action, RollbackBody, VersionBody},
    state::State,
};

/// What somebody wants by a request.
struct Order {
    desk: Desk,
    wanted: Wanted,
    /// Where a YAML reader found things.
    document: Option<Document>,
    organization: Option<String>,
    expected: Option<u64>,
}

impl Admin {
    pub(in super::super) async fn registry(
        &self,
        action: Action,
        asked: &Asked<'_>,
    ) -> Result<Reply, Refusal> {
        let desk = Desk::of_caller(&asked.who, &self.shared.world.load_full());
        let (parameters, name) = (asked.parameters.clone(), asked.name.clone());
        match action {
            Action::Export => self.read(move |database| export(desk, &parameters, database)).await,
            Action::Plan => {
                let order = filed(desk, asked)?;
                self.read(move |database| order.plan(database)).await
            }
            Action::Apply => {
                let order = filed(desk, asked)?;
                self.carry_out(order, asked).await
            }
            Action::History => self.read(move |database| history(&desk, &parameters, database)).await,
            Action::Versions(resource) => {
                self.read(move |database| versions(&desk, resource, (&name, &parameters), database)).await
            }
            Action::RollBack => {
                let body: RollbackBody = body(asked)?;
                let order = Order::new(desk, Wanted::Clock(body.clock), &asked.request.headers)?;
                self.roll_back(order, body.dry_run, asked).await
            }
            Action::RollBackOne(resource) => {
                let body: VersionBody = body(asked)?;
                let kind = resource.kind().to_owned();
                let wanted = Wanted::Version { kind, name, version: body.version };
                let order = Order::new(desk, wanted, &asked.request.headers)?;
                self.roll_back(order, body.dry_run, asked).await
            }
        }
    }

    async fn roll_back(&self, order: Order, dry_run: bool, asked: &Asked<'_>) -> Result<Reply, Refusal> {
        if dry_run {
            return self.read(move |database| order.plan(database)).await;
        }
        self.carry_out(order, asked).await
    }

    async fn carry_out(&self, order: Order, asked: &Asked<'_>) -> Result<Reply, Refusal> {
        let mut wish = self.wish(asked, Resource::Key, true)?;
        if let Some(repeatable) = &mut wish.repeatable {
            // What stands behind the question mark decides on what is done.
            repeatable.request.push_str(&format!("\n{}", asked.request.query));
        }
        self.write(move |database| order.apply(&wish, database)).await
    }
}

impl Order {
    fn new(desk: Desk, wanted: Wanted, headers: &HeaderMap) -> Result<Order, Refusal> {
        let expected = expected(headers)?;
        Ok(Order { desk, wanted, document: None, organization: None, expected })
    }

    fn desk(&self, database: &mut Database) -> Result<Desk, Refusal> {
        placed(self.desk.clone(), self.organization.as_deref(), database)
    }

    fn plan(self, database: &mut Database) -> Result<Reply, Refusal> {
        let desk = self.desk(database)?;
        let planned = desk.planned(&mut database.look(desk.tenancy()), &self.wanted);
        let Planned { plan, .. } = planned.map_err(|refusal| self.located(refusal))?;
        let clock = plan.clock;
        Ok(Reply::ok(&plan).with("etag", format!("\"{clock}\"")))
    }

    fn apply(self, wish: &Wish, database: &mut Database) -> Result<Reply, Refusal> {
        let desk = self.desk(database)?;
        let mut executed = None;
        let reply = wish.once(database, |transaction| {
            let done = desk.execute(transaction, &self.wanted, self.expected);
            let done = executed.insert(done.map_err(|refusal| self.located(refusal))?);
            let clock = done.done.plan.clock;
            Ok((Reply::ok(&done.done).with("etag", format!("\"{clock}\"")), None))
        })?;
        Ok(match executed {
            // Answers are kept without secrets.
            Some(executed) => Reply { body: Reply::ok(&executed.revealed()).body, ..reply },
            None => reply,
        })
    }

    /// Says where in the file each problem stands.
    fn located(&self, refusal: Refusal) -> Refusal {
        let (Some(document), (_, _, wrong @ [_, ..])) = (&self.document, refusal.told()) else {
            return refusal;
        };
        let wrong = wrong.iter().map(|wrong| {
            let line = document.problem(&wrong.path, "").line;
            Wrong::new(wrong.path.as_str(), format!("{} (line {line})", wrong.message))
        });
        Refusal::invalid(wrong.collect())
    }
}

/// What the body of a request, a registry file, is to make of the registry.
fn filed(desk: Desk, asked: &Asked<'_>) -> Result<Order, Refusal> {
    let (file, document) = read(&asked.request.body)?;
    let prune = match asked.parameters.text("prune") {
        None | Some("false") => false,
        Some("true") => true,
        Some(_) => return Err(Refusal::invalid(vec![Wrong::new("prune", "must be true or false")])),
    };
    Ok(Order {
        organization: asked.parameters.text("organization").map(str::to_owned),
        document,
        ..Order::new(desk, Wanted::File { file, prune }, &asked.request.headers)?
    })
}

/// JSON, or YAML that knows where things stand.
fn read(body: &[u8]) -> Result<(Json, Option<Document>), Refusal> {
    if let Ok(file) = serde_json::from_slice(body) {
        return Ok((file, None));
    }
    let no_text = |_| Refusal::invalid(vec![Wrong::new("", "the body is no text in UTF-8")]);
    let text = std::str::from_utf8(body).map_err(no_text)?;
    let document = Document::read("the body".into(), text).map_err(|problems| {
        let wrong = problems
            .0
            .into_iter()
            .map(|problem| Wrong::new(problem.path, format!("{} (line {})", problem.message, problem.line)));
        Refusal::invalid(wrong.collect())
    })?;
    Ok((document.json(), Some(document)))
}

fn body<T: DeserializeOwned>(asked: &Asked<'_>) -> Result<T, Refusal> {
    serde_json::from_slice(&asked.request.body)
        .map_err(|error| Refusal::invalid(vec![Wrong::new("", error.to_string())]))
}

/// How the clock must have stood for what is touched (<https://www.rfc-editor.org/rfc/rfc9110#section-13.1.1>).
fn expected(headers: &HeaderMap) -> Result<Option<u64>, Refusal> {
    let Some(value) = headers.get("if-match") else { return Ok(None) };
    let text = value.to_str().unwrap_or_default().trim();
    if text == "*" {
        return Ok(None);
    }
    let clock = text.trim_matches('"').parse().map_err(|_| {
        let message = "must be the ETag of a plan or of an export, as \"17\"";
        Refusal::invalid(vec![Wrong::new("If-Match", message)])
    })?;
    Ok(Some(clock))
}

fn export(desk: Desk, parameters: &Parameters, database: &mut Database) -> Result<Reply, Refusal> {
    let desk = placed(desk, parameters.text("organization"), database)?;
    let state = State::read(&mut database.look(desk.tenancy()))?;
    let reply = Reply::json(StatusCode::OK, &desk.written(&state));
    Ok(reply.with("etag", format!("\"{}\"", state.clock)))
}

/// All kinds are told of together.
fn placed(desk: Desk, organization: Option<&str>, database: &mut Database) -> Result<Desk, Refusal> {
    desk.who.may(Permission::PartsRead)?;
    desk.who.may(Permission::KeysRead)?;
    match organization {
        Some(organization) => desk.only(database, organization),
        None => Ok(desk),
    }
}

/// Where a list goes on.
fn before(parameters: &Parameters) -> Result<Option<u64>, Refusal> {
    parameters.cursor()?.map(|text| text.parse().map_err(|_| no_cursor())).transpose()
}

fn history(desk: &Desk, parameters: &Parameters, database: &mut Database) -> Result<Reply, Refusal> {
    let limit = parameters.limit(LISTED_MAX)?;
    let mut data = desk.events(database, parameters.text("object"), (before(parameters)?, limit + 1))?;
    let more = data.len() > limit as usize;
    data.truncate(limit as usize);
    let next = data.last().filter(|_| more).map(|last| cursor(&last.clock.to_string()));
    Ok(Reply::ok(&List { data, next_cursor: next }))
}

fn versions(
    desk: &Desk,
    resource: Resource,
    (wanted, parameters): (&str, &Parameters),
    database: &mut Database,
) -> Result<Reply, Refusal> {
    let limit = parameters.limit(LISTED_MAX)?;
    let mut data = desk.versions(database, resource, (wanted, before(parameters)?, limit + 1))?;
    let more = data.len() > limit as usize;
    data.truncate(limit as usize);
    let next = data.last().filter(|_| more).map(|last| cursor(&last.clock().to_string()));
    Ok(Reply::ok(&List { data, next_cursor: next }))
}

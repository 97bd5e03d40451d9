//! What callers do: ask, look what has become of it, and withdraw it.

use std::sync::Arc;

use http::{Method, StatusCode};
use policy::{
    limit::OperationName,
    principal::{EntityKind, Principal, Proof},
};
use serde::Deserialize;
use serde_json::json;
use store::{ActorKind, Author, Change, Database, Object, Query, Tenancy};
use uuid::Uuid;

use super::record::{Asker, KIND, Kept, Shown, State, Subject, SubjectKind, TEXT_CHARS_MAX, reply, unknown};
use crate::{
    access_request::behind,
    admin::{
        Admin, AdminRequest, Reply,
        refusal::{Refusal, Wrong},
    },
    world::now_us,
};

/// The most requests of one caller that wait.
const PENDING_MAX: usize = 20;
/// The most that one caller makes in a day, those that it withdraws among them.
const DAILY_MAX: usize = 100;
const DAY_US: i64 = 24 * 3_600 * 1_000_000;
/// The most that one caller is shown, the latest of them.
const SHOWN_MAX: usize = 200;
/// The most names in one request.
const NAMES_MAX: usize = 50;
const NAME_CHARS_MAX: usize = 200;
const BATCH: u32 = 500;

/// What a caller sends.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Question {
    #[serde(default)]
    models: Vec<String>,
    #[serde(default)]
    operations: Vec<OperationName>,
    reason: String,
    #[serde(default, rename = "for")]
    subject: Option<SubjectKind>,
}

/// A caller, and what its changes are done by.
struct Caller {
    principal: Arc<Principal>,
    author: Author,
}

impl Admin {
    /// Answers a caller with a key or a token for calls.
    pub(in crate::admin) async fn access_request(
        &self,
        principal: &Arc<Principal>,
        request: &AdminRequest,
    ) -> Result<Reply, Refusal> {
        let id = behind(&request.path).unwrap_or_default().to_owned();
        let author = Author {
            actor: principal.id.to_string(),
            kind: if principal.proof == Proof::Key { ActorKind::Key } else { ActorKind::User },
            address: Some(self.address(request).to_string()),
            request_id: Some(request.id),
        };
        let caller = Caller { principal: Arc::clone(principal), author };
        match (&request.method, id.is_empty()) {
            (&Method::POST, true) => {
                let question = Question::read(&request.body)?;
                self.read(move |database| caller.ask(question, database)).await
            }
            (&Method::GET | &Method::HEAD, true) => self.read(move |database| caller.list(database)).await,
            (&Method::DELETE, false) => self.read(move |database| caller.withdraw(&id, database)).await,
            _ => {
                let message = "takes GET and POST, and DELETE with the id of a request behind it";
                let refusal = Refusal::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", message);
                Err(refusal.with("allow", if id.is_empty() { "GET, POST" } else { "DELETE" }.to_owned()))
            }
        }
    }
}

impl Question {
    fn read(body: &[u8]) -> Result<Question, Refusal> {
        let invalid = |path: &str, message: String| Refusal::invalid(vec![Wrong::new(path, message)]);
        let question: Question =
            serde_json::from_slice(body).map_err(|error| invalid("", error.to_string()))?;
        let mut wrong = Vec::new();
        if question.models.is_empty() && question.operations.is_empty() {
            wrong.push(Wrong::new("models", "is empty, as is operations; say what is asked for"));
        }
        for (path, count) in [("models", question.models.len()), ("operations", question.operations.len())] {
            if count > NAMES_MAX {
                wrong.push(Wrong::new(path, format!("has {NAMES_MAX} names at most")));
            }
        }
        let is_name = |name: &String| {
            (1..=NAME_CHARS_MAX).contains(&name.chars().count()) && !name.contains(char::is_control)
        };
        if let Some(at) = question.models.iter().position(|name| !is_name(name)) {
            wrong.push(Wrong::new(
                format!("models[{at}]"),
                format!("must be a model's name, of {NAME_CHARS_MAX} characters at most"),
            ));
        }
        if question.reason.trim().is_empty() || question.reason.chars().count() > TEXT_CHARS_MAX {
            let message = format!("must have between 1 and {TEXT_CHARS_MAX} characters: say what it is for");
            wrong.push(Wrong::new("reason", message));
        }
        if wrong.is_empty() { Ok(question) } else { Err(Refusal::invalid(wrong)) }
    }
}

impl Caller {
    fn ask(&self, question: Question, database: &mut Database) -> Result<Reply, Refusal> {
        let subject = self.subject(question.subject)?;
        let conflict = |code: &str, message: String| Refusal::new(StatusCode::CONFLICT, code, message);
        let refused = question.models.iter().any(|model| self.principal.may_use(model).is_err())
            || question.operations.iter().any(|operation| self.principal.may_do(operation.0).is_err());
        if !refused {
            let message = "all of this is allowed already; there is nothing to ask for".to_owned();
            return Err(conflict("already_allowed", message));
        }
        let own = self.own(database)?;
        let yesterday_us = now_us().saturating_sub(DAY_US);
        if own.iter().filter(|object| object.created_us > yesterday_us).count() >= DAILY_MAX {
            let message =
                format!("you have made {DAILY_MAX} requests in a day, which is the most; try tomorrow");
            return Err(Refusal::new(StatusCode::TOO_MANY_REQUESTS, "too_many_requests_made", message));
        }
        let pending = own.iter().filter_map(|object| Some((object.id, Kept::of(object)?)));
        let pending: Vec<(Uuid, Kept)> = pending.filter(|(_, kept)| kept.state == State::Pending).collect();
        let is_same = |kept: &Kept| {
            kept.subject == subject
                && kept.models == question.models
                && kept.operations == question.operations
        };
        if let Some((id, _)) = pending.iter().find(|(_, kept)| is_same(kept)) {
            return Err(conflict("already_asked", format!("the request {id} asks for the same and waits")));
        }
        if pending.len() >= PENDING_MAX {
            let message =
                format!("{PENDING_MAX} requests of yours wait already, which is the most; withdraw one");
            return Err(Refusal::new(StatusCode::TOO_MANY_REQUESTS, "too_many_requests_pending", message));
        }
        let id = Uuid::now_v7();
        let kept = Kept {
            state: State::Pending,
            subject,
            models: question.models,
            operations: question.operations,
            reason: question.reason,
            asked_by: Asker {
                id: self.principal.id,
                name: self.principal.name.clone(),
                user: self.above(EntityKind::User).map(|(id, _)| id),
            },
            decided_by: None,
            decided_us: None,
            note: None,
            until_us: None,
        };
        let change = Change::Create {
            id,
            kind: KIND.to_owned(),
            organization: self.principal.organization,
            parent: None,
            // By which those of one caller are found.
            name: format!("{}/{id}", self.principal.id),
            body: kept.body(),
        };
        self.apply(&change, StatusCode::CREATED, database)
    }

    /// The caller's own requests, the latest first.
    fn list(&self, database: &mut Database) -> Result<Reply, Refusal> {
        let now_us = now_us();
        let own = self.own(database)?;
        let shown: Vec<Shown> =
            own.iter().rev().filter_map(|object| Shown::of(object, now_us)).take(SHOWN_MAX).collect();
        Ok(Reply::ok(&json!({ "data": shown })))
    }

    fn withdraw(&self, wanted: &str, database: &mut Database) -> Result<Reply, Refusal> {
        let id = Uuid::parse_str(wanted).map_err(|_| unknown(wanted))?;
        let object = database.object(self.tenancy(), id)?;
        let found = object.and_then(|object| Some((Kept::of(&object)?, object)));
        let (kept, object) =
            found.filter(|(kept, _)| kept.asked_by.id == self.principal.id).ok_or_else(|| unknown(wanted))?;
        kept.check_pending(now_us())?;
        let change = Change::Update {
            id,
            expected: Some(object.version),
            name: object.name,
            parent: object.parent,
            body: Kept { state: State::Withdrawn, ..kept }.body(),
        };
        self.apply(&change, StatusCode::OK, database)
    }

    fn apply(&self, change: &Change, status: StatusCode, database: &mut Database) -> Result<Reply, Refusal> {
        let now_us = now_us();
        let made = database.apply(self.tenancy(), std::slice::from_ref(change), &self.author, now_us)?;
        let made = made.first().ok_or_else(|| unknown(""))?;
        reply(made, now_us, status)
    }

    /// Who is to be allowed more: the key itself where nothing is said, or the user whose token it is.
    fn subject(&self, wanted: Option<SubjectKind>) -> Result<Subject, Refusal> {
        let is_key = self.principal.proof == Proof::Key;
        let kind = wanted.unwrap_or(if is_key { SubjectKind::Key } else { SubjectKind::User });
        let found = match kind {
            SubjectKind::Key => is_key.then(|| (self.principal.id, self.principal.name.clone())),
            SubjectKind::User => self.above(EntityKind::User),
            SubjectKind::Project => self.above(EntityKind::Project),
            SubjectKind::Team => self.above(EntityKind::Team),
        };
        let (id, name) = found.ok_or_else(|| {
            let message = format!(
                "you have no {0}; ask for what you belong to: key, user, project or team",
                kind.name()
            );
            Refusal::invalid(vec![Wrong::new("for", message)])
        })?;
        Ok(Subject { kind, id, name })
    }

    fn above(&self, kind: EntityKind) -> Option<(Uuid, String)> {
        let found = self.principal.ancestors.iter().find(|above| above.kind == kind);
        found.map(|above| (above.id, above.name.clone()))
    }

    /// All of the caller's own requests, the oldest first.
    fn own(&self, database: &mut Database) -> Result<Vec<Object>, Refusal> {
        let mut own = Vec::new();
        let search = Some(format!("{}/", self.principal.id));
        let mut query = Query { kind: KIND.to_owned(), search, limit: BATCH, ..Query::default() };
        loop {
            let page = database.objects(self.tenancy(), &query)?;
            let Some(last) = page.last() else { return Ok(own) };
            query.after = Some(last.id);
            own.extend(page);
        }
    }

    fn tenancy(&self) -> Tenancy {
        self.principal.organization.map_or(Tenancy::All, Tenancy::Organization)
    }
}

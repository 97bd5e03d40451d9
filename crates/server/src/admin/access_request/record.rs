//! A request for access, as it is kept and as it is shown.

use http::StatusCode;
use policy::limit::OperationName;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value as Json, json};
use store::Object;
use uuid::Uuid;

use crate::admin::{Reply, refusal::Refusal};

/// Its kind in the registry.
pub(super) const KIND: &str = "access_request";
/// The longest reason or note, in characters.
pub(super) const TEXT_CHARS_MAX: usize = 2_000;

/// What the registry keeps of a request.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "AccessRequestBody")]
pub(super) struct Kept {
    pub(super) state: State,
    pub(super) subject: Subject,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) models: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) operations: Vec<OperationName>,
    pub(super) reason: String,
    pub(super) asked_by: Asker,
    /// The id of the key that approved or denied it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) decided_by: Option<Uuid>,
    /// Microseconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) decided_us: Option<i64>,
    /// What whoever decided says of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) note: Option<String>,
    /// When what was approved ends, in microseconds since 1970. Nothing where it does not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) until_us: Option<i64>,
}

/// How far it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum State {
    Pending,
    Approved,
    Denied,
    /// Its caller wants it no more.
    Withdrawn,
    /// It was approved for a time that has ended.
    Expired,
}

/// Who is to be allowed more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub(super) struct Subject {
    pub(super) kind: SubjectKind,
    pub(super) id: Uuid,
    pub(super) name: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum SubjectKind {
    Key,
    User,
    Project,
    Team,
}

/// Who asks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub(super) struct Asker {
    pub(super) id: Uuid,
    pub(super) name: String,
    /// The user whose key or token it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) user: Option<Uuid>,
}

/// A request with what the registry says of it.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[schemars(rename = "AccessRequest")]
pub(super) struct Shown {
    pub(super) id: Uuid,
    #[serde(skip_serializing_if = "Option::is_none")]
    organization: Option<Uuid>,
    #[serde(flatten)]
    kept: Kept,
    /// One more with each change.
    version: u64,
    /// Microseconds since 1970.
    created_us: i64,
    updated_us: i64,
    /// What holds beside what was approved.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) remark: Option<String>,
}

impl State {
    pub(super) const ALL: [State; 5] =
        [State::Pending, State::Approved, State::Denied, State::Withdrawn, State::Expired];

    pub(super) fn name(self) -> &'static str {
        match self {
            State::Pending => "pending",
            State::Approved => "approved",
            State::Denied => "denied",
            State::Withdrawn => "withdrawn",
            State::Expired => "expired",
        }
    }
}

impl SubjectKind {
    /// As in the registry and in sentences.
    pub(super) fn name(self) -> &'static str {
        match self {
            SubjectKind::Key => "key",
            SubjectKind::User => "user",
            SubjectKind::Project => "project",
            SubjectKind::Team => "team",
        }
    }
}

impl Kept {
    /// Nothing where it cannot be read.
    pub(super) fn of(object: &Object) -> Option<Kept> {
        serde_json::from_value(object.body.clone()).ok().filter(|_| object.kind == KIND)
    }

    pub(super) fn state(&self, now_us: i64) -> State {
        match self.state {
            State::Approved if self.until_us.is_some_and(|until| until <= now_us) => State::Expired,
            state => state,
        }
    }

    pub(super) fn body(&self) -> Json {
        json!(self)
    }

    /// Whether it waits for somebody to decide; the refusal tells what has become of it.
    pub(super) fn check_pending(&self, now_us: i64) -> Result<(), Refusal> {
        match self.state(now_us) {
            State::Pending => Ok(()),
            state @ (State::Approved | State::Denied | State::Withdrawn | State::Expired) => {
                let message = format!("this request is {} already; ask anew", state.name());
                Err(Refusal::new(StatusCode::CONFLICT, "request_decided", message))
            }
        }
    }
}

impl Shown {
    /// Nothing where it cannot be read.
    pub(super) fn of(object: &Object, now_us: i64) -> Option<Shown> {
        let kept = Kept::of(object)?;
        Some(Shown {
            id: object.id,
            organization: object.organization,
            kept: Kept { state: kept.state(now_us), ..kept },
            version: object.version,
            created_us: object.created_us,
            updated_us: object.updated_us,
            remark: None,
        })
    }

    pub(super) fn state(&self) -> State {
        self.kept.state
    }

    pub(super) fn reply(&self, status: StatusCode) -> Reply {
        Reply::json(status, self).with("etag", format!("\"{}\"", self.version))
    }
}

/// The answer that shows a request.
pub(super) fn reply(object: &Object, now_us: i64, status: StatusCode) -> Result<Reply, Refusal> {
    let shown = Shown::of(object, now_us);
    shown.map(|shown| shown.reply(status)).ok_or_else(|| unknown(&object.id.to_string()))
}

pub(super) fn unknown(id: &str) -> Refusal {
    Refusal::not_found("access request", id)
}

//! Why a request of the admin API was refused: everything that is wrong with it, at once.

use http::StatusCode;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Value as Json, json};
use wire::{Dialect, Fault};

use super::Reply;
use crate::database::Unanswered;

/// What is answered in place of what was asked for.
#[derive(Debug)]
pub(super) struct Refusal(Box<Members>);

#[derive(Debug)]
struct Members {
    status: StatusCode,
    code: String,
    kind: String,
    message: String,
    param: Option<String>,
    wrong: Vec<Wrong>,
    headers: Vec<(&'static str, String)>,
}

/// What of a refusal is told in any form.
pub(super) struct Parts {
    pub(super) status: StatusCode,
    pub(super) code: String,
    pub(super) message: String,
    pub(super) headers: Vec<(&'static str, String)>,
}

/// One thing that is wrong with a body.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(rename = "Problem")]
pub(super) struct Wrong {
    /// The member, as `limits[0].per`.
    pub(super) path: String,
    pub(super) message: String,
}

/// What every refusal looks like.
#[derive(JsonSchema)]
#[schemars(rename = "Error")]
#[expect(dead_code, reason = "it is the schema of what is written below")]
pub(super) struct ErrorBody {
    error: ErrorMembers,
}

#[derive(JsonSchema)]
#[schemars(rename = "ErrorMembers")]
#[expect(dead_code, reason = "it is the schema of what is written below")]
struct ErrorMembers {
    /// What is wrong, and the remedy.
    message: String,
    #[serde(rename = "type")]
    kind: String,
    /// The member that is at fault.
    param: Option<String>,
    /// A name for programs, as `name_taken`.
    code: String,
    /// Everything that is wrong with the body.
    #[serde(default)]
    problems: Vec<Wrong>,
}

impl Wrong {
    pub(super) fn new(path: impl Into<String>, message: impl Into<String>) -> Wrong {
        Wrong { path: path.into(), message: message.into() }
    }
}

impl Refusal {
    pub(super) fn new(status: StatusCode, code: &str, message: impl Into<String>) -> Refusal {
        Refusal(Box::new(Members {
            status,
            code: code.to_owned(),
            kind: "invalid_request_error".to_owned(),
            message: message.into(),
            param: None,
            wrong: Vec::new(),
            headers: Vec::new(),
        }))
    }

    /// A body or a query with these problems; there is at least one.
    pub(super) fn invalid(wrong: Vec<Wrong>) -> Refusal {
        let shown = |wrong: &Wrong| match wrong.path.as_str() {
            "" => wrong.message.clone(),
            path => format!("{path}: {}", wrong.message),
        };
        let message = wrong.iter().map(shown).collect::<Vec<_>>().join("; ");
        let param = wrong.first().map(|wrong| wrong.path.clone()).filter(|path| !path.is_empty());
        let mut refusal = Refusal::new(StatusCode::BAD_REQUEST, "invalid_request", message);
        (refusal.0.param, refusal.0.wrong) = (param, wrong);
        refusal
    }

    pub(super) fn not_found(what: &str, name: &str) -> Refusal {
        let shown: String = name.chars().take(100).collect();
        Refusal::new(StatusCode::NOT_FOUND, "not_found", format!("there is no {what} \"{shown}\" here"))
    }

    /// Its code, what it says, and everything that is wrong.
    pub(super) fn told(&self) -> (&str, &str, &[Wrong]) {
        (&self.0.code, &self.0.message, &self.0.wrong)
    }

    pub(super) fn is_not_found(&self) -> bool {
        self.0.status == StatusCode::NOT_FOUND
    }

    pub(super) fn with(mut self, name: &'static str, value: String) -> Refusal {
        self.0.headers.push((name, value));
        self
    }

    /// For those that are told it in another form.
    pub(super) fn into_parts(self) -> Parts {
        let Members { status, code, message, headers, .. } = *self.0;
        Parts { status, code, message, headers }
    }

    pub(super) fn reply(self) -> Reply {
        let members = *self.0;
        let mut error = json!({
            "message": members.message, "type": members.kind, "param": members.param, "code": members.code,
        });
        if !members.wrong.is_empty() {
            error["problems"] = json!(members.wrong);
        }
        let reply = Reply::json(members.status, &json!({ "error": error }));
        members.headers.into_iter().fold(reply, |reply, (name, value)| reply.with(name, value))
    }
}

impl From<Fault> for Refusal {
    fn from(fault: Fault) -> Refusal {
        let told = Dialect::OpenaiChat.encode_fault(&fault, "");
        let body: Json = serde_json::from_slice(&told.json).unwrap_or_default();
        let text =
            |name: &str| body.pointer(&format!("/error/{name}")).and_then(Json::as_str).map(str::to_owned);
        let status = StatusCode::from_u16(told.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut refusal = Refusal::new(status, &text("code").unwrap_or_default(), fault.message);
        if let Some(kind) = text("type") {
            refusal.0.kind = kind;
        }
        refusal.0.param = fault.param;
        match fault.retry.seconds() {
            Some(seconds) => refusal.with("retry-after", seconds.to_string()),
            None if status == StatusCode::UNAUTHORIZED => {
                refusal.with("www-authenticate", "Bearer".to_owned())
            }
            None => refusal,
        }
    }
}

impl From<Unanswered> for Refusal {
    fn from(unanswered: Unanswered) -> Refusal {
        match unanswered {
            Unanswered::Store(error) => error.into(),
            Unanswered::Busy => Fault::from(unanswered).into(),
        }
    }
}

impl From<store::Error> for Refusal {
    fn from(error: store::Error) -> Refusal {
        let message = error.to_string();
        match error {
            store::Error::NameTaken { .. } => {
                let mut refusal = Refusal::new(StatusCode::CONFLICT, "name_taken", message);
                refusal.0.param = Some("name".to_owned());
                refusal
            }
            store::Error::VersionMismatch { found } => {
                Refusal::new(StatusCode::PRECONDITION_FAILED, "version_mismatch", message)
                    .with("etag", format!("\"{found}\""))
            }
            store::Error::NotErasable { .. } => Refusal::new(StatusCode::CONFLICT, "not_erasable", message),
            store::Error::NoObject(_) => Refusal::new(StatusCode::NOT_FOUND, "not_found", message),
            store::Error::Duplicate(_) => {
                let message = "a request with this Idempotency-Key is being worked on; send it again";
                Refusal::new(StatusCode::CONFLICT, "idempotency_key_in_use", message)
                    .with("retry-after", "1".to_owned())
            }
            store::Error::TooManyAnswers(_) => {
                Refusal::new(StatusCode::TOO_MANY_REQUESTS, "too_many_idempotency_keys", message)
                    .with("retry-after", "3600".to_owned())
            }
            error => Fault::from(Unanswered::Store(error)).into(),
        }
    }
}

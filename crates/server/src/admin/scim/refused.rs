//! Refusals as SCIM has them (<https://www.rfc-editor.org/rfc/rfc7644#section-3.12>).

use http::StatusCode;
use serde_json::json;

use super::parse::Misread;
use crate::admin::{Reply, refusal::Refusal};

/// The media type of all answers.
pub(super) const MEDIA: &str = "application/scim+json";
const SCHEMA: &str = "urn:ietf:params:scim:api:messages:2.0:Error";

/// What is wrong with a request, in the words of the standard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ErrorType {
    InvalidFilter,
    TooMany,
    Uniqueness,
    Mutability,
    InvalidSyntax,
    InvalidPath,
    NoTarget,
    InvalidValue,
}

impl ErrorType {
    const ALL: [ErrorType; 8] = [
        ErrorType::InvalidFilter,
        ErrorType::TooMany,
        ErrorType::Uniqueness,
        ErrorType::Mutability,
        ErrorType::InvalidSyntax,
        ErrorType::InvalidPath,
        ErrorType::NoTarget,
        ErrorType::InvalidValue,
    ];

    fn name(self) -> &'static str {
        match self {
            ErrorType::InvalidFilter => "invalidFilter",
            ErrorType::TooMany => "tooMany",
            ErrorType::Uniqueness => "uniqueness",
            ErrorType::Mutability => "mutability",
            ErrorType::InvalidSyntax => "invalidSyntax",
            ErrorType::InvalidPath => "invalidPath",
            ErrorType::NoTarget => "noTarget",
            ErrorType::InvalidValue => "invalidValue",
        }
    }

    /// What a code of the admin API is here.
    fn of_code(code: &str) -> Option<ErrorType> {
        match code {
            "name_taken" => Some(ErrorType::Uniqueness),
            "owned_by_file" => Some(ErrorType::Mutability),
            "invalid_request" => Some(ErrorType::InvalidValue),
            code => ErrorType::ALL.into_iter().find(|known| known.name() == code),
        }
    }

    /// A request that is refused so.
    pub(super) fn refusal(self, message: impl Into<String>) -> Refusal {
        let status = match self {
            ErrorType::Uniqueness => StatusCode::CONFLICT,
            ErrorType::InvalidFilter
            | ErrorType::TooMany
            | ErrorType::Mutability
            | ErrorType::InvalidSyntax
            | ErrorType::InvalidPath
            | ErrorType::NoTarget
            | ErrorType::InvalidValue => StatusCode::BAD_REQUEST,
        };
        Refusal::new(status, self.name(), message)
    }
}

/// A value that an attribute cannot have.
pub(super) fn invalid_value(path: &str, message: &str) -> Refusal {
    ErrorType::InvalidValue.refusal(format!("{path}: {message}"))
}

/// What the configuration file owns is read and not written.
pub(super) fn owned_by_file(what: &str, name: &str) -> Refusal {
    let message = format!(
        "{what} \"{name}\" is owned by the configuration file, so that it is read-only here; take it out of the file to \
         provision it"
    );
    Refusal::new(StatusCode::FORBIDDEN, "owned_by_file", message)
}

impl Misread {
    pub(super) fn of_filter(self) -> Refusal {
        ErrorType::InvalidFilter.refusal(format!("filter, at character {}: {}", self.at, self.message))
    }

    pub(super) fn of_path(self, path: &str) -> Refusal {
        let shown: String = path.chars().take(100).collect();
        let message = format!("path \"{shown}\", at character {}: {}", self.at, self.message);
        ErrorType::InvalidPath.refusal(message)
    }
}

/// A refusal as its caller understands it, by the path that was asked.
pub(in crate::admin) fn reply(path: &str, refusal: Refusal) -> Reply {
    if !crate::entry::is_scim(path) {
        return refusal.reply();
    }
    let parts = refusal.into_parts();
    let mut body = json!({"schemas": [SCHEMA], "status": parts.status.as_str(), "detail": parts.message});
    if let Some(found) = ErrorType::of_code(&parts.code) {
        body["scimType"] = found.name().into();
    }
    let reply = Reply { kind: MEDIA, ..Reply::json(parts.status, &body) };
    parts.headers.into_iter().fold(reply, |reply, (name, value)| reply.with(name, value))
}

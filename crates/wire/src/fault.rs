//! What went wrong, whose doing it was, and whether to try again: as data, in no dialect.

use std::{borrow::Cow, fmt, time::Duration};

/// Who caused a fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The caller's request is at fault.
    Client,
    /// The gateway refused or failed.
    Gateway,
    /// The provider refused or failed.
    Upstream,
}

impl Origin {
    pub fn name(self) -> &'static str {
        match self {
            Origin::Client => "client",
            Origin::Gateway => "gateway",
            Origin::Upstream => "upstream",
        }
    }
}

/// What kind of fault it is. Each dialect has a status and a type name for every kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// The request is malformed or holds a value that is not allowed.
    Invalid,
    /// A field of the request cannot be carried to the target and `fidelity: strict` is on.
    Unsupported,
    /// The key is missing, unknown, expired or revoked.
    Unauthenticated,
    /// The key may not do this.
    Forbidden,
    /// The model or the path does not exist.
    NotFound,
    /// The method is not allowed on this path.
    MethodNotAllowed,
    /// The body or the prompt in bytes is over a limit.
    TooLarge,
    /// The prompt does not fit the model's context window.
    ContextTooLong,
    /// The provider's content policy refused it.
    ContentPolicy,
    /// Too many requests or tokens in a while.
    RateLimited,
    /// Credit or budget is used up.
    QuotaExhausted,
    /// The provider is over capacity (503, 529).
    Overloaded,
    /// A deadline passed.
    Timeout,
    /// No connection could be made.
    Unreachable,
    /// The answer ended before it was complete.
    Cut,
    /// The answer was not in the dialect that it should be in.
    Garbage,
    /// Anything else.
    Internal,
}

/// Whether the same request may succeed later.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retry {
    /// The same request will fail again.
    Never,
    /// It may succeed at once or after a backoff of the caller's choice.
    Soon,
    /// It may succeed after this long (`Retry-After`).
    After(Duration),
}

impl Retry {
    /// In how many whole seconds it may succeed, at least one. Who waits that long has waited long enough.
    pub fn seconds(self) -> Option<u64> {
        match self {
            Retry::After(after) => Some((after.as_secs() + u64::from(after.subsec_nanos() > 0)).max(1)),
            Retry::Soon | Retry::Never => None,
        }
    }
}

/// A fault in no dialect: each dialect writes it in its own shape.
#[derive(Clone, Debug, PartialEq)]
pub struct Fault {
    pub origin: Origin,
    pub kind: Kind,
    pub retry: Retry,
    /// One sentence for a person: what is wrong, and the way out. Of a field that is malformed it tells no name: that is
    /// `param`, and what a person reads is [`Fault`]'s `Display`, with both.
    pub message: String,
    /// A stable name that the documentation explains, ours or the provider's own.
    pub code: Option<Cow<'static, str>>,
    /// The field that is at fault, as a path.
    pub param: Option<String>,
    /// The status that the provider answered with.
    pub upstream_status: Option<u16>,
    /// Headers that tell a program more: names in lower case, and values.
    pub headers: Box<[(&'static str, String)]>,
}

impl Fault {
    pub fn new(origin: Origin, kind: Kind, message: impl Into<String>) -> Fault {
        Fault {
            origin,
            kind,
            retry: kind.retry(),
            message: message.into(),
            code: None,
            param: None,
            upstream_status: None,
            headers: Box::default(),
        }
    }

    /// The caller sent a body that cannot be understood; `param` names the field.
    pub fn invalid(param: impl Into<String>, message: impl Into<String>) -> Fault {
        let mut fault = Fault::new(Origin::Client, Kind::Invalid, message);
        let param = param.into();
        fault.param = (!param.is_empty()).then_some(param);
        fault
    }

    /// What a decoder found wrong with an answer: that is the provider's fault, not the caller's.
    #[must_use]
    pub fn into_garbage(self) -> Fault {
        let message = format!("the provider's answer is not in its dialect: {self}");
        Fault::new(Origin::Upstream, Kind::Garbage, message)
    }

    #[must_use]
    pub fn code(mut self, code: &'static str) -> Fault {
        self.code = Some(Cow::Borrowed(code));
        self
    }

    #[must_use]
    pub fn retry(mut self, retry: Retry) -> Fault {
        self.retry = retry;
        self
    }

    /// Puts `outer` in front of the field's path, as a decoder does on its way up.
    #[must_use]
    pub fn under(mut self, outer: &str) -> Fault {
        self.param = Some(match self.param.take() {
            None => outer.to_owned(),
            Some(inner) if inner.starts_with('[') => format!("{outer}{inner}"),
            Some(inner) => format!("{outer}.{inner}"),
        });
        self
    }
}

impl Kind {
    /// Whether a fault of this kind is worth another try when nothing more is known.
    pub fn retry(self) -> Retry {
        match self {
            Kind::RateLimited
            | Kind::Overloaded
            | Kind::Timeout
            | Kind::Unreachable
            | Kind::Cut
            | Kind::Garbage
            | Kind::Internal => Retry::Soon,
            Kind::Invalid
            | Kind::Unsupported
            | Kind::Unauthenticated
            | Kind::Forbidden
            | Kind::NotFound
            | Kind::MethodNotAllowed
            | Kind::TooLarge
            | Kind::ContextTooLong
            | Kind::ContentPolicy
            | Kind::QuotaExhausted => Retry::Never,
        }
    }

    /// The name that the journal, metrics and `code` use where nothing more exact is known.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Invalid => "invalid_request",
            Kind::Unsupported => "unsupported_field",
            Kind::Unauthenticated => "unauthenticated",
            Kind::Forbidden => "forbidden",
            Kind::NotFound => "not_found",
            Kind::MethodNotAllowed => "method_not_allowed",
            Kind::TooLarge => "too_large",
            Kind::ContextTooLong => "context_too_long",
            Kind::ContentPolicy => "content_policy",
            Kind::RateLimited => "rate_limited",
            Kind::QuotaExhausted => "quota_exhausted",
            Kind::Overloaded => "overloaded",
            Kind::Timeout => "timeout",
            Kind::Unreachable => "unreachable",
            Kind::Cut => "cut",
            Kind::Garbage => "garbage",
            Kind::Internal => "internal",
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Other faults name what they are about themselves, and a provider's words are its own.
        let is_malformed = self.kind == Kind::Invalid && self.origin != Origin::Upstream;
        match self.param.as_deref().filter(|_| is_malformed) {
            Some(param) => write!(f, "{param}: {}", self.message),
            None => f.write_str(&self.message),
        }
    }
}

impl std::error::Error for Fault {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Dialect;

    #[test]
    fn people_read_each_field_once() {
        let malformed = Fault::invalid("model", "is missing; name the model to ask");
        assert_eq!(malformed.to_string(), "model: is missing; name the model to ask");
        assert_eq!(Fault::invalid("", "must be an object").to_string(), "must be an object");
        let check = |origin, kind, message: &str| {
            let mut fault = Fault::new(origin, kind, message);
            fault.param = Some("model".to_owned());
            assert_eq!(fault.to_string(), message);
        };
        check(Origin::Client, Kind::NotFound, "there is no model \"x\"");
        check(Origin::Upstream, Kind::Invalid, "Invalid value for 'model'");
    }

    #[test]
    fn every_dialect_names_the_field_in_its_text() {
        for dialect in Dialect::ALL {
            for id in ["", "req-1"] {
                let body = dialect.encode_fault(&Fault::invalid("tools[0].name", "is missing"), id);
                let text = String::from_utf8(body.json).unwrap();
                assert!(text.contains("\"tools[0].name: is missing"), "{dialect:?}: {text}");
                assert_eq!(body.status, 400, "{dialect:?}");
            }
        }
    }

    #[test]
    fn seconds_to_wait_are_rounded_up() {
        let check = |millis, seconds| {
            assert_eq!(Retry::After(Duration::from_millis(millis)).seconds(), Some(seconds), "{millis}");
        };
        check(0, 1);
        check(1_000, 1);
        check(1_001, 2);
        check(5_020, 6);
        check(59_999, 60);
        assert_eq!((Retry::Soon.seconds(), Retry::Never.seconds()), (None, None));
    }
}

//! What a caller sent, as far as driving its call needs it.

use std::ops::Range;

use bytes::{Bytes, BytesMut};
use http::{HeaderValue, header, request};
use policy::route::Target;
use wire::{AskedForm, Dialect, Edits, Envelope, Form, Prompt, Upload, Work};

use crate::{relay::Reading, upstream::Rest};

/// A caller's request.
pub(crate) struct Inbound<'a> {
    pub(crate) parts: &'a request::Parts,
    pub(crate) asks: Asks<'a>,
}

/// What it asks for.
pub(crate) enum Asks<'a> {
    Chat {
        body: Bytes,
        envelope: Envelope,
    },
    /// An operation beside chat.
    Form {
        asked: AskedForm<'a>,
        /// The request, where another form may carry it.
        work: Option<Work>,
        body: Sent,
    },
    /// A request that goes to its provider as it is.
    Pass {
        /// Path and query behind the provider's name.
        path: String,
        body: Sent,
        /// The dialect or the form that the path belongs to, where it is known.
        dialect: Option<Dialect>,
        form: Option<Form>,
    },
}

/// A body that goes on as it came, but for the model's name.
pub(crate) struct Sent {
    first: Bytes,
    /// What still comes.
    rest: Option<Rest>,
    named: Named,
}

/// Where a body names the model.
pub(crate) enum Named {
    Nowhere,
    Json(Envelope),
    /// As the value of a field, and whether it is followed by more than was read.
    Field(Range<usize>),
}

impl Sent {
    pub(crate) fn new(first: Bytes, rest: Option<Rest>, named: Named) -> Sent {
        Sent { first, rest, named }
    }

    pub(crate) fn first(&self) -> Bytes {
        self.first.clone()
    }

    /// What was found in a JSON body.
    pub(crate) fn envelope(&self) -> Option<&Envelope> {
        match &self.named {
            Named::Json(envelope) => Some(envelope),
            Named::Nowhere | Named::Field(_) => None,
        }
    }

    /// The body, or its beginning, with the model's name at the provider.
    pub(crate) fn named(&self, model: &str) -> Bytes {
        match &self.named {
            Named::Nowhere => self.first.clone(),
            Named::Json(envelope) => {
                envelope.edit(&self.first, &Edits { model: Some(model), include_usage: false })
            }
            Named::Field(at) => {
                let mut edited = BytesMut::with_capacity(self.first.len() + model.len());
                edited.extend_from_slice(self.first.get(..at.start).unwrap_or_default());
                edited.extend_from_slice(model.as_bytes());
                edited.extend_from_slice(self.first.get(at.end..).unwrap_or_default());
                edited.freeze()
            }
        }
    }
}

impl Inbound<'_> {
    /// What is still to come of the body.
    pub(crate) fn rest(&self) -> Option<&Rest> {
        match &self.asks {
            Asks::Chat { .. } => None,
            Asks::Form { body, .. } | Asks::Pass { body, .. } => body.rest.as_ref(),
        }
    }

    /// The content type of a body that is no JSON.
    pub(crate) fn content_type(&self) -> Option<&[u8]> {
        match &self.asks {
            Asks::Form { asked, .. } if asked.form.upload() != Upload::Json => {
                self.parts.headers.get(header::CONTENT_TYPE).map(HeaderValue::as_bytes)
            }
            Asks::Chat { .. } | Asks::Form { .. } | Asks::Pass { .. } => None,
        }
    }

    /// The query that goes on with the path of a resource, without what is the gateway's.
    pub(crate) fn query(&self) -> Option<String> {
        match &self.asks {
            Asks::Form { asked, .. } if asked.form.upload() == Upload::Any => {
                Some(passed_query(self.parts.uri.query()?))
            }
            Asks::Chat { .. } | Asks::Form { .. } | Asks::Pass { .. } => None,
        }
    }

    /// The prompt, where the target is asked in a chat to go on from it.
    pub(crate) fn prompt(&self, target: &Target) -> Option<&Prompt> {
        match &self.asks {
            Asks::Form { work: Some(work), .. } if target.form.is_none() => work.prompt(),
            Asks::Chat { .. } | Asks::Form { .. } | Asks::Pass { .. } => None,
        }
    }

    /// How an answer is read; that of a chat is read by its dialect.
    pub(crate) fn reading(&self, target: &Target) -> Option<Reading<'_>> {
        match &self.asks {
            Asks::Chat { .. } => None,
            Asks::Form { .. } if self.prompt(target).is_some() => None,
            Asks::Form { asked, work, .. } => Some(Reading::Form(asked.form, work.as_ref())),
            Asks::Pass { dialect: Some(dialect), .. } => Some(Reading::Dialect(*dialect)),
            Asks::Pass { form: Some(form), .. } => Some(Reading::Form(*form, None)),
            Asks::Pass { .. } => Some(Reading::Guess),
        }
    }
}

/// A query with its question mark, without a key that opens the gateway.
pub(crate) fn passed_query(query: &str) -> String {
    let kept: Vec<&str> = query.split('&').filter(|pair| !pair.starts_with("key=")).collect();
    if kept.is_empty() { String::new() } else { format!("?{}", kept.join("&")) }
}

#[cfg(test)]
mod tests {
    use super::passed_query;

    #[test]
    fn the_gateways_key_stays_here() {
        let check = |query: &str, expected: &str| assert_eq!(passed_query(query), expected);
        check("key=tg-1", "");
        check("alt=sse&key=tg-1", "?alt=sse");
        check("limit=2&after=a", "?limit=2&after=a");
    }
}

//! A request made to fit, and where its parts stood before.

use std::borrow::Cow;

use super::{call_ids, members, schema, turns};
use crate::{Dialect, Losses, Quirks, ir::Request, paths::Place};

/// A request that its target takes.
pub(crate) struct Fitted<'r> {
    pub(crate) request: Cow<'r, Request>,
    /// Where the parts of each message stood, where messages were moved.
    origins: Option<Vec<Origin>>,
}

/// Where a message comes from.
pub(super) struct Origin {
    /// The first of the messages that it is made of; none where it was added.
    pub(super) message: Option<usize>,
    /// The message and the place in it, for each part.
    pub(super) parts: Vec<(usize, usize)>,
}

/// Makes a request of another dialect fit for a target of `to`; what is lost of it is told at its own places.
pub(crate) fn fitted<'r>(
    request: &'r Request,
    to: Dialect,
    quirks: &Quirks,
    losses: &mut Losses,
) -> Fitted<'r> {
    let mut request = Cow::Borrowed(request);
    members::leave_out(&mut request, &quirks.refused, losses);
    schema::cut(&mut request, to, quirks.schema.as_ref(), losses);
    call_ids::replace(&mut request, quirks.call_ids.unwrap_or_else(|| call_ids::of(to)));
    let origins = turns::arrange(&mut request, to, quirks, losses);
    Fitted { request, origins }
}

impl Fitted<'_> {
    /// The place in the request as it was, for one in the request as it is.
    pub(crate) fn original<'p>(&self, path: &'p str) -> Cow<'p, str> {
        let origins = self.origins.as_deref().unwrap_or_default();
        let Some(place) = Place::of(path).filter(|_| !origins.is_empty()) else { return Cow::Borrowed(path) };
        let Some(origin) = origins.get(place.message) else { return Cow::Borrowed(path) };
        let part = place.part.and_then(|part| origin.parts.get(part));
        Cow::Owned(match (part, origin.message) {
            (Some((message, part)), _) => format!("messages[{message}].content[{part}]{}", place.rest),
            (None, Some(message)) => format!("messages[{message}]{}", place.rest),
            (None, None) => "messages".to_owned(),
        })
    }
}

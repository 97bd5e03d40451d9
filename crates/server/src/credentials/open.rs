//! Puts what opens an endpoint on a request to it.

use std::{borrow::Cow, sync::Arc, time::Duration};

use wire::{Fault, Kind, Origin};
use zeroize::Zeroizing;

use super::{
    Keeper,
    keeper::Opened,
    sign::{Signable, sign},
};
use crate::upstream::Exchange;

/// What opens an endpoint, beside its header lines. It has no `Debug`.
#[derive(Clone)]
pub(crate) enum Opening {
    Written,
    /// `name=value` in the query: never logged.
    Query(Arc<Zeroizing<String>>),
    /// A credential that is kept fresh.
    Kept(Arc<Keeper>),
    /// There is none.
    Missing,
}

impl Opening {
    /// Path and query, with the credential where that is its place.
    pub(crate) fn path<'p>(&self, path: &'p str) -> Cow<'p, str> {
        match self {
            Opening::Written | Opening::Kept(_) | Opening::Missing => Cow::Borrowed(path),
            Opening::Query(pair) => {
                let joint = if path.contains('?') { '&' } else { '?' };
                Cow::Owned(format!("{path}{joint}{}", pair.as_str()))
            }
        }
    }

    /// Adds the header lines of a credential that is kept fresh. Why there is none stands in the log: a caller is
    /// nobody to tell of a gateway's identities.
    pub(crate) async fn open(
        &self,
        exchange: &Exchange<'_>,
        head: &mut Vec<u8>,
        provider: &str,
    ) -> Result<(), Fault> {
        self.open_for(exchange.into(), exchange.connect, head, provider).await
    }

    /// The same for a request that no call makes. A credential that is still on its way is waited for this long.
    pub(crate) async fn open_for(
        &self,
        request: Signable<'_>,
        limit: Duration,
        head: &mut Vec<u8>,
        provider: &str,
    ) -> Result<(), Fault> {
        match self {
            Opening::Written | Opening::Query(_) => Ok(()),
            // Boxed, since every call would carry what only this way needs.
            Opening::Kept(keeper) => Box::pin(show(keeper, request, limit, head, provider)).await,
            Opening::Missing => Err(none(provider, "the registry does not have it")),
        }
    }

    /// Has a credential fetched anew that its provider refused
    /// (403 is what AWS answers to one that has ended).
    pub(crate) fn answered(&self, status: u16) {
        if let (Opening::Kept(keeper), 401 | 403) = (self, status) {
            keeper.refused();
        }
    }
}

async fn show(
    keeper: &Keeper,
    request: Signable<'_>,
    limit: Duration,
    head: &mut Vec<u8>,
    provider: &str,
) -> Result<(), Fault> {
    let added = match keeper.opened(limit).await {
        Ok(opened) => match &*opened {
            Opened::Bearer(line) => {
                head.extend_from_slice(line);
                Ok(())
            }
            Opened::Aws { credential, region, service } => {
                let lines = sign(request, credential, (service, region)).await;
                lines.map(|lines| head.extend_from_slice(&lines))
            }
        },
        Err(why) => Err(why),
    };
    added.map_err(|error| none(provider, &error))
}

fn none(provider: &str, error: &str) -> Fault {
    tracing::warn!(provider, error, "a call has no credential");
    let message = format!("the gateway has no credential for {provider} now; its log says why");
    Fault::new(Origin::Gateway, Kind::Unreachable, message).code("credential_unavailable")
}

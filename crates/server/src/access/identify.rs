//! From a token or a certificate to who it is.

use std::{
    rc::Rc,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use policy::{
    authentication::{Authentication, Claims, Issuer, Keys, Refusal, Shape, TOKEN_BYTES_MAX, Token, shape},
    principal::{Principal, Proof},
};

use super::{
    ClientCertificate,
    introspection::{self, Asking},
    keeper::KeyKeeper,
    key_set::{Checked, KeySet},
    seen::{Answer, Found, Whom},
};
use crate::{
    call::Arrival,
    core::{Core, Held},
    credentials::Fetcher,
    metrics::Counter,
    world::World,
};

/// What a configuration says of how callers are known, with what is kept for it.
pub(crate) struct Access {
    /// Another one for each configuration.
    pub(super) number: u64,
    issuers: Vec<Trusted>,
    pub(super) introspection: Option<Asking>,
}

/// An issuer whose tokens are taken.
struct Trusted {
    issuer: Arc<Issuer>,
    keys: Source,
}

enum Source {
    Kept(Arc<KeyKeeper>),
    Shared(Arc<KeySet>),
}

/// How many there have been.
static NUMBERS: AtomicU64 = AtomicU64::new(1);

impl Access {
    /// Issuers that were there before go on with the keys they have. Call it on the admin runtime.
    pub(crate) fn new(settings: &Authentication, before: Option<&Access>, fetcher: &Fetcher) -> Access {
        let issuers = settings.issuers.iter().map(|issuer| {
            let known = before.into_iter().flat_map(|before| &before.issuers);
            let mut known = known.filter_map(|trusted| match &trusted.keys {
                Source::Kept(keeper) => {
                    let same = trusted.issuer.issuer == issuer.issuer && trusted.issuer.keys == issuer.keys;
                    same.then(|| Arc::clone(keeper))
                }
                Source::Shared(_) => None,
            });
            let keys = match &issuer.keys {
                Keys::Shared(secret) => Source::Shared(Arc::new(KeySet::shared(secret))),
                Keys::Discovered { .. } | Keys::At { .. } => {
                    let start = || Arc::new(KeyKeeper::start(Arc::clone(issuer), fetcher));
                    Source::Kept(known.next().unwrap_or_else(start))
                }
            };
            Trusted { issuer: Arc::clone(issuer), keys }
        });
        let issuers = issuers.collect();
        let asking = |settings: &Arc<_>| Asking { settings: Arc::clone(settings), fetcher: fetcher.clone() };
        let introspection = settings.introspection.as_ref().map(asking);
        Access { number: NUMBERS.fetch_add(1, Relaxed), issuers, introspection }
    }

    /// Whether anything but a key may be what a caller shows.
    pub(crate) fn takes_tokens(&self) -> bool {
        !self.issuers.is_empty() || self.introspection.is_some()
    }

    fn holds(&self, issuer: usize, keys: &Arc<KeySet>) -> bool {
        self.issuers.get(issuer).is_some_and(|trusted| trusted.keys.keeps(keys))
    }
}

impl Source {
    fn keeps(&self, keys: &Arc<KeySet>) -> bool {
        match self {
            Source::Kept(keeper) => keeper.keeps(keys),
            Source::Shared(shared) => Arc::ptr_eq(shared, keys),
        }
    }
}

/// The caller that a token stands for, where it is good.
pub(crate) async fn by_token(
    core: &Rc<Core>,
    world: &Held<World>,
    text: &str,
    arrival: &Arrival,
) -> Result<Arc<Principal>, Refusal> {
    let now_us = arrival.started_us;
    if text.len() > TOKEN_BYTES_MAX {
        return Err(Refusal::Malformed("it is over 16 KiB"));
    }
    let access = &world.access;
    core.seen.under(access.number);
    let hash = core.shared.hasher.hash(text);
    let known = core.seen.find(&hash, now_us, |issuer, keys| access.holds(issuer, keys));
    let answer = match (known, shape(text)) {
        (Some(answer), _) => answer,
        (None, Shape::Signed) if !access.issuers.is_empty() => {
            core.count(Counter::TokensChecked);
            let answer = signed(access, text, now_us).await;
            if let Ok(found) = &answer {
                core.seen.keep(access.number, hash, found);
            }
            answer
        }
        // Boxed, since every call would carry what only this way needs.
        (None, Shape::Key | Shape::Signed | Shape::Opaque) if access.introspection.is_some() => {
            Box::pin(introspection::ask(core, world, text, hash, now_us)).await
        }
        (None, Shape::Key | Shape::Signed | Shape::Opaque) => {
            Err(Refusal::Malformed("it is neither a key nor a signed token"))
        }
    };
    let found = answer?;
    match (&found.bound, &arrival.peer.certificate) {
        (None, _) => {}
        (Some(bound), Some(certificate)) if certificate.has_hash(bound) => {}
        (Some(_), _) => return Err(Refusal::Bound),
    }
    found.whom.principal(&core.callers())
}

/// The caller that a connection's certificate stands for; nothing where certificates stand for nobody.
pub(crate) fn by_certificate(
    core: &Core,
    world: &World,
    certificate: &ClientCertificate,
) -> Result<Option<Arc<Principal>>, Refusal> {
    let settings = world.snapshot.authentication.certificates.as_ref();
    let Some(settings) = settings.filter(|settings| !settings.rules.is_empty()) else { return Ok(None) };
    let whom = certificate.whom(world.access.number, &settings.rules).ok_or(Refusal::CertificateUnknown)?;
    whom.principal(&core.callers()).map(Some)
}

async fn signed(access: &Access, text: &str, now_us: i64) -> Answer {
    let token = Token::parse(text)?;
    let named = token.claims.issuer().ok_or(Refusal::Untrusted)?;
    let mut issuers = access.issuers.iter().enumerate();
    let found = issuers.find(|(_, trusted)| trusted.issuer.issuer == named);
    let (number, trusted) = found.ok_or(Refusal::Untrusted)?;
    let issuer = &trusted.issuer;
    let keys = trusted.check(&token, now_us).await?;
    let skew = i64::try_from(issuer.clock_skew.as_micros()).unwrap_or(i64::MAX);
    Ok(Rc::new(Found {
        whom: Whom::new(issuer.mapping.identify(&issuer.issuer, &token.claims)?, Proof::Token),
        until_us: token.claims.expires_us()?.map_or(now_us, |end| end.saturating_add(skew)),
        bound: token.claims.bound_to()?.map(str::to_owned),
        keys: Some((number, keys)),
    }))
}

/// An issuer whose tokens are checked where nobody makes a call.
pub(crate) struct TokenIssuer(Trusted);

impl TokenIssuer {
    /// Begins to fetch its keys. Call it on the admin runtime.
    pub(crate) fn start(issuer: &Arc<Issuer>, fetcher: &Fetcher) -> TokenIssuer {
        let keys = Source::Kept(Arc::new(KeyKeeper::start(Arc::clone(issuer), fetcher)));
        TokenIssuer(Trusted { issuer: Arc::clone(issuer), keys })
    }

    /// What a token of it says, where it is good.
    pub(crate) async fn claims(&self, text: &str, now_us: i64) -> Result<Claims, Refusal> {
        let token = Token::parse(text)?;
        self.0.check(&token, now_us).await?;
        Ok(token.claims)
    }
}

impl Trusted {
    /// Whether a token is good here and now; the keys that say so.
    async fn check(&self, token: &Token<'_>, now_us: i64) -> Result<Arc<KeySet>, Refusal> {
        self.issuer.check_header(&token.header)?;
        let keys = self.check_signature(token, now_us).await?;
        self.issuer.check(&token.claims, now_us)?;
        Ok(keys)
    }

    /// The keys with which a token's signature is good.
    async fn check_signature(&self, token: &Token<'_>, now_us: i64) -> Result<Arc<KeySet>, Refusal> {
        let keys = match &self.keys {
            Source::Shared(keys) => Arc::clone(keys),
            Source::Kept(keeper) => keeper.first().await.ok_or(Refusal::IssuerAway)?,
        };
        match (keys.check(token), &self.keys) {
            (Checked::Good, _) => return Ok(keys),
            (Checked::Bad, _) => return Err(Refusal::Signature("it does not fit what is signed")),
            (Checked::NoKey, Source::Shared(_)) => {}
            (Checked::NoKey, Source::Kept(keeper)) => {
                // A token that would be refused anyway is no reason to ask its issuer.
                self.issuer.check(&token.claims, now_us)?;
                if let Some(newer) = keeper.newer(&keys).await {
                    match newer.check(token) {
                        Checked::Good => return Ok(newer),
                        Checked::Bad => return Err(Refusal::Signature("it does not fit what is signed")),
                        Checked::NoKey => {}
                    }
                }
            }
        }
        Err(Refusal::Signature("its issuer has no such key"))
    }
}

//! Asks what a token stands for (<https://www.rfc-editor.org/rfc/rfc7662>). Whoever comes with the same token waits for the same
//! answer; where there is none, nobody is let in.

use std::{rc::Rc, sync::Arc};

use bytes::Bytes;
use http::{Request, StatusCode, header};
use policy::{
    authentication::{Claims, Introspection, Refusal},
    principal::Proof,
};
use tokio::sync::watch;

use super::seen::{Answer, Found, Hash, Whom};
use crate::{
    core::{Core, Held},
    credentials::Fetcher,
    metrics::Counter,
    tasks,
    world::{World, now_us},
};

/// How long a token that is not good is remembered, in microseconds: it may be put right.
const INACTIVE_US: i64 = 5_000_000;
/// How long nobody is asked after there was no answer, in microseconds.
const QUIET_US: i64 = 1_000_000;
/// The most tokens that one core asks about at a time.
const ASKED_MAX: usize = 256;
/// The longest answer.
const ANSWER_BYTES_MAX: usize = 64 << 10;

/// Who is asked.
pub(super) struct Asking {
    pub(super) settings: Arc<Introspection>,
    pub(super) fetcher: Fetcher,
}

/// What stands behind a token that was not seen before.
pub(super) async fn ask(
    core: &Rc<Core>,
    world: &Held<World>,
    token: &str,
    hash: Hash,
    now_us: i64,
) -> Answer {
    let seen = &core.seen;
    let waiting = seen.asked.borrow().get(&hash).cloned();
    let mut answered = match waiting {
        Some(answered) => answered,
        None => {
            let full = seen.asked.borrow().len() >= ASKED_MAX;
            if full || seen.quiet_until_us.get() > now_us {
                return Err(Refusal::IntrospectionAway);
            }
            let (sender, answered) = watch::channel(None);
            seen.asked.borrow_mut().insert(hash, answered.clone());
            // A task of its own: who asked first may go away, and others wait for it as well.
            let (core, world, token) = (Rc::clone(core), Rc::clone(world), token.to_owned());
            tasks::spawn_local("introspection", async move {
                let answer = answer(&core, &world, &token, hash).await;
                core.seen.asked.borrow_mut().remove(&hash);
                sender.send_replace(Some(answer));
            });
            answered
        }
    };
    let answer = answered.wait_for(Option::is_some).await;
    answer.ok().and_then(|answer| answer.clone()).unwrap_or(Err(Refusal::IntrospectionAway))
}

/// Asks, and remembers what it was told.
async fn answer(core: &Core, world: &World, token: &str, hash: Hash) -> Answer {
    let Some(asking) = &world.access.introspection else { return Err(Refusal::IntrospectionAway) };
    let access = world.access.number;
    core.count(Counter::TokensAsked);
    let claims = match asking.claims(token).await {
        Ok(claims) => claims,
        Err(error) => {
            let url = &asking.settings.url;
            tracing::warn!(url, error, "nobody says what a token stands for");
            core.count(Counter::TokensUnanswered);
            core.seen.quiet_until_us.set(now_us().saturating_add(QUIET_US));
            return Err(Refusal::IntrospectionAway);
        }
    };
    let now_us = now_us();
    let answer = asking.found(&claims, now_us);
    match &answer {
        Ok(found) => core.seen.keep(access, hash, found),
        Err(refusal) => core.seen.keep_bad(access, hash, refusal, now_us.saturating_add(INACTIVE_US)),
    }
    answer
}

impl Asking {
    fn found(&self, claims: &Claims, now_us: i64) -> Answer {
        let settings = &self.settings;
        settings.check(claims, now_us)?;
        let skew = i64::try_from(settings.clock_skew.as_micros()).unwrap_or(i64::MAX);
        let ends = claims.expires_us()?.map_or(i64::MAX, |end| end.saturating_add(skew));
        let cache = i64::try_from(settings.cache.as_micros()).unwrap_or(i64::MAX);
        let authority = claims.issuer().unwrap_or(&settings.url);
        Ok(Rc::new(Found {
            whom: Whom::new(settings.mapping.identify(authority, claims)?, Proof::Token),
            until_us: ends.min(now_us.saturating_add(cache)),
            bound: claims.bound_to()?.map(str::to_owned),
            keys: None,
        }))
    }

    /// What whoever knows says of a token. An error tells why there is no answer, and never the token.
    async fn claims(&self, token: &str) -> Result<Claims, String> {
        let settings = &self.settings;
        let fields = [("token", token), ("token_type_hint", "access_token")];
        let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        let request = Request::post(&settings.url)
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .header(header::ACCEPT, "application/json")
            .header(header::AUTHORIZATION, basic(&settings.client_id, settings.client_secret.expose()))
            .body(Bytes::from(body));
        let request = request.map_err(|_| "what is asked cannot be written".to_owned())?;
        let sent = self.fetcher.send_within(request, settings.timeout).await;
        let answer = sent.map_err(|error| error.to_string())?;
        if answer.status() != StatusCode::OK {
            return Err(format!("it answered with {}", answer.status().as_u16()));
        }
        if answer.body().len() > ANSWER_BYTES_MAX {
            return Err("it answered with more than 64 KiB".to_owned());
        }
        Claims::parse(answer.body()).map_err(|_| "it answered with no object".to_owned())
    }
}

/// Both parts are written as in a form, so that a colon in one is none between them
/// (<https://www.rfc-editor.org/rfc/rfc6749#section-2.3.1>).
pub(crate) fn basic(id: &str, secret: &str) -> String {
    let encoded = |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
    let both = format!("{}:{}", encoded(id), encoded(secret));
    format!("Basic {}", base64::Engine::encode(&base64::engine::general_purpose::STANDARD, both))
}

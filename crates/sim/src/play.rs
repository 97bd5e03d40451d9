//! Plays a call's script up to its answer.

use std::{sync::Arc, time::Duration};

use http::{HeaderMap, HeaderName, HeaderValue, Response, header, request::Parts};
use serde_json::{Map, Value, json};

use crate::{
    account::{Account, Headers},
    api::{self, Api, Refused},
    body::Body,
    calls::{Calls, Flight},
    line::Line,
    refusal::Refusal,
    script::Script,
    serve::{refuse, typed},
};

/// Credentials that begin so open nothing.
const INVALID_KEY: &str = "sk-invalid";

/// What a script leaves of a call to be answered.
pub(crate) struct Played<'m> {
    pub(crate) model: &'m str,
    pub(crate) number: u64,
    pub(crate) script: Script,
    /// Counts it among those in flight.
    pub(crate) flight: Arc<Flight>,
    /// What is told of the account.
    told: Headers,
}

/// Counts a call and plays its script up to the answer; where the script refuses it, that is the answer.
pub(crate) async fn play<'m>(
    api: &Api,
    parts: &Parts,
    asked_model: &'m str,
    body: &Value,
    (calls, line): (&Arc<Calls>, &Line),
) -> Result<Played<'m>, Response<Body>> {
    let (path, headers) = (parts.uri.path(), &parts.headers);
    let (model, suffix) = asked_model.split_once('!').unwrap_or((asked_model, ""));
    let scripted = match text(headers, "x-sim-fault") {
        "" => suffix,
        fault => fault,
    };
    let script = Script::parse(scripted).map_err(|message| refuse((api.invalid)(&message)))?;
    let key = key(headers);
    let seen = last(headers, body);
    let number = calls.begin((path, asked_model), key, text(headers, "traceparent"), seen);
    let flight = Arc::new(calls.fly());
    let script = held(script, key, calls);
    if script.hang {
        std::future::pending::<()>().await;
    }
    tokio::time::sleep(script.latency).await;
    line.slow_head(script.slow_head);
    if let Some(how) = script.broken {
        line.break_off(how);
        return Err(Response::new(Body::whole("")));
    }
    let account = script.limit.map(|limit| calls.account(&script.text, key, limit));
    let told = account.map(|account| (api.limits)(&account)).unwrap_or_default();
    let played = Played { model, number, script, flight, told };
    match played.refused(api, (path, key), account) {
        Some(refused) => Err(played.dress(refused)),
        None => Ok(played),
    }
}

impl Played<'_> {
    /// What comes in place of an answer.
    fn refused(
        &self,
        api: &Api,
        (path, key): (&str, &str),
        account: Option<Account>,
    ) -> Option<Response<Body>> {
        let script = &self.script;
        match denied(api, key, self.model, script) {
            // Gemini tells of its policy in an answer, and of streaming in the path.
            Some((200, told)) if path.contains(":stream") => {
                let event = api::data_events([told.to_string()]).concat();
                return Some(typed(200, api.stream_type, Body::whole(event)));
            }
            Some(refused) => return Some(with_wait(refuse(refused), script.retry_after)),
            None => {}
        }
        if let Some(account) = account.filter(Account::is_exceeded) {
            let refused = refuse((api.refuse)(Refusal::RateLimit, self.model));
            return Some(with_wait(refused, script.retry_after.or(Some(account.resets_in))));
        }
        if let Some(status) = script.redirect {
            let mut response = typed(status, "text/plain", Body::whole(""));
            response.headers_mut().insert(header::LOCATION, HeaderValue::from_static("/v1/models"));
            return Some(response);
        }
        let status = script.html?;
        let page = format!("<html><body>{status} simulated</body></html>");
        Some(with_wait(typed(status, "text/html", Body::whole(page)), script.retry_after))
    }

    /// Gives an answer the headers that the script wants.
    pub(crate) fn dress(&self, mut response: Response<Body>) -> Response<Body> {
        let headers = response.headers_mut();
        for (name, value) in &self.told {
            if let Ok(value) = HeaderValue::from_str(value) {
                headers.insert(HeaderName::from_static(name), value);
            }
        }
        if let Some(kind) = &self.script.content_type {
            headers.insert(header::CONTENT_TYPE, kind.clone());
        }
        response
    }
}

/// The script as it holds for this call.
fn held(mut script: Script, key: &str, calls: &Calls) -> Script {
    if script.key.as_deref().is_some_and(|only| only != key) {
        return Script::default();
    }
    let counted = script.times.is_some() || script.fail.is_some();
    if counted && !script.holds(calls.played(&script.text)) {
        return Script::default();
    }
    if script.fail.is_some() && script.says_nothing_else() {
        script.refuse = Some(Refusal::Overloaded);
    }
    script
}

/// Missing and bad credentials, and scripted refusals.
fn denied(api: &Api, key: &str, model: &str, script: &Script) -> Option<Refused> {
    if key.is_empty() || key.starts_with(INVALID_KEY) {
        return Some((api.refuse)(Refusal::Key, model));
    }
    let by_status = script.status.map(|status| (api.scripted)(status, model));
    by_status.or_else(|| script.refuse.map(|refusal| (api.refuse)(refusal, model)))
}

/// The credential that a request shows.
fn key(headers: &HeaderMap) -> &str {
    let bearer = text(headers, "authorization").strip_prefix("Bearer ");
    let named = ["x-api-key", "x-goog-api-key"].into_iter().map(|name| text(headers, name));
    bearer.or_else(|| named.into_iter().find(|key| !key.is_empty())).unwrap_or_default()
}

/// Tells how long to wait: in whole seconds, and more exactly in the header that OpenAI and Azure have for it.
fn with_wait(mut response: Response<Body>, wait: Option<Duration>) -> Response<Body> {
    let Some(wait) = wait else { return response };
    let whole = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
    response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(whole));
    if wait.subsec_nanos() > 0 {
        let exact = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
        response.headers_mut().insert("retry-after-ms", HeaderValue::from(exact));
    }
    response
}

/// What reached the provider, for tests.
fn last(headers: &HeaderMap, body: &Value) -> Value {
    let shown = headers
        .iter()
        .map(|(name, value)| (name.to_string(), json!(String::from_utf8_lossy(value.as_bytes()))));
    json!({"headers": shown.collect::<Map<_, _>>(), "body": body})
}

/// A header's text, or nothing.
pub(crate) fn text<'h>(headers: &'h HeaderMap, name: &str) -> &'h str {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

//! `POST /v1/feedback`: how good a caller found an answer.

use std::{rc::Rc, time::Duration};

use bytes::Bytes;
use http::{Response, request};
use hyper::body::Incoming;
use serde::Deserialize;
use uuid::Uuid;
use wire::{Fault, Kind, Origin};

use crate::{admin, authenticate::caller, call::Arrival, core::Core, front, relay::Body, world::now_us};

/// Where it is taken.
pub(crate) const PATH: &str = "/v1/feedback";
/// A call that began this long ago at most may be on its way to the journal still.
const RECENT_US: i64 = 60_000_000;
/// How often, and after which waits, the journal is asked for such a call.
const TRIES: u32 = 20;
const WAIT: Duration = Duration::from_millis(100);
const COMMENT_BYTES_MAX: usize = 16 << 10;

/// What a caller says.
#[derive(Debug)]
pub(crate) struct Opinion {
    pub(crate) call_id: Uuid,
    pub(crate) score: f64,
    pub(crate) comment: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Said {
    request_id: String,
    score: f64,
    #[serde(default)]
    comment: Option<String>,
}

/// Hands an opinion to the admin side, which keeps it; a call that has just ended is waited for.
pub(crate) async fn take(
    core: &Rc<Core>,
    parts: &request::Parts,
    body: Incoming,
    arrival: &Arrival,
) -> Result<Response<Body>, Fault> {
    let principal = caller(core, parts, arrival).await?;
    let body: Bytes = front::body(body, &core.world().snapshot.server.limits).await?;
    let opinion = Opinion::read(&body)?;
    let began_us = opinion.call_id.get_timestamp().map_or(0, |at| {
        let (seconds, nanos) = at.to_unix();
        i64::try_from(seconds).unwrap_or(0).saturating_mul(1_000_000) + i64::from(nanos / 1_000)
    });
    let tries = if now_us().saturating_sub(began_us) < RECENT_US { TRIES } else { 1 };
    for _ in 1..tries {
        let reply = admin::ask(core, parts, body.clone(), arrival, Some(&principal)).await?;
        if !reply.is_not_found() {
            return Ok(reply.response());
        }
        tokio::time::sleep(WAIT).await;
    }
    admin::ask(core, parts, body, arrival, Some(&principal)).await.map(admin::Reply::response)
}

impl Opinion {
    pub(crate) fn read(body: &[u8]) -> Result<Opinion, Fault> {
        let said: Said =
            serde_json::from_slice(body).map_err(|error| Fault::invalid("", error.to_string()))?;
        let call_id = Uuid::parse_str(&said.request_id).map_err(|_| {
            Fault::invalid("request_id", "is no id of a call; send what x-tollgate-request-id said")
        })?;
        if !(0.0..=1.0).contains(&said.score) {
            return Err(Fault::invalid("score", "must be a number from 0 to 1"));
        }
        if said.comment.as_ref().is_some_and(|comment| comment.len() > COMMENT_BYTES_MAX) {
            return Err(Fault::invalid("comment", format!("must have {COMMENT_BYTES_MAX} bytes at most")));
        }
        Ok(Opinion { call_id, score: said.score, comment: said.comment })
    }
}

/// No call of this key has this id.
pub(crate) fn unknown(id: Uuid) -> Fault {
    let message = format!("there is no call {id} of this key; send what x-tollgate-request-id said");
    let mut fault = Fault::new(Origin::Client, Kind::NotFound, message).code("call_not_found");
    fault.param = Some("request_id".to_owned());
    fault
}

/// The answer to an opinion that was kept.
pub(crate) fn kept(opinion: &Opinion) -> String {
    serde_json::json!({"request_id": opinion.call_id, "score": opinion.score}).to_string()
}

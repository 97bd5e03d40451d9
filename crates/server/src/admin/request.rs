//! Requests on their way to the admin runtime, and what it answers.

use std::{net::IpAddr, rc::Rc, sync::Arc};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode, header::HOST, request};
use hyper::body::Incoming;
use policy::{principal::Principal, snapshot::Limits};
use serde::Serialize;
use tokio::sync::oneshot;
use uuid::Uuid;
use wire::{Fault, Kind, Origin};

use super::scim;
use crate::{call::Arrival, core::Core, entry, front, relay::Body, respond};

/// The header that every answer has.
const REQUEST_ID: &str = "x-tollgate-request-id";
/// The largest body: no object needs more.
const BODY_BYTES_MAX: usize = 1 << 20;

/// A request on its way to the admin runtime.
pub(crate) struct AdminRequest {
    pub(super) id: Uuid,
    pub(super) method: Method,
    pub(super) path: String,
    pub(super) query: String,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
    pub(super) peer: IpAddr,
    /// Who calls, where that was found out already.
    pub(super) caller: Option<Arc<Principal>>,
    pub(super) reply: oneshot::Sender<Reply>,
}

/// What the admin runtime answers.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(super) status: StatusCode,
    pub(super) kind: &'static str,
    pub(super) body: String,
    /// Names in lower case.
    pub(super) headers: Vec<(&'static str, String)>,
}

/// Hands a request over and waits for the answer.
pub(crate) async fn forward(
    core: &Rc<Core>,
    parts: &request::Parts,
    body: Incoming,
    arrival: &Arrival,
) -> Result<Response<Body>, Fault> {
    let world = core.world();
    let limits = &world.snapshot.server.limits;
    let limits = Limits { body_bytes_max: limits.body_bytes_max.min(BODY_BYTES_MAX), ..limits.clone() };
    let answered = match front::body(body, &limits).await {
        Ok(body) => ask(core, parts, body, arrival, None).await,
        Err(fault) if fault.kind == Kind::TooLarge => {
            let message =
                format!("the body is over {} bytes, the most that is taken here", limits.body_bytes_max);
            Err(Fault { message, ..fault })
        }
        Err(fault) => Err(fault),
    };
    let path = parts.uri.path();
    match answered {
        Err(fault) if entry::is_scim(path) => {
            let reply = scim::reply(path, fault.into());
            Ok(reply.with(REQUEST_ID, arrival.id.to_string()).response())
        }
        answered => answered.map(Reply::response),
    }
}

/// The same for a body that was read.
pub(crate) async fn ask(
    core: &Rc<Core>,
    parts: &request::Parts,
    body: Bytes,
    arrival: &Arrival,
    caller: Option<&Arc<Principal>>,
) -> Result<Reply, Fault> {
    let (reply, answered) = oneshot::channel();
    let mut headers = parts.headers.clone();
    // HTTP/2 has the host beside its headers.
    let host = parts.uri.authority().and_then(|host| HeaderValue::from_str(host.as_str()).ok());
    if let (Some(host), false) = (host, headers.contains_key(HOST)) {
        headers.insert(HOST, host);
    }
    let request = AdminRequest {
        id: arrival.id,
        method: parts.method.clone(),
        path: parts.uri.path().to_owned(),
        query: parts.uri.query().unwrap_or_default().to_owned(),
        headers,
        body,
        peer: arrival.peer.address,
        caller: caller.cloned(),
        reply,
    };
    let busy = || {
        let message = "the admin side is busy; try again";
        Fault::new(Origin::Gateway, Kind::Overloaded, message).code("admin_busy")
    };
    core.admin.try_send(request).map_err(|_| busy())?;
    let id = arrival.id.to_string();
    let reply = answered.await.map_err(|_| busy())?;
    Ok(reply.with(REQUEST_ID, id))
}

impl Reply {
    pub(super) fn json(status: StatusCode, body: &impl Serialize) -> Reply {
        let body = serde_json::to_string(body).expect("plain data always serialises");
        Reply { status, kind: "application/json", body, headers: Vec::new() }
    }

    pub(super) fn ok(body: &impl Serialize) -> Reply {
        Reply::json(StatusCode::OK, body)
    }

    pub(super) fn with(mut self, name: &'static str, value: String) -> Reply {
        self.headers.push((name, value));
        self
    }

    pub(crate) fn response(self) -> Response<Body> {
        let mut response = respond::typed(self.status, self.kind, self.body);
        for (name, value) in self.headers {
            if let Ok(value) = HeaderValue::from_str(&value) {
                response.headers_mut().append(HeaderName::from_static(name), value);
            }
        }
        response
    }

    pub(crate) fn is_ok(&self) -> bool {
        self.status == StatusCode::OK
    }

    pub(crate) fn is_not_found(&self) -> bool {
        self.status == StatusCode::NOT_FOUND
    }
}

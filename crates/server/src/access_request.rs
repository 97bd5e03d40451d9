//! `/v1/access-requests`: whoever may not use something asks for it.

use std::rc::Rc;

use http::{Response, request};
use hyper::body::Incoming;
use wire::Fault;

use crate::{admin, authenticate::caller, call::Arrival, core::Core, front, relay::Body};

/// Where they are taken.
pub(crate) const PATH: &str = "/v1/access-requests";

/// What stands behind the path: nothing, or the id of a request.
pub(crate) fn behind(path: &str) -> Option<&str> {
    let rest = path.strip_prefix(PATH)?;
    if rest.is_empty() { Some(rest) } else { rest.strip_prefix('/') }
}

/// Hands what a caller asks for to the admin side, which keeps it.
pub(crate) async fn take(
    core: &Rc<Core>,
    parts: &request::Parts,
    body: Incoming,
    arrival: &Arrival,
) -> Result<Response<Body>, Fault> {
    let principal = caller(core, parts, arrival).await?;
    let body = front::body(body, &core.world().snapshot.server.limits).await?;
    admin::ask(core, parts, body, arrival, Some(&principal)).await.map(admin::Reply::response)
}

//! `POST /admin/v1/explain`: where a request would go, and why. Nothing is sent.

use std::{collections::BTreeMap, rc::Rc, sync::Arc};

use bytes::Bytes;
use http::{Response, StatusCode, request};
use hyper::body::Incoming;
use policy::{
    explain::{Rehearsed, explain as rehearse},
    key::Scope,
    principal::Principal,
    role::{Permission, RoleName},
};
use serde::Deserialize;
use serde_json::value::RawValue;
use wire::{Fault, Kind, Origin};

use crate::{admin, authenticate::authenticate, call::Arrival, core::Core, front, relay::Body, respond};

/// What is asked.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Question {
    /// The path that the request would be sent to.
    #[serde(default = "usual_path")]
    path: String,
    /// The name of the key that would be shown; left out, one that may use everything.
    key: Option<String>,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    /// The request itself.
    request: Box<RawValue>,
}

fn usual_path() -> String {
    "/v1/chat/completions".to_owned()
}

/// Answers with the plan of a request, as this core would make it now.
pub(crate) async fn explain(
    core: &Rc<Core>,
    parts: &request::Parts,
    body: Incoming,
    arrival: &Arrival,
) -> Result<Response<Body>, Fault> {
    let world = core.world();
    if admin::shows_session(parts) {
        // Sessions are known to the admin side.
        let may = admin::ask(core, parts, Bytes::new(), arrival, None).await?;
        if !may.is_ok() {
            return Ok(may.response());
        }
    } else {
        let administrator = authenticate(core, parts, arrival, Scope::Admin)?;
        let roles = &world.snapshot.roles;
        let role = roles.named(administrator.role.as_ref().unwrap_or(&RoleName::NONE));
        roles.check(&role, Permission::RoutesExplain, administrator.organization)?;
    }
    let body = front::body(body, &world.snapshot.server.limits).await?;
    let question: Question = serde_json::from_slice(&body).map_err(|error| {
        let message = format!("is no question: {error}; write {{\"request\": {{…}}}}, and path, key and headers where they matter");
        Fault::invalid("", message)
    })?;
    let principal = match &question.key {
        None => Arc::new(Principal::unbound()),
        Some(name) => {
            core.callers().named(name).map(|found| found.at(arrival.started_us)).ok_or_else(|| {
                let message = format!("there is no key named \"{name}\"; see GET /admin/v1/keys");
                let mut fault = Fault::new(Origin::Client, Kind::NotFound, message).code("key_not_found");
                fault.param = Some("key".to_owned());
                fault
            })?
        }
    };
    let headers: Vec<(String, String)> = question.headers.into_iter().collect();
    let rehearsed = Rehearsed {
        path: &question.path,
        body: question.request.get().as_bytes(),
        headers: &headers,
        now_us: arrival.started_us,
    };
    let explanation = rehearse(&world.snapshot, &principal, &rehearsed, &core.vitals(), core.now())?;
    let text = serde_json::to_string(&explanation).unwrap_or_default();
    Ok(respond::json(StatusCode::OK, text))
}

//! What administrators see of requests, and how their decisions come in.

use std::sync::Arc;

use http::StatusCode;
use serde_json::Map;
use store::{Database, Query};
use uuid::Uuid;

use super::{
    decide::{Decision, Order},
    record::{KIND, Shown, State, reply, unknown},
};
use crate::{
    admin::{
        Admin, AdminRequest, Reply, audit,
        bodies::List,
        change::Wish,
        examine::object,
        find::Finder,
        list::wanted_organization,
        query::{Expected, LISTED_MAX, Parameters, cursor, no_cursor},
        refusal::{Refusal, Wrong},
        who::Who,
    },
    world::now_us,
};

const BATCH: u32 = 500;

/// What administrators do with requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::admin) enum RequestAction {
    List,
    Read,
    Approve,
    Deny,
}

impl Admin {
    pub(in crate::admin) async fn access_requests(
        &self,
        action: RequestAction,
        who: &Who,
        (wanted, parameters): (String, Parameters),
        request: &AdminRequest,
    ) -> Result<Reply, Refusal> {
        let finder = audit::finder(who, &Arc::clone(&self.shared.world.load()));
        let decision = match action {
            RequestAction::List => {
                return self.read(move |database| list(&finder, &parameters, database)).await;
            }
            RequestAction::Read => return self.read(move |database| one(&finder, &wanted, database)).await,
            RequestAction::Approve => Decision::Approve,
            RequestAction::Deny => Decision::Deny,
        };
        let members = if request.body.is_empty() { Map::new() } else { object(&request.body)? };
        let order = Order::read(decision, members)?;
        let wish = Wish { finder, repeatable: None, expected: Expected::read(&request.headers) };
        self.write(move |database| order.perform(&wish, &wanted, database)).await
    }
}

fn list(finder: &Finder, parameters: &Parameters, database: &mut Database) -> Result<Reply, Refusal> {
    let limit = parameters.limit(LISTED_MAX)? as usize;
    let state = parameters.text("state").map(state).transpose()?;
    let after =
        parameters.cursor()?.map(|text| Uuid::parse_str(&text).map_err(|_| no_cursor())).transpose()?;
    let mut found: Vec<Shown> = Vec::new();
    let now_us = now_us();
    if let Some(tenancy) = wanted_organization(finder, parameters, database)? {
        let mut query = Query { kind: KIND.to_owned(), after, limit: BATCH, ..Query::default() };
        while found.len() <= limit {
            let page = database.objects(tenancy, &query)?;
            let Some(last) = page.last() else { break };
            query.after = Some(last.id);
            let shown = page.iter().filter_map(|object| Shown::of(object, now_us));
            found.extend(shown.filter(|shown| state.is_none_or(|state| shown.state() == state)));
        }
    }
    let is_last = found.len() <= limit;
    found.truncate(limit);
    let next_cursor = found.last().filter(|_| !is_last).map(|shown| cursor(&shown.id.to_string()));
    Ok(Reply::ok(&List { data: found, next_cursor }))
}

fn state(text: &str) -> Result<State, Refusal> {
    State::ALL.into_iter().find(|state| state.name() == text).ok_or_else(|| {
        let names = State::ALL.map(State::name).join(", ");
        Refusal::invalid(vec![Wrong::new("state", format!("must be one of {names}"))])
    })
}

fn one(finder: &Finder, wanted: &str, database: &mut Database) -> Result<Reply, Refusal> {
    let id = Uuid::parse_str(wanted).map_err(|_| unknown(wanted))?;
    let found = database.object(finder.tenancy(), id)?.filter(|object| object.kind == KIND);
    reply(&found.ok_or_else(|| unknown(wanted))?, now_us(), StatusCode::OK)
}

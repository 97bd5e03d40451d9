//! The routes of requests for access.

use http::Method;
use policy::role::Permission;
use schemars::SchemaGenerator;

use super::{
    decide::{Approval, Denial},
    list::RequestAction,
    record::Shown,
};
use crate::admin::{
    bodies::List,
    routes::{Action, Parameter, Route, Shape, number, simple, text},
};

const LIST: [Parameter; 4] = [
    text("organization", "only those of this organization, by id or name"),
    text("state", "pending, approved, denied, withdrawn or expired"),
    number("limit", "how many, from 1 to 500; 100 where nothing is said"),
    text("cursor", "what next_cursor said"),
];

pub(in crate::admin) fn routes() -> Vec<Route> {
    let one: Shape = SchemaGenerator::subschema_for::<Shown>;
    let decide = |verb: &str, operation: &str, summary: &str, body: Shape, action: RequestAction| Route {
        request: Some(body),
        ..simple(
            Method::POST,
            &format!("/admin/v1/access-requests/{{id}}/{verb}"),
            (operation, summary),
            Permission::RequestsDecide,
            (one, Action::AccessRequests(action)),
        )
    };
    vec![
        Route {
            parameters: &LIST,
            ..simple(
                Method::GET,
                "/admin/v1/access-requests",
                ("listAccessRequests", "List requests for access"),
                Permission::PartsRead,
                (SchemaGenerator::subschema_for::<List<Shown>>, Action::AccessRequests(RequestAction::List)),
            )
        },
        simple(
            Method::GET,
            "/admin/v1/access-requests/{id}",
            ("readAccessRequest", "Show a request for access"),
            Permission::PartsRead,
            (one, Action::AccessRequests(RequestAction::Read)),
        ),
        decide(
            "approve",
            "approveAccessRequest",
            "Allow what is asked for",
            SchemaGenerator::subschema_for::<Approval>,
            RequestAction::Approve,
        ),
        decide(
            "deny",
            "denyAccessRequest",
            "Refuse what is asked for",
            SchemaGenerator::subschema_for::<Denial>,
            RequestAction::Deny,
        ),
    ]
}

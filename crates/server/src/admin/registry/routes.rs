//! The routes of the registry as a whole.

use http::Method;
use policy::role::Permission;
use schemars::{JsonSchema, SchemaGenerator};
use serde::Deserialize;
use serde_json::{Map, Value as Json};

use super::super::{
    bodies::List,
    resource::Resource,
    routes::{Action as Any, Parameter, Route, Shape, number, simple, text},
};
use super::{
    history::{Event, Past},
    plan::{Done, Plan},
};

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum Action {
    Export,
    Plan,
    Apply,
    History,
    RollBack,
    Versions(Resource),
    RollBackOne(Resource),
}

/// Where the registry is to go back to.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RollbackBody {
    /// The clock, as the history tells it, at which the registry was as it is to be again.
    pub(super) clock: u64,
    /// Whether only the plan is wanted. Default: false.
    #[serde(default)]
    pub(super) dry_run: bool,
}

/// What one thing is to be again.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct VersionBody {
    pub(super) version: u64,
    /// Whether only the plan is wanted. Default: false.
    #[serde(default)]
    pub(super) dry_run: bool,
}

/// What requests may have in their heads that change the registry.
const PLANNED: &[(&str, &str)] = &[
    ("Idempotency-Key", "what the same request has when it comes again within 24 hours"),
    ("If-Match", "the ETag of the plan: what it touches must not have changed since"),
];
const OF_ONE: Parameter = text("organization", "only this organization, by id or name");
const EXPORT: [Parameter; 1] = [OF_ONE];
const PLAN: [Parameter; 2] = [OF_ONE, text("prune", "true: what the file does not have is ended")];
const HISTORY: [Parameter; 3] = [
    text("object", "only changes of the thing of this id or name"),
    number("limit", "how many changes, from 1 to 500; 100 where nothing is said"),
    text("cursor", "what next_cursor said"),
];
const VERSIONS: [Parameter; 2] = [
    number("limit", "how many, from 1 to 500; 100 where nothing is said"),
    text("cursor", "what next_cursor said"),
];

fn file(generator: &mut SchemaGenerator) -> schemars::Schema {
    generator.subschema_for::<Map<String, Json>>()
}

pub(in super::super) fn routes() -> Vec<Route> {
    let plan: Shape = SchemaGenerator::subschema_for::<Plan>;
    let done: Shape = SchemaGenerator::subschema_for::<Done>;
    let (get, post, write) = (Method::GET, Method::POST, Permission::PartsWrite);
    let mut routes = vec![
        Route {
            parameters: &EXPORT,
            ..simple(
                get.clone(),
                "/admin/v1/export",
                ("exportRegistry", "What the registry owns, as a registry file"),
                Permission::PartsRead,
                (file, Any::Registry(Action::Export)),
            )
        },
        Route {
            parameters: &PLAN,
            request: Some(file),
            ..simple(
                post.clone(),
                "/admin/v1/plan",
                ("planRegistry", "What a registry file, in JSON or YAML, would change"),
                write,
                (plan, Any::Registry(Action::Plan)),
            )
        },
        Route {
            parameters: &PLAN,
            headers: PLANNED,
            request: Some(file),
            ..simple(
                post.clone(),
                "/admin/v1/apply",
                ("applyRegistry", "Make the registry say what a registry file says"),
                write,
                (done, Any::Registry(Action::Apply)),
            )
        },
        Route {
            parameters: &HISTORY,
            ..simple(
                get,
                "/admin/v1/history",
                ("listHistory", "Changes of the registry, the latest first"),
                Permission::AuditRead,
                (SchemaGenerator::subschema_for::<List<Event>>, Any::Registry(Action::History)),
            )
        },
        Route {
            headers: PLANNED,
            request: Some(SchemaGenerator::subschema_for::<RollbackBody>),
            ..simple(
                post,
                "/admin/v1/rollback",
                ("rollBackRegistry", "Take the registry back to what it was, by a new change"),
                write,
                (done, Any::Registry(Action::RollBack)),
            )
        },
    ];
    routes.extend(Resource::ALL.into_iter().flat_map(of_resource));
    routes
}

fn of_resource(resource: Resource) -> [Route; 2] {
    let (noun, shown, plural) = (resource.noun(), resource.shown(), resource.plural());
    let done: Shape = SchemaGenerator::subschema_for::<Done>;
    [
        Route {
            parameters: &VERSIONS,
            ..simple(
                Method::GET,
                &format!("/admin/v1/{plural}/{{id}}/versions"),
                (&format!("list{noun}Versions"), &format!("What a {shown} was, the latest first")),
                Permission::AuditRead,
                (SchemaGenerator::subschema_for::<List<Past>>, Any::Registry(Action::Versions(resource))),
            )
        },
        Route {
            headers: PLANNED,
            request: Some(SchemaGenerator::subschema_for::<VersionBody>),
            ..simple(
                Method::POST,
                &format!("/admin/v1/{plural}/{{id}}/rollback"),
                (
                    &format!("rollBack{noun}"),
                    &format!("Make a {shown} again what it was in one of its versions"),
                ),
                resource.write(),
                (done, Any::Registry(Action::RollBackOne(resource))),
            )
        },
    ]
}

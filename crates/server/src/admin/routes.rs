//! Every route of the admin API, in one table: requests are answered by it and the description is made of it.

use std::sync::LazyLock;

use http::Method;
use policy::{principal::EntityKind, role::Permission};
use schemars::{Schema, SchemaGenerator};

use super::{
    access_request::RequestAction,
    bodies::{
        AccountBody, AuditEntry, Draft, Key, KeyWithSecret, List, OrganizationBody, Part, PartBody, Rotation,
        Verified,
    },
    budgets::{self, BudgetAction},
    credentials,
    erasures::{self, ErasureAction},
    people::{self, PeopleAction},
    registry,
    resource::Resource,
    scim::{self, ScimAction},
};
use crate::path;

/// Makes a schema, and keeps those that it refers to.
pub(super) type Shape = fn(&mut SchemaGenerator) -> Schema;

/// One operation at one path.
pub(super) struct Route {
    pub(super) method: Method,
    /// With its parameter in braces; the last one takes all that is left.
    pub(super) path: String,
    /// Its name for programs.
    pub(super) operation: String,
    pub(super) summary: String,
    /// What a key must be permitted; nothing where any key of the admin API will do.
    pub(super) needs: Option<Permission>,
    pub(super) parameters: &'static [Parameter],
    /// What requests may carry in headers, with what it means.
    pub(super) headers: &'static [(&'static str, &'static str)],
    pub(super) request: Option<Shape>,
    /// Whether a request may have no body.
    pub(super) may_be_empty: bool,
    pub(super) status: u16,
    pub(super) answer: Answer,
    pub(super) action: Action,
}

/// Something behind the question mark.
pub(super) struct Parameter {
    pub(super) name: &'static str,
    pub(super) meaning: &'static str,
    pub(super) is_number: bool,
}

/// What is answered.
#[derive(Clone, Copy)]
pub(super) enum Answer {
    Json(Shape),
    /// The same, or lines of JSON for those that ask for them.
    JsonOrLines(Shape),
    Text,
}

/// Who answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    List(Resource),
    Read(Resource),
    Create(Resource),
    Replace(Resource),
    Merge(Resource),
    Delete(Resource),
    RotateKey,
    Budgets(BudgetAction),
    Erasures(ErasureAction),
    Audit,
    VerifyAudit,
    Calls,
    Rollouts,
    Rollout,
    ActOnRollout,
    /// Requests for access.
    AccessRequests(RequestAction),
    /// People and groups, for identity providers.
    Scim(ScimAction),
    /// The core that takes it, since it knows what that core has learned.
    Explain,
    Metrics,
    Description,
    Credentials(credentials::Act),
    /// The registry as a whole.
    Registry(registry::Action),
    /// People: accounts, sign-in, sessions.
    People(PeopleAction),
}

/// What a path leads to.
pub(super) enum Found<'r> {
    Route(&'static Route, Option<String>),
    /// Other methods than the one that was used.
    OtherMethods(Vec<&'r Method>),
    Nothing,
}

pub(super) const REPEATABLE: &[(&str, &str)] =
    &[("Idempotency-Key", "what the same request has when it comes again within 24 hours")];
pub(super) const VERSIONED: &[(&str, &str)] =
    &[("If-Match", "the version that it must have, as its ETag said")];
const KNOWN: &[(&str, &str)] = &[("If-None-Match", "the version that is known already")];
const LIST: [Parameter; 5] = [
    text("organization", "only what belongs to this organization, by id or name"),
    text("parent", "only what stands directly below this, by id"),
    text("search", "only names with these letters in them"),
    number("limit", "how many, from 1 to 500; 100 where nothing is said"),
    text("cursor", "what next_cursor said"),
];
const AUDIT: [Parameter; 9] = [
    text("organization", "only what belongs to this organization, by id or name"),
    text("kind", "only changes of this kind of object, as key"),
    text("object", "only changes of the object of this id"),
    text("actor", "only what this actor did, by id"),
    text("action", "as create, update, delete, sign_in, sign_in_refused, sign_out, locked or password"),
    number("since_us", "only from this moment on, in microseconds since 1970"),
    number("until_us", "only before this moment"),
    number("limit", "how many, from 1 to 500 (lines: 10000); 100 where nothing is said"),
    text("cursor", "what next_cursor said, or the header x-tollgate-next-cursor"),
];
const CALLS: [Parameter; 7] = [
    text("organization", "only calls of this organization, by id or name"),
    text("of", "only calls of this team, project, user or service account, by id"),
    text("key", "only calls of the key of this name"),
    text("end_user", "only calls for this end user, as callers named it"),
    number("since_us", "only calls that began at this moment or later, in microseconds since 1970"),
    number("before_us", "only calls that began before, in microseconds since 1970"),
    number("limit", "how many, 1000 at most; 100 where nothing is said"),
];

pub(super) const fn text(name: &'static str, meaning: &'static str) -> Parameter {
    Parameter { name, meaning, is_number: false }
}

pub(super) const fn number(name: &'static str, meaning: &'static str) -> Parameter {
    Parameter { name, meaning, is_number: true }
}

/// The table.
pub(super) static ROUTES: LazyLock<Vec<Route>> = LazyLock::new(|| {
    let mut routes: Vec<Route> = Resource::ALL.into_iter().flat_map(of_resource).collect();
    routes.extend(of_keys_and_audit());
    routes.extend(budgets::routes());
    routes.extend(erasures::routes());
    routes.extend(of_gateway());
    routes.extend(credentials::routes());
    routes.extend(registry::routes());
    routes.extend(scim::routes());
    routes.extend(super::access_request::routes());
    routes.extend(people::routes());
    routes
});

fn of_resource(resource: Resource) -> Vec<Route> {
    let (all, one) =
        (format!("/admin/v1/{}", resource.plural()), format!("/admin/v1/{}/{{id}}", resource.plural()));
    let (noun, shown) = (resource.noun(), resource.shown());
    let (read, write) = (resource.read(), resource.write());
    let (list, single, body) = shapes(resource);
    let made =
        if resource == Resource::Key { SchemaGenerator::subschema_for::<KeyWithSecret> } else { single };
    let named = |verb: &str| format!("{verb}{noun}");
    let plural = resource.plural().replace('-', " ");
    vec![
        Route {
            parameters: &LIST,
            ..route(
                (Method::GET, &all),
                (format!("list{noun}s"), format!("List {plural}")),
                read,
                (list, Action::List(resource)),
            )
        },
        Route {
            headers: REPEATABLE,
            request: Some(body),
            status: 201,
            ..route(
                (Method::POST, &all),
                (named("create"), format!("Make a {shown}")),
                write,
                (made, Action::Create(resource)),
            )
        },
        Route {
            headers: KNOWN,
            ..route(
                (Method::GET, &one),
                (named("read"), format!("Show a {shown}")),
                read,
                (single, Action::Read(resource)),
            )
        },
        Route {
            headers: VERSIONED,
            request: Some(body),
            ..route(
                (Method::PUT, &one),
                (named("replace"), format!("Replace a {shown}")),
                write,
                (single, Action::Replace(resource)),
            )
        },
        Route {
            headers: VERSIONED,
            request: Some(SchemaGenerator::subschema_for::<serde_json::Map<String, serde_json::Value>>),
            ..route(
                (Method::PATCH, &one),
                (named("merge"), format!("Change some of a {shown} (RFC 7396)")),
                write,
                (single, Action::Merge(resource)),
            )
        },
        Route {
            headers: VERSIONED,
            ..route(
                (Method::DELETE, &one),
                (named("delete"), format!("End a {shown}")),
                write,
                (single, Action::Delete(resource)),
            )
        },
    ]
}

/// A list, one thing, and the body that makes it.
fn shapes(resource: Resource) -> (Shape, Shape, Shape) {
    let (list, single): (Shape, Shape) = match resource {
        Resource::Part(_) => {
            (SchemaGenerator::subschema_for::<List<Part>>, SchemaGenerator::subschema_for::<Part>)
        }
        Resource::Key => (SchemaGenerator::subschema_for::<List<Key>>, SchemaGenerator::subschema_for::<Key>),
    };
    let body: Shape = match resource {
        Resource::Part(EntityKind::Organization) => SchemaGenerator::subschema_for::<OrganizationBody>,
        Resource::Part(EntityKind::Team | EntityKind::Project | EntityKind::User) => {
            SchemaGenerator::subschema_for::<PartBody>
        }
        Resource::Part(EntityKind::ServiceAccount) => SchemaGenerator::subschema_for::<AccountBody>,
        Resource::Key => SchemaGenerator::subschema_for::<Draft>,
    };
    (list, single, body)
}

fn of_keys_and_audit() -> Vec<Route> {
    let audit: Shape = SchemaGenerator::subschema_for::<List<AuditEntry>>;
    vec![
        Route {
            headers: REPEATABLE,
            request: Some(SchemaGenerator::subschema_for::<Rotation>),
            may_be_empty: true,
            ..simple(
                Method::POST,
                "/admin/v1/keys/{id}/rotate",
                ("rotateKey", "Give a key another secret"),
                Permission::KeysWrite,
                (SchemaGenerator::subschema_for::<KeyWithSecret>, Action::RotateKey),
            )
        },
        Route {
            parameters: &AUDIT,
            answer: Answer::JsonOrLines(audit),
            ..simple(
                Method::GET,
                "/admin/v1/audit",
                ("listAudit", "Who did what, the latest first"),
                Permission::AuditRead,
                (audit, Action::Audit),
            )
        },
        simple(
            Method::GET,
            "/admin/v1/audit/verify",
            ("verifyAudit", "Whether the audit is as it was written"),
            Permission::AuditVerify,
            (SchemaGenerator::subschema_for::<Verified>, Action::VerifyAudit),
        ),
    ]
}

fn of_gateway() -> Vec<Route> {
    let any: Shape = SchemaGenerator::subschema_for::<serde_json::Map<String, serde_json::Value>>;
    vec![
        Route {
            parameters: &CALLS,
            ..simple(
                Method::GET,
                "/admin/v1/calls",
                ("listCalls", "The journal, the latest calls first"),
                Permission::CallsRead,
                (any, Action::Calls),
            )
        },
        simple(
            Method::GET,
            "/admin/v1/rollouts",
            ("listRollouts", "How far each rollout is"),
            Permission::RolloutsRead,
            (any, Action::Rollouts),
        ),
        simple(
            Method::GET,
            "/admin/v1/rollouts/{model}",
            ("readRollout", "How far one rollout is, and why"),
            Permission::RolloutsRead,
            (any, Action::Rollout),
        ),
        Route {
            request: Some(any),
            ..simple(
                Method::POST,
                "/admin/v1/rollouts/{model}",
                ("actOnRollout", "Take a rollout on, hold it or take it back"),
                Permission::RolloutsWrite,
                (any, Action::ActOnRollout),
            )
        },
        Route {
            request: Some(any),
            ..simple(
                Method::POST,
                "/admin/v1/explain",
                ("explain", "Where a request would go, and why"),
                Permission::RoutesExplain,
                (any, Action::Explain),
            )
        },
        Route {
            answer: Answer::Text,
            ..simple(
                Method::GET,
                "/metrics",
                ("metrics", "Metrics for Prometheus"),
                Permission::MetricsRead,
                (any, Action::Metrics),
            )
        },
        Route {
            needs: None,
            ..simple(
                Method::GET,
                "/admin/v1/openapi.json",
                ("describe", "This description"),
                Permission::PartsRead,
                (any, Action::Description),
            )
        },
    ]
}

pub(super) fn simple(
    method: Method,
    path: &str,
    (operation, summary): (&str, &str),
    needs: Permission,
    answer: (Shape, Action),
) -> Route {
    route((method, path), (operation.to_owned(), summary.to_owned()), needs, answer)
}

pub(super) fn route(
    (method, path): (Method, &str),
    (operation, summary): (String, String),
    needs: Permission,
    (shape, action): (Shape, Action),
) -> Route {
    Route {
        method,
        path: path.to_owned(),
        operation,
        summary,
        needs: Some(needs),
        parameters: &[],
        headers: &[],
        request: None,
        may_be_empty: false,
        status: 200,
        answer: Answer::Json(shape),
        action,
    }
}

/// Finds the route of a request, with what stands in its path.
pub(super) fn find<'r>(method: &Method, path: &str) -> Found<'r> {
    let method = if *method == Method::HEAD { &Method::GET } else { method };
    let fitting = ROUTES.iter().filter_map(|route| Some((route, matched(&route.path, path)?)));
    // A path without a parameter comes before one that would take its last part for one.
    let plain = fitting.clone().any(|(_, name)| name.is_none());
    let longest = fitting.clone().map(|(route, _)| route.path.len()).max().unwrap_or_default();
    let fitting =
        fitting.filter(|(route, name)| if plain { name.is_none() } else { route.path.len() == longest });
    let fitting: Vec<(&'static Route, Option<String>)> = fitting.collect();
    if fitting.is_empty() {
        return Found::Nothing;
    }
    let methods = fitting.iter().map(|(route, _)| &route.method).collect();
    match fitting.into_iter().find(|(route, _)| route.method == *method) {
        Some((route, name)) => Found::Route(route, name),
        None => Found::OtherMethods(methods),
    }
}

/// What stands in a path in place of its template's parameter.
fn matched(template: &str, path: &str) -> Option<Option<String>> {
    let Some((before, rest)) = template.split_once('{') else { return (template == path).then_some(None) };
    let (_, behind) = rest.split_once('}')?;
    let name = path.strip_prefix(before)?.strip_suffix(behind)?;
    let name = path::decoded(name)?;
    (!name.is_empty()).then(|| Some(name.into_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_lead_to_routes() {
        let check = |method: Method, path: &str, expected: Option<(Action, Option<&str>)>| {
            let found = match find(&method, path) {
                Found::Route(route, name) => Some((route.action, name)),
                Found::OtherMethods(_) | Found::Nothing => None,
            };
            let found = found.as_ref().map(|(action, name)| (*action, name.as_deref()));
            assert_eq!(found, expected, "{method} {path}");
        };
        let teams = Resource::Part(EntityKind::Team);
        check(Method::GET, "/admin/v1/teams", Some((Action::List(teams), None)));
        check(Method::HEAD, "/admin/v1/teams/a%20b", Some((Action::Read(teams), Some("a b"))));
        check(Method::POST, "/admin/v1/keys/a/rotate", Some((Action::RotateKey, Some("a"))));
        check(Method::DELETE, "/admin/v1/keys/a/rotate", None);
        check(Method::GET, "/admin/v1/audit/verify", Some((Action::VerifyAudit, None)));
        check(Method::GET, "/admin/v1/rollouts/a/b", Some((Action::Rollout, Some("a/b"))));
        check(Method::POST, "/admin/v1/teams/a", None);
        check(Method::GET, "/admin/v1/teams/", None);
        check(Method::GET, "/admin/v2/teams", None);
        assert!(
            matches!(find(&Method::POST, "/admin/v1/teams/a"), Found::OtherMethods(all) if all.len() == 4)
        );
    }
}

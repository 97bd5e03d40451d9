//! The routes of SCIM (<https://www.rfc-editor.org/rfc/rfc7644#section-3.2>).

use http::Method;
use policy::role::Permission;
use schemars::SchemaGenerator;
use serde_json::{Map, Value as Json};

use super::{
    action::{Discovery, ScimAction, Verb},
    schema::ResourceType,
};
use crate::admin::routes::{Action, Parameter, Route, Shape, number, simple, text};

const SHOWN: [Parameter; 2] = [
    text("attributes", "only these attributes, with commas between them"),
    text("excludedAttributes", "all but these attributes"),
];
const LIST: [Parameter; 7] = [
    text("filter", "only what this holds of, as userName eq \"mira\""),
    text("sortBy", "the attribute that the list is sorted by"),
    text("sortOrder", "ascending or descending"),
    number("startIndex", "where the page begins, counted from 1"),
    number("count", "how many, 200 at most; 100 where nothing is said"),
    text("attributes", "only these attributes, with commas between them"),
    text("excludedAttributes", "all but these attributes"),
];

pub(in crate::admin) fn routes() -> Vec<Route> {
    let mut routes = discovery();
    routes.extend(ResourceType::ALL.into_iter().flat_map(of_type));
    let search = ScimAction::Search(None);
    routes.push(with_body(
        one(Method::POST, "/scim/v2/.search", "scimSearch", "Search users and groups", search),
        200,
    ));
    for method in [Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE] {
        let name = format!("scim{}Me", capital(&method));
        routes.push(one(
            method,
            "/scim/v2/Me",
            &name,
            "Not there: a key is no user",
            ScimAction::Discover(Discovery::Me),
        ));
    }
    let summary = "Not there: send one request for each change";
    routes.push(one(
        Method::POST,
        "/scim/v2/Bulk",
        "scimBulk",
        summary,
        ScimAction::Discover(Discovery::Bulk),
    ));
    routes
}

fn discovery() -> Vec<Route> {
    let get = |path: &str, name: &str, summary: &str, action| one(Method::GET, path, name, summary, action);
    vec![
        get(
            "/scim/v2/ServiceProviderConfig",
            "scimAbilities",
            "What of SCIM there is",
            ScimAction::Discover(Discovery::Abilities),
        ),
        get(
            "/scim/v2/ResourceTypes",
            "scimResourceTypes",
            "The types of resources",
            ScimAction::Discover(Discovery::ResourceTypes),
        ),
        get(
            "/scim/v2/ResourceTypes/{name}",
            "scimResourceType",
            "One type of resources",
            ScimAction::Discover(Discovery::ResourceType),
        ),
        get(
            "/scim/v2/Schemas",
            "scimSchemas",
            "The attributes of resources",
            ScimAction::Discover(Discovery::Schemas),
        ),
        get(
            "/scim/v2/Schemas/{name}",
            "scimSchema",
            "The attributes of one schema",
            ScimAction::Discover(Discovery::Schema),
        ),
    ]
}

fn of_type(kind: ResourceType) -> Vec<Route> {
    let (noun, plural) = (kind.name(), kind.plural());
    let (all, each) = (format!("/scim/v2/{plural}"), format!("/scim/v2/{plural}/{{id}}"));
    let shown = kind.name().to_lowercase();
    let route = |method: Method, path: &str, verb: &str, action: ScimAction| {
        let summary = format!("{verb} a {shown}, as SCIM does");
        let route = one(method, path, &format!("scim{verb}{noun}"), &summary, action);
        Route { parameters: &SHOWN, ..route }
    };
    let list = one(
        Method::GET,
        &all,
        &format!("scimList{plural}"),
        &format!("List {shown}s, as SCIM does"),
        ScimAction::List(kind),
    );
    let search = one(
        Method::POST,
        &format!("{all}/.search"),
        &format!("scimSearch{plural}"),
        &format!("List {shown}s by conditions in the body"),
        ScimAction::Search(Some(kind)),
    );
    vec![
        Route { parameters: &LIST, ..list },
        with_body(search, 200),
        with_body(route(Method::POST, &all, "Create", ScimAction::Write(kind, Verb::Create)), 201),
        route(Method::GET, &each, "Read", ScimAction::Read(kind)),
        with_body(route(Method::PUT, &each, "Replace", ScimAction::Write(kind, Verb::Replace)), 200),
        with_body(route(Method::PATCH, &each, "Patch", ScimAction::Write(kind, Verb::Patch)), 200),
        Route {
            status: 204,
            ..route(Method::DELETE, &each, "Delete", ScimAction::Write(kind, Verb::Delete))
        },
    ]
}

fn one(method: Method, path: &str, operation: &str, summary: &str, action: ScimAction) -> Route {
    let any: Shape = SchemaGenerator::subschema_for::<Map<String, Json>>;
    simple(method, path, (operation, summary), Permission::PartsWrite, (any, Action::Scim(action)))
}

fn with_body(route: Route, status: u16) -> Route {
    let any: Shape = SchemaGenerator::subschema_for::<Map<String, Json>>;
    Route { request: Some(any), status, ..route }
}

fn capital(method: &Method) -> String {
    let name = method.as_str().to_lowercase();
    let (first, rest) = name.split_at(1);
    first.to_uppercase() + rest
}

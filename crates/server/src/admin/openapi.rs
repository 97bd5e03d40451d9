//! The description of the admin API, made of the table of routes
//! (<https://spec.openapis.org/oas/v3.1.0.html>).

use http::Method;
use schemars::{SchemaGenerator, generate::SchemaSettings};
use serde_json::{Map, Value as Json, json};

use super::{
    refusal::ErrorBody,
    routes::{Action, Answer, Parameter, ROUTES, Route},
};

const SCIM: &str = "application/scim+json";

/// OpenAPI 3.1.
pub fn openapi() -> Json {
    let settings = SchemaSettings::draft2020_12().with(|settings| {
        settings.definitions_path = "/components/schemas".into();
        settings.meta_schema = None;
    });
    let mut generator = settings.into_generator();
    let mut paths: Map<String, Json> = Map::new();
    for route in ROUTES.iter() {
        let described = operation(route, &mut generator);
        let path = paths.entry(route.path.clone()).or_insert_with(|| json!({}));
        path[route.method.as_str().to_lowercase()] = described;
    }
    let refused = generator.subschema_for::<ErrorBody>();
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Tollgate admin API",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Organizations and their parts, keys, the audit, the journal and rollouts of a gateway.",
        },
        "servers": [{"url": "/"}],
        "security": [{"key": []}, {"session": []}],
        "paths": paths,
        "components": {
            "schemas": generator.take_definitions(true),
            "securitySchemes": {
                "key": {
                    "type": "http", "scheme": "bearer",
                    "description": "a key with a role, as tg-admin-…",
                },
                "session": {
                    "type": "apiKey", "in": "cookie", "name": "__Host-tollgate-session",
                    "description": "of somebody who has signed in; what changes something needs the header x-tollgate-csrf",
                },
            },
            "responses": {
                "Refused": {
                    "description": "why it was refused, with everything that is wrong",
                    "content": {"application/json": {"schema": refused}},
                },
                "ScimRefused": {
                    "description": "why it was refused, as RFC 7644, section 3.12, has it",
                    "content": {SCIM: {"schema": scim_error()}},
                },
            },
        },
    })
}

fn scim_error() -> Json {
    json!({
        "type": "object",
        "required": ["schemas", "status", "detail"],
        "properties": {
            "schemas": {"type": "array", "items": {"type": "string"}},
            "status": {"type": "string", "description": "the HTTP status"},
            "scimType": {"type": "string"},
            "detail": {"type": "string"},
        },
    })
}

fn operation(route: &Route, generator: &mut SchemaGenerator) -> Json {
    let refused = if matches!(route.action, Action::Scim(_)) { "ScimRefused" } else { "Refused" };
    let mut described = json!({
        "operationId": route.operation,
        "summary": route.summary,
        "parameters": parameters(route),
        "responses": {
            route.status.to_string(): answered(route, generator),
            "default": {"$ref": format!("#/components/responses/{refused}")},
        },
    });
    if let Some(needs) = route.needs {
        described["x-permission"] = needs.name().into();
        let whole = if needs.is_global() { ", for the whole gateway" } else { "" };
        described["description"] = format!("Needs the permission {}{whole}.", needs.name()).into();
    }
    if matches!(route.action, Action::People(action) if action.is_public()) {
        described["security"] = json!([]);
    }
    if let Some(shape) = route.request {
        let kind = match (matches!(route.action, Action::Scim(_)), &route.method) {
            (true, _) => SCIM,
            (false, &Method::PATCH) => "application/merge-patch+json",
            (false, _) => "application/json",
        };
        described["requestBody"] =
            json!({"required": !route.may_be_empty, "content": {kind: {"schema": shape(generator)}}});
    }
    described
}

fn answered(route: &Route, generator: &mut SchemaGenerator) -> Json {
    let content = match route.answer {
        Answer::Json(shape) if matches!(route.action, Action::Scim(_)) => {
            json!({SCIM: {"schema": shape(generator)}})
        }
        Answer::Json(shape) => json!({"application/json": {"schema": shape(generator)}}),
        Answer::JsonOrLines(shape) => json!({
            "application/json": {"schema": shape(generator)},
            "application/x-ndjson": {"schema": {"type": "string"}},
        }),
        Answer::Text => json!({"text/plain": {"schema": {"type": "string"}}}),
    };
    json!({"description": "what was asked for", "content": content})
}

fn parameters(route: &Route) -> Vec<Json> {
    let mut all = Vec::new();
    if let Some((_, rest)) = route.path.split_once('{')
        && let Some((name, _)) = rest.split_once('}')
    {
        let meaning = match name {
            "id" if matches!(route.action, Action::Scim(_)) => "the id",
            "id" => "the id, or the name",
            _ => "the name",
        };
        all.push(described(name, "path", meaning, "string"));
    }
    let kind = |parameter: &Parameter| if parameter.is_number { "integer" } else { "string" };
    all.extend(
        route
            .parameters
            .iter()
            .map(|parameter| described(parameter.name, "query", parameter.meaning, kind(parameter))),
    );
    all.extend(route.headers.iter().map(|(name, meaning)| described(name, "header", meaning, "string")));
    all
}

fn described(name: &str, place: &str, meaning: &str, kind: &str) -> Json {
    json!({
        "name": name, "in": place, "required": place == "path", "description": meaning,
        "schema": {"type": kind},
    })
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_route_is_described() {
        let described = openapi();
        let mut operations = HashSet::new();
        for route in ROUTES.iter() {
            let found = &described["paths"][&route.path][route.method.as_str().to_lowercase()];
            assert_eq!(found["operationId"], route.operation, "{} {}", route.method, route.path);
            assert!(operations.insert(&route.operation), "{}", route.operation);
        }
        let listed: usize = described["paths"]
            .as_object()
            .unwrap()
            .values()
            .map(|path| path.as_object().unwrap().len())
            .sum();
        assert_eq!(listed, ROUTES.len());
        assert!(described["components"]["schemas"]["KeyBody"]["properties"]["role"].is_object());
    }
}

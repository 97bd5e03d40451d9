//! What of SCIM there is (<https://www.rfc-editor.org/rfc/rfc7644#section-4>).

use http::StatusCode;
use serde_json::{Value as Json, json};

use super::{
    action::Discovery,
    attribute::{Attribute, Kind},
    refused::MEDIA,
    schema::{ResourceType, SCHEMAS, Schema},
    search::{COUNT_MAX, LIST_SCHEMA},
};
use crate::admin::{Reply, refusal::Refusal};

/// What there is, and what there is not.
pub(super) fn answer(what: Discovery, wanted: &str, base: &str, query: &str) -> Result<Reply, Refusal> {
    let missing = |message: &str| Refusal::new(StatusCode::NOT_IMPLEMENTED, "not_implemented", message);
    match what {
        Discovery::Me => Err(missing("a key of the admin API is no user; ask for /Users/ID")),
        Discovery::Bulk => Err(missing("there are no bulk requests; send one for each change")),
        Discovery::Abilities => check_query(query).map(|()| abilities(base)),
        Discovery::ResourceTypes => check_query(query).map(|()| resource_types(base)),
        Discovery::ResourceType => one_resource_type(wanted, base),
        Discovery::Schemas => check_query(query).map(|()| schemas(base)),
        Discovery::Schema => one_schema(wanted, base),
    }
}

/// What is listed has no filters, so that nobody takes a part of it for the whole.
fn check_query(query: &str) -> Result<(), Refusal> {
    if form_urlencoded::parse(query.as_bytes()).any(|(name, _)| name == "filter") {
        let message = "filter: is not taken here; read the whole";
        return Err(Refusal::new(StatusCode::FORBIDDEN, "filter_not_taken", message));
    }
    Ok(())
}

fn abilities(base: &str) -> Reply {
    reply(&json!({
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:ServiceProviderConfig"],
        "documentationUri": "https://www.rfc-editor.org/rfc/rfc7644",
        "patch": {"supported": true},
        "bulk": {"supported": false, "maxOperations": 0, "maxPayloadSize": 0},
        "filter": {"supported": true, "maxResults": COUNT_MAX},
        "changePassword": {"supported": false},
        "sort": {"supported": true},
        "etag": {"supported": true},
        "authenticationSchemes": [{
            "type": "oauthbearertoken", "name": "Admin key", "primary": true,
            "description": "A key of the admin API that may change users, as a bearer token",
            "specUri": "https://www.rfc-editor.org/rfc/rfc6750",
        }],
        "meta": {"resourceType": "ServiceProviderConfig", "location": format!("{base}/ServiceProviderConfig")},
    }))
}

fn resource_types(base: &str) -> Reply {
    list(ResourceType::ALL.into_iter().map(|kind| resource_type(kind, base)).collect())
}

fn one_resource_type(name: &str, base: &str) -> Result<Reply, Refusal> {
    let found = ResourceType::ALL.into_iter().find(|kind| kind.name() == name);
    let found = found.ok_or_else(|| Refusal::not_found("type of resources", name))?;
    Ok(reply(&resource_type(found, base)))
}

fn resource_type(kind: ResourceType, base: &str) -> Json {
    let extensions: Vec<Json> =
        kind.extensions().iter().map(|schema| json!({"schema": schema, "required": false})).collect();
    json!({
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:ResourceType"],
        "id": kind.name(), "name": kind.name(), "endpoint": format!("/{}", kind.plural()),
        "schema": kind.schema(), "schemaExtensions": extensions,
        "meta": {"resourceType": "ResourceType", "location": format!("{base}/ResourceTypes/{}", kind.name())},
    })
}

fn schemas(base: &str) -> Reply {
    list(SCHEMAS.iter().map(|schema| shown(schema, base)).collect())
}

fn one_schema(id: &str, base: &str) -> Result<Reply, Refusal> {
    let found = SCHEMAS.iter().find(|schema| schema.id.eq_ignore_ascii_case(id));
    let found = found.ok_or_else(|| Refusal::not_found("schema", id))?;
    Ok(reply(&shown(found, base)))
}

fn shown(schema: &Schema, base: &str) -> Json {
    let attributes: Vec<Json> = schema.attributes.iter().map(attribute).collect();
    json!({
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:Schema"],
        "id": schema.id, "name": schema.name, "description": schema.about, "attributes": attributes,
        "meta": {"resourceType": "Schema", "location": format!("{base}/Schemas/{}", schema.id)},
    })
}

fn attribute(of: &Attribute) -> Json {
    let mut described = json!({
        "name": of.name, "type": of.kind.name(), "multiValued": of.many, "description": of.about,
        "required": of.required, "mutability": of.mutability.name(), "returned": of.returned.name(),
    });
    match of.kind {
        Kind::Complex => {
            let parts: Vec<Json> = of.parts.iter().map(attribute).collect();
            described["subAttributes"] = json!(parts);
        }
        Kind::Text | Kind::Reference | Kind::Binary => {
            described["caseExact"] = of.exact.into();
            described["uniqueness"] = if of.unique { "server" } else { "none" }.into();
        }
        Kind::Boolean | Kind::Moment => {}
    }
    if of.kind == Kind::Reference {
        described["referenceTypes"] = match of.name {
            "$ref" => json!(["User", "Group"]),
            _ => json!(["external"]),
        };
    }
    if !of.canonical.is_empty() {
        described["canonicalValues"] = json!(of.canonical);
    }
    described
}

fn list(resources: Vec<Json>) -> Reply {
    reply(&json!({
        "schemas": [LIST_SCHEMA], "totalResults": resources.len(), "itemsPerPage": resources.len(),
        "startIndex": 1, "Resources": resources,
    }))
}

fn reply(body: &Json) -> Reply {
    Reply { kind: MEDIA, ..Reply::ok(body) }
}

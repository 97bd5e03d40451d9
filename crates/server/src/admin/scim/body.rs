//! Brings what clients send into the shape of the schema: known attributes under their own names, values of their kinds. What
//! is unknown, or only the gateway sets, is left out (<https://www.rfc-editor.org/rfc/rfc7644#section-3.3>).

use serde_json::{Map, Value as Json};

use super::{
    attribute::{Attribute, Kind, Mutability},
    refused::{ErrorType, invalid_value},
    schema::ResourceType,
};
use crate::admin::refusal::Refusal;

/// The longest text of one value, in bytes.
const TEXT_BYTES_MAX: usize = 16 << 10;
/// The most that is kept of one user.
const KEPT_BYTES_MAX: usize = 64 << 10;

/// The body of a request as an object.
pub(super) fn object(body: &[u8]) -> Result<Map<String, Json>, Refusal> {
    match serde_json::from_slice(body) {
        Ok(Json::Object(members)) => Ok(members),
        Ok(_) => Err(ErrorType::InvalidSyntax.refusal("the body must be a JSON object")),
        Err(error) => Err(ErrorType::InvalidSyntax.refusal(format!("the body is no JSON: {error}"))),
    }
}

/// A member of a message, whatever the case of its name.
pub(super) fn member<'m>(members: &'m Map<String, Json>, name: &str) -> Option<&'m Json> {
    let found = members.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
    found.map(|(_, value)| value).filter(|value| !value.is_null())
}

/// Refuses a message that says it is another.
pub(super) fn check_schemas(members: &Map<String, Json>, wanted: &str) -> Result<(), Refusal> {
    let Some(schemas) = member(members, "schemas") else { return Ok(()) };
    let listed = schemas.as_array().into_iter().flatten().filter_map(Json::as_str);
    if listed.clone().any(|schema| schema.eq_ignore_ascii_case(wanted)) {
        return Ok(());
    }
    Err(invalid_value("schemas", &format!("must have {wanted} in it")))
}

/// The attributes of a resource that its client sets.
pub(super) fn resource(kind: ResourceType, given: &Map<String, Json>) -> Result<Map<String, Json>, Refusal> {
    let mut attributes = Map::new();
    for (name, value) in given {
        let found = kind.attributes().iter().find(|known| known.name.eq_ignore_ascii_case(name));
        if let Some(found) = found
            && let Some(value) = settable(found, value, found.name)?
        {
            attributes.insert(found.name.to_owned(), value);
        }
    }
    let members = attributes.get("members").map_or(0, |members| members.to_string().len());
    if Json::Object(attributes.clone()).to_string().len().saturating_sub(members) > KEPT_BYTES_MAX {
        return Err(
            ErrorType::InvalidValue.refusal(format!("the resource has more than {KEPT_BYTES_MAX} bytes"))
        );
    }
    Ok(attributes)
}

/// A value as its attribute has it; nothing where clients cannot set it, or it says nothing.
pub(super) fn settable(attribute: &Attribute, value: &Json, path: &str) -> Result<Option<Json>, Refusal> {
    match attribute.mutability {
        Mutability::ReadWrite | Mutability::Immutable => {}
        Mutability::ReadOnly | Mutability::WriteOnly => return Ok(None),
    }
    if !attribute.many {
        return single(attribute, value, path);
    }
    let values = match value {
        Json::Array(values) => values.as_slice(),
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) | Json::Object(_) => {
            std::slice::from_ref(value)
        }
    };
    let mut list = Vec::with_capacity(values.len());
    for (at, value) in values.iter().enumerate() {
        list.extend(single(attribute, value, &format!("{path}[{at}]"))?);
    }
    if list.iter().filter(|value| is_primary(value)).count() > 1 {
        return Err(invalid_value(path, "has several values that are primary; one is at most"));
    }
    Ok((!list.is_empty()).then_some(Json::Array(list)))
}

pub(super) fn is_primary(value: &Json) -> bool {
    value.get("primary") == Some(&Json::Bool(true))
}

/// One value.
fn single(attribute: &Attribute, value: &Json, path: &str) -> Result<Option<Json>, Refusal> {
    if value.is_null() {
        return Ok(None);
    }
    match attribute.kind {
        Kind::Boolean => boolean(value, path).map(Some),
        Kind::Text | Kind::Moment | Kind::Binary | Kind::Reference => match value {
            Json::String(text) if text.len() > TEXT_BYTES_MAX => {
                Err(invalid_value(path, &format!("has {TEXT_BYTES_MAX} bytes at most")))
            }
            Json::String(text) if text.is_empty() => Ok(None),
            Json::String(_) => Ok(Some(value.clone())),
            Json::Null | Json::Bool(_) | Json::Number(_) | Json::Array(_) | Json::Object(_) => {
                Err(invalid_value(path, "must be a text"))
            }
        },
        Kind::Complex => complex(attribute, value, path),
    }
}

/// Some clients write truth values as texts.
fn boolean(value: &Json, path: &str) -> Result<Json, Refusal> {
    let text = value.as_str().map(str::to_ascii_lowercase);
    match (value.as_bool(), text.as_deref()) {
        (Some(value), _) => Ok(value.into()),
        (None, Some("true")) => Ok(true.into()),
        (None, Some("false")) => Ok(false.into()),
        (None, _) => Err(invalid_value(path, "must be true or false")),
    }
}

fn complex(attribute: &Attribute, value: &Json, path: &str) -> Result<Option<Json>, Refusal> {
    let members = match value {
        Json::Object(members) => members,
        // The short form of one that is little but its value.
        Json::String(_) if Attribute::find(attribute.parts, "value").is_some() => {
            &Map::from_iter([("value".to_owned(), value.clone())])
        }
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) | Json::Array(_) => {
            return Err(invalid_value(path, "must be an object"));
        }
    };
    let mut parts = Map::new();
    for (name, value) in members {
        if let Some(part) = Attribute::find(attribute.parts, name)
            && let Some(value) = settable(part, value, &format!("{path}.{}", part.name))?
        {
            parts.insert(part.name.to_owned(), value);
        }
    }
    Ok((!parts.is_empty()).then_some(Json::Object(parts)))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn bodies_take_the_shape_of_the_schema() {
        let check = |given: Json, expected: Result<Json, &str>| {
            let found = resource(ResourceType::User, given.as_object().unwrap());
            let found = found.map(Json::Object).map_err(|refusal| refusal.into_parts().message);
            match expected {
                Ok(expected) => assert_eq!(found, Ok(expected), "{given}"),
                Err(part) => assert!(found.clone().is_err_and(|message| message.contains(part)), "{found:?}"),
            }
        };
        check(
            json!({"USERNAME": "mira", "id": "x", "colour": "red", "password": "p", "groups": [{"value": "g"}]}),
            Ok(json!({"userName": "mira"})),
        );
        check(json!({"active": "False"}), Ok(json!({"active": false})));
        check(json!({"emails": {"value": "a@b"}}), Ok(json!({"emails": [{"value": "a@b"}]})));
        check(json!({"emails": [], "title": null, "name": {"familyName": ""}}), Ok(json!({})));
        let enterprise = super::super::schema::ENTERPRISE;
        check(
            json!({enterprise.to_uppercase(): {"Department": "Tours", "manager": "7"}}),
            Ok(json!({enterprise: {"department": "Tours", "manager": {"value": "7"}}})),
        );
        check(json!({"active": 1}), Err("active: must be true or false"));
        check(json!({"title": ["x"]}), Err("title: must be a text"));
        check(json!({"emails": [{"value": 5}]}), Err("emails[0].value: must be a text"));
        check(
            json!({"emails": [{"primary": true, "value": "a"}, {"primary": "True", "value": "b"}]}),
            Err("primary"),
        );
        check(json!({"title": "x".repeat(20_000)}), Err("bytes at most"));
    }
}

//! Changes some attributes of a resource (<https://www.rfc-editor.org/rfc/rfc7644#section-3.5.2>).

use std::collections::{HashMap, HashSet};

use serde_json::{Map, Value as Json};

use super::{
    attribute::{Attribute, Mutability},
    body::{check_schemas, is_primary, member, settable},
    filter::{Filter, Steps},
    parse::Target,
    refused::{ErrorType, invalid_value},
    schema::ResourceType,
};
use crate::admin::refusal::Refusal;

const SCHEMA: &str = "urn:ietf:params:scim:api:messages:2.0:PatchOp";
/// The most operations of one request.
const OPERATIONS_MAX: usize = 1_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operation {
    Add,
    Replace,
    Remove,
}

/// Lays the operations of a message over the attributes of a resource, in their order.
pub(super) fn apply(
    kind: ResourceType,
    resource: &mut Map<String, Json>,
    message: &Map<String, Json>,
) -> Result<(), Refusal> {
    check_schemas(message, SCHEMA)?;
    let operations = member(message, "Operations").and_then(Json::as_array);
    let operations = operations.filter(|operations| !operations.is_empty()).ok_or_else(|| {
        ErrorType::InvalidSyntax.refusal("Operations must be a list with at least one in it")
    })?;
    if operations.len() > OPERATIONS_MAX {
        let message = format!("Operations: has {OPERATIONS_MAX} at most; send several requests");
        return Err(ErrorType::TooMany.refusal(message));
    }
    for (at, operation) in operations.iter().enumerate() {
        let members = operation.as_object();
        let members = members.ok_or_else(|| {
            ErrorType::InvalidSyntax.refusal(format!("Operations[{at}]: must be an object"))
        })?;
        operate(kind, resource, members, at)?;
    }
    Ok(())
}

fn operate(
    kind: ResourceType,
    resource: &mut Map<String, Json>,
    members: &Map<String, Json>,
    at: usize,
) -> Result<(), Refusal> {
    let named = member(members, "op").and_then(Json::as_str).unwrap_or_default();
    let operation = match named.to_ascii_lowercase().as_str() {
        "add" => Operation::Add,
        "replace" => Operation::Replace,
        "remove" => Operation::Remove,
        _ => {
            let message = format!("Operations[{at}].op: must be add, replace or remove");
            return Err(ErrorType::InvalidSyntax.refusal(message));
        }
    };
    let value = member(members, "value");
    let path = match member(members, "path") {
        None => None,
        Some(Json::String(path)) => Some(path.as_str()).filter(|path| !path.is_empty()),
        Some(_) => {
            return Err(ErrorType::InvalidPath.refusal(format!("Operations[{at}].path: must be a text")));
        }
    };
    let Some(path) = path else { return whole(kind, resource, operation, value, at) };
    let target = Target::read(kind, path).map_err(|wrong| wrong.of_path(path))?;
    check_mutability(&target, path)?;
    if operation != Operation::Remove
        && value.is_none()
        && !members.keys().any(|name| name.eq_ignore_ascii_case("value"))
    {
        return Err(invalid_value(&format!("Operations[{at}].value"), "is missing"));
    }
    change(resource, &target, operation, (value, path))
}

/// An operation that names its attributes in its value. Some clients write paths there.
fn whole(
    kind: ResourceType,
    resource: &mut Map<String, Json>,
    operation: Operation,
    value: Option<&Json>,
    at: usize,
) -> Result<(), Refusal> {
    if operation == Operation::Remove {
        return Err(
            ErrorType::NoTarget.refusal(format!("Operations[{at}].path: is missing; say what to remove"))
        );
    }
    let members = value.and_then(Json::as_object);
    let members = members.ok_or_else(|| {
        invalid_value(&format!("Operations[{at}].value"), "must be an object where there is no path")
    })?;
    for (path, value) in members {
        // As in a whole resource: what is unknown, or only the gateway sets, is left out.
        let Ok(target) = Target::read(kind, path) else { continue };
        if check_mutability(&target, path).is_ok() {
            change(resource, &target, operation, (Some(value), path))?;
        }
    }
    Ok(())
}

fn check_mutability(target: &Target, path: &str) -> Result<(), Refusal> {
    let is_fixed = |attribute: &&Attribute| attribute.mutability == Mutability::ReadOnly;
    let is_set_once = |attribute: &&Attribute| attribute.mutability == Mutability::Immutable;
    if target.steps.iter().chain(&target.part).copied().any(|step| is_fixed(&step))
        || target.part.is_some_and(|part| is_set_once(&part))
        || target.steps.iter().skip(1).copied().any(|step| is_set_once(&step))
    {
        let message = format!("{path}: is read-only; only the gateway sets it, or it is set once");
        return Err(ErrorType::Mutability.refusal(message));
    }
    Ok(())
}

/// Changes what a target leads to, and keeps at most one value of each attribute primary: the one that came last.
fn change(
    resource: &mut Map<String, Json>,
    target: &Target,
    operation: Operation,
    (value, path): (Option<&Json>, &str),
) -> Result<(), Refusal> {
    let Some((first, _)) = target.steps.split_first() else { return Ok(()) };
    let required = first.required && target.steps.len() == 1;
    let primary: Vec<Json> = primaries(resource.get(first.name));
    descend(resource, &target.steps, &mut |members, attribute| match &target.filter {
        Some(filter) => some(members, attribute, (filter, target.part), operation, (value, path)),
        None => all(members, attribute, operation, (value, path)),
    })?;
    if required && !resource.contains_key(first.name) {
        let message = format!("{path}: is required; replace it instead");
        return Err(ErrorType::Mutability.refusal(message));
    }
    one_primary(resource.get_mut(first.name), &primary);
    Ok(())
}

type Change<'c> = dyn FnMut(&mut Map<String, Json>, &'static Attribute) -> Result<(), Refusal> + 'c;

/// Goes to the object that the last attribute of a path is a member of, or to each of them, and leaves no empty one behind.
fn descend(members: &mut Map<String, Json>, steps: &Steps, change: &mut Change<'_>) -> Result<(), Refusal> {
    let mut steps = steps.iter().copied();
    let (Some(first), rest) = (steps.next(), steps.collect::<Steps>()) else { return Ok(()) };
    if rest.is_empty() {
        return change(members, first);
    }
    let empty = if first.many { Json::Array(Vec::new()) } else { Json::Object(Map::new()) };
    let inner = members.entry(first.name).or_insert(empty);
    match inner {
        Json::Array(values) => {
            for value in values.iter_mut().filter_map(Json::as_object_mut) {
                descend(value, &rest, change)?;
            }
            values.retain(|value| value.as_object().is_none_or(|value| !value.is_empty()));
        }
        Json::Object(inner) => descend(inner, &rest, change)?,
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) => {}
    }
    if is_empty(inner) {
        members.shift_remove(first.name);
    }
    Ok(())
}

/// Changes all values of an attribute.
fn all(
    members: &mut Map<String, Json>,
    attribute: &'static Attribute,
    operation: Operation,
    (value, path): (Option<&Json>, &str),
) -> Result<(), Refusal> {
    let names_none = value.is_some_and(is_empty);
    let value = value.map(|value| settable(attribute, value, path)).transpose()?.flatten();
    match (operation, value) {
        // Some clients name what to remove of a list by its values.
        (Operation::Remove, Some(Json::Array(gone))) => {
            if let Some(Json::Array(values)) = members.get_mut(attribute.name) {
                withdraw(values, &gone);
            }
        }
        (Operation::Remove, None) if names_none => {}
        (Operation::Remove, _) => drop(members.shift_remove(attribute.name)),
        (Operation::Add, Some(Json::Array(added))) => {
            let list = members.entry(attribute.name).or_insert_with(|| Json::Array(Vec::new()));
            if let Json::Array(values) = list {
                extend(values, added);
            }
        }
        (Operation::Add | Operation::Replace, Some(Json::Object(parts))) => {
            let before = members.entry(attribute.name).or_insert_with(|| Json::Object(Map::new()));
            if let Json::Object(before) = before {
                before.extend(parts);
            }
        }
        (Operation::Add | Operation::Replace, Some(value)) => {
            members.insert(attribute.name.to_owned(), value);
        }
        (Operation::Replace, None) => drop(members.shift_remove(attribute.name)),
        (Operation::Add, None) => {}
    }
    if members.get(attribute.name).is_some_and(is_empty) {
        members.shift_remove(attribute.name);
    }
    Ok(())
}

/// Takes out values that are the same as some of these.
fn withdraw(values: &mut Vec<Json>, gone: &[Json]) {
    let ids: HashSet<Option<&str>> =
        gone.iter().map(|value| value.get("value").and_then(Json::as_str)).collect();
    values.retain(|value| {
        let may_be = ids.contains(&value.get("value").and_then(Json::as_str));
        !(may_be && gone.iter().any(|gone| is_same(gone, value)))
    });
}

/// Adds values that are not there. Lists of members are long, so that they are found by their ids.
fn extend(values: &mut Vec<Json>, added: Vec<Json>) {
    let id = |value: &Json| value.get("value").and_then(Json::as_str).unwrap_or_default().to_owned();
    let mut places: HashMap<String, Vec<usize>> = HashMap::with_capacity(values.len());
    for (at, value) in values.iter().enumerate() {
        places.entry(id(value)).or_default().push(at);
    }
    for value in added {
        let places = places.entry(id(&value)).or_default();
        let mut alike = places.iter().filter_map(|at| values.get(*at));
        if !alike.any(|known| is_same(&value, known)) {
            places.push(values.len());
            values.push(value);
        }
    }
}

/// Changes those values of an attribute of which a filter holds, or a part of them.
fn some(
    members: &mut Map<String, Json>,
    attribute: &'static Attribute,
    (filter, part): (&Filter, Option<&'static Attribute>),
    operation: Operation,
    (value, path): (Option<&Json>, &str),
) -> Result<(), Refusal> {
    let list = members.entry(attribute.name).or_insert_with(|| Json::Array(Vec::new()));
    if !list.is_array() {
        let single = list.take();
        *list = Json::Array(if is_empty(&single) { Vec::new() } else { vec![single] });
    }
    let Json::Array(values) = list else { return Ok(()) };
    let mut matched = false;
    for value_now in values.iter_mut().filter(|value| filter.holds(value)) {
        matched = true;
        set(value_now, (attribute, part), operation, (value, path))?;
    }
    if !matched && operation == Operation::Add {
        // The values that the filter asks for are those of the new one.
        let example = filter.example().ok_or_else(|| no_target(path))?;
        let mut new =
            Json::Object(example.into_iter().map(|(name, value)| (name.to_owned(), value)).collect());
        set(&mut new, (attribute, part), operation, (value, path))?;
        values.push(new);
    } else if !matched && operation == Operation::Replace {
        return Err(no_target(path));
    }
    values.retain(|value| !is_empty(value));
    if is_empty(list) {
        members.shift_remove(attribute.name);
    } else if !attribute.many
        && let Json::Array(values) = list
        && let Some(only) = values.pop()
    {
        members.insert(attribute.name.to_owned(), only);
    }
    Ok(())
}

/// Changes one value, or a part of it; one that is removed is left empty.
fn set(
    now: &mut Json,
    (attribute, part): (&'static Attribute, Option<&'static Attribute>),
    operation: Operation,
    (value, path): (Option<&Json>, &str),
) -> Result<(), Refusal> {
    if let Some(part) = part {
        return now.as_object_mut().map_or(Ok(()), |members| all(members, part, operation, (value, path)));
    }
    let value = value.map(|value| settable(attribute, value, path)).transpose()?.flatten();
    let value = match value {
        Some(Json::Array(mut values)) => values.pop(),
        value => value,
    };
    match (operation, value, &mut *now) {
        (Operation::Remove, _, _) => *now = Json::Null,
        (Operation::Add, Some(Json::Object(parts)), Json::Object(before)) => before.extend(parts),
        (Operation::Add | Operation::Replace, Some(value), _) => *now = value,
        (Operation::Replace, None, _) => *now = Json::Null,
        (Operation::Add, None, _) => {}
    }
    Ok(())
}

fn no_target(path: &str) -> Refusal {
    ErrorType::NoTarget.refusal(format!("{path}: there is no such value; add it"))
}

/// Values with an id are the same where that is; others where all of them is.
fn is_same(one: &Json, other: &Json) -> bool {
    match (one.get("value"), other.get("value")) {
        (Some(id), Some(other_id)) => {
            let (kind, other_kind) = (one.get("type"), other.get("type"));
            id == other_id && (kind.is_none() || other_kind.is_none() || kind == other_kind)
        }
        (None, _) | (_, None) => one == other,
    }
}

fn is_empty(value: &Json) -> bool {
    match value {
        Json::Null => true,
        Json::Array(values) => values.is_empty(),
        Json::Object(members) => members.is_empty(),
        Json::Bool(_) | Json::Number(_) | Json::String(_) => false,
    }
}

fn primaries(list: Option<&Json>) -> Vec<Json> {
    list.and_then(Json::as_array).into_iter().flatten().filter(|value| is_primary(value)).cloned().collect()
}

/// Takes the mark from those that had it before where another has it now.
fn one_primary(list: Option<&mut Json>, before: &[Json]) {
    let Some(Json::Array(values)) = list else { return };
    if values.iter().filter(|value| is_primary(value)).count() < 2 {
        return;
    }
    for value in values.iter_mut().filter(|value| before.contains(value)) {
        value["primary"] = false.into();
    }
    let last = values.iter().rposition(is_primary);
    for (at, value) in values.iter_mut().enumerate() {
        if is_primary(value) && last != Some(at) {
            value["primary"] = false.into();
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn patched(kind: ResourceType, operations: Json) -> Result<Json, String> {
        let resource = match kind {
            ResourceType::User => json!({
                "userName": "mira", "active": true, "name": {"familyName": "Ek", "givenName": "Mira"},
                "emails": [
                    {"type": "work", "value": "mira@example.com", "primary": true},
                    {"type": "home", "value": "m@example.org"},
                ],
            }),
            ResourceType::Group => json!({
                "displayName": "Guides",
                "members": [{"value": "1", "type": "User"}, {"value": "2", "type": "User"}],
            }),
        };
        let Json::Object(mut resource) = resource else { return Err(String::new()) };
        let Json::Object(message) = json!({"schemas": [SCHEMA], "Operations": operations}) else {
            return Err(String::new());
        };
        match apply(kind, &mut resource, &message) {
            Ok(()) => Ok(Json::Object(resource)),
            Err(refusal) => Err(refusal.into_parts().code),
        }
    }

    fn check_user(operation: Json, pointer: &str, expected: Option<Json>) {
        let found = patched(ResourceType::User, json!([operation]));
        let found = found.unwrap_or_else(|code| panic!("{operation}: {code}"));
        assert_eq!(found.pointer(pointer).cloned(), expected, "{operation}: {found}");
    }

    #[test]
    fn operations_change_what_they_name() {
        let check = check_user;
        check(json!({"op": "add", "path": "title", "value": "Guide"}), "/title", Some(json!("Guide")));
        check(json!({"op": "Replace", "path": "active", "value": "False"}), "/active", Some(json!(false)));
        check(
            json!({"op": "replace", "value": {"active": false, "id": "x", "colour": 1}}),
            "/active",
            Some(json!(false)),
        );
        check(
            json!({"op": "replace", "value": {"name.givenName": "M"}}),
            "/name",
            Some(json!({"familyName": "Ek", "givenName": "M"})),
        );
        check(
            json!({"op": "replace", "path": "name", "value": {"givenName": "M"}}),
            "/name/familyName",
            Some(json!("Ek")),
        );
        check(json!({"op": "remove", "path": "name.givenName"}), "/name", Some(json!({"familyName": "Ek"})));
        check(json!({"op": "remove", "path": "name"}), "/name", None);
        check(
            json!({"op": "replace", "path": "name.familyName", "value": null}),
            "/name",
            Some(json!({"givenName": "Mira"})),
        );
    }

    #[test]
    fn values_of_lists_are_found_by_filters() {
        let check = check_user;
        check(json!({"op": "remove", "path": "emails"}), "/emails", None);
        check(json!({"op": "remove", "path": "emails", "value": []}), "/emails/1/type", Some(json!("home")));
        check(
            json!({"op": "remove", "path": "emails[type eq \"work\"]"}),
            "/emails",
            Some(json!([{"type": "home", "value": "m@example.org"}])),
        );
        check(
            json!({"op": "remove", "path": "emails[type eq \"fax\"]"}),
            "/emails/1/type",
            Some(json!("home")),
        );
        check(
            json!({"op": "remove", "path": "emails[type eq \"home\"].value"}),
            "/emails/1",
            Some(json!({"type": "home"})),
        );
        check(
            json!({"op": "replace", "path": "emails[type eq \"home\"].value", "value": "x@y"}),
            "/emails/1/value",
            Some(json!("x@y")),
        );
        check(
            json!({"op": "replace", "path": "emails[type eq \"home\"]", "value": {"value": "x@y"}}),
            "/emails/1",
            Some(json!({"value": "x@y"})),
        );
        check(
            json!({"op": "add", "path": "emails[type eq \"other\"].value", "value": "x@y"}),
            "/emails/2",
            Some(json!({"type": "other", "value": "x@y"})),
        );
        check(
            json!({"op": "add", "path": "emails", "value": [{"value": "m@example.org", "type": "home"}]}),
            "/emails/2",
            None,
        );
        check(
            json!({"op": "add", "path": "emails", "value": [{"value": "n", "primary": true}]}),
            "/emails/0/primary",
            Some(json!(false)),
        );
        check(
            json!({"op": "replace", "path": "emails", "value": [{"value": "n"}]}),
            "/emails",
            Some(json!([{"value": "n"}])),
        );
        let enterprise = super::super::schema::ENTERPRISE;
        let pointer = format!("/{enterprise}/manager/value");
        check(
            json!({"op": "add", "path": format!("{enterprise}:manager"), "value": "7"}),
            &pointer,
            Some(json!("7")),
        );
        let value = json!({enterprise: {"manager": {"value": "7"}}});
        check(json!({"op": "add", "value": value}), &pointer, Some(json!("7")));
        let value = json!({format!("{enterprise}:manager.value"): "7"});
        check(json!({"op": "replace", "value": value}), &pointer, Some(json!("7")));
        check(json!({"op": "add", "path": "password", "value": "p"}), "/password", None);
    }

    #[test]
    fn members_come_and_go() {
        let check = |operation: Json, expected: &[&str]| {
            let found = patched(ResourceType::Group, json!([operation])).unwrap_or_default();
            let ids =
                found["members"].as_array().into_iter().flatten().filter_map(|one| one["value"].as_str());
            assert_eq!(ids.collect::<Vec<_>>(), expected, "{operation}");
        };
        check(
            json!({"op": "add", "path": "members", "value": [{"value": "2"}, {"value": "3"}]}),
            &["1", "2", "3"],
        );
        check(json!({"op": "Remove", "path": "members", "value": [{"value": "1"}]}), &["2"]);
        check(json!({"op": "remove", "path": "members[value eq \"2\"]"}), &["1"]);
        check(json!({"op": "remove", "path": "members"}), &[]);
        check(json!({"op": "replace", "path": "members", "value": [{"value": "9"}]}), &["9"]);
        check(json!({"op": "replace", "value": {"members": []}}), &[]);
    }

    #[test]
    fn what_cannot_be_done_is_refused() {
        let check = |kind: ResourceType, operation: Json, expected: &str| {
            assert_eq!(patched(kind, json!([operation])), Err(expected.to_owned()), "{operation}");
        };
        let user = ResourceType::User;
        check(
            user,
            json!({"op": "replace", "path": "emails[type eq \"fax\"].value", "value": "x"}),
            "noTarget",
        );
        check(user, json!({"op": "add", "path": "emails[type sw \"f\"].value", "value": "x"}), "noTarget");
        check(user, json!({"op": "remove"}), "noTarget");
        check(user, json!({"op": "replace", "path": "id", "value": "x"}), "mutability");
        check(user, json!({"op": "add", "path": "groups", "value": []}), "mutability");
        check(user, json!({"op": "remove", "path": "userName"}), "mutability");
        check(user, json!({"op": "replace", "path": "colour", "value": "x"}), "invalidPath");
        check(user, json!({"op": "replace", "path": "emails[type", "value": "x"}), "invalidPath");
        check(user, json!({"op": "replace", "path": 5, "value": "x"}), "invalidPath");
        check(user, json!({"op": "replace", "path": "active", "value": "maybe"}), "invalidValue");
        check(user, json!({"op": "replace", "path": "title"}), "invalidValue");
        check(user, json!({"op": "replace", "value": "x"}), "invalidValue");
        check(user, json!({"op": "move", "path": "title"}), "invalidSyntax");
        check(user, json!("replace"), "invalidSyntax");
        let group = ResourceType::Group;
        check(
            group,
            json!({"op": "replace", "path": "members[value eq \"1\"].value", "value": "2"}),
            "mutability",
        );
        check(group, json!({"op": "remove", "path": "displayName"}), "mutability");
        assert_eq!(patched(user, json!([])), Err("invalidSyntax".to_owned()));
        let many = vec![json!({"op": "add", "path": "title", "value": "x"}); OPERATIONS_MAX + 1];
        assert_eq!(patched(user, json!(many)), Err("tooMany".to_owned()));
    }
}

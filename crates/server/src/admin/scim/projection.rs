//! Which attributes of a resource are shown (<https://www.rfc-editor.org/rfc/rfc7644#section-3.9>).

use serde_json::{Map, Value as Json};

use super::{
    attribute::{Attribute, Returned},
    schema::ResourceType,
};

/// Names of attributes; those that there are not say nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Projection {
    /// All, where there are none.
    pub(super) only: Option<Vec<String>>,
    pub(super) without: Vec<String>,
}

impl Projection {
    pub(super) fn apply(&self, kind: ResourceType, resource: Json) -> Json {
        let Json::Object(mut members) = resource else { return resource };
        if let Some(only) = &self.only {
            let mut kept = Map::new();
            for attribute in kind.attributes().iter().filter(|one| one.returned == Returned::Always) {
                take(&members, &[attribute], &mut kept);
            }
            for steps in only.iter().filter_map(|name| kind.resolve(name)) {
                take(&members, &steps, &mut kept);
            }
            members = kept;
        }
        for steps in self.without.iter().filter_map(|name| kind.resolve(name)) {
            if steps.first().is_some_and(|first| first.returned != Returned::Always) {
                drop_at(&mut members, &steps);
            }
        }
        Json::Object(members)
    }

    /// Whether this attribute of a resource is shown at all.
    pub(super) fn shows(&self, kind: ResourceType, name: &str) -> bool {
        let is_named = |names: &[String], whole: bool| {
            names.iter().filter_map(|text| kind.resolve(text)).any(|steps| {
                steps.first().is_some_and(|first| first.name == name) && (!whole || steps.len() == 1)
            })
        };
        self.only.as_ref().is_none_or(|only| is_named(only, false)) && !is_named(&self.without, true)
    }
}

/// Copies what a path leads to, of each value of a list.
fn take(from: &Map<String, Json>, steps: &[&Attribute], into: &mut Map<String, Json>) {
    let Some((first, rest)) = steps.split_first() else { return };
    let Some(value) = from.get(first.name) else { return };
    if rest.is_empty() {
        into.insert(first.name.to_owned(), value.clone());
        return;
    }
    match value {
        Json::Object(inner) => {
            let target = into.entry(first.name).or_insert_with(|| Json::Object(Map::new()));
            if let Json::Object(target) = target {
                take(inner, rest, target);
            }
        }
        Json::Array(values) => {
            let blank = || Json::Array(vec![Json::Object(Map::new()); values.len()]);
            let Json::Array(targets) = into.entry(first.name).or_insert_with(blank) else { return };
            for (value, target) in values.iter().zip(targets) {
                if let (Json::Object(inner), Json::Object(target)) = (value, target) {
                    take(inner, rest, target);
                }
            }
        }
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) => {}
    }
}

fn drop_at(members: &mut Map<String, Json>, steps: &[&Attribute]) {
    let Some((first, rest)) = steps.split_first() else { return };
    if rest.is_empty() {
        members.shift_remove(first.name);
        return;
    }
    match members.get_mut(first.name) {
        Some(Json::Object(inner)) => drop_at(inner, rest),
        Some(Json::Array(values)) => {
            values.iter_mut().filter_map(Json::as_object_mut).for_each(|inner| drop_at(inner, rest));
        }
        Some(Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_)) | None => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn some_attributes_are_shown() {
        let check = |only: Option<&[&str]>, without: &[&str], expected: Json| {
            let owned = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>();
            let projection = Projection { only: only.map(owned), without: owned(without) };
            let whole = json!({
                "schemas": ["s"], "id": "7", "userName": "mira", "name": {"familyName": "Ek", "givenName": "M"},
                "emails": [{"value": "a", "type": "work"}, {"value": "b"}],
            });
            assert_eq!(projection.apply(ResourceType::User, whole), expected, "{only:?} {without:?}");
        };
        check(Some(&["USERNAME", "colour"]), &[], json!({"id": "7", "schemas": ["s"], "userName": "mira"}));
        check(Some(&[]), &[], json!({"id": "7", "schemas": ["s"]}));
        check(
            Some(&["name.familyName", "emails.value", "emails.type"]),
            &[],
            json!({
                "id": "7", "schemas": ["s"], "name": {"familyName": "Ek"},
                "emails": [{"value": "a", "type": "work"}, {"value": "b"}],
            }),
        );
        check(
            None,
            &["emails.type", "name", "id", "schemas"],
            json!({"schemas": ["s"], "id": "7", "userName": "mira", "emails": [{"value": "a"}, {"value": "b"}]}),
        );
    }
}

//! Schemas that hold themselves.

use std::collections::HashMap;

use serde_json::value::RawValue;

use crate::json::{self, Object};

/// How deep a schema is looked into.
const DEPTH_MAX: usize = 64;

/// Whether a schema refers to itself, at once or through its definitions.
pub(super) fn is_recursive(schema: &RawValue) -> bool {
    let Ok(object) = Object::from_raw(schema) else { return false };
    let mut definitions: HashMap<String, Vec<String>> = HashMap::new();
    let mut root = Vec::new();
    for (name, value) in object.iter() {
        if matches!(name, "$defs" | "definitions") {
            for (definition, schema) in Object::from_raw(value).iter().flat_map(Object::iter) {
                let mut found = Vec::new();
                references(schema, 0, &mut found);
                definitions.insert(format!("#/{name}/{definition}"), found);
            }
        } else {
            references(value, 0, &mut root);
            if name == "$ref" {
                root.extend(json::string(value).ok().map(std::borrow::Cow::into_owned));
            }
        }
    }
    definitions.insert("#".to_owned(), root);
    let names: Vec<&String> = definitions.keys().collect();
    names.into_iter().any(|name| reaches(&definitions, name))
}

/// All that a schema refers to.
fn references(schema: &RawValue, depth: usize, found: &mut Vec<String>) {
    if depth >= DEPTH_MAX {
        return;
    }
    if let Ok(object) = Object::from_raw(schema) {
        for (name, value) in object.iter() {
            match json::string(value) {
                Ok(reference) if name == "$ref" => found.push(reference.into_owned()),
                Ok(_) | Err(_) => references(value, depth + 1, found),
            }
        }
    } else if let Ok(items) = json::array(schema) {
        for item in items {
            references(item, depth + 1, found);
        }
    }
}

/// Whether the way from a definition leads back to it.
fn reaches(definitions: &HashMap<String, Vec<String>>, start: &str) -> bool {
    let mut seen: Vec<&str> = Vec::new();
    let mut open: Vec<&str> = vec![start];
    while let Some(name) = open.pop() {
        for next in definitions.get(name).into_iter().flatten() {
            if next == start {
                return true;
            }
            if !seen.contains(&next.as_str()) {
                seen.push(next);
                open.push(next);
            }
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::Raw;

    #[test]
    fn schemas_that_hold_themselves_are_found() {
        let check = |schema: &str, expected: bool| {
            let raw = Raw::parse(schema).unwrap();
            assert_eq!(is_recursive(raw.value()), expected, "{schema}");
        };
        check(r##"{"properties":{"next":{"$ref":"#"}}}"##, true);
        check(
            r##"{"$ref":"#/$defs/a","$defs":{"a":{"items":{"$ref":"#/$defs/b"}},"b":{"anyOf":[{"$ref":"#/$defs/a"}]}}}"##,
            true,
        );
        check(
            r##"{"properties":{"x":{"$ref":"#/$defs/a"},"y":{"$ref":"#/$defs/a"}},"$defs":{"a":{"type":"string"}}}"##,
            false,
        );
        check(r##"{"properties":{"$ref":{"type":"string"}}}"##, false);
    }
}

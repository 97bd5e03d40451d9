//! A value that fits a JSON Schema.

use serde_json::{Map, Value, json};

/// The deepest that a value is made.
const DEPTH_MAX: usize = 12;

/// Makes a value; texts are taken from `word`, so that they tell where they come from.
pub(crate) fn example(schema: &Value, word: &str) -> Value {
    make(schema, schema, word, 0)
}

fn make(root: &Value, schema: &Value, word: &str, depth: usize) -> Value {
    if depth > DEPTH_MAX {
        return Value::Null;
    }
    if let Some(path) = schema.get("$ref").and_then(Value::as_str) {
        let target = path.strip_prefix('#').and_then(|path| root.pointer(path));
        return target.map_or(Value::Null, |target| make(root, target, word, depth + 1));
    }
    if let Some(value) = schema.get("const") {
        return value.clone();
    }
    if let Some(first) = schema.get("enum").and_then(|list| list.get(0)) {
        return first.clone();
    }
    for name in ["anyOf", "oneOf", "allOf"] {
        if let Some(first) = schema.get(name).and_then(|list| list.get(0)) {
            return make(root, first, word, depth + 1);
        }
    }
    let kind = match schema.get("type") {
        Some(Value::Array(kinds)) => kinds.first().and_then(Value::as_str).unwrap_or("object"),
        Some(Value::String(kind)) => kind,
        _ => "object",
    };
    match kind {
        "string" => json!(word),
        "integer" => schema.get("minimum").cloned().unwrap_or(json!(7)),
        "number" => schema.get("minimum").cloned().unwrap_or(json!(1.5)),
        "boolean" => json!(true),
        "null" => Value::Null,
        "array" => {
            let item = schema.get("items").map(|items| make(root, items, word, depth + 1));
            Value::Array(item.into_iter().collect())
        }
        _ => {
            let properties = schema.get("properties").and_then(Value::as_object);
            let members = properties.into_iter().flatten();
            let made = members.map(|(name, schema)| (name.clone(), make(root, schema, word, depth + 1)));
            Value::Object(made.collect::<Map<_, _>>())
        }
    }
}

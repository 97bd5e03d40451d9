//! The API's own form of schemas, a part of OpenAPI's (<https://ai.google.dev/api/caching#Schema>), as JSON Schema,
//! which is what other dialects take.

use serde_json::value::RawValue;

use crate::json::{self, Object, ObjectWriter, Raw, write_array, write_string};

/// How deep a schema is looked into; what is deeper stays as it is.
const DEPTH_MAX: usize = 64;

/// The schema as JSON Schema; none where it is that already.
pub(super) fn as_json_schema(raw: &RawValue) -> Option<Raw> {
    let mut out = Vec::with_capacity(raw.get().len());
    let mut walk = Walk { changed: false };
    walk.schema(&mut out, raw, 0);
    let text = String::from_utf8(out).ok().filter(|_| walk.changed)?;
    Raw::parse(&text)
}

struct Walk {
    changed: bool,
}

impl Walk {
    fn schema(&mut self, out: &mut Vec<u8>, raw: &RawValue, depth: usize) {
        let object = Object::from_raw(raw).ok().filter(|_| depth < DEPTH_MAX);
        let Some(object) = object else { return out.extend_from_slice(raw.get().as_bytes()) };
        let nullable = object.peek("nullable").is_some_and(|raw| raw.get() == "true");
        let mut writer = ObjectWriter::open(out);
        for (name, value) in object.iter() {
            let camel = self.camel(name);
            match camel.as_str() {
                "nullable" | "propertyOrdering" => self.changed = true,
                "type" => self.kind(writer.key("type"), value, nullable),
                "items" | "additionalProperties" => self.schema(writer.key(&camel), value, depth + 1),
                "properties" | "$defs" | "defs" => self.map(writer.key(&camel), value, depth + 1),
                "anyOf" | "oneOf" | "allOf" | "prefixItems" => {
                    self.list(writer.key(&camel), value, depth + 1);
                }
                "minItems" | "maxItems" | "minLength" | "maxLength" | "minProperties" | "maxProperties" => {
                    self.count(writer.key(&camel), value);
                }
                _ => writer.raw(name, value.get()),
            }
        }
        writer.close();
    }

    /// The names that may be spelled in snake case.
    fn camel(&mut self, name: &str) -> String {
        let known = [
            ("any_of", "anyOf"),
            ("property_ordering", "propertyOrdering"),
            ("min_items", "minItems"),
            ("max_items", "maxItems"),
            ("min_length", "minLength"),
            ("max_length", "maxLength"),
        ];
        let camel = known.iter().find(|(snake, _)| *snake == name).map(|(_, camel)| *camel);
        self.changed |= camel.is_some();
        camel.unwrap_or(name).to_owned()
    }

    fn kind(&mut self, out: &mut Vec<u8>, raw: &RawValue, nullable: bool) {
        let Ok(kind) = json::string(raw) else { return out.extend_from_slice(raw.get().as_bytes()) };
        let lower = kind.to_ascii_lowercase();
        self.changed |= lower != kind;
        if nullable {
            write_array(out, [lower.as_str(), "null"], write_string);
        } else {
            write_string(out, &lower);
        }
    }

    /// Counts are 64 bits wide, which this API spells as strings.
    fn count(&mut self, out: &mut Vec<u8>, raw: &RawValue) {
        let text = json::string(raw).ok().filter(|text| text.parse::<u64>().is_ok());
        self.changed |= text.is_some();
        out.extend_from_slice(text.as_deref().unwrap_or(raw.get()).as_bytes());
    }

    fn map(&mut self, out: &mut Vec<u8>, raw: &RawValue, depth: usize) {
        let Ok(object) = Object::from_raw(raw) else { return out.extend_from_slice(raw.get().as_bytes()) };
        let mut writer = ObjectWriter::open(out);
        for (name, value) in object.iter() {
            self.schema(writer.key(name), value, depth);
        }
        writer.close();
    }

    fn list(&mut self, out: &mut Vec<u8>, raw: &RawValue, depth: usize) {
        let Ok(items) = json::array(raw) else { return out.extend_from_slice(raw.get().as_bytes()) };
        write_array(out, items, |out, item| self.schema(out, item, depth));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(schema: &str, expected: Option<&str>) {
        let raw = Raw::parse(schema).unwrap();
        assert_eq!(as_json_schema(raw.value()).as_ref().map(Raw::text), expected, "{schema}");
    }

    #[test]
    fn schemas_become_json_schema() {
        check(r#"{"type":"object","properties":{"a":{"type":"string"}}}"#, None);
        check(
            r#"{"type":"OBJECT","properties":{"type":{"type":"INTEGER","nullable":true},"b":{"type":"ARRAY","items":{"type":"STRING"},"min_items":"1"}},"propertyOrdering":["type","b"]}"#,
            Some(
                r#"{"type":"object","properties":{"type":{"type":["integer","null"]},"b":{"type":"array","items":{"type":"string"},"minItems":1}}}"#,
            ),
        );
        check(r#"{"anyOf":[{"type":"NUMBER"},true]}"#, Some(r#"{"anyOf":[{"type":"number"},true]}"#));
    }

    #[test]
    fn a_deep_schema_is_no_danger() {
        let deep =
            format!("{}{}", "{\"items\":".repeat(100), "{\"type\":\"STRING\"}".to_owned() + &"}".repeat(100));
        check(&deep, None);
    }
}

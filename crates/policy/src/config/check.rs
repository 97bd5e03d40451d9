//! Holds a tree against the schema and reports everything that does not fit, where it stands.

use serde_json::Value as Json;

use super::{
    node::{Node, Place, Value},
    problem::nearest,
    units::check_format,
};

/// A problem and its place and path.
pub(super) type Misfit = (Place, String, String);

/// Checks JSON as a configuration file is checked: the path of everything that does not fit, and what is wrong with it.
pub fn check_json(schema: &Json, json: &Json) -> Vec<(String, String)> {
    let misfits = check(schema, &Node::from_json(json));
    misfits.into_iter().map(|(_, path, message)| (path, message)).collect()
}

/// Checks a whole tree.
pub(super) fn check(schema: &Json, node: &Node) -> Vec<Misfit> {
    let mut checker = Checker { root: schema, misfits: Vec::new() };
    checker.node(schema, node, "");
    checker.misfits
}

struct Checker<'s> {
    root: &'s Json,
    misfits: Vec<Misfit>,
}

impl<'s> Checker<'s> {
    fn node(&mut self, schema: &'s Json, node: &Node, path: &str) {
        let schema = self.resolve(schema);
        if let Some(branches) = alternatives(schema) {
            return self.any_of(branches, node, path);
        }
        if !fits_type(schema, &node.value) {
            let message = format!("must be {}, not {}", wanted(schema), node.value.describe());
            let remedy = remedy(schema, &node.value);
            return self.misfit(node.place, path, message + &remedy);
        }
        match &node.value {
            Value::Map(members) => self.map(schema, members, path),
            Value::List(items) => {
                if let Some(schema) = schema.get("items") {
                    for (at, item) in items.iter().enumerate() {
                        self.node(schema, item, &format!("{path}[{at}]"));
                    }
                }
            }
            Value::Text(text) => self.text(schema, text, node.place, path),
            Value::Number(text) => self.number(schema, text, node.place, path),
            Value::Null | Value::Boolean(_) => {}
        }
    }

    fn map(&mut self, schema: &'s Json, members: &[(String, Place, Node)], path: &str) {
        let properties = schema.get("properties").and_then(Json::as_object);
        let additional = schema.get("additionalProperties");
        for (name, place, node) in members {
            let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
            if let Some(schema) = properties.and_then(|properties| properties.get(name)) {
                self.node(schema, node, &path);
            } else if let Some(schema) = additional.filter(|additional| additional.is_object()) {
                self.node(schema, node, &path);
            } else if additional == Some(&Json::Bool(false)) || properties.is_some() {
                let known =
                    properties.into_iter().flat_map(|properties| properties.keys().map(String::as_str));
                let message = match nearest(name, known.clone()) {
                    Some(near) => format!("unknown key \"{name}\"; did you mean \"{near}\"?"),
                    None => format!(
                        "unknown key \"{name}\"; known here: {}",
                        known.collect::<Vec<_>>().join(", ")
                    ),
                };
                self.misfit(*place, &path, message);
            }
        }
        for name in
            schema.get("required").and_then(Json::as_array).into_iter().flatten().filter_map(Json::as_str)
        {
            if !members.iter().any(|(known, ..)| known == name) {
                let place = members.first().map_or(Place::default(), |(_, place, _)| *place);
                self.misfit(place, path, format!("\"{name}\" is missing"));
            }
        }
    }

    fn text(&mut self, schema: &Json, text: &str, place: Place, path: &str) {
        if let Some(format) = schema.get("format").and_then(Json::as_str)
            && let Err(message) = check_format(format, text)
        {
            return self.misfit(place, path, message);
        }
        let allowed: Vec<&str> = words(schema);
        if !allowed.is_empty() && !allowed.contains(&text) {
            let list = allowed.join(", ");
            let message = match nearest(text, allowed.iter().copied()) {
                Some(near) => {
                    format!("\"{text}\" is not allowed here; did you mean \"{near}\"? (one of: {list})")
                }
                None => format!("\"{text}\" is not allowed here; use one of: {list}"),
            };
            self.misfit(place, path, message);
        }
    }

    fn number(&mut self, schema: &Json, text: &str, place: Place, path: &str) {
        let value: f64 = text.parse().unwrap_or(f64::NAN);
        let least = schema.get("minimum").and_then(Json::as_f64);
        if let Some(least) = least.filter(|least| value < *least) {
            self.misfit(place, path, format!("{text} is too small; the least is {least}"));
        }
    }

    fn any_of(&mut self, branches: Vec<&'s Json>, node: &Node, path: &str) {
        let fitting = branches.iter().find(|branch| {
            let branch = self.resolve(branch);
            fits_type(branch, &node.value)
        });
        match fitting {
            Some(branch) => self.node(branch, node, path),
            None => {
                let mut kinds: Vec<String> =
                    branches.iter().map(|branch| wanted(self.resolve(branch))).collect();
                kinds.retain(|kind| kind != "nothing");
                kinds.dedup();
                let remedies = branches.iter().map(|branch| remedy(self.resolve(branch), &node.value));
                let remedy: String = remedies.collect();
                let message =
                    format!("must be {}, not {}{remedy}", kinds.join(" or "), node.value.describe());
                self.misfit(node.place, path, message);
            }
        }
    }

    fn resolve(&self, schema: &'s Json) -> &'s Json {
        let name = schema.get("$ref").and_then(Json::as_str).and_then(|path| path.strip_prefix("#/$defs/"));
        name.and_then(|name| self.root.get("$defs")?.get(name)).unwrap_or(schema)
    }

    fn misfit(&mut self, place: Place, path: &str, message: String) {
        self.misfits.push((place, path.to_owned(), message));
    }
}

/// What was probably meant by a number without a unit.
fn remedy(schema: &Json, value: &Value) -> String {
    match (value, schema.get("format").and_then(Json::as_str)) {
        (Value::Number(number), Some("tollgate-duration")) => {
            format!("; write {number}s, if seconds are meant")
        }
        (Value::Number(number), Some("tollgate-share")) => format!("; write it with %, as {number}%"),
        (Value::Number(number), Some("tollgate-margin")) => format!("; write it with %, as +{number}%"),
        (Value::Number(number), Some("tollgate-size")) => format!("; write {number}B, if bytes are meant"),
        _ => String::new(),
    }
}

fn alternatives(schema: &Json) -> Option<Vec<&Json>> {
    let list = schema.get("anyOf").or_else(|| schema.get("oneOf"))?.as_array()?;
    // Enumerations with a description for each word are no alternatives of shape.
    let words = list.iter().all(|branch| branch.get("const").is_some() || branch.get("enum").is_some());
    (!words).then(|| list.iter().collect())
}

/// The words that a text may be.
fn words(schema: &Json) -> Vec<&str> {
    let listed = schema.get("enum").and_then(Json::as_array).into_iter().flatten();
    let branches = schema.get("oneOf").and_then(Json::as_array).into_iter().flatten();
    let described = branches.filter_map(|branch| branch.get("const"));
    listed.chain(described).filter_map(Json::as_str).collect()
}

fn fits_type(schema: &Json, value: &Value) -> bool {
    let named = |name: &str| match (name, value) {
        ("null", Value::Null)
        | ("boolean", Value::Boolean(_))
        | ("number", Value::Number(_))
        | ("string", Value::Text(_))
        | ("array", Value::List(_))
        | ("object", Value::Map(_)) => true,
        ("integer", Value::Number(text)) => text.parse::<i64>().is_ok(),
        _ => false,
    };
    match schema.get("type") {
        Some(Json::String(name)) => named(name),
        Some(Json::Array(names)) => names.iter().filter_map(Json::as_str).any(named),
        _ if !words(schema).is_empty() => named("string"),
        _ => true,
    }
}

fn wanted(schema: &Json) -> String {
    let name = |name: &str| match name {
        "null" => "nothing",
        "boolean" => "true or false",
        "integer" => "a whole number",
        "number" => "a number",
        "array" => "a list",
        "object" => "a map",
        _ => "a text",
    };
    match schema.get("type") {
        Some(Json::String(kind)) => name(kind).to_owned(),
        Some(Json::Array(kinds)) => {
            let kinds = kinds.iter().filter_map(Json::as_str).filter(|kind| *kind != "null");
            kinds.map(name).collect::<Vec<_>>().join(" or ")
        }
        _ => "a text".to_owned(),
    }
}

//! The JSON Schema of the configuration, and the page that is made of it.

use std::{collections::HashSet, fmt::Write as _};

use serde_json::Value;

use super::draft::Draft;

/// The JSON Schema, for editors.
pub fn schema() -> Value {
    let mut schema = schemars::schema_for!(Draft).to_value();
    if let Some(object) = schema.as_object_mut() {
        object.insert("title".to_owned(), Value::String("Tollgate configuration".to_owned()));
    }
    schema
}

/// The reference page, in Markdown.
pub fn reference() -> String {
    let schema = schema();
    let mut page = String::from(
        "# Configuration reference\n\n\
         One YAML file, given as `tollgate serve --config FILE`. This page is made from the program: \
         `tollgate schema` prints the same as a JSON Schema for editors.\n\n\
         An unknown key is an error, and `tollgate check FILE` reports every error at once. Durations are \
         written with a unit (`250ms`, `8s`, `5m`, `2h`, `1d`), sizes likewise (`64KiB`, `32MiB`), \
         shares with `%` (`5%`, `0.5%`), counts with or without `k`, `M` or `G` (`600`, `2M`), amounts in USD (`3000`, `0.05`), and margins as how much worse something may be (`+2%`, `-5%`, or `off`). \
         `${NAME}` stands for an environment variable, `${NAME:-default}` for one that may be missing. A \
         secret may be `secret:env/NAME`, `secret:file/PATH` (relative to the file) or \
         `secret:command/PROGRAM ARGUMENTS` (run without a shell), or stand in a [store](secrets.md).\n\n",
    );
    let mut writer = Writer { root: &schema, page: &mut page, seen: HashSet::new() };
    writer.section(&schema, "");
    page
}

struct Writer<'s> {
    root: &'s Value,
    page: &'s mut String,
    seen: HashSet<String>,
}

impl<'s> Writer<'s> {
    /// A table of an object's members, then a section for each member that is one itself.
    fn section(&mut self, schema: &'s Value, path: &str) {
        let Some(properties) = schema.get("properties").and_then(Value::as_object) else { return };
        let title = if path.is_empty() { "The file" } else { path };
        let _ = writeln!(self.page, "## `{title}`\n");
        if let Some(description) = schema.get("description").and_then(Value::as_str) {
            let _ = writeln!(self.page, "{}\n", one_line(description));
        }
        let _ = writeln!(self.page, "| key | value | meaning |\n| --- | --- | --- |");
        let mut below = Vec::new();
        for (name, member) in properties {
            let (kind, inner) = self.kind(member);
            let description = member.get("description").or_else(|| self.resolve(member).get("description"));
            let meaning = one_line(description.and_then(Value::as_str).unwrap_or_default());
            let _ = writeln!(self.page, "| `{name}` | {kind} | {meaning} |");
            let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
            below.extend(inner.into_iter().map(|(schema, suffix)| (schema, format!("{path}{suffix}"))));
        }
        self.page.push('\n');
        for (schema, path) in below {
            // Deadlines stand in several places and are described once.
            let text = schema.get("description").and_then(Value::as_str).unwrap_or(&path).to_owned();
            if self.seen.insert(text) {
                self.section(schema, &path);
            }
        }
    }

    /// What a value is, and the objects inside it that deserve a section, each with what its path ends in.
    fn kind(&self, member: &'s Value) -> (String, Vec<(&'s Value, String)>) {
        let schema = self.resolve(member);
        if let Some(branches) = schema.get("anyOf").or_else(|| schema.get("oneOf")).and_then(Value::as_array)
        {
            let words: Vec<&str> =
                branches.iter().filter_map(|branch| branch.get("const")?.as_str()).collect();
            if !words.is_empty() {
                return (
                    words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", "),
                    Vec::new(),
                );
            }
            let mut kinds = Vec::new();
            let mut inner = Vec::new();
            for branch in branches {
                let (kind, found) = self.kind(branch);
                if kind != "nothing" && !kinds.contains(&kind) {
                    kinds.push(kind);
                }
                inner.extend(found);
            }
            return (kinds.join(" or "), inner);
        }
        match type_name(schema) {
            _ if schema.get("format").and_then(Value::as_str) == Some("tollgate-count") => {
                ("count".to_owned(), Vec::new())
            }
            _ if schema.get("format").and_then(Value::as_str) == Some("tollgate-usd") => {
                ("amount".to_owned(), Vec::new())
            }
            "object" if schema.get("properties").is_some() => {
                ("map".to_owned(), vec![(schema, String::new())])
            }
            "object" => match schema.get("additionalProperties").filter(|inner| inner.is_object()) {
                Some(inner) => {
                    let (kind, inner) = self.kind(inner);
                    (format!("map of names to {kind}"), below(inner, ".NAME"))
                }
                None => ("map".to_owned(), Vec::new()),
            },
            "array" => {
                let (kind, inner) =
                    schema.get("items").map_or(("value".to_owned(), Vec::new()), |items| self.kind(items));
                (format!("list of {kind}"), below(inner, "[]"))
            }
            "string" => (
                match schema.get("format").and_then(Value::as_str) {
                    Some("tollgate-duration") => "duration".to_owned(),
                    Some("tollgate-size") => "size".to_owned(),
                    Some("tollgate-share") => "share".to_owned(),
                    Some("tollgate-margin") => "margin".to_owned(),
                    _ => "text".to_owned(),
                },
                Vec::new(),
            ),
            "integer" => ("whole number".to_owned(), Vec::new()),
            "number" => ("number".to_owned(), Vec::new()),
            "boolean" => ("true or false".to_owned(), Vec::new()),
            "null" => ("nothing".to_owned(), Vec::new()),
            _ => ("value".to_owned(), Vec::new()),
        }
    }

    fn resolve(&self, schema: &'s Value) -> &'s Value {
        let name = schema.get("$ref").and_then(Value::as_str).and_then(|path| path.strip_prefix("#/$defs/"));
        name.and_then(|name| self.root.get("$defs")?.get(name)).unwrap_or(schema)
    }
}

/// What stands below a name or in a list, deeper by that.
fn below<'s>(inner: Vec<(&'s Value, String)>, by: &str) -> Vec<(&'s Value, String)> {
    inner.into_iter().map(|(schema, suffix)| (schema, format!("{by}{suffix}"))).collect()
}

fn type_name(schema: &Value) -> &str {
    match schema.get("type") {
        Some(Value::String(name)) => name,
        Some(Value::Array(names)) => {
            names.iter().filter_map(Value::as_str).find(|name| *name != "null").unwrap_or_default()
        }
        _ => "",
    }
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ").replace('|', "\\|")
}

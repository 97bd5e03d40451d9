//! Schemas, cut to what a target takes.

use std::borrow::Cow;

use serde_json::value::RawValue;

use super::{SchemaSubset, recursion, schema_subset};
use crate::{
    Dialect, Losses,
    ir::{OutputFormat, Request, ToolKind},
    json::{self, Object, ObjectWriter, Raw, write_array},
};

/// How deep a schema is looked into; what is deeper stays as it is.
const DEPTH_MAX: usize = 64;

/// The longest place that is told.
const PATH_BYTES_MAX: usize = 200;

/// Why an object says `additionalProperties: false` that did not.
const CLOSED: &str = "an object has only the properties that it names there";

/// Cuts the schema of the answer and those of strict tools.
pub(super) fn cut(
    request: &mut Cow<'_, Request>,
    to: Dialect,
    own: Option<&SchemaSubset>,
    losses: &mut Losses,
) {
    let Some(subset) = own.or_else(|| schema_subset::of(to)) else { return };
    let format =
        matches!(&request.output, Some(OutputFormat::JsonSchema { strict, .. }) if subset.holds(*strict));
    let is_strict = |kind: &ToolKind| matches!(kind, ToolKind::Function { strict: Some(true), .. });
    if !format && !request.tools.iter().any(|tool| is_strict(&tool.kind)) {
        return;
    }
    let request = request.to_mut();
    if format && let Some(OutputFormat::JsonSchema { schema: Some(schema), strict, .. }) = &mut request.output
    {
        if subset.always {
            if subset.flat && recursion::is_recursive(schema.value()) {
                losses.vital("output.schema", "a schema that holds itself is refused there");
            }
            narrow(schema, subset, "output.schema", losses);
        } else {
            hold(schema, strict, subset, "output", losses);
        }
    }
    for (at, tool) in request.tools.iter_mut().enumerate().filter(|(_, tool)| is_strict(&tool.kind)) {
        if let ToolKind::Function { schema: Some(schema), strict, .. } = &mut tool.kind {
            hold(schema, strict, subset, &format!("tools[{at}]"), losses);
        }
    }
}

impl SchemaSubset {
    /// Whether the target holds an answer to a format.
    fn holds(&self, strict: Option<bool>) -> bool {
        self.always || strict == Some(true)
    }
}

/// Cuts a schema that is strict; one that cannot be is shown to the model whole, and not held to.
fn hold(schema: &mut Raw, strict: &mut Option<bool>, subset: &SchemaSubset, path: &str, losses: &mut Losses) {
    let loose = Walk::look(schema, subset);
    let why = if subset.flat && recursion::is_recursive(schema.value()) {
        "a schema that holds itself cannot be strict there"
    } else if subset.all_required && loose.optional {
        "a schema with properties that may be missing cannot be strict there"
    } else if subset.closed && loose.open {
        "a schema with properties that it does not name cannot be strict there"
    } else {
        return narrow(schema, subset, &format!("{path}.schema"), losses);
    };
    *strict = Some(false);
    losses.approximated(format!("{path}.strict"), why);
}

fn narrow(schema: &mut Raw, subset: &SchemaSubset, path: &str, losses: &mut Losses) {
    let mut out = Vec::with_capacity(schema.text().len() + 64);
    let mut walk = Walk::new(subset, path);
    walk.schema(&mut out, schema.value(), path, 0);
    let changed = !walk.cuts.is_empty();
    for cut in walk.cuts {
        losses.approximated(cut.path, cut.why);
    }
    if changed && let Some(cut) = std::str::from_utf8(&out).ok().and_then(Raw::parse) {
        *schema = cut;
    }
}

struct Walk<'s> {
    subset: &'s SchemaSubset,
    /// Where the schema stands in the request.
    root: &'s str,
    /// There are properties that are not required.
    optional: bool,
    /// There are objects that take properties which they do not name.
    open: bool,
    /// What was cut, where it stood first, and why.
    cuts: Vec<Cut>,
}

struct Cut {
    keyword: String,
    path: String,
    why: &'static str,
}

impl<'s> Walk<'s> {
    fn new(subset: &'s SchemaSubset, root: &'s str) -> Walk<'s> {
        Walk { subset, root, optional: false, open: false, cuts: Vec::new() }
    }

    /// What the schema is like, without a change to it.
    fn look(schema: &Raw, subset: &'s SchemaSubset) -> Walk<'s> {
        let mut walk = Walk::new(subset, "");
        walk.schema(&mut Vec::new(), schema.value(), "", 0);
        walk
    }

    fn schema(&mut self, out: &mut Vec<u8>, raw: &RawValue, path: &str, depth: usize) {
        let object = Object::from_raw(raw).ok().filter(|_| depth < DEPTH_MAX);
        let Some(object) = object else { return out.extend_from_slice(raw.get().as_bytes()) };
        let is_object = object.peek("properties").is_some()
            || object.peek("type").is_some_and(|kind| kind.get().contains("\"object\""));
        self.optional |= has_optional(&object);
        let mut writer = ObjectWriter::open(out);
        for (name, value) in object.iter() {
            let place = format!("{path}.{name}");
            let deeper = depth + 1;
            match name {
                "oneOf" if self.refuses(name) && !self.refuses("anyOf") && object.peek("anyOf").is_none() => {
                    self.cut(name, &place, "of several schemas one is enough there");
                    self.list(writer.key("anyOf"), value, &place, deeper);
                }
                _ if self.refuses(name) => {
                    self.cut(name, &place, "answers are not held to this keyword there");
                }
                "format" if !self.takes_format(value) => {
                    self.cut(name, &place, "answers are not held to this format there");
                }
                "minItems" if self.subset.min_items_max.is_some_and(|max| exceeds(value, max)) => {
                    self.cut(name, &place, "answers are not held to so many items there");
                }
                "additionalProperties" if self.subset.closed => {
                    if value.get() != "false" {
                        self.open = true;
                        self.cut(name, &place, CLOSED);
                    }
                }
                "items" | "additionalProperties" | "not" | "if" | "then" | "else" | "contains" => {
                    self.either(writer.key(name), value, &place, deeper);
                }
                "properties" | "$defs" | "definitions" | "patternProperties" | "dependentSchemas" => {
                    self.map(writer.key(name), value, &place, deeper);
                }
                "anyOf" | "oneOf" | "allOf" | "prefixItems" => {
                    self.list(writer.key(name), value, &place, deeper);
                }
                _ => writer.raw(name, value.get()),
            }
        }
        if self.subset.closed && is_object {
            if object.peek("additionalProperties").is_none() {
                let path = format!("{}.additionalProperties", self.root);
                self.cut("additionalProperties", &path, CLOSED);
            }
            writer.raw("additionalProperties", "false");
        }
        writer.close();
    }

    fn refuses(&self, name: &str) -> bool {
        self.subset.refused.iter().any(|refused| refused == name)
    }

    fn takes_format(&self, format: &RawValue) -> bool {
        let format = json::string(format).unwrap_or_default();
        self.subset.formats.as_ref().is_none_or(|taken| taken.iter().any(|known| *known == format))
    }

    /// Notes what was cut; of each keyword only the first place, since a schema may have hundreds.
    fn cut(&mut self, keyword: &str, path: &str, why: &'static str) {
        if !self.cuts.iter().any(|cut| cut.keyword == keyword) {
            let path = if path.len() > PATH_BYTES_MAX {
                format!("{}.{keyword}", self.root)
            } else {
                path.to_owned()
            };
            self.cuts.push(Cut { keyword: keyword.to_owned(), path, why });
        }
    }

    /// A schema, or a list of them.
    fn either(&mut self, out: &mut Vec<u8>, raw: &RawValue, path: &str, depth: usize) {
        if raw.get().starts_with('[') {
            self.list(out, raw, path, depth);
        } else {
            self.schema(out, raw, path, depth);
        }
    }

    fn map(&mut self, out: &mut Vec<u8>, raw: &RawValue, path: &str, depth: usize) {
        let Ok(object) = Object::from_raw(raw) else { return out.extend_from_slice(raw.get().as_bytes()) };
        let mut writer = ObjectWriter::open(out);
        for (name, value) in object.iter() {
            self.schema(writer.key(name), value, &format!("{path}.{name}"), depth);
        }
        writer.close();
    }

    fn list(&mut self, out: &mut Vec<u8>, raw: &RawValue, path: &str, depth: usize) {
        let Ok(items) = json::array(raw) else { return out.extend_from_slice(raw.get().as_bytes()) };
        write_array(out, items.into_iter().enumerate(), |out, (at, item)| {
            self.schema(out, item, &format!("{path}[{at}]"), depth);
        });
    }
}

fn exceeds(count: &RawValue, max: u64) -> bool {
    count.get().parse::<f64>().is_ok_and(|count| count > max as f64)
}

/// Whether an object names a property that it does not require.
fn has_optional(object: &Object<'_>) -> bool {
    let Some(Ok(properties)) = object.peek("properties").map(Object::from_raw) else { return false };
    let required = object.peek("required").map(json::array).transpose().ok().flatten().unwrap_or_default();
    let required: Vec<Cow<'_, str>> =
        required.into_iter().filter_map(|name| json::string(name).ok()).collect();
    properties.iter().any(|(name, _)| !required.iter().any(|known| known == name))
}

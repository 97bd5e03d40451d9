//! What all sources write to.

use serde_json::{Map, Value};

use super::{
    draft::{Draft, plain},
    report::Report,
};

/// An import under way.
pub(super) struct Work {
    pub(super) report: Report,
    pub(super) draft: Draft,
}

impl Work {
    /// A text that may stand for an environment variable, which begins with this there.
    pub(super) fn text(&mut self, text: &str, variable: &str) -> String {
        match text.strip_prefix(variable) {
            Some(name) => self.draft.variable(name),
            None => plain(text),
        }
    }

    /// A credential: a variable, or a value that gets a file of its own.
    pub(super) fn secret(&mut self, field: &str, text: &str, variable: &str, hint: &str) -> String {
        match text.strip_prefix(variable) {
            Some(name) => {
                self.report.exact(field, "refers to the same environment variable");
                self.draft.variable(name)
            }
            None => {
                self.report.exact(
                    field,
                    "stood in the open; it has a file of its own now, to which `secret:file/…` refers",
                );
                self.draft.secret(text, hint)
            }
        }
    }
}

/// Members of a map that is made piece by piece.
pub(super) fn put(map: &mut Map<String, Value>, name: &str, value: impl Into<Value>) {
    map.insert(name.to_owned(), value.into());
}

/// Weights that are all the same say nothing: they are taken out.
pub(super) fn even(entries: &mut [Value]) {
    let first = entries.first().and_then(|entry| entry.get("weight")).cloned();
    if entries.iter().all(|entry| entry.get("weight") == first.as_ref()) {
        for entry in entries.iter_mut().filter_map(Value::as_object_mut) {
            entry.shift_remove("weight");
        }
    }
}

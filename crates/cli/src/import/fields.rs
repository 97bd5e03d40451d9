//! Reads the members of a map and remembers which: none is dropped in silence.

use std::collections::HashSet;

use serde_json::{Map, Value};

use super::report::{Grade, Report};

/// What there is to say of fields that are not read any further: name, grade, sentence.
pub(super) type Known = (&'static str, Grade, &'static str);

/// The members of a map that are read one by one.
pub(super) struct Fields<'j> {
    pub(super) path: String,
    members: &'j Map<String, Value>,
    seen: HashSet<&'j str>,
}

impl<'j> Fields<'j> {
    /// `None`, and a word about it, where the value is no map.
    pub(super) fn of(path: &str, value: &'j Value, report: &mut Report) -> Option<Fields<'j>> {
        let members = value.as_object();
        if members.is_none() && !value.is_null() {
            report.manual(path, "is no map of names to values and was not read; correct it and import again");
        }
        Some(Fields::new(path, members?))
    }

    pub(super) fn new(path: &str, members: &'j Map<String, Value>) -> Fields<'j> {
        Fields { path: path.to_owned(), members, seen: HashSet::new() }
    }

    pub(super) fn at(&self, name: &str) -> String {
        if self.path.is_empty() { name.to_owned() } else { format!("{}.{name}", self.path) }
    }

    /// A member, unless it is not there or null.
    pub(super) fn take(&mut self, name: &str) -> Option<&'j Value> {
        let (name, value) = self.members.get_key_value(name)?;
        self.seen.insert(name);
        Some(value).filter(|value| !value.is_null())
    }

    /// A text that says something.
    pub(super) fn text(&mut self, name: &str, report: &mut Report) -> Option<&'j str> {
        let value = self.take(name)?;
        self.expect(name, value.as_str(), "text", report).filter(|text| !text.is_empty())
    }

    /// A number, also where it is written as a text.
    pub(super) fn number(&mut self, name: &str, report: &mut Report) -> Option<f64> {
        let value = self.take(name)?;
        let read = value.as_f64().or_else(|| value.as_str()?.trim().parse().ok());
        self.expect(name, read.filter(|number| number.is_finite()), "number", report)
    }

    /// A whole number that is not negative.
    pub(super) fn count(&mut self, name: &str, report: &mut Report) -> Option<u64> {
        let value = self.take(name)?;
        self.expect(name, count_of(value), "count", report)
    }

    pub(super) fn flag(&mut self, name: &str, report: &mut Report) -> Option<bool> {
        let value = self.take(name)?;
        self.expect(name, flag_of(value), "true or false", report)
    }

    /// The items of a list; none where it is not there.
    pub(super) fn list(&mut self, name: &str, report: &mut Report) -> &'j [Value] {
        let Some(value) = self.take(name) else { return &[] };
        self.expect(name, value.as_array().map(Vec::as_slice), "list", report).unwrap_or_default()
    }

    /// The texts of a list.
    pub(super) fn texts(&mut self, name: &str, report: &mut Report) -> Vec<&'j str> {
        self.list(name, report).iter().filter_map(Value::as_str).collect()
    }

    /// A map below this one.
    pub(super) fn map(&mut self, name: &str, report: &mut Report) -> Option<Fields<'j>> {
        let value = self.take(name)?;
        Fields::of(&self.at(name), value, report)
    }

    fn expect<T>(&self, name: &str, read: Option<T>, wanted: &str, report: &mut Report) -> Option<T> {
        if read.is_none() {
            report.manual(&self.at(name), format!("is no {wanted} and was not read; look at it"));
        }
        read
    }

    /// Says of those that are there what there is to say of them.
    pub(super) fn known(&mut self, known: &[Known], report: &mut Report) {
        for (name, grade, says) in known {
            if let Some(value) = self.take(name)
                && !says_nothing(value)
            {
                report.note(&self.at(name), *grade, *says);
            }
        }
    }

    /// Says of all that nobody has read that it was not taken over.
    pub(super) fn rest(self, report: &mut Report) {
        for (name, value) in self.members {
            if !self.seen.contains(name.as_str()) && !says_nothing(value) {
                report.unsupported(&self.at(name), "the importer knows no such field; it was left out");
            }
        }
    }
}

/// Columns of databases are there in each row, also where nobody has set them.
fn says_nothing(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(items) => items.is_empty(),
        Value::Object(members) => members.is_empty(),
        Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    }
}

pub(super) fn count_of(value: &Value) -> Option<u64> {
    let whole =
        |number: f64| (number >= 0.0 && number.fract() == 0.0 && number < 9e15).then_some(number as u64);
    value.as_u64().or_else(|| value.as_f64().and_then(whole)).or_else(|| value.as_str()?.trim().parse().ok())
}

pub(super) fn flag_of(value: &Value) -> Option<bool> {
    value.as_bool().or_else(|| match value.as_str()?.to_ascii_lowercase().as_str() {
        "true" => Some(true),
        "false" => Some(false),
        _ => None,
    })
}

/// A time in seconds as a configuration has it.
pub(super) fn span(seconds: f64) -> String {
    if seconds.fract() == 0.0 { format!("{seconds}s") } else { format!("{}ms", (seconds * 1_000.0).ceil()) }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn nothing_is_dropped_in_silence() {
        let value = json!({"a": "1", "b": {}, "c": 2, "d": null, "e": [1], "f": true, "g": "x"});
        let mut report = Report::default();
        let mut fields = Fields::of("top", &value, &mut report).unwrap();
        assert_eq!(fields.count("a", &mut report), Some(1));
        assert_eq!(fields.text("c", &mut report), None, "it is no text, and that is told");
        fields.known(&[("f", Grade::Unsupported, "no such thing")], &mut report);
        fields.rest(&mut report);
        let told = report.json("x");
        let paths: Vec<&str> =
            told["fields"].as_array().unwrap().iter().map(|field| field["field"].as_str().unwrap()).collect();
        assert_eq!(paths, ["top.c", "top.f", "top.e", "top.g"]);
    }

    #[test]
    fn times_have_units() {
        assert_eq!((span(30.0), span(0.5)), ("30s".to_owned(), "500ms".to_owned()));
    }
}

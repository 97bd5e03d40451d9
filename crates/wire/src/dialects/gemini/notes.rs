//! How a value was spelled, where that says nothing: notes among the ext members, for writing the same again.
//!
//! A note's name begins with `tollgate:`, as no member of the API does, so that other dialects leave it out without a
//! loss. Members of a nested object stand under the object's name, a dot and their own.

use std::borrow::Cow;

use serde_json::value::RawValue;

use crate::{
    Fault,
    ir::{Ext, ExtRef},
    json::{self, Object, ObjectWriter, Raw, RawRef},
};

/// What a note's name begins with.
const NOTE: &str = "tollgate:";

/// No members, for values of another dialect.
pub(super) static NONE: Ext = Ext(Vec::new());

/// Adds a note.
pub(super) fn note(ext: &mut Ext, name: &str, text: &str) {
    ext.0.extend(Raw::parse("null").map(|null| (format!("{NOTE}{name}={text}"), null)));
}

/// The text of the last note of this name.
pub(super) fn noted<'e>(ext: &'e Ext, name: &str) -> Option<&'e str> {
    let text = |known: &'e str| known.strip_prefix(NOTE)?.strip_prefix(name)?.strip_prefix('=');
    ext.0.iter().rev().find_map(|(known, _)| text(known))
}

pub(super) fn is_note(name: &str) -> bool {
    name.starts_with(NOTE)
}

/// Members of a nested object, as they stand among those of the outer one.
pub(super) fn nest(outer: &mut Ext, object: &str, inner: Ext) {
    for (name, value) in inner.0 {
        let name = match name.strip_prefix(NOTE) {
            Some(rest) => format!("{NOTE}{object}.{rest}"),
            None => format!("{object}.{name}"),
        };
        outer.0.push((name, value));
    }
}

/// The members of a nested object, taken out of those of the outer one.
pub(super) fn nested(outer: &Ext, object: &str) -> Ext {
    let inner = |name: &str| {
        let (mark, rest) = name.strip_prefix(NOTE).map_or(("", name), |rest| (NOTE, rest));
        let rest = rest.strip_prefix(object)?.strip_prefix('.')?;
        Some(format!("{mark}{rest}"))
    };
    Ext(outer.0.iter().filter_map(|(name, value)| Some((inner(name)?, value.clone()))).collect())
}

/// Writes the members that are no notes and stand in none of these nested objects.
pub(super) fn write_rest(object: &mut ObjectWriter<'_>, ext: &Ext, objects: &[&str]) {
    let is_nested = |name: &str| {
        objects.iter().any(|object| name.strip_prefix(object).is_some_and(|rest| rest.starts_with('.')))
    };
    for (name, value) in ext.0.iter().filter(|(name, _)| !is_note(name) && !is_nested(name)) {
        object.raw(name, value.text());
    }
}

/// The name of a member, in the spelling that it had.
pub(super) fn spelled<'n>(ext: &Ext, name: &'n str) -> Cow<'n, str> {
    if noted(ext, &format!("snake:{name}")).is_some() {
        return Cow::Owned(snake(name));
    }
    Cow::Borrowed(name)
}

/// Ext members as they stand in an event.
pub(super) fn as_event(ext: Ext) -> ExtRef<'static> {
    ExtRef(ext.0.into_iter().map(|(name, raw)| (Cow::Owned(name), RawRef::Owned(raw))).collect())
}

/// The members of one object. Each may be spelled in camel case or in snake case, and a list of one may stand as its
/// only element: the API takes protocol buffers as JSON (<https://protobuf.dev/programming-guides/json/>).
pub(super) struct Members<'a> {
    object: Object<'a>,
    notes: Ext,
}

impl<'a> Members<'a> {
    pub(super) fn new(object: Object<'a>) -> Members<'a> {
        Members { object, notes: Ext::default() }
    }

    pub(super) fn from_raw(raw: &'a RawValue) -> Result<Members<'a>, Fault> {
        Object::from_raw(raw).map(Members::new)
    }

    pub(super) fn note(&mut self, name: &str, text: &str) {
        note(&mut self.notes, name, text);
    }

    /// The member, unless it is absent or `null`.
    pub(super) fn take(&mut self, name: &str) -> Option<&'a RawValue> {
        if let Some(raw) = self.object.take_some(name) {
            return Some(raw);
        }
        let other = snake(name);
        let raw = if other == name { None } else { self.object.take_some(&other) };
        if raw.is_some() {
            self.note(&format!("snake:{name}"), "");
        }
        raw
    }

    pub(super) fn peek(&self, name: &str) -> Option<&'a RawValue> {
        let says = |raw: &&RawValue| raw.get() != "null";
        self.object.peek(name).filter(says).or_else(|| self.object.peek(&snake(name)).filter(says))
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.object.iter().map(|(name, _)| name)
    }

    pub(super) fn string(&mut self, name: &str) -> Result<Option<Cow<'a, str>>, Fault> {
        self.take(name).map(|raw| json::string(raw).map_err(|fault| fault.under(name))).transpose()
    }

    pub(super) fn boolean(&mut self, name: &str) -> Result<Option<bool>, Fault> {
        let Some(raw) = self.take(name) else { return Ok(None) };
        serde_json::from_str(raw.get())
            .map(Some)
            .map_err(|_| Fault::invalid(name, format!("must be true or false, not {}", json::kind_of(raw))))
    }

    /// A number. One that is spelled as a string stays where it is.
    pub(super) fn number(&mut self, name: &str) -> Result<Option<f64>, Fault> {
        if self.peek(name).is_none_or(|raw| raw.get().starts_with('"')) {
            return Ok(None);
        }
        let Some(raw) = self.take(name) else { return Ok(None) };
        serde_json::from_str(raw.get())
            .map(Some)
            .map_err(|_| Fault::invalid(name, format!("must be a number, not {}", json::kind_of(raw))))
    }

    /// A whole number; `4.0` is one.
    pub(super) fn whole(&mut self, name: &str) -> Result<Option<i64>, Fault> {
        let Some(number) = self.number(name)? else { return Ok(None) };
        if number.fract() != 0.0 || number.abs() > 9e15 {
            return Err(Fault::invalid(name, "must be a whole number"));
        }
        Ok(Some(number as i64))
    }

    pub(super) fn unsigned(&mut self, name: &str) -> Result<Option<u64>, Fault> {
        let wrong = |_| Fault::invalid(name, "must be a whole number that is not negative");
        self.whole(name)?.map(|number| u64::try_from(number).map_err(wrong)).transpose()
    }

    pub(super) fn object(&mut self, name: &str) -> Result<Option<Members<'a>>, Fault> {
        self.take(name).map(|raw| Members::from_raw(raw).map_err(|fault| fault.under(name))).transpose()
    }

    /// A list's elements; its only element may stand without the list.
    pub(super) fn list(&mut self, name: &str) -> Result<Option<Vec<&'a RawValue>>, Fault> {
        let Some(raw) = self.take(name) else { return Ok(None) };
        if raw.get().starts_with('{') {
            self.note(&format!("single:{name}"), "");
            return Ok(Some(vec![raw]));
        }
        json::array(raw).map(Some).map_err(|fault| fault.under(name))
    }

    /// What nobody took, and the notes.
    pub(super) fn rest(self) -> Ext {
        let mut ext = self.object.rest();
        ext.0.extend(self.notes.0);
        ext
    }
}

/// Writes a list, or its only element where it stood so.
pub(super) fn write_list(object: &mut ObjectWriter<'_>, ext: &Ext, name: &str, items: &[Vec<u8>]) {
    let single = noted(ext, &format!("single:{name}")).is_some();
    let out = object.key(&spelled(ext, name));
    match items {
        [item] if single => out.extend_from_slice(item),
        items => json::write_array(out, items, |out, item| out.extend_from_slice(item)),
    }
}

/// `camelCase` to `snake_case`.
fn snake(name: &str) -> String {
    let mut out = String::with_capacity(name.len() + 4);
    for letter in name.chars() {
        if letter.is_ascii_uppercase() {
            out.push('_');
        }
        out.push(letter.to_ascii_lowercase());
    }
    out
}

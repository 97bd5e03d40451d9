//! How things were spelled, kept among the ext members.
//!
//! Where a member has two spellings of one meaning, its name with the value `[]` says that it had the rarer one: it
//! was absent, was an empty string, or said what is known from elsewhere. Other dialects take an empty list for
//! nothing, and this one would refuse it under these names, so that no caller's own member is mistaken for it.

use crate::{
    ir::{Ext, ExtRef},
    json::{ObjectWriter, Raw, RawRef},
};

const MARK: &str = "[]";

/// What a result named as its call, where there is no such call.
pub(super) const CALL_ID: &str = "tollgate:tool_call_id";

/// A member that had its rarer spelling.
pub(super) fn marked(name: &str) -> (String, Raw) {
    (name.to_owned(), Raw::parse(MARK).unwrap_or_else(crate::kept::stood))
}

/// The same in an event.
pub(super) fn mark(ext: &mut ExtRef<'_>, name: &'static str) {
    let (_, raw) = marked(name);
    ext.0.push((name.into(), RawRef::Owned(raw)));
}

pub(super) fn is_marked(ext: &Ext, name: &str) -> bool {
    ext.get(name).is_some_and(|raw| raw.text() == MARK)
}

/// Writes ext members, except marks under these names and what stands under the others.
pub(super) fn write(object: &mut ObjectWriter<'_>, ext: &Ext, marks: &[&str], others: &[&str]) {
    for (name, value) in &ext.0 {
        let is_mark = marks.contains(&name.as_str()) && value.text() == MARK;
        if !is_mark && !others.contains(&name.as_str()) {
            object.raw(name, value.text());
        }
    }
}

/// Writes the members of a kept object into one that is being written.
pub(super) use crate::kept::write as write_members;
pub(super) use crate::kept::{as_event, rest};

//! What is left of a JSON object whose other members were understood, kept as an ext member of its name.

use std::borrow::Cow;

use crate::{
    ir::{Ext, ExtRef},
    json::{Object, ObjectWriter, Raw, RawRef},
};

/// The members that nobody took, as an object.
pub(crate) fn rest(object: Object<'_>) -> Raw {
    object_of(&object.rest())
}

/// Members as an object.
pub(crate) fn object_of(members: &Ext) -> Raw {
    let mut text = Vec::new();
    let mut writer = ObjectWriter::open(&mut text);
    writer.ext(members);
    writer.close();
    Raw::parse(&String::from_utf8_lossy(&text)).unwrap_or_else(stood)
}

/// The mere fact that a member stood there.
pub(crate) fn stood() -> Raw {
    Raw::parse("{}").unwrap_or_else(|| Raw::string(""))
}

/// Writes the members of a kept object into one that is being written.
pub(crate) fn write(object: &mut ObjectWriter<'_>, kept: Option<&Raw>) {
    if let Some(Ok(kept)) = kept.map(|kept| Object::from_raw(kept.value())) {
        for (name, value) in kept.iter() {
            object.raw(name, value.get());
        }
    }
}

/// An object's text with a member in place of the one of that name, or behind the others.
pub(crate) fn with_member(object: &Raw, name: &str, value: &str) -> Option<Raw> {
    let parsed = Object::from_raw(object.value()).ok()?;
    let mut text = Vec::with_capacity(object.text().len() + value.len());
    let mut writer = ObjectWriter::open(&mut text);
    let mut placed = false;
    for (known, raw) in parsed.iter() {
        placed |= known == name;
        writer.raw(known, if known == name { value } else { raw.get() });
    }
    if !placed {
        writer.raw(name, value);
    }
    writer.close();
    Raw::parse(std::str::from_utf8(&text).ok()?)
}

/// Ext members as they stand in an event.
pub(crate) fn as_event(ext: Ext) -> ExtRef<'static> {
    ExtRef(ext.0.into_iter().map(|(name, raw)| (Cow::Owned(name), RawRef::Owned(raw))).collect())
}

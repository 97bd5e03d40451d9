//! What is left of a JSON object whose other members were understood, kept as an ext member of its name.

use std::borrow::Cow;

use crate::{
    ir::{Ext, ExtRef},
    json::{Object, ObjectWriter, Raw, RawRef, write_array},
};

/// The members that nobody took, as an object.
pub(super) fn rest(object: Object<'_>) -> Raw {
    let mut text = Vec::new();
    let mut writer = ObjectWriter::open(&mut text);
    writer.ext(&object.rest());
    writer.close();
    raw(&text)
}

/// The mere fact that a member stood there.
pub(super) fn stood() -> Raw {
    raw(b"{}")
}

/// The mere fact that a member was absent or `null`.
pub(super) fn null() -> Raw {
    raw(b"null")
}

/// Values as a list.
pub(super) fn list(values: &[Raw]) -> Raw {
    let mut text = Vec::new();
    write_array(&mut text, values, |out, value| out.extend_from_slice(value.text().as_bytes()));
    raw(&text)
}

fn raw(text: &[u8]) -> Raw {
    Raw::parse(&String::from_utf8_lossy(text)).unwrap_or_else(|| Raw::string(""))
}

/// Writes the members of a kept object into one that is being written.
pub(super) fn write(object: &mut ObjectWriter<'_>, kept: Option<&Raw>) {
    if let Some(Ok(kept)) = kept.map(|kept| Object::from_raw(kept.value())) {
        for (name, value) in kept.iter() {
            object.raw(name, value.get());
        }
    }
}

/// Ext members as they stand in an event.
pub(super) fn as_event(ext: Ext) -> ExtRef<'static> {
    ExtRef(ext.0.into_iter().map(|(name, raw)| (Cow::Owned(name), RawRef::Owned(raw))).collect())
}

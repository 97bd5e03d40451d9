//! Values that are kept of a message, beside what is left of its objects.

use crate::json::{Raw, write_array};
pub(super) use crate::kept::{as_event, rest, stood, write};

/// The mere fact that a member was absent or `null`.
pub(super) fn null() -> Raw {
    Raw::parse("null").unwrap_or_else(stood)
}

/// Values as a list.
pub(super) fn list(values: &[Raw]) -> Raw {
    let mut text = Vec::new();
    write_array(&mut text, values, |out, value| out.extend_from_slice(value.text().as_bytes()));
    Raw::parse(&String::from_utf8_lossy(&text)).unwrap_or_else(stood)
}

//! One event of a stream.

use crate::json::{self, ObjectWriter};

/// Writes one event, with its name twice as the API does.
pub(super) fn event(out: &mut Vec<u8>, name: &str, write: impl FnOnce(&mut ObjectWriter<'_>)) {
    out.extend_from_slice(b"event: ");
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"\ndata: ");
    let start = out.len();
    let mut object = ObjectWriter::open(out);
    object.string("type", name);
    write(&mut object);
    object.close();
    json::one_line(out.get_mut(start..).unwrap_or_default());
    out.extend_from_slice(b"\n\n");
}

//! One event of a stream (<https://docs.cohere.com/reference/chat-stream>).

use crate::json::{self, ObjectWriter};

/// Writes one event, with its name twice as the API does.
pub(super) fn event(
    out: &mut Vec<u8>,
    name: &str,
    index: Option<u32>,
    write: impl FnOnce(&mut ObjectWriter<'_>),
) {
    out.extend_from_slice(b"event: ");
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"\ndata: ");
    let start = out.len();
    let mut object = ObjectWriter::open(out);
    object.string("type", name);
    if let Some(index) = index {
        object.value("index", &index);
    }
    write(&mut object);
    object.close();
    json::one_line(out.get_mut(start..).unwrap_or_default());
    out.extend_from_slice(b"\n\n");
}

/// Writes one event that adds to a member of the message: `delta.message.<member>`.
pub(super) fn message_event(
    out: &mut Vec<u8>,
    name: &str,
    index: Option<u32>,
    member: &str,
    write: impl FnOnce(&mut Vec<u8>),
) {
    event(out, name, index, |object| {
        let mut delta = ObjectWriter::open(object.key("delta"));
        let mut message = ObjectWriter::open(delta.key("message"));
        write(message.key(member));
        message.close();
        delta.close();
    });
}

/// What stands behind the last event.
pub(super) fn done(out: &mut Vec<u8>) {
    out.extend_from_slice(b"data: [DONE]\n\n");
}

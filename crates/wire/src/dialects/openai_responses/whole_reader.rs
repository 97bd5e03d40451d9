//! Whole answers: bytes to events.

use serde_json::value::RawValue;

use super::{answer::read_item, words};
use crate::{
    Fault, Sink,
    dialects::openai_chat::fault::error_object,
    ir::{Event, ExtRef, Place, Usage},
    json::{self, Object},
};

/// Reads one whole answer; false where it is the provider's own error.
pub(super) fn read(body: &[u8], sink: &mut Sink<'_>) -> Result<bool, Fault> {
    let mut object = Object::parse(body)?;
    if let Some(error) = object.peek("error").filter(|error| error.get() != "null") {
        let value = serde_json::from_str(error.get()).unwrap_or_default();
        sink(Event::Fault(error_object(&value, None)));
        return Ok(false);
    }
    let output = object.array("output")?.ok_or_else(|| Fault::invalid("output", "is missing"))?;
    sink(Event::Start {
        id: object.string("id")?.unwrap_or_default(),
        model: object.string("model")?.unwrap_or_default(),
        created_s: object.number("created_at")?.map(|created| created as i64),
    });
    let mut next = 0;
    let mut calls = false;
    for (at, raw) in output.into_iter().enumerate() {
        calls |= read_item(raw, &mut next, sink).map_err(|fault| fault.under(&format!("output[{at}]")))?;
    }
    ending(object, calls, sink)?;
    sink(Event::End);
    Ok(true)
}

/// The stop, the usage, and what else an answer says; most of it repeats the request.
pub(super) fn ending(mut object: Object<'_>, calls: bool, sink: &mut Sink<'_>) -> Result<(), Fault> {
    let status =
        object.peek("status").filter(|raw| raw.get().starts_with('"')).map(json::string).transpose()?;
    let details = object.peek("incomplete_details").filter(|raw| raw.get().starts_with('{'));
    let reason = details.and_then(|raw: &RawValue| Object::from_raw(raw).ok()?.string("reason").ok()?);
    let stop = words::stop(status.as_deref().unwrap_or_default(), reason.as_deref(), calls);
    sink(Event::ChoiceStop { choice: 0, stop });
    if let Some(raw) = object.take_some("usage") {
        let (usage, ext) = words::usage(raw).map_err(|fault| fault.under("usage"))?;
        sink(Event::Usage { usage, ext });
    } else if status.as_deref().is_some_and(words::is_open) {
        // What goes on in the background has used nothing yet, and says what it used when it has ended.
        sink(Event::Usage { usage: Usage::default(), ext: ExtRef::default() });
    }
    let ext = object.rest_ref();
    if !ext.is_empty() {
        sink(Event::Ext { place: Place::Echo, ext });
    }
    Ok(())
}

//! Whole answers: bytes to events.

use std::borrow::Cow;

use serde_json::value::RawValue;

use super::{fault::error_object, message_decode::tool_call, words};
use crate::{
    Fault, Sink,
    ir::{Event, ExtRef, PartDelta, PartKind, PartStart, Place},
    json::{self, Object, RawRef},
};

/// Reads one whole answer; false where it is the provider's own error.
pub(super) fn read(body: &[u8], sink: &mut Sink<'_>) -> Result<bool, Fault> {
    let mut object = Object::parse(body)?;
    if let Some(error) = object.peek("error").filter(|error| error.get() != "null") {
        let value = serde_json::from_str(error.get()).unwrap_or_default();
        sink(Event::Fault(error_object(&value, None)));
        return Ok(false);
    }
    let choices = object.array("choices")?.ok_or_else(|| Fault::invalid("choices", "is missing"))?;
    sink(Event::Start {
        id: object.string("id")?.unwrap_or_default(),
        model: object.string("model")?.unwrap_or_default(),
        created_s: object.number("created")?.map(|created| created as i64),
    });
    let mut broken = None;
    for (at, raw) in choices.into_iter().enumerate() {
        broken = broken.or(choice(at, raw, sink).map_err(|fault| fault.under(&format!("choices[{at}]")))?);
    }
    if let Some(raw) = object.take_some("usage") {
        let (usage, ext) = words::usage(raw).map_err(|fault| fault.under("usage"))?;
        sink(Event::Usage { usage, ext });
    }
    let ext = object.rest_ref();
    if !ext.is_empty() {
        sink(Event::Ext { place: Place::Response, ext });
    }
    let whole = broken.is_none();
    sink(broken.map_or(Event::End, Event::Fault));
    Ok(whole)
}

/// Reads a choice; the fault is what broke it off.
fn choice(at: usize, raw: &RawValue, sink: &mut Sink<'_>) -> Result<Option<Fault>, Fault> {
    let mut object = Object::from_raw(raw)?;
    let index = object.unsigned("index")?.unwrap_or(at as u64);
    let choice = u32::try_from(index).map_err(|_| Fault::invalid("index", "is too large"))?;
    if let Some(mut message) = object.object("message")? {
        read_message(choice, &mut message, sink).map_err(|fault| fault.under("message"))?;
        message.take("role");
        let ext = message.rest_ref();
        if !ext.is_empty() {
            sink(Event::Ext { place: Place::Message(choice), ext });
        }
    }
    if let Some(raw) = object.take_some("logprobs") {
        sink(Event::Logprobs { choice, logprobs: RawRef::Borrowed(raw) });
    }
    let mut broken = None;
    if let Some(reason) = object.string("finish_reason")? {
        broken = words::broken_off(&reason);
        if broken.is_none() {
            sink(Event::ChoiceStop { choice, stop: words::stop(&reason) });
        }
    }
    let ext = object.rest_ref();
    if !ext.is_empty() {
        sink(Event::Ext { place: Place::Choice(choice), ext });
    }
    Ok(broken)
}

/// The parts of a message: reasoning, text, refusal, tool calls.
fn read_message<'a>(choice: u32, message: &mut Object<'a>, sink: &mut Sink<'_>) -> Result<(), Fault> {
    let mut index = 0;
    let mut text = |part: PartStart<'a>, text: Cow<'a, str>, ext: ExtRef<'a>, sink: &mut Sink<'_>| {
        sink(Event::PartStart { choice, index, part, ext });
        sink(Event::PartDelta { choice, index, delta: PartDelta::Text(text) });
        sink(Event::PartStop { choice, index });
        index += 1;
    };
    if let Some((reasoning, ext)) = take_reasoning(message)? {
        text(PartStart::Reasoning, reasoning, ext, sink);
    }
    let content = message.peek("content").filter(|raw| raw.get().starts_with('"') && raw.get() != "\"\"");
    if content.is_some()
        && let Some(content) = message.string("content")?
    {
        text(PartStart::Text, content, ExtRef::default(), sink);
    } else if message.peek("content").is_some_and(|raw| raw.get().starts_with('[')) {
        for (part, more) in listed(message.take("content")).map_err(|fault| fault.under("content"))? {
            text(part, more, ExtRef::default(), sink);
        }
    }
    if let Some(refusal) = message.string("refusal")? {
        text(PartStart::Refusal, refusal, ExtRef::default(), sink);
    }
    let calls = match message.peek("tool_calls") {
        Some(raw) if raw.get() == "[]" => None,
        _ => message.array("tool_calls")?,
    };
    for (at, raw) in calls.unwrap_or_default().into_iter().enumerate() {
        call(choice, index, raw, sink).map_err(|fault| fault.under(&format!("tool_calls[{at}]")))?;
        index += 1;
    }
    Ok(())
}

fn call(choice: u32, index: u32, raw: &RawValue, sink: &mut Sink<'_>) -> Result<(), Fault> {
    let part = tool_call(raw)?;
    let ext =
        ExtRef(part.ext.0.into_iter().map(|(name, raw)| (Cow::Owned(name), RawRef::Owned(raw))).collect());
    match part.kind {
        PartKind::ToolCall { id, name, arguments } => {
            let part = PartStart::ToolCall { id: Cow::Owned(id), name: Cow::Owned(name) };
            sink(Event::PartStart { choice, index, part, ext });
            let delta = PartDelta::Arguments(Cow::Owned(arguments));
            sink(Event::PartDelta { choice, index, delta });
        }
        _ => {
            let part = PartStart::Opaque { name: Cow::Borrowed("tool_calls"), value: RawRef::Borrowed(raw) };
            sink(Event::PartStart { choice, index, part, ext });
        }
    }
    sink(Event::PartStop { choice, index });
    Ok(())
}

/// Reasoning under the name that its server gives it. Every name but the commonest is kept in the part's ext,
/// as `member`.
pub(super) fn take_reasoning<'a>(
    message: &mut Object<'a>,
) -> Result<Option<(Cow<'a, str>, ExtRef<'a>)>, Fault> {
    for name in ["reasoning_content", "reasoning"] {
        let filled = message.peek(name).is_some_and(|raw| raw.get().starts_with('"') && raw.get() != "\"\"");
        if !filled {
            continue;
        }
        let Some(text) = message.string(name)? else { continue };
        let mut ext = ExtRef::default();
        if name != "reasoning_content" {
            ext.0.push(("member".into(), RawRef::Owned(json::Raw::string(name))));
        }
        return Ok(Some((text, ext)));
    }
    Ok(None)
}

/// Content as a list of parts, as Mistral's reasoning models answer
/// (<https://docs.mistral.ai/capabilities/reasoning>).
pub(super) fn listed(raw: Option<&RawValue>) -> Result<Vec<(PartStart<'_>, Cow<'_, str>)>, Fault> {
    let mut parts = Vec::new();
    for raw in raw.map(json::array).transpose()?.unwrap_or_default() {
        let mut part = Object::from_raw(raw)?;
        match part.string("type")?.as_deref() {
            Some("text") => parts.extend(part.string("text")?.map(|text| (PartStart::Text, text))),
            Some("thinking") => {
                let inner = listed(part.take("thinking"))?;
                parts.extend(inner.into_iter().map(|(_, text)| (PartStart::Reasoning, text)));
            }
            // References and the like say nothing that has a part of its own.
            Some(_) | None => {}
        }
    }
    Ok(parts)
}

//! Items of an answer: bytes to events, and meaning to bytes.

use std::borrow::Cow;

use serde_json::value::RawValue;

use super::{
    item_decode::thought,
    words::{self, ANNOTATED, ITEM, rest, seal, unseal, write_members},
};
use crate::{
    Dialect, Fault, Losses, Sink, Wanted,
    ir::{Event, ExtRef, Part, PartDelta, PartKind, PartStart, Response},
    json::{self, Object, ObjectWriter, Raw, RawRef, write_array},
    seal,
};

/// Reads one item of a whole answer; its parts are numbered from `next` on. True when it is a call.
pub(super) fn read_item(raw: &RawValue, next: &mut u32, sink: &mut Sink<'_>) -> Result<bool, Fault> {
    let mut object = Object::from_raw(raw)?;
    let kind = object.peek("type").map(json::string).transpose()?.unwrap_or_default();
    match kind.as_ref() {
        "message" => read_message(raw, object, next, sink).map(|()| false),
        "function_call" => {
            let arguments = object.string("arguments")?.unwrap_or_default();
            let part = call(&mut object)?;
            let deltas = [PartDelta::Arguments(arguments)];
            whole(part, hint(ITEM, rest(object)), deltas, next, sink);
            Ok(true)
        }
        "reasoning" => {
            let deltas = thought_deltas(&mut object)?;
            whole(PartStart::Reasoning, hint(ITEM, rest(object)), deltas, next, sink);
            Ok(false)
        }
        _ => {
            let part = PartStart::Opaque { name: kind, value: RawRef::Borrowed(raw) };
            whole(part, ExtRef::default(), [], next, sink);
            Ok(false)
        }
    }
}

pub(super) fn hint(name: &'static str, value: RawRef<'static>) -> ExtRef<'static> {
    ExtRef(vec![(Cow::Borrowed(name), value)])
}

pub(super) fn call<'a>(object: &mut Object<'a>) -> Result<PartStart<'a>, Fault> {
    Ok(PartStart::ToolCall {
        id: object.string("call_id")?.unwrap_or_default(),
        name: object.string("name")?.unwrap_or_default(),
    })
}

/// The text of a thought and its seal.
fn thought_deltas<'a>(object: &mut Object<'a>) -> Result<Vec<PartDelta<'a>>, Fault> {
    let text = thought(object);
    let mut deltas = Vec::new();
    if !text.is_empty() {
        deltas.push(PartDelta::Text(Cow::Owned(text)));
    }
    deltas.extend(sealed(object)?.map(PartDelta::Signature));
    Ok(deltas)
}

pub(super) fn sealed<'a>(object: &mut Object<'a>) -> Result<Option<Cow<'a, str>>, Fault> {
    let id = object.peek("id").map(json::string).transpose()?.unwrap_or_default();
    let encrypted = object.string("encrypted_content")?;
    Ok(encrypted.map(|encrypted| Cow::Owned(seal(&id, &encrypted))))
}

/// One part with everything in it.
fn whole<'a>(
    part: PartStart<'a>,
    ext: ExtRef<'a>,
    deltas: impl IntoIterator<Item = PartDelta<'a>>,
    next: &mut u32,
    sink: &mut Sink<'_>,
) {
    let index = *next;
    *next += 1;
    sink(Event::PartStart { choice: 0, index, part, ext });
    for delta in deltas {
        sink(Event::PartDelta { choice: 0, index, delta });
    }
    sink(Event::PartStop { choice: 0, index });
}

fn read_message(
    raw: &RawValue,
    mut object: Object<'_>,
    next: &mut u32,
    sink: &mut Sink<'_>,
) -> Result<(), Fault> {
    let parts = object.array("content")?.unwrap_or_default();
    if parts.is_empty() {
        let part = PartStart::Opaque { name: "message".into(), value: RawRef::Borrowed(raw) };
        whole(part, ExtRef::default(), [], next, sink);
        return Ok(());
    }
    // The first part of an item keeps what tells the item; the others follow it.
    let mut item = Some(rest(object));
    for raw in parts {
        let (part, mut ext, deltas) = read_part(raw)?;
        ext.0.extend(item.take().map(|item| (Cow::Borrowed(ITEM), item)));
        whole(part, ext, deltas, next, sink);
    }
    Ok(())
}

/// What a part of a message opens with, and what it says.
type ReadPart<'a> = (PartStart<'a>, ExtRef<'a>, Vec<PartDelta<'a>>);

fn read_part(raw: &RawValue) -> Result<ReadPart<'_>, Fault> {
    let mut object = Object::from_raw(raw)?;
    let (part, member) = match object.peek("type").map(RawValue::get) {
        Some("\"output_text\"") => (PartStart::Text, "text"),
        Some("\"refusal\"") => (PartStart::Refusal, "refusal"),
        _ => {
            let name = object.string("type")?.unwrap_or_default();
            let part = PartStart::Opaque { name, value: RawRef::Borrowed(raw) };
            return Ok((part, ExtRef::default(), Vec::new()));
        }
    };
    object.take("type");
    let mut deltas = vec![PartDelta::Text(object.string(member)?.unwrap_or_default())];
    let annotations = object.array("annotations")?;
    let annotated = annotations.is_some();
    deltas.extend(
        annotations.unwrap_or_default().into_iter().map(|raw| PartDelta::Annotation(RawRef::Borrowed(raw))),
    );
    let mut ext = object.rest_ref();
    ext.0.extend(annotated.then(|| (Cow::Borrowed(ANNOTATED), empty())));
    Ok((part, ext, deltas))
}

pub(super) fn empty() -> RawRef<'static> {
    RawRef::Owned(Raw::parse("{}").expect("an empty object is JSON"))
}

/// Writes a whole answer.
pub(super) fn write(out: &mut Vec<u8>, response: &Response, wanted: &Wanted, losses: &mut Losses) {
    let Wanted { source, now_s, .. } = *wanted;
    let own = source == Dialect::OpenaiResponses;
    let choice = response.choices.iter().find(|choice| choice.index == 0);
    let parts = choice.map_or(&[][..], |choice| &choice.parts);
    let mut object = ObjectWriter::open(out);
    object.string("id", &answer_id(&response.id, own));
    if !own {
        object.string("object", "response");
    }
    match response.created_s {
        Some(created_s) => object.value("created_at", &created_s),
        None if own => {}
        None => object.value("created_at", &now_s),
    }
    object.string("model", &response.model);
    let items = items(&response.id, parts, source, losses);
    write_array(object.key("output"), &items, |out, item| out.extend_from_slice(item));
    // What goes on in the background says nothing of what it used.
    let open = choice.and_then(|choice| choice.stop.as_ref()).is_some_and(|stop| words::is_open(&stop.raw));
    if let Some(usage) = response.usage.as_ref().filter(|_| !(own && open)) {
        words::write_usage(object.key("usage"), usage, own.then_some(&response.usage_ext));
    }
    if own {
        object.ext(&response.ext);
        object.ext(&response.echo);
        object.close();
        return;
    }
    let (status, reason) = words::status(choice.and_then(|choice| choice.stop.as_ref()));
    object.string("status", status);
    match reason {
        Some(reason) => object.raw("incomplete_details", &format!("{{\"reason\":\"{reason}\"}}")),
        None => object.raw("incomplete_details", "null"),
    }
    // What the SDKs' types want to find.
    for (name, value) in [
        ("error", "null"),
        ("instructions", "null"),
        ("metadata", "{}"),
        ("parallel_tool_calls", "true"),
        ("temperature", "null"),
        ("tool_choice", "\"auto\""),
        ("tools", "[]"),
        ("top_p", "null"),
    ] {
        object.raw(name, value);
    }
    object.close();
    report(response, losses);
}

/// An answer's id, as this dialect's begin.
pub(super) fn answer_id(id: &str, own: bool) -> Cow<'_, str> {
    if own || id.starts_with("resp_") { Cow::Borrowed(id) } else { Cow::Owned(format!("resp_{id}")) }
}

/// The id of an item that another dialect's part becomes.
pub(super) fn item_id(kind: &str, answer: &str, number: usize) -> String {
    format!("{kind}_{answer}_{number}")
}

fn items(answer: &str, parts: &[Part], source: Dialect, losses: &mut Losses) -> Vec<Vec<u8>> {
    let own = source == Dialect::OpenaiResponses;
    let mut items: Vec<Vec<u8>> = Vec::with_capacity(parts.len());
    let mut at = 0;
    while let Some(part) = parts.get(at) {
        let count = 1 + parts
            .get(at + 1..)
            .unwrap_or_default()
            .iter()
            .take_while(|part| own && follows(part))
            .count();
        let group = parts.get(at..at + count).unwrap_or_default();
        let mut out = Vec::with_capacity(256);
        let id = |kind: &str| item_id(kind, answer, items.len());
        if write_item(&mut out, part, group, source, &id) {
            items.push(out);
        } else {
            losses.dropped(format!("response.content[{at}]"), "responses answer with no such part");
        }
        if !own {
            losses.answer_ext(&format!("response.content[{at}]"), &part.ext);
            if let PartKind::Text { annotations, .. } = &part.kind
                && !annotations.is_empty()
            {
                losses.dropped(
                    format!("response.content[{at}].citations"),
                    "citations have another form there",
                );
            }
        }
        at += count;
    }
    items
}

/// Whether a part belongs to the message that the one before it began.
fn follows(part: &Part) -> bool {
    matches!(part.kind, PartKind::Text { .. } | PartKind::Refusal { .. }) && part.ext.get(ITEM).is_none()
}

/// Writes one item of one or more parts; false when there is nothing for it here.
fn write_item(
    out: &mut Vec<u8>,
    part: &Part,
    group: &[Part],
    source: Dialect,
    id: &dyn Fn(&str) -> String,
) -> bool {
    let own = source == Dialect::OpenaiResponses;
    let told = |object: &mut ObjectWriter<'_>, kind: &str, short: &str| match part.ext.get(ITEM) {
        Some(item) if own => write_members(object, item),
        _ => {
            object.string("type", kind);
            object.string("id", &id(short));
            object.string("status", "completed");
        }
    };
    match &part.kind {
        PartKind::Text { .. } | PartKind::Refusal { .. } => {
            let mut object = ObjectWriter::open(out);
            told(&mut object, "message", "msg");
            if !own {
                object.string("role", "assistant");
            }
            write_array(object.key("content"), group, |out, part| write_part(out, part, own));
            object.close();
        }
        PartKind::ToolCall { id, name, arguments } => {
            let mut object = ObjectWriter::open(out);
            told(&mut object, "function_call", "fc");
            object.string("call_id", id);
            object.string("name", name);
            object.string("arguments", arguments);
            object.close();
        }
        PartKind::Reasoning { text, signature } => {
            let mut object = ObjectWriter::open(out);
            told(&mut object, "reasoning", "rs");
            if !own {
                let texts: &[&str] = if text.is_empty() { &[] } else { &[text] };
                write_array(object.key("summary"), texts, |out, text| write_summary(out, text));
            }
            if let Some(signature) = signature.as_deref().filter(|seal| !seal.is_empty()) {
                let seal = seal::mark(signature, source, Dialect::OpenaiResponses);
                object.string("encrypted_content", unseal(&seal).1);
            }
            object.close();
        }
        PartKind::RedactedReasoning { bytes } => {
            let mut object = ObjectWriter::open(out);
            told(&mut object, "reasoning", "rs");
            object.raw("summary", "[]");
            object.string("encrypted_content", &seal::mark(bytes, source, Dialect::OpenaiResponses));
            object.close();
        }
        PartKind::Opaque { value, .. } if own => out.extend_from_slice(value.text().as_bytes()),
        PartKind::Opaque { .. }
        | PartKind::Image(_)
        | PartKind::File(_)
        | PartKind::Audio(_)
        | PartKind::ToolResult { .. } => return false,
    }
    true
}

pub(super) fn write_summary(out: &mut Vec<u8>, text: &str) {
    let mut summary = ObjectWriter::open(out);
    summary.string("type", "summary_text");
    summary.string("text", text);
    summary.close();
}

fn write_part(out: &mut Vec<u8>, part: &Part, own: bool) {
    let mut object = ObjectWriter::open(out);
    match &part.kind {
        PartKind::Refusal { text } => {
            object.string("type", "refusal");
            object.string("refusal", text);
        }
        PartKind::Text { text, annotations } => {
            object.string("type", "output_text");
            object.string("text", text);
            if !own {
                object.raw("annotations", "[]");
            } else if part.ext.get(ANNOTATED).is_some() || !annotations.is_empty() {
                write_array(object.key("annotations"), annotations, |out, raw| {
                    out.extend_from_slice(raw.text().as_bytes());
                });
            }
        }
        _ => {}
    }
    if own {
        object.ext(&part.ext);
    }
    object.close();
}

/// What an answer of another dialect says and this one has no place for.
fn report(response: &Response, losses: &mut Losses) {
    losses.answer_ext("response", &response.ext);
    losses.usage_ext(&super::openai_chat::not_understood(&response.usage_ext));
    for choice in &response.choices {
        if choice.index > 0 {
            losses.dropped(format!("response.choices[{}]", choice.index), "there is one answer there");
            continue;
        }
        losses.answer_ext("response", &choice.ext);
        losses.answer_ext("response.message", &choice.message_ext);
        if choice.logprobs.is_some() {
            losses.dropped("response.logprobs", "log probabilities have another form there");
        }
    }
}

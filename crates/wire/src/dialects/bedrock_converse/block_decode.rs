//! Content blocks: bytes to meaning. A block is an object with one member, whose name tells its kind
//! (<https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ContentBlock.html>).

use std::borrow::Cow;

use serde_json::value::RawValue;

use super::{cache_point, media};
use crate::{
    Fault,
    ir::{Content, Ext, Form, Media, Part, PartKind},
    json::{self, Object, Raw},
    kept,
};

/// The kinds that have a meaning in other dialects.
const KNOWN: [&str; 9] = [
    "text",
    "json",
    "image",
    "document",
    "audio",
    "toolUse",
    "toolResult",
    "reasoningContent",
    "citationsContent",
];
const GUARDED: &str = "guardContent";

/// Reads what stands in a nested object, and takes the members that it understands.
type ReadNested = fn(&mut Object<'_>) -> Result<Option<PartKind>, Fault>;

/// The member `content` of a message or of a tool's result.
pub(super) fn content(object: &mut Object<'_>) -> Result<Content, Fault> {
    let Some(raw) = object.take("content") else {
        return Ok(Content { parts: Vec::new(), form: Form::Absent });
    };
    if raw.get() == "null" {
        return Ok(Content { parts: Vec::new(), form: Form::Null });
    }
    let parts = json::array(raw).and_then(blocks).map_err(|fault| fault.under("content"))?;
    Ok(Content { parts, form: Form::List })
}

/// Blocks; a cache point becomes a mark on the block before.
pub(super) fn blocks(list: Vec<&RawValue>) -> Result<Vec<Part>, Fault> {
    let mut parts: Vec<Part> = Vec::with_capacity(list.len());
    for (at, raw) in list.into_iter().enumerate() {
        let under = |fault: Fault| fault.under(&format!("[{at}]"));
        let object = Object::from_raw(raw).map_err(under)?;
        let marked = parts
            .last_mut()
            .filter(|last| last.cache.is_none() && !matches!(last.kind, PartKind::Opaque { .. }));
        match (cache_point::read(&object), marked) {
            (Some(mark), Some(last)) => last.cache = Some(mark),
            _ => parts.push(block(raw, object).map_err(under)?),
        }
    }
    Ok(parts)
}

/// One block. A block that only this dialect knows is kept whole.
pub(super) fn block(raw: &RawValue, mut object: Object<'_>) -> Result<Part, Fault> {
    let known = |name: &&str| KNOWN.contains(name) || *name == GUARDED;
    let found: Vec<String> = object.iter().map(|(name, _)| name).filter(known).map(str::to_owned).collect();
    let [name] = found.as_slice() else { return Ok(opaque(raw, &object)) };
    let mut ext = Ext::default();
    let kind = match name.as_str() {
        "text" => object.string("text")?.map(plain),
        "json" => object.take("json").map(|value| {
            ext.0.push(("json".to_owned(), kept::stood()));
            plain(value.get())
        }),
        "image" => nested(&mut object, name, &mut ext, |image| {
            Ok(media::read(image, media::picture_type)?.map(PartKind::Image))
        })?,
        "audio" => nested(&mut object, name, &mut ext, |audio| {
            Ok(media::read(audio, media::sound_type)?.map(PartKind::Audio))
        })?,
        "document" => nested(&mut object, name, &mut ext, document)?,
        "toolUse" => tool_use(&mut object, &mut ext)?,
        "toolResult" => nested(&mut object, name, &mut ext, tool_result)?,
        "reasoningContent" => nested(&mut object, name, &mut ext, reasoning)?,
        "citationsContent" => cited(&mut object, &mut ext)?,
        _ => guarded(&mut object, &mut ext)?,
    };
    let Some(kind) = kind else { return Ok(opaque(raw, &Object::from_raw(raw)?)) };
    ext.0.append(&mut object.rest().0);
    Ok(Part { kind, cache: None, ext })
}

fn plain<'t>(text: impl Into<Cow<'t, str>>) -> PartKind {
    PartKind::Text { text: text.into().into_owned(), annotations: Vec::new() }
}

/// A block under the name of its first member.
fn opaque(raw: &RawValue, object: &Object<'_>) -> Part {
    let name = object.iter().next().map_or_else(String::new, |(name, _)| name.to_owned());
    Part::new(PartKind::Opaque { name, value: Raw::new(raw) })
}

/// Reads the object under a name; what is left of it is kept under that name.
fn nested(
    object: &mut Object<'_>,
    name: &str,
    ext: &mut Ext,
    read: ReadNested,
) -> Result<Option<PartKind>, Fault> {
    let Some(mut inner) = object.object(name)? else { return Ok(None) };
    let kind = read(&mut inner).map_err(|fault| fault.under(name))?;
    if !inner.is_empty() {
        ext.0.push((name.to_owned(), kept::rest(inner)));
    }
    Ok(kind)
}

fn document(object: &mut Object<'_>) -> Result<Option<PartKind>, Fault> {
    let Some(media) = media::read(object, media::document_type)? else { return Ok(None) };
    let name = object.string("name")?.map(Into::into);
    Ok(Some(PartKind::File(Media { name, ..media })))
}

/// A call. One that the provider runs itself (`server_tool_use`) is its own affair.
fn tool_use(object: &mut Object<'_>, ext: &mut Ext) -> Result<Option<PartKind>, Fault> {
    let Some(mut call) = object.object("toolUse")? else { return Ok(None) };
    let under = |fault: Fault| fault.under("toolUse");
    let kind = call.string("type").map_err(under)?;
    if kind.as_deref().is_some_and(|kind| kind != "tool_use") {
        return Ok(None);
    }
    let id = call.string("toolUseId").map_err(under)?;
    let name = call.string("name").map_err(under)?;
    let missing = |name: &str| Fault::invalid(format!("toolUse.{name}"), "is missing");
    let arguments = call.take("input").map_or_else(|| "{}".to_owned(), |raw| raw.get().to_owned());
    let part = PartKind::ToolCall {
        id: id.ok_or_else(|| missing("toolUseId"))?.into_owned(),
        name: name.ok_or_else(|| missing("name"))?.into_owned(),
        arguments,
    };
    if kind.is_some() {
        ext.0.push(("type".to_owned(), kept::stood()));
    }
    if !call.is_empty() {
        ext.0.push(("toolUse".to_owned(), kept::rest(call)));
    }
    Ok(Some(part))
}

/// A tool's result. One with a type comes from a tool that the provider runs itself.
fn tool_result(object: &mut Object<'_>) -> Result<Option<PartKind>, Fault> {
    if object.peek("type").is_some() {
        return Ok(None);
    }
    let call_id = object.string("toolUseId")?.ok_or_else(|| Fault::invalid("toolUseId", "is missing"))?;
    let content = content(object)?;
    let is_error = match object.peek("status").map(RawValue::get) {
        Some("\"success\"") => Some(false),
        Some("\"error\"") => Some(true),
        Some(_) | None => None,
    };
    if is_error.is_some() {
        object.take("status");
    }
    Ok(Some(PartKind::ToolResult { call_id: call_id.into_owned(), content, is_error }))
}

fn reasoning(object: &mut Object<'_>) -> Result<Option<PartKind>, Fault> {
    if let Some(bytes) = object.string("redactedContent")? {
        let bytes = super::words::unsealed(bytes).into_owned();
        return Ok(Some(PartKind::RedactedReasoning { bytes }));
    }
    let Some(mut inner) = object.object("reasoningText")? else { return Ok(None) };
    let under = |fault: Fault| fault.under("reasoningText");
    let text = inner.string("text").map_err(under)?;
    let signature = inner.string("signature").map_err(under)?.map(Into::into);
    let known = text.filter(|_| inner.is_empty());
    Ok(known.map(|text| PartKind::Reasoning { text: text.into_owned(), signature }))
}

/// A text and its sources. How the text was cut is kept where it was.
fn cited(object: &mut Object<'_>, ext: &mut Ext) -> Result<Option<PartKind>, Fault> {
    let Some(mut inner) = object.object("citationsContent")? else { return Ok(None) };
    let under = |fault: Fault| fault.under("citationsContent");
    let pieces = inner.array("content").map_err(under)?.unwrap_or_default();
    let mut whole = String::new();
    for piece in &pieces {
        let Ok(mut piece) = Object::from_raw(piece) else { return Ok(None) };
        let Ok(Some(text)) = piece.string("text") else { return Ok(None) };
        if !piece.is_empty() {
            return Ok(None);
        }
        whole.push_str(&text);
    }
    let citations = inner.array("citations").map_err(under)?;
    // An answer may name no sources, and a text in one piece is the usual.
    let (usual, named) = (pieces.len() == 1, citations.as_ref().is_some_and(|list| !list.is_empty()));
    if !usual || !named {
        return Ok(None);
    }
    ext.0.push(("citationsContent".to_owned(), kept::rest(inner)));
    let annotations = citations.unwrap_or_default().into_iter().map(Raw::new).collect();
    Ok(Some(PartKind::Text { text: whole, annotations }))
}

/// A text that a guardrail looks at; a picture stays as it is.
fn guarded(object: &mut Object<'_>, ext: &mut Ext) -> Result<Option<PartKind>, Fault> {
    let Some(mut inner) = object.object(GUARDED)? else { return Ok(None) };
    let under = |fault: Fault| fault.under(GUARDED);
    let text = inner.object("text").map_err(under)?;
    let Some(mut guarded) = text.filter(|_| inner.is_empty()) else { return Ok(None) };
    let text = guarded.string("text").map_err(|fault| fault.under("text")).map_err(under)?;
    ext.0.push((GUARDED.to_owned(), kept::rest(guarded)));
    Ok(text.map(plain))
}

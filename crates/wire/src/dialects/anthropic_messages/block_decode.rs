//! Content blocks: bytes to meaning.

use serde_json::value::RawValue;

use crate::{
    Fault,
    ir::{Content, Form, Media, Part, PartKind, Source},
    json::{self, Object, Raw},
};

/// Content as a bare string or a list of blocks.
pub(super) fn content(raw: &RawValue) -> Result<Content, Fault> {
    match raw.get().as_bytes().first() {
        Some(b'n') => Ok(Content { parts: Vec::new(), form: Form::Null }),
        Some(b'"') => {
            let text = json::string(raw)?;
            Ok(if text.is_empty() {
                Content { parts: Vec::new(), form: Form::Bare }
            } else {
                Content::bare(text)
            })
        }
        Some(b'[') => {
            let list = json::array(raw)?;
            let block = |(at, raw)| block(raw).map_err(|fault| fault.under(&format!("[{at}]")));
            let parts = list.into_iter().enumerate().map(block).collect::<Result<_, _>>()?;
            Ok(Content { parts, form: Form::List })
        }
        _ => {
            let message = format!("must be a string or a list of content blocks, not {}", json::kind_of(raw));
            Err(Fault::invalid("", message))
        }
    }
}

/// One block. A block that only this dialect knows is kept whole.
pub(super) fn block(raw: &RawValue) -> Result<Part, Fault> {
    let mut object = Object::from_raw(raw)?;
    let name = object.string("type")?.ok_or_else(|| Fault::invalid("type", "is missing"))?;
    let kind = match name.as_ref() {
        "text" => Some(text(&mut object)?),
        "image" => media(&mut object)?.map(PartKind::Image),
        "document" => document(&mut object)?,
        "thinking" => Some(PartKind::Reasoning {
            text: object.string("thinking")?.unwrap_or_default().into_owned(),
            signature: object.string("signature")?.map(Into::into),
        }),
        "redacted_thinking" => Some(PartKind::RedactedReasoning {
            bytes: object.string("data")?.unwrap_or_default().into_owned(),
        }),
        "tool_use" => Some(tool_use(&mut object)?),
        "tool_result" => Some(tool_result(&mut object)?),
        _ => None,
    };
    let Some(kind) = kind else {
        let kind = PartKind::Opaque { name: name.into_owned(), value: Raw::new(raw) };
        return Ok(Part::new(kind));
    };
    let cache = object.take_some("cache_control").map(Raw::new);
    Ok(Part { kind, cache, ext: object.rest() })
}

fn text(object: &mut Object<'_>) -> Result<PartKind, Fault> {
    let text = object.string("text")?.ok_or_else(|| Fault::invalid("text", "is missing"))?.into_owned();
    let filled = object.peek("citations").is_some_and(|raw| raw.get() != "[]" && raw.get().starts_with('['));
    let citations = if filled { object.array("citations")?.unwrap_or_default() } else { Vec::new() };
    Ok(PartKind::Text { text, annotations: citations.into_iter().map(Raw::new).collect() })
}

fn tool_use(object: &mut Object<'_>) -> Result<PartKind, Fault> {
    Ok(PartKind::ToolCall {
        id: object.string("id")?.ok_or_else(|| Fault::invalid("id", "is missing"))?.into_owned(),
        name: object.string("name")?.ok_or_else(|| Fault::invalid("name", "is missing"))?.into_owned(),
        arguments: object.take("input").map_or_else(|| "{}".to_owned(), |raw| raw.get().to_owned()),
    })
}

fn tool_result(object: &mut Object<'_>) -> Result<PartKind, Fault> {
    let call_id = object.string("tool_use_id")?;
    let content = match object.take("content") {
        None => Content { parts: Vec::new(), form: Form::Absent },
        Some(raw) => content(raw).map_err(|fault| fault.under("content"))?,
    };
    Ok(PartKind::ToolResult {
        call_id: call_id.ok_or_else(|| Fault::invalid("tool_use_id", "is missing"))?.into_owned(),
        content,
        is_error: object.boolean("is_error")?,
    })
}

fn document(object: &mut Object<'_>) -> Result<Option<PartKind>, Fault> {
    let Some(mut media) = media(object)? else { return Ok(None) };
    media.name = object.string("title")?.map(Into::into);
    Ok(Some(PartKind::File(media)))
}

/// The `source` of a picture or document; `None` when it is of a form that only this dialect knows.
fn media(object: &mut Object<'_>) -> Result<Option<Media>, Fault> {
    let Some(raw) = object.peek("source") else { return Err(Fault::invalid("source", "is missing")) };
    let mut source = Object::from_raw(raw).map_err(|fault| fault.under("source"))?;
    let kind = source.string("type")?.unwrap_or_default();
    let media_type = source.string("media_type")?.map(Into::into);
    let from = match kind.as_ref() {
        "base64" => source.string("data")?.map(|bytes| Source::Base64(bytes.into())),
        "url" => source.string("url")?.map(|url| Source::Url(url.into())),
        "file" => source.string("file_id")?.map(|id| Source::FileId(id.into())),
        "text" => source.string("data")?.map(|text| Source::Text(text.into())),
        _ => None,
    };
    let Some(from) = from.filter(|_| source.is_empty()) else { return Ok(None) };
    object.take("source");
    Ok(Some(Media { source: from, media_type, name: None }))
}

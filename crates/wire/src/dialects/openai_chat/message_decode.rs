//! Messages: bytes to meaning.

use serde_json::value::RawValue;

use super::request_decode::rest_object;
use crate::{
    Dialect, Fault,
    ir::{Content, Ext, Form, Media, Message, Part, PartKind, Role, Source},
    json::{self, Object, Raw},
    seal,
};

pub(super) fn message(raw: &RawValue) -> Result<Message, Fault> {
    let mut object = Object::from_raw(raw)?;
    let role = object.string("role")?.ok_or_else(|| Fault::invalid("role", "is missing"))?;
    match role.as_ref() {
        "system" => speech(Role::System, object),
        "developer" => speech(Role::Developer, object),
        "user" => speech(Role::User, object),
        "assistant" => assistant(object),
        "tool" => tool_result(object),
        // The deprecated role of function results keeps its name for its own dialect.
        "function" => {
            let mut message = tool_result(object)?;
            message.ext.0.push(("role".to_owned(), Raw::string("function")));
            Ok(message)
        }
        other => {
            let message = format!("\"{other}\" is no role; use system, developer, user, assistant or tool");
            Err(Fault::invalid("role", message))
        }
    }
}

fn speech(role: Role, mut object: Object<'_>) -> Result<Message, Fault> {
    let content = content(&mut object)?;
    Ok(Message { role, content, ext: object.rest() })
}

fn tool_result(mut object: Object<'_>) -> Result<Message, Fault> {
    let call_id = object.string("tool_call_id")?.unwrap_or_default().into_owned();
    let result = PartKind::ToolResult { call_id, content: content(&mut object)?, is_error: None };
    let content = Content { parts: vec![Part::new(result)], form: Form::List };
    Ok(Message { role: Role::Tool, content, ext: object.rest() })
}

fn assistant(mut object: Object<'_>) -> Result<Message, Fault> {
    let mut content = content(&mut object)?;
    // Reasoning members stay in the ext, in the spelling of the server that they came from; the parts made of
    // them are for other dialects.
    let reasoning = reasoning(&object)?;
    content.parts.splice(0..0, reasoning);
    if let Some(text) = object.string("refusal")? {
        content.parts.push(Part::new(PartKind::Refusal { text: text.into_owned() }));
    }
    let calls = object.array("tool_calls")?;
    let no_calls = calls.as_ref().is_some_and(Vec::is_empty);
    for (at, raw) in calls.unwrap_or_default().into_iter().enumerate() {
        let part = tool_call(raw).map_err(|fault| fault.under(&format!("tool_calls[{at}]")))?;
        content.parts.push(part);
    }
    let mut ext = object.rest();
    if no_calls {
        ext.0.push(("tool_calls".to_owned(), Raw::parse("[]").expect("an empty list is JSON")));
    }
    Ok(Message { role: Role::Assistant, content, ext })
}

pub(super) fn tool_call(raw: &RawValue) -> Result<Part, Fault> {
    let mut object = Object::from_raw(raw)?;
    let kind = object.string("type")?;
    if kind.as_deref().is_some_and(|kind| kind != "function") || object.peek("function").is_none() {
        let name = "tool_calls".to_owned();
        return Ok(Part::new(PartKind::Opaque { name, value: Raw::new(raw) }));
    }
    let mut function = object.object("function")?.ok_or_else(|| Fault::invalid("function", "is missing"))?;
    let call = PartKind::ToolCall {
        id: object.string("id")?.unwrap_or_default().into_owned(),
        name: function.string("name")?.unwrap_or_default().into_owned(),
        arguments: function.string("arguments")?.unwrap_or_default().into_owned(),
    };
    let mut ext = object.rest();
    if kind.is_none() {
        // Mistral leaves the type out of its calls; so do clients that send them back.
        ext.0.push(("type".to_owned(), Raw::parse("null").expect("null is JSON")));
    }
    if !function.is_empty() {
        ext.0.push(("function".to_owned(), rest_object(function)));
    }
    Ok(Part { kind: call, cache: None, ext })
}

/// How OpenRouter's names of sealed forms begin (<https://openrouter.ai/docs/use-cases/reasoning-tokens>).
const SEAL_FORMATS: [(&str, Dialect); 1] = [("anthropic", Dialect::AnthropicMessages)];

/// Reasoning that a client sends back: OpenRouter's `reasoning_details`, where signatures are, or the plain
/// text of `reasoning_content` or `reasoning`.
fn reasoning(object: &Object<'_>) -> Result<Vec<Part>, Fault> {
    let member = |name: &str| object.peek(name).filter(|raw| raw.get().starts_with('"'));
    let text = match member("reasoning_content").or_else(|| member("reasoning")) {
        Some(raw) => json::string(raw)?.into_owned(),
        None => String::new(),
    };
    let mut parts = Vec::new();
    let details = object.peek("reasoning_details").filter(|raw| raw.get().starts_with('['));
    for raw in details.map(json::array).transpose()?.unwrap_or_default() {
        let mut detail = Object::from_raw(raw)?;
        let kind = detail.string("type")?.unwrap_or_default();
        // OpenRouter says whose seal it is; ours say it themselves.
        let format = detail.string("format")?.unwrap_or_default();
        let by =
            SEAL_FORMATS.iter().find(|(known, _)| format.starts_with(known)).map(|(_, dialect)| *dialect);
        let sealed = |seal: std::borrow::Cow<'_, str>| match by {
            Some(by) => seal::mark(&seal, by, Dialect::OpenaiChat).into_owned(),
            None => seal.into_owned(),
        };
        if kind == "reasoning.encrypted" {
            let bytes = sealed(detail.string("data")?.unwrap_or_default());
            parts.push(Part::new(PartKind::RedactedReasoning { bytes }));
        } else if kind == "reasoning.text" {
            let own = detail.string("text")?.map(std::borrow::Cow::into_owned);
            let signature = detail.string("signature")?.map(sealed);
            let text = own.unwrap_or_else(|| text.clone());
            parts.push(Part::new(PartKind::Reasoning { text, signature }));
        }
    }
    if parts.is_empty() && !text.is_empty() {
        parts.push(Part::new(PartKind::Reasoning { text, signature: None }));
    }
    Ok(parts)
}

fn content(object: &mut Object<'_>) -> Result<Content, Fault> {
    let Some(raw) = object.take("content") else {
        return Ok(Content { parts: Vec::new(), form: Form::Absent });
    };
    match raw.get().as_bytes().first() {
        Some(b'n') => Ok(Content { parts: Vec::new(), form: Form::Null }),
        Some(b'"') => {
            let text = json::string(raw).map_err(|fault| fault.under("content"))?;
            Ok(if text.is_empty() {
                Content { parts: Vec::new(), form: Form::Bare }
            } else {
                Content::bare(text)
            })
        }
        _ => {
            let list = json::array(raw).map_err(|_| {
                let message = format!("must be a string or a list of parts, not {}", json::kind_of(raw));
                Fault::invalid("content", message)
            })?;
            let part = |(at, raw)| part(raw).map_err(|fault| fault.under(&format!("content[{at}]")));
            let parts = list.into_iter().enumerate().map(part).collect::<Result<_, _>>()?;
            Ok(Content { parts, form: Form::List })
        }
    }
}

/// Reads the object in which a part's content stands; `None` when it is of a form that is not known.
type ReadNested = fn(&mut Object<'_>) -> Result<Option<PartKind>, Fault>;

fn part(raw: &RawValue) -> Result<Part, Fault> {
    let mut object = Object::from_raw(raw)?;
    let name = object.string("type")?.unwrap_or_default().into_owned();
    let (nested, known) = match name.as_str() {
        "text" => return text_part(object),
        "image_url" => (object.object("image_url"), image_url as ReadNested),
        "file" => (object.object("file"), file as ReadNested),
        "input_audio" => (object.object("input_audio"), audio as ReadNested),
        _ => return Ok(opaque(name, raw)),
    };
    let Some(mut nested) = nested? else { return Err(Fault::invalid(name, "is missing")) };
    let Some(kind) = known(&mut nested).map_err(|fault| fault.under(&name))? else {
        return Ok(opaque(name, raw));
    };
    let cache = object.take_some("cache_control").map(Raw::new);
    let mut ext = object.rest();
    if !nested.is_empty() {
        ext.0.push((name, rest_object(nested)));
    }
    Ok(Part { kind, cache, ext })
}

fn text_part(mut object: Object<'_>) -> Result<Part, Fault> {
    let text = object.string("text")?.ok_or_else(|| Fault::invalid("text", "is missing"))?.into_owned();
    let cache = object.take_some("cache_control").map(Raw::new);
    Ok(Part { kind: PartKind::Text { text, annotations: Vec::new() }, cache, ext: object.rest() })
}

fn opaque(name: String, raw: &RawValue) -> Part {
    Part { kind: PartKind::Opaque { name, value: Raw::new(raw) }, cache: None, ext: Ext::default() }
}

fn image_url(nested: &mut Object<'_>) -> Result<Option<PartKind>, Fault> {
    let url = nested.string("url")?.ok_or_else(|| Fault::invalid("url", "is missing"))?;
    let (source, media_type) = source(&url);
    Ok(Some(PartKind::Image(Media { source, media_type, name: None })))
}

fn file(nested: &mut Object<'_>) -> Result<Option<PartKind>, Fault> {
    let name = nested.string("filename")?.map(Into::into);
    if let Some(id) = nested.string("file_id")? {
        return Ok(Some(PartKind::File(Media { source: Source::FileId(id.into()), media_type: None, name })));
    }
    let Some(bytes) = nested.string("file_data")? else { return Ok(None) };
    let (source, media_type) = match source(&bytes) {
        (Source::Url(bytes), _) => (Source::Base64(bytes), None),
        data => data,
    };
    Ok(Some(PartKind::File(Media { source, media_type, name })))
}

fn audio(nested: &mut Object<'_>) -> Result<Option<PartKind>, Fault> {
    let (Some(bytes), Some(format)) = (nested.string("data")?, nested.string("format")?) else {
        return Ok(None);
    };
    let source = Source::Base64(bytes.into());
    Ok(Some(PartKind::Audio(Media { source, media_type: Some(format!("audio/{format}")), name: None })))
}

/// A `data:` URL is bytes in place; anything else is an address.
fn source(url: &str) -> (Source, Option<String>) {
    let data = url.strip_prefix("data:").and_then(|rest| rest.split_once(";base64,"));
    match data {
        Some((media_type, bytes)) => (Source::Base64(bytes.to_owned()), Some(media_type.to_owned())),
        None => (Source::Url(url.to_owned()), None),
    }
}

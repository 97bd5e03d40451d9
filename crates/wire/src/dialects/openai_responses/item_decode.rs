//! Items of a request's input: bytes to meaning. Each item becomes a message of its own.

use serde_json::value::RawValue;

use super::words::{ITEM, rest_raw, seal};
use crate::{
    Fault,
    ir::{Content, Ext, Form, Media, Message, Part, PartKind, Role, Source},
    json::{self, Object, ObjectWriter, Raw},
};

/// Reads one item.
pub(super) fn item(raw: &RawValue) -> Result<Message, Fault> {
    let mut object = Object::from_raw(raw)?;
    let kind = object.peek("type").map(json::string).transpose()?.unwrap_or_default();
    match kind.as_ref() {
        "" | "message" => message(object),
        "function_call" => {
            let wanted = |name: &'static str, value: Option<String>| {
                value.ok_or_else(|| Fault::invalid(name, "is missing"))
            };
            let id = wanted("call_id", object.string("call_id")?.map(Into::into))?;
            let name = wanted("name", object.string("name")?.map(Into::into))?;
            let arguments = wanted("arguments", object.string("arguments")?.map(Into::into))?;
            Ok(single(Role::Assistant, PartKind::ToolCall { id, name, arguments }, object))
        }
        "function_call_output" => {
            let call_id = object.string("call_id")?.map(Into::into);
            let call_id = call_id.ok_or_else(|| Fault::invalid("call_id", "is missing"))?;
            let output = object.take("output").ok_or_else(|| Fault::invalid("output", "is missing"))?;
            let content = content(output, Role::User).map_err(|fault| fault.under("output"))?;
            let result = PartKind::ToolResult { call_id, content, is_error: None };
            Ok(single(Role::Tool, result, object))
        }
        "reasoning" => {
            let id = object.peek("id").map(json::string).transpose()?.unwrap_or_default();
            let encrypted = object.string("encrypted_content")?;
            let signature = encrypted.map(|encrypted| seal(&id, &encrypted));
            let text = thought(&object);
            Ok(single(Role::Assistant, PartKind::Reasoning { text, signature }, object))
        }
        name => Ok(opaque(name, raw)),
    }
}

/// An item that only this dialect knows.
fn opaque(name: &str, raw: &RawValue) -> Message {
    let part = Part::new(PartKind::Opaque { name: name.to_owned(), value: Raw::new(raw) });
    let content = Content { parts: vec![part], form: Form::Absent };
    Message { role: Role::Assistant, content, ext: Ext::default() }
}

/// An item that is one part. Whatever else it says tells it from other items, or says the same again.
fn single(role: Role, kind: PartKind, object: Object<'_>) -> Message {
    let ext = Ext(vec![(ITEM.to_owned(), rest_raw(object))]);
    Message { role, content: Content { parts: vec![Part::new(kind)], form: Form::List }, ext }
}

/// The summary of a thought, or where there is none the thought itself.
pub(super) fn thought(object: &Object<'_>) -> String {
    let texts = |name: &str| -> Option<String> {
        let list = json::array(object.peek(name)?).ok()?;
        let text = |raw: &RawValue| Some(Object::from_raw(raw).ok()?.string("text").ok()??.into_owned());
        let texts: Vec<String> = list.into_iter().filter_map(text).collect();
        (!texts.is_empty()).then(|| texts.join("\n\n"))
    };
    texts("summary").or_else(|| texts("content")).unwrap_or_default()
}

fn message(mut object: Object<'_>) -> Result<Message, Fault> {
    let role = object.string("role")?.ok_or_else(|| Fault::invalid("role", "is missing"))?;
    let role = match role.as_ref() {
        "user" => Role::User,
        "assistant" => Role::Assistant,
        "system" => Role::System,
        "developer" => Role::Developer,
        other => {
            let message = format!("\"{other}\" is no role; use user, assistant, system or developer");
            return Err(Fault::invalid("role", message));
        }
    };
    let content = match object.take("content") {
        Some(raw) => content(raw, role).map_err(|fault| fault.under("content"))?,
        None => Content { parts: Vec::new(), form: Form::Absent },
    };
    let mut hints = Vec::new();
    let mut item = ObjectWriter::open(&mut hints);
    for name in ["type", "id", "status"] {
        if let Some(value) = object.take(name) {
            item.raw(name, value.get());
        }
    }
    item.close();
    let mut ext = object.rest();
    if hints.len() > 2 {
        ext.0.extend(Raw::parse(&String::from_utf8_lossy(&hints)).map(|hints| (ITEM.to_owned(), hints)));
    }
    Ok(Message { role, content, ext })
}

/// A content: a bare string, or a list of parts.
fn content(raw: &RawValue, role: Role) -> Result<Content, Fault> {
    match raw.get().as_bytes().first() {
        Some(b'n') => Ok(Content { parts: Vec::new(), form: Form::Null }),
        Some(b'"') => {
            let text = json::string(raw)?;
            let parts = if text.is_empty() { Vec::new() } else { vec![Part::text(text)] };
            Ok(Content { parts, form: Form::Bare })
        }
        _ => {
            let part = |(at, raw)| part(raw, role).map_err(|fault: Fault| fault.under(&format!("[{at}]")));
            let parts = json::array(raw)?.into_iter().enumerate().map(part).collect::<Result<_, _>>()?;
            Ok(Content { parts, form: Form::List })
        }
    }
}

/// The type that a text has in a message of this role.
pub(super) fn text_type(role: Role) -> &'static str {
    if role == Role::Assistant { "output_text" } else { "input_text" }
}

fn part(raw: &RawValue, role: Role) -> Result<Part, Fault> {
    let mut object = Object::from_raw(raw)?;
    let kind = object.peek("type").map(json::string).transpose()?.unwrap_or_default();
    let known = match kind.as_ref() {
        kind if kind == text_type(role) => {
            let text = object.string("text")?.ok_or_else(|| Fault::invalid("text", "is missing"))?;
            Some(PartKind::Text { text: text.into_owned(), annotations: Vec::new() })
        }
        "refusal" => {
            let text = object.string("refusal")?.ok_or_else(|| Fault::invalid("refusal", "is missing"))?;
            Some(PartKind::Refusal { text: text.into_owned() })
        }
        "input_image" => image(&mut object)?,
        "input_file" => file(&mut object)?,
        _ => None,
    };
    let Some(kind) = known else {
        let name = if kind.is_empty() { "part".to_owned() } else { kind.into_owned() };
        return Ok(Part::new(PartKind::Opaque { name, value: Raw::new(raw) }));
    };
    object.take("type");
    Ok(Part { kind, cache: None, ext: object.rest() })
}

fn image(object: &mut Object<'_>) -> Result<Option<PartKind>, Fault> {
    if let Some(id) = object.string("file_id")? {
        let source = Source::FileId(id.into());
        return Ok(Some(PartKind::Image(Media { source, media_type: None, name: None })));
    }
    let Some(url) = object.string("image_url")? else { return Ok(None) };
    let (source, media_type) = data(&url);
    Ok(Some(PartKind::Image(Media { source, media_type, name: None })))
}

fn file(object: &mut Object<'_>) -> Result<Option<PartKind>, Fault> {
    let sources = ["file_id", "file_url", "file_data"];
    // One source is understood; a file with more of them, or none, is the provider's affair.
    let given =
        sources.iter().filter(|name| object.peek(name).is_some_and(|raw| raw.get() != "null")).count();
    if given != 1 {
        return Ok(None);
    }
    let (source, media_type) = if let Some(id) = object.string("file_id")? {
        (Source::FileId(id.into()), None)
    } else if let Some(url) = object.string("file_url")? {
        (Source::Url(url.into()), None)
    } else {
        let bytes = object.string("file_data")?.unwrap_or_default();
        match data(&bytes) {
            (Source::Url(bytes), _) => (Source::Base64(bytes), None),
            data => data,
        }
    };
    let name = object.string("filename")?.map(Into::into);
    Ok(Some(PartKind::File(Media { source, media_type, name })))
}

/// A `data:` URL is bytes in place; anything else is an address.
fn data(url: &str) -> (Source, Option<String>) {
    match url.strip_prefix("data:").and_then(|rest| rest.split_once(";base64,")) {
        Some((media_type, bytes)) => (Source::Base64(bytes.to_owned()), Some(media_type.to_owned())),
        None => (Source::Url(url.to_owned()), None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_of_no_known_role_is_refused() {
        let check = |role: &str, known: bool| {
            let raw = Raw::parse(&format!(r#"{{"role":"{role}","content":"hi"}}"#)).unwrap();
            match item(raw.value()) {
                Ok(message) => assert!(known && message.content.parts.len() == 1, "{role}"),
                Err(fault) => {
                    let text =
                        format!("role: \"{role}\" is no role; use user, assistant, system or developer");
                    assert!(!known);
                    assert_eq!(fault.to_string(), text);
                }
            }
        };
        for role in ["user", "assistant", "system", "developer"] {
            check(role, true);
        }
        check("usr", false);
        check("tool", false);
    }
}

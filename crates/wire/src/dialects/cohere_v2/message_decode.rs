//! Messages: bytes to meaning.

use serde_json::value::RawValue;

use super::{citations, kept, words::PLAN};
use crate::{
    Fault,
    ir::{Content, Form, Media, Message, Part, PartKind, Role, Source},
    json::{self, Object, Raw},
};

pub(super) fn message(raw: &RawValue) -> Result<Message, Fault> {
    let mut object = Object::from_raw(raw)?;
    let role = object.string("role")?.ok_or_else(|| Fault::invalid("role", "is missing"))?;
    match role.as_ref() {
        "system" => speech(Role::System, object),
        "user" => speech(Role::User, object),
        "assistant" => assistant(object),
        "tool" => tool_result(object),
        other => {
            let message = format!("\"{other}\" is no role; use system, user, assistant or tool");
            Err(Fault::invalid("role", message))
        }
    }
}

fn speech(role: Role, mut object: Object<'_>) -> Result<Message, Fault> {
    let content = content(&mut object)?;
    Ok(Message { role, content, ext: object.rest() })
}

fn tool_result(mut object: Object<'_>) -> Result<Message, Fault> {
    let call_id = object.string("tool_call_id")?;
    let call_id = call_id.ok_or_else(|| Fault::invalid("tool_call_id", "is missing"))?.into_owned();
    let result = PartKind::ToolResult { call_id, content: content(&mut object)?, is_error: None };
    let content = Content { parts: vec![Part::new(result)], form: Form::List };
    Ok(Message { role: Role::Tool, content, ext: object.rest() })
}

/// A turn of the model, in a request or in an answer: its plan, its content with the citations, its calls. The plan
/// keeps a mark, since thoughts stand in the content as well.
pub(super) fn assistant(mut object: Object<'_>) -> Result<Message, Fault> {
    let mut content = content(&mut object)?;
    let filled = |object: &Object<'_>, name: &str| {
        object.peek(name).is_some_and(|raw| !matches!(raw.get(), "[]" | "null"))
    };
    let cited = if filled(&object, "citations") { object.array("citations")? } else { None };
    let left = citations::attach(&mut content.parts, cited.unwrap_or_default())?;
    let plan = object.string(PLAN)?;
    if let Some(text) = plan.as_ref().filter(|text| !text.is_empty()) {
        let mut part = Part::new(PartKind::Reasoning { text: text.clone().into_owned(), signature: None });
        part.ext.0.push((PLAN.to_owned(), kept::stood()));
        let is_thought = |part: &Part| {
            matches!(part.kind, PartKind::Reasoning { .. } | PartKind::RedactedReasoning { .. })
        };
        let thoughts = content.parts.iter().take_while(|part| is_thought(part)).count();
        content.parts.insert(thoughts, part);
    }
    let calls = if filled(&object, "tool_calls") { object.array("tool_calls")? } else { None };
    for (at, raw) in calls.unwrap_or_default().into_iter().enumerate() {
        let part = tool_call(raw).map_err(|fault| fault.under(&format!("tool_calls[{at}]")))?;
        content.parts.push(part);
    }
    let mut ext = object.rest();
    if plan.is_some_and(|text| text.is_empty()) {
        ext.0.push((PLAN.to_owned(), kept::stood()));
    }
    if !left.is_empty() {
        ext.0.push(("citations".to_owned(), kept::list(&left)));
    }
    Ok(Message { role: Role::Assistant, content, ext })
}

/// One call. Its arguments may be left out, which its ext then says.
pub(super) fn tool_call(raw: &RawValue) -> Result<Part, Fault> {
    let mut object = Object::from_raw(raw)?;
    let kind = object.string("type")?;
    let nested = object.peek("function").is_some_and(|function| function.get().starts_with('{'));
    if kind.as_deref().is_some_and(|kind| kind != "function") || !nested {
        let name = "tool_calls".to_owned();
        return Ok(Part::new(PartKind::Opaque { name, value: Raw::new(raw) }));
    }
    let missing = |name: &str| Fault::invalid(name, "is missing");
    let id = object.string("id")?.ok_or_else(|| missing("id"))?.into_owned();
    let mut function = object.object("function")?.ok_or_else(|| missing("function"))?;
    let name = function.string("name")?.ok_or_else(|| missing("function.name"))?.into_owned();
    let arguments = function.string("arguments").map_err(|fault| fault.under("function"))?;
    let absent = arguments.is_none() && function.take("arguments").is_none();
    let arguments_null = arguments.is_none() && !absent;
    let mut ext = object.rest();
    if kind.is_none() {
        ext.0.push(("type".to_owned(), kept::null()));
    }
    if absent || arguments_null {
        ext.0.push(("arguments".to_owned(), kept::null()));
    }
    if !function.is_empty() {
        ext.0.push(("function".to_owned(), kept::rest(function)));
    }
    let arguments = arguments.unwrap_or_default().into_owned();
    Ok(Part { kind: PartKind::ToolCall { id, name, arguments }, cache: None, ext })
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
                let message = format!("must be a string or a list of blocks, not {}", json::kind_of(raw));
                Fault::invalid("content", message)
            })?;
            let part = |(at, raw)| part(raw).map_err(|fault| fault.under(&format!("content[{at}]")));
            let parts = list.into_iter().enumerate().map(part).collect::<Result<_, _>>()?;
            Ok(Content { parts, form: Form::List })
        }
    }
}

/// One content block. A block that only this dialect knows is kept whole.
fn part(raw: &RawValue) -> Result<Part, Fault> {
    let mut object = Object::from_raw(raw)?;
    let name = object.string("type")?.ok_or_else(|| Fault::invalid("type", "is missing"))?.into_owned();
    let known = match name.as_str() {
        "text" => {
            let text = object.string("text")?.ok_or_else(|| Fault::invalid("text", "is missing"))?;
            let kind = PartKind::Text { text: text.into_owned(), annotations: Vec::new() };
            return Ok(Part { kind, cache: None, ext: object.rest() });
        }
        "thinking" => {
            let kind = thinking(&mut object)?;
            return Ok(Part { kind, cache: None, ext: object.rest() });
        }
        "image_url" => nested(&mut object, &name, image_url)?,
        "document" => nested(&mut object, &name, document)?,
        _ => None,
    };
    let Some((kind, rest)) = known else {
        return Ok(Part::new(PartKind::Opaque { name, value: Raw::new(raw) }));
    };
    let mut ext = object.rest();
    // That it was a document, and what is not its text, is kept also where nothing is.
    if rest.text() != "{}" || name == "document" {
        ext.0.push((name, rest));
    }
    Ok(Part { kind, cache: None, ext })
}

/// Thoughts. The two members of seals are not Cohere's: they hold what another provider wants back unchanged.
fn thinking(object: &mut Object<'_>) -> Result<PartKind, Fault> {
    let text = object.string("thinking")?.ok_or_else(|| Fault::invalid("thinking", "is missing"))?;
    if text.is_empty()
        && let Some(bytes) = object.string("data")?
    {
        return Ok(PartKind::RedactedReasoning { bytes: bytes.into_owned() });
    }
    let signature = object.string("signature")?.map(Into::into);
    Ok(PartKind::Reasoning { text: text.into_owned(), signature })
}

/// Reads the object in which a block's content stands; `None` when it is of a form that is not known.
type ReadNested = fn(&mut Object<'_>) -> Result<Option<PartKind>, Fault>;

/// A block's content and what is left of the object that it stands in.
fn nested(object: &mut Object<'_>, name: &str, read: ReadNested) -> Result<Option<(PartKind, Raw)>, Fault> {
    let Some(raw) = object.peek(name).filter(|raw| raw.get().starts_with('{')) else { return Ok(None) };
    let mut inner = Object::from_raw(raw).map_err(|fault| fault.under(name))?;
    let Some(kind) = read(&mut inner).map_err(|fault| fault.under(name))? else { return Ok(None) };
    object.take(name);
    Ok(Some((kind, kept::rest(inner))))
}

fn image_url(image: &mut Object<'_>) -> Result<Option<PartKind>, Fault> {
    let url = image.string("url")?.ok_or_else(|| Fault::invalid("url", "is missing"))?;
    let data = url.strip_prefix("data:").and_then(|rest| rest.split_once(";base64,"));
    let (source, media_type) = match data {
        Some((media_type, bytes)) => (Source::Base64(bytes.to_owned()), Some(media_type.to_owned())),
        None => (Source::Url(url.into_owned()), None),
    };
    Ok(Some(PartKind::Image(Media { source, media_type, name: None })))
}

/// A document is a dictionary, whose names and values the model reads
/// (<https://docs.cohere.com/docs/tool-use-overview>): to others it is the text of that dictionary.
fn document(document: &mut Object<'_>) -> Result<Option<PartKind>, Fault> {
    let Some(data) = document.peek("data").filter(|raw| raw.get().starts_with('{')) else { return Ok(None) };
    document.take("data");
    Ok(Some(PartKind::Text { text: data.get().to_owned(), annotations: Vec::new() }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_follows_the_thoughts() {
        let raw = Raw::parse(
            r#"{"role":"assistant","tool_plan":"plan","content":[{"type":"thinking","thinking":"thought"},
                {"type":"text","text":"text"}]}"#,
        );
        let message = message(raw.unwrap().value()).unwrap();
        let texts: Vec<&str> = message
            .content
            .parts
            .iter()
            .filter_map(|part| match &part.kind {
                PartKind::Reasoning { text, .. } | PartKind::Text { text, .. } => Some(text.as_str()),
                _ => None,
            })
            .collect();
        assert_eq!(texts, ["thought", "plan", "text"]);
    }
}

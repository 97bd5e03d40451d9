//! Messages: bytes to meaning.

use serde_json::value::RawValue;

use super::{
    calls::{self, Calls, texts},
    kept, pictures,
};
use crate::{
    Fault,
    ir::{Content, Form, Message, Part, PartKind, Role},
    json::{self, Object, Raw},
};

/// Reads a message; `calls` are those of the messages before it.
pub(super) fn message(raw: &RawValue, calls: &mut Calls) -> Result<Message, Fault> {
    let mut object = Object::from_raw(raw)?;
    let role = object.string("role")?.ok_or_else(|| Fault::invalid("role", "is missing"))?;
    let known = match role.as_ref() {
        "system" => Some(Role::System),
        "developer" => Some(Role::Developer),
        "user" => Some(Role::User),
        "assistant" => Some(Role::Assistant),
        "tool" => Some(Role::Tool),
        _ => None,
    };
    let mut message = match known {
        Some(Role::Tool) => tool_result(object, calls)?,
        Some(Role::Assistant) => assistant(object, calls)?,
        Some(role @ (Role::System | Role::Developer | Role::User)) => speech(role, object)?,
        // Templates of some models have roles of their own, which instruct them (Granite's `control`).
        None => speech(Role::System, object)?,
    };
    if known.is_none() {
        message.ext.0.push(("role".to_owned(), Raw::string(&role)));
    }
    Ok(message)
}

fn speech(role: Role, mut object: Object<'_>) -> Result<Message, Fault> {
    let mut content = Content::default();
    spoken(&mut object, &mut content)?;
    Ok(Message { role, content, ext: object.rest() })
}

fn assistant(mut object: Object<'_>, calls: &mut Calls) -> Result<Message, Fault> {
    let mut content = Content::default();
    let mut marks = Vec::new();
    match object.string("thinking")? {
        Some(text) if text.is_empty() => marks.push(kept::marked("thinking")),
        Some(text) => {
            content.parts.push(Part::new(PartKind::Reasoning { text: text.into(), signature: None }));
        }
        None => {}
    }
    spoken(&mut object, &mut content)?;
    let filled = object.peek("tool_calls").is_some_and(|raw| raw.get() != "[]");
    let list = if filled { object.array("tool_calls")? } else { None };
    if list.is_some() {
        calls.begin_round();
    }
    for (at, raw) in list.unwrap_or_default().into_iter().enumerate() {
        let call = calls::read(raw, at as u64).map_err(|fault| fault.under(&format!("tool_calls[{at}]")))?;
        let id = call.id.map_or_else(|| calls.next_id(), Into::into);
        calls.add(&id, &call.name);
        let kind = PartKind::ToolCall { id, name: call.name.into(), arguments: call.arguments.to_owned() };
        content.parts.push(Part { kind, cache: None, ext: call.ext });
    }
    let mut ext = object.rest();
    ext.0.extend(marks);
    Ok(Message { role: Role::Assistant, content, ext })
}

fn tool_result(mut object: Object<'_>, calls: &mut Calls) -> Result<Message, Fault> {
    let mut content = Content::default();
    spoken(&mut object, &mut content)?;
    let mut marks = Vec::new();
    let tool = object.string("tool_name")?;
    // Older clients have it under this name.
    let older = object.peek("name").and_then(|raw| json::string(raw).ok());
    let said = object.string("tool_call_id")?;
    let call_id = match &said {
        Some(id) if calls.name(id).is_some() => {
            calls.answer(id);
            id.clone().into_owned()
        }
        // Clients leave the ids of calls out that they have themselves, and send them with the results.
        _ => {
            let next = calls.answer_next(tool.as_deref().or(older.as_deref()));
            match (&said, &next) {
                (Some(id), Some(_)) => marks.push((kept::CALL_ID.to_owned(), Raw::string(id))),
                (None, _) if object.peek("tool_call_id").is_none() => {
                    marks.push(kept::marked("tool_call_id"));
                }
                _ => {}
            }
            next.or_else(|| said.as_deref().map(str::to_owned)).unwrap_or_default()
        }
    };
    match tool {
        Some(tool) if calls.name(&call_id) == Some(tool.as_ref()) => marks.push(kept::marked("tool_name")),
        Some(tool) => marks.push(("tool_name".to_owned(), Raw::string(&tool))),
        None => {}
    }
    let result = Part::new(PartKind::ToolResult { call_id, content, is_error: None });
    let content = Content { parts: vec![result], form: Form::List };
    let mut ext = object.rest();
    ext.0.extend(marks);
    Ok(Message { role: Role::Tool, content, ext })
}

/// Pictures and text, in the order in which the server gives them to the model.
fn spoken(object: &mut Object<'_>, content: &mut Content) -> Result<(), Fault> {
    // An empty list stays where it is.
    let filled = object.peek("images").is_some_and(|raw| raw.get() != "[]");
    let images = if filled { object.take_some("images") } else { None };
    if let Some(raw) = images {
        for text in texts(raw).map_err(|fault| fault.under("images"))? {
            content.parts.push(Part::new(PartKind::Image(pictures::picture(&text))));
        }
    }
    content.form = match object.take("content") {
        None => Form::Absent,
        Some(raw) if raw.get() == "null" => Form::Null,
        Some(raw) => {
            let text = json::string(raw).map_err(|fault| fault.under("content"))?;
            if !text.is_empty() {
                content.parts.push(Part::text(text));
            }
            Form::Bare
        }
    };
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::request_decode::decode_request;
    use super::*;
    use crate::{Dialect, Encoding, Losses, Quirks};

    #[test]
    fn results_with_ids_that_no_call_has_answer_in_order() {
        let call = |name: &str| format!(r#"{{"function":{{"name":"{name}","arguments":{{}}}}}}"#);
        let body = format!(
            r#"{{"model":"m","messages":[{{"role":"assistant","tool_calls":[{},{}]}},
                {{"role":"tool","tool_call_id":"one","content":"1"}},
                {{"role":"tool","tool_call_id":"two","content":"2"}},
                {{"role":"tool","tool_call_id":"three","content":"3"}}]}}"#,
            call("weather"),
            call("clock"),
        );
        let request = decode_request(body.as_bytes()).unwrap();
        let parts = request.messages.iter().flat_map(|message| &message.content.parts);
        let ids: Vec<&str> = parts
            .map(|part| match &part.kind {
                PartKind::ToolCall { id, .. } => id.as_str(),
                PartKind::ToolResult { call_id, .. } => call_id.as_str(),
                other => panic!("{other:?}"),
            })
            .collect();
        let (first, second) = ("call_ollama_0", "call_ollama_1");
        assert_eq!(ids, [first, second, first, second, "three"], "what answers nothing keeps its id");
        let encoding = Encoding { model: "m", quirks: &Quirks::default(), output_tokens_max: None };
        let again = Dialect::Ollama.encode_request(&request, &encoding, &mut Losses::default());
        let again = String::from_utf8(again).unwrap();
        for id in ["one", "two", "three"] {
            assert!(again.contains(&format!(r#""tool_call_id":"{id}""#)), "{again}");
        }
        assert!(!again.contains("call_ollama"), "{again}");
    }
}

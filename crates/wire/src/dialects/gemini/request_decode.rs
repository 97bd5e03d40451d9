//! Requests: bytes to meaning (<https://ai.google.dev/api/generate-content#method:-models.generatecontent>).

use serde_json::value::RawValue;

use super::{
    config_decode,
    notes::{Members, nest, note},
    part_decode::{self, Ids},
    schema::as_json_schema,
};
use crate::{
    Dialect, Fault,
    ir::{Content, Ext, Form, Message, Request, Role, Tool, ToolChoice, ToolKind},
    json::{self, Object, ObjectWriter, Raw, write_array, write_string},
};

/// Reads a request. The address names its model.
pub(super) fn decode_request(body: &[u8]) -> Result<Request, Fault> {
    let mut members = Members::new(Object::parse(body)?);
    let mut request = Request::new(Dialect::Gemini, "");
    let mut ids = Ids::default();
    if let Some(object) = members.object("systemInstruction")? {
        let message = content(object, Some(Role::System), &mut ids);
        request.messages.push(message.map_err(|fault| fault.under("systemInstruction"))?);
    }
    for (at, raw) in members.list("contents")?.unwrap_or_default().into_iter().enumerate() {
        let message = Members::from_raw(raw).and_then(|object| content(object, None, &mut ids));
        request.messages.push(message.map_err(|fault| fault.under(&format!("contents[{at}]")))?);
    }
    if members.peek("contents").is_none() && request.messages.is_empty() {
        return Err(Fault::invalid("contents", "is missing"));
    }
    let mut inner = Ext::default();
    for (at, raw) in members.list("tools")?.unwrap_or_default().into_iter().enumerate() {
        tools(raw, at, &mut request.tools).map_err(|fault| fault.under(&format!("tools[{at}]")))?;
    }
    if let Some(mut config) = members.object("toolConfig")? {
        let calling = config.object("functionCallingConfig").map_err(|fault| fault.under("toolConfig"))?;
        if let Some(calling) = calling {
            let (choice, rest) = choice(calling).map_err(|fault| fault.under("toolConfig"))?;
            request.tool_choice = Some(choice);
            nest(&mut inner, "functionCallingConfig", rest);
        }
        inner.0.extend(config.rest().0);
        note(&mut inner, "there", "");
    }
    if let Some(config) = members.object("generationConfig")? {
        config_decode::read(config, &mut request).map_err(|fault| fault.under("generationConfig"))?;
    }
    let mut ext = members.rest();
    nest(&mut ext, "toolConfig", inner);
    ext.0.append(&mut request.ext.0);
    request.ext = ext;
    Ok(request)
}

/// Reads one content. Instructions stand apart.
fn content(mut object: Members<'_>, apart: Option<Role>, ids: &mut Ids) -> Result<Message, Fault> {
    let said = object.string("role")?;
    let role = match (apart, said.as_deref()) {
        (Some(role), _) => role,
        (None, Some("model")) => Role::Assistant,
        (None, Some("function")) => Role::Tool,
        (None, _) => Role::User,
    };
    let list = object.list("parts")?;
    let form = if list.is_some() { Form::List } else { Form::Absent };
    let parts = part_decode::parts(list.unwrap_or_default(), ids)?;
    match said {
        // The usual roles need no note.
        Some(said) if apart.is_none() && matches!(said.as_ref(), "user" | "model" | "function") => {}
        Some(said) => object.note("role", &said),
        None => object.note("role", ""),
    }
    Ok(Message { role, content: Content { parts, form }, ext: object.rest() })
}

/// Reads one entry of the list of tools, which may hold many functions and tools of the provider's own.
fn tools(raw: &RawValue, entry: usize, list: &mut Vec<Tool>) -> Result<(), Fault> {
    let mut object = Members::from_raw(raw)?;
    let functions = object.list("functionDeclarations")?.unwrap_or_default();
    let before = list.len();
    for (at, raw) in functions.into_iter().enumerate() {
        let mut tool = function(raw).map_err(|fault| fault.under(&format!("functionDeclarations[{at}]")))?;
        note(&mut tool.ext, "entry", &entry.to_string());
        list.push(tool);
    }
    let mut rest = object.rest();
    let notes: Vec<_> =
        rest.0.extract_if(.., |(name, raw)| crate::ir::is_hint(name) || raw.is_null()).collect();
    for (name, value) in rest.0 {
        let mut ext = Ext::default();
        note(&mut ext, "entry", &entry.to_string());
        list.push(Tool { kind: ToolKind::Opaque { name, value }, cache: None, ext });
    }
    // What says nothing stands with the first of the entry.
    match list.get_mut(before) {
        Some(first) => nest(&mut first.ext, "entry", Ext(notes)),
        None => {
            let kind = ToolKind::Opaque { name: String::new(), value: Raw::new(raw) };
            list.push(Tool { kind, cache: None, ext: Ext::default() });
        }
    }
    Ok(())
}

/// Reads a function. Its parameters are a schema of the API's own, or JSON Schema.
fn function(raw: &RawValue) -> Result<Tool, Fault> {
    let mut object = Members::from_raw(raw)?;
    let name = object.string("name")?.ok_or_else(|| Fault::invalid("name", "is missing"))?;
    let description = object.string("description")?.map(Into::into);
    let schema = match (object.take("parameters"), object.peek("parametersJsonSchema")) {
        (Some(raw), None) => {
            let schema = as_json_schema(raw);
            if schema.is_some() {
                object.note("parameters", raw.get());
            }
            Some(schema.unwrap_or_else(|| Raw::new(raw)))
        }
        (None, Some(_)) => {
            object.note("schema", "json");
            object.take("parametersJsonSchema").map(Raw::new)
        }
        (both, _) => {
            if let Some(raw) = both {
                object.note("parameters", raw.get());
            }
            None
        }
    };
    let kind = ToolKind::Function { name: name.into_owned(), description, schema, strict: None };
    Ok(Tool { kind, cache: None, ext: object.rest() })
}

/// Which functions may be called, or must be
/// (<https://ai.google.dev/api/caching#FunctionCallingConfig>).
fn choice(mut object: Members<'_>) -> Result<(ToolChoice, Ext), Fault> {
    let mode = object.string("mode")?.unwrap_or_default();
    let names = object.list("allowedFunctionNames")?;
    let names: Option<Vec<String>> = names
        .map(|list| list.into_iter().map(|raw| json::string(raw).map(Into::into)).collect())
        .transpose()
        .map_err(|fault: Fault| fault.under("allowedFunctionNames"))?;
    let upper = mode.to_ascii_uppercase();
    if upper != mode {
        object.note("mode", &mode);
    }
    let choice = match (upper.as_str(), names.as_deref()) {
        ("AUTO", None) => ToolChoice::Auto,
        ("NONE", None) => ToolChoice::None,
        ("ANY", None) => ToolChoice::Required,
        ("ANY", Some([name])) => ToolChoice::Named(name.clone()),
        (_, names) => {
            let mut out = Vec::new();
            let mut whole = ObjectWriter::open(&mut out);
            if !mode.is_empty() {
                whole.string("mode", &mode);
            }
            if let Some(names) = names {
                write_array(whole.key("allowedFunctionNames"), names, |out, name| write_string(out, name));
            }
            whole.close();
            Raw::parse(&String::from_utf8_lossy(&out)).map_or(ToolChoice::Auto, ToolChoice::Opaque)
        }
    };
    Ok((choice, object.rest()))
}

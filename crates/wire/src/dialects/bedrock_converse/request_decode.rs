//! Requests: bytes to meaning. The address names the model and whether to stream.

use serde_json::value::RawValue;

use super::{block_decode, cache_point, config_decode};
use crate::{
    Dialect, Fault,
    ir::{Content, Ext, Form, Message, Request, Role, Tool, ToolChoice, ToolKind},
    json::{Object, Raw},
    kept,
};

/// Reads a request.
pub(super) fn decode_request(body: &[u8]) -> Result<Request, Fault> {
    let mut object = Object::parse(body)?;
    let mut request = Request::new(Dialect::BedrockConverse, "");
    let mut rest = Ext::default();
    let system = filled_list(&mut object, "system", &mut rest)?;
    if !system.is_empty() {
        let parts = block_decode::blocks(system).map_err(|fault| fault.under("system"))?;
        let content = Content { parts, form: Form::List };
        request.messages.push(Message { role: Role::System, content, ext: Ext::default() });
    }
    for (at, raw) in filled_list(&mut object, "messages", &mut rest)?.into_iter().enumerate() {
        let message = message(raw).map_err(|fault| fault.under(&format!("messages[{at}]")))?;
        request.messages.push(message);
    }
    if let Some(config) = object.object("toolConfig")? {
        read_tools(config, &mut request, &mut rest).map_err(|fault| fault.under("toolConfig"))?;
    }
    config_decode::read(&mut object, &mut request, &mut rest)?;
    request.ext = object.rest();
    request.ext.0.append(&mut rest.0);
    Ok(request)
}

/// A list; one that is empty says nothing, and is kept as it is.
fn filled_list<'a>(object: &mut Object<'a>, name: &str, rest: &mut Ext) -> Result<Vec<&'a RawValue>, Fault> {
    let list = object.array(name)?;
    if list.as_ref().is_some_and(Vec::is_empty) {
        rest.0.extend(Raw::parse("[]").map(|raw| (name.to_owned(), raw)));
    }
    Ok(list.unwrap_or_default())
}

fn message(raw: &RawValue) -> Result<Message, Fault> {
    let mut object = Object::from_raw(raw)?;
    let role = object.string("role")?.ok_or_else(|| Fault::invalid("role", "is missing"))?;
    let (role, among) = match role.as_ref() {
        "user" => (Role::User, false),
        "assistant" => (Role::Assistant, false),
        // Instructions among the turns, which are not those of the member `system`.
        "system" => (Role::System, true),
        other => {
            return Err(Fault::invalid("role", format!("\"{other}\" is no role; use user or assistant")));
        }
    };
    let content = block_decode::content(&mut object)?;
    let mut ext = object.rest();
    if among {
        ext.0.push(("role".to_owned(), kept::stood()));
    }
    Ok(Message { role, content, ext })
}

fn read_tools(mut config: Object<'_>, request: &mut Request, rest: &mut Ext) -> Result<(), Fault> {
    let mut left = Ext::default();
    for (at, raw) in filled_list(&mut config, "tools", &mut left)?.into_iter().enumerate() {
        let under = |fault: Fault| fault.under(&format!("tools[{at}]"));
        let object = Object::from_raw(raw).map_err(under)?;
        let marked = request
            .tools
            .last_mut()
            .filter(|last| last.cache.is_none() && matches!(last.kind, ToolKind::Function { .. }));
        match (cache_point::read(&object), marked) {
            (Some(mark), Some(last)) => last.cache = Some(mark),
            _ => request.tools.push(tool(raw, object).map_err(under)?),
        }
    }
    request.tool_choice = config.take_some("toolChoice").map(tool_choice);
    left.0.append(&mut config.rest().0);
    if !left.is_empty() || (request.tools.is_empty() && request.tool_choice.is_none()) {
        rest.0.push(("toolConfig".to_owned(), kept::object_of(&left)));
    }
    Ok(())
}

fn tool(raw: &RawValue, mut object: Object<'_>) -> Result<Tool, Fault> {
    let Some(mut spec) = object.object("toolSpec")? else {
        let name = object.iter().next().map_or_else(String::new, |(name, _)| name.to_owned());
        let kind = ToolKind::Opaque { name, value: Raw::new(raw) };
        return Ok(Tool { kind, cache: None, ext: Ext::default() });
    };
    let kind = tool_spec(&mut spec).map_err(|fault| fault.under("toolSpec"))?;
    let mut ext = object.rest();
    if !spec.is_empty() {
        ext.0.push(("toolSpec".to_owned(), kept::rest(spec)));
    }
    Ok(Tool { kind, cache: None, ext })
}

/// The schema stands in `inputSchema.json`; a schema in another form stays where it is.
fn tool_spec(spec: &mut Object<'_>) -> Result<ToolKind, Fault> {
    let name = spec.string("name")?.ok_or_else(|| Fault::invalid("name", "is missing"))?;
    let inner = spec.peek("inputSchema").and_then(|raw| Object::from_raw(raw).ok());
    let schema = inner.and_then(|mut inner| inner.take_some("json").filter(|_| inner.is_empty()));
    if schema.is_some() {
        spec.take("inputSchema");
    }
    Ok(ToolKind::Function {
        name: name.into_owned(),
        description: spec.string("description")?.map(Into::into),
        schema: schema.map(Raw::new),
        strict: spec.boolean("strict")?,
    })
}

fn tool_choice(raw: &RawValue) -> ToolChoice {
    known_choice(raw).unwrap_or_else(|| ToolChoice::Opaque(Raw::new(raw)))
}

/// `{"auto": {}}`, `{"any": {}}` or `{"tool": {"name": …}}`, where nothing else stands in it.
fn known_choice(raw: &RawValue) -> Option<ToolChoice> {
    let mut object = Object::from_raw(raw).ok()?;
    let name = object.iter().next()?.0.to_owned();
    let mut inner = object.object(&name).ok()??;
    let choice = match name.as_str() {
        "auto" => ToolChoice::Auto,
        "any" => ToolChoice::Required,
        "tool" => ToolChoice::Named(inner.string("name").ok()??.into_owned()),
        _ => return None,
    };
    (object.is_empty() && inner.is_empty()).then_some(choice)
}

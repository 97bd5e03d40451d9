//! Requests: bytes to meaning.

use serde_json::value::RawValue;

use super::{item_decode::item, words::rest_raw};
use crate::{
    Dialect, Fault,
    dialects::openai_chat,
    ir::{Content, Effort, Ext, Message, OutputFormat, Reasoning, Request, Role, Tool, ToolChoice, ToolKind},
    json::{self, Object, Raw},
};

/// Reads a request.
pub(super) fn decode_request(body: &[u8]) -> Result<Request, Fault> {
    let mut object = Object::parse(body)?;
    let model = object.string("model")?.ok_or_else(|| Fault::invalid("model", "is missing"))?;
    let mut request = Request::new(Dialect::OpenaiResponses, model);
    read_input(&mut object, &mut request)?;
    let no_tools = object.peek("tools").filter(|raw| raw.get() == "[]");
    for (at, raw) in object.array("tools")?.unwrap_or_default().into_iter().enumerate() {
        request.tools.push(tool(raw).map_err(|fault| fault.under(&format!("tools[{at}]")))?);
    }
    if let Some(raw) = object.take_some("tool_choice") {
        request.tool_choice = Some(tool_choice(raw));
    }
    request.parallel_tool_calls = object.boolean("parallel_tool_calls")?;
    request.output_tokens_max = object.unsigned("max_output_tokens")?;
    request.temperature = object.number("temperature")?;
    request.top_p = object.number("top_p")?;
    request.top_logprobs = object.unsigned("top_logprobs")?;
    request.user = object.string("user")?.map(Into::into);
    request.metadata = object.take_some("metadata").map(Raw::new);
    request.stream = object.boolean("stream")?;
    let reasoning = object.object("reasoning")?;
    request.reasoning = reasoning.map(reasoning_of).transpose().map_err(|fault| fault.under("reasoning"))?;
    let text = match object.object("text")? {
        Some(text) => read_text(text, &mut request).map_err(|fault| fault.under("text"))?,
        None => None,
    };
    request.ext = object.rest();
    request.ext.0.extend(no_tools.map(|raw| ("tools".to_owned(), Raw::new(raw))));
    request.ext.0.extend(text.map(|rest| ("text".to_owned(), rest)));
    Ok(request)
}

/// `instructions` and `input`, which is a string or a list of items.
fn read_input(object: &mut Object<'_>, request: &mut Request) -> Result<(), Fault> {
    let hint = |name: &str| Ext(Raw::parse("{}").map(|raw| (name.to_owned(), raw)).into_iter().collect());
    let instructions = object.peek("instructions").filter(|raw| raw.get().starts_with('"'));
    if let Some(raw) = instructions {
        object.take("instructions");
        let content = Content::bare(json::string(raw)?);
        request.messages.push(Message { role: Role::System, content, ext: hint("instructions") });
    }
    let Some(input) = object.take_some("input") else { return Ok(()) };
    if input.get().starts_with('"') {
        let content = Content::bare(json::string(input)?);
        request.messages.push(Message { role: Role::User, content, ext: hint("input") });
        return Ok(());
    }
    let items = json::array(input).map_err(|_| {
        let message = format!("must be a string or a list of items, not {}", json::kind_of(input));
        Fault::invalid("input", message)
    })?;
    for (at, raw) in items.into_iter().enumerate() {
        request.messages.push(item(raw).map_err(|fault| fault.under(&format!("input[{at}]")))?);
    }
    Ok(())
}

fn tool(raw: &RawValue) -> Result<Tool, Fault> {
    let mut object = Object::from_raw(raw)?;
    let kind = object.peek("type").map(json::string).transpose()?.unwrap_or_default();
    if kind != "function" {
        let kind = ToolKind::Opaque { name: kind.into_owned(), value: Raw::new(raw) };
        return Ok(Tool { kind, cache: None, ext: Ext::default() });
    }
    object.take("type");
    let name = object.string("name")?.ok_or_else(|| Fault::invalid("name", "is missing"))?;
    let kind = ToolKind::Function {
        name: name.into_owned(),
        description: object.string("description")?.map(Into::into),
        schema: object.take_some("parameters").map(Raw::new),
        strict: object.boolean("strict")?,
    };
    Ok(Tool { kind, cache: None, ext: object.rest() })
}

fn tool_choice(raw: &RawValue) -> ToolChoice {
    match raw.get() {
        "\"auto\"" => ToolChoice::Auto,
        "\"none\"" => ToolChoice::None,
        "\"required\"" => ToolChoice::Required,
        _ => named_tool(raw).map_or_else(|| ToolChoice::Opaque(Raw::new(raw)), ToolChoice::Named),
    }
}

/// The name in `{"type": "function", "name": …}`, where nothing else stands in it.
fn named_tool(raw: &RawValue) -> Option<String> {
    let mut object = Object::from_raw(raw).ok()?;
    let name = object.string("name").ok()??.into_owned();
    let kind = object.string("type").ok()??;
    (kind == "function" && object.is_empty()).then_some(name)
}

fn reasoning_of(mut object: Object<'_>) -> Result<Reasoning, Fault> {
    let effort = object.string("effort")?.map(|effort| openai_chat::effort(&effort));
    let enabled = effort.as_ref().and_then(|effort| (*effort == Effort::None).then_some(false));
    Ok(Reasoning { enabled, effort, budget_tokens: None, ext: object.rest() })
}

/// `text.format` goes to the request; what stands beside it is kept, and so is the fact that nothing does.
fn read_text(mut text: Object<'_>, request: &mut Request) -> Result<Option<Raw>, Fault> {
    if let Some(raw) = text.take_some("format") {
        request.output = Some(format(raw).map_err(|fault| fault.under("format"))?);
    }
    Ok((request.output.is_none() || !text.is_empty()).then(|| rest_raw(text)))
}

fn format(raw: &RawValue) -> Result<OutputFormat, Fault> {
    let mut object = Object::from_raw(raw)?;
    let kind = object.string("type")?.unwrap_or_default();
    match (kind.as_ref(), object.is_empty()) {
        ("text", true) => Ok(OutputFormat::Text),
        ("json_object", true) => Ok(OutputFormat::JsonObject),
        ("json_schema", false) => Ok(OutputFormat::JsonSchema {
            name: object.string("name")?.map(Into::into),
            description: object.string("description")?.map(Into::into),
            schema: object.take_some("schema").map(Raw::new),
            strict: object.boolean("strict")?,
            ext: object.rest(),
        }),
        _ => Ok(OutputFormat::Opaque(Raw::new(raw))),
    }
}

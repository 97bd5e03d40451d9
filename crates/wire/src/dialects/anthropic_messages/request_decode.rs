//! Requests: bytes to meaning.

use serde_json::value::RawValue;

use super::block_decode::content;
use crate::{
    Dialect, Fault,
    ir::{
        Content, Effort, Ext, Form, Message, OutputFormat, Reasoning, Request, Role, Stops, Tool, ToolChoice,
        ToolKind,
    },
    json::{self, Object, ObjectWriter, Raw},
};

/// Reads a request.
pub fn decode_request(body: &[u8]) -> Result<Request, Fault> {
    let mut object = Object::parse(body)?;
    let model = object.string("model")?.ok_or_else(|| Fault::invalid("model", "is missing"))?;
    let mut request = Request::new(Dialect::AnthropicMessages, model);
    if let Some(raw) = object.take_some("system") {
        let content = content(raw).map_err(|fault| fault.under("system"))?;
        request.messages.push(Message { role: Role::System, content, ext: Ext::default() });
    }
    let messages = object.array("messages")?.ok_or_else(|| Fault::invalid("messages", "is missing"))?;
    for (at, raw) in messages.into_iter().enumerate() {
        let message = message(raw).map_err(|fault| fault.under(&format!("messages[{at}]")))?;
        request.messages.push(message);
    }
    let tools = object.array("tools")?;
    let no_tools = tools.as_ref().is_some_and(Vec::is_empty);
    for (at, raw) in tools.unwrap_or_default().into_iter().enumerate() {
        request.tools.push(tool(raw).map_err(|fault| fault.under(&format!("tools[{at}]")))?);
    }
    if let Some(raw) = object.take_some("tool_choice") {
        tool_choice(raw, &mut request).map_err(|fault| fault.under("tool_choice"))?;
    }
    request.output_tokens_max = object.unsigned("max_tokens")?;
    request.temperature = object.number("temperature")?;
    request.top_p = object.number("top_p")?;
    request.top_k = object.unsigned("top_k")?;
    request.stream = object.boolean("stream")?;
    if let Some(list) = object.array("stop_sequences")? {
        let text =
            |(at, raw)| json::string(raw).map_err(|fault| fault.under(&format!("stop_sequences[{at}]")));
        let texts: Result<Vec<_>, Fault> = list.into_iter().enumerate().map(text).collect();
        request.stop = Some(Stops { texts: texts?.into_iter().map(Into::into).collect(), bare: false });
    }
    let mut kept = Ext::default();
    read_metadata(&mut object, &mut request, &mut kept)?;
    read_thinking(&mut object, &mut request, &mut kept)?;
    request.ext = object.rest();
    request.ext.0.append(&mut kept.0);
    if no_tools {
        request.ext.0.push(("tools".to_owned(), Raw::parse("[]").expect("an empty list is JSON")));
    }
    Ok(request)
}

fn message(raw: &RawValue) -> Result<Message, Fault> {
    let mut object = Object::from_raw(raw)?;
    let role = object.string("role")?.ok_or_else(|| Fault::invalid("role", "is missing"))?;
    let role = match role.as_ref() {
        "user" => Role::User,
        "assistant" => Role::Assistant,
        "system" => Role::System,
        other => {
            return Err(Fault::invalid("role", format!("\"{other}\" is no role; use user or assistant")));
        }
    };
    let content = match object.take("content") {
        None => Content { parts: Vec::new(), form: Form::Absent },
        Some(raw) => content(raw).map_err(|fault| fault.under("content"))?,
    };
    Ok(Message { role, content, ext: object.rest() })
}

fn tool(raw: &RawValue) -> Result<Tool, Fault> {
    let mut object = Object::from_raw(raw)?;
    let kind = object.peek("type").map(json::string).transpose()?;
    if let Some(kind) = kind.filter(|kind| kind != "custom") {
        let kind = ToolKind::Opaque { name: kind.into_owned(), value: Raw::new(raw) };
        return Ok(Tool { kind, cache: None, ext: Ext::default() });
    }
    let name = object.string("name")?.ok_or_else(|| Fault::invalid("name", "is missing"))?.into_owned();
    let kind = ToolKind::Function {
        name,
        description: object.string("description")?.map(Into::into),
        schema: object.take_some("input_schema").map(Raw::new),
        strict: object.boolean("strict")?,
    };
    let cache = object.take_some("cache_control").map(Raw::new);
    Ok(Tool { kind, cache, ext: object.rest() })
}

/// `disable_parallel_tool_use` stands in the choice here, and beside it elsewhere.
fn tool_choice(raw: &RawValue, request: &mut Request) -> Result<(), Fault> {
    let mut object = Object::from_raw(raw)?;
    let kind = object.string("type")?.unwrap_or_default();
    let parallel = object.boolean("disable_parallel_tool_use")?.map(|disabled| !disabled);
    let name = object.string("name")?;
    let choice = match (kind.as_ref(), name) {
        ("auto", None) => ToolChoice::Auto,
        ("any", None) => ToolChoice::Required,
        ("none", None) => ToolChoice::None,
        ("tool", Some(name)) => ToolChoice::Named(name.into_owned()),
        _ => ToolChoice::Opaque(Raw::new(raw)),
    };
    if !object.is_empty() {
        request.tool_choice = Some(ToolChoice::Opaque(Raw::new(raw)));
        return Ok(());
    }
    if !matches!(choice, ToolChoice::Opaque(_)) {
        request.parallel_tool_calls = parallel;
    }
    request.tool_choice = Some(choice);
    Ok(())
}

/// Keeps what is left of an object under its own name.
fn keep(name: &str, object: Object<'_>, kept: &mut Ext) {
    let mut text = Vec::new();
    let mut writer = ObjectWriter::open(&mut text);
    writer.ext(&object.rest());
    writer.close();
    if let Some(raw) = Raw::parse(&String::from_utf8_lossy(&text)) {
        kept.0.push((name.to_owned(), raw));
    }
}

fn read_metadata(object: &mut Object<'_>, request: &mut Request, kept: &mut Ext) -> Result<(), Fault> {
    let Some(mut metadata) = object.object("metadata")? else { return Ok(()) };
    request.user = metadata.string("user_id").map_err(|fault| fault.under("metadata"))?.map(Into::into);
    if !metadata.is_empty() || request.user.is_none() {
        keep("metadata", metadata, kept);
    }
    Ok(())
}

/// `thinking` and `output_config`, where effort and the answer's format stand.
fn read_thinking(object: &mut Object<'_>, request: &mut Request, kept: &mut Ext) -> Result<(), Fault> {
    let mut reasoning: Option<Reasoning> = None;
    if let Some(mut thinking) = object.object("thinking")? {
        let kind = thinking.string("type").map_err(|fault| fault.under("thinking"))?.unwrap_or_default();
        let budget_tokens = thinking.unsigned("budget_tokens").map_err(|fault| fault.under("thinking"))?;
        let mut ext = thinking.rest();
        ext.0.push(("type".to_owned(), Raw::string(&kind)));
        let enabled = Some(kind != "disabled");
        reasoning = Some(Reasoning { enabled, effort: None, budget_tokens, ext });
    }
    if let Some(mut config) = object.object("output_config")? {
        if let Some(effort) = config.string("effort").map_err(|fault| fault.under("output_config"))? {
            reasoning.get_or_insert_default().effort = Some(match effort.as_ref() {
                "low" => Effort::Low,
                "medium" => Effort::Medium,
                "high" => Effort::High,
                other => Effort::Other(other.to_owned()),
            });
        }
        if let Some(raw) = config.take_some("format") {
            request.output = Some(output_format(raw)?);
        }
        if !config.is_empty() || (reasoning.is_none() && request.output.is_none()) {
            keep("output_config", config, kept);
        }
    }
    request.reasoning = reasoning;
    Ok(())
}

fn output_format(raw: &RawValue) -> Result<OutputFormat, Fault> {
    let mut object = Object::from_raw(raw)?;
    let kind = object.string("type")?;
    let Some(schema) = object.take_some("schema").filter(|_| kind.as_deref() == Some("json_schema")) else {
        return Ok(OutputFormat::Opaque(Raw::new(raw)));
    };
    Ok(OutputFormat::JsonSchema {
        name: None,
        description: None,
        schema: Some(Raw::new(schema)),
        strict: None,
        ext: object.rest(),
    })
}

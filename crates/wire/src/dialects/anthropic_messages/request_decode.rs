//! Requests: bytes to meaning.

use serde_json::value::RawValue;

use super::{block_decode::content, kept};
use crate::{
    Dialect, Fault,
    ir::{
        Content, Effort, Ext, Form, Message, OutputFormat, Reasoning, Request, Role, Stops, Tool, ToolChoice,
        ToolKind,
    },
    json::{self, Object, Raw},
};

/// Reads a request.
pub(super) fn decode_request(body: &[u8]) -> Result<Request, Fault> {
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
    let mut rest = Ext::default();
    read_metadata(&mut object, &mut request, &mut rest)?;
    read_thinking(&mut object, &mut request, &mut rest)?;
    request.ext = object.rest();
    request.ext.0.append(&mut rest.0);
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
        "system" => {
            // Instructions among the turns, which are not those of the member `system`.
            let mut message =
                Message { role: Role::System, content: read_content(&mut object)?, ext: object.rest() };
            message.ext.0.push(("role".to_owned(), kept::stood()));
            return Ok(message);
        }
        other => {
            return Err(Fault::invalid("role", format!("\"{other}\" is no role; use user or assistant")));
        }
    };
    Ok(Message { role, content: read_content(&mut object)?, ext: object.rest() })
}

fn read_content(object: &mut Object<'_>) -> Result<Content, Fault> {
    match object.take("content") {
        None => Ok(Content { parts: Vec::new(), form: Form::Absent }),
        Some(raw) => content(raw).map_err(|fault| fault.under("content")),
    }
}

fn tool(raw: &RawValue) -> Result<Tool, Fault> {
    let mut object = Object::from_raw(raw)?;
    let kind = object.string("type")?;
    let custom = kind.as_deref() == Some("custom");
    if let Some(kind) = kind.filter(|_| !custom) {
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
    let mut ext = object.rest();
    if custom {
        // The type of one's own tools may be left out.
        ext.0.push(("type".to_owned(), kept::stood()));
    }
    Ok(Tool { kind, cache, ext })
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

fn read_metadata(object: &mut Object<'_>, request: &mut Request, rest: &mut Ext) -> Result<(), Fault> {
    let Some(mut metadata) = object.object("metadata")? else { return Ok(()) };
    request.user = metadata.string("user_id").map_err(|fault| fault.under("metadata"))?.map(Into::into);
    if !metadata.is_empty() || request.user.is_none() {
        rest.0.push(("metadata".to_owned(), kept::rest(metadata)));
    }
    Ok(())
}

/// `thinking` and `output_config`, where effort and the answer's format stand.
fn read_thinking(object: &mut Object<'_>, request: &mut Request, rest: &mut Ext) -> Result<(), Fault> {
    let mut reasoning: Option<Reasoning> = None;
    if let Some(mut thinking) = object.object("thinking")? {
        let kind = thinking.string("type").map_err(|fault| fault.under("thinking"))?;
        let budget_tokens = thinking.unsigned("budget_tokens").map_err(|fault| fault.under("thinking"))?;
        let mut ext = thinking.rest();
        ext.0.extend(kind.as_ref().map(|kind| ("type".to_owned(), Raw::string(kind))));
        let enabled = Some(kind.as_deref() != Some("disabled"));
        reasoning = Some(Reasoning { enabled, effort: None, budget_tokens, ext });
    }
    request.reasoning = reasoning;
    if let Some(config) = object.object("output_config")? {
        read_output_config(config, request, rest).map_err(|fault| fault.under("output_config"))?;
    }
    // The older name of `output_config.format`
    // (https://docs.anthropic.com/en/docs/build-with-claude/structured-outputs).
    if request.output.is_none()
        && let Some(raw) = object.take_some("output_format")
    {
        request.output = Some(output_format(raw).map_err(|fault| fault.under("output_format"))?);
        rest.0.push(("output_format".to_owned(), kept::stood()));
    }
    Ok(())
}

fn read_output_config(mut config: Object<'_>, request: &mut Request, rest: &mut Ext) -> Result<(), Fault> {
    let effort = config.string("effort")?;
    let format = config.take_some("format").map(output_format).transpose();
    request.output = format.map_err(|fault| fault.under("format"))?;
    if !config.is_empty() || (effort.is_none() && request.output.is_none()) {
        rest.0.push(("output_config".to_owned(), kept::rest(config)));
    }
    if let Some(effort) = effort {
        request.reasoning.get_or_insert_default().effort = Some(match effort.as_ref() {
            "low" => Effort::Low,
            "medium" => Effort::Medium,
            "high" => Effort::High,
            other => Effort::Other(other.to_owned()),
        });
    }
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

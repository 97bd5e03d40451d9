//! Requests: bytes to meaning.

use serde_json::value::RawValue;

use super::{message_decode::message, words};
use crate::{
    Dialect, Fault, OutputLimit,
    ir::{Ext, OutputFormat, Reasoning, Request, Stops, Tool, ToolChoice, ToolKind},
    json::{self, Object, Raw},
};

/// Reads a request.
pub(super) fn decode_request(body: &[u8]) -> Result<Request, Fault> {
    let mut object = Object::parse(body)?;
    let model = object.string("model")?.ok_or_else(|| Fault::invalid("model", "is missing"))?;
    let mut request = Request::new(Dialect::OpenaiChat, model);
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
        request.tool_choice = Some(tool_choice(raw));
    }
    request.parallel_tool_calls = object.boolean("parallel_tool_calls")?;
    read_limit(&mut object, &mut request)?;
    read_sampling(&mut object, &mut request)?;
    if let Some(raw) = object.take_some("response_format") {
        request.output = Some(output_format(raw).map_err(|fault| fault.under("response_format"))?);
    }
    if let Some(effort) = object.string("reasoning_effort")? {
        let effort = Some(words::effort(&effort));
        request.reasoning = Some(Reasoning { effort, ..Reasoning::default() });
    }
    request.user = object.string("user")?.map(Into::into);
    request.metadata = object.take_some("metadata").map(Raw::new);
    request.stream = object.boolean("stream")?;
    let options = stream_options(&mut object, &mut request)?;
    request.ext = object.rest();
    request.ext.0.extend(options);
    if no_tools {
        request.ext.0.push(("tools".to_owned(), Raw::parse("[]").expect("an empty list is JSON")));
    }
    Ok(request)
}

/// `max_completion_tokens` and its older name; where both stand, the older stays as it is.
fn read_limit(object: &mut Object<'_>, request: &mut Request) -> Result<(), Fault> {
    let newer = object.unsigned("max_completion_tokens")?;
    let limit = match newer {
        Some(limit) => Some((limit, OutputLimit::MaxCompletionTokens)),
        None => object.unsigned("max_tokens")?.map(|limit| (limit, OutputLimit::MaxTokens)),
    };
    request.output_tokens_max = limit.map(|(limit, _)| limit);
    request.output_limit_name = limit.map(|(_, name)| name);
    Ok(())
}

fn read_sampling(object: &mut Object<'_>, request: &mut Request) -> Result<(), Fault> {
    request.temperature = object.number("temperature")?;
    request.top_p = object.number("top_p")?;
    // Not OpenAI's, but vLLM, OpenRouter and others take it.
    request.top_k = object.unsigned("top_k")?;
    request.frequency_penalty = object.number("frequency_penalty")?;
    request.presence_penalty = object.number("presence_penalty")?;
    request.seed = object.signed("seed")?;
    request.choices = object.unsigned("n")?;
    request.logprobs = object.boolean("logprobs")?;
    request.top_logprobs = object.unsigned("top_logprobs")?;
    if let Some(raw) = object.take_some("stop") {
        request.stop = Some(stops(raw).map_err(|fault| fault.under("stop"))?);
    }
    Ok(())
}

fn stops(raw: &RawValue) -> Result<Stops, Fault> {
    if raw.get().starts_with('"') {
        return Ok(Stops { texts: vec![json::string(raw)?.into_owned()], bare: true });
    }
    let text = |(at, raw)| json::string(raw).map_err(|fault| fault.under(&format!("[{at}]")));
    let texts: Result<Vec<_>, Fault> = json::array(raw)?.into_iter().enumerate().map(text).collect();
    Ok(Stops { texts: texts?.into_iter().map(Into::into).collect(), bare: false })
}

/// `include_usage` goes to the request; what stands beside it is kept under the object's name.
fn stream_options(object: &mut Object<'_>, request: &mut Request) -> Result<Option<(String, Raw)>, Fault> {
    let Some(mut options) = object.object("stream_options")? else { return Ok(None) };
    request.include_usage =
        options.boolean("include_usage").map_err(|fault| fault.under("stream_options"))?;
    if options.is_empty() && request.include_usage.is_some() {
        return Ok(None);
    }
    Ok(Some(("stream_options".to_owned(), rest_object(options))))
}

/// What is left of an object, as an object.
pub(in crate::dialects) fn rest_object(object: Object<'_>) -> Raw {
    let mut text = Vec::new();
    let mut writer = json::ObjectWriter::open(&mut text);
    writer.ext(&object.rest());
    writer.close();
    Raw::parse(&String::from_utf8_lossy(&text)).expect("it is made of members that were JSON")
}

fn tool(raw: &RawValue) -> Result<Tool, Fault> {
    let mut object = Object::from_raw(raw)?;
    let kind = object.string("type")?.unwrap_or_default();
    if kind != "function" {
        let kind = ToolKind::Opaque { name: kind.into_owned(), value: Raw::new(raw) };
        return Ok(Tool { kind, cache: None, ext: Ext::default() });
    }
    let function = object.object("function")?;
    let mut function = function.ok_or_else(|| Fault::invalid("function", "is missing"))?;
    let kind = function_tool(&mut function).map_err(|fault| fault.under("function"))?;
    let cache = object.take_some("cache_control").map(Raw::new);
    let mut ext = object.rest();
    if !function.is_empty() {
        ext.0.push(("function".to_owned(), rest_object(function)));
    }
    Ok(Tool { kind, cache, ext })
}

fn function_tool(function: &mut Object<'_>) -> Result<ToolKind, Fault> {
    let name = function.string("name")?.ok_or_else(|| Fault::invalid("name", "is missing"))?;
    Ok(ToolKind::Function {
        name: name.into_owned(),
        description: function.string("description")?.map(Into::into),
        schema: function.take_some("parameters").map(Raw::new),
        strict: function.boolean("strict")?,
    })
}

fn tool_choice(raw: &RawValue) -> ToolChoice {
    match raw.get() {
        "\"auto\"" => ToolChoice::Auto,
        "\"none\"" => ToolChoice::None,
        "\"required\"" => ToolChoice::Required,
        _ => named_tool(raw).map_or_else(|| ToolChoice::Opaque(Raw::new(raw)), ToolChoice::Named),
    }
}

/// The name in `{"type": "function", "function": {"name": …}}`, where nothing else stands in it.
fn named_tool(raw: &RawValue) -> Option<String> {
    let mut object = Object::from_raw(raw).ok()?;
    let mut function = object.object("function").ok()??;
    let name = function.string("name").ok()??.into_owned();
    let kind = object.string("type").ok()??;
    (kind == "function" && object.is_empty() && function.is_empty()).then_some(name)
}

fn output_format(raw: &RawValue) -> Result<OutputFormat, Fault> {
    let mut object = Object::from_raw(raw)?;
    let kind = object.string("type")?.unwrap_or_default();
    match (kind.as_ref(), object.is_empty()) {
        ("text", true) => return Ok(OutputFormat::Text),
        ("json_object", true) => return Ok(OutputFormat::JsonObject),
        ("json_schema", false) => {}
        _ => return Ok(OutputFormat::Opaque(Raw::new(raw))),
    }
    let Some(mut schema) = object.object("json_schema")? else {
        return Ok(OutputFormat::Opaque(Raw::new(raw)));
    };
    if !object.is_empty() {
        return Ok(OutputFormat::Opaque(Raw::new(raw)));
    }
    Ok(OutputFormat::JsonSchema {
        name: schema.string("name")?.map(Into::into),
        description: schema.string("description")?.map(Into::into),
        schema: schema.take_some("schema").map(Raw::new),
        strict: schema.boolean("strict")?,
        ext: schema.rest(),
    })
}

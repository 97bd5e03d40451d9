//! Requests: bytes to meaning.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::{
    calls::{Calls, texts},
    kept,
    message_decode::message,
};
use crate::{
    Dialect, Fault,
    dialects::openai_chat,
    ir::{Ext, OutputFormat, Reasoning, Request, Stops, Tool, ToolKind},
    json::{self, Object, Raw},
};

/// Reads a request.
pub(super) fn decode_request(body: &[u8]) -> Result<Request, Fault> {
    let mut object = Object::parse(body)?;
    let model = object.string("model")?.ok_or_else(|| Fault::invalid("model", "is missing"))?;
    let mut request = Request::new(Dialect::Ollama, model);
    let mut marks = Vec::new();
    // Without messages the model is only loaded.
    if object.peek("messages").is_none() {
        marks.push(kept::marked("messages"));
    }
    let mut calls = Calls::default();
    for (at, raw) in object.array("messages")?.unwrap_or_default().into_iter().enumerate() {
        let message = message(raw, &mut calls).map_err(|fault| fault.under(&format!("messages[{at}]")))?;
        request.messages.push(message);
    }
    let filled = object.peek("tools").is_some_and(|raw| raw.get() != "[]");
    let tools = if filled { object.array("tools")? } else { None };
    for (at, raw) in tools.unwrap_or_default().into_iter().enumerate() {
        request.tools.push(tool(raw).map_err(|fault| fault.under(&format!("tools[{at}]")))?);
    }
    // This API streams unless it is told not to.
    if object.peek("stream").is_none() {
        marks.push(kept::marked("stream"));
    }
    request.stream = Some(object.boolean("stream")?.unwrap_or(true));
    request.output = object.take_some("format").map(output_format);
    if let Some(raw) = object.take_some("think") {
        request.reasoning = Some(reasoning(raw).map_err(|fault| fault.under("think"))?);
    }
    request.logprobs = object.boolean("logprobs")?;
    request.top_logprobs = object.unsigned("top_logprobs")?;
    if let Some(mut options) = object.object("options")? {
        read_options(&mut options, &mut request).map_err(|fault| fault.under("options"))?;
        marks.push(("options".to_owned(), kept::rest(options)));
    }
    request.ext = object.rest();
    request.ext.0.extend(marks);
    Ok(request)
}

/// What of the model's options has a place of its own
/// (<https://github.com/ollama/ollama/blob/main/docs/modelfile.mdx#valid-parameters-and-values>).
fn read_options(options: &mut Object<'_>, request: &mut Request) -> Result<(), Fault> {
    request.temperature = option(options, "temperature", "a number")?;
    request.top_p = option(options, "top_p", "a number")?;
    request.top_k = option(options, "top_k", "a whole number")?;
    // Below zero there is no limit.
    request.output_tokens_max = option(options, "num_predict", "a whole number")?;
    request.seed = option(options, "seed", "a whole number")?;
    request.frequency_penalty = option(options, "frequency_penalty", "a number")?;
    request.presence_penalty = option(options, "presence_penalty", "a number")?;
    if let Some(raw) = options.take_some("stop") {
        request.stop = Some(stops(raw).map_err(|fault| fault.under("stop"))?);
    }
    Ok(())
}

/// A number; one that does not fit stays where it is.
fn option<'a, T: Deserialize<'a>>(
    options: &mut Object<'a>,
    name: &str,
    wanted: &str,
) -> Result<Option<T>, Fault> {
    let Some(raw) = options.peek(name) else { return Ok(None) };
    if let Ok(value) = serde_json::from_str(raw.get()) {
        options.take(name);
        return Ok(Some(value));
    }
    match json::kind_of(raw) {
        "a number" | "null" => Ok(None),
        kind => Err(Fault::invalid(name, format!("must be {wanted}, not {kind}"))),
    }
}

fn stops(raw: &RawValue) -> Result<Stops, Fault> {
    if raw.get().starts_with('"') {
        return Ok(Stops { texts: vec![json::string(raw)?.into_owned()], bare: true });
    }
    Ok(Stops { texts: texts(raw)?.into_iter().map(Into::into).collect(), bare: false })
}

fn output_format(raw: &RawValue) -> OutputFormat {
    match raw.get() {
        "\"\"" => OutputFormat::Text,
        "\"json\"" => OutputFormat::JsonObject,
        text if text.starts_with('{') => OutputFormat::JsonSchema {
            name: None,
            description: None,
            schema: Some(Raw::new(raw)),
            strict: None,
            ext: Ext::default(),
        },
        _ => OutputFormat::Opaque(Raw::new(raw)),
    }
}

/// Whether to think, or how much (<https://docs.ollama.com/capabilities/thinking>).
fn reasoning(raw: &RawValue) -> Result<Reasoning, Fault> {
    let none = Reasoning::default();
    match raw.get() {
        "true" => Ok(Reasoning { enabled: Some(true), ..none }),
        "false" => Ok(Reasoning { enabled: Some(false), ..none }),
        text if text.starts_with('"') => {
            Ok(Reasoning { effort: Some(openai_chat::effort(&json::string(raw)?)), ..none })
        }
        _ => {
            let kind = json::kind_of(raw);
            Err(Fault::invalid("", format!("must be true, false, low, medium or high, not {kind}")))
        }
    }
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
    let mut ext = object.rest();
    if !function.is_empty() {
        ext.0.push(("function".to_owned(), kept::rest(function)));
    }
    Ok(Tool { kind, cache: None, ext })
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

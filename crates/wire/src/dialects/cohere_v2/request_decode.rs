//! Requests: bytes to meaning.

use serde_json::value::RawValue;

use super::{kept, message_decode::message};
use crate::{
    Dialect, Fault,
    ir::{Ext, OutputFormat, Reasoning, Request, Stops, Tool, ToolChoice, ToolKind},
    json::{self, Object, Raw},
};

/// Reads a request.
pub(super) fn decode_request(body: &[u8]) -> Result<Request, Fault> {
    let mut object = Object::parse(body)?;
    let model = object.string("model")?.ok_or_else(|| Fault::invalid("model", "is missing"))?;
    let mut request = Request::new(Dialect::CohereV2, model);
    let messages = object.array("messages")?.ok_or_else(|| Fault::invalid("messages", "is missing"))?;
    for (at, raw) in messages.into_iter().enumerate() {
        let message = message(raw).map_err(|fault| fault.under(&format!("messages[{at}]")))?;
        request.messages.push(message);
    }
    let mut rest = Ext::default();
    read_tools(&mut object, &mut request, &mut rest)?;
    read_sampling(&mut object, &mut request)?;
    if let Some(raw) = object.take_some("response_format") {
        request.output = Some(output_format(raw).map_err(|fault| fault.under("response_format"))?);
    }
    if let Some(thinking) = object.object("thinking")? {
        request.reasoning = Some(reasoning(thinking).map_err(|fault| fault.under("thinking"))?);
    }
    request.stream = object.boolean("stream")?;
    request.ext = object.rest();
    request.ext.0.append(&mut rest.0);
    Ok(request)
}

fn read_tools(object: &mut Object<'_>, request: &mut Request, rest: &mut Ext) -> Result<(), Fault> {
    let tools = object.array("tools")?;
    if tools.as_ref().is_some_and(Vec::is_empty) {
        rest.0.push(("tools".to_owned(), kept::list(&[])));
    }
    for (at, raw) in tools.unwrap_or_default().into_iter().enumerate() {
        request.tools.push(tool(raw).map_err(|fault| fault.under(&format!("tools[{at}]")))?);
    }
    // Strictness is of all tools here, and of each tool in the representation.
    let any = request.tools.iter().any(|tool| matches!(tool.kind, ToolKind::Function { .. }));
    if any && let Some(asked) = object.boolean("strict_tools")? {
        for tool in &mut request.tools {
            if let ToolKind::Function { strict, .. } = &mut tool.kind {
                *strict = Some(asked);
            }
        }
        rest.0.push(("strict_tools".to_owned(), kept::stood()));
    }
    if let Some(raw) = object.take_some("tool_choice") {
        request.tool_choice = Some(match raw.get() {
            "\"REQUIRED\"" => ToolChoice::Required,
            "\"NONE\"" => ToolChoice::None,
            _ => ToolChoice::Opaque(Raw::new(raw)),
        });
    }
    Ok(())
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
    let name = function.string("name")?.ok_or_else(|| Fault::invalid("function.name", "is missing"))?;
    let kind = ToolKind::Function {
        name: name.into_owned(),
        description: function.string("description")?.map(Into::into),
        schema: function.take_some("parameters").map(Raw::new),
        strict: None,
    };
    let mut ext = object.rest();
    if !function.is_empty() {
        ext.0.push(("function".to_owned(), kept::rest(function)));
    }
    Ok(Tool { kind, cache: None, ext })
}

fn read_sampling(object: &mut Object<'_>, request: &mut Request) -> Result<(), Fault> {
    request.output_tokens_max = object.unsigned("max_tokens")?;
    request.temperature = object.number("temperature")?;
    request.top_p = object.number("p")?;
    request.top_k = object.unsigned("k")?;
    request.frequency_penalty = object.number("frequency_penalty")?;
    request.presence_penalty = object.number("presence_penalty")?;
    request.seed = object.signed("seed")?;
    request.logprobs = object.boolean("logprobs")?;
    if let Some(list) = object.array("stop_sequences")? {
        let text =
            |(at, raw)| json::string(raw).map_err(|fault| fault.under(&format!("stop_sequences[{at}]")));
        let texts: Result<Vec<_>, Fault> = list.into_iter().enumerate().map(text).collect();
        request.stop = Some(Stops { texts: texts?.into_iter().map(Into::into).collect(), bare: false });
    }
    Ok(())
}

/// JSON with a schema or without: both are of the type `json_object`
/// (<https://docs.cohere.com/docs/structured-outputs>). Older clients call the schema `schema`.
fn output_format(raw: &RawValue) -> Result<OutputFormat, Fault> {
    let mut object = Object::from_raw(raw)?;
    let kind = object.string("type")?.unwrap_or_default();
    match (kind.as_ref(), object.is_empty()) {
        ("text", true) => return Ok(OutputFormat::Text),
        ("json_object", true) => return Ok(OutputFormat::JsonObject),
        ("json_object", false) => {}
        _ => return Ok(OutputFormat::Opaque(Raw::new(raw))),
    }
    let newer = object.take_some("json_schema");
    let older = if newer.is_none() { object.take_some("schema") } else { None };
    let Some(schema) = newer.or(older) else { return Ok(OutputFormat::Opaque(Raw::new(raw))) };
    let mut ext = object.rest();
    if newer.is_none() {
        ext.0.push(("schema".to_owned(), kept::stood()));
    }
    let schema = Some(Raw::new(schema));
    Ok(OutputFormat::JsonSchema { name: None, description: None, schema, strict: None, ext })
}

fn reasoning(mut thinking: Object<'_>) -> Result<Reasoning, Fault> {
    let enabled = match thinking.peek("type").map(RawValue::get) {
        Some("\"enabled\"") => Some(true),
        Some("\"disabled\"") => Some(false),
        // A word that is not known stays where it is.
        Some(_) | None => None,
    };
    if enabled.is_some() {
        thinking.take("type");
    }
    let budget_tokens = thinking.unsigned("token_budget")?;
    Ok(Reasoning { enabled, effort: None, budget_tokens, ext: thinking.rest() })
}

//! Requests: meaning to bytes.

use super::{kept, message_encode::MessageWriter};
use crate::{
    Dialect, Encoding, Losses, Sampling, crossing,
    ir::{Effort, OutputFormat, Request, Tool, ToolChoice, ToolKind},
    json::{ObjectWriter, write_array, write_string},
};

/// Writes a request.
pub(super) fn encode_request(request: &Request, encoding: &Encoding<'_>, losses: &mut Losses) -> Vec<u8> {
    let own = request.dialect == Dialect::CohereV2;
    let mut out = Vec::with_capacity(1024);
    let mut object = ObjectWriter::open(&mut out);
    object.string("model", encoding.model);
    let mut messages = Vec::with_capacity(request.messages.len());
    let mut writer = MessageWriter { own, losses };
    for (at, message) in request.messages.iter().enumerate() {
        writer.message(&mut messages, message, &format!("messages[{at}]"));
    }
    write_array(object.key("messages"), &messages, |out, message| out.extend_from_slice(message));
    write_tools(&mut object, request, own, losses);
    write_sampling(&mut object, request, encoding, own, losses);
    write_output(&mut object, request, own, losses);
    write_thinking(&mut object, request, own, losses);
    if let Some(stream) = request.stream {
        object.boolean("stream", stream);
    }
    if own {
        let placed = ["tools", "strict_tools"];
        for (name, value) in &request.ext.0 {
            let empty = name == "tools" && request.tools.is_empty();
            if empty || !placed.contains(&name.as_str()) {
                object.raw(name, value.text());
            }
        }
    } else {
        report(request, losses);
    }
    object.close();
    out
}

fn write_tools(object: &mut ObjectWriter<'_>, request: &Request, own: bool, losses: &mut Losses) {
    // There is no choice of one tool: it is the only one that is told.
    let only = match &request.tool_choice {
        Some(ToolChoice::Named(name)) if !own => Some(name.as_str()),
        _ => None,
    };
    if only.is_some() {
        losses.approximated("tool_choice", "only this tool is told, and one must be called");
    }
    let mut written: Vec<Vec<u8>> = Vec::with_capacity(request.tools.len());
    for (at, tool) in request.tools.iter().enumerate() {
        let named = |only: &str| matches!(&tool.kind, ToolKind::Function { name, .. } if name == only);
        if only.is_none_or(named) {
            written.extend(write_tool(tool, own, &format!("tools[{at}]"), losses));
        }
    }
    if !written.is_empty() {
        write_array(object.key("tools"), &written, |out, tool| out.extend_from_slice(tool));
    }
    let strict = |tool: &Tool| matches!(tool.kind, ToolKind::Function { strict: Some(true), .. });
    match request.ext.get("strict_tools").filter(|_| own) {
        Some(kept) if !kept.is_null() => object.boolean("strict_tools", request.tools.iter().any(strict)),
        Some(_) => object.raw("strict_tools", "null"),
        None if !own && !written.is_empty() && request.tools.iter().all(strict) => {
            object.boolean("strict_tools", true);
        }
        None => {}
    }
    match &request.tool_choice {
        Some(_) if !own && written.is_empty() => {}
        Some(ToolChoice::Required | ToolChoice::Named(_)) => object.string("tool_choice", "REQUIRED"),
        Some(ToolChoice::None) => object.string("tool_choice", "NONE"),
        Some(ToolChoice::Opaque(raw)) if own => object.raw("tool_choice", raw.text()),
        Some(ToolChoice::Opaque(_)) => losses.dropped("tool_choice", "the target has no such choice"),
        Some(ToolChoice::Auto) | None => {}
    }
    if request.parallel_tool_calls == Some(false) && !own {
        losses.dropped("parallel_tool_calls", "the model decides by itself how many tools to call");
    }
}

fn write_tool(tool: &Tool, own: bool, path: &str, losses: &mut Losses) -> Option<Vec<u8>> {
    let (name, description, schema) = match &tool.kind {
        ToolKind::Opaque { value, .. } if own => return Some(value.text().as_bytes().to_vec()),
        ToolKind::Opaque { name, .. } => {
            losses.dropped(format!("{path}.{name}"), "a tool that only its own provider runs");
            return None;
        }
        ToolKind::Function { name, description, schema, .. } => (name, description, schema),
    };
    let mut out = Vec::with_capacity(256);
    let mut object = ObjectWriter::open(&mut out);
    object.string("type", "function");
    let mut function = ObjectWriter::open(object.key("function"));
    function.string("name", name);
    if let Some(description) = description {
        function.string("description", description);
    }
    match schema {
        Some(schema) => function.raw("parameters", schema.text()),
        None if own => {}
        None => function.raw("parameters", "{\"type\":\"object\",\"properties\":{}}"),
    }
    if own {
        kept::write(&mut function, tool.ext.get("function"));
    }
    function.close();
    if own {
        super::message_encode::write_kept(&mut object, &tool.ext, "function");
    } else {
        if tool.cache.is_some() {
            losses.approximated(format!("{path}.cache"), "prompt caching is automatic there");
        }
        losses.ext(path, &tool.ext);
    }
    object.close();
    Some(out)
}

fn write_sampling(
    object: &mut ObjectWriter<'_>,
    request: &Request,
    encoding: &Encoding<'_>,
    own: bool,
    losses: &mut Losses,
) {
    let fixed = !own && encoding.quirks.sampling == Sampling::None;
    let numbers = [
        ("temperature", "temperature", request.temperature),
        ("p", "top_p", request.top_p),
        ("frequency_penalty", "frequency_penalty", request.frequency_penalty),
        ("presence_penalty", "presence_penalty", request.presence_penalty),
    ];
    for (member, name, value) in numbers {
        match value {
            Some(_) if fixed => losses.dropped(name, "the model refuses it"),
            Some(value) => object.value(member, &value),
            None => {}
        }
    }
    for (member, value) in [("k", request.top_k), ("max_tokens", request.output_tokens_max)] {
        if let Some(value) = value {
            object.value(member, &value);
        }
    }
    if let Some(seed) = request.seed {
        object.value("seed", &seed);
    }
    if let Some(logprobs) = request.logprobs {
        object.boolean("logprobs", logprobs);
    }
    if let Some(stop) = &request.stop {
        write_array(object.key("stop_sequences"), &stop.texts, |out, text| write_string(out, text));
    }
}

/// JSON with a schema or without (<https://docs.cohere.com/docs/structured-outputs>).
fn write_output(object: &mut ObjectWriter<'_>, request: &Request, own: bool, losses: &mut Losses) {
    let Some(output) = &request.output else { return };
    if let OutputFormat::Opaque(raw) = output {
        if own {
            return object.raw("response_format", raw.text());
        }
        return losses.dropped("output.type", "the target has no such format");
    }
    let mut format = ObjectWriter::open(object.key("response_format"));
    match output {
        OutputFormat::Text => format.string("type", "text"),
        OutputFormat::JsonObject | OutputFormat::Opaque(_) => format.string("type", "json_object"),
        OutputFormat::JsonSchema { schema, ext, .. } => {
            format.string("type", "json_object");
            let older = own && ext.get("schema").is_some();
            if let Some(schema) = schema {
                format.raw(if older { "schema" } else { "json_schema" }, schema.text());
            }
            if own {
                super::message_encode::write_kept(&mut format, ext, "schema");
            } else {
                crossing::report_format(output, losses);
            }
        }
    }
    format.close();
}

/// Whether to think, and for how long (<https://docs.cohere.com/docs/reasoning>).
fn write_thinking(object: &mut ObjectWriter<'_>, request: &Request, own: bool, losses: &mut Losses) {
    let Some(reasoning) = &request.reasoning else { return };
    let off = reasoning.enabled == Some(false) || reasoning.effort == Some(Effort::None);
    let on = reasoning.enabled == Some(true) || (!own && !off);
    let mut out = Vec::with_capacity(40);
    let mut thinking = ObjectWriter::open(&mut out);
    if on || off {
        thinking.string("type", if off { "disabled" } else { "enabled" });
    }
    if let Some(budget) = reasoning.budget_tokens {
        thinking.value("token_budget", &budget);
    }
    if own {
        thinking.ext(&reasoning.ext);
    } else {
        if !off && reasoning.effort.is_some() {
            losses.approximated("reasoning.effort", "the model thinks or does not; there is no effort there");
        }
        crossing::report_reasoning(reasoning, losses);
    }
    thinking.close();
    object.key("thinking").extend_from_slice(&out);
}

/// What another dialect asks for and this one has no word for.
fn report(request: &Request, losses: &mut Losses) {
    if request.choices.is_some_and(|choices| choices > 1) {
        losses.dropped("n", "there is one answer to a request there");
    }
    let asked = [
        ("user", request.user.is_some()),
        ("metadata", request.metadata.is_some()),
        ("top_logprobs", request.top_logprobs.is_some_and(|count| count > 0)),
    ];
    for (name, _) in asked.into_iter().filter(|(_, asked)| *asked) {
        losses.dropped(name, "there is no such field there");
    }
    let mut ext = request.ext.clone();
    ext.0.retain(|(name, _)| name != "stream_options");
    losses.ext("", &ext);
}

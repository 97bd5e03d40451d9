//! Requests: meaning to bytes.

use super::{calls::Calls, kept, message_encode::MessageWriter, words};
use crate::{
    Dialect, Encoding, Losses, Sampling, crossing,
    ir::{OutputFormat, Request, Tool, ToolChoice, ToolKind},
    json::{ObjectWriter, Raw, write_array, write_string},
};

/// Writes a request.
pub(super) fn encode_request(request: &Request, encoding: &Encoding<'_>, losses: &mut Losses) -> Vec<u8> {
    let own = request.dialect == Dialect::Ollama;
    let mut out = Vec::with_capacity(1024);
    let mut object = ObjectWriter::open(&mut out);
    object.string("model", encoding.model);
    if !(own && kept::is_marked(&request.ext, "messages")) {
        let mut messages = Vec::with_capacity(request.messages.len());
        let mut writer = MessageWriter { own, calls: Calls::default(), losses };
        for (at, message) in request.messages.iter().enumerate() {
            writer.message(&mut messages, message, &format!("messages[{at}]"));
        }
        write_array(object.key("messages"), &messages, |out, message| out.extend_from_slice(message));
    }
    write_tools(&mut object, request, own, losses);
    write_format(&mut object, request, own, losses);
    write_thinking(&mut object, request, own, losses);
    write_options(&mut object, request, encoding, own, losses);
    if let Some(logprobs) = request.logprobs {
        object.boolean("logprobs", logprobs);
    }
    if let Some(count) = request.top_logprobs {
        object.value("top_logprobs", &count);
    }
    // Without a word this API streams.
    if !(own && kept::is_marked(&request.ext, "stream")) {
        object.boolean("stream", request.stream.unwrap_or_default());
    }
    if own {
        kept::write(&mut object, &request.ext, &["messages", "stream"], &["options"]);
    } else {
        report(request, losses);
    }
    object.close();
    out
}

fn write_tools(object: &mut ObjectWriter<'_>, request: &Request, own: bool, losses: &mut Losses) {
    match &request.tool_choice {
        Some(ToolChoice::None) if !own => {
            return losses.approximated("tool_choice", "tools that must not be called are not told");
        }
        Some(ToolChoice::Auto) | None => {}
        Some(_) => losses.dropped("tool_choice", "the model decides by itself whether to call a tool"),
    }
    if request.parallel_tool_calls == Some(false) && !own {
        losses.dropped("parallel_tool_calls", "the model decides by itself how many tools to call");
    }
    let mut written: Vec<Vec<u8>> = Vec::with_capacity(request.tools.len());
    for (at, tool) in request.tools.iter().enumerate() {
        written.extend(write_tool(tool, own, &format!("tools[{at}]"), losses));
    }
    if !written.is_empty() {
        write_array(object.key("tools"), &written, |out, tool| out.extend_from_slice(tool));
    }
}

fn write_tool(tool: &Tool, own: bool, path: &str, losses: &mut Losses) -> Option<Vec<u8>> {
    let (name, description, schema, strict) = match &tool.kind {
        ToolKind::Opaque { value, .. } if own => return Some(value.text().as_bytes().to_vec()),
        ToolKind::Opaque { name, .. } => {
            losses.dropped(format!("{path}.{name}"), "a tool that only its own provider runs");
            return None;
        }
        ToolKind::Function { name, description, schema, strict } => (name, description, schema, strict),
    };
    let mut out = Vec::with_capacity(256);
    let mut object = ObjectWriter::open(&mut out);
    object.string("type", "function");
    let mut function = ObjectWriter::open(object.key("function"));
    function.string("name", name);
    if let Some(description) = description {
        function.string("description", description);
    }
    if let Some(schema) = schema {
        function.raw("parameters", schema.text());
    }
    if own {
        if let Some(strict) = strict {
            function.boolean("strict", *strict);
        }
        kept::write_members(&mut function, tool.ext.get("function"));
    }
    function.close();
    if own {
        kept::write(&mut object, &tool.ext, &[], &["function"]);
    } else {
        if *strict == Some(true) {
            losses.approximated(format!("{path}.strict"), "a schema is not enforced there");
        }
        if tool.cache.is_some() {
            losses.approximated(format!("{path}.cache"), "prompt caching is automatic there");
        }
        losses.ext(path, &tool.ext);
    }
    object.close();
    Some(out)
}

/// Structured output (<https://docs.ollama.com/capabilities/structured-outputs>).
fn write_format(object: &mut ObjectWriter<'_>, request: &Request, own: bool, losses: &mut Losses) {
    match &request.output {
        Some(OutputFormat::Text) if own => object.string("format", ""),
        None | Some(OutputFormat::Text) => {}
        Some(OutputFormat::JsonObject) => object.string("format", "json"),
        Some(OutputFormat::Opaque(raw)) if own => object.raw("format", raw.text()),
        Some(OutputFormat::Opaque(_)) => losses.dropped("output.type", "the target has no such format"),
        Some(output @ OutputFormat::JsonSchema { schema, .. }) => {
            object.raw("format", schema.as_ref().map_or("\"json\"", Raw::text));
            if own {
                return;
            }
            crossing::report_format(output, losses);
        }
    }
}

/// Whether to think, or how much (<https://docs.ollama.com/capabilities/thinking>).
fn write_thinking(object: &mut ObjectWriter<'_>, request: &Request, own: bool, losses: &mut Losses) {
    let Some(reasoning) = &request.reasoning else { return };
    match (&reasoning.effort, reasoning.enabled) {
        (Some(effort), _) if own => object.string("think", crate::dialects::openai_chat::effort_name(effort)),
        (Some(effort), _) => {
            let (level, same) = words::level(effort);
            if !same {
                losses.approximated("reasoning.effort", "there are three levels there");
            }
            object.raw("think", level);
        }
        (None, Some(enabled)) => object.boolean("think", enabled),
        (None, None) if reasoning.budget_tokens.is_some() => {
            losses.approximated("reasoning.budget_tokens", "the model thinks as much as it finds right");
            object.boolean("think", true);
        }
        (None, None) => {}
    }
    if !own {
        crossing::report_reasoning(reasoning, losses);
    }
}

fn write_options(
    object: &mut ObjectWriter<'_>,
    request: &Request,
    encoding: &Encoding<'_>,
    own: bool,
    losses: &mut Losses,
) {
    let mut out = Vec::with_capacity(64);
    let mut options = ObjectWriter::open(&mut out);
    let fixed = !own && encoding.quirks.sampling == Sampling::None;
    let numbers = [
        ("temperature", request.temperature),
        ("top_p", request.top_p),
        ("frequency_penalty", request.frequency_penalty),
        ("presence_penalty", request.presence_penalty),
    ];
    for (name, value) in numbers {
        match value {
            Some(_) if fixed => losses.dropped(name, "the model refuses it"),
            Some(value) => options.value(name, &value),
            None => {}
        }
    }
    for (name, value) in [("top_k", request.top_k), ("num_predict", request.output_tokens_max)] {
        if let Some(value) = value {
            options.value(name, &value);
        }
    }
    if let Some(seed) = request.seed {
        options.value("seed", &seed);
    }
    if let Some(stop) = &request.stop {
        match stop.texts.as_slice() {
            [text] if own && stop.bare => options.string("stop", text),
            texts => write_array(options.key("stop"), texts, |out, text| write_string(out, text)),
        }
    }
    let rest = request.ext.get("options").filter(|_| own);
    kept::write_members(&mut options, rest);
    options.close();
    if out.len() > 2 || rest.is_some_and(|rest| !rest.is_null()) {
        object.key("options").extend_from_slice(&out);
    } else if rest.is_some() {
        object.raw("options", "null");
    }
}

/// What another dialect asks for and this one has no word for.
fn report(request: &Request, losses: &mut Losses) {
    if request.choices.is_some_and(|choices| choices > 1) {
        losses.dropped("n", "there is one answer to a request there");
    }
    for (name, asked) in [("user", request.user.is_some()), ("metadata", request.metadata.is_some())] {
        if asked {
            losses.dropped(name, "there is no such field there");
        }
    }
    let mut ext = request.ext.clone();
    ext.0.retain(|(name, _)| name != "stream_options");
    losses.ext("", &ext);
}

//! Requests: meaning to bytes.

use super::{
    message_encode::{MessageWriter, is_own, write_texts},
    thoughts::Thoughts,
    words::{effort_name, write_members},
};
use crate::{
    Encoding, Losses, OutputLimit, Sampling, StreamUsage, SystemRole,
    ir::{Effort, Ext, OutputFormat, Reasoning, Request, Tool, ToolChoice, ToolKind},
    json::{ObjectWriter, write_array},
};

/// Writes a request.
pub(super) fn encode_request(request: &Request, encoding: &Encoding<'_>, losses: &mut Losses) -> Vec<u8> {
    let own = is_own(request.dialect);
    let mut out = Vec::with_capacity(1024);
    let mut object = ObjectWriter::open(&mut out);
    object.string("model", encoding.model);
    let developer = encoding.quirks.system_role == SystemRole::Developer;
    let thoughts = Thoughts::new(encoding.quirks);
    let mut writer = MessageWriter { own, developer, thoughts, losses };
    writer.messages(object.key("messages"), &request.messages);
    write_tools(&mut object, request, own, losses);
    write_limit(&mut object, request, encoding, own);
    let sampling = if own { Sampling::All } else { encoding.quirks.sampling };
    write_sampling(&mut object, request, sampling, losses);
    if let Some(output) = &request.output {
        write_output(&mut object, output, own, losses);
    }
    if let Some(reasoning) = &request.reasoning {
        write_reasoning(&mut object, reasoning, own, losses);
    }
    if let Some(user) = &request.user {
        object.string("user", user);
    }
    if let Some(metadata) = &request.metadata {
        object.raw("metadata", metadata.text());
    }
    write_stream(&mut object, request, encoding, own);
    if own {
        let known = |name: &str| name == "stream_options";
        for (name, value) in request.ext.0.iter().filter(|(name, _)| !known(name)) {
            object.raw(name, value.text());
        }
    } else {
        losses.ext("", &request.ext);
    }
    object.close();
    out
}

fn write_tools(object: &mut ObjectWriter<'_>, request: &Request, own: bool, losses: &mut Losses) {
    let mut written: Vec<Vec<u8>> = Vec::with_capacity(request.tools.len());
    for (at, tool) in request.tools.iter().enumerate() {
        written.extend(write_tool(tool, own, &format!("tools[{at}]"), losses));
    }
    if !written.is_empty() {
        write_array(object.key("tools"), &written, |out, tool| out.extend_from_slice(tool));
    }
    match &request.tool_choice {
        None => {}
        // A choice without tools is refused.
        Some(_) if !own && written.is_empty() => {}
        Some(ToolChoice::Auto) => object.string("tool_choice", "auto"),
        Some(ToolChoice::None) => object.string("tool_choice", "none"),
        Some(ToolChoice::Required) => object.string("tool_choice", "required"),
        Some(ToolChoice::Named(name)) => {
            let mut choice = ObjectWriter::open(object.key("tool_choice"));
            choice.string("type", "function");
            let mut function = ObjectWriter::open(choice.key("function"));
            function.string("name", name);
            function.close();
            choice.close();
        }
        Some(ToolChoice::Opaque(raw)) if own => object.raw("tool_choice", raw.text()),
        Some(ToolChoice::Opaque(_)) => losses.dropped("tool_choice", "the target has no such choice"),
    }
    if let Some(parallel) = request.parallel_tool_calls.filter(|_| own || !written.is_empty()) {
        object.boolean("parallel_tool_calls", parallel);
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
    if let Some(strict) = strict {
        function.boolean("strict", *strict);
    }
    if let Some(rest) = tool.ext.get("function").filter(|_| own) {
        write_members(&mut function, rest.value());
    }
    function.close();
    if own {
        if let Some(cache) = &tool.cache {
            object.raw("cache_control", cache.text());
        }
        for (name, value) in tool.ext.0.iter().filter(|(name, _)| name != "function") {
            object.raw(name, value.text());
        }
    } else {
        if tool.cache.is_some() {
            losses.approximated(format!("{path}.cache"), "prompt caching is automatic there");
        }
        losses.ext(path, &tool.ext);
    }
    object.close();
    Some(out)
}

fn write_limit(object: &mut ObjectWriter<'_>, request: &Request, encoding: &Encoding<'_>, own: bool) {
    let Some(limit) = request.output_tokens_max else { return };
    let name = request.output_limit_name.filter(|_| own).unwrap_or(encoding.quirks.output_limit);
    let name = match name {
        OutputLimit::MaxTokens => "max_tokens",
        OutputLimit::MaxCompletionTokens => "max_completion_tokens",
    };
    object.value(name, &limit);
}

fn write_sampling(object: &mut ObjectWriter<'_>, request: &Request, sampling: Sampling, losses: &mut Losses) {
    let numbers = [
        ("temperature", request.temperature),
        ("top_p", request.top_p),
        ("frequency_penalty", request.frequency_penalty),
        ("presence_penalty", request.presence_penalty),
    ];
    for (name, value) in numbers {
        let Some(value) = value else { continue };
        if sampling != Sampling::None {
            object.value(name, &value);
        } else if value != if matches!(name, "temperature" | "top_p") { 1.0 } else { 0.0 } {
            losses.dropped(name, "the model refuses it");
        }
    }
    match (request.top_k, sampling) {
        (Some(top_k), Sampling::All) => object.value("top_k", &top_k),
        (Some(_), _) => losses.dropped("top_k", "the model refuses it"),
        (None, _) => {}
    }
    let counts = [("n", request.choices), ("top_logprobs", request.top_logprobs)];
    for (name, value) in counts {
        if let Some(value) = value {
            object.value(name, &value);
        }
    }
    if let Some(seed) = request.seed {
        object.value("seed", &seed);
    }
    if let Some(logprobs) = request.logprobs {
        object.boolean("logprobs", logprobs);
    }
    match &request.stop {
        None => {}
        Some(stop) => match stop.texts.as_slice() {
            [text] if stop.bare => object.string("stop", text),
            texts => write_texts(object.key("stop"), texts),
        },
    }
}

fn write_output(object: &mut ObjectWriter<'_>, output: &OutputFormat, own: bool, losses: &mut Losses) {
    if let OutputFormat::Opaque(raw) = output {
        if own {
            object.raw("response_format", raw.text());
        } else {
            losses.dropped("output.type", "the target has no such format");
        }
        return;
    }
    let mut format = ObjectWriter::open(object.key("response_format"));
    match output {
        OutputFormat::Text => format.string("type", "text"),
        OutputFormat::JsonObject | OutputFormat::Opaque(_) => format.string("type", "json_object"),
        OutputFormat::JsonSchema { name, description, schema, strict, ext } => {
            format.string("type", "json_schema");
            let mut inner = ObjectWriter::open(format.key("json_schema"));
            match name {
                Some(name) => inner.string("name", name),
                // OpenAI requires a name.
                None if !own => inner.string("name", "answer"),
                None => {}
            }
            if let Some(description) = description {
                inner.string("description", description);
            }
            if let Some(schema) = schema {
                inner.raw("schema", schema.text());
            }
            if let Some(strict) = strict {
                inner.boolean("strict", *strict);
            }
            if own {
                inner.ext(ext);
            } else {
                losses.ext("output", ext);
            }
            inner.close();
        }
    }
    format.close();
}

/// How much thinking a budget comes to, in OpenAI's words: up to 2,048 tokens `low`, up to 8,192 `medium`.
fn write_reasoning(object: &mut ObjectWriter<'_>, reasoning: &Reasoning, own: bool, losses: &mut Losses) {
    if let Some(effort) = &reasoning.effort {
        let effort = match effort {
            // Anthropic's highest; OpenAI's is called otherwise.
            Effort::Other(word) if !own && word == "max" => "xhigh",
            effort => effort_name(effort),
        };
        object.string("reasoning_effort", effort);
    } else if let Some(budget) = reasoning.budget_tokens {
        let effort = match budget {
            0..=2_048 => "low",
            2_049..=8_192 => "medium",
            _ => "high",
        };
        object.string("reasoning_effort", effort);
        losses.approximated("reasoning.budget_tokens", "a budget becomes one of three efforts");
    } else if reasoning.enabled == Some(true) {
        losses.approximated("reasoning.enabled", "the model decides by itself how much to think");
    }
    if !own {
        let said = |name: &String| name != "type";
        let ext = Ext(reasoning.ext.0.iter().filter(|(name, _)| said(name)).cloned().collect());
        losses.ext("reasoning", &ext);
    }
}

fn write_stream(object: &mut ObjectWriter<'_>, request: &Request, encoding: &Encoding<'_>, own: bool) {
    if let Some(stream) = request.stream {
        object.boolean("stream", stream);
    }
    let rest = request.ext.get("stream_options").filter(|_| own);
    // Another dialect's streams carry usage without being asked, and so must this one.
    let asked = if own {
        request.include_usage
    } else {
        let asks = request.stream == Some(true) && encoding.quirks.stream_usage == StreamUsage::Ask;
        asks.then_some(true)
    };
    if asked.is_none() && rest.is_none() {
        return;
    }
    if rest.is_some_and(crate::json::Raw::is_null) {
        object.raw("stream_options", "null");
        return;
    }
    let mut options = ObjectWriter::open(object.key("stream_options"));
    if let Some(asked) = asked {
        options.boolean("include_usage", asked);
    }
    if let Some(rest) = rest {
        write_members(&mut options, rest.value());
    }
    options.close();
}

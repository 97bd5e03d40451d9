//! Requests: meaning to bytes.

use super::{
    item_encode::{ItemWriter, bare_text, stands_for},
    words::write_members,
};
use crate::{
    Dialect, Encoding, Losses, Sampling, SystemRole,
    dialects::openai_chat,
    ir::{Effort, Message, OutputFormat, Reasoning, Request, Tool, ToolChoice, ToolKind},
    json::{ObjectWriter, write_array},
};

/// Writes a request.
pub(super) fn encode_request(request: &Request, encoding: &Encoding<'_>, losses: &mut Losses) -> Vec<u8> {
    let own = request.dialect == Dialect::OpenaiResponses;
    let mut out = Vec::with_capacity(1024);
    let mut object = ObjectWriter::open(&mut out);
    object.string("model", encoding.model);
    let developer = encoding.quirks.system_role == SystemRole::Developer;
    let mut writer = ItemWriter { source: request.dialect, developer, losses };
    if own {
        write_own_input(&mut object, &request.messages, &mut writer);
    } else {
        let mut items = Vec::with_capacity(request.messages.len());
        for (at, message) in request.messages.iter().enumerate() {
            writer.items(&mut items, message, &format!("messages[{at}]"));
        }
        write_array(object.key("input"), &items, |out, item| out.extend_from_slice(item));
    }
    write_tools(&mut object, request, own, losses);
    write_settings(&mut object, request, encoding, own, losses);
    write_reasoning(&mut object, request.reasoning.as_ref(), own, losses);
    write_text(&mut object, request, own, losses);
    if own {
        for (name, value) in request.ext.0.iter().filter(|(name, _)| name != "text") {
            object.raw(name, value.text());
        }
    } else {
        // What another dialect's provider does not keep is not kept here either.
        object.boolean("store", false);
        report(request, losses);
    }
    object.close();
    out
}

/// The members that the messages stand for, and the items as they stood.
fn write_own_input(object: &mut ObjectWriter<'_>, messages: &[Message], writer: &mut ItemWriter<'_>) {
    let mut list = messages;
    if let [first, rest @ ..] = list
        && stands_for(first, "instructions")
    {
        object.string("instructions", bare_text(first));
        list = rest;
    }
    match list {
        [] => {}
        [only] if stands_for(only, "input") => object.string("input", bare_text(only)),
        items => {
            let items: Vec<Vec<u8>> = items.iter().map(|item| writer.own(item)).collect();
            write_array(object.key("input"), &items, |out, item| out.extend_from_slice(item));
        }
    }
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
        Some(_) if !own && written.is_empty() => {}
        Some(ToolChoice::Auto) => object.string("tool_choice", "auto"),
        Some(ToolChoice::None) => object.string("tool_choice", "none"),
        Some(ToolChoice::Required) => object.string("tool_choice", "required"),
        Some(ToolChoice::Named(name)) => {
            let mut choice = ObjectWriter::open(object.key("tool_choice"));
            choice.string("type", "function");
            choice.string("name", name);
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
    object.string("name", name);
    if let Some(description) = description {
        object.string("description", description);
    }
    match schema {
        Some(schema) => object.raw("parameters", schema.text()),
        None if own => {}
        None => object.raw("parameters", "{\"type\":\"object\",\"properties\":{}}"),
    }
    match strict {
        Some(strict) => object.boolean("strict", *strict),
        // Here a schema is strict unless it says otherwise, and not every schema can be.
        None if !own => object.boolean("strict", false),
        None => {}
    }
    if own {
        object.ext(&tool.ext);
    } else {
        if tool.cache.is_some() {
            losses.approximated(format!("{path}.cache"), "prompt caching is automatic there");
        }
        losses.ext(path, &tool.ext);
    }
    object.close();
    Some(out)
}

fn write_settings(
    object: &mut ObjectWriter<'_>,
    request: &Request,
    encoding: &Encoding<'_>,
    own: bool,
    losses: &mut Losses,
) {
    if let Some(limit) = request.output_tokens_max {
        object.value("max_output_tokens", &limit);
    }
    for (name, value) in [("temperature", request.temperature), ("top_p", request.top_p)] {
        let Some(value) = value else { continue };
        if own || encoding.quirks.sampling != Sampling::None {
            object.value(name, &value);
        } else if value != 1.0 {
            losses.dropped(name, "the model refuses it");
        }
    }
    if let Some(count) = request.top_logprobs {
        object.value("top_logprobs", &count);
    }
    if !own && request.logprobs == Some(true) {
        object.raw("include", "[\"message.output_text.logprobs\"]");
    } else if !own && request.reasoning.is_some() {
        // Without it a thought could not be sent back.
        object.raw("include", "[\"reasoning.encrypted_content\"]");
    }
    if let Some(user) = &request.user {
        object.string("user", user);
    }
    if let Some(metadata) = &request.metadata {
        object.raw("metadata", metadata.text());
    }
    if let Some(stream) = request.stream {
        object.boolean("stream", stream);
    }
}

fn write_reasoning(
    object: &mut ObjectWriter<'_>,
    reasoning: Option<&Reasoning>,
    own: bool,
    losses: &mut Losses,
) {
    let Some(reasoning) = reasoning else { return };
    let mut inner = ObjectWriter::open(object.key("reasoning"));
    if let Some(effort) = &reasoning.effort {
        inner.string("effort", openai_chat::effort_name(effort));
    } else if let Some(budget) = reasoning.budget_tokens {
        let effort = match budget {
            0..=2_048 => Effort::Low,
            2_049..=8_192 => Effort::Medium,
            _ => Effort::High,
        };
        inner.string("effort", openai_chat::effort_name(&effort));
        losses.approximated("reasoning.budget_tokens", "a budget becomes one of three efforts");
    } else if !own && reasoning.enabled == Some(true) {
        losses.approximated("reasoning.enabled", "the model decides by itself how much to think");
    }
    if own {
        inner.ext(&reasoning.ext);
    } else {
        // Other dialects show their thoughts without being asked.
        inner.string("summary", "auto");
        losses.ext("reasoning", &without_type(&reasoning.ext));
    }
    inner.close();
}

fn without_type(ext: &crate::ir::Ext) -> crate::ir::Ext {
    crate::ir::Ext(ext.0.iter().filter(|(name, _)| name != "type").cloned().collect())
}

fn write_text(object: &mut ObjectWriter<'_>, request: &Request, own: bool, losses: &mut Losses) {
    let rest = request.ext.get("text").filter(|_| own);
    let output = match &request.output {
        Some(OutputFormat::Opaque(_)) if !own => {
            losses.dropped("output.type", "the target has no such format");
            None
        }
        output => output.as_ref(),
    };
    if rest.is_none() && output.is_none() {
        return;
    }
    if let Some(rest) = rest.filter(|rest| rest.is_null()) {
        return object.raw("text", rest.text());
    }
    let mut text = ObjectWriter::open(object.key("text"));
    match output {
        None => {}
        Some(OutputFormat::Opaque(raw)) => text.raw("format", raw.text()),
        Some(OutputFormat::Text) => text.raw("format", "{\"type\":\"text\"}"),
        Some(OutputFormat::JsonObject) => text.raw("format", "{\"type\":\"json_object\"}"),
        Some(OutputFormat::JsonSchema { name, description, schema, strict, ext }) => {
            let mut format = ObjectWriter::open(text.key("format"));
            format.string("type", "json_schema");
            match name {
                Some(name) => format.string("name", name),
                // It is required here.
                None if !own => format.string("name", "answer"),
                None => {}
            }
            if let Some(description) = description {
                format.string("description", description);
            }
            if let Some(schema) = schema {
                format.raw("schema", schema.text());
            }
            if let Some(strict) = strict {
                format.boolean("strict", *strict);
            }
            if own {
                format.ext(ext);
            } else {
                losses.ext("output", ext);
            }
            format.close();
        }
    }
    if let Some(rest) = rest {
        write_members(&mut text, rest);
    }
    text.close();
}

/// What another dialect asks for and this one has no word for.
fn report(request: &Request, losses: &mut Losses) {
    if request.choices.is_some_and(|choices| choices > 1) {
        losses.dropped("n", "there is one answer to a request there");
    }
    let asked = [
        ("stop", request.stop.as_ref().is_some_and(|stop| !stop.texts.is_empty())),
        ("seed", request.seed.is_some()),
        ("top_k", request.top_k.is_some()),
        ("frequency_penalty", request.frequency_penalty.is_some_and(|penalty| penalty != 0.0)),
        ("presence_penalty", request.presence_penalty.is_some_and(|penalty| penalty != 0.0)),
    ];
    for (name, _) in asked.into_iter().filter(|(_, asked)| *asked) {
        losses.dropped(name, "there is no such field there");
    }
    let mut ext = request.ext.clone();
    // Options of how a stream is told say nothing to a target whose streams always tell usage.
    ext.0.retain(|(name, _)| name != "stream_options");
    losses.ext("", &ext);
}

//! Requests: meaning to bytes. The address names the model and whether to stream.

use super::{block_encode::BlockWriter, cache_point, config_encode};
use crate::{
    Dialect, Encoding, Losses, crossing,
    ir::{Form, Message, Request, Role, Tool, ToolChoice, ToolKind},
    json::{ObjectWriter, write_array},
    kept,
    seal::Seals,
};

/// Writes a request.
pub(super) fn encode_request(request: &Request, encoding: &Encoding<'_>, losses: &mut Losses) -> Vec<u8> {
    let own = request.dialect == Dialect::BedrockConverse;
    let mut out = Vec::with_capacity(1024);
    let mut object = ObjectWriter::open(&mut out);
    let mut writer = BlockWriter { own, seals: Seals::SentBack(request.dialect), losses };
    if own {
        write_own(&mut object, request, &mut writer);
    } else {
        write_turns(&mut object, request, &mut writer);
    }
    write_tools(&mut object, request, own, losses);
    config_encode::write(&mut object, request, encoding, losses);
    if own {
        let placed = ["toolConfig", "inferenceConfig", "outputConfig", "additionalModelRequestFields"];
        let marks = ["output_config", "reasoning_effort", "reasoning_config"];
        for (name, value) in &request.ext.0 {
            if !placed.contains(&name.as_str()) && !marks.contains(&name.as_str()) {
                object.raw(name, value.text());
            }
        }
    }
    object.close();
    out
}

/// The messages as they stood.
fn write_own(object: &mut ObjectWriter<'_>, request: &Request, writer: &mut BlockWriter<'_>) {
    let apart = |message: &&Message| message.role == Role::System && message.ext.get("role").is_none();
    if let Some(system) = request.messages.first().filter(apart) {
        let mut blocks = Vec::new();
        writer.blocks(&mut blocks, &system.content.parts, "");
        write_array(object.key("system"), &blocks, |out, block| out.extend_from_slice(block));
    }
    let turns: Vec<&Message> = request.messages.iter().filter(|message| !apart(message)).collect();
    if turns.is_empty() {
        return;
    }
    write_array(object.key("messages"), turns, |out, message| {
        let mut turn = ObjectWriter::open(out);
        turn.string(
            "role",
            match message.role {
                Role::System | Role::Developer => "system",
                Role::User | Role::Tool => "user",
                Role::Assistant => "assistant",
            },
        );
        match message.content.form {
            Form::Absent => {}
            Form::Null => turn.raw("content", "null"),
            Form::List | Form::Bare => {
                let mut blocks = Vec::new();
                writer.blocks(&mut blocks, &message.content.parts, "");
                write_array(turn.key("content"), &blocks, |out, block| out.extend_from_slice(block));
            }
        }
        for (name, value) in message.ext.0.iter().filter(|(name, _)| name != "role") {
            turn.raw(name, value.text());
        }
        turn.close();
    });
}

/// The messages of another dialect: instructions apart, and turns that alternate.
fn write_turns(object: &mut ObjectWriter<'_>, request: &Request, writer: &mut BlockWriter<'_>) {
    let mut system: Vec<Vec<u8>> = Vec::new();
    let mut turns: Vec<(&str, Vec<Vec<u8>>)> = Vec::new();
    for (at, message) in request.messages.iter().enumerate() {
        let path = format!("messages[{at}]");
        writer.losses.ext(&path, &crossing::unread(message));
        let mut blocks = Vec::with_capacity(message.content.parts.len());
        writer.blocks(&mut blocks, &message.content.parts, &format!("{path}.content"));
        let role = match message.role {
            Role::System | Role::Developer => {
                if !turns.is_empty() {
                    let why = "instructions within a conversation move to its beginning";
                    writer.losses.approximated(path, why);
                }
                system.append(&mut blocks);
                continue;
            }
            Role::User | Role::Tool => "user",
            Role::Assistant => "assistant",
        };
        match turns.last_mut().filter(|(last, _)| *last == role) {
            Some((_, known)) => known.append(&mut blocks),
            None => turns.push((role, blocks)),
        }
    }
    if !system.is_empty() {
        write_array(object.key("system"), &system, |out, block| out.extend_from_slice(block));
    }
    // A turn of which nothing is left says nothing, and is refused there.
    let said = turns.iter().filter(|(_, blocks)| !blocks.is_empty());
    write_array(object.key("messages"), said, |out, (role, blocks)| {
        let mut turn = ObjectWriter::open(out);
        turn.string("role", role);
        write_array(turn.key("content"), blocks, |out, block| out.extend_from_slice(block));
        turn.close();
    });
}

fn write_tools(object: &mut ObjectWriter<'_>, request: &Request, own: bool, losses: &mut Losses) {
    let mut tools: Vec<Vec<u8>> = Vec::with_capacity(request.tools.len());
    for (at, tool) in request.tools.iter().enumerate() {
        let path = format!("tools[{at}]");
        let Some(written) = write_tool(tool, own, &path, losses) else { continue };
        tools.push(written);
        if let Some(mark) = &tool.cache {
            match cache_point::written(mark) {
                Some(point) => tools.push(point.into_bytes()),
                None => {
                    losses.dropped(format!("{path}.cache"), "a cache point says no more than its lifetime");
                }
            }
        }
    }
    let rest = request.ext.get("toolConfig").filter(|_| own);
    let choice = request.tool_choice.as_ref().filter(|_| own || !tools.is_empty());
    if tools.is_empty() && choice.is_none() && rest.is_none() {
        return;
    }
    if request.parallel_tool_calls == Some(false) && !own {
        losses.dropped("parallel_tool_calls", "the model decides by itself how many tools to call");
    }
    let mut config = ObjectWriter::open(object.key("toolConfig"));
    if !tools.is_empty() {
        write_array(config.key("tools"), &tools, |out, tool| out.extend_from_slice(tool));
    }
    match choice {
        Some(ToolChoice::Auto) => config.raw("toolChoice", "{\"auto\":{}}"),
        Some(ToolChoice::Required) => config.raw("toolChoice", "{\"any\":{}}"),
        Some(ToolChoice::Named(name)) => {
            let mut outer = ObjectWriter::open(config.key("toolChoice"));
            let mut tool = ObjectWriter::open(outer.key("tool"));
            tool.string("name", name);
            tool.close();
            outer.close();
        }
        Some(ToolChoice::Opaque(raw)) if own => config.raw("toolChoice", raw.text()),
        Some(ToolChoice::None | ToolChoice::Opaque(_)) => {
            losses.dropped("tool_choice", "there is no such choice there");
        }
        None => {}
    }
    kept::write(&mut config, rest);
    config.close();
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
    let mut spec = ObjectWriter::open(object.key("toolSpec"));
    spec.string("name", name);
    // A description that says nothing is refused.
    if let Some(description) = description.as_ref().filter(|text| own || !text.is_empty()) {
        spec.string("description", description);
    }
    let schema = schema.as_ref().map(crate::json::Raw::text);
    let empty = (!own).then_some("{\"type\":\"object\",\"properties\":{}}");
    if let Some(schema) = schema.or(empty) {
        let mut inner = ObjectWriter::open(spec.key("inputSchema"));
        inner.raw("json", schema);
        inner.close();
    }
    if let Some(strict) = strict.filter(|strict| own || *strict) {
        spec.boolean("strict", strict);
    }
    if own {
        kept::write(&mut spec, tool.ext.get("toolSpec"));
    }
    spec.close();
    if own {
        for (name, value) in tool.ext.0.iter().filter(|(name, _)| name != "toolSpec") {
            object.raw(name, value.text());
        }
    } else {
        losses.ext(path, &tool.ext);
    }
    object.close();
    Some(out)
}

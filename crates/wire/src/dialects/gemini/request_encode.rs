//! Requests: meaning to bytes.

use super::{
    config_encode,
    content_encode::contents,
    notes::{NONE, nested, noted, spelled, write_list, write_rest},
};
use crate::{
    Dialect, Encoding, Losses, ReasoningControl,
    ir::{Ext, Request, Tool, ToolChoice, ToolKind},
    json::{ObjectWriter, Raw, write_array, write_string},
};

/// Writes a request. Its model, and whether to stream, stand in the address.
pub(super) fn encode_request(request: &Request, encoding: &Encoding<'_>, losses: &mut Losses) -> Vec<u8> {
    let own = request.dialect == Dialect::Gemini;
    let ext = if own { &request.ext } else { &NONE };
    let mut out = Vec::with_capacity(1024);
    let mut object = ObjectWriter::open(&mut out);
    let third = encoding.quirks.reasoning == ReasoningControl::Effort;
    let written = contents(request, third, losses);
    if let Some(system) = &written.system {
        object.key(&spelled(ext, "systemInstruction")).extend_from_slice(system);
    }
    if !(own && written.list.is_empty() && noted(ext, "single:contents").is_none()) {
        write_list(&mut object, ext, "contents", &written.list);
    }
    let tools = write_tools(&mut object, request, own, losses);
    if own || tools {
        write_choice(&mut object, request, own, losses);
    }
    config_encode::write(&mut object, request, encoding, losses);
    if own {
        write_rest(&mut object, ext, &["generationConfig", "toolConfig"]);
    } else {
        report(request, losses);
    }
    object.close();
    out
}

/// True when a tool was written.
fn write_tools(object: &mut ObjectWriter<'_>, request: &Request, own: bool, losses: &mut Losses) -> bool {
    if own {
        let entries = entries(&request.tools);
        if !entries.is_empty() {
            write_list(object, &request.ext, "tools", &entries);
        }
        return true;
    }
    let mut functions: Vec<Vec<u8>> = Vec::with_capacity(request.tools.len());
    for (at, tool) in request.tools.iter().enumerate() {
        let path = format!("tools[{at}]");
        match &tool.kind {
            ToolKind::Opaque { name, .. } => {
                losses.dropped(format!("{path}.{name}"), "a tool that only its own provider runs");
            }
            ToolKind::Function { strict, .. } => {
                functions.push(function(tool, &NONE));
                if *strict == Some(true) {
                    losses.approximated(format!("{path}.strict"), "a schema is not enforced there");
                }
                if tool.cache.is_some() {
                    losses.approximated(format!("{path}.cache"), "prompt caching is automatic there");
                }
                losses.ext(&path, &tool.ext);
            }
        }
    }
    if functions.is_empty() {
        return false;
    }
    write_array(object.key("tools"), [functions], |out, functions| {
        let mut entry = ObjectWriter::open(out);
        write_array(entry.key("functionDeclarations"), &functions, |out, one| out.extend_from_slice(one));
        entry.close();
    });
    true
}

/// The entries of the list of tools, as they stood.
fn entries(tools: &[Tool]) -> Vec<Vec<u8>> {
    let mut entries = Vec::new();
    let mut rest = tools;
    while let Some(first) = rest.first() {
        let number = noted(&first.ext, "entry");
        if let (None, ToolKind::Opaque { value, .. }) = (number, &first.kind) {
            entries.push(value.text().as_bytes().to_vec());
            rest = rest.get(1..).unwrap_or_default();
            continue;
        }
        let count = rest.iter().take_while(|tool| noted(&tool.ext, "entry") == number).count();
        let (entry, later) = rest.split_at(count.max(1));
        rest = later;
        entries.push(write_entry(entry, &nested(&first.ext, "entry")));
    }
    entries
}

fn write_entry(tools: &[Tool], ext: &Ext) -> Vec<u8> {
    let mut out = Vec::with_capacity(256);
    let mut object = ObjectWriter::open(&mut out);
    let is_function = |tool: &&Tool| matches!(tool.kind, ToolKind::Function { .. });
    let functions: Vec<Vec<u8>> =
        tools.iter().filter(is_function).map(|tool| function(tool, &tool.ext)).collect();
    if !functions.is_empty() {
        write_list(&mut object, ext, "functionDeclarations", &functions);
    }
    for tool in tools {
        if let ToolKind::Opaque { name, value } = &tool.kind {
            object.raw(name, value.text());
        }
    }
    write_rest(&mut object, ext, &[]);
    object.close();
    out
}

/// A function. Another dialect's parameters are JSON Schema, which has a member of its own.
fn function(tool: &Tool, ext: &Ext) -> Vec<u8> {
    let mut out = Vec::with_capacity(256);
    let ToolKind::Function { name, description, schema, .. } = &tool.kind else { return out };
    let mut object = ObjectWriter::open(&mut out);
    object.string("name", name);
    if let Some(description) = description {
        object.string("description", description);
    }
    let own = noted(ext, "entry").is_some();
    let as_written = noted(ext, "parameters").or(schema.as_ref().map(Raw::text));
    if let Some(schema) = as_written {
        let member =
            if own && noted(ext, "schema").is_none() { "parameters" } else { "parametersJsonSchema" };
        object.raw(&spelled(ext, member), schema);
    }
    write_rest(&mut object, ext, &["entry"]);
    object.close();
    out
}

fn write_choice(object: &mut ObjectWriter<'_>, request: &Request, own: bool, losses: &mut Losses) {
    let ext = if own { &request.ext } else { &NONE };
    let inside = nested(ext, "toolConfig");
    let choice = match &request.tool_choice {
        Some(ToolChoice::Opaque(_)) if !own => {
            losses.dropped("tool_choice", "a choice of a kind that only its own dialect has");
            None
        }
        choice => choice.as_ref(),
    };
    if request.parallel_tool_calls == Some(false) && !own {
        losses.dropped("parallel_tool_calls", "the model decides by itself how many tools to call");
    }
    if choice.is_none() && noted(&inside, "there").is_none() {
        return;
    }
    let mut config = ObjectWriter::open(object.key(&spelled(ext, "toolConfig")));
    if let Some(choice) = choice {
        let rest = nested(&inside, "functionCallingConfig");
        let mut calling = ObjectWriter::open(config.key(&spelled(&inside, "functionCallingConfig")));
        let (mode, name) = match choice {
            ToolChoice::Auto => ("AUTO", None),
            ToolChoice::None => ("NONE", None),
            ToolChoice::Required => ("ANY", None),
            ToolChoice::Named(name) => ("ANY", Some(name)),
            ToolChoice::Opaque(raw) => {
                write_opaque(&mut calling, raw, &rest);
                ("", None)
            }
        };
        if !mode.is_empty() {
            calling.string("mode", noted(&rest, "mode").unwrap_or(mode));
        }
        if let Some(name) = name {
            let names = calling.key(&spelled(&rest, "allowedFunctionNames"));
            write_array(names, [name], |out, name| write_string(out, name));
        }
        write_rest(&mut calling, &rest, &[]);
        calling.close();
    }
    write_rest(&mut config, &inside, &["functionCallingConfig"]);
    config.close();
}

fn write_opaque(object: &mut ObjectWriter<'_>, raw: &Raw, ext: &Ext) {
    if let Ok(members) = crate::json::Object::from_raw(raw.value()) {
        for (name, value) in members.iter() {
            object.raw(&spelled(ext, name), value.get());
        }
    }
}

/// What another dialect asks for and this one has no word for.
fn report(request: &Request, losses: &mut Losses) {
    let asked = [("user", request.user.is_some()), ("metadata", request.metadata.is_some())];
    for (name, _) in asked.into_iter().filter(|(_, asked)| *asked) {
        losses.dropped(name, "there is no such field there");
    }
    let mut ext = request.ext.clone();
    ext.0.retain(|(name, _)| name != "stream_options");
    losses.ext("", &ext);
}

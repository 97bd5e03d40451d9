//! Requests: meaning to bytes.

use super::{block_decode::with_member, block_encode::BlockWriter, system::turns};
use crate::{
    Dialect, Encoding, Losses,
    ir::{Effort, Form, OutputFormat, Reasoning, Request, Tool, ToolChoice, ToolKind},
    json::{ObjectWriter, Raw, write_array, write_string},
};

/// The output limit of a request that has none, for a model whose own is not known.
const OUTPUT_TOKENS_DEFAULT: u64 = 4_096;

/// The smallest thinking budget that is taken
/// (<https://docs.anthropic.com/en/docs/build-with-claude/extended-thinking>).
const BUDGET_TOKENS_MIN: u64 = 1_024;

/// Writes a request.
pub fn encode_request(request: &Request, encoding: &Encoding<'_>, losses: &mut Losses) -> Vec<u8> {
    let own = request.dialect == Dialect::AnthropicMessages;
    let mut out = Vec::with_capacity(1024);
    let mut object = ObjectWriter::open(&mut out);
    object.string("model", encoding.model);
    write_messages(&mut object, request, own, losses);
    write_tools(&mut object, request, own, losses);
    let limit = limit(request, encoding, own);
    if let Some(limit) = limit {
        object.value("max_tokens", &limit);
    }
    write_sampling(&mut object, request, own, losses);
    write_thinking(&mut object, request, own, limit, losses);
    write_metadata(&mut object, request, own);
    if let Some(stream) = request.stream {
        object.boolean("stream", stream);
    }
    if own {
        let placed = ["metadata", "output_config"];
        for (name, value) in request.ext.0.iter().filter(|(name, _)| !placed.contains(&name.as_str())) {
            object.raw(name, value.text());
        }
    } else {
        report(request, losses);
    }
    object.close();
    out
}

/// The limit is required here.
fn limit(request: &Request, encoding: &Encoding<'_>, own: bool) -> Option<u64> {
    let fallback = encoding.quirks.output_tokens_default.or(encoding.output_tokens_max);
    request.output_tokens_max.or_else(|| (!own).then(|| fallback.unwrap_or(OUTPUT_TOKENS_DEFAULT)))
}

fn write_messages(object: &mut ObjectWriter<'_>, request: &Request, own: bool, losses: &mut Losses) {
    let split = turns(request, losses);
    let mut writer = BlockWriter { own, losses };
    if let Some(system) = &split.system
        && (own || !system.parts.is_empty())
    {
        writer.content(object.key("system"), system, "system");
    }
    write_array(object.key("messages"), &split.turns, |out, turn| {
        let mut message = ObjectWriter::open(out);
        message.string("role", turn.role);
        let path = format!("{}.content", turn.path);
        let whole = turn.parts.len() == turn.message.content.parts.len();
        match turn.form {
            Form::Absent if own => {}
            _ if whole && (own || turn.form == Form::Bare) => {
                writer.content(message.key("content"), &turn.message.content, &path);
            }
            _ => writer.list(message.key("content"), &turn.parts, &path),
        }
        if own {
            message.ext(&turn.message.ext);
        } else {
            writer.losses.ext(&turn.path, &unread(&turn.message.ext));
        }
        message.close();
    });
}

/// Members that say again what stands in parts are no loss.
fn unread(ext: &crate::ir::Ext) -> crate::ir::Ext {
    let read = ["reasoning", "reasoning_content", "reasoning_details"];
    let empty = |raw: &Raw| raw.text() == "[]";
    let kept = ext.0.iter().filter(|(name, raw)| !read.contains(&name.as_str()) && !empty(raw));
    crate::ir::Ext(kept.cloned().collect())
}

fn write_tools(object: &mut ObjectWriter<'_>, request: &Request, own: bool, losses: &mut Losses) {
    let mut written: Vec<Vec<u8>> = Vec::with_capacity(request.tools.len());
    for (at, tool) in request.tools.iter().enumerate() {
        written.extend(write_tool(tool, own, &format!("tools[{at}]"), losses));
    }
    if !written.is_empty() {
        write_array(object.key("tools"), &written, |out, tool| out.extend_from_slice(tool));
    }
    if own || !written.is_empty() {
        write_choice(object, request, own, losses);
    }
}

fn write_tool(tool: &Tool, own: bool, path: &str, losses: &mut Losses) -> Option<Vec<u8>> {
    let (name, description, schema, strict) = match &tool.kind {
        ToolKind::Opaque { value, .. } if own => return Some(value.text().as_bytes().to_vec()),
        ToolKind::Opaque { name, .. } => {
            losses.dropped(format!("{path}.{name}"), "a tool of a kind that only its own dialect has");
            return None;
        }
        ToolKind::Function { name, description, schema, strict } => (name, description, schema, strict),
    };
    let mut out = Vec::with_capacity(256);
    let mut object = ObjectWriter::open(&mut out);
    object.string("name", name);
    if let Some(description) = description {
        object.string("description", description);
    }
    match schema {
        Some(schema) => object.raw("input_schema", schema.text()),
        None if own => {}
        None => object.raw("input_schema", "{\"type\":\"object\",\"properties\":{}}"),
    }
    if let Some(strict) = strict {
        object.boolean("strict", *strict);
    }
    if let Some(cache) = &tool.cache {
        object.raw("cache_control", cache.text());
    }
    if own {
        object.ext(&tool.ext);
    } else {
        losses.ext(path, &tool.ext);
    }
    object.close();
    Some(out)
}

fn write_choice(object: &mut ObjectWriter<'_>, request: &Request, own: bool, losses: &mut Losses) {
    let parallel = request.parallel_tool_calls;
    let (kind, name) = match &request.tool_choice {
        Some(ToolChoice::Opaque(raw)) if own => return object.raw("tool_choice", raw.text()),
        Some(ToolChoice::Opaque(_)) => {
            return losses.dropped("tool_choice", "a choice of a kind that only its own dialect has");
        }
        Some(ToolChoice::Auto) => ("auto", None),
        Some(ToolChoice::None) => ("none", None),
        Some(ToolChoice::Required) => ("any", None),
        Some(ToolChoice::Named(name)) => ("tool", Some(name)),
        // The flag needs a choice to stand in.
        None if parallel == Some(false) => ("auto", None),
        None => return,
    };
    let mut choice = ObjectWriter::open(object.key("tool_choice"));
    choice.string("type", kind);
    if let Some(name) = name {
        choice.string("name", name);
    }
    if let Some(parallel) = parallel.filter(|parallel| own || (!parallel && kind != "none")) {
        choice.boolean("disable_parallel_tool_use", !parallel);
    }
    choice.close();
}

fn write_sampling(object: &mut ObjectWriter<'_>, request: &Request, own: bool, losses: &mut Losses) {
    if let Some(temperature) = request.temperature {
        let taken = if own { temperature } else { temperature.min(1.0) };
        if taken < temperature {
            losses.approximated("temperature", "the largest temperature there is 1");
        }
        object.value("temperature", &taken);
    }
    if let Some(top_p) = request.top_p {
        object.value("top_p", &top_p);
    }
    if let Some(top_k) = request.top_k {
        object.value("top_k", &top_k);
    }
    let Some(stop) = &request.stop else { return };
    // Texts of nothing but space are refused there.
    let taken: Vec<&String> = stop.texts.iter().filter(|text| own || !text.trim().is_empty()).collect();
    if taken.len() < stop.texts.len() {
        losses.dropped("stop", "a stop text of nothing but space is refused there");
    }
    if own || !taken.is_empty() {
        write_array(object.key("stop_sequences"), taken, |out, text| write_string(out, text));
    }
}

/// Thinking, effort and the answer's format. Efforts of another dialect become Anthropic's own; `none` turns
/// thinking off, `minimal` is `low`.
fn write_thinking(
    object: &mut ObjectWriter<'_>,
    request: &Request,
    own: bool,
    limit: Option<u64>,
    losses: &mut Losses,
) {
    let mut effort = None;
    if let Some(reasoning) = &request.reasoning {
        write_thinking_object(object, reasoning, own, limit, losses);
        effort = match &reasoning.effort {
            None | Some(Effort::None) => None,
            Some(Effort::Minimal) => {
                losses.approximated("reasoning_effort", "the least effort there is low");
                Some("low")
            }
            Some(Effort::Low) => Some("low"),
            Some(Effort::Medium) => Some("medium"),
            Some(Effort::High) => Some("high"),
            Some(Effort::Other(word)) => Some(word.as_str()),
        };
    }
    let rest = request.ext.get("output_config").filter(|_| own);
    let format = request.output.as_ref().and_then(|output| output_format(output, own, losses));
    if effort.is_none() && format.is_none() && rest.is_none() {
        return;
    }
    let mut config = ObjectWriter::open(object.key("output_config"));
    if let Some(effort) = effort {
        config.string("effort", effort);
    }
    if let Some(format) = format {
        config.raw("format", format.text());
    }
    if let Some(Ok(rest)) = rest.map(|rest| crate::json::Object::from_raw(rest.value())) {
        for (name, value) in rest.iter() {
            config.raw(name, value.get());
        }
    }
    config.close();
}

fn write_thinking_object(
    object: &mut ObjectWriter<'_>,
    reasoning: &Reasoning,
    own: bool,
    limit: Option<u64>,
    losses: &mut Losses,
) {
    if own {
        if reasoning.enabled.is_none() {
            return;
        }
        let mut thinking = ObjectWriter::open(object.key("thinking"));
        if let Some(budget) = reasoning.budget_tokens {
            thinking.value("budget_tokens", &budget);
        }
        thinking.ext(&reasoning.ext);
        thinking.close();
        return;
    }
    if reasoning.effort == Some(Effort::None) {
        return object.raw("thinking", "{\"type\":\"disabled\"}");
    }
    let Some(budget) = reasoning.budget_tokens else { return };
    // The budget is part of the limit, and must leave room for an answer.
    let room = limit.unwrap_or(OUTPUT_TOKENS_DEFAULT).saturating_sub(1);
    if room < BUDGET_TOKENS_MIN {
        return losses.dropped("reasoning", "the output limit leaves no room for thinking");
    }
    let mut thinking = ObjectWriter::open(object.key("thinking"));
    thinking.string("type", "enabled");
    thinking.value("budget_tokens", &budget.clamp(BUDGET_TOKENS_MIN, room));
    thinking.close();
}

fn output_format(output: &OutputFormat, own: bool, losses: &mut Losses) -> Option<Raw> {
    match output {
        OutputFormat::Text => None,
        OutputFormat::JsonObject => {
            losses.dropped("response_format", "there is no JSON format without a schema there");
            None
        }
        OutputFormat::Opaque(raw) if own => Some(raw.clone()),
        OutputFormat::Opaque(_) => {
            losses.dropped("response_format", "the target has no such format");
            None
        }
        OutputFormat::JsonSchema { name, description, schema, ext, .. } => {
            if !own {
                if description.is_some() {
                    losses.dropped(
                        "response_format.json_schema.description",
                        "a format has no description there",
                    );
                }
                if name.is_some() {
                    losses.approximated("response_format.json_schema.name", "a format has no name there");
                }
                losses.ext("response_format.json_schema", ext);
            }
            let schema = schema.as_ref().map_or("{\"type\":\"object\"}", Raw::text);
            let mut text = Vec::with_capacity(schema.len() + 40);
            let mut object = ObjectWriter::open(&mut text);
            object.string("type", "json_schema");
            object.raw("schema", schema);
            if own {
                object.ext(ext);
            }
            object.close();
            Raw::parse(&String::from_utf8_lossy(&text))
        }
    }
}

fn write_metadata(object: &mut ObjectWriter<'_>, request: &Request, own: bool) {
    let rest = request.ext.get("metadata").filter(|_| own);
    match (&request.user, rest) {
        (None, None) => {}
        (None, Some(rest)) => object.raw("metadata", rest.text()),
        (Some(user), rest) => {
            let user = Raw::string(user);
            let empty = Raw::parse("{}").expect("an empty object is JSON");
            let base = rest.unwrap_or(&empty);
            if let Some(whole) = with_member(base.value(), "user_id", user.text()) {
                object.raw("metadata", whole.text());
            }
        }
    }
}

/// What another dialect asks for and this one has no word for.
fn report(request: &Request, losses: &mut Losses) {
    let why = "there is no such field there";
    if request.choices.is_some_and(|choices| choices > 1) {
        losses.dropped("n", "there is one answer to a request there");
    }
    let asked = [
        ("seed", request.seed.is_some()),
        ("logprobs", request.logprobs == Some(true)),
        ("top_logprobs", request.top_logprobs.is_some_and(|count| count > 0)),
        ("frequency_penalty", request.frequency_penalty.is_some_and(|penalty| penalty != 0.0)),
        ("presence_penalty", request.presence_penalty.is_some_and(|penalty| penalty != 0.0)),
        ("metadata", request.metadata.is_some()),
    ];
    for (name, _) in asked.into_iter().filter(|(_, asked)| *asked) {
        losses.dropped(name, why);
    }
    let mut ext = request.ext.clone();
    // Options of how a stream is told say nothing to a target whose streams always tell usage.
    ext.0.retain(|(name, _)| name != "stream_options");
    losses.ext("", &ext);
}

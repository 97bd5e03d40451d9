//! Requests: meaning to bytes.

use std::borrow::Cow;

use super::{block_encode::BlockWriter, config_encode, kept, turns::turns};
use crate::{
    Dialect, Encoding, Losses, Sampling,
    ir::{Form, Request, Tool, ToolChoice, ToolKind},
    json::{Object, ObjectWriter, Raw, write_array, write_string},
    seal::Seals,
};

/// The output limit of a request that has none, for a model whose own is not known.
pub(super) const OUTPUT_TOKENS_DEFAULT: u64 = 4_096;

/// Writes a request.
pub(super) fn encode_request(request: &Request, encoding: &Encoding<'_>, losses: &mut Losses) -> Vec<u8> {
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
    let thinking = config_encode::Thinking::of(request, encoding.quirks, limit, losses);
    let fixed = encoding.quirks.sampling == Sampling::None || thinking.is_on();
    if own || !fixed {
        write_sampling(&mut object, request, own, losses);
    } else {
        report_sampling(request, losses);
    }
    write_stop(&mut object, request, own, losses);
    config_encode::write(&mut object, request, &thinking, losses);
    write_metadata(&mut object, request, own);
    if let Some(stream) = request.stream {
        object.boolean("stream", stream);
    }
    if own {
        let placed = ["metadata", "output_config", "output_format"];
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
    let fallback = encoding.output_tokens_max.or(encoding.quirks.output_tokens_default);
    request.output_tokens_max.or_else(|| (!own).then(|| fallback.unwrap_or(OUTPUT_TOKENS_DEFAULT)))
}

fn write_messages(object: &mut ObjectWriter<'_>, request: &Request, own: bool, losses: &mut Losses) {
    let split = turns(request, losses);
    let mut writer = BlockWriter { own, losses, seals: Seals::SentBack(request.dialect) };
    if let Some(spoken) = &split.system {
        let mut system = Vec::new();
        if writer.content(&mut system, spoken) {
            object.key("system").extend_from_slice(&system);
        }
    }
    let mut messages: Vec<Vec<u8>> = Vec::with_capacity(split.turns.len());
    for turn in &split.turns {
        let mut out = Vec::with_capacity(256);
        let mut message = ObjectWriter::open(&mut out);
        message.string("role", turn.role);
        let absent = own && turn.spoken.form == Form::Absent;
        let filled = absent || writer.content(message.key("content"), &turn.spoken);
        for (name, value) in turn.message.ext.0.iter().filter(|(name, _)| own && name != "role") {
            message.raw(name, value.text());
        }
        message.close();
        // A turn of which nothing is left says nothing, and is refused there.
        if filled {
            messages.push(out);
        }
    }
    write_array(object.key("messages"), &messages, |out, message| out.extend_from_slice(message));
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
        Some(schema) => object.raw("input_schema", input_schema(schema, own).text()),
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
        for (name, value) in &tool.ext.0 {
            let custom = name == "type" && !value.is_null();
            object.raw(name, if custom { "\"custom\"" } else { value.text() });
        }
    } else {
        losses.ext(path, &tool.ext);
    }
    object.close();
    Some(out)
}

/// The schema of a tool's input names its type, `object`, which others leave out for tools without parameters.
fn input_schema(schema: &Raw, own: bool) -> Cow<'_, Raw> {
    let typed = Object::from_raw(schema.value()).is_ok_and(|object| object.peek("type").is_some());
    if own || typed {
        return Cow::Borrowed(schema);
    }
    kept::with_member(schema, "type", "\"object\"").map_or(Cow::Borrowed(schema), Cow::Owned)
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
}

/// Newer models choose for themselves, and thinking binds the older ones to their defaults
/// (<https://docs.anthropic.com/en/docs/build-with-claude/extended-thinking>).
fn report_sampling(request: &Request, losses: &mut Losses) {
    let asked = [
        ("temperature", request.temperature.is_some_and(|temperature| temperature != 1.0)),
        ("top_p", request.top_p.is_some_and(|top_p| top_p != 1.0)),
        ("top_k", request.top_k.is_some()),
    ];
    for (name, _) in asked.into_iter().filter(|(_, asked)| *asked) {
        losses.dropped(name, "the model refuses it, or refuses it while it thinks");
    }
}

fn write_stop(object: &mut ObjectWriter<'_>, request: &Request, own: bool, losses: &mut Losses) {
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

fn write_metadata(object: &mut ObjectWriter<'_>, request: &Request, own: bool) {
    let rest = request.ext.get("metadata").filter(|_| own);
    if let Some(rest) = rest.filter(|rest| rest.is_null()) {
        return object.raw("metadata", rest.text());
    }
    if rest.is_none() && request.user.is_none() {
        return;
    }
    let mut metadata = ObjectWriter::open(object.key("metadata"));
    if let Some(user) = &request.user {
        metadata.string("user_id", user);
    }
    kept::write(&mut metadata, rest);
    metadata.close();
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

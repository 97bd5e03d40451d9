//! Limits, sampling, thinking and the form of the answer: meaning to bytes.

use super::words::thinking_type;
use crate::{
    Dialect, Encoding, Losses, ReasoningControl, Sampling, crossing,
    dialects::openai_chat::effort_name,
    ir::{Effort, Ext, OutputFormat, Reasoning, Request},
    json::{Object, ObjectWriter, Raw, write_array, write_string},
    kept,
};

/// Writes the settings, and tells what this dialect has no word for.
pub(super) fn write(
    object: &mut ObjectWriter<'_>,
    request: &Request,
    encoding: &Encoding<'_>,
    losses: &mut Losses,
) {
    let own = request.dialect == Dialect::BedrockConverse;
    write_inference(object, request, encoding, own, losses);
    write_output(object, request, own, losses);
    write_additional(object, request, encoding, own, losses);
    if let Some(metadata) = &request.metadata {
        if own || is_labels(metadata) {
            object.raw("requestMetadata", metadata.text());
        } else {
            losses.dropped("metadata", "labels are texts there");
        }
    }
    if !own {
        report(request, losses);
    }
}

/// The kept rest of an object of this dialect, and whether the object stands at all.
fn kept_of<'r>(request: &'r Request, own: bool, name: &str) -> Option<&'r Raw> {
    request.ext.get(name).filter(|_| own)
}

fn write_inference(
    object: &mut ObjectWriter<'_>,
    request: &Request,
    encoding: &Encoding<'_>,
    own: bool,
    losses: &mut Losses,
) {
    let fixed = !own && encoding.quirks.sampling == Sampling::None;
    let mut out = Vec::with_capacity(80);
    let mut config = ObjectWriter::open(&mut out);
    if let Some(limit) = request.output_tokens_max {
        config.value("maxTokens", &limit);
    }
    let numbers = [("temperature", "temperature", request.temperature), ("topP", "top_p", request.top_p)];
    for (member, name, value) in numbers {
        match value {
            Some(_) if fixed => losses.dropped(name, "the model refuses it"),
            Some(value) => {
                let taken = if own { value } else { value.min(1.0) };
                if taken < value {
                    losses.approximated(name, "the largest there is 1");
                }
                config.value(member, &taken);
            }
            None => {}
        }
    }
    if let Some(stop) = &request.stop {
        write_array(config.key("stopSequences"), &stop.texts, |out, text| write_string(out, text));
    }
    let rest = kept_of(request, own, "inferenceConfig");
    kept::write(&mut config, rest);
    config.close();
    put(object, "inferenceConfig", &out, rest);
}

/// Writes an object that says something, or that stood there.
fn put(object: &mut ObjectWriter<'_>, name: &str, written: &[u8], rest: Option<&Raw>) {
    match rest {
        Some(rest) if rest.is_null() => object.raw(name, "null"),
        Some(_) => object.key(name).extend_from_slice(written),
        None if written.len() > 2 => object.key(name).extend_from_slice(written),
        None => {}
    }
}

fn write_output(object: &mut ObjectWriter<'_>, request: &Request, own: bool, losses: &mut Losses) {
    let mut out = Vec::with_capacity(80);
    let mut config = ObjectWriter::open(&mut out);
    let elsewhere = ["output_config", "reasoning_effort", "reasoning_config"];
    let placed = elsewhere.iter().any(|name| request.ext.get(name).is_some());
    let effort = request.reasoning.as_ref().and_then(|reasoning| reasoning.effort.as_ref());
    if let Some(effort) = effort.filter(|_| own && !placed) {
        config.string("effort", effort_name(effort));
    }
    match &request.output {
        Some(OutputFormat::Opaque(raw)) if own => config.raw("textFormat", raw.text()),
        Some(OutputFormat::JsonSchema { name, description, schema, strict, ext }) => {
            let schema = schema.as_ref().map_or("{\"type\":\"object\"}", Raw::text);
            let mut format = ObjectWriter::open(config.key("textFormat"));
            format.string("type", "json_schema");
            let mut structure = ObjectWriter::open(format.key("structure"));
            let mut inner = ObjectWriter::open(structure.key("jsonSchema"));
            inner.string("schema", schema);
            if let Some(name) = name {
                inner.string("name", name);
            }
            if let Some(description) = description {
                inner.string("description", description);
            }
            if own {
                inner.ext(ext);
            } else {
                if *strict == Some(false) {
                    losses.approximated("output.strict", "a schema is always kept to there");
                }
                losses.ext("output", ext);
            }
            inner.close();
            structure.close();
            format.close();
        }
        Some(OutputFormat::JsonObject | OutputFormat::Opaque(_)) => {
            losses.dropped("output.type", "there is no JSON format without a schema there");
        }
        Some(OutputFormat::Text) | None => {}
    }
    let rest = kept_of(request, own, "outputConfig");
    kept::write(&mut config, rest);
    config.close();
    put(object, "outputConfig", &out, rest);
}

/// What the model's own maker defines.
fn write_additional(
    object: &mut ObjectWriter<'_>,
    request: &Request,
    encoding: &Encoding<'_>,
    own: bool,
    losses: &mut Losses,
) {
    let mut out = Vec::with_capacity(80);
    let mut fields = ObjectWriter::open(&mut out);
    match request.top_k {
        Some(_) if !own && encoding.quirks.sampling != Sampling::All => {
            losses.dropped("top_k", "the model refuses it");
        }
        Some(top_k) => fields.value("top_k", &top_k),
        None => {}
    }
    if let Some(reasoning) = &request.reasoning {
        if own {
            own_thinking(&mut fields, reasoning, &request.ext);
        } else {
            write_thinking(&mut fields, reasoning, request, encoding, losses);
        }
    }
    let rest = kept_of(request, own, "additionalModelRequestFields");
    kept::write(&mut fields, rest);
    fields.close();
    put(object, "additionalModelRequestFields", &out, rest);
}

fn own_thinking(fields: &mut ObjectWriter<'_>, reasoning: &Reasoning, ext: &Ext) {
    let older = ext.get("reasoning_config").is_some();
    if let Some(enabled) = reasoning.enabled {
        let mut thinking =
            ObjectWriter::open(fields.key(if older { "reasoning_config" } else { "thinking" }));
        thinking.string("type", thinking_type(enabled, reasoning.budget_tokens));
        if let Some(budget) = reasoning.budget_tokens {
            thinking.value("budget_tokens", &budget);
        }
        thinking.ext(&reasoning.ext);
        thinking.close();
    }
    let Some(effort) = &reasoning.effort else { return };
    if ext.get("output_config").is_some() {
        let mut config = ObjectWriter::open(fields.key("output_config"));
        config.string("effort", effort_name(effort));
        config.close();
    } else if ext.get("reasoning_effort").is_some() {
        fields.string("reasoning_effort", effort_name(effort));
    } else if older && reasoning.enabled.is_none() {
        fields.string("reasoning_config", effort_name(effort));
    }
}

/// Thinking of another dialect's request, as the model is told: Anthropic's by a budget or, the newer ones, by an
/// effort; others by `reasoning_effort`
/// (<https://docs.aws.amazon.com/bedrock/latest/userguide/conversation-inference-call.html>).
fn write_thinking(
    fields: &mut ObjectWriter<'_>,
    reasoning: &Reasoning,
    request: &Request,
    encoding: &Encoding<'_>,
    losses: &mut Losses,
) {
    crossing::report_reasoning(reasoning, losses);
    if reasoning.enabled == Some(false) || reasoning.effort == Some(Effort::None) {
        return;
    }
    let budget = |fields: &mut ObjectWriter<'_>, tokens: u64| {
        let mut thinking = ObjectWriter::open(fields.key("thinking"));
        thinking.string("type", "enabled");
        thinking.value("budget_tokens", &tokens.max(1_024));
        thinking.close();
    };
    match (encoding.quirks.reasoning, reasoning.budget_tokens, &reasoning.effort) {
        (ReasoningControl::Effort, tokens, effort) => {
            if tokens.is_some() {
                losses.approximated("reasoning.budget_tokens", "the model thinks as much as it finds right");
            }
            fields.raw("thinking", "{\"type\":\"adaptive\"}");
            if let Some(effort) = effort {
                let mut config = ObjectWriter::open(fields.key("output_config"));
                config.string("effort", effort_name(effort));
                config.close();
            }
        }
        (ReasoningControl::Budget | ReasoningControl::Any, Some(tokens), _) => budget(fields, tokens),
        (ReasoningControl::Budget, None, Some(effort)) => {
            losses.approximated("reasoning.effort", "the model takes a budget of tokens instead");
            let room = request.output_tokens_max.or(encoding.output_tokens_max).unwrap_or(4_096);
            let tenths = match effort {
                Effort::None | Effort::Minimal => 1,
                Effort::Low => 2,
                Effort::Medium => 5,
                Effort::High | Effort::Other(_) => 8,
            };
            budget(fields, room / 10 * tenths);
        }
        (ReasoningControl::Any, None, Some(effort)) => fields.string("reasoning_effort", effort_name(effort)),
        (ReasoningControl::Budget | ReasoningControl::Any, None, None) => {
            losses.approximated("reasoning.enabled", "the model decides by itself how much to think");
        }
    }
}

/// Whether labels are texts, as they must be.
fn is_labels(metadata: &Raw) -> bool {
    Object::from_raw(metadata.value())
        .is_ok_and(|labels| labels.iter().all(|(_, value)| value.get().starts_with('"')))
}

/// What another dialect asks for and this one has no word for.
fn report(request: &Request, losses: &mut Losses) {
    if request.choices.is_some_and(|choices| choices > 1) {
        losses.dropped("n", "there is one answer to a request there");
    }
    let asked = [
        ("user", request.user.is_some()),
        ("seed", request.seed.is_some()),
        ("logprobs", request.logprobs == Some(true)),
        ("top_logprobs", request.top_logprobs.is_some_and(|count| count > 0)),
        ("frequency_penalty", request.frequency_penalty.is_some_and(|penalty| penalty != 0.0)),
        ("presence_penalty", request.presence_penalty.is_some_and(|penalty| penalty != 0.0)),
    ];
    for (name, _) in asked.into_iter().filter(|(_, asked)| *asked) {
        losses.dropped(name, "there is no such field there");
    }
    let mut ext = request.ext.clone();
    ext.0.retain(|(name, _)| name != "stream_options");
    losses.ext("", &ext);
}

//! `generationConfig`: meaning to bytes.

use super::{
    notes::{NONE, nested, noted, spelled, write_rest},
    words,
};
use crate::{
    Dialect, Encoding, Losses, ReasoningControl, Sampling, crossing,
    ir::{Effort, Ext, OutputFormat, Request},
    json::{ObjectWriter, Raw, write_array, write_string},
};

/// Writes the settings, where there are any.
pub(super) fn write(
    object: &mut ObjectWriter<'_>,
    request: &Request,
    encoding: &Encoding<'_>,
    losses: &mut Losses,
) {
    let own = request.dialect == Dialect::Gemini;
    let outer = if own { &request.ext } else { &NONE };
    let ext = nested(outer, "generationConfig");
    let mut out = Vec::with_capacity(256);
    let mut config = ObjectWriter::open(&mut out);
    write_sampling(&mut config, request, encoding, &ext, losses);
    if let Some(output) = &request.output {
        write_output(&mut config, output, own, &ext, losses);
    }
    write_thinking(&mut config, request, encoding, &ext, losses);
    write_rest(&mut config, &ext, &["thinkingConfig"]);
    config.close();
    if out.len() > 2 || noted(&ext, "there").is_some() {
        object.key(&spelled(outer, "generationConfig")).extend_from_slice(&out);
    }
}

fn write_sampling(
    config: &mut ObjectWriter<'_>,
    request: &Request,
    encoding: &Encoding<'_>,
    ext: &Ext,
    losses: &mut Losses,
) {
    let own = request.dialect == Dialect::Gemini;
    let fixed = !own && encoding.quirks.sampling == Sampling::None;
    let numbers = [
        ("temperature", "temperature", request.temperature),
        ("topP", "top_p", request.top_p),
        ("topK", "top_k", request.top_k.map(|top_k| top_k as f64)),
        ("presencePenalty", "presence_penalty", request.presence_penalty),
        ("frequencyPenalty", "frequency_penalty", request.frequency_penalty),
    ];
    for (member, name, value) in numbers {
        match value {
            Some(_) if fixed => losses.dropped(name, "the model refuses it"),
            Some(value) => config.value(&spelled(ext, member), &value),
            None => {}
        }
    }
    let counts = [
        ("candidateCount", request.choices.filter(|count| own || *count > 1)),
        ("maxOutputTokens", request.output_tokens_max),
        ("logprobs", request.top_logprobs.filter(|count| own || *count > 0)),
    ];
    for (member, value) in counts {
        if let Some(value) = value {
            config.value(&spelled(ext, member), &value);
        }
    }
    if let Some(seed) = request.seed {
        config.value("seed", &seed);
    }
    if let Some(logprobs) = request.logprobs.filter(|logprobs| own || *logprobs) {
        config.boolean(&spelled(ext, "responseLogprobs"), logprobs);
    }
    if let Some(stop) = &request.stop {
        write_array(config.key(&spelled(ext, "stopSequences")), &stop.texts, |out, text| {
            write_string(out, text);
        });
    }
}

/// Structured output (<https://ai.google.dev/gemini-api/docs/structured-output>).
fn write_output(
    config: &mut ObjectWriter<'_>,
    output: &OutputFormat,
    own: bool,
    ext: &Ext,
    losses: &mut Losses,
) {
    let media_type = spelled(ext, "responseMimeType");
    match output {
        OutputFormat::Text if own => config.string(&media_type, "text/plain"),
        OutputFormat::Text => {}
        OutputFormat::JsonObject => config.string(&media_type, "application/json"),
        OutputFormat::Opaque(_) => losses.dropped("output.type", "the target has no such format"),
        OutputFormat::JsonSchema { schema, .. } => {
            config.string(&media_type, "application/json");
            let as_written = noted(ext, "responseSchema").or(schema.as_ref().map(Raw::text));
            let member =
                if noted(ext, "schema") == Some("own") { "responseSchema" } else { "responseJsonSchema" };
            if let Some(schema) = as_written {
                config.raw(&spelled(ext, member), schema);
            }
            if own {
                return;
            }
            crossing::report_format(output, losses);
        }
    }
}

/// How much to think (<https://ai.google.dev/gemini-api/docs/thinking>). Models from generation 3 on are told by a
/// level, earlier ones by a budget of tokens.
fn write_thinking(
    config: &mut ObjectWriter<'_>,
    request: &Request,
    encoding: &Encoding<'_>,
    ext: &Ext,
    losses: &mut Losses,
) {
    let Some(reasoning) = &request.reasoning else { return };
    let own = request.dialect == Dialect::Gemini;
    let rest = nested(ext, "thinkingConfig");
    let mut out = Vec::with_capacity(64);
    let mut thinking = ObjectWriter::open(&mut out);
    if own {
        if let Some(shown) = noted(&rest, "shown") {
            thinking.raw(&spelled(&rest, "includeThoughts"), shown);
        }
        if let Some(budget) = reasoning.budget_tokens {
            thinking.value(&spelled(&rest, "thinkingBudget"), &budget);
        } else if let Some(budget) = noted(&rest, "budget") {
            thinking.raw(&spelled(&rest, "thinkingBudget"), budget);
        }
        if let Some(level) = noted(&rest, "level") {
            thinking.string(&spelled(&rest, "thinkingLevel"), level);
        }
        write_rest(&mut thinking, &rest, &[]);
        thinking.close();
        config.key(&spelled(ext, "thinkingConfig")).extend_from_slice(&out);
        return;
    }
    crossing::report_reasoning(reasoning, losses);
    let by_level = encoding.quirks.reasoning == ReasoningControl::Effort;
    let off = reasoning.enabled == Some(false) || reasoning.effort == Some(Effort::None);
    match (&reasoning.effort, reasoning.budget_tokens) {
        _ if off && by_level => {
            losses.approximated("reasoning", "the model cannot be told not to think; it thinks little");
            thinking.string("thinkingLevel", "low");
        }
        _ if off => thinking.value("thinkingBudget", &0),
        (Some(effort), _) if by_level => {
            let (level, same) = words::level(effort);
            if !same {
                losses.approximated("reasoning.effort", "the largest level there is high");
            }
            thinking.string("thinkingLevel", &level.to_ascii_lowercase());
        }
        (Some(effort), _) => thinking.value("thinkingBudget", &words::budget(effort)),
        (None, Some(budget)) if by_level => {
            losses.approximated("reasoning.budget_tokens", "a budget becomes a level");
            let level = if budget <= 2_048 { "low" } else { "high" };
            thinking.string("thinkingLevel", level);
        }
        (None, Some(budget)) => thinking.value("thinkingBudget", &budget),
        (None, None) => {}
    }
    if !off {
        thinking.boolean("includeThoughts", true);
    }
    thinking.close();
    config.key("thinkingConfig").extend_from_slice(&out);
}

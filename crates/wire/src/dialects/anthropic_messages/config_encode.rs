//! How much to think, and the form of the answer: meaning to `thinking` and `output_config`.

use super::{kept, request_encode::OUTPUT_TOKENS_DEFAULT};
use crate::{
    Dialect, Losses,
    ir::{Effort, OutputFormat, Reasoning, Request},
    json::{ObjectWriter, Raw},
};

/// The smallest thinking budget that is taken
/// (<https://docs.anthropic.com/en/docs/build-with-claude/extended-thinking>).
const BUDGET_TOKENS_MIN: u64 = 1_024;

/// Writes `thinking`, `output_config` and its older name `output_format`.
pub(super) fn write(
    object: &mut ObjectWriter<'_>,
    request: &Request,
    limit: Option<u64>,
    losses: &mut Losses,
) {
    let own = request.dialect == Dialect::AnthropicMessages;
    let mut effort = None;
    if let Some(reasoning) = &request.reasoning {
        if own {
            write_own_thinking(object, reasoning);
        } else {
            write_budget(object, reasoning, limit, losses);
        }
        effort = reasoning.effort.as_ref().and_then(|effort| effort_word(effort, losses));
    }
    let format = request.output.as_ref().and_then(|output| output_format(output, own, losses));
    let older = request.ext.get("output_format").filter(|_| own);
    if let Some(older) = older {
        // A `null` is what the caller wrote; anything else stands for the format.
        object.raw("output_format", format.as_ref().filter(|_| !older.is_null()).unwrap_or(older).text());
    }
    let format = format.filter(|_| older.is_none_or(Raw::is_null));
    let rest = request.ext.get("output_config").filter(|_| own);
    if let Some(rest) = rest.filter(|rest| rest.is_null()) {
        return object.raw("output_config", rest.text());
    }
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
    kept::write(&mut config, rest);
    config.close();
}

fn write_own_thinking(object: &mut ObjectWriter<'_>, reasoning: &Reasoning) {
    if reasoning.enabled.is_none() {
        return;
    }
    let mut thinking = ObjectWriter::open(object.key("thinking"));
    if let Some(budget) = reasoning.budget_tokens {
        thinking.value("budget_tokens", &budget);
    }
    thinking.ext(&reasoning.ext);
    thinking.close();
}

/// An effort of another dialect becomes `output_config.effort`, which works with and without thinking
/// (<https://docs.anthropic.com/en/docs/build-with-claude/effort>); thinking itself would bind the caller to a
/// temperature of 1 and to no forced tool. Without thinking is how this API answers unless asked, so `none` needs
/// no word.
fn effort_word<'e>(effort: &'e Effort, losses: &mut Losses) -> Option<&'e str> {
    match effort {
        Effort::None => None,
        Effort::Minimal => {
            losses.approximated("reasoning_effort", "the least effort there is low");
            Some("low")
        }
        Effort::Low => Some("low"),
        Effort::Medium => Some("medium"),
        Effort::High => Some("high"),
        Effort::Other(word) => Some(word),
    }
}

/// The budget is part of the limit, and must leave room for an answer.
fn write_budget(
    object: &mut ObjectWriter<'_>,
    reasoning: &Reasoning,
    limit: Option<u64>,
    losses: &mut Losses,
) {
    losses.ext("reasoning", &reasoning.ext);
    let Some(budget) = reasoning.budget_tokens else { return };
    let room = limit.unwrap_or(OUTPUT_TOKENS_DEFAULT).saturating_sub(1);
    if room < BUDGET_TOKENS_MIN {
        return losses.dropped("reasoning", "the output limit leaves no room for thinking");
    }
    let taken = budget.clamp(BUDGET_TOKENS_MIN, room);
    if taken != budget {
        losses.approximated("reasoning", "a budget has a least size there, and is part of the output limit");
    }
    let mut thinking = ObjectWriter::open(object.key("thinking"));
    thinking.string("type", "enabled");
    thinking.value("budget_tokens", &taken);
    thinking.close();
}

fn output_format(output: &OutputFormat, own: bool, losses: &mut Losses) -> Option<Raw> {
    let (name, description, schema, strict, ext) = match output {
        OutputFormat::Text => return None,
        OutputFormat::JsonObject => {
            losses.dropped("response_format", "there is no JSON format without a schema there");
            return None;
        }
        OutputFormat::Opaque(raw) if own => return Some(raw.clone()),
        OutputFormat::Opaque(_) => {
            losses.dropped("response_format", "the target has no such format");
            return None;
        }
        OutputFormat::JsonSchema { name, description, schema, strict, ext } => {
            (name, description, schema, strict, ext)
        }
    };
    if !own {
        let path = "response_format.json_schema";
        if description.is_some() {
            losses.dropped(format!("{path}.description"), "a format has no description there");
        }
        if name.is_some() {
            losses.approximated(format!("{path}.name"), "a format has no name there");
        }
        if *strict == Some(false) {
            losses.approximated(format!("{path}.strict"), "a schema is always kept to there");
        }
        losses.ext(path, ext);
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

//! How much to think, and the form of the answer: meaning to `thinking` and `output_config`.

use super::{kept, request_encode::OUTPUT_TOKENS_DEFAULT};
use crate::{
    Dialect, Losses, Quirks, ReasoningControl,
    ir::{Effort, OutputFormat, Reasoning, Request, ToolChoice},
    json::{ObjectWriter, Raw},
};

/// The smallest thinking budget that is taken
/// (<https://docs.anthropic.com/en/docs/build-with-claude/extended-thinking>).
const BUDGET_TOKENS_MIN: u64 = 1_024;

/// What a request's wish for reasoning becomes.
pub(super) enum Thinking<'r> {
    /// As the caller of this dialect wrote it.
    Own(&'r Reasoning),
    /// So many tokens of it.
    Budget(u64),
    /// As much as the model finds right, for an effort where there is one.
    Adaptive,
    /// Told by an effort alone.
    Effort,
    Off,
}

impl Thinking<'_> {
    pub(super) fn of<'r>(
        request: &'r Request,
        quirks: &Quirks,
        limit: Option<u64>,
        losses: &mut Losses,
    ) -> Thinking<'r> {
        let Some(reasoning) = &request.reasoning else { return Thinking::Off };
        if request.dialect == Dialect::AnthropicMessages {
            return Thinking::Own(reasoning);
        }
        losses.ext("reasoning", &reasoning.ext);
        let effort = reasoning.effort.as_ref().filter(|effort| **effort != Effort::None);
        match (reasoning.budget_tokens, effort) {
            (Some(_), _) if quirks.reasoning == ReasoningControl::Effort => {
                losses.approximated(
                    "reasoning",
                    "the model takes no budget, and thinks as much as it finds right",
                );
                Thinking::Adaptive
            }
            (Some(budget), _) => budgeted(budget, limit, losses),
            (None, Some(effort)) if quirks.reasoning == ReasoningControl::Budget => {
                if matches!(request.tool_choice, Some(ToolChoice::Required | ToolChoice::Named(_))) {
                    losses.dropped("reasoning.effort", "a tool cannot be forced while the model thinks");
                    return Thinking::Off;
                }
                losses.approximated("reasoning.effort", "the model takes a budget of tokens instead");
                let room = limit.unwrap_or(OUTPUT_TOKENS_DEFAULT);
                budgeted(room / 10 * effort_tenths(effort), limit, losses)
            }
            // Those that take no budget think when they are asked to, as much as the effort says
            // (<https://platform.claude.com/docs/en/build-with-claude/adaptive-thinking>).
            (None, Some(_)) if quirks.reasoning == ReasoningControl::Effort => Thinking::Adaptive,
            (None, Some(_)) => Thinking::Effort,
            (None, None) if reasoning.enabled == Some(true) => asked(request, quirks, limit, losses),
            (None, None) => Thinking::Off,
        }
    }

    /// Whether another dialect's request comes to think here.
    pub(super) fn is_on(&self) -> bool {
        matches!(self, Thinking::Budget(_) | Thinking::Adaptive)
    }
}

/// Thinking that was asked for without a word of how much.
fn asked(request: &Request, quirks: &Quirks, limit: Option<u64>, losses: &mut Losses) -> Thinking<'static> {
    if quirks.reasoning == ReasoningControl::Effort {
        return Thinking::Adaptive;
    }
    if matches!(request.tool_choice, Some(ToolChoice::Required | ToolChoice::Named(_))) {
        losses.dropped("reasoning.enabled", "a tool cannot be forced while the model thinks");
        return Thinking::Off;
    }
    losses.approximated("reasoning.enabled", "the model takes a budget of tokens: half of the output limit");
    budgeted(limit.unwrap_or(OUTPUT_TOKENS_DEFAULT) / 2, limit, losses)
}

/// The share of the output limit that an effort may think, in tenths
/// (<https://openrouter.ai/docs/use-cases/reasoning-tokens>).
fn effort_tenths(effort: &Effort) -> u64 {
    match effort {
        Effort::None => 0,
        Effort::Minimal => 1,
        Effort::Low => 2,
        Effort::Medium => 5,
        Effort::High | Effort::Other(_) => 8,
    }
}

/// The budget is part of the limit, and must leave room for an answer.
fn budgeted(budget: u64, limit: Option<u64>, losses: &mut Losses) -> Thinking<'static> {
    let room = limit.unwrap_or(OUTPUT_TOKENS_DEFAULT).saturating_sub(1);
    if room < BUDGET_TOKENS_MIN {
        losses.dropped("reasoning", "the output limit leaves no room for thinking");
        return Thinking::Off;
    }
    let taken = budget.clamp(BUDGET_TOKENS_MIN, room);
    if taken != budget {
        losses.approximated("reasoning", "a budget has a least size there, and is part of the output limit");
    }
    Thinking::Budget(taken)
}

/// Writes `thinking`, `output_config` and its older name `output_format`.
pub(super) fn write(
    object: &mut ObjectWriter<'_>,
    request: &Request,
    thinking: &Thinking<'_>,
    losses: &mut Losses,
) {
    let own = request.dialect == Dialect::AnthropicMessages;
    write_thinking(object, thinking);
    let asked = request.reasoning.as_ref().and_then(|reasoning| reasoning.effort.as_ref());
    let effort = match thinking {
        Thinking::Own(_) | Thinking::Adaptive | Thinking::Effort => asked,
        Thinking::Budget(_) | Thinking::Off => None,
    };
    let effort = effort.and_then(|effort| effort_word(effort, losses));
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

fn write_thinking(object: &mut ObjectWriter<'_>, thinking: &Thinking<'_>) {
    match thinking {
        Thinking::Own(reasoning) if reasoning.enabled.is_some() => {
            let mut thinking = ObjectWriter::open(object.key("thinking"));
            if let Some(budget) = reasoning.budget_tokens {
                thinking.value("budget_tokens", &budget);
            }
            thinking.ext(&reasoning.ext);
            thinking.close();
        }
        Thinking::Budget(budget) => {
            let mut thinking = ObjectWriter::open(object.key("thinking"));
            thinking.string("type", "enabled");
            thinking.value("budget_tokens", budget);
            thinking.close();
        }
        Thinking::Adaptive => object.raw("thinking", "{\"type\":\"adaptive\"}"),
        Thinking::Own(_) | Thinking::Effort | Thinking::Off => {}
    }
}

/// An effort of another dialect becomes `output_config.effort`, which works with and without thinking
/// (<https://docs.anthropic.com/en/docs/build-with-claude/effort>); thinking itself would bind the caller to a
/// temperature of 1 and to no forced tool. Without thinking is how this API answers unless asked, so `none` needs
/// no word.
fn effort_word<'e>(effort: &'e Effort, losses: &mut Losses) -> Option<&'e str> {
    match effort {
        Effort::None => None,
        Effort::Minimal => {
            losses.approximated("reasoning.effort", "the least effort there is low");
            Some("low")
        }
        Effort::Low => Some("low"),
        Effort::Medium => Some("medium"),
        Effort::High => Some("high"),
        Effort::Other(word) => Some(word),
    }
}

fn output_format(output: &OutputFormat, own: bool, losses: &mut Losses) -> Option<Raw> {
    let (name, description, schema, strict, ext) = match output {
        OutputFormat::Text => return None,
        OutputFormat::JsonObject => {
            losses.dropped("output.type", "there is no JSON format without a schema there");
            return None;
        }
        OutputFormat::Opaque(raw) if own => return Some(raw.clone()),
        OutputFormat::Opaque(_) => {
            losses.dropped("output.type", "the target has no such format");
            return None;
        }
        OutputFormat::JsonSchema { name, description, schema, strict, ext } => {
            (name, description, schema, strict, ext)
        }
    };
    if !own {
        let path = "output";
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

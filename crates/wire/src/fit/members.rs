//! Members that a model refuses.

use std::borrow::Cow;

use crate::{
    Losses, Member,
    ir::{OutputFormat, Request, ToolChoice, ToolKind},
};

/// Leaves members out, and tells those that said something.
pub(super) fn leave_out(request: &mut Cow<'_, Request>, refused: &[Member], losses: &mut Losses) {
    if refused.iter().all(|member| !stands(request, *member)) {
        return;
    }
    let request = request.to_mut();
    for member in refused {
        if let Some(path) = take(request, *member) {
            losses.dropped(path, "the model refuses it");
        }
    }
    if refused.contains(&Member::Strict) {
        relax(request, losses);
    }
}

fn stands(request: &Request, member: Member) -> bool {
    match member {
        Member::Temperature => request.temperature.is_some(),
        Member::TopP => request.top_p.is_some(),
        Member::TopK => request.top_k.is_some(),
        Member::FrequencyPenalty => request.frequency_penalty.is_some(),
        Member::PresencePenalty => request.presence_penalty.is_some(),
        Member::Stop => request.stop.is_some(),
        Member::Seed => request.seed.is_some(),
        Member::N => request.choices.is_some(),
        Member::Logprobs => request.logprobs.is_some(),
        Member::TopLogprobs => request.top_logprobs.is_some(),
        Member::User => request.user.is_some(),
        Member::Metadata => request.metadata.is_some(),
        Member::ParallelToolCalls => request.parallel_tool_calls.is_some(),
        Member::ToolChoice => request.tool_choice.is_some(),
        Member::ResponseFormat => request.output.is_some(),
        Member::ReasoningEffort => request.reasoning.is_some(),
        Member::Strict => {
            let strict = |kind: &ToolKind| matches!(kind, ToolKind::Function { strict: Some(_), .. });
            matches!(request.output, Some(OutputFormat::JsonSchema { strict: Some(_), .. }))
                || request.tools.iter().any(|tool| strict(&tool.kind))
        }
    }
}

/// Takes a member out; its place where it said something that is not so anyway.
fn take(request: &mut Request, member: Member) -> Option<&'static str> {
    let (path, said) = match member {
        Member::Temperature => ("temperature", request.temperature.take().is_some_and(|value| value != 1.0)),
        Member::TopP => ("top_p", request.top_p.take().is_some_and(|value| value != 1.0)),
        Member::TopK => ("top_k", request.top_k.take().is_some()),
        Member::FrequencyPenalty => {
            ("frequency_penalty", request.frequency_penalty.take().is_some_and(|value| value != 0.0))
        }
        Member::PresencePenalty => {
            ("presence_penalty", request.presence_penalty.take().is_some_and(|value| value != 0.0))
        }
        Member::Stop => ("stop", request.stop.take().is_some_and(|stop| !stop.texts.is_empty())),
        Member::Seed => ("seed", request.seed.take().is_some()),
        Member::N => ("n", request.choices.take().is_some_and(|count| count != 1)),
        Member::Logprobs => ("logprobs", request.logprobs.take() == Some(true)),
        Member::TopLogprobs => ("top_logprobs", request.top_logprobs.take().is_some_and(|count| count > 0)),
        Member::User => ("user", request.user.take().is_some()),
        Member::Metadata => ("metadata", request.metadata.take().is_some()),
        Member::ParallelToolCalls => {
            ("parallel_tool_calls", request.parallel_tool_calls.take() == Some(false))
        }
        Member::ToolChoice => {
            ("tool_choice", request.tool_choice.take().is_some_and(|choice| choice != ToolChoice::Auto))
        }
        Member::ResponseFormat => {
            ("output", request.output.take().is_some_and(|output| output != OutputFormat::Text))
        }
        Member::ReasoningEffort => ("reasoning", request.reasoning.take().is_some()),
        // It stands in several places, each of which is told.
        Member::Strict => return None,
    };
    said.then_some(path)
}

/// Holds nothing to its schema.
fn relax(request: &mut Request, losses: &mut Losses) {
    let why = "the model cannot be held to a schema";
    if let Some(OutputFormat::JsonSchema { strict, .. }) = &mut request.output
        && strict.take() == Some(true)
    {
        losses.dropped("output.strict", why);
    }
    for (at, tool) in request.tools.iter_mut().enumerate() {
        if let ToolKind::Function { strict, .. } = &mut tool.kind
            && strict.take() == Some(true)
        {
            losses.dropped(format!("tools[{at}].strict"), why);
        }
    }
}

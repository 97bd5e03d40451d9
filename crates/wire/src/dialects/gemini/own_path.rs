//! Where a field stood in the caller's own body.

use super::streamed::origin;
use crate::{
    ir::{PartKind, Request, Role},
    paths::{Place, renamed},
};

const FIRST: [(&str, &str); 19] = [
    ("output.schema", "generationConfig.responseJsonSchema"),
    ("reasoning.effort", "generationConfig.thinkingConfig.thinkingLevel"),
    ("reasoning.budget_tokens", "generationConfig.thinkingConfig.thinkingBudget"),
    ("reasoning.enabled", "generationConfig.thinkingConfig"),
    ("reasoning", "generationConfig.thinkingConfig"),
    ("output.type", "generationConfig.responseMimeType"),
    ("output", "generationConfig.responseJsonSchema"),
    ("temperature", "generationConfig.temperature"),
    ("top_p", "generationConfig.topP"),
    ("top_k", "generationConfig.topK"),
    ("n", "generationConfig.candidateCount"),
    ("seed", "generationConfig.seed"),
    ("stop", "generationConfig.stopSequences"),
    ("presence_penalty", "generationConfig.presencePenalty"),
    ("frequency_penalty", "generationConfig.frequencyPenalty"),
    ("logprobs", "generationConfig.responseLogprobs"),
    ("top_logprobs", "generationConfig.logprobs"),
    ("tool_choice", "toolConfig.functionCallingConfig"),
    ("output_tokens_max", "generationConfig.maxOutputTokens"),
];

/// Tells a place in the representation in this dialect's words. Signatures are parts of their own there, and members
/// of the part they stand on here.
pub(super) fn own_path(request: &Request, path: &str) -> String {
    let place = Place::of(path).map(|place| (origin(&request.messages, place.message), place));
    let message = place.as_ref().and_then(|((at, _), _)| request.messages.get(*at));
    let (Some(((at, in_pieces), Place { part, rest, .. })), Some(message)) = (place, message) else {
        return renamed(path, &FIRST, &[]);
    };
    let apart = request.messages.first().is_some_and(|first| first.role == Role::System);
    let base = match at.checked_sub(usize::from(apart)) {
        Some(at) => format!("contents[{at}]"),
        None => "systemInstruction".to_owned(),
    };
    let Some(part) = part.filter(|_| !in_pieces) else { return format!("{base}{rest}") };
    let is_sealed = |kind: &PartKind| matches!(kind, PartKind::RedactedReasoning { .. });
    let before = message.content.parts.iter().take(part);
    let number = before.filter(|part| !is_sealed(&part.kind)).count();
    let signed = message.content.parts.get(part).is_some_and(|part| is_sealed(&part.kind));
    let member = if signed { ".thoughtSignature" } else { "" };
    let last = [("arguments", "functionCall.args"), ("call_id", "functionResponse.id")];
    renamed(&format!("{base}.parts[{number}]{member}{rest}"), &[], &last)
}

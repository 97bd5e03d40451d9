//! Whole answers: events to bytes.

use super::{
    block_encode::BlockWriter,
    usage,
    words::{self, Told},
};
use crate::{
    Dialect, Losses, Wanted,
    ir::{Choice, PartKind, Response, StopReason, Usage},
    json::{ObjectWriter, write_array},
    seal::Seals,
};

/// Writes an answer.
pub(super) fn write(out: &mut Vec<u8>, response: &Response, wanted: &Wanted, losses: &mut Losses) {
    let source = wanted.source;
    let own = source == Dialect::BedrockConverse;
    let none = Choice::default();
    let choice = response.choices.iter().find(|choice| choice.index == 0).unwrap_or(&none);
    let mut writer = BlockWriter { own, seals: Seals::Told(source), losses };
    let mut blocks = Vec::with_capacity(choice.parts.len());
    writer.blocks(&mut blocks, &choice.parts, "response.content");
    let mut object = ObjectWriter::open(out);
    let mut output = ObjectWriter::open(object.key("output"));
    let mut message = ObjectWriter::open(output.key("message"));
    message.string("role", "assistant");
    write_array(message.key("content"), &blocks, |out, block| out.extend_from_slice(block));
    if own {
        message.ext(&choice.message_ext);
    }
    message.close();
    output.close();
    let told = Told {
        calls: choice.parts.iter().any(|part| matches!(part.kind, PartKind::ToolCall { .. })),
        refusal: choice.parts.iter().any(|part| matches!(part.kind, PartKind::Refusal { .. })),
    };
    match &choice.stop {
        Some(stop) if own => object.string("stopReason", &stop.raw),
        None if own => {}
        stop => {
            let reason = stop.as_ref().map_or(StopReason::End, |stop| stop.reason);
            object.string("stopReason", words::stop_reason(reason, told));
            if words::is_approximate(reason) {
                losses.approximated("response.choices[0].finish_reason", "there is no such reason there");
            }
        }
    }
    if response.usage.is_some() || !own {
        let ext = own.then_some(&response.usage_ext);
        usage::write(object.key("usage"), &response.usage.unwrap_or_default(), ext);
    }
    if own {
        object.ext(&response.ext);
    } else {
        object.raw("metrics", "{\"latencyMs\":0}");
        report(response, losses);
    }
    object.close();
}

/// What an answer of another dialect says and this one has no place for.
fn report(response: &Response, losses: &mut Losses) {
    count_losses(&response.usage.unwrap_or_default(), &response.usage_ext, losses);
    losses.answer_ext("response", &response.ext);
    for choice in &response.choices {
        if choice.index > 0 {
            losses.dropped(format!("response.choices[{}]", choice.index), "there is one answer there");
            continue;
        }
        if choice.logprobs.is_some() {
            losses.dropped("response.logprobs", "messages carry no log probabilities there");
        }
        losses.answer_ext("response.choices", &choice.ext);
        losses.answer_ext("response.message", &choice.message_ext);
    }
}

/// What another dialect counts and this one has no class for.
pub(super) fn count_losses(usage: &Usage, ext: &crate::ir::Ext, losses: &mut Losses) {
    let classes = [
        ("reasoning_tokens", usage.reasoning_tokens),
        ("input_audio_tokens", usage.input_audio_tokens),
        ("output_audio_tokens", usage.output_audio_tokens),
    ];
    for (class, _) in classes.into_iter().filter(|(_, count)| *count > 0) {
        losses.dropped(format!("response.usage.{class}"), "there is no such count there");
    }
    let kept = ext.0.iter().filter(|(name, _)| !name.starts_with("cache_creation")).cloned();
    losses.usage_ext(&crate::ir::Ext(kept.collect()));
}

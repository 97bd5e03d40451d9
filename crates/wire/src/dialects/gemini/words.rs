//! The dialect's words for stop reasons and efforts, its ids, and what a model's name says.

use crate::{
    ir::{Effort, Stop, StopReason},
    json::ObjectWriter,
};

/// Why a candidate ended (<https://ai.google.dev/api/generate-content#FinishReason>). Vertex can be asked for the
/// numbers of its words. A call that waits for its result ends with `STOP` as well.
pub(super) fn stop(raw: &str, called: bool) -> Stop {
    let reason = match raw {
        "STOP" | "1" if called => StopReason::ToolCalls,
        "STOP" | "1" => StopReason::End,
        "MAX_TOKENS" | "2" => StopReason::Length,
        "SAFETY"
        | "RECITATION"
        | "BLOCKLIST"
        | "PROHIBITED_CONTENT"
        | "SPII"
        | "MODEL_ARMOR"
        | "IMAGE_SAFETY"
        | "IMAGE_PROHIBITED_CONTENT"
        | "IMAGE_RECITATION"
        | "3"
        | "4"
        | "6"
        | "7"
        | "8" => StopReason::ContentFilter,
        _ => StopReason::Other,
    };
    Stop { reason, raw: raw.to_owned(), text: None }
}

/// A prompt that was blocked is an answer that the filter ended.
pub(super) fn blocked(raw: &str) -> Stop {
    Stop { reason: StopReason::ContentFilter, raw: raw.to_owned(), text: None }
}

/// The word for a stop that came from another dialect.
pub(super) fn finish_reason(reason: StopReason) -> &'static str {
    match reason {
        StopReason::End | StopReason::StopText | StopReason::ToolCalls | StopReason::Pause => "STOP",
        StopReason::Length => "MAX_TOKENS",
        StopReason::ContentFilter | StopReason::Refusal => "SAFETY",
        StopReason::Other => "OTHER",
    }
}

/// Writes a reason of this dialect's own: a word, or the number of one.
pub(super) fn write_reason(object: &mut ObjectWriter<'_>, raw: &str) {
    if raw.parse::<u32>().is_ok() {
        object.raw("finishReason", raw);
    } else {
        object.string("finishReason", raw);
    }
}

/// The effort that a thinking level is (<https://ai.google.dev/gemini-api/docs/thinking>).
pub(super) fn effort(level: &str) -> Effort {
    match level.to_ascii_lowercase().as_str() {
        "minimal" => Effort::Minimal,
        "low" => Effort::Low,
        "medium" => Effort::Medium,
        "high" => Effort::High,
        other => Effort::Other(other.to_owned()),
    }
}

/// The thinking level of an effort, and whether it is the same.
pub(super) fn level(effort: &Effort) -> (&'static str, bool) {
    match effort {
        Effort::None => ("MINIMAL", false),
        Effort::Minimal => ("MINIMAL", true),
        Effort::Low => ("LOW", true),
        Effort::Medium => ("MEDIUM", true),
        Effort::High => ("HIGH", true),
        Effort::Other(_) => ("HIGH", false),
    }
}

/// How the ids begin that are made for calls without one, so that they are told from others.
const MADE: &str = "gemini_call_";

/// An id for a call that has none: the same for the same place, and in one conversation never twice.
pub(super) fn made_id(place: &str, nth: usize) -> String {
    // FNV-1a, which is short and stays the same in every version.
    let mix = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    let hash = place.bytes().fold(0xcbf2_9ce4_8422_2325, mix);
    format!("{MADE}{hash:016x}_{nth}")
}

pub(super) fn is_made(id: &str) -> bool {
    id.starts_with(MADE)
}

/// The budget of an effort, in tokens, as Google's own OpenAI-compatible endpoint takes it
/// (<https://ai.google.dev/gemini-api/docs/openai#thinking>).
pub(super) fn budget(effort: &Effort) -> u64 {
    match effort {
        Effort::None => 0,
        Effort::Minimal | Effort::Low => 1_024,
        Effort::Medium => 8_192,
        Effort::High | Effort::Other(_) => 24_576,
    }
}

/// The media type of what an address names, as far as its ending tells.
pub(super) fn media_type_of(url: &str) -> Option<&'static str> {
    let path = url.split(['?', '#']).next().unwrap_or_default();
    let ending = path.rsplit_once('.')?.1.to_ascii_lowercase();
    Some(match ending.as_str() {
        "png" => "image/png",
        "jpg" | "jpeg" => "image/jpeg",
        "webp" => "image/webp",
        "gif" => "image/gif",
        "heic" => "image/heic",
        "pdf" => "application/pdf",
        "txt" => "text/plain",
        "mp3" => "audio/mpeg",
        "wav" => "audio/wav",
        "mp4" => "video/mp4",
        "webm" => "video/webm",
        _ => return None,
    })
}

/// Whether a media type is a picture's.
pub(super) fn is_picture(media_type: &str) -> bool {
    media_type.starts_with("image/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn made_ids_are_short_and_known() {
        let id = made_id("-TgBafCUOJ-ZmtkP2vzVmQI", 0);
        assert!(is_made(&id) && id.len() <= 40, "{id}");
        assert_ne!(id, made_id("-TgBafCUOJ-ZmtkP2vzVmQI", 1));
        assert!(!is_made("call_1"));
    }
}

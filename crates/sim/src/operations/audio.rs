//! Sound: what is spoken holds its text, and what is heard is as long as its file.

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::json;

use super::{Reply, Sent};
use crate::{
    api::{Refused, typed_events},
    openai,
};

/// How many bytes of a file make a second.
const BYTES_PER_SECOND: usize = 1_000;

pub(super) fn speech(sent: &Sent<'_>) -> Result<Reply, Refused> {
    let (text, voice) = (sent.text("input"), sent.text("voice"));
    if text.is_empty() || voice.is_empty() {
        return Err((openai::API.invalid)(
            "[{'type': 'missing', 'loc': ('body', 'input or voice'), 'msg': 'Field required'}]",
        ));
    }
    let sound = format!("ID3 {voice}: {text}").into_bytes();
    if sent.text("stream_format") == "sse" {
        let delta = json!({"type": "speech.audio.delta", "audio": STANDARD.encode(&sound)});
        let done = json!({"type": "speech.audio.done",
                          "usage": {"input_tokens": 5, "output_tokens": 50, "total_tokens": 55}});
        return Ok(Reply::Events(typed_events(&[delta, done])));
    }
    let kind = match sent.text("response_format") {
        "wav" => "audio/wav",
        "opus" => "audio/opus",
        _ => "audio/mpeg",
    };
    Ok(Reply::Bytes(kind, sound))
}

pub(super) fn transcription(sent: &Sent<'_>) -> Result<Reply, Refused> {
    let Some(file) = sent.fields.get("file").filter(|file| file.file_name.is_some()) else {
        return Err((openai::API.invalid)(
            "[{'type': 'missing', 'loc': ('body', 'file'), 'msg': 'Field required'}]",
        ));
    };
    let seconds = file.bytes.len().div_ceil(BYTES_PER_SECOND);
    let name = file.file_name.as_deref().unwrap_or_default();
    let text = format!("heard {} bytes of {name}", file.bytes.len());
    let usage = json!({"type": "duration", "seconds": seconds});
    if sent.field("stream").as_deref() == Some("true") {
        let delta = json!({"type": "transcript.text.delta", "delta": text});
        let done = json!({"type": "transcript.text.done", "text": text,
                          "usage": {"type": "tokens", "input_tokens": 14, "output_tokens": 4, "total_tokens": 18,
                                    "input_token_details": {"text_tokens": 2, "audio_tokens": 12}}});
        return Ok(Reply::Events(typed_events(&[delta, done])));
    }
    Ok(match sent.field("response_format").as_deref() {
        Some("text" | "srt" | "vtt") => {
            Reply::Bytes("text/plain; charset=utf-8", format!("{text}\n").into_bytes())
        }
        Some("verbose_json") => Reply::Json(json!({
            "task": "transcribe", "language": "english", "duration": seconds, "text": text, "usage": usage,
        })),
        _ => Reply::Json(json!({"text": text, "usage": usage})),
    })
}

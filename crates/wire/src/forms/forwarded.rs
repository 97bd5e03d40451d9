//! Forms that go on as they are: what is read of them is what was used.

use serde_json::Value;

use super::{
    form::{Form, Formed, Kind, Upload},
    operation::Operation,
    pictures::PICTURES,
    resource,
};
use crate::{Dialect, ir::Usage};

/// How to read what was used.
pub(super) struct Reading {
    /// Of a request.
    pub(super) asked: fn(&[u8]) -> Option<Usage>,
    /// Of a whole answer in JSON, or of an event of a stream.
    pub(super) answered: fn(&[u8]) -> Option<Usage>,
}

const OPENAI: Formed = Formed {
    name: "",
    operation: Operation::Moderations,
    dialect: Dialect::OpenaiChat,
    path: "",
    routes: &[],
    upload: Upload::Json,
    kind: Kind::Forwarded(&Reading { asked: nothing, answered: openai }),
};

/// <https://platform.openai.com/docs/api-reference/images/create>
pub(super) static IMAGES: Formed = Formed {
    name: "openai_images",
    operation: Operation::Images,
    path: "/images/generations",
    routes: &[("/v1/images/generations", ""), ("/openai/deployments/{model}/images/generations", "")],
    kind: Kind::Pictures(&Reading { asked: nothing, answered: images }, &PICTURES),
    ..OPENAI
};

/// <https://platform.openai.com/docs/api-reference/images/createEdit>
pub(super) static IMAGE_EDITS: Formed = Formed {
    name: "openai_image_edits",
    operation: Operation::Images,
    path: "/images/edits",
    routes: &[("/v1/images/edits", ""), ("/openai/deployments/{model}/images/edits", "")],
    upload: Upload::Multipart,
    kind: Kind::Forwarded(&Reading { asked: nothing, answered: images }),
    ..OPENAI
};

/// <https://platform.openai.com/docs/api-reference/images/createVariation>
pub(super) static IMAGE_VARIATIONS: Formed = Formed {
    name: "openai_image_variations",
    operation: Operation::Images,
    path: "/images/variations",
    routes: &[("/v1/images/variations", "")],
    upload: Upload::Multipart,
    kind: Kind::Forwarded(&Reading { asked: nothing, answered: images }),
    ..OPENAI
};

/// <https://platform.openai.com/docs/api-reference/audio/createSpeech>
pub(super) static SPEECH: Formed = Formed {
    name: "openai_speech",
    operation: Operation::Speech,
    path: "/audio/speech",
    routes: &[("/v1/audio/speech", ""), ("/openai/deployments/{model}/audio/speech", "")],
    kind: Kind::Forwarded(&Reading { asked: characters, answered: openai }),
    ..OPENAI
};

/// <https://platform.openai.com/docs/api-reference/audio/createTranscription>
pub(super) static TRANSCRIPTIONS: Formed = Formed {
    name: "openai_transcriptions",
    operation: Operation::Transcription,
    path: "/audio/transcriptions",
    routes: &[("/v1/audio/transcriptions", ""), ("/openai/deployments/{model}/audio/transcriptions", "")],
    upload: Upload::Multipart,
    kind: Kind::Forwarded(&Reading { asked: nothing, answered: transcript }),
    ..OPENAI
};

/// <https://platform.openai.com/docs/api-reference/audio/createTranslation>
pub(super) static TRANSLATIONS: Formed = Formed {
    name: "openai_translations",
    operation: Operation::Transcription,
    path: "/audio/translations",
    routes: &[("/v1/audio/translations", ""), ("/openai/deployments/{model}/audio/translations", "")],
    upload: Upload::Multipart,
    kind: Kind::Forwarded(&Reading { asked: nothing, answered: transcript }),
    ..OPENAI
};

/// <https://platform.openai.com/docs/api-reference/moderations>
pub(super) static MODERATIONS: Formed =
    Formed { name: "openai_moderations", path: "/moderations", routes: &[("/v1/moderations", "")], ..OPENAI };

/// <https://platform.openai.com/docs/api-reference/files>
pub(super) static FILES: Formed = Formed {
    name: "openai_files",
    operation: Operation::Files,
    path: "/files{method}",
    routes: &[("/v1/files", "")],
    upload: Upload::Any,
    kind: Kind::Resource(&resource::FILES),
    ..OPENAI
};

/// <https://platform.openai.com/docs/api-reference/batch>
pub(super) static BATCHES: Formed = Formed {
    name: "openai_batches",
    operation: Operation::Batches,
    path: "/batches{method}",
    routes: &[("/v1/batches", "")],
    upload: Upload::Any,
    kind: Kind::Resource(&resource::BATCHES),
    ..OPENAI
};

/// A conversation made shorter by a model, which is sold as an answer is
/// (<https://platform.openai.com/docs/api-reference/responses/compact>).
pub(super) static COMPACTIONS: Formed = Formed {
    name: "openai_compactions",
    operation: Operation::Chat,
    dialect: Dialect::OpenaiResponses,
    path: "/compact",
    routes: &[("/v1/responses/compact", ""), ("/openai/v1/responses/compact", "")],
    ..OPENAI
};

/// Responses that were stored: fetched, deleted, cancelled, their items listed
/// (<https://platform.openai.com/docs/api-reference/responses/get>). Making one is a dialect's affair.
pub(super) static STORED_RESPONSES: Formed = Formed {
    name: "openai_stored_responses",
    operation: Operation::StoredResponses,
    dialect: Dialect::OpenaiResponses,
    path: "{method}",
    routes: &[("/v1/responses", ""), ("/openai/v1/responses", "")],
    upload: Upload::Any,
    kind: Kind::Resource(&resource::STORED_RESPONSES),
};

/// <https://docs.anthropic.com/en/api/messages-count-tokens>
pub(super) static ANTHROPIC_COUNT: Formed = Formed {
    name: "anthropic_count_tokens",
    operation: Operation::CountTokens,
    dialect: Dialect::AnthropicMessages,
    path: "/messages/count_tokens",
    routes: &[("/v1/messages/count_tokens", "")],
    kind: Kind::Forwarded(&Reading { asked: nothing, answered: nothing }),
    ..OPENAI
};

/// <https://ai.google.dev/api/tokens>
pub(super) static GEMINI_COUNT: Formed = Formed {
    name: "gemini_count_tokens",
    operation: Operation::CountTokens,
    dialect: Dialect::Gemini,
    path: "/models/{model}:countTokens",
    routes: &[
        ("/v1beta/models/{model}:countTokens", ""),
        ("/v1/models/{model}:countTokens", ""),
        ("/v1beta/{model}:countTokens", ""),
        ("/v1beta1/{model}:countTokens", ""),
        ("/v1/{model}:countTokens", ""),
    ],
    kind: Kind::Forwarded(&Reading { asked: nothing, answered: nothing }),
    ..OPENAI
};

fn nothing(_: &[u8]) -> Option<Usage> {
    None
}

/// Usage as OpenAI's newer and older APIs tell it, at the top or in the event that ends a stream.
pub(super) fn openai(body: &[u8]) -> Option<Usage> {
    let answer: Value = serde_json::from_slice(body).ok()?;
    let usage = answer.get("usage").or_else(|| answer.get("response")?.get("usage"))?;
    read_usage(usage)
}

/// The pictures that were made, and their tokens where they are sold so.
fn images(body: &[u8]) -> Option<Usage> {
    let answer: Value = serde_json::from_slice(body).ok()?;
    let made = answer.get("data").and_then(Value::as_array).map_or(0, Vec::len);
    let ended = answer.get("type").and_then(Value::as_str).is_some_and(|name| name.ends_with(".completed"));
    let images = u64::try_from(made).unwrap_or_default() + u64::from(ended);
    let reported = answer.get("usage").and_then(read_usage);
    if images == 0 && reported.is_none() {
        return None;
    }
    let mut usage = reported.unwrap_or_default();
    usage.images = images;
    // Where nothing tells them apart, all that is made is pictures.
    let details = answer.pointer("/usage/output_tokens_details");
    let class = |name: &str| details?.get(name)?.as_u64();
    let of_pictures =
        class("image_tokens").or_else(|| usage.output_tokens.checked_sub(class("text_tokens")?));
    usage.output_image_tokens = of_pictures.unwrap_or(usage.output_tokens).min(usage.output_tokens);
    Some(usage)
}

/// The length of what was heard, in the answer's `usage` or beside its text (`verbose_json`).
fn transcript(body: &[u8]) -> Option<Usage> {
    let answer: Value = serde_json::from_slice(body).ok()?;
    let usage = answer.get("usage");
    let seconds = usage
        .and_then(|usage| usage.get("seconds"))
        .or_else(|| answer.get("duration"))
        .or_else(|| usage.and_then(|usage| usage.get("prompt_audio_seconds")));
    let seconds = seconds.and_then(|value| value.as_f64().or_else(|| value.as_str()?.parse().ok()));
    let reported = usage.and_then(read_usage);
    if seconds.is_none() && reported.is_none() {
        return None;
    }
    let mut usage = reported.unwrap_or_default();
    usage.audio_ms = seconds.map_or(0, |seconds| (seconds.max(0.0) * 1_000.0).ceil() as u64);
    Some(usage)
}

/// The characters of a text that shall be spoken.
fn characters(body: &[u8]) -> Option<Usage> {
    let request: Value = serde_json::from_slice(body).ok()?;
    let count = request.get("input")?.as_str()?.chars().count();
    Some(Usage { characters: u64::try_from(count).unwrap_or(u64::MAX), ..Usage::default() })
}

/// `None` where nothing that is known stands in it.
fn read_usage(usage: &Value) -> Option<Usage> {
    let number = |of: &Value, names: [&str; 2]| names.iter().find_map(|name| of.get(name)?.as_u64());
    let input = number(usage, ["input_tokens", "prompt_tokens"]);
    let output = number(usage, ["output_tokens", "completion_tokens"]);
    let total = number(usage, ["total_tokens", "total"]);
    if input.is_none() && output.is_none() && total.is_none() {
        return None;
    }
    let details = |names: [&str; 2]| names.iter().find_map(|name| usage.get(name)).unwrap_or(&Value::Null);
    let of_input = details(["input_tokens_details", "prompt_tokens_details"]);
    let of_input = match usage.get("input_token_details") {
        Some(details) => details,
        None => of_input,
    };
    let of_output = details(["output_tokens_details", "completion_tokens_details"]);
    let class = |of: &Value, name: &str| of.get(name).and_then(Value::as_u64).unwrap_or_default();
    Some(Usage {
        input_tokens: input.or(total).unwrap_or_default(),
        output_tokens: output.unwrap_or_default(),
        cache_read_tokens: class(of_input, "cached_tokens"),
        input_audio_tokens: class(of_input, "audio_tokens"),
        input_image_tokens: class(of_input, "image_tokens"),
        output_audio_tokens: class(of_output, "audio_tokens"),
        reasoning_tokens: class(of_output, "reasoning_tokens"),
        ..Usage::default()
    })
}

/// A batch, or a response in the background, that has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndedWork {
    /// Batches, or stored responses.
    pub form: Form,
    pub id: String,
    /// The model that answered it; empty where the provider does not say.
    pub model: String,
    pub usage: Usage,
    /// Seconds since 1970.
    pub ended_s: i64,
}

/// Finds ended work in an answer, which it may be the whole of, in an event of a stream, and in a list.
pub(super) fn ended(answer: &Value, found: &mut Vec<EndedWork>) {
    let text = |name: &str| answer.get(name).and_then(Value::as_str);
    match text("object") {
        Some("batch") => found.extend(batch(answer)),
        Some("response") => found.extend(background(answer)),
        Some("list") => {
            let items = answer.get("data").and_then(Value::as_array);
            items.into_iter().flatten().for_each(|item| ended(item, found));
        }
        Some(_) => {}
        None if text("type").is_some_and(|event| event.starts_with("response.")) => {
            found.extend(answer.get("response").and_then(background));
        }
        None => {}
    }
}

/// What a batch used, once it has ended (<https://platform.openai.com/docs/api-reference/batch/object>).
fn batch(batch: &Value) -> Option<EndedWork> {
    let text = |name: &str| batch.get(name).and_then(Value::as_str);
    let ended = match text("status")? {
        "completed" => "completed_at",
        "expired" => "expired_at",
        "cancelled" => "cancelled_at",
        _ => return None,
    };
    Some(EndedWork {
        form: Form::OpenaiBatches,
        id: text("id")?.to_owned(),
        model: text("model").unwrap_or_default().to_owned(),
        usage: batch.get("usage").and_then(read_usage)?,
        ended_s: batch.get(ended).and_then(Value::as_i64)?,
    })
}

/// What a response in the background used, once it has ended
/// (<https://platform.openai.com/docs/guides/background>).
fn background(response: &Value) -> Option<EndedWork> {
    let text = |name: &str| response.get(name).and_then(Value::as_str);
    let at_once = response.get("background").and_then(Value::as_bool) != Some(true);
    if at_once || matches!(text("status")?, "queued" | "in_progress") {
        return None;
    }
    Some(EndedWork {
        form: Form::OpenaiStoredResponses,
        id: text("id")?.to_owned(),
        model: text("model").unwrap_or_default().to_owned(),
        usage: response.get("usage").and_then(read_usage)?,
        // Not every answer tells when it ended, and the record's id must be the same at each look.
        ended_s: response.get("created_at").and_then(Value::as_i64)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_used_is_found() {
        let tokens = |input, output| Usage { input_tokens: input, output_tokens: output, ..Usage::default() };
        let check = |read: fn(&[u8]) -> Option<Usage>, body: &str, expected: Option<Usage>| {
            assert_eq!(read(body.as_bytes()), expected, "{body}");
        };
        check(openai, r#"{"usage":{"prompt_tokens":3,"completion_tokens":4}}"#, Some(tokens(3, 4)));
        check(openai, r#"{"usage":null}"#, None);
        check(openai, "no json", None);
        let made = Usage { images: 2, ..Usage::default() };
        check(images, r#"{"created":1,"data":[{"url":"a"},{"url":"b"}]}"#, Some(made));
        let made = Usage { images: 1, output_image_tokens: 9, input_image_tokens: 2, ..tokens(5, 9) };
        check(
            images,
            r#"{"data":[{"b64_json":""}],"usage":{"input_tokens":5,"output_tokens":9,"input_tokens_details":{"image_tokens":2,"text_tokens":3}}}"#,
            Some(made),
        );
        let told_apart = |details: &str, output_image_tokens| {
            let usage =
                format!(r#"{{"input_tokens":5,"output_tokens":9,"output_tokens_details":{details}}}"#);
            let made = Usage { images: 1, output_image_tokens, ..tokens(5, 9) };
            check(images, &format!(r#"{{"data":[{{}}],"usage":{usage}}}"#), Some(made));
        };
        told_apart(r#"{"image_tokens":7,"text_tokens":2}"#, 7);
        told_apart(r#"{"text_tokens":2}"#, 7);
        told_apart(r#"{"image_tokens":0,"text_tokens":9}"#, 0);
        told_apart("null", 9);
        let heard = Usage { audio_ms: 6_000, ..Usage::default() };
        check(transcript, r#"{"text":"a","usage":{"type":"duration","seconds":6}}"#, Some(heard));
        check(transcript, r#"{"text":"a","duration":"6.0"}"#, Some(heard));
        check(transcript, r#"{"text":"a"}"#, None);
        let spoken = Usage { characters: 3, ..Usage::default() };
        check(characters, r#"{"input":"süß"}"#, Some(spoken));
    }

    #[test]
    fn work_is_found_when_it_has_ended() {
        let found = |body: &str| Form::ended_works(body.as_bytes());
        let usage = Usage { input_tokens: 1, output_tokens: 2, ..Usage::default() };
        let work =
            |form, ended_s| EndedWork { form, id: "w".to_owned(), model: "m".to_owned(), usage, ended_s };
        let batch = r#"{"object":"batch","id":"w","model":"m","status":"completed","completed_at":7,
                        "usage":{"input_tokens":1,"output_tokens":2}}"#;
        let batched = work(Form::OpenaiBatches, 7);
        assert_eq!(found(batch), std::slice::from_ref(&batched));
        let open = batch.replace("completed\"", "in_progress\"");
        assert!(found(&open).is_empty());
        let list = format!(r#"{{"object":"list","data":[{open},{batch},{batch}]}}"#);
        assert_eq!(found(&list), [batched.clone(), batched]);
        let response = r#"{"object":"response","id":"w","model":"m","status":"incomplete","background":true,
                           "created_at":9,"usage":{"input_tokens":1,"output_tokens":2}}"#;
        let responded = work(Form::OpenaiStoredResponses, 9);
        assert_eq!(found(response), std::slice::from_ref(&responded));
        let event = format!(r#"{{"type":"response.incomplete","response":{response}}}"#);
        assert_eq!(found(&event), [responded]);
        assert!(found(&response.replace("true", "false")).is_empty());
        assert!(found(&response.replace("incomplete", "in_progress")).is_empty());
        assert!(found(r#"{"object":"response","usage":3}"#).is_empty());
        assert!(found(r#"data "usage""#).is_empty());
    }
}

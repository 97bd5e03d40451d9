//! Tokens by class (<https://ai.google.dev/api/generate-content#UsageMetadata>).

use std::borrow::Cow;

use serde_json::value::RawValue;

use super::notes::Members;
use crate::{
    Fault, Losses,
    ir::{Ext, ExtRef, Usage},
    json::{ObjectWriter, RawRef},
};

/// What a count is kept under, so that it is written as it came.
const HINT: &str = "tollgate:";

/// Members that are understood.
const COUNTS: [&str; 10] = [
    "promptTokenCount",
    "candidatesTokenCount",
    "totalTokenCount",
    "thoughtsTokenCount",
    "cachedContentTokenCount",
    "toolUsePromptTokenCount",
    "promptTokensDetails",
    "candidatesTokensDetails",
    "cacheTokensDetails",
    "toolUsePromptTokensDetails",
];

/// Reads a usage object. The candidates' tokens leave the thoughts out, and the prompt's leave out what tools of the
/// provider's own brought in.
pub(super) fn read(raw: &RawValue) -> Result<(Usage, ExtRef<'_>), Fault> {
    let mut object = Members::from_raw(raw)?;
    let mut ext = ExtRef::default();
    let mut known = Vec::with_capacity(COUNTS.len());
    for name in COUNTS {
        let value = object.take(name);
        ext.0.extend(value.map(|raw| (Cow::Owned(format!("{HINT}{name}")), RawRef::Borrowed(raw))));
        known.push(value);
    }
    let value =
        |name: &str| COUNTS.iter().position(|known| *known == name).and_then(|at| known.get(at).copied()?);
    let count = |name: &str| -> Result<u64, Fault> {
        let number = value(name).map_or(Ok(0), |raw| serde_json::from_str::<u64>(raw.get()));
        number.map_err(|_| Fault::invalid(name, "must be a whole number"))
    };
    let thoughts = count("thoughtsTokenCount")?;
    let usage = Usage {
        input_tokens: count("promptTokenCount")?.saturating_add(count("toolUsePromptTokenCount")?),
        cache_read_tokens: count("cachedContentTokenCount")?,
        input_audio_tokens: of_modality("AUDIO", value("promptTokensDetails")),
        input_image_tokens: of_modality("IMAGE", value("promptTokensDetails")),
        output_tokens: count("candidatesTokenCount")?.saturating_add(thoughts),
        reasoning_tokens: thoughts,
        output_audio_tokens: of_modality("AUDIO", value("candidatesTokensDetails")),
        output_image_tokens: of_modality("IMAGE", value("candidatesTokensDetails")),
        ..Usage::default()
    };
    let rest = super::notes::as_event(object.rest());
    ext.0.extend(rest.0);
    Ok((usage, ext))
}

/// The tokens of one modality in a list of them (<https://ai.google.dev/api/generate-content#ModalityTokenCount>).
fn of_modality(name: &str, details: Option<&RawValue>) -> u64 {
    let list: Vec<serde_json::Value> =
        details.and_then(|raw| serde_json::from_str(raw.get()).ok()).unwrap_or_default();
    let counts = list.iter().filter(|entry| entry["modality"] == name);
    counts.filter_map(|entry| entry["tokenCount"].as_u64()).fold(0, u64::saturating_add)
}

/// Writes a usage object; `ext` holds what the same dialect had.
pub(super) fn write(out: &mut Vec<u8>, usage: &Usage, ext: Option<&Ext>) {
    let mut object = ObjectWriter::open(out);
    match ext {
        Some(ext) => {
            for (name, value) in &ext.0 {
                let name = name.strip_prefix(HINT).unwrap_or(name);
                if !name.contains('=') {
                    object.raw(name, value.text());
                }
            }
        }
        None => {
            object.value("promptTokenCount", &usage.input_tokens);
            object.value("candidatesTokenCount", &usage.output_tokens.saturating_sub(usage.reasoning_tokens));
            let more = [
                ("thoughtsTokenCount", usage.reasoning_tokens),
                ("cachedContentTokenCount", usage.cache_read_tokens),
            ];
            for (name, count) in more.into_iter().filter(|(_, count)| *count > 0) {
                object.value(name, &count);
            }
            object.value("totalTokenCount", &usage.total_tokens());
        }
    }
    object.close();
}

/// What another dialect counts and this one has no class for.
pub(super) fn losses(usage: &Usage, ext: &Ext, losses: &mut Losses) {
    if usage.cache_write_tokens.max(usage.cache_write_1h_tokens) > 0 {
        let why = "tokens written to the cache have no class there";
        losses.dropped("response.usage.cache_creation_input_tokens", why);
    }
    let kept = ext.0.iter().filter(|(name, _)| !name.starts_with("cache_creation")).cloned();
    losses.usage_ext(&Ext(kept.collect()));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Dialect, Frame, Mode, ir::Event, json::Raw};

    #[test]
    fn sound_and_pictures_are_told_apart() {
        let text = r#"{"promptTokenCount":300,"candidatesTokenCount":1300,"thoughtsTokenCount":100,
            "promptTokensDetails":[{"modality":"TEXT","tokenCount":10},{"modality":"IMAGE","tokenCount":258},
                                   {"modality":"AUDIO","tokenCount":32}],
            "candidatesTokensDetails":[{"modality":"IMAGE","tokenCount":1290},{"modality":"TEXT","tokenCount":10}]}"#;
        let raw = Raw::parse(text).unwrap();
        let expected = Usage {
            input_tokens: 300,
            input_audio_tokens: 32,
            input_image_tokens: 258,
            output_tokens: 1_400,
            reasoning_tokens: 100,
            output_image_tokens: 1_290,
            ..Usage::default()
        };
        assert_eq!(read(raw.value()).unwrap().0, expected);
    }
    #[test]
    fn a_picture_without_a_count_of_its_own_is_all_that_was_made() {
        let check = |parts: &str, details: &str, expected: u64| {
            let body = format!(
                r#"{{"candidates":[{{"content":{{"parts":[{parts}]}},"finishReason":"STOP"}}],
                    "usageMetadata":{{"candidatesTokenCount":1300,"thoughtsTokenCount":100{details}}}}}"#
            );
            let mut found = None;
            let frame = Frame { event: None, data: body.as_bytes().into() };
            Dialect::Gemini.reader(Mode::Whole).frame(&frame, &mut |event| {
                if let Event::Usage { usage, .. } = event {
                    found = Some(usage.output_image_tokens);
                }
            });
            assert_eq!(found, Some(expected), "{body}");
        };
        let picture = r#"{"text":"here"},{"inlineData":{"mimeType":"image/png","data":"AA=="}}"#;
        check(picture, "", 1_300);
        check(picture, r#","candidatesTokensDetails":[{"modality":"IMAGE","tokenCount":1290}]"#, 1_290);
        check(r#"{"text":"none"}"#, "", 0);
        check(r#"{"inlineData":{"mimeType":"audio/wav","data":"AA=="}}"#, "", 0);
    }
}

//! Pictures, documents and sounds: formats by name, and bytes in base64
//! (<https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_DocumentBlock.html>).

use std::borrow::Cow;

use crate::{
    Fault,
    ir::{Media, Source},
    json::Object,
};

/// The formats of documents, and their types.
const DOCUMENTS: [(&str, &str); 9] = [
    ("pdf", "application/pdf"),
    ("csv", "text/csv"),
    ("doc", "application/msword"),
    ("docx", "application/vnd.openxmlformats-officedocument.wordprocessingml.document"),
    ("xls", "application/vnd.ms-excel"),
    ("xlsx", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"),
    ("html", "text/html"),
    ("txt", "text/plain"),
    ("md", "text/markdown"),
];

/// Reads `source` and `format`; none when they say what only this dialect knows, as a place in S3.
pub(super) fn read(
    object: &mut Object<'_>,
    type_of: fn(&str) -> Option<String>,
) -> Result<Option<Media>, Fault> {
    let Some(raw) = object.peek("source") else { return Ok(None) };
    let mut source = Object::from_raw(raw).map_err(|fault| fault.under("source"))?;
    let bytes = source.string("bytes").map_err(|fault| fault.under("source"))?;
    let from = match bytes {
        Some(bytes) => Some(Source::Base64(bytes.into())),
        None => source
            .string("text")
            .map_err(|fault| fault.under("source"))?
            .map(|text| Source::Text(text.into())),
    };
    let format = object.string("format")?;
    let media_type = format.as_deref().map(type_of);
    let Some(from) = from.filter(|_| source.is_empty() && media_type != Some(None)) else { return Ok(None) };
    object.take("source");
    Ok(Some(Media { source: from, media_type: media_type.flatten(), name: None }))
}

pub(super) fn picture_type(format: &str) -> Option<String> {
    Some(format!("image/{format}"))
}

pub(super) fn sound_type(format: &str) -> Option<String> {
    Some(format!("audio/{format}"))
}

pub(super) fn document_type(format: &str) -> Option<String> {
    DOCUMENTS.iter().find(|(known, _)| *known == format).map(|(_, media_type)| (*media_type).to_owned())
}

/// The format of a picture of another dialect; none where it is not taken.
pub(super) fn picture_format(media: &Media, bytes: &str) -> Option<&'static str> {
    match media.media_type.as_deref() {
        Some("image/png") => Some("png"),
        Some("image/jpeg" | "image/jpg") => Some("jpeg"),
        Some("image/gif") => Some("gif"),
        Some("image/webp") => Some("webp"),
        Some(_) => None,
        // How files of these formats begin, in base64.
        None => [("iVBOR", "png"), ("/9j/", "jpeg"), ("R0lGOD", "gif"), ("UklGR", "webp")]
            .into_iter()
            .find(|(start, _)| bytes.starts_with(start))
            .map(|(_, format)| format),
    }
}

/// The format of a document of another dialect, by its type, its name, or how it begins.
pub(super) fn document_format(media: &Media) -> Option<&'static str> {
    let of_type = |media_type: &str| {
        let bare = media_type.split(';').next().unwrap_or_default().trim();
        let known = DOCUMENTS.iter().find(|(_, known)| *known == bare).map(|(format, _)| *format);
        known.or_else(|| (bare.starts_with("text/") || bare == "application/json").then_some("txt"))
    };
    let of_name = |name: &str| {
        let (_, end) = name.rsplit_once('.')?;
        DOCUMENTS.iter().find(|(format, _)| end.eq_ignore_ascii_case(format)).map(|(format, _)| *format)
    };
    match (&media.media_type, &media.source) {
        (Some(media_type), _) => of_type(media_type),
        (None, Source::Text(_)) => Some("txt"),
        (None, Source::Base64(bytes)) => {
            let by_name = media.name.as_deref().and_then(of_name);
            by_name.or_else(|| bytes.starts_with("JVBERi0").then_some("pdf"))
        }
        (None, Source::Url(_) | Source::FileId(_)) => media.name.as_deref().and_then(of_name),
    }
}

/// The format of a sound of another dialect.
pub(super) fn sound_format(media: &Media) -> &str {
    let format = media.media_type.as_deref().and_then(|kind| kind.strip_prefix("audio/"));
    match format {
        Some("x-wav" | "wave" | "vnd.wave") | None => "wav",
        Some(format) => format,
    }
}

/// A document's name with the letters that are allowed: letters, digits, single spaces, hyphens, parentheses and
/// square brackets.
pub(super) fn document_name(name: &str) -> Cow<'_, str> {
    let allowed = |letter: char| letter.is_ascii_alphanumeric() || " -()[]".contains(letter);
    if name.chars().all(allowed) && !name.contains("  ") && !name.is_empty() && name.len() <= 200 {
        return Cow::Borrowed(name);
    }
    let mut kept = String::with_capacity(name.len().min(200));
    for letter in name.chars().take(200) {
        let letter = match letter {
            letter if letter.is_whitespace() => ' ',
            letter if allowed(letter) => letter,
            _ => '-',
        };
        if letter != ' ' || !kept.ends_with(' ') {
            kept.push(letter);
        }
    }
    if kept.is_empty() { Cow::Borrowed("document") } else { Cow::Owned(kept) }
}

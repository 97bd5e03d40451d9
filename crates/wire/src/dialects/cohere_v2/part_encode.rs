//! Blocks of a content, and calls: meaning to bytes.

use super::message_encode::{write_kept, write_rest};
use crate::{
    ir::{Ext, Media, PartKind, Source},
    json::{ObjectWriter, Raw},
};

/// One block; `ext` is what this dialect kept of it. None for what is no block here.
pub(super) fn block(kind: &PartKind, ext: &Ext) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(64);
    let mut object = ObjectWriter::open(&mut out);
    let mut nested = "";
    match kind {
        PartKind::Opaque { value, .. } => return Some(value.text().as_bytes().to_vec()),
        PartKind::Text { text, .. } => {
            object.string("type", "text");
            object.string("text", text);
        }
        PartKind::Reasoning { text, signature } => {
            object.string("type", "thinking");
            object.string("thinking", text);
            if let Some(signature) = signature {
                object.string("signature", signature);
            }
        }
        PartKind::RedactedReasoning { bytes } => {
            object.string("type", "thinking");
            object.string("thinking", "");
            object.string("data", bytes);
        }
        PartKind::Image(media) => {
            nested = "image_url";
            object.string("type", nested);
            let mut image = ObjectWriter::open(object.key(nested));
            image.string("url", &url(media)?);
            write_rest(&mut image, ext, nested);
            image.close();
        }
        PartKind::Refusal { .. }
        | PartKind::File(_)
        | PartKind::Audio(_)
        | PartKind::ToolCall { .. }
        | PartKind::ToolResult { .. } => return None,
    }
    write_kept(&mut object, ext, nested);
    object.close();
    Some(out)
}

/// A document, whose text is the dictionary that it stood as.
pub(super) fn document(data: &str, rest: &Raw, ext: &Ext) -> Vec<u8> {
    let mut out = Vec::with_capacity(data.len() + 64);
    let mut object = ObjectWriter::open(&mut out);
    object.string("type", "document");
    let mut document = ObjectWriter::open(object.key("document"));
    document.raw("data", data);
    super::kept::write(&mut document, Some(rest));
    document.close();
    write_kept(&mut object, ext, "document");
    object.close();
    out
}

fn url(media: &Media) -> Option<String> {
    match &media.source {
        Source::Url(url) => Some(url.clone()),
        Source::Base64(bytes) => {
            Some(format!("data:{};base64,{bytes}", media.media_type.as_deref().unwrap_or("image/png")))
        }
        Source::FileId(_) | Source::Text(_) => None,
    }
}

/// One call. What was absent or `null` in it is noted in its ext.
pub(super) fn call((id, name, arguments): (&str, &str, &str), ext: &Ext) -> Vec<u8> {
    let mut out = Vec::with_capacity(64 + arguments.len());
    let mut object = ObjectWriter::open(&mut out);
    object.string("id", id);
    if ext.get("type").is_none() {
        object.string("type", "function");
    }
    let mut function = ObjectWriter::open(object.key("function"));
    function.string("name", name);
    if ext.get("arguments").is_none() {
        function.string("arguments", arguments);
    }
    write_rest(&mut function, ext, "function");
    function.close();
    for (member, value) in &ext.0 {
        if !matches!(member.as_str(), "type" | "arguments" | "function") && !crate::ir::is_hint(member) {
            object.raw(member, value.text());
        }
    }
    object.close();
    out
}

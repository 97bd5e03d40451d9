//! Content blocks: meaning to bytes.

use std::borrow::Cow;

use super::{cache_point, media, words};
use crate::{
    Dialect, Losses, crossing,
    ir::{Content, Ext, Form, Media, Part, PartKind, Source},
    json::{ObjectWriter, Raw, write_array},
    kept,
    seal::Seals,
};

/// What blocks are written with.
pub(super) struct BlockWriter<'a> {
    pub(super) own: bool,
    pub(super) seals: Seals,
    pub(super) losses: &'a mut Losses,
}

impl BlockWriter<'_> {
    /// Writes blocks, each with the cache point behind it.
    pub(super) fn blocks(&mut self, out: &mut Vec<Vec<u8>>, parts: &[Part], path: &str) {
        for (at, part) in parts.iter().enumerate() {
            let path = format!("{path}[{at}]");
            let mut piece = Vec::with_capacity(64);
            let written = self.block(&mut piece, part, &path);
            if written {
                out.push(piece);
            }
            let Some(mark) = &part.cache else { continue };
            match cache_point::written(mark).filter(|_| written) {
                Some(point) => out.push(point.into_bytes()),
                None => self
                    .losses
                    .dropped(format!("{path}.cache"), "a cache point says no more than its lifetime"),
            }
        }
    }

    /// Writes one block; false when there is nothing for it here.
    pub(super) fn block(&mut self, out: &mut Vec<u8>, part: &Part, path: &str) -> bool {
        if let (PartKind::Opaque { value, .. }, true) = (&part.kind, self.own) {
            out.extend_from_slice(value.text().as_bytes());
            return true;
        }
        let none = Ext::default();
        let ext = if self.own { &part.ext } else { &none };
        let mut object = ObjectWriter::open(out);
        let nested = match &part.kind {
            PartKind::Text { text, .. } | PartKind::Refusal { text }
                if !self.own && text.trim().is_empty() =>
            {
                return false;
            }
            PartKind::Text { text, annotations } => self.text(&mut object, (text, annotations), ext, path),
            PartKind::Refusal { text } => {
                self.losses.approximated(path, "a refusal becomes plain text");
                object.string("text", text);
                "text"
            }
            PartKind::Reasoning { text, signature } => {
                let signature = signature.as_deref().filter(|seal| !seal.is_empty());
                let signature = signature.and_then(|seal| self.seals.written(seal, Dialect::BedrockConverse));
                if signature.is_none() && !self.own && matches!(self.seals, Seals::SentBack(_)) {
                    return self.lost(path, "reasoning without a seal of its own is refused");
                }
                reasoning(&mut object, text, signature.as_deref(), ext);
                "reasoningContent"
            }
            PartKind::RedactedReasoning { bytes } => {
                let Some(bytes) = self.seals.written(bytes, Dialect::BedrockConverse) else {
                    return self.lost(path, "another provider's sealed reasoning is refused");
                };
                let mut inner = ObjectWriter::open(object.key("reasoningContent"));
                inner.string("redactedContent", &words::sealed(bytes));
                kept::write(&mut inner, ext.get("reasoningContent"));
                inner.close();
                "reasoningContent"
            }
            PartKind::Image(media) | PartKind::File(media) | PartKind::Audio(media) => {
                let Some(name) = self.media(&mut object, part, media, ext, path) else {
                    return self.lost(path, "media must come as bytes of a known format there");
                };
                name
            }
            PartKind::ToolCall { id, name, arguments } => {
                self.call(&mut object, (id, name, arguments), ext, path);
                "toolUse"
            }
            PartKind::ToolResult { call_id, content, is_error } => {
                self.result(&mut object, (call_id, content, *is_error), ext, path);
                "toolResult"
            }
            PartKind::Opaque { name, .. } => {
                return self.lost(&format!("{path}.{name}"), "no such block there");
            }
        };
        self.rest(&mut object, part, nested, path);
        object.close();
        true
    }

    fn lost(&mut self, path: &str, why: &'static str) -> bool {
        self.losses.dropped(path, why);
        false
    }

    /// What is said about a block.
    fn rest(&mut self, object: &mut ObjectWriter<'_>, part: &Part, nested: &str, path: &str) {
        if !self.own {
            return self.losses.ext(path, &part.ext);
        }
        let placed = [nested, "json", "citationsContent", "guardContent"];
        for (name, value) in &part.ext.0 {
            let mark = name == "type" && matches!(part.kind, PartKind::ToolCall { .. });
            if !mark && !placed.contains(&name.as_str()) {
                object.raw(name, value.text());
            }
        }
    }

    /// A text, which may have stood as JSON, with its sources, or as one that a guardrail looks at.
    fn text(
        &mut self,
        object: &mut ObjectWriter<'_>,
        (text, annotations): (&str, &[Raw]),
        ext: &Ext,
        path: &str,
    ) -> &'static str {
        if ext.get("json").is_some() {
            object.raw("json", text);
        } else if let Some(rest) = ext.get("guardContent") {
            let mut guard = ObjectWriter::open(object.key("guardContent"));
            let mut inner = ObjectWriter::open(guard.key("text"));
            inner.string("text", text);
            kept::write(&mut inner, Some(rest));
            inner.close();
            guard.close();
        } else if self.own && !annotations.is_empty() {
            cited(object, text, annotations, ext.get("citationsContent"));
        } else {
            if !annotations.is_empty() {
                self.losses.dropped(format!("{path}.annotations"), "annotations of another dialect");
            }
            object.string("text", text);
        }
        "text"
    }

    /// Bytes in place; none where they are elsewhere, or of a format that is not taken.
    fn media(
        &mut self,
        object: &mut ObjectWriter<'_>,
        part: &Part,
        media: &Media,
        ext: &Ext,
        path: &str,
    ) -> Option<&'static str> {
        let (name, format) = match (&part.kind, &media.source) {
            (PartKind::Image(_), Source::Base64(bytes)) => {
                let known = media.media_type.as_deref().and_then(|kind| kind.strip_prefix("image/"));
                let format = if self.own { known } else { media::picture_format(media, bytes) };
                ("image", format.map(str::to_owned))
            }
            (PartKind::Audio(_), Source::Base64(_)) => {
                let known = media.media_type.as_deref().and_then(|kind| kind.strip_prefix("audio/"));
                let format = if self.own { known } else { Some(media::sound_format(media)) };
                ("audio", format.map(str::to_owned))
            }
            (PartKind::File(_), Source::Base64(_) | Source::Text(_)) => {
                ("document", media::document_format(media).map(str::to_owned))
            }
            _ => return None,
        };
        if format.is_none() && !self.own {
            return None;
        }
        let mut inner = ObjectWriter::open(object.key(name));
        if let Some(format) = format.filter(|_| !self.own || media.media_type.is_some()) {
            inner.string("format", &format);
        }
        if name == "document" && (media.name.is_some() || !self.own) {
            let given = media.name.as_deref().unwrap_or("document");
            let allowed = if self.own { Cow::Borrowed(given) } else { media::document_name(given) };
            if allowed != given {
                self.losses
                    .approximated(format!("{path}.name"), "the name has letters that are refused there");
            }
            inner.string("name", &allowed);
        }
        let mut source = ObjectWriter::open(inner.key("source"));
        match &media.source {
            Source::Base64(bytes) => source.string("bytes", bytes),
            Source::Text(text) | Source::Url(text) | Source::FileId(text) => source.string("text", text),
        }
        source.close();
        kept::write(&mut inner, ext.get(name));
        inner.close();
        Some(name)
    }

    fn call(
        &mut self,
        object: &mut ObjectWriter<'_>,
        (id, name, arguments): (&str, &str, &str),
        ext: &Ext,
        path: &str,
    ) {
        let id = self.call_id(id, path);
        let place = || format!("{path}.arguments");
        let input = crossing::arguments(arguments, self.own, place, self.losses);
        let mut call = ObjectWriter::open(object.key("toolUse"));
        call.string("toolUseId", &id);
        call.string("name", name);
        call.raw("input", &input);
        if ext.get("type").is_some() {
            call.string("type", "tool_use");
        }
        kept::write(&mut call, ext.get("toolUse"));
        call.close();
    }

    fn call_id<'t>(&mut self, id: &'t str, path: &str) -> Cow<'t, str> {
        let allowed = if self.own { Cow::Borrowed(id) } else { words::call_id(id) };
        if matches!(allowed, Cow::Owned(_)) {
            self.losses.approximated(format!("{path}.call_id"), "the id has letters that are refused there");
        }
        allowed
    }

    fn result(
        &mut self,
        object: &mut ObjectWriter<'_>,
        (call_id, content, is_error): (&str, &Content, Option<bool>),
        ext: &Ext,
        path: &str,
    ) {
        let id = self.call_id(call_id, path);
        let mut result = ObjectWriter::open(object.key("toolResult"));
        result.string("toolUseId", &id);
        match content.form {
            Form::Absent if self.own => {}
            Form::Null if self.own => result.raw("content", "null"),
            _ => {
                let mut blocks = Vec::with_capacity(content.parts.len());
                self.blocks(&mut blocks, &content.parts, &format!("{path}.content"));
                // A result must say something.
                if blocks.is_empty() && !self.own {
                    blocks.push(b"{\"text\":\" \"}".to_vec());
                }
                write_array(result.key("content"), &blocks, |out, block| out.extend_from_slice(block));
            }
        }
        if let Some(is_error) = is_error {
            result.string("status", if is_error { "error" } else { "success" });
        }
        kept::write(&mut result, ext.get("toolResult"));
        result.close();
    }
}

/// A thought and its seal.
fn reasoning(object: &mut ObjectWriter<'_>, text: &str, signature: Option<&str>, ext: &Ext) {
    let mut outer = ObjectWriter::open(object.key("reasoningContent"));
    let mut inner = ObjectWriter::open(outer.key("reasoningText"));
    inner.string("text", text);
    if let Some(signature) = signature {
        inner.string("signature", signature);
    }
    inner.close();
    kept::write(&mut outer, ext.get("reasoningContent"));
    outer.close();
}

fn cited(object: &mut ObjectWriter<'_>, text: &str, annotations: &[Raw], rest: Option<&Raw>) {
    let mut content = ObjectWriter::open(object.key("citationsContent"));
    write_array(content.key("content"), [text], |out, text| {
        let mut piece = ObjectWriter::open(out);
        piece.string("text", text);
        piece.close();
    });
    write_array(content.key("citations"), annotations, |out, raw| {
        out.extend_from_slice(raw.text().as_bytes());
    });
    kept::write(&mut content, rest);
    content.close();
}

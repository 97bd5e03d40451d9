//! Content blocks: meaning to bytes.

use std::borrow::Cow;

use base64::Engine;

use super::{
    turns::{Placed, Spoken, placed},
    words::call_id,
};
use crate::{
    Dialect, Losses,
    base64::LENIENT,
    crossing,
    ir::{Content, Form, Media, Part, PartKind, Source},
    json::{ObjectWriter, Raw, write_array, write_string},
    seal::Seals,
};

/// What blocks are written with.
pub(super) struct BlockWriter<'a> {
    /// The blocks come from this dialect: their ext members mean something here.
    pub(super) own: bool,
    pub(super) losses: &'a mut Losses,
    pub(super) seals: Seals,
}

impl BlockWriter<'_> {
    /// Writes a content in the spelling it had, or as a list. False when there was nothing to write.
    pub(super) fn content(&mut self, out: &mut Vec<u8>, spoken: &Spoken<'_>) -> bool {
        match (spoken.form, spoken.parts.as_slice()) {
            (Form::Null, []) if self.own => out.extend_from_slice(b"null"),
            (Form::Bare, []) => {
                out.extend_from_slice(b"\"\"");
                return self.own;
            }
            (Form::Bare, [Placed { part: Part { kind: PartKind::Text { text, .. }, .. }, .. }])
                if self.own || !text.trim().is_empty() =>
            {
                write_string(out, text);
            }
            (_, parts) => return self.list(out, parts) || self.own,
        }
        true
    }

    /// Writes a list of blocks. False when it is empty.
    fn list(&mut self, out: &mut Vec<u8>, parts: &[Placed<'_>]) -> bool {
        out.push(b'[');
        let before = out.len();
        for part in parts {
            let length = out.len();
            if length > before {
                out.push(b',');
            }
            if !self.block(out, part) {
                out.truncate(length);
            }
        }
        let filled = out.len() > before;
        out.push(b']');
        filled
    }

    /// Writes one block; false when there is none to write.
    pub(super) fn block(&mut self, out: &mut Vec<u8>, placed: &Placed<'_>) -> bool {
        let Placed { path, part } = placed;
        let mut object = match &part.kind {
            PartKind::Opaque { value, .. } if self.own => {
                out.extend_from_slice(value.text().as_bytes());
                return true;
            }
            PartKind::Opaque { name, .. } => return self.lost(&format!("{path}.{name}"), "no such block"),
            PartKind::Text { text, annotations } => {
                if self.is_blank(text, path) {
                    return false;
                }
                self.text(out, text, annotations, path)
            }
            PartKind::Refusal { text } => {
                if self.is_blank(text, path) {
                    return false;
                }
                self.losses.approximated(path.clone(), "a refusal becomes plain text");
                self.text(out, text, &[], path)
            }
            PartKind::Reasoning { text, signature } => {
                let seal = signature.as_deref().filter(|seal| self.own || !seal.is_empty());
                let taken = seal.and_then(|seal| self.seals.written(seal, Dialect::AnthropicMessages));
                if taken.is_none() && (seal.is_some() || !self.own) {
                    return self.lost(path, "reasoning without a signature of its own is refused");
                }
                thinking(out, text, taken.as_deref())
            }
            PartKind::RedactedReasoning { bytes } => {
                let Some(bytes) = self.seals.written(bytes, Dialect::AnthropicMessages) else {
                    return self.lost(path, "another provider's sealed reasoning is refused");
                };
                let mut object = typed(out, "redacted_thinking");
                object.string("data", &bytes);
                object
            }
            PartKind::Image(media) => self.media(out, "image", &picture(media)),
            PartKind::File(media) => {
                let Some(media) = self.document(media) else {
                    return self.lost(path, "a document in base64 is a PDF or a text");
                };
                let mut object = self.media(out, "document", &media);
                if let Some(name) = &media.name {
                    object.string("title", name);
                }
                object
            }
            PartKind::Audio(_) => return self.lost(path, "messages take no sound"),
            PartKind::ToolCall { id, name, arguments } => self.tool_use(out, (id, name, arguments), path),
            PartKind::ToolResult { call_id, content, .. } if call_id.is_empty() && !self.own => {
                self.losses.approximated(path.clone(), "the result of no known call becomes plain text");
                self.text(out, &plain(content), &[], path)
            }
            PartKind::ToolResult { .. } => self.tool_result(out, &part.kind, path),
        };
        if let Some(cache) = &part.cache {
            object.raw("cache_control", cache.text());
        }
        self.ext(&mut object, part, path);
        object.close();
        true
    }

    fn ext(&mut self, object: &mut ObjectWriter<'_>, part: &Part, path: &str) {
        let called = matches!(part.kind, PartKind::ToolCall { .. });
        let noted = matches!(&part.kind, PartKind::Text { annotations, .. } if !annotations.is_empty());
        let mut ext = Cow::Borrowed(&part.ext);
        if noted || (called && !self.own) {
            // An empty list that citations came to fill; and a call's number in a list that keeps its order.
            let said = if self.own { "citations" } else { "index" };
            ext.to_mut().0.retain(|(name, _)| name != said);
        }
        if self.own {
            object.ext(&ext);
        } else {
            self.losses.ext(path, &ext);
        }
    }

    fn lost(&mut self, path: &str, why: &'static str) -> bool {
        self.losses.dropped(path, why);
        false
    }

    /// Texts of nothing but space are refused there
    /// (<https://docs.anthropic.com/en/api/messages>: the text has at least one character).
    fn is_blank(&mut self, text: &str, path: &str) -> bool {
        let blank = !self.own && text.trim().is_empty();
        if blank && !text.is_empty() {
            self.losses.dropped(path, "a text of nothing but space is refused there");
        }
        blank
    }

    fn text<'b>(&mut self, out: &'b mut Vec<u8>, text: &str, notes: &[Raw], path: &str) -> ObjectWriter<'b> {
        let mut object = typed(out, "text");
        object.string("text", text);
        if self.own && !notes.is_empty() {
            write_array(object.key("citations"), notes, |out, note| {
                out.extend_from_slice(note.text().as_bytes());
            });
        } else if !notes.is_empty() {
            self.losses.dropped(format!("{path}.annotations"), "annotations of another dialect");
        }
        object
    }

    fn media<'b>(&mut self, out: &'b mut Vec<u8>, name: &str, media: &Media) -> ObjectWriter<'b> {
        let mut object = typed(out, name);
        let mut source = ObjectWriter::open(object.key("source"));
        let (kind, member, value) = match &media.source {
            Source::Base64(bytes) => ("base64", "data", bytes),
            Source::Url(url) => ("url", "url", url),
            Source::FileId(id) => ("file", "file_id", id),
            Source::Text(text) => ("text", "data", text),
        };
        source.string("type", kind);
        if let Some(media_type) = &media.media_type {
            source.string("media_type", media_type);
        }
        source.string(member, value);
        source.close();
        object
    }

    /// A document in base64 names its type, and is a PDF; other files that are text go as text
    /// (<https://docs.anthropic.com/en/docs/build-with-claude/pdf-support>).
    fn document<'m>(&self, media: &'m Media) -> Option<Cow<'m, Media>> {
        let Source::Base64(bytes) = &media.source else { return Some(Cow::Borrowed(media)) };
        let is_text = |kind: &str| kind.starts_with("text/") || kind == "application/json";
        match media.media_type.as_deref() {
            _ if self.own => Some(Cow::Borrowed(media)),
            Some("application/pdf") => Some(Cow::Borrowed(media)),
            None => {
                let media_type = Some("application/pdf".to_owned());
                Some(Cow::Owned(Media { media_type, ..media.clone() }))
            }
            Some(kind) if is_text(kind) => {
                let text = String::from_utf8(LENIENT.decode(bytes).ok()?).ok()?;
                let media_type = Some("text/plain".to_owned());
                Some(Cow::Owned(Media { source: Source::Text(text), media_type, name: media.name.clone() }))
            }
            Some(_) => None,
        }
    }

    fn tool_use<'b>(
        &mut self,
        out: &'b mut Vec<u8>,
        (id, name, arguments): (&str, &str, &str),
        path: &str,
    ) -> ObjectWriter<'b> {
        let id = self.call_id(id, path, "id");
        let place = || format!("{path}.arguments");
        let input = crossing::arguments(arguments, self.own, place, self.losses);
        let mut object = typed(out, "tool_use");
        object.string("id", &id);
        object.string("name", name);
        object.raw("input", &input);
        object
    }

    fn tool_result<'b>(&mut self, out: &'b mut Vec<u8>, result: &PartKind, path: &str) -> ObjectWriter<'b> {
        let mut object = typed(out, "tool_result");
        let PartKind::ToolResult { call_id, content, is_error } = result else { return object };
        object.string("tool_use_id", &self.call_id(call_id, path, "call_id"));
        if content.form != Form::Absent {
            let bare = content.form == Form::Bare;
            let path = |at| if bare { format!("{path}.content") } else { format!("{path}.content[{at}]") };
            let paths = (0..content.parts.len()).map(path).collect();
            let parts = placed(paths, &content.parts);
            self.content(object.key("content"), &Spoken { form: content.form, parts });
        }
        if let Some(is_error) = is_error {
            object.boolean("is_error", *is_error);
        }
        object
    }

    fn call_id<'t>(&mut self, id: &'t str, path: &str, member: &str) -> Cow<'t, str> {
        if self.own {
            return Cow::Borrowed(id);
        }
        let allowed = call_id(id);
        if matches!(allowed, Cow::Owned(_)) {
            self.losses.approximated(format!("{path}.{member}"), "the id has letters that are refused there");
        }
        allowed
    }
}

/// A thought; without a signature only where it is shown, since one that is sent back needs it.
pub(super) fn thinking<'b>(out: &'b mut Vec<u8>, text: &str, signature: Option<&str>) -> ObjectWriter<'b> {
    let mut object = typed(out, "thinking");
    object.string("thinking", text);
    if let Some(signature) = signature {
        object.string("signature", signature);
    }
    object
}

fn typed<'b>(out: &'b mut Vec<u8>, name: &str) -> ObjectWriter<'b> {
    let mut object = ObjectWriter::open(out);
    object.string("type", name);
    object
}

/// `image/jpg` is no type, and refused there, but common.
fn picture(media: &Media) -> Cow<'_, Media> {
    if media.media_type.as_deref() == Some("image/jpg") {
        return Cow::Owned(Media { media_type: Some("image/jpeg".to_owned()), ..media.clone() });
    }
    Cow::Borrowed(media)
}

/// The texts of a content.
fn plain(content: &Content) -> String {
    let mut plain = String::new();
    for part in &content.parts {
        if let PartKind::Text { text, .. } = &part.kind {
            plain.push_str(text);
        }
    }
    plain
}

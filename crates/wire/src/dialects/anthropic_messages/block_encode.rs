//! Content blocks: meaning to bytes.

use std::borrow::Cow;

use crate::{
    Losses,
    ir::{Content, Form, Media, Part, PartKind, Source},
    json::{ObjectWriter, Raw, write_string},
};

/// What blocks are written with.
pub(super) struct BlockWriter<'a> {
    /// The blocks come from this dialect: their ext members mean something here.
    pub(super) own: bool,
    pub(super) losses: &'a mut Losses,
}

impl BlockWriter<'_> {
    /// Writes a content in the spelling it had, or as a list.
    pub(super) fn content(&mut self, out: &mut Vec<u8>, content: &Content, path: &str) {
        match (content.form, content.parts.as_slice()) {
            (Form::Null, []) if self.own => out.extend_from_slice(b"null"),
            (Form::Bare, []) => out.extend_from_slice(b"\"\""),
            (Form::Bare, [Part { kind: PartKind::Text { text, .. }, .. }]) => write_string(out, text),
            (_, parts) => {
                let parts: Vec<(usize, &Part)> = parts.iter().enumerate().collect();
                self.list(out, &parts, path);
            }
        }
    }

    /// Writes a list of blocks.
    pub(super) fn list(&mut self, out: &mut Vec<u8>, parts: &[(usize, &Part)], path: &str) {
        out.push(b'[');
        let before = out.len();
        for (at, part) in parts {
            let length = out.len();
            if length > before {
                out.push(b',');
            }
            if !self.block(out, part, &format!("{path}[{at}]")) {
                out.truncate(length);
            }
        }
        out.push(b']');
    }

    /// Writes one block; false when there is none to write.
    pub(super) fn block(&mut self, out: &mut Vec<u8>, part: &Part, path: &str) -> bool {
        let mut object = match &part.kind {
            PartKind::Opaque { value, .. } if self.own => {
                out.extend_from_slice(value.text().as_bytes());
                return true;
            }
            PartKind::Opaque { name, .. } => return self.lost(&format!("{path}.{name}"), "no such block"),
            // Empty texts are refused, and say nothing.
            PartKind::Text { text, .. } if text.is_empty() && !self.own => return false,
            PartKind::Text { text, annotations } => self.text(out, text, annotations, path),
            PartKind::Refusal { text } => {
                self.losses.approximated(path, "a refusal becomes plain text");
                self.text(out, text, &[], path)
            }
            PartKind::Reasoning { text, signature } => {
                if signature.is_none() && !self.own {
                    return self.lost(path, "reasoning without a signature is refused");
                }
                let mut object = typed(out, "thinking");
                object.string("thinking", text);
                if let Some(signature) = signature {
                    object.string("signature", signature);
                }
                object
            }
            PartKind::RedactedReasoning { bytes } => {
                let mut object = typed(out, "redacted_thinking");
                object.string("data", bytes);
                object
            }
            PartKind::Image(media) => self.media(out, "image", media),
            PartKind::File(media) => {
                let media = document(media);
                let mut object = self.media(out, "document", &media);
                if let Some(name) = &media.name {
                    object.string("title", name);
                }
                object
            }
            PartKind::Audio(_) => return self.lost(path, "messages take no sound"),
            PartKind::ToolCall { id, name, arguments } => self.tool_use(out, (id, name, arguments), path),
            PartKind::ToolResult { call_id, content, is_error } => {
                self.tool_result(out, call_id, content, *is_error, path)
            }
        };
        if let Some(cache) = &part.cache {
            object.raw("cache_control", cache.text());
        }
        if self.own {
            object.ext(&part.ext);
        } else {
            self.losses.ext(path, &part.ext);
        }
        object.close();
        true
    }

    fn lost(&mut self, path: &str, why: &'static str) -> bool {
        self.losses.dropped(path, why);
        false
    }

    fn text<'b>(&mut self, out: &'b mut Vec<u8>, text: &str, notes: &[Raw], path: &str) -> ObjectWriter<'b> {
        let mut object = typed(out, "text");
        object.string("text", text);
        if self.own && !notes.is_empty() {
            crate::json::write_array(object.key("citations"), notes, |out, note| {
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

    fn tool_use<'b>(
        &mut self,
        out: &'b mut Vec<u8>,
        (id, name, arguments): (&str, &str, &str),
        path: &str,
    ) -> ObjectWriter<'b> {
        let mut object = typed(out, "tool_use");
        object.string("id", &self.call_id(id, path));
        object.string("name", name);
        let input = if self.own { Cow::Borrowed(arguments) } else { self.input(arguments, path) };
        object.raw("input", &input);
        object
    }

    /// The arguments as an object. Models err: what is no object is wrapped, so that the call is not lost.
    fn input<'t>(&mut self, arguments: &'t str, path: &str) -> Cow<'t, str> {
        if arguments.trim().is_empty() {
            return Cow::Borrowed("{}");
        }
        match Raw::parse(arguments) {
            Some(_) if arguments.trim_start().starts_with('{') => Cow::Borrowed(arguments),
            Some(_) | None => {
                self.losses.approximated(format!("{path}.arguments"), "the arguments are no JSON object");
                Cow::Owned(format!("{{\"arguments\":{}}}", Raw::string(arguments).text()))
            }
        }
    }

    fn tool_result<'b>(
        &mut self,
        out: &'b mut Vec<u8>,
        call_id: &str,
        content: &Content,
        is_error: Option<bool>,
        path: &str,
    ) -> ObjectWriter<'b> {
        let mut object = typed(out, "tool_result");
        object.string("tool_use_id", &self.call_id(call_id, path));
        if content.form != Form::Absent {
            self.content(object.key("content"), content, &format!("{path}.content"));
        }
        if let Some(is_error) = is_error {
            object.boolean("is_error", is_error);
        }
        object
    }

    /// Anthropic takes letters, digits, `_` and `-`. The same id is always replaced by the same.
    fn call_id<'t>(&mut self, id: &'t str, path: &str) -> Cow<'t, str> {
        let allowed = |letter: char| letter.is_ascii_alphanumeric() || letter == '_' || letter == '-';
        if self.own || (!id.is_empty() && id.chars().all(allowed)) {
            return Cow::Borrowed(id);
        }
        self.losses.approximated(format!("{path}.id"), "the id has letters that are not allowed there");
        let replaced: String = id.chars().map(|letter| if allowed(letter) { letter } else { '_' }).collect();
        Cow::Owned(if replaced.is_empty() { "call".to_owned() } else { replaced })
    }
}

fn typed<'b>(out: &'b mut Vec<u8>, name: &str) -> ObjectWriter<'b> {
    let mut object = ObjectWriter::open(out);
    object.string("type", name);
    object
}

/// A document names its type; text in base64 is not taken, and a PDF is what files usually are.
fn document(media: &Media) -> Cow<'_, Media> {
    match (&media.source, &media.media_type) {
        (Source::Base64(_), None) => {
            let media_type = Some("application/pdf".to_owned());
            Cow::Owned(Media { media_type, ..media.clone() })
        }
        _ => Cow::Borrowed(media),
    }
}

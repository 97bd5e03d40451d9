//! Messages to items of a request's input.

use super::{
    item_decode::text_type,
    words::{ITEM, unseal, write_members},
};
use crate::{
    Dialect, Losses,
    ir::{Content, Form, Media, Message, Part, PartKind, Role, Source},
    json::{ObjectWriter, Raw, write_array},
    seal,
};

/// Writes items.
pub(super) struct ItemWriter<'a> {
    /// The dialect the messages come from.
    pub(super) source: Dialect,
    /// Whether instructions are the developer's or the system's.
    pub(super) developer: bool,
    pub(super) losses: &'a mut Losses,
}

impl ItemWriter<'_> {
    fn is_own(&self) -> bool {
        self.source == Dialect::OpenaiResponses
    }

    /// An item of this dialect, as it stood.
    pub(super) fn own(&mut self, message: &Message) -> Vec<u8> {
        let mut out = Vec::with_capacity(256);
        let mut object = match message.content.parts.as_slice() {
            [Part { kind: PartKind::Opaque { value, .. }, .. }] if message.content.form == Form::Absent => {
                out.extend_from_slice(value.text().as_bytes());
                return out;
            }
            [Part { kind: PartKind::ToolCall { id, name, arguments }, .. }] => {
                let mut object = ObjectWriter::open(&mut out);
                object.string("call_id", id);
                object.string("name", name);
                object.string("arguments", arguments);
                object
            }
            [Part { kind: PartKind::ToolResult { call_id, content, .. }, .. }] => {
                let mut object = ObjectWriter::open(&mut out);
                object.string("call_id", call_id);
                self.content(&mut object, "output", content, Role::User, "");
                object
            }
            [Part { kind: PartKind::Reasoning { signature, .. }, .. }] => {
                let mut object = ObjectWriter::open(&mut out);
                let sealed = signature.as_deref();
                // A seal of another provider's means nothing here: the thought goes without it.
                let sealed =
                    sealed.and_then(|seal| seal::unmark(seal, self.source, Dialect::OpenaiResponses));
                if let Some(sealed) = sealed {
                    object.string("encrypted_content", unseal(sealed).1);
                }
                object
            }
            _ => {
                let mut object = ObjectWriter::open(&mut out);
                object.string("role", role(message.role, false));
                self.content(&mut object, "content", &message.content, message.role, "");
                object
            }
        };
        object.ext(&message.ext);
        if let Some(item) = message.ext.get(ITEM) {
            write_members(&mut object, item);
        }
        object.close();
        out
    }

    /// The items that a message of another dialect comes to.
    pub(super) fn items(&mut self, items: &mut Vec<Vec<u8>>, message: &Message, path: &str) {
        self.losses.ext(path, &message.ext);
        let mut said: Vec<(usize, &Part)> = Vec::new();
        for (at, part) in message.content.parts.iter().enumerate() {
            let place = format!("{path}.content[{at}]");
            if part.cache.is_some() {
                self.losses.approximated(format!("{place}.cache"), "prompt caching is automatic there");
            }
            let mut out = Vec::with_capacity(256);
            let written = match &part.kind {
                PartKind::ToolCall { id, name, arguments } => {
                    let mut object = ObjectWriter::open(&mut out);
                    object.string("type", "function_call");
                    object.string("call_id", id);
                    object.string("name", name);
                    object.string("arguments", arguments);
                    object.close();
                    true
                }
                PartKind::ToolResult { call_id, content, is_error } => {
                    let mut object = ObjectWriter::open(&mut out);
                    object.string("type", "function_call_output");
                    object.string("call_id", call_id);
                    self.content(&mut object, "output", content, Role::User, &place);
                    object.close();
                    if *is_error == Some(true) {
                        let why = "the text alone says that the tool failed";
                        self.losses.approximated(format!("{place}.is_error"), why);
                    }
                    true
                }
                PartKind::Reasoning { text, signature } => {
                    self.reasoning(&mut out, text, signature.as_deref().unwrap_or_default(), &place)
                }
                PartKind::RedactedReasoning { bytes } => self.reasoning(&mut out, "", bytes, &place),
                PartKind::Text { .. }
                | PartKind::Refusal { .. }
                | PartKind::Image(_)
                | PartKind::File(_)
                | PartKind::Audio(_)
                | PartKind::Opaque { .. } => {
                    said.push((at, part));
                    continue;
                }
            };
            self.losses.ext(&place, &part.ext);
            // The order of what was said and what was called is kept.
            self.message(items, message, &mut said, path);
            if written {
                items.push(out);
            }
        }
        self.message(items, message, &mut said, path);
    }

    /// A thought is taken back only with its seal.
    fn reasoning(&mut self, out: &mut Vec<u8>, text: &str, sealed: &str, path: &str) -> bool {
        let sealed =
            seal::unmark(sealed, self.source, Dialect::OpenaiResponses).filter(|seal| !seal.is_empty());
        let Some(sealed) = sealed else {
            self.losses.dropped(path, "reasoning without a seal of its own is refused");
            return false;
        };
        let (id, encrypted) = unseal(sealed);
        let mut object = ObjectWriter::open(out);
        object.string("type", "reasoning");
        object.string("id", id);
        let texts: &[&str] = if text.is_empty() { &[] } else { &[text] };
        write_array(object.key("summary"), texts, |out, text| {
            let mut summary = ObjectWriter::open(out);
            summary.string("type", "summary_text");
            summary.string("text", text);
            summary.close();
        });
        object.string("encrypted_content", encrypted);
        object.close();
        true
    }

    fn message(
        &mut self,
        items: &mut Vec<Vec<u8>>,
        message: &Message,
        said: &mut Vec<(usize, &Part)>,
        path: &str,
    ) {
        if said.is_empty() {
            return;
        }
        let mut out = Vec::with_capacity(256);
        let mut object = ObjectWriter::open(&mut out);
        object.string("role", role(message.role, self.developer));
        let parts = std::mem::take(said);
        if let [(at, Part { kind: PartKind::Text { text, .. }, .. })] = parts.as_slice() {
            object.string("content", text);
            if let Some((_, part)) = parts.first() {
                self.marks(part, &format!("{path}.content[{at}]"));
            }
        } else {
            self.list(object.key("content"), &parts, message.role, path);
        }
        object.close();
        items.push(out);
    }

    fn content(
        &mut self,
        object: &mut ObjectWriter<'_>,
        name: &str,
        content: &Content,
        role: Role,
        path: &str,
    ) {
        match (content.form, content.parts.as_slice()) {
            (Form::Absent, []) if self.is_own() => {}
            (Form::Null, []) if self.is_own() => object.raw(name, "null"),
            (Form::Bare | Form::Absent | Form::Null, []) => object.string(name, ""),
            (form, [part]) if form == Form::Bare || !self.is_own() => match &part.kind {
                PartKind::Text { text, .. } => object.string(name, text),
                _ => self.list(object.key(name), &[(0, part)], role, path),
            },
            (_, parts) => {
                let parts: Vec<(usize, &Part)> = parts.iter().enumerate().collect();
                self.list(object.key(name), &parts, role, path);
            }
        }
    }

    fn list(&mut self, out: &mut Vec<u8>, parts: &[(usize, &Part)], role: Role, path: &str) {
        out.push(b'[');
        let before = out.len();
        for (at, part) in parts {
            let length = out.len();
            if length > before {
                out.push(b',');
            }
            if !self.part(out, part, role, &format!("{path}.content[{at}]")) {
                out.truncate(length);
            }
        }
        out.push(b']');
    }

    /// Writes one part of a content; false when there is nothing for it here.
    fn part(&mut self, out: &mut Vec<u8>, part: &Part, role: Role, path: &str) -> bool {
        let start = out.len();
        let mut object = ObjectWriter::open(out);
        let known = match &part.kind {
            PartKind::Text { text, .. } => {
                object.string("type", text_type(role));
                object.string("text", text);
                true
            }
            PartKind::Refusal { text } => {
                object.string("type", "refusal");
                object.string("refusal", text);
                true
            }
            PartKind::Image(media) => {
                object.string("type", "input_image");
                image(&mut object, media)
            }
            PartKind::File(media) => {
                object.string("type", "input_file");
                self.file(&mut object, media, path)
            }
            PartKind::Opaque { value, .. } if self.is_own() => {
                out.truncate(start);
                out.extend_from_slice(value.text().as_bytes());
                return true;
            }
            PartKind::Audio(_)
            | PartKind::Opaque { .. }
            | PartKind::Reasoning { .. }
            | PartKind::RedactedReasoning { .. }
            | PartKind::ToolCall { .. }
            | PartKind::ToolResult { .. } => false,
        };
        if !known {
            out.truncate(start);
            self.losses.dropped(path, "responses take no such part");
            return false;
        }
        if self.is_own() {
            object.ext(&part.ext);
        }
        object.close();
        if !self.is_own() {
            self.marks(part, path);
        }
        true
    }

    fn file(&mut self, object: &mut ObjectWriter<'_>, media: &Media, path: &str) -> bool {
        match &media.source {
            Source::FileId(id) => object.string("file_id", id),
            Source::Url(url) => object.string("file_url", url),
            Source::Base64(bytes) => match &media.media_type {
                Some(kind) => object.string("file_data", &format!("data:{kind};base64,{bytes}")),
                None => object.string("file_data", bytes),
            },
            Source::Text(_) => return false,
        }
        match &media.name {
            Some(name) => object.string("filename", name),
            // Bytes in place need a name, by whose ending their kind is known.
            None if !self.is_own() && matches!(media.source, Source::Base64(_)) => {
                self.losses.approximated(format!("{path}.filename"), "a file needs a name there");
                object.string("filename", "file.pdf");
            }
            None => {}
        }
        true
    }

    /// What a part of another dialect says beside its content.
    fn marks(&mut self, part: &Part, path: &str) {
        if let PartKind::Text { annotations, .. } = &part.kind
            && !annotations.is_empty()
        {
            self.losses.dropped(format!("{path}.annotations"), "a request's text carries no citations there");
        }
        self.losses.ext(path, &part.ext);
    }
}

fn image(object: &mut ObjectWriter<'_>, media: &Media) -> bool {
    match &media.source {
        Source::FileId(id) => object.string("file_id", id),
        Source::Url(url) => object.string("image_url", url),
        Source::Base64(bytes) => {
            let kind = media.media_type.as_deref().unwrap_or("image/png");
            object.string("image_url", &format!("data:{kind};base64,{bytes}"));
        }
        Source::Text(_) => return false,
    }
    true
}

fn role(role: Role, developer: bool) -> &'static str {
    match role {
        Role::System if developer => "developer",
        Role::System => "system",
        Role::Developer => "developer",
        Role::User | Role::Tool => "user",
        Role::Assistant => "assistant",
    }
}

/// The bare text of a message that stands for a whole member.
pub(super) fn bare_text(message: &Message) -> &str {
    match message.content.parts.first().map(|part| &part.kind) {
        Some(PartKind::Text { text, .. }) => text,
        _ => "",
    }
}

/// A member of the request that a message stands for, when it does.
pub(super) fn stands_for(message: &Message, name: &str) -> bool {
    message.ext.get(name).is_some_and(|hint: &Raw| hint.text() == "{}")
}

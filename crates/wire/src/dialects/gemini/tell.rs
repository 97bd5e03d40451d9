//! Parts of an answer as they are told to a caller.

use super::{
    notes::{NONE, nested, noted, spelled, write_rest},
    signature::{Bearer, bearer, wrapped, wrapped_redacted},
    words::is_made,
};
use crate::{
    Dialect, Losses, crossing,
    ir::{Ext, Part, PartKind},
    json::{ObjectWriter, write_array},
};

/// Tells the parts of one candidate.
pub(super) struct Teller {
    pub(super) source: Dialect,
    pub(super) own: bool,
    /// A signature that waits for the part it stands on.
    waiting: Option<String>,
}

impl Teller {
    pub(super) fn new(source: Dialect) -> Teller {
        Teller { source, own: source == Dialect::Gemini, waiting: None }
    }

    /// Tells one part; `None` where it says nothing by itself.
    pub(super) fn part(&mut self, part: &Part, losses: &mut Losses) -> Option<Vec<u8>> {
        let ext = if self.own { &part.ext } else { &NONE };
        match &part.kind {
            PartKind::Text { text, annotations } => {
                if !annotations.is_empty() {
                    losses.dropped("response.content.annotations", "annotations of another dialect");
                }
                (self.own || !text.is_empty()).then(|| self.text(text, ext))
            }
            PartKind::Refusal { text } => (!text.is_empty()).then(|| self.text(text, ext)),
            PartKind::Reasoning { text, signature } => {
                Some(thought(text, signature.as_deref().map(|seal| wrapped(seal, self.source)), ext))
            }
            PartKind::RedactedReasoning { bytes } => self.sealed(bytes),
            PartKind::ToolCall { id, name, arguments } => Some(self.call((id, name, arguments), ext, losses)),
            PartKind::Opaque { value, .. } if self.own => Some(value.text().as_bytes().to_vec()),
            PartKind::Opaque { name, .. } => {
                losses.dropped(format!("response.content.{name}"), "contents have no such part");
                None
            }
            PartKind::Image(_) | PartKind::File(_) | PartKind::Audio(_) | PartKind::ToolResult { .. } => {
                losses.dropped("response.content", "a part that no answer has there");
                None
            }
        }
    }

    /// A piece of text that is no thought.
    pub(super) fn text(&mut self, text: &str, ext: &Ext) -> Vec<u8> {
        let mut out = Vec::with_capacity(text.len() + 16);
        let mut object = ObjectWriter::open(&mut out);
        object.string("text", text);
        if let Some(said) = noted(ext, "thought") {
            object.raw("thought", said);
        }
        self.signature(&mut object, ext);
        write_rest(&mut object, ext, &[]);
        object.close();
        out
    }

    /// A signature of this dialect's own waits for its part; another provider's sealed thought is told as a thought
    /// with nothing to read.
    pub(super) fn sealed(&mut self, bytes: &str) -> Option<Vec<u8>> {
        if !self.own {
            return Some(thought("", Some(wrapped_redacted(bytes, self.source)), &NONE));
        }
        match bearer(bytes) {
            Some((Bearer::Nothing, signature)) => {
                self.waiting = Some(signature.to_owned());
                Some(self.text("", &NONE))
            }
            Some((_, signature)) => {
                self.waiting = Some(signature.to_owned());
                None
            }
            None => None,
        }
    }

    fn signature(&mut self, object: &mut ObjectWriter<'_>, ext: &Ext) {
        if let Some(signature) = self.waiting.take() {
            object.string(&spelled(ext, "thoughtSignature"), &signature);
        }
    }

    fn call(&mut self, (id, name, arguments): (&str, &str, &str), ext: &Ext, losses: &mut Losses) -> Vec<u8> {
        let inside = nested(ext, "functionCall");
        let mut out = Vec::with_capacity(64 + arguments.len());
        let mut object = ObjectWriter::open(&mut out);
        let mut call = ObjectWriter::open(object.key("functionCall"));
        if !is_made(id) && !id.is_empty() {
            call.string("id", id);
        }
        call.string("name", name);
        if noted(ext, "args").is_none() {
            let path = || "response.tool_calls.arguments".to_owned();
            call.raw("args", &crossing::arguments(arguments, self.own, path, losses));
        }
        write_rest(&mut call, &inside, &[]);
        call.close();
        self.signature(&mut object, ext);
        write_rest(&mut object, ext, &["functionCall"]);
        object.close();
        out
    }
}

/// A thought, with its signature where it has one.
pub(super) fn thought(text: &str, signature: Option<String>, ext: &Ext) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len() + 32);
    let mut object = ObjectWriter::open(&mut out);
    object.string("text", text);
    object.boolean("thought", true);
    if let Some(signature) = signature.filter(|signature| !signature.is_empty()) {
        object.string(&spelled(ext, "thoughtSignature"), &signature);
    }
    write_rest(&mut object, ext, &[]);
    object.close();
    out
}

/// Writes a content with these parts, and what its message says beside.
pub(super) fn write_content(out: &mut Vec<u8>, parts: &[Vec<u8>], message: Option<&Ext>) {
    let mut object = ObjectWriter::open(out);
    let bare = message.is_some_and(|ext| noted(ext, "parts").is_some()) && parts.is_empty();
    if !bare {
        write_array(object.key("parts"), parts, |out, part| out.extend_from_slice(part));
    }
    match message {
        Some(ext) => {
            if let Some(role) = noted(ext, "role") {
                object.string("role", role);
            }
            write_rest(&mut object, ext, &[]);
        }
        None => object.string("role", "model"),
    }
    object.close();
}

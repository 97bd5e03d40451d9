//! Messages: meaning to bytes.

use super::{
    calls::{self, Calls},
    kept,
};
use crate::{
    Losses, crossing,
    ir::{Content, Ext, Form, Media, Message, Part, PartKind, Role, Source},
    json::{ObjectWriter, write_array, write_string},
};

/// What messages are written with.
pub(super) struct MessageWriter<'a> {
    pub(super) own: bool,
    /// The calls of the messages so far.
    pub(super) calls: Calls,
    pub(super) losses: &'a mut Losses,
}

/// What a message of another dialect comes to.
#[derive(Default)]
struct Spoken {
    texts: Vec<String>,
    thinking: String,
    images: Vec<String>,
    calls: Vec<Vec<u8>>,
}

impl MessageWriter<'_> {
    /// Writes one message; those of other dialects may come to several.
    pub(super) fn message(&mut self, out: &mut Vec<Vec<u8>>, message: &Message, path: &str) {
        if self.own {
            out.push(self.own_message(message));
            return;
        }
        self.losses.ext(path, &crossing::unread(message));
        let mut spoken = Spoken::default();
        for (at, part) in message.content.parts.iter().enumerate() {
            let path = format!("{path}.content[{at}]");
            self.marks(part, &path);
            match &part.kind {
                PartKind::ToolResult { .. } => out.push(self.result(part, &path, &mut spoken)),
                _ => self.part(part, &path, &mut spoken),
            }
        }
        let role = match message.role {
            Role::System | Role::Developer => "system",
            Role::Assistant => "assistant",
            Role::User | Role::Tool => "user",
        };
        if !spoken.is_empty() {
            out.push(spoken.written(role));
        }
    }

    /// A message of this dialect, as it stood.
    fn own_message(&mut self, message: &Message) -> Vec<u8> {
        let mut out = Vec::with_capacity(256);
        let mut object = ObjectWriter::open(&mut out);
        let ext = &message.ext;
        match ext.get("role") {
            Some(role) => object.raw("role", role.text()),
            None => object.string("role", role_name(message.role)),
        }
        let mut content = &message.content;
        if let [Part { kind: PartKind::ToolResult { call_id, content: told, .. }, .. }] =
            content.parts.as_slice()
        {
            content = told;
            match ext.get(kept::CALL_ID) {
                Some(said) => object.raw("tool_call_id", said.text()),
                None if kept::is_marked(ext, "tool_call_id") => {}
                None => object.string("tool_call_id", call_id),
            }
            if kept::is_marked(ext, "tool_name") {
                object.string("tool_name", self.calls.name(call_id).unwrap_or_default());
            }
        }
        self.own_content(&mut object, content, ext);
        kept::write(&mut object, ext, &["thinking", "tool_call_id", "tool_name"], &["role", kept::CALL_ID]);
        object.close();
        out
    }

    fn own_content(&mut self, object: &mut ObjectWriter<'_>, content: &Content, ext: &Ext) {
        let mut text = String::new();
        let mut images = Vec::new();
        let mut calls: Vec<Vec<u8>> = Vec::new();
        for part in &content.parts {
            match &part.kind {
                PartKind::Text { text: more, .. } => text.push_str(more),
                PartKind::Reasoning { text, .. } => object.string("thinking", text),
                PartKind::Image(Media { source: Source::Base64(data) | Source::Url(data), .. }) => {
                    images.push(data);
                }
                PartKind::ToolCall { id, name, arguments } => {
                    if calls.is_empty() {
                        self.calls.begin_round();
                    }
                    self.calls.add(id, name);
                    calls.push(calls::write_own((id, name, arguments), &part.ext, calls.len() as u64));
                }
                _ => {}
            }
        }
        if kept::is_marked(ext, "thinking") {
            object.string("thinking", "");
        }
        match content.form {
            Form::Absent => {}
            Form::Null => object.raw("content", "null"),
            Form::Bare | Form::List => object.string("content", &text),
        }
        if !images.is_empty() {
            write_array(object.key("images"), images, |out, image| write_string(out, image));
        }
        if !calls.is_empty() {
            write_array(object.key("tool_calls"), &calls, |out, call| out.extend_from_slice(call));
        }
    }

    /// Adds a part to what is said.
    fn part(&mut self, part: &Part, path: &str, spoken: &mut Spoken) {
        match &part.kind {
            PartKind::Text { text, .. } => spoken.texts.push(text.clone()),
            PartKind::Refusal { text } => {
                self.losses.approximated(path, "a refusal becomes plain text");
                spoken.texts.push(text.clone());
            }
            PartKind::Reasoning { text, signature } => {
                if signature.as_ref().is_some_and(|seal| !seal.is_empty()) {
                    self.losses.approximated(path, "the seal on a thought means nothing there");
                }
                spoken.thinking.push_str(text);
            }
            PartKind::RedactedReasoning { .. } => {
                self.losses.dropped(path, "another provider's sealed reasoning says nothing there");
            }
            PartKind::Image(Media { source: Source::Base64(data), .. }) => spoken.images.push(data.clone()),
            PartKind::Image(_) => self.losses.dropped(path, "a picture must come as bytes there"),
            PartKind::File(Media { source: Source::Text(text), .. }) => {
                self.losses.approximated(path, "a text document becomes plain text");
                spoken.texts.push(text.clone());
            }
            PartKind::File(_) => self.losses.dropped(path, "messages take no files there"),
            PartKind::Audio(_) => self.losses.dropped(path, "messages take no sound there"),
            PartKind::ToolCall { id, name, arguments } => {
                self.calls.add(id, name);
                spoken.calls.push(calls::write((id, name, arguments), None, path, self.losses));
            }
            PartKind::ToolResult { .. } => {}
            PartKind::Opaque { name, .. } => {
                self.losses.dropped(format!("{path}.{name}"), "messages have no such part there");
            }
        }
    }

    /// The message of a tool's result. Pictures in it are said behind it, by the user.
    fn result(&mut self, part: &Part, path: &str, beside: &mut Spoken) -> Vec<u8> {
        let mut out = Vec::with_capacity(128);
        let PartKind::ToolResult { call_id, content, is_error } = &part.kind else { return out };
        let mut said = Spoken::default();
        for (at, part) in content.parts.iter().enumerate() {
            self.part(part, &format!("{path}.content[{at}]"), &mut said);
        }
        if !said.images.is_empty() {
            let why = "a tool's message takes only text: pictures follow as a message of the user";
            self.losses.approximated(format!("{path}.content"), why);
            beside.images.append(&mut said.images);
        }
        if *is_error == Some(true) {
            self.losses.approximated(format!("{path}.is_error"), "the text alone says that the tool failed");
        }
        let mut object = ObjectWriter::open(&mut out);
        object.string("role", "tool");
        object.string("tool_call_id", call_id);
        if let Some(name) = self.calls.name(call_id) {
            object.string("tool_name", name);
        }
        object.string("content", &said.texts.join("\n"));
        object.close();
        out
    }

    /// What a part of another dialect says beside its content.
    fn marks(&mut self, part: &Part, path: &str) {
        if part.cache.is_some() {
            self.losses.approximated(format!("{path}.cache"), "prompt caching is automatic there");
        }
        if let PartKind::Text { annotations, .. } = &part.kind
            && !annotations.is_empty()
        {
            self.losses.dropped(format!("{path}.annotations"), "annotations of another dialect");
        }
        self.losses.ext(path, &part.ext);
    }
}

impl Spoken {
    fn is_empty(&self) -> bool {
        self.texts.is_empty() && self.thinking.is_empty() && self.images.is_empty() && self.calls.is_empty()
    }

    fn written(&self, role: &str) -> Vec<u8> {
        let mut out = Vec::with_capacity(128);
        let mut object = ObjectWriter::open(&mut out);
        object.string("role", role);
        object.string("content", &self.texts.join("\n"));
        if !self.thinking.is_empty() {
            object.string("thinking", &self.thinking);
        }
        if !self.images.is_empty() {
            write_array(object.key("images"), &self.images, |out, image| write_string(out, image));
        }
        if !self.calls.is_empty() {
            write_array(object.key("tool_calls"), &self.calls, |out, call| out.extend_from_slice(call));
        }
        object.close();
        out
    }
}

fn role_name(role: Role) -> &'static str {
    match role {
        Role::System => "system",
        Role::Developer => "developer",
        Role::User => "user",
        Role::Assistant => "assistant",
        Role::Tool => "tool",
    }
}

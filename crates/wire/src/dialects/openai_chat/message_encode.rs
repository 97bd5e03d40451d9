//! Messages: meaning to bytes.

use super::{thoughts::Thoughts, words::write_members};
use crate::{
    Dialect, Losses,
    fit::ONLY_TEXT,
    ir::{Content, Ext, Form, Media, Message, Part, PartKind, Role, Source},
    json::{ObjectWriter, write_array, write_string},
};

/// What messages are written with.
pub(super) struct MessageWriter<'a> {
    /// The dialect the messages come from: its ext members mean something only here.
    pub(super) own: bool,
    pub(super) developer: bool,
    /// What becomes of earlier thinking, where the messages come from another dialect.
    pub(super) thoughts: Thoughts<'a>,
    pub(super) losses: &'a mut Losses,
}

impl MessageWriter<'_> {
    /// Writes all messages. One message of another dialect may come to several.
    pub(super) fn messages(&mut self, out: &mut Vec<u8>, messages: &[Message]) {
        let mut pieces: Vec<Vec<u8>> = Vec::with_capacity(messages.len());
        // What results show beside text follows them as the user's, behind the last result of a round.
        let mut shown: Vec<&Part> = Vec::new();
        for (at, message) in messages.iter().enumerate() {
            if matches!(message.role, Role::System | Role::Developer | Role::Assistant) {
                self.shown(&mut pieces, &mut shown);
            }
            self.message(&mut pieces, message, &format!("messages[{at}]"), &mut shown);
        }
        self.shown(&mut pieces, &mut shown);
        write_array(out, &pieces, |out, piece| out.extend_from_slice(piece));
    }

    /// Writes what results showed as a message of the user.
    fn shown(&mut self, pieces: &mut Vec<Vec<u8>>, shown: &mut Vec<&Part>) {
        if shown.is_empty() {
            return;
        }
        let parts: Vec<(usize, &Part)> = shown.drain(..).enumerate().collect();
        let mut piece = Vec::with_capacity(256);
        let mut object = ObjectWriter::open(&mut piece);
        object.string("role", "user");
        self.content(&mut object, &Content::default(), &parts, "messages");
        object.close();
        pieces.push(piece);
    }

    fn message<'p>(
        &mut self,
        pieces: &mut Vec<Vec<u8>>,
        message: &'p Message,
        path: &str,
        moved: &mut Vec<&'p Part>,
    ) {
        let (results, others): (Vec<_>, Vec<_>) = message
            .content
            .parts
            .iter()
            .enumerate()
            .partition(|(_, part)| matches!(part.kind, PartKind::ToolResult { .. }));
        for (at, part) in &results {
            let path = content_path(path, *at);
            pieces.push(self.tool_result(message, part, &path, moved));
        }
        if message.role == Role::Tool {
            return;
        }
        if !results.is_empty() && others.is_empty() && moved.is_empty() {
            self.ext_lost(path, &message.ext);
            return;
        }
        let mut parts: Vec<(usize, &Part)> = moved.drain(..).map(|part| (0, part)).chain(others).collect();
        let spoken = if self.own { None } else { self.thoughts.in_text(message) };
        if let Some((at, spoken)) = &spoken {
            parts.retain(|(known, _)| known != at);
            parts.insert(0, (*at, spoken));
        }
        let mut piece = Vec::with_capacity(256);
        let mut object = ObjectWriter::open(&mut piece);
        object.string("role", self.role(message.role));
        self.content(&mut object, &message.content, &parts, path);
        if message.role == Role::Assistant {
            self.assistant(&mut object, &parts, path);
            if !self.own {
                self.thoughts.in_member(&mut object, message);
            }
        }
        self.ext(&mut object, &message.ext, path);
        object.close();
        pieces.push(piece);
    }

    fn role(&self, role: Role) -> &'static str {
        match role {
            Role::System | Role::Developer if self.own => {
                if role == Role::System {
                    "system"
                } else {
                    "developer"
                }
            }
            Role::System | Role::Developer => {
                if self.developer {
                    "developer"
                } else {
                    "system"
                }
            }
            Role::User => "user",
            Role::Assistant => "assistant",
            Role::Tool => "tool",
        }
    }

    /// A message for one result. Pictures and files in it are given back, since a tool's message takes text.
    fn tool_result<'p>(
        &mut self,
        message: &Message,
        part: &'p Part,
        path: &str,
        moved: &mut Vec<&'p Part>,
    ) -> Vec<u8> {
        let mut piece = Vec::with_capacity(256);
        let PartKind::ToolResult { call_id, content, is_error } = &part.kind else { return piece };
        let mut object = ObjectWriter::open(&mut piece);
        let renamed = self.own && message.ext.get("role").is_some();
        if !renamed {
            object.string("role", "tool");
        }
        if !(self.own && call_id.is_empty()) {
            object.string("tool_call_id", call_id);
        }
        if self.own {
            let parts: Vec<(usize, &Part)> = content.parts.iter().enumerate().collect();
            self.content(&mut object, content, &parts, path);
            object.ext(&message.ext);
        } else {
            let is_text = |part: &&Part| matches!(part.kind, PartKind::Text { .. });
            let texts: Vec<&Part> = content.parts.iter().filter(is_text).collect();
            let plain =
                Content { parts: Vec::new(), form: if texts.len() <= 1 { Form::Bare } else { Form::List } };
            let numbered: Vec<(usize, &Part)> = texts.into_iter().enumerate().collect();
            self.content(&mut object, &plain, &numbered, path);
            for part in content.parts.iter().filter(|part| !is_text(part)) {
                self.losses.approximated(format!("{path}.content"), ONLY_TEXT);
                moved.push(part);
            }
            if *is_error == Some(true) {
                self.losses
                    .approximated(format!("{path}.is_error"), "the text alone says that the tool failed");
            }
            self.marks(part, path);
        }
        object.close();
        piece
    }

    fn content(
        &mut self,
        object: &mut ObjectWriter<'_>,
        content: &Content,
        parts: &[(usize, &Part)],
        path: &str,
    ) {
        let parts: Vec<&(usize, &Part)> = parts.iter().filter(|(_, part)| self.is_content(part)).collect();
        match (content.form, parts.as_slice()) {
            (Form::Absent, []) if self.own => {}
            (Form::Null, []) => object.raw("content", "null"),
            (Form::Bare, []) => object.string("content", ""),
            (Form::Bare | Form::List, [(at, part)]) if self.is_bare(content.form, part) => {
                if let PartKind::Text { text, .. } = &part.kind {
                    object.string("content", text);
                    self.marks(part, &content_path(path, *at));
                }
            }
            (_, []) if !self.own => object.raw("content", "null"),
            _ => {
                let out = object.key("content");
                out.push(b'[');
                let before = out.len();
                for (at, part) in parts {
                    let length = out.len();
                    if length > before {
                        out.push(b',');
                    }
                    if !self.part(out, part, &content_path(path, *at)) {
                        out.truncate(length);
                    }
                }
                out.push(b']');
            }
        }
    }

    /// Text alone is written as a bare string where it was one, or where it comes from another dialect: every
    /// compatible server takes that.
    fn is_bare(&self, form: Form, part: &Part) -> bool {
        matches!(part.kind, PartKind::Text { .. }) && (form == Form::Bare || !self.own)
    }

    fn is_content(&self, part: &Part) -> bool {
        match &part.kind {
            PartKind::Text { .. } | PartKind::Image(_) | PartKind::File(_) | PartKind::Audio(_) => true,
            PartKind::Opaque { name, .. } => !(self.own && name == "tool_calls"),
            PartKind::Refusal { .. }
            | PartKind::Reasoning { .. }
            | PartKind::RedactedReasoning { .. }
            | PartKind::ToolCall { .. }
            | PartKind::ToolResult { .. } => false,
        }
    }

    /// Writes one part; false when this dialect has nothing for it.
    fn part(&mut self, out: &mut Vec<u8>, part: &Part, path: &str) -> bool {
        let mut object = match &part.kind {
            PartKind::Opaque { value, .. } if self.own => {
                out.extend_from_slice(value.text().as_bytes());
                return true;
            }
            PartKind::Opaque { name, .. } => {
                self.losses.dropped(format!("{path}.{name}"), "no other dialect has this kind of part");
                return false;
            }
            PartKind::Text { text, .. } => {
                let mut object = ObjectWriter::open(out);
                object.string("type", "text");
                object.string("text", text);
                object
            }
            PartKind::Image(media) => match image_url(media) {
                Some(url) => nested(out, "image_url", &[("url", &url)], &part.ext),
                None => return self.no_place(path),
            },
            PartKind::File(media) => match file_members(media) {
                Some(Document::Text(text)) => {
                    self.losses.approximated(path, "a text document becomes plain text");
                    let mut object = ObjectWriter::open(out);
                    object.string("type", "text");
                    object.string("text", text);
                    object
                }
                Some(Document::File(members)) => {
                    let members: Vec<(&str, &str)> =
                        members.iter().map(|(name, value)| (*name, value.as_str())).collect();
                    nested(out, "file", &members, &part.ext)
                }
                None => return self.no_place(path),
            },
            PartKind::Audio(Media { source: Source::Base64(bytes), media_type, .. }) => {
                let format =
                    media_type.as_deref().and_then(|kind| kind.strip_prefix("audio/")).unwrap_or("wav");
                nested(out, "input_audio", &[("data", bytes), ("format", format)], &part.ext)
            }
            PartKind::Audio(_)
            | PartKind::Refusal { .. }
            | PartKind::Reasoning { .. }
            | PartKind::RedactedReasoning { .. }
            | PartKind::ToolCall { .. }
            | PartKind::ToolResult { .. } => return self.no_place(path),
        };
        if self.own {
            if let Some(cache) = &part.cache {
                object.raw("cache_control", cache.text());
            }
            for (name, value) in &part.ext.0 {
                if nested_name(&part.kind) != Some(name) {
                    object.raw(name, value.text());
                }
            }
        } else {
            self.marks(part, path);
        }
        object.close();
        true
    }

    fn no_place(&mut self, path: &str) -> bool {
        self.losses.dropped(path, "chat completions take no such part");
        false
    }

    /// Members of an assistant's message beside its content.
    fn assistant(&mut self, object: &mut ObjectWriter<'_>, parts: &[(usize, &Part)], path: &str) {
        let mut calls: Vec<Vec<u8>> = Vec::new();
        for (at, part) in parts {
            match &part.kind {
                PartKind::Refusal { text } => object.string("refusal", text),
                PartKind::ToolCall { id, name, arguments } => {
                    calls.push(tool_call(id, name, arguments, &part.ext, self.own));
                    if !self.own {
                        self.marks(part, &content_path(path, *at));
                    }
                }
                PartKind::Opaque { name, value } if self.own && name == "tool_calls" => {
                    calls.push(value.text().as_bytes().to_vec());
                }
                // In this dialect reasoning is an ext member of the message, in its server's own spelling.
                PartKind::Reasoning { signature, .. } if !self.own && self.thoughts.are_told() => {
                    if signature.as_ref().is_some_and(|seal| !seal.is_empty()) {
                        let path = format!("{}.signature", content_path(path, *at));
                        self.losses.dropped(path, "the seal is another provider's");
                    }
                }
                PartKind::Reasoning { .. } | PartKind::RedactedReasoning { .. } if !self.own => {
                    let path = content_path(path, *at);
                    self.losses.dropped(path, "chat completions take no earlier reasoning");
                }
                PartKind::Reasoning { .. }
                | PartKind::RedactedReasoning { .. }
                | PartKind::Text { .. }
                | PartKind::Image(_)
                | PartKind::File(_)
                | PartKind::Audio(_)
                | PartKind::ToolResult { .. }
                | PartKind::Opaque { .. } => {}
            }
        }
        if !calls.is_empty() {
            write_array(object.key("tool_calls"), &calls, |out, call| out.extend_from_slice(call));
        }
    }

    fn ext(&mut self, object: &mut ObjectWriter<'_>, ext: &Ext, path: &str) {
        if self.own {
            object.ext(ext);
        } else {
            self.ext_lost(path, ext);
        }
    }

    fn ext_lost(&mut self, path: &str, ext: &Ext) {
        if !self.own {
            self.losses.ext(path, ext);
        }
    }

    /// What a part of another dialect says beside its content.
    fn marks(&mut self, part: &Part, path: &str) {
        if self.own {
            return;
        }
        if part.cache.is_some() {
            self.losses.approximated(format!("{path}.cache"), "prompt caching is automatic there");
        }
        if let PartKind::Text { annotations, .. } = &part.kind
            && !annotations.is_empty()
        {
            self.losses.dropped(format!("{path}.annotations"), "chat completions take no citations");
        }
        self.losses.ext(path, &part.ext);
    }
}

/// Where a part stands.
fn content_path(path: &str, at: usize) -> String {
    format!("{path}.content[{at}]")
}

/// One tool call as it stands in a message.
pub(super) fn tool_call(id: &str, name: &str, arguments: &str, ext: &Ext, own: bool) -> Vec<u8> {
    let mut out = Vec::with_capacity(64 + arguments.len());
    let mut object = ObjectWriter::open(&mut out);
    object.string("id", id);
    if !(own && ext.get("type").is_some()) {
        object.string("type", "function");
    }
    let mut function = ObjectWriter::open(object.key("function"));
    function.string("name", name);
    function.string("arguments", arguments);
    if let Some(rest) = ext.get("function").filter(|_| own) {
        write_members(&mut function, rest.value());
    }
    function.close();
    for (name, value) in ext.0.iter().filter(|(name, _)| own && name != "type" && name != "function") {
        object.raw(name, value.text());
    }
    object.close();
    out
}

/// The object in which a part's content stands, and under whose name what is left of it is kept.
fn nested_name(kind: &PartKind) -> Option<&'static str> {
    match kind {
        PartKind::Image(_) => Some("image_url"),
        PartKind::File(_) => Some("file"),
        PartKind::Audio(_) => Some("input_audio"),
        PartKind::Text { .. }
        | PartKind::Refusal { .. }
        | PartKind::Reasoning { .. }
        | PartKind::RedactedReasoning { .. }
        | PartKind::ToolCall { .. }
        | PartKind::ToolResult { .. }
        | PartKind::Opaque { .. } => None,
    }
}

enum Document<'a> {
    Text(&'a str),
    File(Vec<(&'static str, String)>),
}

fn image_url(media: &Media) -> Option<String> {
    match &media.source {
        Source::Url(url) => Some(url.clone()),
        Source::Base64(bytes) => {
            Some(format!("data:{};base64,{bytes}", media.media_type.as_deref().unwrap_or("image/png")))
        }
        Source::FileId(_) | Source::Text(_) => None,
    }
}

fn file_members(media: &Media) -> Option<Document<'_>> {
    let mut members = Vec::new();
    match &media.source {
        Source::Text(text) => return Some(Document::Text(text)),
        Source::Url(_) => return None,
        Source::FileId(id) => members.push(("file_id", id.clone())),
        Source::Base64(bytes) => {
            let data = match &media.media_type {
                Some(kind) => format!("data:{kind};base64,{bytes}"),
                None => bytes.clone(),
            };
            members.push(("file_data", data));
        }
    }
    if let Some(name) = &media.name {
        members.push(("filename", name.clone()));
    }
    Some(Document::File(members))
}

/// Opens a part with one nested object, whose unknown members are kept in the ext under its name.
fn nested<'b>(out: &'b mut Vec<u8>, name: &str, members: &[(&str, &str)], ext: &Ext) -> ObjectWriter<'b> {
    let mut object = ObjectWriter::open(out);
    object.string("type", name);
    let mut inner = ObjectWriter::open(object.key(name));
    for (member, value) in members {
        inner.string(member, value);
    }
    if let Some(rest) = ext.get(name) {
        write_members(&mut inner, rest.value());
    }
    inner.close();
    object
}

/// Whether the messages come from this dialect.
pub(super) fn is_own(dialect: Dialect) -> bool {
    dialect == Dialect::OpenaiChat
}

/// Writes a list of texts.
pub(super) fn write_texts(out: &mut Vec<u8>, texts: &[String]) {
    write_array(out, texts, |out, text| write_string(out, text));
}

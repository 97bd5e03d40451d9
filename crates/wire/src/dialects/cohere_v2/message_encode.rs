//! Messages: meaning to bytes.

use super::{
    kept,
    part_encode::{block, call, document},
    words::PLAN,
};
use crate::{
    Losses, crossing,
    ir::{Content, Ext, Form, Media, Message, Part, PartKind, Role, Source},
    json::{ObjectWriter, Raw, array, write_array},
};

/// What messages are written with.
pub(super) struct MessageWriter<'a> {
    pub(super) own: bool,
    pub(super) losses: &'a mut Losses,
}

/// What a message of another dialect comes to.
#[derive(Default)]
struct Spoken {
    blocks: Vec<Vec<u8>>,
    /// The text, while it is all there is.
    text: Option<String>,
    calls: Vec<Vec<u8>>,
}

impl MessageWriter<'_> {
    /// Writes one message; those of other dialects may come to several.
    pub(super) fn message(&mut self, out: &mut Vec<Vec<u8>>, message: &Message, path: &str) {
        if self.own {
            out.push(own_message(message));
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
        if !spoken.blocks.is_empty() || !spoken.calls.is_empty() {
            out.push(spoken.written(role));
        }
    }

    /// Adds a part to what is said.
    fn part(&mut self, part: &Part, path: &str, spoken: &mut Spoken) {
        let plain = Ext::default();
        match &part.kind {
            PartKind::Text { text, .. } if text.is_empty() => {}
            PartKind::Text { text, .. } => spoken.say(text),
            PartKind::Refusal { text } => {
                self.losses.approximated(path, "a refusal becomes plain text");
                spoken.say(text);
            }
            PartKind::Reasoning { text, signature } => {
                if signature.as_ref().is_some_and(|seal| !seal.is_empty()) {
                    self.losses.approximated(path, "the seal on a thought means nothing there");
                }
                let kind = PartKind::Reasoning { text: text.clone(), signature: None };
                spoken.blocks.extend(block(&kind, &plain));
            }
            PartKind::RedactedReasoning { .. } => {
                self.losses.dropped(path, "another provider's sealed reasoning says nothing there");
            }
            PartKind::Image(Media { source: Source::Base64(_) | Source::Url(_), .. }) => {
                spoken.blocks.extend(block(&part.kind, &plain));
            }
            PartKind::File(Media { source: Source::Text(text), .. }) => {
                self.losses.approximated(path, "a text document becomes plain text");
                spoken.say(text);
            }
            PartKind::Image(_) => self.losses.dropped(path, "a picture that only its own provider has"),
            PartKind::File(_) => self.losses.dropped(path, "messages take no files there"),
            PartKind::Audio(_) => self.losses.dropped(path, "messages take no sound there"),
            PartKind::ToolCall { id, name, arguments } => {
                spoken.calls.push(call((id, name, arguments), &plain));
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
        let mut texts = Vec::new();
        for (at, part) in content.parts.iter().enumerate() {
            let path = format!("{path}.content[{at}]");
            match &part.kind {
                PartKind::Text { text, .. } => texts.push(text.as_str()),
                PartKind::Image(_) => {
                    let why = "a tool's message takes only text: pictures follow as a message of the user";
                    self.losses.approximated(&path, why);
                    self.part(part, &path, beside);
                }
                _ => self.losses.dropped(path, "a tool's message takes only text"),
            }
        }
        if *is_error == Some(true) {
            self.losses.approximated(format!("{path}.is_error"), "the text alone says that the tool failed");
        }
        let mut object = ObjectWriter::open(&mut out);
        object.string("role", "tool");
        object.string("tool_call_id", call_id);
        object.string("content", &texts.join("\n"));
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
    fn say(&mut self, text: &str) {
        self.text = self.blocks.is_empty().then(|| text.to_owned());
        let kind = PartKind::Text { text: text.to_owned(), annotations: Vec::new() };
        self.blocks.extend(block(&kind, &Ext::default()));
    }

    fn written(&self, role: &str) -> Vec<u8> {
        let mut out = Vec::with_capacity(128);
        let mut object = ObjectWriter::open(&mut out);
        object.string("role", role);
        match (&self.text, self.blocks.as_slice()) {
            (_, []) => {}
            (Some(text), [_]) => object.string("content", text),
            (_, blocks) => {
                write_array(object.key("content"), blocks, |out, block| out.extend_from_slice(block));
            }
        }
        if !self.calls.is_empty() {
            write_array(object.key("tool_calls"), &self.calls, |out, call| out.extend_from_slice(call));
        }
        object.close();
        out
    }
}

/// A message of this dialect, as it stood.
fn own_message(message: &Message) -> Vec<u8> {
    let mut out = Vec::with_capacity(256);
    let mut object = ObjectWriter::open(&mut out);
    object.string(
        "role",
        match message.role {
            Role::System | Role::Developer => "system",
            Role::User => "user",
            Role::Assistant => "assistant",
            Role::Tool => "tool",
        },
    );
    let mut content = &message.content;
    if let [Part { kind: PartKind::ToolResult { call_id, content: told, .. }, .. }] = content.parts.as_slice()
    {
        object.string("tool_call_id", call_id);
        content = told;
    }
    write_own(&mut object, content, &message.ext);
    object.close();
    out
}

/// The members of a message of this dialect.
pub(super) fn write_own(object: &mut ObjectWriter<'_>, content: &Content, ext: &Ext) {
    let is_plan = |part: &&Part| part.ext.get(PLAN).is_some();
    let is_call = |part: &&Part| match &part.kind {
        PartKind::ToolCall { .. } => true,
        PartKind::Opaque { name, .. } => name == "tool_calls",
        _ => false,
    };
    let blocks: Vec<&Part> = content.parts.iter().filter(|part| !is_plan(part) && !is_call(part)).collect();
    match content.form {
        Form::Absent if blocks.is_empty() => {}
        Form::Null if blocks.is_empty() => object.raw("content", "null"),
        Form::Bare => {
            let text = blocks.first().map_or("", |part| match &part.kind {
                PartKind::Text { text, .. } => text.as_str(),
                _ => "",
            });
            object.string("content", text);
        }
        Form::Absent | Form::Null | Form::List => {
            let written: Vec<Vec<u8>> = blocks.iter().filter_map(|part| own_block(part)).collect();
            write_array(object.key("content"), &written, |out, block| out.extend_from_slice(block));
        }
    }
    let plan = content.parts.iter().find(is_plan).map(|part| match &part.kind {
        PartKind::Reasoning { text, .. } => text.as_str(),
        _ => "",
    });
    if let Some(plan) = plan.or_else(|| ext.get(PLAN).filter(|raw| !raw.is_null()).map(|_| "")) {
        object.string(PLAN, plan);
    } else if ext.get(PLAN).is_some() {
        object.raw(PLAN, "null");
    }
    let calls: Vec<Vec<u8>> = content.parts.iter().filter(is_call).map(own_call).collect();
    if !calls.is_empty() {
        write_array(object.key("tool_calls"), &calls, |out, call| out.extend_from_slice(call));
    }
    write_citations(object, &blocks, ext);
    for (name, value) in ext.0.iter().filter(|(name, _)| !matches!(name.as_str(), PLAN | "citations")) {
        if !crate::ir::is_hint(name) {
            object.raw(name, value.text());
        }
    }
}

fn own_block(part: &Part) -> Option<Vec<u8>> {
    match (&part.kind, part.ext.get("document")) {
        (PartKind::Text { text, .. }, Some(rest)) => Some(document(text, rest, &part.ext)),
        (kind, _) => block(kind, &part.ext),
    }
}

fn own_call(part: &Part) -> Vec<u8> {
    match &part.kind {
        PartKind::ToolCall { id, name, arguments } => call((id, name, arguments), &part.ext),
        PartKind::Opaque { value, .. } => value.text().as_bytes().to_vec(),
        _ => Vec::new(),
    }
}

/// The citations of all texts, and those that are for none.
fn write_citations(object: &mut ObjectWriter<'_>, blocks: &[&Part], ext: &Ext) {
    let mut list: Vec<&str> = Vec::new();
    for part in blocks {
        if let PartKind::Text { annotations, .. } = &part.kind {
            list.extend(annotations.iter().map(Raw::text));
        }
    }
    let kept = ext.get("citations");
    match kept {
        Some(kept) if kept.is_null() && list.is_empty() => return object.raw("citations", "null"),
        Some(kept) => {
            let left = array(kept.value()).unwrap_or_default();
            list.extend(left.into_iter().map(serde_json::value::RawValue::get));
        }
        None if list.is_empty() => return,
        None => {}
    }
    write_array(object.key("citations"), list, |out, raw| out.extend_from_slice(raw.as_bytes()));
}

/// What is left of an object, when another member's name says where it stood.
pub(super) fn write_kept(object: &mut ObjectWriter<'_>, ext: &Ext, nested: &str) {
    for (name, value) in ext.0.iter().filter(|(name, _)| name != nested && !crate::ir::is_hint(name)) {
        object.raw(name, value.text());
    }
}

/// Writes what was left of a nested object.
pub(super) fn write_rest(object: &mut ObjectWriter<'_>, ext: &Ext, nested: &str) {
    kept::write(object, ext.get(nested));
}

//! Messages: meaning to contents.

use std::collections::HashMap;

use super::{
    notes::noted,
    part_encode::{PartWriter, Signatures},
};
use crate::{
    Dialect, Losses, crossing,
    ir::{Form, Message, PartKind, Request, Role},
    json::{ObjectWriter, write_array},
};

/// A request's instructions and its contents, written.
pub(super) struct Contents {
    pub(super) system: Option<Vec<u8>>,
    pub(super) list: Vec<Vec<u8>>,
}

/// Writes all messages. Those of another dialect that stand side by side in one role become one content, since all
/// results of a round of calls must stand in one (<https://ai.google.dev/gemini-api/docs/function-calling>).
pub(super) fn contents(request: &Request, third: bool, losses: &mut Losses) -> Contents {
    let own = request.dialect == Dialect::Gemini;
    let mut names = HashMap::new();
    for part in request.messages.iter().flat_map(|message| &message.content.parts) {
        if let PartKind::ToolCall { id, name, .. } = &part.kind {
            names.insert(id.as_str(), name.as_str());
        }
    }
    let mut writer = PartWriter { source: request.dialect, own, third, names, losses };
    let mut system: Vec<Vec<u8>> = Vec::new();
    let mut turns: Vec<(&'static str, Vec<Vec<u8>>)> = Vec::new();
    let mut written = Contents { system: None, list: Vec::new() };
    for (at, message) in request.messages.iter().enumerate() {
        let path = format!("messages[{at}]");
        let mut parts = Vec::with_capacity(message.content.parts.len());
        writer.parts(&mut parts, message, &path);
        let apart = matches!(message.role, Role::System | Role::Developer);
        if own {
            let content = own_content(message, &parts);
            if apart {
                written.system = Some(content);
            } else {
                written.list.push(content);
            }
            continue;
        }
        writer.losses.ext(&path, &crossing::unread(message));
        if apart {
            if !turns.is_empty() {
                writer.losses.approximated(path, "instructions within a conversation move to its beginning");
            }
            system.append(&mut parts);
            continue;
        }
        let role = if message.role == Role::Assistant { "model" } else { "user" };
        match turns.last_mut().filter(|(last, _)| *last == role) {
            Some((_, known)) => known.append(&mut parts),
            None => turns.push((role, parts)),
        }
    }
    if !own {
        written.system = (!system.is_empty()).then(|| content(None, &system));
        // A turn of which nothing is left says nothing, and is refused there.
        let turns = turns.iter().filter(|(_, parts)| !parts.is_empty());
        written.list = turns.map(|(role, parts)| content(Some(role), parts)).collect();
    }
    written
}

/// What signatures the parts of a message have, by their bearers.
pub(super) fn signatures<'m>(message: &'m Message, source: Dialect) -> Signatures<'m> {
    let sealed = message.content.parts.iter().filter_map(|part| match &part.kind {
        PartKind::RedactedReasoning { bytes } => crate::seal::unmark(bytes, source, Dialect::Gemini),
        PartKind::Text { .. }
        | PartKind::Refusal { .. }
        | PartKind::Reasoning { .. }
        | PartKind::Image(_)
        | PartKind::File(_)
        | PartKind::Audio(_)
        | PartKind::ToolCall { .. }
        | PartKind::ToolResult { .. }
        | PartKind::Opaque { .. } => None,
    });
    Signatures::new(sealed)
}

fn own_content(message: &Message, parts: &[Vec<u8>]) -> Vec<u8> {
    let mut out = Vec::with_capacity(256);
    let mut object = ObjectWriter::open(&mut out);
    let usual = match message.role {
        Role::System | Role::Developer => "",
        Role::User => "user",
        Role::Assistant => "model",
        Role::Tool => "function",
    };
    let role = noted(&message.ext, "role").unwrap_or(usual);
    if !role.is_empty() {
        object.string("role", role);
    }
    if message.content.form != Form::Absent {
        super::notes::write_list(&mut object, &message.ext, "parts", parts);
    }
    super::notes::write_rest(&mut object, &message.ext, &[]);
    object.close();
    out
}

fn content(role: Option<&str>, parts: &[Vec<u8>]) -> Vec<u8> {
    let mut out = Vec::with_capacity(256);
    let mut object = ObjectWriter::open(&mut out);
    if let Some(role) = role {
        object.string("role", role);
    }
    write_array(object.key("parts"), parts, |out, part| out.extend_from_slice(part));
    object.close();
    out
}

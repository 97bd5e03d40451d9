//! Parts of a request's messages: meaning to bytes.

use std::{borrow::Cow, collections::HashMap};

use base64::{Engine, prelude::BASE64_STANDARD};

use super::{
    content_encode::signatures,
    notes::{NONE, nested, noted, spelled, write_rest},
    signature::{Bearer, STAND_IN, bearer},
    words::{is_made, media_type_of},
};
use crate::{
    Dialect, Losses, crossing,
    ir::{Content, Ext, Media, Message, Part, PartKind, Role, Source},
    json::{ObjectWriter, Raw, write_array},
    seal,
};

/// What parts are written with.
pub(super) struct PartWriter<'a> {
    pub(super) source: Dialect,
    pub(super) own: bool,
    /// The model is of those that think by level: they want a signature on each call, and take pictures in a tool's
    /// result.
    pub(super) third: bool,
    /// The names of calls by their ids.
    pub(super) names: HashMap<&'a str, &'a str>,
    pub(super) losses: &'a mut Losses,
}

/// Signatures that wait for the parts they stand on.
pub(super) struct Signatures<'m>(Vec<(Bearer, &'m str)>);

impl<'m> Signatures<'m> {
    pub(super) fn new(sealed: impl Iterator<Item = &'m str>) -> Signatures<'m> {
        Signatures(sealed.filter_map(bearer).collect())
    }

    pub(super) fn take(&mut self, wanted: Bearer) -> Option<&'m str> {
        let at = self.0.iter().position(|(bearer, _)| *bearer == wanted)?;
        Some(self.0.remove(at).1)
    }
}

/// One part of the list that is being written.
struct Placed<'p> {
    part: &'p Part,
    path: String,
    signature: Option<Cow<'p, str>>,
}

impl PartWriter<'_> {
    /// Writes the parts of one message.
    pub(super) fn parts(&mut self, out: &mut Vec<Vec<u8>>, message: &Message, path: &str) {
        let mut sealed = signatures(message, self.source);
        let (mut texts, mut calls) = (0, 0);
        let mut beside: Vec<Vec<u8>> = Vec::new();
        for (at, part) in message.content.parts.iter().enumerate() {
            let path = format!("{path}.content[{at}]");
            let signature = match &part.kind {
                PartKind::Text { text, .. } if !text.is_empty() => {
                    texts += 1;
                    sealed.take(Bearer::Text(texts - 1)).map(Cow::Borrowed)
                }
                PartKind::ToolCall { .. } => {
                    calls += 1;
                    let own = sealed.take(Bearer::Call(calls - 1)).map(Cow::Borrowed);
                    // Only the first of calls that are made side by side has one.
                    let wanted = self.third && !self.own && calls == 1 && message.role == Role::Assistant;
                    own.or_else(|| wanted.then_some(Cow::Borrowed(STAND_IN)))
                }
                PartKind::RedactedReasoning { bytes } => {
                    let mine = seal::unmark(bytes, self.source, Dialect::Gemini).and_then(bearer);
                    match mine {
                        Some((Bearer::Nothing, signature)) => out.push(empty(signature)),
                        Some(_) => {}
                        None => self.losses.dropped(path, "another provider's sealed reasoning is refused"),
                    }
                    continue;
                }
                _ => None,
            };
            let mut piece = Vec::with_capacity(128);
            if self.part(&mut piece, &Placed { part, path, signature }, &mut beside) {
                out.push(piece);
            }
        }
        out.append(&mut beside);
    }

    /// Writes one part; false when there is nothing for it here. What a tool's result cannot hold goes `beside`.
    fn part(&mut self, out: &mut Vec<u8>, placed: &Placed<'_>, beside: &mut Vec<Vec<u8>>) -> bool {
        let Placed { part, path, signature } = placed;
        let ext = if self.own { &part.ext } else { &NONE };
        let mut signature = signature.clone();
        let mut nesting = "";
        let mut object = ObjectWriter::open(out);
        match &part.kind {
            PartKind::Opaque { value, .. } if self.own => {
                out.clear();
                out.extend_from_slice(value.text().as_bytes());
                return true;
            }
            PartKind::Opaque { name, .. } => {
                return self.lost(&format!("{path}.{name}"), "no such part there");
            }
            PartKind::Text { text, .. } if text.trim().is_empty() && !self.own => return false,
            PartKind::Text { text, .. } => object.string("text", text),
            PartKind::Refusal { text } => {
                self.losses.approximated(path.clone(), "a refusal becomes plain text");
                object.string("text", text);
            }
            PartKind::Reasoning { text, signature: given } => {
                let given = given.as_deref();
                let mine = given.and_then(|seal| seal::unmark(seal, self.source, Dialect::Gemini));
                if mine.is_none() && (!self.own || given.is_some()) {
                    return self.lost(path, "another provider's reasoning is refused");
                }
                object.string("text", text);
                object.boolean("thought", true);
                signature = mine.map(Cow::Borrowed);
            }
            PartKind::Image(media) | PartKind::File(media) | PartKind::Audio(media) => {
                let Some(name) = self.media(&mut object, media, part, path) else {
                    return self.lost(path, "a file that only its own provider has");
                };
                nesting = name;
            }
            PartKind::ToolCall { id, name, arguments } => {
                nesting = "functionCall";
                self.call(&mut object, (id, name, arguments), ext, path);
            }
            PartKind::ToolResult { .. } => {
                nesting = "functionResponse";
                self.result(&mut object, part, path, beside);
            }
            PartKind::RedactedReasoning { .. } => return false,
        }
        if let Some(signature) = signature {
            object.string(&spelled(ext, "thoughtSignature"), &signature);
        }
        self.rest(&mut object, placed, nesting);
        object.close();
        true
    }

    /// What is said about a part.
    fn rest(&mut self, object: &mut ObjectWriter<'_>, placed: &Placed<'_>, nesting: &str) {
        let Placed { part, path, .. } = placed;
        if self.own {
            if let Some(said) = noted(&part.ext, "thought") {
                object.raw("thought", said);
            }
            return write_rest(object, &part.ext, &[nesting]);
        }
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

    fn lost(&mut self, path: &str, why: &'static str) -> bool {
        self.losses.dropped(path, why);
        false
    }

    /// Writes bytes in place or an address; returns the member that holds them.
    fn media(
        &mut self,
        object: &mut ObjectWriter<'_>,
        media: &Media,
        part: &Part,
        path: &str,
    ) -> Option<&'static str> {
        let Media { source, media_type, name } = media;
        let usual = match part.kind {
            PartKind::Image(_) => "image/png",
            PartKind::Audio(_) => "audio/wav",
            _ => "application/pdf",
        };
        let (member, key, value, guessed) = match source {
            Source::Base64(bytes) => ("inlineData", "data", Cow::Borrowed(bytes.as_str()), usual),
            Source::Text(text) => {
                ("inlineData", "data", Cow::Owned(BASE64_STANDARD.encode(text)), "text/plain")
            }
            Source::Url(url) => {
                ("fileData", "fileUri", Cow::Borrowed(url.as_str()), media_type_of(url).unwrap_or(usual))
            }
            Source::FileId(id) if self.own => ("fileData", "fileUri", Cow::Borrowed(id.as_str()), usual),
            Source::FileId(_) => return None,
        };
        let ext = if self.own { nested(&part.ext, member) } else { Ext::default() };
        let spelling = if self.own { &part.ext } else { &NONE };
        let mut inner = ObjectWriter::open(object.key(&spelled(spelling, member)));
        match media_type {
            Some(media_type) => inner.string(&spelled(&ext, "mimeType"), media_type),
            None if !self.own => inner.string("mimeType", guessed),
            None => {}
        }
        inner.string(&spelled(&ext, key), &value);
        match name {
            Some(name) if self.own => inner.string(&spelled(&ext, "displayName"), name),
            // AI Studio's API refuses a name; Vertex' takes one.
            Some(_) => self.losses.dropped(format!("{path}.name"), "files have no names there"),
            None => {}
        }
        write_rest(&mut inner, &ext, &[]);
        inner.close();
        Some(member)
    }

    fn call(
        &mut self,
        object: &mut ObjectWriter<'_>,
        (id, name, arguments): (&str, &str, &str),
        ext: &Ext,
        path: &str,
    ) {
        let inside = nested(ext, "functionCall");
        let mut call = ObjectWriter::open(object.key(&spelled(ext, "functionCall")));
        let absent = is_made(id) || (self.own && id.is_empty());
        if !absent {
            call.string("id", id);
        }
        call.string("name", name);
        if noted(ext, "args").is_none() {
            let place = || format!("{path}.arguments");
            call.raw("args", &crossing::arguments(arguments, self.own, place, self.losses));
        }
        write_rest(&mut call, &inside, &[]);
        call.close();
    }

    fn result(&mut self, object: &mut ObjectWriter<'_>, part: &Part, path: &str, beside: &mut Vec<Vec<u8>>) {
        let PartKind::ToolResult { call_id, content, is_error } = &part.kind else { return };
        let ext = if self.own { &part.ext } else { &NONE };
        let inside = nested(ext, "functionResponse");
        let mut result = ObjectWriter::open(object.key(&spelled(ext, "functionResponse")));
        let absent = is_made(call_id) || (self.own && call_id.is_empty());
        if !absent {
            result.string("id", call_id);
        }
        let known = noted(ext, "name").or_else(|| self.names.get(call_id.as_str()).copied());
        if known.is_none() {
            self.losses.approximated(path, "the result of no known call has no function's name");
        }
        let name = known.unwrap_or(call_id);
        if !(self.own && name.is_empty()) {
            result.string("name", name);
        }
        let is_text = |part: &&Part| matches!(part.kind, PartKind::Text { .. });
        let texts: Vec<&Part> = content.parts.iter().filter(is_text).collect();
        if !(self.own && texts.is_empty()) {
            result.raw("response", &response(&texts, *is_error == Some(true)));
        }
        let mut files = Vec::new();
        self.files(&mut files, content, path);
        if self.own || self.third {
            if !files.is_empty() {
                write_array(result.key("parts"), &files, |out, file| out.extend_from_slice(file));
            }
        } else if !files.is_empty() {
            let why = "the model takes only text from a tool: the rest follows beside the result";
            self.losses.approximated(format!("{path}.content"), why);
            beside.append(&mut files);
        }
        write_rest(&mut result, &inside, &[]);
        result.close();
    }

    /// The pictures and files of a result.
    fn files(&mut self, files: &mut Vec<Vec<u8>>, content: &Content, path: &str) {
        let others = content.parts.iter().enumerate();
        for (at, part) in others.filter(|(_, part)| !matches!(part.kind, PartKind::Text { .. })) {
            let mut piece = Vec::with_capacity(128);
            let placed = Placed { part, path: format!("{path}.content[{at}]"), signature: None };
            if self.part(&mut piece, &placed, &mut Vec::new()) {
                files.push(piece);
            }
        }
    }
}

/// A result as an object: one that a tool answered as it is, a text under `output`, and under `error` where it failed
/// (<https://ai.google.dev/api/caching#FunctionResponse>).
fn response(texts: &[&Part], failed: bool) -> String {
    let text = |part: &&Part| match &part.kind {
        PartKind::Text { text, .. } => text.clone(),
        _ => String::new(),
    };
    let text: String = texts.iter().map(text).collect();
    let object = Raw::parse(&text).is_some_and(|raw| raw.text().starts_with('{'));
    match (failed, object) {
        (true, _) => format!("{{\"error\":{}}}", Raw::string(&text).text()),
        (false, true) => text,
        (false, false) => format!("{{\"output\":{}}}", Raw::string(&text).text()),
    }
}

/// An empty text that a signature stands on.
fn empty(signature: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(signature.len() + 40);
    let mut object = ObjectWriter::open(&mut out);
    object.string("text", "");
    object.string("thoughtSignature", signature);
    object.close();
    out
}

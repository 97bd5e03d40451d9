//! Parts of a request's messages: bytes to meaning.

use serde_json::value::RawValue;

use super::{
    notes::note,
    part::{self, Kind, PartIn},
    signature::{Bearer, Came, borne, came},
    words::is_picture,
};
use crate::{
    Fault,
    ir::{Content, Form, Media, Part, PartKind, Source},
    json::{Object, Raw},
};

/// Reads the parts of one message; `calls` counts those of a conversation that have no id.
pub(super) fn parts(list: Vec<&RawValue>, ids: &mut Ids) -> Result<Vec<Part>, Fault> {
    let mut parts = Vec::with_capacity(list.len());
    let (mut texts, mut calls) = (0, 0);
    for (at, raw) in list.into_iter().enumerate() {
        let part = part::read(raw).map_err(|fault| fault.under(&format!("parts[{at}]")))?;
        let bearer = match &part.kind {
            Kind::Text(text) if text.is_empty() => Bearer::Nothing,
            Kind::Text(_) => Bearer::Text(texts),
            Kind::Call { .. } => Bearer::Call(calls),
            _ => Bearer::Nothing,
        };
        texts += usize::from(matches!(bearer, Bearer::Text(_)));
        calls += usize::from(matches!(bearer, Bearer::Call(_)));
        one(part, raw, bearer, ids, &mut parts).map_err(|fault| fault.under(&format!("parts[{at}]")))?;
    }
    Ok(parts)
}

/// Ids for calls that came without one, and for the results that belong to them.
#[derive(Default)]
pub(super) struct Ids {
    made: usize,
    /// Calls without a result yet: id and name.
    open: Vec<(String, String)>,
}

impl Ids {
    fn of_call(&mut self, id: &str, name: &str) -> String {
        let id = if id.is_empty() {
            self.made += 1;
            super::words::made_id("", self.made)
        } else {
            id.to_owned()
        };
        self.open.push((id.clone(), name.to_owned()));
        id
    }

    fn of_result(&mut self, id: &str, name: &str) -> String {
        if !id.is_empty() {
            self.open.retain(|(known, _)| known != id);
            return id.to_owned();
        }
        match self.open.iter().position(|(_, known)| known == name) {
            Some(at) => self.open.remove(at).0,
            None => {
                self.made += 1;
                super::words::made_id("", self.made)
            }
        }
    }
}

fn one(
    part: PartIn<'_>,
    raw: &RawValue,
    bearer: Bearer,
    ids: &mut Ids,
    parts: &mut Vec<Part>,
) -> Result<(), Fault> {
    let PartIn { kind, signature, ext } = part;
    let mut ext = ext;
    let mut signed = signature.map(came);
    if !matches!(kind, Kind::Thought(_)) {
        match signed.take() {
            Some(Came::Own(signature)) => {
                parts.push(Part::new(PartKind::RedactedReasoning { bytes: borne(bearer, &signature) }));
                // A signature may stand on an empty text, which then says nothing of its own.
                if matches!((&kind, bearer), (Kind::Text(_), Bearer::Nothing)) && ext.is_empty() {
                    return Ok(());
                }
            }
            Some(Came::Redacted(bytes)) => {
                parts.push(Part::new(PartKind::RedactedReasoning { bytes }));
                return Ok(());
            }
            Some(Came::Seal(seal)) => parts.push(Part::new(PartKind::RedactedReasoning { bytes: seal })),
            None => {}
        }
    }
    let kind = match kind {
        Kind::Text(text) => PartKind::Text { text: text.into_owned(), annotations: Vec::new() },
        Kind::Thought(text) => {
            let signature = match signed {
                Some(Came::Own(signature)) => Some(signature.into_owned()),
                Some(Came::Seal(seal)) => Some(seal),
                Some(Came::Redacted(bytes)) => {
                    parts.push(Part::new(PartKind::RedactedReasoning { bytes }));
                    return Ok(());
                }
                None => None,
            };
            PartKind::Reasoning { text: text.into_owned(), signature }
        }
        Kind::Call { id, name, args, .. } => {
            if args.is_none() {
                note(&mut ext, "args", "none");
            }
            let arguments = args.map_or("{}", RawValue::get).to_owned();
            PartKind::ToolCall { id: ids.of_call(&id, &name), name: name.into_owned(), arguments }
        }
        Kind::Result { id, name, response, parts: more } => {
            let call_id = ids.of_result(&id, &name);
            note(&mut ext, "name", &name);
            result(call_id, response, more)?
        }
        Kind::Inline { media_type, data, name } => {
            let source = Source::Base64(data.into_owned());
            media(source, media_type.map(Into::into), name.map(Into::into))
        }
        Kind::File { media_type, uri, name } => {
            // Files that were uploaded have an address that only their provider opens.
            let uploaded = uri.contains("generativelanguage.googleapis.com/") || uri.starts_with("files/");
            let source =
                if uploaded { Source::FileId(uri.into_owned()) } else { Source::Url(uri.into_owned()) };
            media(source, media_type.map(Into::into), name.map(Into::into))
        }
        Kind::Opaque(name) => {
            parts.push(Part::new(PartKind::Opaque { name, value: Raw::new(raw) }));
            return Ok(());
        }
    };
    parts.push(Part { kind, cache: None, ext });
    Ok(())
}

fn media(source: Source, media_type: Option<String>, name: Option<String>) -> PartKind {
    let kind = media_type.as_deref().unwrap_or_default();
    let (picture, sound) = (is_picture(kind), kind.starts_with("audio/"));
    let media = Media { source, media_type, name };
    if picture {
        PartKind::Image(media)
    } else if sound {
        PartKind::Audio(media)
    } else {
        PartKind::File(media)
    }
}

/// What a tool answered. `output` and `error` are the usual names for a text
/// (<https://ai.google.dev/api/caching#FunctionResponse>); anything else is told as the JSON that it is.
fn result(call_id: String, response: Option<&RawValue>, more: Vec<&RawValue>) -> Result<PartKind, Fault> {
    let single = |name: &str| -> Option<String> {
        let mut object = Object::from_raw(response?).ok()?;
        let text = object.string(name).ok()??.into_owned();
        let ambiguous = Raw::parse(&text).is_some_and(|raw| raw.text().starts_with('{'));
        (object.is_empty() && !ambiguous).then_some(text)
    };
    let (text, is_error) = match (single("output"), single("error")) {
        (Some(text), _) => (Some(text), None),
        (None, Some(text)) => (Some(text), Some(true)),
        (None, None) => (response.map(|raw| raw.get().to_owned()), None),
    };
    let mut parts: Vec<Part> = text.into_iter().map(Part::text).collect();
    for (at, raw) in more.into_iter().enumerate() {
        let part = part::read(raw).map_err(|fault| fault.under(&format!("parts[{at}]")))?;
        one(part, raw, Bearer::Nothing, &mut Ids::default(), &mut parts)?;
    }
    let form = if parts.len() == 1 { Form::Bare } else { Form::List };
    Ok(PartKind::ToolResult { call_id, content: Content { parts, form }, is_error })
}

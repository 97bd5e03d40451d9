//! One part of a content as it stands in requests and in answers (<https://ai.google.dev/api/caching#Part>).

use std::borrow::Cow;

use serde_json::value::RawValue;

use super::notes::{Members, nest};
use crate::{Fault, ir::Ext};

/// A part, taken apart.
pub(super) struct PartIn<'a> {
    pub(super) kind: Kind<'a>,
    /// Its thought signature, unless the part is kept whole.
    pub(super) signature: Option<Cow<'a, str>>,
    pub(super) ext: Ext,
}

/// What a part is.
pub(super) enum Kind<'a> {
    Text(Cow<'a, str>),
    Thought(Cow<'a, str>),
    Call {
        id: Cow<'a, str>,
        name: Cow<'a, str>,
        /// The arguments, where they came whole.
        args: Option<&'a RawValue>,
        /// Pieces of them, and whether more will come.
        partial: Vec<&'a RawValue>,
        continues: bool,
    },
    Result {
        id: Cow<'a, str>,
        name: Cow<'a, str>,
        response: Option<&'a RawValue>,
        /// Pictures and files beside the response.
        parts: Vec<&'a RawValue>,
    },
    Inline {
        media_type: Option<Cow<'a, str>>,
        data: Cow<'a, str>,
        name: Option<Cow<'a, str>>,
    },
    File {
        media_type: Option<Cow<'a, str>>,
        uri: Cow<'a, str>,
        name: Option<Cow<'a, str>>,
    },
    /// One that is kept whole, by the name of what it holds.
    Opaque(String),
}

/// What a part may hold, beside what is said about it.
const HELD: [&str; 9] = [
    "text",
    "inlineData",
    "fileData",
    "functionCall",
    "functionResponse",
    "executableCode",
    "codeExecutionResult",
    "toolCall",
    "toolResponse",
];

/// Takes a part apart. One that holds nothing that is understood, or several things, is kept whole.
pub(super) fn read(raw: &RawValue) -> Result<PartIn<'_>, Fault> {
    let mut members = Members::from_raw(raw)?;
    let held: Vec<&str> = HELD.into_iter().filter(|name| members.peek(name).is_some()).collect();
    let thought = members.peek("thought").is_some_and(|raw| raw.get() == "true");
    let name = match held.as_slice() {
        ["text"] if thought => "thought",
        [name @ ("text" | "inlineData" | "fileData" | "functionCall" | "functionResponse")] if !thought => {
            name
        }
        [name, ..] => return Ok(whole((*name).to_owned())),
        [] => {
            let first =
                members.names().find(|name| !name.starts_with("thought")).unwrap_or("part").to_owned();
            return Ok(whole(first));
        }
    };
    let signature = members.string("thoughtSignature")?;
    if members.boolean("thought")? == Some(false) {
        members.note("thought", "false");
    }
    let mut inner = Ext::default();
    let kind = match name {
        "thought" => Kind::Thought(members.string("text")?.unwrap_or_default()),
        "text" => Kind::Text(members.string("text")?.unwrap_or_default()),
        _ => {
            let Some(mut object) = members.object(name)? else { return Ok(whole(name.to_owned())) };
            let kind = held_object(name, &mut object).map_err(|fault| fault.under(name))?;
            inner = object.rest();
            kind
        }
    };
    let mut ext = members.rest();
    nest(&mut ext, name, inner);
    Ok(PartIn { kind, signature, ext })
}

fn held_object<'a>(name: &str, object: &mut Members<'a>) -> Result<Kind<'a>, Fault> {
    Ok(match name {
        "inlineData" => Kind::Inline {
            media_type: object.string("mimeType")?,
            data: object.string("data")?.unwrap_or_default(),
            name: object.string("displayName")?,
        },
        "fileData" => Kind::File {
            media_type: object.string("mimeType")?,
            uri: object.string("fileUri")?.unwrap_or_default(),
            name: object.string("displayName")?,
        },
        "functionCall" => Kind::Call {
            id: object.string("id")?.unwrap_or_default(),
            name: object.string("name")?.unwrap_or_default(),
            args: object.take("args"),
            partial: object.list("partialArgs")?.unwrap_or_default(),
            continues: object.boolean("willContinue")?.unwrap_or_default(),
        },
        _ => Kind::Result {
            id: object.string("id")?.unwrap_or_default(),
            name: object.string("name")?.unwrap_or_default(),
            response: object.take("response"),
            parts: object.list("parts")?.unwrap_or_default(),
        },
    })
}

fn whole<'a>(name: String) -> PartIn<'a> {
    PartIn { kind: Kind::Opaque(name), signature: None, ext: Ext::default() }
}

//! JSON objects whose members keep their order and, where we do not look inside, their text.
//!
//! `serde_json`'s raw values break inside flattened, untagged and internally tagged types, so dialects
//! take objects apart by hand, with these.

use std::{borrow::Cow, collections::HashSet, fmt};

use serde::{
    Deserialize, Deserializer,
    de::{self, MapAccess, SeqAccess, Visitor},
};
use serde_json::value::RawValue;

use crate::Fault;

/// A JSON value as text.
#[derive(Clone)]
pub struct Raw(Box<RawValue>);

/// A JSON value as text, borrowed or made.
#[derive(Clone)]
pub enum RawRef<'a> {
    Borrowed(&'a RawValue),
    Owned(Raw),
}

/// The members of one object, in order, not looked into.
#[derive(Debug)]
pub struct Object<'a> {
    members: Vec<(Cow<'a, str>, &'a RawValue)>,
}

impl Raw {
    /// Takes text that is one JSON value.
    pub fn parse(text: &str) -> Option<Raw> {
        serde_json::from_str::<&RawValue>(text).ok().map(|raw| Raw(raw.to_owned()))
    }

    pub fn new(raw: &RawValue) -> Raw {
        Raw(raw.to_owned())
    }

    /// A JSON string with this text.
    pub fn string(text: &str) -> Raw {
        let raw = serde_json::value::to_raw_value(text).expect("a string always serialises");
        Raw(raw)
    }

    pub fn text(&self) -> &str {
        self.0.get()
    }

    pub fn value(&self) -> &RawValue {
        &self.0
    }

    pub fn is_null(&self) -> bool {
        self.text() == "null"
    }
}

impl RawRef<'_> {
    pub fn text(&self) -> &str {
        match self {
            RawRef::Borrowed(raw) => raw.get(),
            RawRef::Owned(raw) => raw.text(),
        }
    }

    pub fn to_owned(&self) -> Raw {
        match self {
            RawRef::Borrowed(raw) => Raw::new(raw),
            RawRef::Owned(raw) => raw.clone(),
        }
    }
}

impl PartialEq for Raw {
    fn eq(&self, other: &Raw) -> bool {
        self.text() == other.text()
    }
}

impl fmt::Debug for Raw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}

impl fmt::Debug for RawRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}

impl<'a> Object<'a> {
    /// Takes an object apart. A member that stands twice is refused: which of the two counts differs
    /// between servers, and a check made on one must not be undone by the other.
    pub fn parse(text: &'a [u8]) -> Result<Object<'a>, Fault> {
        serde_json::from_slice(text)
            .map_err(|error| Fault::invalid("", format!("the body is no valid JSON object: {error}")))
    }

    pub fn from_raw(raw: &'a RawValue) -> Result<Object<'a>, Fault> {
        serde_json::from_str(raw.get())
            .map_err(|_| Fault::invalid("", format!("must be an object, not {}", kind_of(raw))))
    }

    /// The member, taken out; `null` counts as a member.
    pub fn take(&mut self, name: &str) -> Option<&'a RawValue> {
        let at = self.members.iter().position(|(known, _)| known == name)?;
        Some(self.members.remove(at).1)
    }

    /// The member, unless it is absent or `null`; a `null` stays among the rest.
    pub fn take_some(&mut self, name: &str) -> Option<&'a RawValue> {
        let at = self.members.iter().position(|(known, value)| known == name && value.get() != "null")?;
        Some(self.members.remove(at).1)
    }

    pub fn peek(&self, name: &str) -> Option<&'a RawValue> {
        self.members.iter().find(|(known, _)| known == name).map(|(_, value)| *value)
    }

    pub fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    pub fn iter(&self) -> impl Iterator<Item = (&str, &'a RawValue)> {
        self.members.iter().map(|(name, value)| (name.as_ref(), *value))
    }

    /// What nobody took.
    pub fn rest(self) -> crate::ir::Ext {
        let owned = |(name, value): (Cow<'a, str>, &'a RawValue)| (name.into_owned(), Raw::new(value));
        crate::ir::Ext(self.members.into_iter().map(owned).collect())
    }

    /// What nobody took, borrowed.
    pub fn rest_ref(self) -> crate::ir::ExtRef<'a> {
        crate::ir::ExtRef(
            self.members.into_iter().map(|(name, value)| (name, RawRef::Borrowed(value))).collect(),
        )
    }

    /// A string member.
    pub fn string(&mut self, name: &str) -> Result<Option<Cow<'a, str>>, Fault> {
        self.take_some(name).map(|raw| string(raw).map_err(|fault| fault.under(name))).transpose()
    }

    pub fn boolean(&mut self, name: &str) -> Result<Option<bool>, Fault> {
        self.typed(name, "true or false")
    }

    pub fn unsigned(&mut self, name: &str) -> Result<Option<u64>, Fault> {
        self.typed(name, "a whole number that is not negative")
    }

    pub fn signed(&mut self, name: &str) -> Result<Option<i64>, Fault> {
        self.typed(name, "a whole number")
    }

    pub fn number(&mut self, name: &str) -> Result<Option<f64>, Fault> {
        self.typed(name, "a number")
    }

    /// An array member's elements.
    pub fn array(&mut self, name: &str) -> Result<Option<Vec<&'a RawValue>>, Fault> {
        self.take_some(name).map(|raw| array(raw).map_err(|fault| fault.under(name))).transpose()
    }

    /// An object member.
    pub fn object(&mut self, name: &str) -> Result<Option<Object<'a>>, Fault> {
        self.take_some(name).map(|raw| Object::from_raw(raw).map_err(|fault| fault.under(name))).transpose()
    }

    fn typed<T: Deserialize<'a>>(&mut self, name: &str, wanted: &str) -> Result<Option<T>, Fault> {
        let Some(raw) = self.take_some(name) else { return Ok(None) };
        serde_json::from_str(raw.get())
            .map(Some)
            .map_err(|_| Fault::invalid(name, format!("must be {wanted}, not {}", kind_of(raw))))
    }
}

/// A JSON string's text, borrowed where it has no escapes.
pub fn string(raw: &RawValue) -> Result<Cow<'_, str>, Fault> {
    let text: Text<'_> = serde_json::from_str(raw.get())
        .map_err(|_| Fault::invalid("", format!("must be a string, not {}", kind_of(raw))))?;
    Ok(text.0)
}

/// A JSON array's elements.
pub fn array(raw: &RawValue) -> Result<Vec<&RawValue>, Fault> {
    serde_json::from_str(raw.get())
        .map_err(|_| Fault::invalid("", format!("must be an array, not {}", kind_of(raw))))
}

/// What a value is, for error messages.
pub fn kind_of(raw: &RawValue) -> &'static str {
    match raw.get().as_bytes().first() {
        Some(b'{') => "an object",
        Some(b'[') => "an array",
        Some(b'"') => "a string",
        Some(b't' | b'f') => "a boolean",
        Some(b'n') => "null",
        Some(_) | None => "a number",
    }
}

/// Writes one object member by member into a buffer.
pub struct ObjectWriter<'b> {
    out: &'b mut Vec<u8>,
    first: bool,
}

impl<'b> ObjectWriter<'b> {
    pub fn open(out: &'b mut Vec<u8>) -> ObjectWriter<'b> {
        out.push(b'{');
        ObjectWriter { out, first: true }
    }

    /// Writes the name and hands out the buffer for the value.
    pub fn key(&mut self, name: &str) -> &mut Vec<u8> {
        if !self.first {
            self.out.push(b',');
        }
        self.first = false;
        write_string(self.out, name);
        self.out.push(b':');
        self.out
    }

    pub fn string(&mut self, name: &str, value: &str) {
        write_string(self.key(name), value);
    }

    pub fn raw(&mut self, name: &str, value: &str) {
        self.key(name).extend_from_slice(value.as_bytes());
    }

    pub fn boolean(&mut self, name: &str, value: bool) {
        self.raw(name, if value { "true" } else { "false" });
    }

    /// Any number (or other value) that serialises.
    pub fn value<T: serde::Serialize>(&mut self, name: &str, value: &T) {
        serde_json::to_writer(self.key(name), value).expect("numbers and strings always serialise");
    }

    pub fn ext(&mut self, ext: &crate::ir::Ext) {
        for (name, value) in ext.0.iter().filter(|(name, _)| !crate::ir::is_hint(name)) {
            self.raw(name, value.text());
        }
    }

    pub fn close(self) {
        self.out.push(b'}');
    }
}

/// Puts JSON that may have come over several lines on one: between its tokens a space says as much, and within a
/// string no line ends.
pub(crate) fn one_line(json: &mut [u8]) {
    let mut from = 0;
    while let Some(at) = json.get(from..).and_then(|rest| memchr::memchr2(b'\n', b'\r', rest)) {
        if let Some(byte) = json.get_mut(from + at) {
            *byte = b' ';
        }
        from += at + 1;
    }
}

/// Writes a JSON string.
pub fn write_string(out: &mut Vec<u8>, text: &str) {
    serde_json::to_writer(out, text).expect("a string always serialises into memory");
}

/// Writes an array, an element at a time.
pub fn write_array<T>(
    out: &mut Vec<u8>,
    items: impl IntoIterator<Item = T>,
    mut write: impl FnMut(&mut Vec<u8>, T),
) {
    out.push(b'[');
    for (at, item) in items.into_iter().enumerate() {
        if at > 0 {
            out.push(b',');
        }
        write(out, item);
    }
    out.push(b']');
}

/// A string that is borrowed where the JSON text has no escapes in it.
pub(crate) struct Text<'a>(pub(crate) Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Text<'a>, D::Error> {
        struct TextVisitor;
        impl<'de> Visitor<'de> for TextVisitor {
            type Value = Text<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }

            fn visit_borrowed_str<E: de::Error>(self, text: &'de str) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Borrowed(text)))
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Owned(text.to_owned())))
            }
        }
        deserializer.deserialize_str(TextVisitor)
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Object<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Object<'a>, D::Error> {
        struct ObjectVisitor;
        impl<'de> Visitor<'de> for ObjectVisitor {
            type Value = Object<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Object<'de>, A::Error> {
                let mut members: Vec<(Cow<'de, str>, &'de RawValue)> = Vec::with_capacity(8);
                let mut listed: HashSet<String> = HashSet::new();
                while let Some((name, value)) = map.next_entry::<Text<'de>, &'de RawValue>()? {
                    if is_listed(&members, &mut listed, &name.0) {
                        return Err(de::Error::custom(format!("member \"{}\" stands twice", name.0)));
                    }
                    members.push((name.0, value));
                }
                Ok(Object { members })
            }

            fn visit_seq<A: SeqAccess<'de>>(self, _: A) -> Result<Object<'de>, A::Error> {
                Err(de::Error::custom("expected an object, not an array"))
            }
        }
        deserializer.deserialize_map(ObjectVisitor)
    }
}

/// Whether a name came before. Few names are compared one by one; many are looked up.
fn is_listed(members: &[(Cow<'_, str>, &RawValue)], listed: &mut HashSet<String>, name: &str) -> bool {
    if members.len() < 32 {
        return members.iter().any(|(known, _)| known == name);
    }
    if listed.is_empty() {
        listed.extend(members.iter().map(|(known, _)| known.clone().into_owned()));
    }
    !listed.insert(name.to_owned())
}

//! The few members of a request that routing needs, found without looking into the rest.

use std::{borrow::Cow, fmt, ops::Range};

use bytes::{Bytes, BytesMut};
use serde::{
    Deserialize, Deserializer,
    de::{self, IgnoredAny, MapAccess, Visitor},
};
use serde_json::value::RawValue;

use crate::{Fault, json};

/// The longest name of a model.
const MODEL_BYTES_MAX: usize = 512;

/// Where the members stand that are read, or may be replaced, in a request that goes on as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Envelope {
    pub model: String,
    pub stream: bool,
    /// Whether the caller asked for usage on the stream.
    pub include_usage: bool,
    /// What the caller says to the gateway and not to a provider: the member `tollgate`, as written.
    pub gateway: Option<String>,
    /// The most tokens to generate, where the caller says so.
    pub output_tokens_max: Option<u64>,
    /// The caller's name of the end user, where its dialect has a member of its own for it.
    pub user: Option<String>,
    /// Where the name stands; nowhere when the address names the model.
    model_at: Option<Range<usize>>,
    options: Options,
}

/// Where `stream_options` stands.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Options {
    Absent,
    Null(Range<usize>),
    /// An object: where it opens, whether it has members, and where its `include_usage` is.
    Object {
        open: usize,
        empty: bool,
        include_usage: Option<Range<usize>>,
    },
}

/// What to replace in a body that otherwise goes on byte for byte.
#[derive(Clone, Copy, Debug, Default)]
pub struct Edits<'a> {
    /// The model's name at the provider.
    pub model: Option<&'a str>,
    /// Ask for usage on the stream.
    pub include_usage: bool,
}

/// The members as they stand.
#[derive(Default)]
struct Members<'a> {
    model: Option<&'a RawValue>,
    stream: Option<&'a RawValue>,
    stream_options: Option<&'a RawValue>,
    tollgate: Option<&'a RawValue>,
    /// Who the end user is: `user`, `safety_identifier`, and Anthropic's `metadata.user_id`.
    user: Option<&'a RawValue>,
    safety_identifier: Option<&'a RawValue>,
    metadata: Option<&'a RawValue>,
    /// The most tokens to generate: `max_tokens`, `max_completion_tokens` and `max_output_tokens`.
    most: [Option<&'a RawValue>; 3],
    /// Where some dialects have that: `generationConfig`, `inferenceConfig` and `options`.
    settings: [Option<&'a RawValue>; SETTINGS.len()],
    /// Whether there is any member at all.
    any: bool,
}

/// Gemini's, Bedrock's and Ollama's names among their settings, in the order of [`Members::settings`].
const SETTINGS: [&str; 3] = ["maxOutputTokens", "maxTokens", "num_predict"];

impl Envelope {
    /// Reads a body that must be one JSON object. A member that is read here and stands twice is refused:
    /// a check made on one must not be undone by the other.
    /// A request that does not say whether to stream does so when `streams_unasked`.
    pub fn parse(body: &[u8], streams_unasked: bool) -> Result<Envelope, Fault> {
        let members: Members<'_> = serde_json::from_slice(body).map_err(|error| {
            Fault::invalid("", format!("the body is no valid JSON request: {error}")).code("invalid_json")
        })?;
        let model =
            members.model.ok_or_else(|| Fault::invalid("model", "is missing; name the model to ask"))?;
        let name = json::string(model).map_err(|fault| fault.under("model"))?;
        check_name(&name)?;
        let (options, include_usage) = match members.stream_options {
            None => (Options::Absent, false),
            Some(raw) => read_options(body, raw).map_err(|fault| fault.under("stream_options"))?,
        };
        let said = members.stream.filter(|raw| raw.get() != "null");
        let stream = match said {
            Some(_) => boolean(said).map_err(|fault| fault.under("stream"))?,
            None => streams_unasked,
        };
        Ok(Envelope {
            model: name.into_owned(),
            stream,
            include_usage,
            gateway: members.tollgate.map(|raw| raw.get().to_owned()),
            output_tokens_max: members.output_tokens_max(),
            user: members.user(),
            model_at: Some(place(body, model)),
            options,
        })
    }

    /// Reads a body that must be one JSON object, of a request whose address names the model and says whether to
    /// stream.
    pub fn addressed(body: &[u8], model: String, stream: bool) -> Result<Envelope, Fault> {
        check_name(&model)?;
        let members: Members<'_> = serde_json::from_slice(body).map_err(|error| {
            Fault::invalid("", format!("the body is no valid JSON request: {error}")).code("invalid_json")
        })?;
        let gateway = members.tollgate.map(|raw| raw.get().to_owned());
        Ok(Envelope {
            model,
            stream,
            include_usage: true,
            gateway,
            output_tokens_max: members.output_tokens_max(),
            user: members.user(),
            model_at: None,
            options: Options::Absent,
        })
    }

    /// The body without the member `tollgate`, and what was read of it; the same where it has none.
    pub fn without_gateway(self, body: Bytes) -> Result<(Bytes, Envelope), Fault> {
        if self.gateway.is_none() {
            return Ok((body, self));
        }
        let members: Members<'_> = serde_json::from_slice(&body).map_err(|error| {
            Fault::invalid("", format!("the body is no valid JSON request: {error}")).code("invalid_json")
        })?;
        let Some(member) = members.tollgate.and_then(|raw| member_around(&body, place(&body, raw))) else {
            return Ok((body, self));
        };
        let rest = splice(&body, &[(member, Cow::Borrowed(""))]);
        let read = if self.model_at.is_some() {
            Envelope::parse(&rest, self.stream)?
        } else {
            Envelope { gateway: None, ..self.clone() }
        };
        Ok((rest, Envelope { gateway: self.gateway, stream: self.stream, ..read }))
    }

    /// Reads a body that must be one JSON object, of a request whose address names the model where its dialect has
    /// the body name it: the body is made to name the one of the address.
    pub fn deployed(body: &Bytes, model: &str) -> Result<(Bytes, Envelope), Fault> {
        let members: Members<'_> = serde_json::from_slice(body).map_err(|error| {
            Fault::invalid("", format!("the body is no valid JSON request: {error}")).code("invalid_json")
        })?;
        let name = json::Raw::string(model);
        let (at, text) = match members.model {
            Some(named) => (place(body, named), name.text().to_owned()),
            None => {
                let open = opening(body);
                let comma = if members.any { "," } else { "" };
                (open..open, format!("\"model\":{}{comma}", name.text()))
            }
        };
        let body = splice(body, &[(at, Cow::Owned(text))]);
        let envelope = Envelope::parse(&body, false)?;
        Ok((body, envelope))
    }

    /// The body with the edits made and every other byte as it was.
    pub fn edit(&self, body: &Bytes, edits: &Edits<'_>) -> Bytes {
        let mut pieces: Vec<(Range<usize>, Cow<'_, str>)> = Vec::with_capacity(2);
        if let (Some(model), Some(at)) = (edits.model.filter(|&model| model != self.model), &self.model_at) {
            let text = json::Raw::string(model).text().to_owned();
            pieces.push((at.clone(), Cow::Owned(text)));
        }
        if edits.include_usage && !self.include_usage {
            pieces.push(self.ask_for_usage(body));
        }
        if pieces.is_empty() {
            return body.clone();
        }
        pieces.sort_by_key(|(range, _)| range.start);
        splice(body, &pieces)
    }

    fn ask_for_usage(&self, body: &[u8]) -> (Range<usize>, Cow<'static, str>) {
        let (range, text) = match &self.options {
            Options::Absent => {
                // There is a model, so there is a member behind this one.
                let open = opening(body);
                (open..open, "\"stream_options\":{\"include_usage\":true},")
            }
            Options::Null(range) => (range.clone(), "{\"include_usage\":true}"),
            Options::Object { include_usage: Some(range), .. } => (range.clone(), "true"),
            Options::Object { open, empty: true, .. } => (*open..*open, "\"include_usage\":true"),
            Options::Object { open, empty: false, .. } => (*open..*open, "\"include_usage\":true,"),
        };
        (range, Cow::Borrowed(text))
    }
}

impl Members<'_> {
    /// What is no number is the provider's to refuse.
    fn output_tokens_max(&self) -> Option<u64> {
        let number = |raw: &RawValue| raw.get().parse::<u64>().ok();
        let plain = self.most.iter().flatten().filter_map(|raw| number(raw)).max();
        let settings = || {
            let mut pairs = self.settings.iter().zip(SETTINGS);
            pairs.find_map(|(raw, name)| json::Object::from_raw((*raw)?).ok()?.peek(name).and_then(number))
        };
        plain.or_else(settings)
    }

    fn user(&self) -> Option<String> {
        let told =
            |raw: &RawValue| json::string(raw).ok().filter(|text| !text.is_empty()).map(Cow::into_owned);
        let named = self.user.or(self.safety_identifier).and_then(told);
        named.or_else(|| json::Object::from_raw(self.metadata?).ok()?.peek("user_id").and_then(told))
    }
}

/// The place behind the brace that opens the body.
fn opening(body: &[u8]) -> usize {
    body.iter().position(|&byte| byte == b'{').map_or(0, |at| at + 1)
}

/// The body with some ranges, in order, replaced.
pub(crate) fn splice(body: &[u8], pieces: &[(Range<usize>, Cow<'_, str>)]) -> Bytes {
    let added: usize = pieces.iter().map(|(_, text)| text.len()).sum();
    let mut edited = BytesMut::with_capacity(body.len() + added);
    let mut from = 0;
    for (range, text) in pieces {
        edited.extend_from_slice(body.get(from..range.start).unwrap_or_default());
        edited.extend_from_slice(text.as_bytes());
        from = range.end;
    }
    edited.extend_from_slice(body.get(from..).unwrap_or_default());
    edited.freeze()
}

fn check_name(name: &str) -> Result<(), Fault> {
    if name.is_empty() || name.len() > MODEL_BYTES_MAX {
        let message = format!("must have between 1 and {MODEL_BYTES_MAX} bytes");
        return Err(Fault::invalid("model", message));
    }
    Ok(())
}

fn read_options(body: &[u8], raw: &RawValue) -> Result<(Options, bool), Fault> {
    let at = place(body, raw);
    if raw.get() == "null" {
        return Ok((Options::Null(at), false));
    }
    let object = json::Object::from_raw(raw)?;
    let member = object.peek("include_usage");
    let asked = boolean(member).map_err(|fault| fault.under("include_usage"))?;
    let include_usage = member.map(|raw| place(body, raw));
    Ok((Options::Object { open: at.start + 1, empty: object.is_empty(), include_usage }, asked))
}

/// A member that is true or false; absent and `null` are false.
fn boolean(raw: Option<&RawValue>) -> Result<bool, Fault> {
    match raw.map(RawValue::get) {
        None | Some("null" | "false") => Ok(false),
        Some("true") => Ok(true),
        Some(_) => Err(Fault::invalid("", "must be true or false")),
    }
}

/// Where a value stands in the body that it borrows from.
pub(crate) fn place(body: &[u8], raw: &RawValue) -> Range<usize> {
    let start = (raw.get().as_ptr() as usize).saturating_sub(body.as_ptr() as usize);
    start..start + raw.get().len()
}

/// Where the whole member stands whose value stands there, with the comma that parts it from another.
fn member_around(body: &[u8], value: Range<usize>) -> Option<Range<usize>> {
    let blank = |byte: &u8| byte.is_ascii_whitespace();
    let before = body.get(..value.start)?;
    let colon = before.iter().rposition(|byte| *byte == b':')?;
    let close = before.get(..colon)?.iter().rposition(|byte| *byte == b'"')?;
    // A name that means this one holds no quotation mark, however it is spelt.
    let open = before.get(..close)?.iter().rposition(|byte| *byte == b'"')?;
    let behind = body.get(value.end..)?;
    let next = behind.iter().position(|byte| !blank(byte))?;
    if behind.get(next) == Some(&b',') {
        return Some(open..value.end + next + 1);
    }
    let last = before.get(..open)?.iter().rposition(|byte| !blank(byte))?;
    let start = if before.get(last) == Some(&b',') { last } else { open };
    Some(start..value.end)
}

impl<'de: 'a, 'a> Deserialize<'de> for Members<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Members<'a>, D::Error> {
        struct MembersVisitor;
        impl<'de> Visitor<'de> for MembersVisitor {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members<'de>, A::Error> {
                let mut members = Members::default();
                while let Some(name) = map.next_key::<json::Text<'de>>()? {
                    members.any = true;
                    let member = match name.0.as_ref() {
                        "model" => &mut members.model,
                        "stream" => &mut members.stream,
                        "stream_options" => &mut members.stream_options,
                        "tollgate" => &mut members.tollgate,
                        "user" => &mut members.user,
                        "safety_identifier" => &mut members.safety_identifier,
                        "metadata" => &mut members.metadata,
                        "max_tokens" => &mut members.most[0],
                        "max_completion_tokens" => &mut members.most[1],
                        "max_output_tokens" => &mut members.most[2],
                        "generationConfig" => &mut members.settings[0],
                        "inferenceConfig" => &mut members.settings[1],
                        "options" => &mut members.settings[2],
                        _ => {
                            map.next_value::<IgnoredAny>()?;
                            continue;
                        }
                    };
                    if member.replace(map.next_value()?).is_some() {
                        return Err(de::Error::custom(format!("member \"{}\" stands twice", name.0)));
                    }
                }
                Ok(members)
            }
        }
        deserializer.deserialize_map(MembersVisitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edited(body: &str, model: &str, include_usage: bool) -> String {
        let body = Bytes::copy_from_slice(body.as_bytes());
        let edits = Edits { model: Some(model), include_usage };
        let bytes = Envelope::parse(&body, false).unwrap().edit(&body, &edits);
        String::from_utf8(bytes.to_vec()).unwrap()
    }

    #[test]
    fn edits_touch_nothing_else() {
        let check = |body: &str, expected: &str| assert_eq!(edited(body, "b\"", true), expected);
        check(
            r#" { "model" : "a", "n": 1.0e0 }"#,
            r#" {"stream_options":{"include_usage":true}, "model" : "b\"", "n": 1.0e0 }"#,
        );
        check(
            r#"{"stream_options":null,"model":"a"}"#,
            r#"{"stream_options":{"include_usage":true},"model":"b\""}"#,
        );
        check(
            r#"{"model":"a","stream_options":{}}"#,
            r#"{"model":"b\"","stream_options":{"include_usage":true}}"#,
        );
        check(
            r#"{"model":"a","stream_options":{"x":1}}"#,
            r#"{"model":"b\"","stream_options":{"include_usage":true,"x":1}}"#,
        );
        check(
            r#"{"model":"a","stream_options":{"include_usage":false}}"#,
            r#"{"model":"b\"","stream_options":{"include_usage":true}}"#,
        );
        check(
            r#"{"model":"a","stream_options":{"include_usage":true}}"#,
            r#"{"model":"b\"","stream_options":{"include_usage":true}}"#,
        );
        assert_eq!(edited(r#"{"model":"a"}"#, "a", false), r#"{"model":"a"}"#);
    }

    #[test]
    fn the_address_may_name_the_model() {
        let check = |body: &str, expected: &str| {
            let (body, envelope) = Envelope::deployed(&Bytes::copy_from_slice(body.as_bytes()), "b").unwrap();
            assert_eq!(body, expected);
            assert_eq!(envelope, Envelope::parse(&body, false).unwrap());
        };
        check("{}", r#"{"model":"b"}"#);
        check(r#"{"n":1}"#, r#"{"model":"b","n":1}"#);
        check(r#"{"n":1,"model":"c"}"#, r#"{"n":1,"model":"b"}"#);
    }

    #[test]
    fn what_is_said_to_the_gateway_stays_here() {
        let check = |body: &str, expected: &str| {
            let body = Bytes::copy_from_slice(body.as_bytes());
            let envelope = Envelope::parse(&body, false).unwrap();
            let (rest, envelope) = envelope.without_gateway(body).unwrap();
            assert_eq!(rest, expected);
            assert_eq!(envelope.gateway.as_deref(), Some(r#"{"a":1}"#));
            let edits = Edits { model: Some("n"), include_usage: false };
            assert_eq!(envelope.edit(&rest, &edits), expected.replace("\"m\"", "\"n\""));
        };
        check(r#"{"tollgate": {"a":1} , "model":"m"}"#, r#"{ "model":"m"}"#);
        check(r#"{"model":"m", "tollgate":{"a":1}}"#, r#"{"model":"m"}"#);
        check(r#"{"model":"m","t\u006fllgate" : {"a":1},"n":[1,2]}"#, r#"{"model":"m","n":[1,2]}"#);
        let addressed = |body: &'static [u8]| {
            let envelope = Envelope::addressed(body, "m".to_owned(), true).unwrap();
            envelope.without_gateway(Bytes::from_static(body)).unwrap()
        };
        let (rest, envelope) = addressed(br#"{"tollgate":{}}"#);
        assert_eq!((rest.as_ref(), envelope.gateway.as_deref()), (&b"{}"[..], Some("{}")));
        assert!(envelope.stream && addressed(b"{\"contents\":[]}").1.gateway.is_none());
    }

    #[test]
    fn the_most_tokens_and_the_user_are_found_in_every_dialect() {
        let check = |members: &str, most: Option<u64>, user: Option<&str>| {
            let envelope =
                Envelope::parse(format!(r#"{{"model":"m",{members}}}"#).as_bytes(), false).unwrap();
            assert_eq!((envelope.output_tokens_max, envelope.user.as_deref()), (most, user), "{members}");
        };
        check(r#""max_tokens":7,"user":"ada""#, Some(7), Some("ada"));
        check(r#""max_tokens":7,"max_completion_tokens":9,"user":"""#, Some(9), None);
        check(r#""max_output_tokens":3,"user":5"#, Some(3), None);
        check(r#""metadata":{"user_id":"u-1"}"#, None, Some("u-1"));
        check(r#""safety_identifier":"s","metadata":null"#, None, Some("s"));
        check(r#""generationConfig":{"maxOutputTokens":11}"#, Some(11), None);
        check(r#""inferenceConfig":{"maxTokens":12}"#, Some(12), None);
        check(r#""options":{"num_predict":-1}"#, None, None);
        check(r#""max_tokens":"many","options":[]"#, None, None);
    }

    #[test]
    fn bad_bodies_are_refused_by_name() {
        let check = |body: &str, param: Option<&str>| {
            let fault = Envelope::parse(body.as_bytes(), false).unwrap_err();
            assert_eq!(fault.param.as_deref(), param, "{body}: {fault}");
        };
        check("", None);
        check("[]", None);
        check(r#"{"model":"a""#, None);
        check(r#"{"model":"a","model":"b"}"#, None);
        check(r#"{"model":"a","mod\u0065l":"b"}"#, None);
        check(r#"{"messages":[]}"#, Some("model"));
        check(r#"{"model":7}"#, Some("model"));
        check(r#"{"model":"a","stream":"yes"}"#, Some("stream"));
        check(r#"{"model":"a","stream_options":3}"#, Some("stream_options"));
        check(r#"{"model":"a","stream_options":{"include_usage":1}}"#, Some("stream_options.include_usage"));
    }
}

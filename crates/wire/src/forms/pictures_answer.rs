//! Answers of a chat that made pictures, in OpenAI's form
//! (<https://platform.openai.com/docs/api-reference/images/object>).

use std::borrow::Cow;

use base64::{Engine, prelude::BASE64_STANDARD};
use serde::Deserialize;

use crate::{
    Fault, Frame, Kind, Losses, Origin, Reader, Sink, Wanted,
    ir::{Choice, Event, ExtRef, PartDelta, PartKind, PartStart, Place, Response, StopReason, Usage},
    json::{ObjectWriter, write_array},
};

/// The most characters that a fault repeats of what a model said.
const SAID_MAX: usize = 300;

/// A part of an answer of Gemini's (<https://ai.google.dev/api/caching#Blob>).
#[derive(Deserialize)]
struct InlinePart<'a> {
    #[serde(borrow, rename = "inlineData", alias = "inline_data")]
    inline: Inline<'a>,
}

#[derive(Deserialize)]
struct Inline<'a> {
    #[serde(borrow, default, rename = "mimeType", alias = "mime_type")]
    media_type: Cow<'a, str>,
    #[serde(borrow)]
    data: Cow<'a, str>,
}

/// One of the pictures of a message of OpenRouter's.
#[derive(Deserialize)]
struct ListedPicture<'a> {
    #[serde(borrow)]
    image_url: Address<'a>,
}

#[derive(Deserialize)]
struct Address<'a> {
    #[serde(borrow)]
    url: Cow<'a, str>,
}

/// A picture as either tells it.
struct Picture<'a> {
    /// As `image/png`; empty where it is not told.
    media_type: Cow<'a, str>,
    bytes: Bytes<'a>,
}

enum Bytes<'a> {
    Base64(Cow<'a, str>),
    Url(Cow<'a, str>),
}

/// Writes a whole answer.
pub(super) fn write(out: &mut Vec<u8>, response: &Response, wanted: &Wanted, _: &mut Losses) {
    let mut told: Vec<(Picture<'_>, String)> = Vec::new();
    for choice in &response.choices {
        let text = text(choice);
        told.extend(pictures(choice).into_iter().map(|picture| (picture, text.clone())));
    }
    let mut object = ObjectWriter::open(out);
    object.value("created", &response.created_s.unwrap_or(wanted.now_s));
    write_array(object.key("data"), &told, |out, (picture, text)| {
        let mut object = ObjectWriter::open(out);
        match &picture.bytes {
            Bytes::Base64(data) => object.string("b64_json", data),
            Bytes::Url(url) => object.string("url", url),
        }
        if !text.is_empty() {
            object.string("revised_prompt", text);
        }
        object.close();
    });
    if let Some((picture, _)) = told.first() {
        if let Some(format) = picture.media_type.strip_prefix("image/") {
            object.string("output_format", format);
        }
        if let Some((width, height)) = picture.size() {
            object.string("size", &format!("{width}x{height}"));
        }
    }
    if let Some(usage) = &response.usage {
        write_usage(object.key("usage"), usage);
    }
    object.close();
}

fn write_usage(out: &mut Vec<u8>, usage: &Usage) {
    let mut object = ObjectWriter::open(out);
    object.value("input_tokens", &usage.input_tokens);
    object.value("output_tokens", &usage.output_tokens);
    object.value("total_tokens", &usage.total_tokens());
    let classes = [
        ("input_tokens_details", usage.input_tokens, usage.input_image_tokens),
        ("output_tokens_details", usage.output_tokens, usage.output_image_tokens),
    ];
    for (name, all, of_pictures) in classes {
        let mut details = ObjectWriter::open(object.key(name));
        details.value("image_tokens", &of_pictures);
        details.value("text_tokens", &all.saturating_sub(of_pictures));
        details.close();
    }
    object.close();
}

/// What the model said beside the pictures.
fn text(choice: &Choice) -> String {
    let mut said = String::new();
    for part in &choice.parts {
        if let PartKind::Text { text, .. } = &part.kind {
            said.push_str(text);
        }
    }
    said.trim().to_owned()
}

fn pictures(choice: &Choice) -> Vec<Picture<'_>> {
    let mut found = Vec::new();
    for part in &choice.parts {
        if let PartKind::Opaque { name, value } = &part.kind
            && name == "inlineData"
        {
            found.extend(inline(value.text()));
        }
    }
    let listed = choice.message_ext.get("images");
    found.extend(listed.map(|raw| self::listed(raw.text())).unwrap_or_default());
    found
}

fn inline(raw: &str) -> Option<Picture<'_>> {
    let Inline { media_type, data } = serde_json::from_str::<InlinePart<'_>>(raw).ok()?.inline;
    // Sound comes so too.
    let is_picture = media_type.is_empty() || media_type.starts_with("image/");
    is_picture.then_some(Picture { media_type, bytes: Bytes::Base64(data) })
}

fn listed(raw: &str) -> Vec<Picture<'_>> {
    let listed: Vec<ListedPicture<'_>> = serde_json::from_str(raw).unwrap_or_default();
    listed.into_iter().map(|listed| at(listed.image_url.url)).collect()
}

/// A picture at an address, which may hold it.
fn at(url: Cow<'_, str>) -> Picture<'_> {
    let in_place = url.strip_prefix("data:").and_then(|rest| rest.split_once(";base64,"));
    match in_place.map(|(kind, data)| (kind.to_owned(), data.to_owned())) {
        Some((kind, data)) => {
            Picture { media_type: Cow::Owned(kind), bytes: Bytes::Base64(Cow::Owned(data)) }
        }
        None => Picture { media_type: Cow::Borrowed(""), bytes: Bytes::Url(url) },
    }
}

impl Picture<'_> {
    /// Width and height in pixels, from the head of a PNG (<https://www.w3.org/TR/png-3/#11IHDR>).
    fn size(&self) -> Option<(u32, u32)> {
        let Bytes::Base64(data) = &self.bytes else { return None };
        let head = BASE64_STANDARD.decode(data.get(..32)?).ok()?;
        let number = |at: usize| head.get(at..at + 4)?.try_into().ok().map(u32::from_be_bytes);
        if head.starts_with(b"\x89PNG\r\n\x1a\n") { Some((number(16)?, number(20)?)) } else { None }
    }
}

/// Counts the pictures of an answer; one without any is a fault that repeats what was said in their place.
pub(super) struct PictureReader {
    inner: Box<dyn Reader>,
}

/// What was seen of an answer.
#[derive(Default)]
struct Seen {
    images: u64,
    said: String,
    stopped: Option<(StopReason, String)>,
}

impl PictureReader {
    pub(super) fn new(inner: Box<dyn Reader>) -> PictureReader {
        PictureReader { inner }
    }
}

impl Reader for PictureReader {
    fn frame(&mut self, frame: &Frame<'_>, sink: &mut Sink<'_>) {
        let mut seen = Seen::default();
        self.inner.frame(frame, &mut |event| {
            seen.event(&event);
            if matches!(event, Event::End) {
                let usage = Usage { images: seen.images, ..Usage::default() };
                let counted = Event::Usage { usage, ext: ExtRef::default() };
                if seen.images == 0 {
                    return sink(Event::Fault(seen.fault()));
                }
                sink(counted);
            }
            sink(event);
        });
    }

    fn complete(&self) -> bool {
        self.inner.complete()
    }
}

impl Seen {
    fn event(&mut self, event: &Event<'_>) {
        match event {
            Event::PartStart { part: PartStart::Opaque { name, value }, .. } if name == "inlineData" => {
                self.images += u64::from(inline(value.text()).is_some());
            }
            Event::Ext { place: Place::Message(_), ext } => {
                let images = ext.0.iter().find(|(name, _)| name == "images");
                let count = images.map_or(0, |(_, raw)| listed(raw.text()).len());
                self.images += u64::try_from(count).unwrap_or_default();
            }
            Event::PartDelta { delta: PartDelta::Text(text), .. } => {
                let left = SAID_MAX.saturating_sub(self.said.chars().count());
                self.said.extend(text.chars().take(left));
            }
            Event::ChoiceStop { stop, .. } => self.stopped = Some((stop.reason, stop.raw.clone())),
            Event::Start { .. }
            | Event::PartStart { .. }
            | Event::PartDelta { .. }
            | Event::PartStop { .. }
            | Event::Logprobs { .. }
            | Event::Usage { .. }
            | Event::Ext { .. }
            | Event::Fault(_)
            | Event::End => {}
        }
    }

    fn fault(&self) -> Fault {
        let mut message = "the model made no picture".to_owned();
        if let Some((_, raw)) = self.stopped.as_ref().filter(|(reason, _)| *reason != StopReason::End) {
            message.push_str(&format!(" ({raw})"));
        }
        match self.said.trim() {
            "" => message.push_str("; word the prompt otherwise, or name a model that makes pictures"),
            said => message.push_str(&format!("; it said: {said}")),
        }
        let fault = Fault::new(Origin::Upstream, Kind::ContentPolicy, message);
        fault.code("no_picture")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_are_found_as_either_tells_them() {
        let check = |picture: &Picture<'_>, kind: &str, expected: &str| {
            let (Bytes::Base64(found) | Bytes::Url(found)) = &picture.bytes;
            assert_eq!((&*picture.media_type, &**found), (kind, expected));
        };
        let part = r#"{"inlineData":{"mimeType":"image/webp","data":"AA=="}}"#;
        check(&inline(part).unwrap(), "image/webp", "AA==");
        assert!(inline(r#"{"inlineData":{"mimeType":"audio/wav","data":"AA=="}}"#).is_none());
        let images = r#"[{"type":"image_url","image_url":{"url":"data:image/png;base64,AA=="}},
                         {"image_url":{"url":"https://pictures.example/1"}}]"#;
        let found = listed(images);
        assert_eq!(found.len(), 2);
        check(&found[0], "image/png", "AA==");
        check(&found[1], "", "https://pictures.example/1");
        assert!(listed("7").is_empty());
    }

    #[test]
    fn an_answer_without_a_picture_is_a_fault() {
        let check = |answer: &str, expected: Result<u64, &str>| {
            let mut reader = PictureReader::new(crate::Dialect::OpenaiChat.reader(crate::Mode::Whole));
            let (mut images, mut told) = (0, None);
            reader.frame(&Frame { event: None, data: answer.as_bytes().into() }, &mut |event| match event {
                Event::Usage { usage, .. } => images = usage.images.max(images),
                Event::Fault(fault) => told = Some(fault),
                _ => {}
            });
            match expected {
                Ok(count) => assert_eq!((images, told), (count, None), "{answer}"),
                Err(text) => assert!(told.is_some_and(|fault| fault.message.contains(text)), "{answer}"),
            }
        };
        let answer = |message: &str, reason: &str| {
            format!(
                r#"{{"id":"i","object":"chat.completion","created":1,"model":"m","choices":[{{"index":0,
                "message":{{"role":"assistant",{message}}},"finish_reason":"{reason}"}}]}}"#
            )
        };
        let picture = r#""content":"","images":[{"image_url":{"url":"data:image/png;base64,AA=="}}]"#;
        check(&answer(picture, "stop"), Ok(1));
        check(&answer(r#""content":"No cats.""#, "stop"), Err("it said: No cats."));
        check(&answer(r#""content":null"#, "content_filter"), Err("(content_filter)"));
    }
}

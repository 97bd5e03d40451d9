//! Requests for pictures to models that make them in a chat.
//!
//! OpenAI's form (<https://platform.openai.com/docs/api-reference/images/create>) becomes a chat whose answer may hold
//! pictures: Gemini's (<https://ai.google.dev/gemini-api/docs/image-generation>), or one of chat completions as
//! OpenRouter has it (<https://openrouter.ai/docs/features/multimodal/image-generation>).

use std::borrow::Cow;

use serde_json::json;

use super::{
    pictures_answer,
    prompt::{Prompting, SpokenPrompt},
};
use crate::{Dialect, Fault, FaultBody, Losses, Mode, json::Object, whole::WholeWriter};

/// Pictures of OpenAI's form.
pub(super) const PICTURES: Prompting = Prompting {
    decode_request,
    watcher: |_| Dialect::OpenaiChat.watcher(Mode::Whole),
    writer: |wanted, _| Box::new(WholeWriter::new(wanted, pictures_answer::write, encode_fault)),
};

fn encode_fault(fault: &Fault, id: &str) -> FaultBody {
    Dialect::OpenaiChat.encode_fault(fault, id)
}

/// The shapes that can be asked for, as width to height.
const RATIOS: [(u32, u32); 10] =
    [(1, 1), (2, 3), (3, 2), (3, 4), (4, 3), (4, 5), (5, 4), (9, 16), (16, 9), (21, 9)];

/// The farthest that a shape may be from the one that was wanted, as a share of it.
const RATIO_DISTANCE_MAX: f64 = 0.03;

/// What a chat cannot say, with the values that say nothing.
const UNSAID: [(&str, &[&str]); 6] = [
    ("quality", &["auto"]),
    ("style", &[]),
    ("background", &["auto"]),
    ("moderation", &["auto"]),
    ("output_compression", &[]),
    ("output_format", &[]),
];

fn decode_request(body: &[u8]) -> Result<SpokenPrompt, Fault> {
    let mut object = Object::parse(body)?;
    let model = object.string("model")?.unwrap_or_default().into_owned();
    let prompt = match object.string("prompt")? {
        Some(prompt) if !prompt.is_empty() => prompt.into_owned(),
        Some(_) | None => {
            return Err(Fault::invalid("prompt", "is missing; say what the picture shall show"));
        }
    };
    refuse_unable(&mut object)?;
    let mut losses = Losses::default();
    let ratio = match object.string("size")? {
        Some(size) if size != "auto" => shape(&size, &mut losses)?,
        Some(_) | None => None,
    };
    match object.string("response_format")?.as_deref() {
        None | Some("b64_json") => {}
        Some("url") => losses.approximated("response_format", "pictures come in the answer, as b64_json"),
        Some(_) => return Err(Fault::invalid("response_format", "must be \"b64_json\" or \"url\"")),
    }
    for (name, silent) in UNSAID {
        let said = object.take(name).map(|raw| raw.get().trim_matches('"'));
        if said.is_some_and(|said| said != "null" && !silent.contains(&said)) {
            losses.dropped(name, "a model that makes pictures in a chat decides it");
        }
    }
    let user = object.string("user")?.map(Cow::into_owned);
    for (name, _) in object.iter().filter(|(_, value)| value.get() != "null") {
        losses.dropped(name, "a chat that makes pictures has no such field");
    }
    let mut chat = json!({
        "model": model,
        "messages": [{"role": "user", "content": prompt}],
        "modalities": ["image", "text"],
    });
    // Models of Gemini's that are asked for pictures alone are few; all of them give both.
    let mut config = json!({"responseModalities": ["TEXT", "IMAGE"]});
    if let (Some(ratio), Some(chat), Some(config)) = (ratio, chat.as_object_mut(), config.as_object_mut()) {
        chat.insert("image_config".to_owned(), json!({"aspect_ratio": ratio}));
        config.insert("imageConfig".to_owned(), json!({"aspectRatio": ratio}));
    }
    let contents = json!([{"role": "user", "parts": [{"text": prompt}]}]);
    let gemini = json!({"contents": contents, "generationConfig": config});
    let mut chat = Dialect::OpenaiChat.decode_request(chat.to_string().as_bytes())?;
    chat.user = user;
    let mut gemini = Dialect::Gemini.decode_request(gemini.to_string().as_bytes())?;
    gemini.model = model;
    Ok(SpokenPrompt {
        chat,
        pictures: Some(Box::new(gemini)),
        losses,
        paths: vec![("messages[0].content".to_owned(), "prompt"), ("messages[0]".to_owned(), "prompt")],
        echo: String::new(),
        unasked: None,
    })
}

/// Refuses what would get another answer than the one that is waited for.
fn refuse_unable(object: &mut Object<'_>) -> Result<(), Fault> {
    match object.unsigned("n")? {
        None | Some(1) => {}
        Some(_) => {
            let message =
                "must be 1: this model makes its pictures in a chat, one a request; send a request for each";
            return Err(Fault::invalid("n", message));
        }
    }
    if object.boolean("stream")? == Some(true) {
        let message = "must be false: this model makes its pictures in a chat, and they come whole";
        return Err(Fault::invalid("stream", message));
    }
    if object.unsigned("partial_images")?.is_some_and(|count| count > 0) {
        let message = "must be 0: this model makes its pictures in a chat, and they come whole";
        return Err(Fault::invalid("partial_images", message));
    }
    Ok(())
}

/// The ratio that is nearest to a size in pixels, where one is near. Only the smallest square is met to the pixel.
fn shape(size: &str, losses: &mut Losses) -> Result<Option<String>, Fault> {
    let sides = size.split_once('x').and_then(|(width, height)| {
        let side = |text: &str| text.parse::<u32>().ok().filter(|side| *side > 0);
        Some((side(width)?, side(height)?))
    });
    let Some((width, height)) = sides else {
        return Err(Fault::invalid("size", "must be \"auto\" or WIDTHxHEIGHT in pixels, as \"1024x1024\""));
    };
    let wanted = f64::from(width) / f64::from(height);
    let distance = |(width, height): (u32, u32)| (f64::from(width) / f64::from(height) / wanted - 1.0).abs();
    let nearest = RATIOS.into_iter().min_by(|one, other| distance(*one).total_cmp(&distance(*other)));
    let Some(ratio) = nearest.filter(|ratio| distance(*ratio) <= RATIO_DISTANCE_MAX) else {
        losses.dropped("size", "the model makes no pictures of that shape, and decides");
        return Ok(None);
    };
    if (width, height) != (1024, 1024) {
        losses.approximated("size", "the shape is kept, and the model decides the pixels");
    }
    Ok(Some(format!("{}:{}", ratio.0, ratio.1)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_become_shapes() {
        let check = |size: &str, expected: Option<&str>, loss: &str| {
            let mut losses = Losses::default();
            assert_eq!(shape(size, &mut losses).unwrap().as_deref(), expected, "{size}");
            let told: Vec<String> = losses.iter().map(ToString::to_string).collect();
            assert_eq!(told.join(","), loss, "{size}");
        };
        check("1024x1024", Some("1:1"), "");
        check("512x512", Some("1:1"), "~size");
        check("1536x1024", Some("3:2"), "~size");
        check("1024x1536", Some("2:3"), "~size");
        check("1792x1024", Some("16:9"), "~size");
        check("1024x1792", Some("9:16"), "~size");
        check("4000x1000", None, "size");
        for wrong in ["big", "0x1024", "1024", "1024x", "-1x5"] {
            let fault = shape(wrong, &mut Losses::default()).unwrap_err();
            assert_eq!(fault.param.as_deref(), Some("size"), "{wrong}");
        }
    }

    #[test]
    fn what_a_chat_cannot_say_is_told() {
        let check = |members: &str, expected: &[&str]| {
            let body = format!(r#"{{"model":"m","prompt":"a",{members}}}"#);
            let losses = decode_request(body.as_bytes()).unwrap().losses;
            let told: Vec<String> = losses.iter().map(ToString::to_string).collect();
            assert_eq!(told, expected, "{members}");
        };
        check(r#""n":1,"size":"auto","quality":"auto","background":null,"stream":false,"user":"u""#, &[]);
        check(r#""response_format":"url""#, &["~response_format"]);
        check(r#""quality":"hd","style":"vivid","moderation":"low""#, &["quality", "style", "moderation"]);
        check(
            r#""output_format":"webp","output_compression":9,"seed":4"#,
            &["output_compression", "output_format", "seed"],
        );
        let refused = |body: &str| decode_request(body.as_bytes()).map(|_| ()).unwrap_err().param.unwrap();
        assert_eq!(refused(r#"{"model":"m"}"#), "prompt");
        for (name, value) in [("n", "2"), ("stream", "true"), ("partial_images", "1"), ("size", "\"big\"")] {
            assert_eq!(refused(&format!(r#"{{"model":"m","prompt":"a","{name}":{value}}}"#)), name);
        }
    }

    #[test]
    fn each_dialect_has_its_own_words() {
        let spoken = decode_request(br#"{"model":"m","prompt":"a","size":"1536x1024"}"#).unwrap();
        let check = |chat: &crate::ir::Request, pointer: &str, expected: serde_json::Value| {
            let encoding =
                crate::Encoding { model: "m", quirks: &crate::Quirks::default(), output_tokens_max: None };
            let body = chat.dialect.encode_request(chat, &encoding, &mut Losses::default());
            let body: serde_json::Value = serde_json::from_slice(&body).unwrap();
            assert_eq!(body.pointer(pointer), Some(&expected), "{body}");
        };
        check(&spoken.chat, "/modalities", json!(["image", "text"]));
        check(&spoken.chat, "/image_config", json!({"aspect_ratio": "3:2"}));
        let gemini = spoken.pictures.unwrap();
        let config = json!({"responseModalities": ["TEXT", "IMAGE"], "imageConfig": {"aspectRatio": "3:2"}});
        check(&gemini, "/generationConfig", config);
        check(&gemini, "/contents/0/parts/0/text", json!("a"));
    }
}

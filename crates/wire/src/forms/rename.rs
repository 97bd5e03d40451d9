//! The model's name where a body repeats what its address says, as Gemini's do.

use bytes::Bytes;
use serde_json::value::RawValue;

use crate::{
    envelope::{place, splice},
    json::{self, Object, Raw},
};

/// The body with every repetition of the model's name made to name another; every other byte stays as it was.
/// (<https://ai.google.dev/api/embeddings#EmbedContentRequest>, <https://ai.google.dev/api/tokens>)
pub(super) fn rename(body: &Bytes, model: &str) -> Bytes {
    let mut found: Vec<&RawValue> = Vec::new();
    if let Ok(object) = Object::parse(body) {
        found.extend(object.peek("model"));
        found.extend(object.peek("generateContentRequest").and_then(named));
        let requests = object.peek("requests").and_then(|raw| json::array(raw).ok());
        found.extend(requests.into_iter().flatten().filter_map(named));
    }
    if found.is_empty() {
        return body.clone();
    }
    let name = Raw::string(&format!("models/{model}"));
    let mut pieces: Vec<_> = found.into_iter().map(|raw| (place(body, raw), name.text().into())).collect();
    pieces.sort_by_key(|(range, _)| range.start);
    splice(body, &pieces)
}

fn named(raw: &RawValue) -> Option<&RawValue> {
    Object::from_raw(raw).ok()?.peek("model")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_is_renamed_wherever_it_stands() {
        let check = |body: &str, expected: &str| {
            assert_eq!(rename(&Bytes::copy_from_slice(body.as_bytes()), "b"), expected);
        };
        check(r#"{"content" : {}}"#, r#"{"content" : {}}"#);
        check(r#"{"model":"models/a", "x":1}"#, r#"{"model":"models/b", "x":1}"#);
        check(
            r#"{"requests":[{"model":"models/a"},{"content":"models/a","model":"a"}]}"#,
            r#"{"requests":[{"model":"models/b"},{"content":"models/a","model":"models/b"}]}"#,
        );
        check(
            r#"{"generateContentRequest":{"model":"a"}}"#,
            r#"{"generateContentRequest":{"model":"models/b"}}"#,
        );
        check("no json", "no json");
    }
}

//! Log probabilities of text completions: four lists, where chat has a list of tokens
//! (<https://platform.openai.com/docs/api-reference/completions/object>).

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::json::{ObjectWriter, RawRef, write_array, write_string};

/// The log probabilities of one answer, as far as they were told.
#[derive(Default)]
pub(super) struct Logprobs {
    /// Each token with its texts in JSON: its own, its probability's, and those of what else it might have been.
    tokens: Vec<Token>,
    /// Characters before the next token.
    offset: usize,
}

struct Token {
    text: String,
    logprob: String,
    others: Option<String>,
    offset: usize,
}

#[derive(Deserialize)]
struct Said<'a> {
    #[serde(borrow)]
    token: Cow<'a, str>,
    #[serde(borrow)]
    logprob: &'a RawValue,
    #[serde(borrow, default)]
    top_logprobs: Option<Vec<Said<'a>>>,
}

#[derive(Deserialize)]
struct Content<'a> {
    #[serde(borrow, default)]
    content: Option<Vec<Said<'a>>>,
}

impl Logprobs {
    /// Log probabilities of an answer that begins with so many characters.
    pub(super) fn after(characters: usize) -> Logprobs {
        Logprobs { tokens: Vec::new(), offset: characters }
    }

    /// Adds more, as chat completions or Ollama tell them; false where they are told otherwise.
    pub(super) fn add(&mut self, raw: &RawRef<'_>) -> bool {
        let listed: Result<Vec<Said<'_>>, _> = if raw.text().starts_with('[') {
            serde_json::from_str(raw.text())
        } else {
            serde_json::from_str(raw.text()).map(|content: Content<'_>| content.content.unwrap_or_default())
        };
        let Ok(listed) = listed else { return false };
        for said in listed {
            let others = said.top_logprobs.filter(|others| !others.is_empty());
            self.tokens.push(Token {
                text: said.token.clone().into_owned(),
                logprob: said.logprob.get().to_owned(),
                others: others.as_deref().map(by_token),
                offset: self.offset,
            });
            self.offset += said.token.chars().count();
        }
        true
    }

    /// Writes what was added and not written yet, or `null`.
    pub(super) fn write(&mut self, out: &mut Vec<u8>) {
        let tokens = std::mem::take(&mut self.tokens);
        if tokens.is_empty() {
            return out.extend_from_slice(b"null");
        }
        let mut object = ObjectWriter::open(out);
        write_array(object.key("tokens"), &tokens, |out, token| write_string(out, &token.text));
        write_array(object.key("token_logprobs"), &tokens, |out, token| {
            out.extend_from_slice(token.logprob.as_bytes());
        });
        if tokens.iter().any(|token| token.others.is_some()) {
            write_array(object.key("top_logprobs"), &tokens, |out, token| {
                out.extend_from_slice(token.others.as_deref().unwrap_or("null").as_bytes());
            });
        } else {
            object.raw("top_logprobs", "null");
        }
        write_array(object.key("text_offset"), &tokens, |out, token| {
            out.extend_from_slice(token.offset.to_string().as_bytes());
        });
        object.close();
    }
}

/// An object of the probabilities by their tokens; of two of one text, the likelier is first and stays.
fn by_token(others: &[Said<'_>]) -> String {
    let mut out = Vec::new();
    let mut object = ObjectWriter::open(&mut out);
    for (at, other) in others.iter().enumerate() {
        if !others.iter().take(at).any(|earlier| earlier.token == other.token) {
            object.raw(&other.token, other.logprob.get());
        }
    }
    object.close();
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::Raw;

    #[test]
    fn tokens_become_four_lists() {
        let check = |raw: &str, expected: &str| {
            let mut logprobs = Logprobs::after(4);
            assert!(logprobs.add(&RawRef::Owned(Raw::parse(raw).unwrap())), "{raw}");
            let mut out = Vec::new();
            logprobs.write(&mut out);
            assert_eq!(String::from_utf8(out).unwrap(), expected, "{raw}");
        };
        let tokens = r#"[{"token":"é\"","logprob":-0.10,"bytes":[1],"top_logprobs":[{"token":"é\"","logprob":-0.10},
            {"token":"b","logprob":-2e1},{"token":"b","logprob":-30}]},{"token":"c","logprob":0,"top_logprobs":[]}]"#;
        let expected = r#"{"tokens":["é\"","c"],"token_logprobs":[-0.10,0],"top_logprobs":[{"é\"":-0.10,"b":-2e1},null],"text_offset":[4,6]}"#;
        check(tokens, expected);
        check(&format!(r#"{{"content":{tokens},"refusal":null}}"#), expected);
        check(
            r#"{"content":[{"token":"a","logprob":-1}]}"#,
            r#"{"tokens":["a"],"token_logprobs":[-1],"top_logprobs":null,"text_offset":[4]}"#,
        );
        check(r#"{"content":null}"#, "null");
        let other = RawRef::Owned(Raw::parse(r#"[{"chosen":1}]"#).unwrap());
        assert!(!Logprobs::default().add(&other));
    }
}

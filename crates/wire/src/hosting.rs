//! APIs at another's address: what a host asks for that the API's own provider does not.

use std::borrow::Cow;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::{
    Dialect,
    envelope::{place, splice},
    json::Object,
};

/// Who hosts an API.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Hosting {
    /// Its own provider, or whoever takes the same.
    #[default]
    Own,
    /// Vertex AI, where the address names the model and the body the version of Anthropic's Messages API
    /// (<https://platform.claude.com/docs/en/build-with-claude/claude-on-vertex-ai>).
    Vertex,
}

/// What Vertex AI wants to find where the model's name stood.
const VERTEX_VERSION: &str = "\"anthropic_version\":\"vertex-2023-10-16\"";

impl Hosting {
    /// What `{method}` in an address stands for.
    pub fn method(self, dialect: Dialect, stream: bool) -> &'static str {
        match (self, stream) {
            (Hosting::Own, _) => dialect.method(stream),
            (Hosting::Vertex, false) => "rawPredict",
            (Hosting::Vertex, true) => "streamRawPredict",
        }
    }

    /// A request's body as the host takes it; every other byte is as it was.
    pub fn body(self, body: Bytes) -> Bytes {
        match self {
            Hosting::Own => body,
            Hosting::Vertex => versioned(&body).unwrap_or(body),
        }
    }
}

/// The version in the place of the model's name; nothing in its place where the version stands there already.
fn versioned(body: &[u8]) -> Option<Bytes> {
    let object = Object::parse(body).ok()?;
    let value = place(body, object.peek("model")?);
    // The member's name ends before the colon, and holds no other quote.
    let before = body.get(..value.start)?;
    let closing = before.iter().rposition(|&byte| byte == b'"')?;
    let opening = before.get(..closing)?.iter().rposition(|&byte| byte == b'"')?;
    if object.peek("anthropic_version").is_none() {
        return Some(splice(body, &[(opening..value.end, Cow::Borrowed(VERTEX_VERSION))]));
    }
    let after = body.get(value.end..)?;
    let comma = after.iter().position(|byte| !byte.is_ascii_whitespace())?;
    let range = match after.get(comma) {
        Some(b',') => opening..value.end + comma + 1,
        // The last member takes the comma before it along.
        _ => before.get(..opening)?.iter().rposition(|&byte| byte == b',')?..value.end,
    };
    Some(splice(body, &[(range, Cow::Borrowed(""))]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_stands_in_for_the_model() {
        let check = |body: &str, expected: &str| {
            let hosted = Hosting::Vertex.body(Bytes::copy_from_slice(body.as_bytes()));
            assert_eq!(std::str::from_utf8(&hosted).unwrap(), expected);
        };
        check(r#"{"model":"m","messages":[]}"#, r#"{"anthropic_version":"vertex-2023-10-16","messages":[]}"#);
        check(
            "{\"stream\":true, \"mod\\u0065l\" :\n \"a \\\" b\" }",
            "{\"stream\":true, \"anthropic_version\":\"vertex-2023-10-16\" }",
        );
        let own = r#""anthropic_version":"vertex-2024""#;
        check(&format!(r#"{{"model":"m" ,{own}}}"#), &format!("{{{own}}}"));
        check(&format!(r#"{{{own}, "model":"m"}}"#), &format!("{{{own}}}"));
        check("[]", "[]");
    }
}

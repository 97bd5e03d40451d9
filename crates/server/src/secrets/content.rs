//! What a store holds under one path.

use policy::Secret;
use serde_json::{Map, Value};

/// A text, or several members.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Content {
    text: Secret,
    /// Whether the text is a JSON object of members, rather than a secret that may happen to be one.
    members: bool,
}

impl Content {
    pub(super) fn text(text: impl Into<String>) -> Content {
        Content { text: Secret::new(text), members: false }
    }

    pub(super) fn members(members: &Map<String, Value>) -> Result<Content, String> {
        let text = serde_json::to_string(members).map_err(|_| "its members cannot be kept".to_owned())?;
        Ok(Content { text: Secret::new(text), members: true })
    }

    /// From what [`parts`](Content::parts) told.
    pub(super) fn kept(text: String, members: bool) -> Content {
        Content { text: Secret::new(text), members }
    }

    /// The text, and whether it is an object of members.
    pub(super) fn parts(&self) -> (&str, bool) {
        (self.text.expose(), self.members)
    }

    /// The member of this name, or what there is where none is named. What is wrong names members, never their values.
    pub(super) fn find(&self, field: Option<&str>) -> Result<String, String> {
        if field.is_none() && !self.members {
            return Ok(self.text.expose().to_owned());
        }
        let object: Map<String, Value> = serde_json::from_str(self.text.expose()).map_err(|_| {
            "the secret is no JSON object, so that it has no members; leave #… out".to_owned()
        })?;
        let known = || object.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
        let value = match field {
            Some(field) => object
                .get(field)
                .ok_or_else(|| format!("the secret has no member \"{field}\"; it has {}", known()))?,
            None => match object.values().next().filter(|_| object.len() == 1) {
                Some(only) => only,
                None => return Err(format!("the secret has the members {}; name one behind a #", known())),
            },
        };
        Ok(value.as_str().map_or_else(|| value.to_string(), str::to_owned))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(content: &Content, field: Option<&str>, expected: Result<&str, &str>) {
        let found = content.find(field);
        assert_eq!(found.as_deref().map_err(String::as_str), expected);
    }

    #[test]
    fn a_member_is_named_where_there_are_several() {
        let Value::Object(two) = serde_json::json!({"a": "x", "b": 7}) else { return };
        let two = Content::members(&two).unwrap();
        check(&two, Some("a"), Ok("x"));
        check(&two, Some("b"), Ok("7"));
        check(&two, None, Err("the secret has the members a, b; name one behind a #"));
        check(&two, Some("c"), Err("the secret has no member \"c\"; it has a, b"));
        let Value::Object(one) = serde_json::json!({"a": "x"}) else { return };
        check(&Content::members(&one).unwrap(), None, Ok("x"));
        check(&Content::text("{\"a\": \"x\"}"), None, Ok("{\"a\": \"x\"}"));
        check(&Content::text("{\"a\": \"x\"}"), Some("a"), Ok("x"));
        let plain = "the secret is no JSON object, so that it has no members; leave #… out";
        check(&Content::text("x"), Some("a"), Err(plain));
    }
}

//! Paths, which no two servers may read differently.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;
use wire::Fault;

/// Text that stood in a path in percent encoding; `None` where it is not UTF-8.
pub(crate) fn decoded(encoded: &str) -> Option<Cow<'_, str>> {
    percent_decode_str(encoded).decode_utf8().ok()
}

/// Whether a path leads nowhere but down, however it is spelt.
pub(crate) fn leads_down(path: &str) -> bool {
    decoded(path).is_some_and(|path| {
        !path.contains('\\') && !path.split('/').any(|segment| matches!(segment, "." | ".."))
    })
}

/// A path in one spelling, in which what may stand for itself does. What servers read in different ways is refused.
pub(crate) fn plain(path: &str) -> Result<String, Fault> {
    let mut plain = String::with_capacity(path.len());
    let mut rest = path;
    while let Some((before, after)) = rest.split_once('%') {
        plain.push_str(before);
        let digits = after.get(..2).filter(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()));
        match digits.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(byte) if byte.is_ascii_alphanumeric() || b"-._~:".contains(&byte) => {
                plain.push(char::from(byte));
            }
            Some(byte) if !byte.is_ascii_control() && !b"%?#".contains(&byte) => {
                plain.push_str(&format!("%{byte:02X}"));
            }
            Some(_) | None => return Err(ambiguous()),
        }
        rest = after.get(2..).unwrap_or_default();
    }
    plain.push_str(rest);
    let read = decoded(&plain).filter(|read| !read.contains(';') && !read.contains("//"));
    if read.is_none() || !leads_down(&plain) { Err(ambiguous()) } else { Ok(plain) }
}

fn ambiguous() -> Fault {
    let message = "the path must hold no \"..\", no empty segments, no backslash and no semicolon, and none of % ? # in percent \
                   encoding: write it as the provider's documentation does";
    Fault::invalid("", message).code("invalid_path")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_has_one_spelling() {
        let check = |path: &str, expected: &str| assert_eq!(plain(path).unwrap(), expected);
        check("/v1/models", "/v1/models");
        check("/v1/chat/completion%73", "/v1/chat/completions");
        check("/v1beta/models/x%3agenerate%43ontent", "/v1beta/models/x:generateContent");
        check("/model/arn%3aaws%3a1%2fa%20b%c3%bc/converse", "/model/arn:aws:1%2Fa%20b%C3%BC/converse");
        check("/v1/a..b/", "/v1/a..b/");
        for bad in [
            "/../x",
            "/v1/%2e%2e/x",
            "/v1/%2E/x",
            "/a//b",
            "/a/%2fb",
            "/a%2f..%2fb",
            "/a/..;/b",
            "/a%3bb",
            "/a\\b",
            "/a%5cb",
            "/a%3fb",
            "/a%23b",
            "/a%2573",
            "/a%0ab",
            "/%ff",
            "/a%",
            "/a%7",
            "/a%+1",
            "/a%zz",
        ] {
            assert!(plain(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn paths_lead_down() {
        for good in ["/v1/models", "/v1/files/f-1/content", "/v1/a..b", "/v1beta/models/x:y", "/a//b"] {
            assert!(leads_down(good), "{good}");
        }
        for bad in
            ["/../admin", "/v1/..", "/v1/%2e%2e/x", "/v1/%2E./x", "/a/./b", "/a\\b", "/a%2f..%2fb", "/%ff"]
        {
            assert!(!leads_down(bad), "{bad}");
        }
    }
}

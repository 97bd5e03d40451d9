//! Paths, which no two servers may read differently.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;

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

#[cfg(test)]
mod tests {
    use super::*;

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

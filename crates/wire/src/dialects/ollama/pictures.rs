//! Pictures: base64 without a type here, so that the type is told from the first bytes.

use crate::ir::{Media, Source};

/// A picture of a message. What names a place is no base64, and refused by this API.
pub(super) fn picture(text: &str) -> Media {
    let is_place = text.get(..5) == Some("data:") || text.get(..32.min(text.len())).is_some_and(has_scheme);
    let source = if is_place { Source::Url(text.to_owned()) } else { Source::Base64(text.to_owned()) };
    let media_type = media_type(text).map(str::to_owned);
    Media { source, media_type, name: None }
}

fn has_scheme(text: &str) -> bool {
    text.contains("://")
}

/// What the first bytes say, as they stand in base64.
fn media_type(base64: &str) -> Option<&'static str> {
    let starts = |bytes: &str| base64.starts_with(bytes);
    if starts("iVBORw0KGgo") {
        Some("image/png")
    } else if starts("/9j/") {
        Some("image/jpeg")
    } else if starts("R0lGOD") {
        Some("image/gif")
    } else if starts("UklGR") && base64.get(12..16) == Some("RUJQ") {
        Some("image/webp")
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_are_told_apart() {
        let check = |text: &str, expected: Option<&str>| {
            assert_eq!(picture(text).media_type.as_deref(), expected, "{text}");
        };
        check("iVBORw0KGgoAAAANSUhEUg==", Some("image/png"));
        check("/9j/4AAQSkZJRg==", Some("image/jpeg"));
        check("R0lGODlhAQABAA==", Some("image/gif"));
        check("UklGRiQAAABXRUJQVlA4", Some("image/webp"));
        check("UklGRiQAAABXQVZFZm10", None);
        check("", None);
        check("é", None);
        assert!(matches!(picture("https://a.example/b.png").source, Source::Url(_)));
    }
}

//! The part of a text that is read.

/// The first `head` and the last `tail` bytes of a text, cut at characters; the second part is empty where the
/// first holds everything.
pub(super) fn excerpt(text: &str, head: usize, tail: usize) -> [&str; 2] {
    if text.len() <= head + tail {
        return [text, ""];
    }
    let (first, rest) = text.split_at(text.floor_char_boundary(head));
    let (_, last) = rest.split_at(rest.ceil_char_boundary(rest.len().saturating_sub(tail)));
    [first, last]
}

/// Whether a character is a word by itself, as in Chinese and Japanese, which set no spaces between words.
pub(super) fn stands_alone(character: char) -> bool {
    matches!(character, '\u{2e80}'..='\u{9fff}' | '\u{f900}'..='\u{faff}' | '\u{20000}'..='\u{3ffff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_texts_are_cut_at_characters() {
        assert_eq!(excerpt("short", 3, 2), ["short", ""]);
        assert_eq!(excerpt("a long text", 3, 4), ["a l", "text"]);
        assert_eq!(excerpt("äöüäöü", 3, 3), ["ä", "ü"]);
        assert_eq!(excerpt("", 0, 0), ["", ""]);
    }
}

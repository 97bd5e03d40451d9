//! Counting with an encoding's own vocabulary.
//!
//! The first count with an encoding unpacks its vocabulary, which takes a tenth of a second: none of this has a place
//! on the path of a request.

use serde::{Deserialize, Serialize};

/// How a model's texts become tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Tokenizer {
    /// `o200k_base`: OpenAI's models since GPT-4o.
    O200k,
    /// `cl100k_base`: OpenAI's models before, and its embeddings.
    Cl100k,
    /// One that is not published, or not known here: counted as `o200k_base` does, times a factor.
    #[default]
    Other,
}

impl Tokenizer {
    /// Tokens of a text. `percent` is how many tokens another tokenizer makes where `o200k_base` makes a hundred.
    pub fn count(self, text: &str, percent: u64) -> u64 {
        let (name, percent) = match self {
            Tokenizer::O200k => ("o200k_base", 100),
            Tokenizer::Cl100k => ("cl100k_base", 100),
            Tokenizer::Other => ("o200k_base", percent),
        };
        let encoding = tiktoken::get_encoding(name).expect("the crate is built with both vocabularies");
        let tokens = u64::try_from(encoding.count(text)).unwrap_or(u64::MAX);
        tokens.saturating_mul(percent).div_ceil(100)
    }

    pub fn is_exact(self) -> bool {
        match self {
            Tokenizer::O200k | Tokenizer::Cl100k => true,
            Tokenizer::Other => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encodings_are_told_apart() {
        let text = "antidisestablishmentarianism 敏捷的棕色狐狸";
        assert_eq!(Tokenizer::O200k.count(text, 100), 14);
        assert_eq!(Tokenizer::Cl100k.count(text, 100), 20);
        assert_eq!(Tokenizer::Other.count(text, 110), 16);
        assert_eq!(Tokenizer::O200k.count("", 100), 0);
    }
}

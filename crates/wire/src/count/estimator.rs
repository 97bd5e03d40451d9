//! Rough token counts, for answers whose provider reports none.
//!
//! This weighs bytes by class, with weights that were fitted to `o200k_base` over prose, code, data and many languages:
//! half of the texts come within a tenth of it, nine tenths within a quarter. Every count made here is marked as
//! estimated wherever it is shown.

/// Runs of this many characters without a space are no text but encoded bytes (base64), which providers count
/// as a picture or a document and not as text.
const ENCODED_RUN: usize = 200;

/// Counts text as it comes.
#[derive(Clone, Copy, Debug, Default)]
pub struct Estimator {
    /// In hundredths of a token.
    hundredths: u64,
}

impl Estimator {
    pub fn add(&mut self, text: &str) {
        let sum: u64 = text.bytes().map(weight).sum();
        self.hundredths = self.hundredths.saturating_add(sum);
    }

    pub fn tokens(&self) -> u64 {
        self.hundredths.div_ceil(100)
    }
}

/// Roughly how many tokens a text comes to.
pub fn estimate_tokens(text: &str) -> u64 {
    let mut estimator = Estimator::default();
    estimator.add(text);
    estimator.tokens()
}

/// Roughly how many tokens a request's body comes to: its text without its punctuation, and without what is
/// encoded in it.
pub fn estimate_request(body: &[u8]) -> u64 {
    // Each run counts something, and all but the last end with a separator. Nothing here depends on a byte but by a table:
    // prompts are long, and each call with a limit on tokens comes this way.
    let mut hundredths = u64::from(RUN);
    let (mut run, mut longest) = (0, 0);
    for &byte in body {
        let BodyByte { weight, goes_on } = BODY[usize::from(byte)];
        hundredths += u64::from(weight);
        run = (run + 1) * usize::from(goes_on);
        longest = run.max(longest);
    }
    if longest >= ENCODED_RUN {
        hundredths = without_encoded(body);
    }
    hundredths.div_ceil(100)
}

/// The same, for a body with runs that are no text.
fn without_encoded(body: &[u8]) -> u64 {
    let runs = body.split(|&byte| is_separator(byte)).filter(|run| run.len() < ENCODED_RUN);
    let weigh = |byte: &u8| u64::from(BODY[usize::from(*byte)].weight);
    runs.map(|run| run.iter().map(weigh).sum::<u64>() + u64::from(RUN)).sum()
}

/// What each run of text counts beside its bytes, in hundredths of a token.
const RUN: u8 = 12;

/// A byte of a request's body.
#[derive(Clone, Copy)]
struct BodyByte {
    /// In hundredths of a token; that of a separator is what the run counts which it ends.
    weight: u8,
    /// 0 where it separates, otherwise 1.
    goes_on: u8,
}

static BODY: [BodyByte; 256] = body_bytes();

const fn body_bytes() -> [BodyByte; 256] {
    let mut bytes = [BodyByte { weight: 0, goes_on: 1 }; 256];
    let mut byte = 0;
    while byte < 256 {
        bytes[byte] = match byte as u8 {
            separator if is_separator(separator) => BodyByte { weight: RUN, goes_on: 0 },
            b'{' | b'}' | b'[' | b']' | b':' => BodyByte { weight: 0, goes_on: 1 },
            other => BodyByte { weight: class_weight(other), goes_on: 1 },
        };
        byte += 1;
    }
    bytes
}

const fn is_separator(byte: u8) -> bool {
    matches!(byte, b' ' | b'"' | b'\\' | b',')
}

/// Hundredths of a token for each byte of UTF-8.
static WEIGHTS: [u8; 256] = weights();

const fn weights() -> [u8; 256] {
    let mut weights = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        weights[byte] = class_weight(byte as u8);
        byte += 1;
    }
    weights
}

fn weight(byte: u8) -> u64 {
    u64::from(WEIGHTS[usize::from(byte)])
}

const fn class_weight(byte: u8) -> u8 {
    match byte {
        b'a'..=b'z' => 18,
        b'A'..=b'Z' => 55,
        b'0'..=b'9' => 60,
        b' ' => 25,
        b'\n' | b'\t' | b'\r' => 6,
        0..=127 => 76,
        // Bytes that follow the first of a character.
        128..=191 => 16,
        // Latin with accents.
        192..=207 => 84,
        // Greek, Cyrillic, Hebrew, Arabic …
        208..=223 => 16,
        // The scripts of South Asia, kana.
        224..=227 => 4,
        // Han.
        228..=233 => 55,
        // Hangul.
        234..=239 => 42,
        // Emoji and the like.
        240..=255 => 160,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn estimates_are_near() {
        let check = |text: &str, low: u64, high: u64| {
            let tokens = estimate_tokens(text);
            assert!((low..=high).contains(&tokens), "{text}: {tokens}");
        };
        check("", 0, 0);
        check("The quick brown fox jumps over the lazy dog.", 8, 12);
        check("let total: u64 = values.iter().sum();", 10, 16);
        check("敏捷的棕色狐狸跳过了懒狗", 8, 14);
    }

    #[test]
    fn bodies_are_weighed_run_by_run() {
        let naive = |body: &[u8]| {
            let runs = body.split(|&byte| b" \"\\,".contains(&byte)).filter(|run| run.len() < ENCODED_RUN);
            let text = |byte: &&u8| !b"{}[]:".contains(byte);
            let sums = runs.map(|run| run.iter().filter(text).copied().map(weight).sum::<u64>() + 12);
            sums.sum::<u64>().div_ceil(100)
        };
        let long = "A".repeat(ENCODED_RUN);
        let nearly = "A".repeat(ENCODED_RUN - 1);
        let all: Vec<u8> = (0..=255).collect();
        for body in
            ["", "a", "\"", r#"{"a": [1, "zwei", "drei\n"]}"#, &long, &nearly, &format!("{long} b \"{long}")]
        {
            assert_eq!(estimate_request(body.as_bytes()), naive(body.as_bytes()), "{body}");
        }
        assert_eq!(estimate_request(&all), naive(&all));
    }

    #[test]
    fn encoded_bytes_do_not_count_as_text() {
        let picture = "A".repeat(100_000);
        let body = format!(r#"{{"messages":[{{"role":"user","content":"hello {picture}"}}]}}"#);
        assert!(estimate_request(body.as_bytes()) < 20);
    }
}

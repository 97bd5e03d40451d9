//! The vectors that are at hand without a model: hashed words, pairs of words and parts of words, each the more
//! worth the fewer of the examples hold it.

use std::{
    collections::HashMap,
    hash::{BuildHasherDefault, Hasher},
};

use super::{
    excerpt::{excerpt, stands_alone},
    vector::{Vector, Vectors},
};

/// How many bytes are read from the beginning and from the end of a text.
const READ_BYTES: (usize, usize) = (1 << 10, 1 << 10);
/// How many characters the parts of words have, the space before and after a word among them.
const PART_CHARACTERS: std::ops::RangeInclusive<usize> = 3..=5;
/// What a part of a word is worth beside a word.
const PART_WEIGHT: f32 = 0.6;
/// Measured on CLINC150: see `docs/content-routing.md`.
const THRESHOLD: f32 = 0.18;

/// Weights of n-grams, learned from the examples of all intents together.
pub(super) struct Ngrams {
    weights: HashMap<u32, f32, BuildHasherDefault<Hashed>>,
    weight_unseen: f32,
}

impl Ngrams {
    pub(super) fn learn<'t>(examples: impl Iterator<Item = &'t str>) -> Ngrams {
        let mut holders: HashMap<u32, u32, BuildHasherDefault<Hashed>> = HashMap::default();
        let mut all = 0_u32;
        for example in examples {
            all += 1;
            for (gram, _) in counted(example) {
                *holders.entry(gram).or_default() += 1;
            }
        }
        let weight = |holders: u32| ((1 + all) as f32 / (1 + holders) as f32).ln() + 1.0;
        let weights = holders.into_iter().map(|(gram, holders)| (gram, weight(holders))).collect();
        Ngrams { weights, weight_unseen: weight(0) }
    }
}

impl Vectors for Ngrams {
    fn vector(&self, text: &str) -> Vector {
        let weighed = counted(text).into_iter().map(|(gram, count)| {
            (gram, count * self.weights.get(&gram).copied().unwrap_or(self.weight_unseen))
        });
        Vector::sparse(weighed.collect())
    }

    fn threshold(&self) -> f32 {
        THRESHOLD
    }
}

/// Each n-gram once, with one more than the logarithm of how often it came.
fn counted(text: &str) -> Vec<(u32, f32)> {
    let mut grams = grams(text);
    grams.sort_unstable();
    let runs = grams.chunk_by(|one, other| one == other);
    runs.filter_map(|run| {
        let gram = *run.first()?;
        let weight = if gram & PART == PART { PART_WEIGHT } else { 1.0 };
        Some((gram, weight * (1.0 + (run.len() as f32).ln())))
    })
    .collect()
}

/// The bit that is set in hashes of parts of words only.
const PART: u32 = 1 << 31;

/// The hashes of all n-grams of a text.
fn grams(text: &str) -> Vec<u32> {
    let [head, tail] = excerpt(text, READ_BYTES.0, READ_BYTES.1);
    let mut found = Vec::with_capacity(4 * (head.len() + tail.len()));
    let mut word = Vec::new();
    for part in [head, tail] {
        let mut before = None;
        for character in part.chars().flat_map(char::to_lowercase).chain([' ']) {
            let alone = stands_alone(character);
            let inside = character.is_alphanumeric() || character == '_';
            if (alone || !inside) && !word.is_empty() {
                before = Some(end_word(&mut word, before, &mut found));
            }
            if inside {
                word.push(character);
            }
            if alone && inside {
                before = Some(end_word(&mut word, before, &mut found));
            }
        }
    }
    found
}

/// Adds the n-grams of a word and of its pair with the word before, and returns its hash.
fn end_word(word: &mut Vec<char>, before: Option<u32>, found: &mut Vec<u32>) -> u32 {
    let hash = word.iter().fold(HASH_START, step);
    found.push(hash & !PART);
    if let Some(before) = before {
        found.push(mix(before.rotate_left(7) ^ hash) & !PART);
    }
    word.insert(0, ' ');
    word.push(' ');
    let longest = word.len().min(*PART_CHARACTERS.end());
    for length in *PART_CHARACTERS.start()..=longest {
        found.extend(word.windows(length).map(|part| part.iter().fold(HASH_START, step) | PART));
    }
    word.clear();
    hash
}

/// FNV-1a over characters.
fn step(hash: u32, character: &char) -> u32 {
    mix(hash ^ u32::from(*character))
}

fn mix(hash: u32) -> u32 {
    let product = hash.wrapping_mul(0x0100_0193);
    product ^ (product >> 17)
}

const HASH_START: u32 = 0x811c_9dc5;

/// Keys that are hashes already are spread by one multiplication.
#[derive(Default)]
pub(super) struct Hashed(u64);

impl Hasher for Hashed {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.write_u32(u32::from(*byte)));
    }

    fn write_u32(&mut self, value: u32) {
        self.0 = (self.0 ^ u64::from(value)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rare_words_weigh_more_and_case_and_marks_do_not_count() {
        let ngrams = Ngrams::learn(["the card", "the loan", "the rate"].into_iter());
        let value = |word: &str| {
            let [gram] = grams(word)[..1] else { panic!("{word}") };
            let vector = ngrams.vector("the card");
            vector.values().iter().find(|(place, _)| *place == gram).map_or(0.0, |(_, value)| *value)
        };
        assert!(value("card") > value("the") && value("the") > 0.0);
        assert_eq!(ngrams.vector("THE  card!"), ngrams.vector("the card"));
        assert_eq!(ngrams.vector("?!"), Vector::default());
    }

    #[test]
    fn grams_are_words_pairs_and_parts() {
        // " ab ": the word, two parts of three characters and one of four.
        assert_eq!(grams("ab").len(), 4);
        assert_eq!(grams("ab ab").len(), 9);
        // Each is a word of one character with one part; two pairs.
        assert_eq!(grams("你好吗").len(), 8);
    }
}

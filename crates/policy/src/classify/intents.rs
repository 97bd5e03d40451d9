//! What a text is about, by the examples of a configuration.

use std::{collections::HashMap, hash::BuildHasherDefault};

use super::{
    ngrams::{Hashed, Ngrams},
    vector::{Vector, Vectors},
};

/// Intents, each known by texts that are examples of it.
///
/// An intent is the sum of its examples' vectors; then, wherever an example is not clearly nearer to its own intent
/// than to the next, the two intents are moved apart by a part of it.
pub struct Intents {
    vectors: Box<dyn Vectors>,
    names: Vec<String>,
    weights: Weights,
    threshold: f32,
}

/// An intent that was found.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Intent<'i> {
    pub name: &'i str,
    /// How near the text is to the intent's examples: 0 to 1.
    pub score: f32,
}

/// By place, the intents that have a value there.
type Weights = HashMap<u32, Vec<(usize, f32)>, BuildHasherDefault<Hashed>>;

/// How often all examples are gone through to move intents apart.
const ROUNDS: usize = 5;
/// By how much an example must be nearer to its own intent than to any other.
const MARGIN: f32 = 0.2;
/// The part of an example by which two intents are moved apart.
const RATE: f32 = 0.1;

impl Intents {
    /// Intents by name and examples, compared by their words and parts of words.
    pub fn by_words<E: AsRef<str>>(intents: &[(&str, &[E])]) -> Intents {
        let examples = intents.iter().flat_map(|(_, examples)| examples.iter());
        Intents::new(Ngrams::learn(examples.map(AsRef::as_ref)), intents)
    }

    /// Intents by name and examples, compared by the vectors that `vectors` makes.
    pub fn new<E: AsRef<str>>(vectors: impl Vectors + 'static, intents: &[(&str, &[E])]) -> Intents {
        let examples: Vec<(usize, Vector)> = intents
            .iter()
            .enumerate()
            .flat_map(|(intent, (_, examples))| examples.iter().map(move |example| (intent, example)))
            .map(|(intent, example)| (intent, vectors.vector(example.as_ref())))
            .collect();
        let mut weights = centroids(&examples, intents.len());
        for _ in 0..ROUNDS {
            if !move_apart(&mut weights, &examples, intents.len()) {
                break;
            }
        }
        let names = intents.iter().map(|(name, _)| (*name).to_owned()).collect();
        Intents { threshold: vectors.threshold(), vectors: Box::new(vectors), names, weights }
    }

    /// The same intents with another score below which a text has none of them: 0 to 1.
    #[must_use]
    pub fn with_threshold(self, threshold: f32) -> Intents {
        Intents { threshold, ..self }
    }

    /// The intent of a text; `None` where it is like none of the examples.
    pub fn find(&self, text: &str) -> Option<Intent<'_>> {
        let scores = scores(&self.weights, &self.vectors.vector(text), self.names.len());
        let (intent, score) = best(&scores, None)?;
        let name = self.names.get(intent)?;
        (score > 0.0 && score >= self.threshold).then(|| Intent { name, score: score.min(1.0) })
    }
}

/// The sums of the examples of each intent, of the length one.
fn centroids(examples: &[(usize, Vector)], intents: usize) -> Weights {
    let mut weights = Weights::default();
    let mut rest = examples;
    for intent in 0..intents {
        let (own, others) = rest.split_at(rest.partition_point(|(of, _)| *of <= intent));
        rest = others;
        let sum = Vector::sparse(own.iter().flat_map(|(_, example)| example.values()).copied().collect());
        for (place, value) in sum.values() {
            weights.entry(*place).or_default().push((intent, *value));
        }
    }
    weights
}

/// Whether any two intents were moved apart.
fn move_apart(weights: &mut Weights, examples: &[(usize, Vector)], intents: usize) -> bool {
    let mut moved = false;
    for (intent, example) in examples {
        let scores = scores(weights, example, intents);
        let own = scores.get(*intent).copied().unwrap_or_default();
        let Some((rival, next)) = best(&scores, Some(*intent)) else { continue };
        if own - next < MARGIN {
            moved = true;
            add(weights, example, *intent, RATE);
            add(weights, example, rival, -RATE);
        }
    }
    moved
}

fn add(weights: &mut Weights, example: &Vector, intent: usize, rate: f32) {
    for (place, value) in example.values() {
        let held = weights.entry(*place).or_default();
        match held.iter_mut().find(|(of, _)| *of == intent) {
            Some((_, weight)) => *weight += rate * value,
            None => held.push((intent, rate * value)),
        }
    }
}

/// How near a vector is to each intent.
fn scores(weights: &Weights, vector: &Vector, intents: usize) -> Vec<f32> {
    let mut scores = vec![0.0; intents];
    for (place, value) in vector.values() {
        for (intent, weight) in weights.get(place).into_iter().flatten() {
            if let Some(score) = scores.get_mut(*intent) {
                *score += value * weight;
            }
        }
    }
    scores
}

/// The first of the greatest scores, leaving one intent out.
fn best(scores: &[f32], without: Option<usize>) -> Option<(usize, f32)> {
    let others = scores.iter().copied().enumerate().filter(|(intent, _)| Some(*intent) != without);
    others.reduce(|best, next| if next.1 > best.1 { next } else { best })
}

#[cfg(test)]
mod tests {
    use super::*;

    const BANK: [(&str, &[&str]); 2] = [
        ("lost_card", &["I lost my card", "my credit card was stolen", "someone took my card, block it"]),
        ("balance", &["how much money do I have", "what is the balance of my account", "show my balance"]),
    ];

    #[test]
    fn finds_the_intent_or_none() {
        let intents = Intents::by_words(&BANK);
        let check = |text: &str, expected: Option<&str>| {
            let found = intents.find(text);
            assert_eq!(found.map(|intent| intent.name), expected, "{text}: {found:?}");
        };
        check("please block my stolen credit card", Some("lost_card"));
        check("what's my account balance?", Some("balance"));
        check("write a poem about the sea in spring", None);
        check("", None);
        check("今天天气怎么样", None);
    }

    #[test]
    fn examples_are_their_own_intent() {
        let intents = Intents::by_words(&BANK);
        for (name, examples) in BANK {
            for example in examples {
                assert_eq!(intents.find(example).map(|intent| intent.name), Some(name), "{example}");
            }
        }
    }

    #[test]
    fn a_threshold_of_ones_own_counts() {
        let strict = Intents::by_words(&BANK).with_threshold(0.99);
        assert_eq!(strict.find("what's my account balance?"), None);
        let lax = Intents::by_words(&BANK).with_threshold(0.0);
        assert!(lax.find("what a poem").is_some());
        assert!(Intents::by_words::<&str>(&[]).find("anything").is_none());
    }

    /// A stand-in for a model of sentences, which knows two words.
    struct Known;

    impl Vectors for Known {
        fn vector(&self, text: &str) -> Vector {
            Vector::dense(["cat", "dog"].map(|word| f32::from(u8::from(text.contains(word)))))
        }

        fn threshold(&self) -> f32 {
            0.5
        }
    }

    #[test]
    fn other_vectors_take_the_place_of_words() {
        let examples: [(&str, &[&str]); 2] = [("cats", &["a cat"]), ("dogs", &["the dog"])];
        let intents = Intents::new(Known, &examples);
        assert_eq!(intents.find("dogs?").map(|intent| intent.name), Some("dogs"));
        assert_eq!(intents.find("birds?"), None);
    }
}

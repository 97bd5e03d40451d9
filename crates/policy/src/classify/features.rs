//! What is measured of a text to tell how hard it is: 32 plain measures, and words and pairs of words, hashed into
//! buckets.

use super::excerpt::{excerpt, stands_alone};

/// How many plain measures there are.
pub(super) const MEASURES: usize = 32;
/// Into how many buckets words and pairs of words are hashed.
pub(super) const BUCKETS: usize = 1 << 15;

/// How many bytes are read from the beginning and from the end of a text.
const READ_BYTES: (usize, usize) = (8 << 10, 2 << 10);

pub(super) struct Features {
    pub(super) measures: [f32; MEASURES],
    /// Buckets and the weights of what is in them, which together have the length one.
    pub(super) words: Vec<(u16, f32)>,
}

pub(super) fn features(text: &str) -> Features {
    let [head, tail] = excerpt(text, READ_BYTES.0, READ_BYTES.1);
    let mut scan = Scan::default();
    for part in [head, tail] {
        part.chars().for_each(|character| scan.read(character));
        scan.end_word();
    }
    let words = weigh(&mut scan.buckets);
    Features { measures: scan.measures(words.len()), words }
}

/// Words that say something of a task. The first two count only as the first word of a text.
const MARKERS: [&[u32]; 10] = [
    &[hash("what"), hash("who"), hash("when"), hash("where"), hash("which")],
    &[hash("why"), hash("how")],
    &[
        hash("code"),
        hash("function"),
        hash("python"),
        hash("program"),
        hash("def"),
        hash("class"),
        hash("array"),
    ],
    &[hash("prove"), hash("proof"), hash("derive"), hash("integral"), hash("theorem"), hash("equation")],
    &[hash("translate"), hash("translation")],
    &[hash("not"), hash("except"), hash("least"), hash("false"), hash("never")],
    &[hash("statement"), hash("statements"), hash("following")],
    &[
        hash("percent"),
        hash("ratio"),
        hash("times"),
        hash("twice"),
        hash("half"),
        hash("each"),
        hash("total"),
    ],
    &[
        hash("if"),
        hash("then"),
        hash("because"),
        hash("therefore"),
        hash("since"),
        hash("unless"),
        hash("however"),
    ],
    &[hash("write"), hash("explain"), hash("describe"), hash("compose"), hash("summarize")],
];
/// The first of them that may stand anywhere.
const MARKERS_ANYWHERE: usize = 2;
/// The letters of a word that counts as long.
const LONG_WORD: u32 = 9;

/// FNV-1a.
const fn step(hash: u32, byte: u8) -> u32 {
    (hash ^ byte as u32).wrapping_mul(0x0100_0193)
}

/// The bucket of a hash: the lower bits of FNV alone are poor.
fn bucket(hash: u32) -> u16 {
    (hash.wrapping_mul(0x9e37_79b1) >> 16) as u16 % BUCKETS as u16
}

const HASH_START: u32 = 0x811c_9dc5;

const fn hash(word: &str) -> u32 {
    let bytes = word.as_bytes();
    let (mut hash, mut at) = (HASH_START, 0);
    while at < bytes.len() {
        hash = step(hash, bytes[at]);
        at += 1;
    }
    hash
}

/// What one pass over a text counts.
#[derive(Default)]
struct Scan {
    buckets: Vec<u16>,
    markers: [u32; MARKERS.len()],
    characters: u32,
    letters: u32,
    capitals: u32,
    foreign: u32,
    digits: u32,
    numbers: u32,
    words: u32,
    words_long: u32,
    lines: u32,
    questions: u32,
    commas: u32,
    stops: u32,
    formula: u32,
    formula_marks: u32,
    braces: u32,
    choices: u32,
    /// Whether the line holds nothing but the letter of a choice so far, as in `(B)`.
    choice: Choice,
    /// The word being read.
    hash: u32,
    length: u32,
    numeric: bool,
    /// The hash of the word before it.
    before: Option<u32>,
}

/// How far the beginning of a line has been read as that of a choice.
#[derive(Default, PartialEq)]
enum Choice {
    #[default]
    Begins,
    Letter,
    No,
}

impl Scan {
    fn read(&mut self, character: char) {
        self.characters += 1;
        if character.is_alphanumeric() || character == '_' {
            self.read_letter(character);
        } else {
            self.end_word();
            self.read_mark(character);
        }
        self.choice = match (&self.choice, character) {
            (_, '\n') => Choice::Begins,
            (Choice::Begins, ' ' | '(') => Choice::Begins,
            (Choice::Begins, 'A'..='J' | 'a'..='e') => Choice::Letter,
            (Choice::Letter, '.' | ')' | ':') => {
                self.choices += 1;
                Choice::No
            }
            (Choice::Begins | Choice::Letter | Choice::No, _) => Choice::No,
        };
    }

    fn read_letter(&mut self, character: char) {
        if stands_alone(character) {
            self.end_word();
        }
        if self.length == 0 {
            (self.hash, self.numeric) = (HASH_START, true);
        }
        self.length += 1;
        self.foreign += u32::from(!character.is_ascii());
        if character.is_ascii() {
            self.digits += u32::from(character.is_ascii_digit());
            self.numeric &= character.is_ascii_digit();
            self.capitals += u32::from(character.is_ascii_uppercase());
            self.hash = step(self.hash, character.to_ascii_lowercase() as u8);
        } else {
            self.numeric = false;
            let lower = character.to_lowercase().next().unwrap_or(character);
            self.hash = lower.encode_utf8(&mut [0; 4]).bytes().fold(self.hash, step);
        }
        if stands_alone(character) {
            self.end_word();
        }
    }

    fn read_mark(&mut self, character: char) {
        match character {
            '\n' => self.lines += 1,
            '?' => self.questions += 1,
            ',' => self.commas += 1,
            '.' => self.stops += 1,
            '$' | '\\' => {
                self.formula += 1;
                self.formula_marks += 1;
            }
            '+' | '-' | '*' | '/' | '=' | '^' | '<' | '>' | '%' => self.formula += 1,
            '{' | '}' | ';' => self.braces += 1,
            '∑' | '∫' | '√' | '≤' | '≥' | '∞' | '∈' | '×' => self.formula += 2,
            _ => {}
        }
    }

    fn end_word(&mut self) {
        if self.length == 0 {
            return;
        }
        if self.numeric {
            self.numbers += 1;
        } else {
            for (at, (count, marker)) in self.markers.iter_mut().zip(MARKERS).enumerate() {
                let counts = at >= MARKERS_ANYWHERE || self.words == 0;
                *count += u32::from(counts && marker.contains(&self.hash));
            }
            self.words += 1;
            self.letters += self.length;
            self.words_long += u32::from(self.length >= LONG_WORD);
        }
        self.buckets.push(bucket(self.hash));
        if let Some(before) = self.before.replace(self.hash) {
            self.buckets.push(bucket(before.rotate_left(5) ^ self.hash));
        }
        self.length = 0;
    }

    /// The measures in their fixed order; `kinds` is how many buckets there are.
    fn measures(&self, kinds: usize) -> [f32; MEASURES] {
        let share = |part: u32, whole: u32| part as f32 / whole.max(1) as f32;
        let many = |count: u32| (1.0 + count as f32).ln();
        let some = |count: u32| f32::from(u8::from(count > 0));
        let [what, why, code, proof, translation, negation, statement, amounts, reasons, orders] =
            self.markers;
        let size = many(self.characters);
        let word_length = share(self.letters, self.words);
        let digits = share(self.digits, self.characters);
        [
            size,
            size * size,
            many(self.words),
            word_length,
            word_length * word_length,
            digits,
            digits * digits,
            many(self.numbers),
            many(self.lines),
            share(self.formula, self.characters),
            some(self.formula_marks),
            share(self.foreign, self.characters),
            share(self.capitals, self.characters),
            kinds as f32 / self.buckets.len().max(1) as f32,
            share(self.words_long, self.words),
            many(self.questions),
            some(self.questions),
            many(self.commas),
            share(self.stops, self.characters),
            some(self.braces),
            some(self.choices),
            many(self.choices),
            some(what),
            some(why),
            some(code),
            some(proof),
            some(translation),
            some(negation),
            some(statement),
            many(amounts),
            many(reasons),
            some(orders),
        ]
    }
}

/// Each bucket once, weighed by the logarithm of how often it came, and all of them brought to the length one.
fn weigh(buckets: &mut [u16]) -> Vec<(u16, f32)> {
    buckets.sort_unstable();
    let runs = buckets.chunk_by(|one, other| one == other);
    let mut words: Vec<(u16, f32)> =
        runs.filter_map(|run| Some((*run.first()?, 1.0 + (run.len() as f32).ln()))).collect();
    let length = words.iter().map(|(_, weight)| weight * weight).sum::<f32>().sqrt();
    words.iter_mut().for_each(|(_, weight)| *weight /= length);
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_what_it_says() {
        let mut scan = Scan::default();
        "What is 12 + 3?\n(A) fifteen\nB. 51\nNot A: x".chars().for_each(|character| scan.read(character));
        scan.end_word();
        assert_eq!((scan.numbers, scan.lines, scan.questions, scan.choices), (3, 3, 1, 2));
        assert_eq!((scan.markers[0], scan.markers[5]), (1, 1));
        assert_eq!((scan.words, scan.letters), (8, 4 + 2 + 1 + 7 + 1 + 3 + 1 + 1));
    }

    #[test]
    fn words_are_those_of_their_script_and_case_does_not_count() {
        let buckets = |text: &str| features(text).words.iter().map(|(bucket, _)| *bucket).collect::<Vec<_>>();
        assert_eq!(buckets("Straße, ÄRGER"), buckets("straße ärger!"));
        // Three words and two pairs.
        assert_eq!(buckets("你好吗").len(), 5);
        assert_eq!(buckets("").len(), 0);
    }

    #[test]
    fn words_have_the_length_one() {
        let words = features("one two two three three three").words;
        let length: f32 = words.iter().map(|(_, weight)| weight * weight).sum();
        assert!((length - 1.0).abs() < 1e-5 && words.len() == 7, "{words:?}");
    }
}

//! Intents by examples: how often the right one is found, and how often none where there is none.

use std::{collections::BTreeMap, fmt::Write, path::Path};

use tollgate_policy::classify::intents::Intents;

use crate::{folder, page, sets::rows};

/// A set of sentences whose intents are known; those of no intent stand apart.
struct Sentences {
    examples: BTreeMap<String, Vec<String>>,
    tests: Vec<(String, String)>,
    outside: Vec<String>,
}

#[test]
fn intents_are_found_and_none_where_there_is_none() {
    let Some(folder) = folder() else { return };
    let clinc = read(&folder, "intent_clinc150");
    let banking = read(&folder, "intent_banking77");
    let mut table = "| set | intents | examples of each | right intent | right, above the threshold | wrong intent | wrongly none | out of scope: none |\n| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |\n".to_owned();
    let mut line = |name: &str, found: &Outcome| {
        let _ = writeln!(table, "| {name} | {found} |");
    };
    let whole = measure(&clinc, 150, 20);
    line("CLINC150", &whole);
    line("CLINC150", &measure(&clinc, 150, 5));
    let few = measure(&clinc, 10, 10);
    line("CLINC150, ten intents at a time", &few);
    line("CLINC150, ten intents at a time", &measure(&clinc, 10, 5));
    line("CLINC150, three intents at a time", &measure(&clinc, 3, 5));
    let bank = measure(&banking, 77, 20);
    line("Banking77", &bank);
    line("Banking77", &measure(&banking, 77, 5));
    page::check("intents", &table);
    assert!(whole.share(whole.nearest) > 0.85 && bank.share(bank.nearest) > 0.77);
    assert!(whole.share(whole.none) < 0.08 && whole.outside_none as f64 > 0.55 * whole.outside as f64);
    assert!(few.share(few.right) > 0.8 && few.outside_none as f64 > 0.8 * few.outside as f64);
}

fn read(folder: &Path, file: &str) -> Sentences {
    let rows = rows(&folder.join("routing").join(file).with_extension("jsonl.gz"))
        .expect("the file is in the folder");
    let mut sentences = Sentences { examples: BTreeMap::new(), tests: Vec::new(), outside: Vec::new() };
    for row in rows {
        let [text, intent, split] =
            ["text", "intent", "split"].map(|name| row[name].as_str().unwrap_or_default().to_owned());
        match (split.as_str(), intent.as_str()) {
            ("train", "oos") => {}
            ("train", _) => sentences.examples.entry(intent).or_default().push(text),
            (_, "oos") => sentences.outside.push(text),
            (_, _) => sentences.tests.push((intent, text)),
        }
    }
    sentences
}

#[derive(Default)]
struct Outcome {
    intents: usize,
    examples: usize,
    tests: usize,
    /// The nearest intent is the right one, whatever its score.
    nearest: usize,
    right: usize,
    none: usize,
    outside: usize,
    outside_none: usize,
}

impl Outcome {
    fn share(&self, part: usize) -> f64 {
        part as f64 / self.tests as f64
    }
}

impl std::fmt::Display for Outcome {
    fn fmt(&self, to: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let share = |part: usize| format!("{:.1} %", 100.0 * self.share(part));
        let wrong = self.tests - self.right - self.none;
        write!(to, "{} | {} | {} | {}", self.intents, self.examples, share(self.nearest), share(self.right))?;
        write!(to, " | {} | {} | ", share(wrong), share(self.none))?;
        if self.outside == 0 {
            return to.write_str("not measured");
        }
        write!(to, "{:.1} %", 100.0 * self.outside_none as f64 / self.outside as f64)
    }
}

/// How many groups are measured: more take time and change little.
const GROUPS_MAX: usize = 10;

/// Measures groups of intents of this size, with the sentences of all other groups as out of scope beside those that
/// are of no intent.
fn measure(sentences: &Sentences, group: usize, examples: usize) -> Outcome {
    let mut outcome = Outcome { intents: group, examples, ..Outcome::default() };
    let all: Vec<(&str, &[String])> = sentences
        .examples
        .iter()
        .map(|(name, texts)| (name.as_str(), &texts[..examples.min(texts.len())]))
        .collect();
    // Intents of one group lie apart in the alphabet, where neighbours are often of one kind.
    let groups = all.len() / group;
    for first in 0..groups.min(GROUPS_MAX) {
        let chosen: Vec<(&str, &[String])> = all.iter().skip(first).step_by(groups).copied().collect();
        let intents = Intents::by_words(&chosen);
        let lax = Intents::by_words(&chosen).with_threshold(0.0);
        for (intent, text) in &sentences.tests {
            let found = intents.find(text).map(|found| found.name);
            if chosen.iter().any(|(name, _)| name == intent) {
                outcome.tests += 1;
                outcome.nearest += usize::from(lax.find(text).is_some_and(|found| found.name == intent));
                outcome.right += usize::from(found == Some(intent));
                outcome.none += usize::from(found.is_none());
            } else {
                outcome.outside += 1;
                outcome.outside_none += usize::from(found.is_none());
            }
        }
        outcome.outside += sentences.outside.len();
        outcome.outside_none += sentences.outside.iter().filter(|text| intents.find(text).is_none()).count();
    }
    outcome
}

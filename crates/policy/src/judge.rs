//! What can be told of a request by reading what its user wants: for rules that ask.

use std::sync::OnceLock;

use crate::{
    classify::{difficulty::difficulty, intents::Intents},
    rule::Judge,
};

/// Reads a text once something is asked of it.
pub struct Reader<'r> {
    text: Option<&'r str>,
    intents: Option<&'r Intents>,
    difficulty: OnceLock<f64>,
    intent: OnceLock<String>,
}

impl<'r> Reader<'r> {
    /// `intents` are those that the configuration gives by examples.
    pub fn new(text: Option<&'r str>, intents: Option<&'r Intents>) -> Reader<'r> {
        Reader { text, intents, difficulty: OnceLock::new(), intent: OnceLock::new() }
    }
}

impl Judge for Reader<'_> {
    fn difficulty(&self) -> Option<f64> {
        let text = self.text?;
        Some(*self.difficulty.get_or_init(|| f64::from(difficulty(text))))
    }

    fn intent(&self) -> Option<&str> {
        let (text, intents) = self.text.zip(self.intents)?;
        let find = || intents.find(text).map(|intent| intent.name.to_owned()).unwrap_or_default();
        Some(self.intent.get_or_init(find))
    }
}

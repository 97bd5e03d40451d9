//! What the configuration refers to and this crate does not touch itself.

use std::{io, path::Path};

/// Files, variables and commands, as the process that loads the configuration sees them.
pub trait Sources {
    fn read_file(&self, path: &Path) -> io::Result<String>;
    fn variable(&self, name: &str) -> Option<String>;
    /// Runs a program without a shell and returns what it prints.
    fn command(&self, words: &[String]) -> Result<String, String>;
}

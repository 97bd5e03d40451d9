//! What the configuration refers to and this crate does not touch itself.

use std::{io, path::Path};

use crate::secret_store::StoredName;

/// Files, variables and commands, as the process that loads the configuration sees them.
pub trait Sources {
    fn read_file(&self, path: &Path) -> io::Result<String>;
    fn variable(&self, name: &str) -> Option<String>;
    /// Runs a program without a shell and returns what it prints.
    fn command(&self, words: &[String]) -> Result<String, String>;
    /// What a store of secrets has said, or why it has not. Stores are asked before (see [`read`](super::read)).
    fn stored(&self, _: &StoredName) -> Result<String, String> {
        Err("its store was not asked".to_owned())
    }
}

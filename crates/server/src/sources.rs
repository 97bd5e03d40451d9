//! Files, variables and commands, for the configuration.

use std::{
    fs, io,
    path::Path,
    process::{Command, Stdio},
};

use policy::config::Sources;

/// This process's own surroundings.
pub struct System;

impl Sources for System {
    fn read_file(&self, path: &Path) -> io::Result<String> {
        fs::read_to_string(path)
    }

    fn variable(&self, name: &str) -> Option<String> {
        std::env::var(name).ok()
    }

    fn command(&self, words: &[String]) -> Result<String, String> {
        let (program, arguments) = words.split_first().ok_or("names no program")?;
        let output =
            Command::new(program).args(arguments).stdin(Stdio::null()).stderr(Stdio::inherit()).output();
        let output = output.map_err(|error| format!("{program}: {error}"))?;
        if !output.status.success() {
            return Err(format!("{program} ended with {}", output.status));
        }
        String::from_utf8(output.stdout).map_err(|_| format!("{program} printed no text"))
    }
}

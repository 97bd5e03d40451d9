//! `tollgate check`, `tollgate schema` and `tollgate openapi`.

use std::{path::Path, process::ExitCode};

use policy::{
    Snapshot,
    config::{self, Problem, Problems},
};
use serde_json::{Value, json};

use super::{say, say_error};

pub(crate) fn run(file: &Path, as_json: bool) -> ExitCode {
    let (errors, warnings, shown) = match server::SecretStores::default().load_and_wait(file) {
        Ok(loaded) if !server::unread(&loaded.snapshot).is_empty() => {
            let problems = unread(file, &loaded.snapshot);
            let shown = problems.to_string();
            (problems.0, loaded.warnings, shown)
        }
        Ok(loaded) => {
            let count = loaded.snapshot.providers.len();
            (Vec::new(), loaded.warnings, format!("{}: good, {count} providers switched on", file.display()))
        }
        Err(problems) => {
            let shown = problems.to_string();
            (problems.0, Vec::new(), shown)
        }
    };
    let good = errors.is_empty();
    if as_json {
        let list = |problems: &[Problem]| problems.iter().map(problem).collect::<Vec<Value>>();
        say(&json!({"good": good, "errors": list(&errors), "warnings": list(&warnings)}).to_string());
    } else {
        for warning in &warnings {
            say_error(&format!("warning: {warning}"));
        }
        if good { say(&shown) } else { say_error(&shown) }
    }
    if good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Files that a start would stumble over, at the settings that name them.
fn unread(file: &Path, snapshot: &Snapshot) -> Problems {
    match config::read(file, &server::System) {
        Ok(read) => {
            let unread = server::unread(snapshot).into_iter();
            Problems(unread.map(|unread| read.problem(unread.setting, unread.message)).collect())
        }
        Err(problems) => problems,
    }
}

pub(crate) fn schema() -> anyhow::Result<()> {
    say(&serde_json::to_string_pretty(&config::schema())?);
    Ok(())
}

pub(crate) fn openapi() -> anyhow::Result<()> {
    say(&serde_json::to_string_pretty(&server::openapi())?);
    Ok(())
}

fn problem(problem: &Problem) -> Value {
    json!({
        "file": problem.file, "line": problem.line, "column": problem.column,
        "path": problem.path, "message": problem.message,
    })
}

//! How well routing by content does on labelled sets: a folder named by `TOLLGATE_EVAL`. Without it there is nothing
//! to measure, and the tests say so. The figures stand in `docs/content-routing.md`.

#[path = "../../../../xtask/src/train/curve.rs"]
mod curve;
mod difficulty;
mod intents;
mod measures;
mod page;
#[path = "../../../../xtask/src/train/sets.rs"]
#[expect(dead_code, reason = "what only the trainer reads")]
mod sets;

use std::{env, path::PathBuf};

/// The folder of the labelled sets, or nothing and a word about it.
fn folder() -> Option<PathBuf> {
    let folder = env::var_os("TOLLGATE_EVAL").map(PathBuf::from);
    if folder.is_none() {
        eprintln!("skipped: TOLLGATE_EVAL names no folder of labelled sets");
    }
    folder
}

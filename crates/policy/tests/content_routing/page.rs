//! The page of figures.

use std::{fs, path::Path, sync::Mutex};

/// Tests that write the page take turns.
static TURN: Mutex<()> = Mutex::new(());

/// Checks that a part of the page is what was measured, or writes it with `TOLLGATE_UPDATE`.
pub(crate) fn check(part: &str, measured: &str) {
    let _turn = TURN.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/content-routing.md");
    let page = fs::read_to_string(&path).expect("the page is in the repository");
    let begin = format!("<!-- measured: {part} -->\n");
    let (before, rest) = page.split_once(&begin).expect("the page has a place for each part");
    let (_, after) = rest.split_once("<!-- end -->").expect("each part of the page has an end");
    let made = format!("{before}{begin}\n{measured}\n<!-- end -->{after}");
    if std::env::var_os("TOLLGATE_UPDATE").is_some() {
        fs::write(&path, &made).expect("the page can be written");
    }
    let stored = fs::read_to_string(&path).expect("the page is in the repository");
    assert!(
        stored == made,
        "docs/content-routing.md is old: run TOLLGATE_UPDATE=1 cargo test -p tollgate-policy\n{measured}"
    );
}

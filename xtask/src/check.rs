//! Format, lints, dependencies, rules.

use crate::{run, tidy};

pub(crate) fn run() -> anyhow::Result<()> {
    run::must(&["cargo", "fmt", "--all", "--check"])?;
    run::must(&["cargo", "clippy", "--quiet", "--workspace", "--all-targets", "--", "-D", "warnings"])?;
    if run::answers(&["cargo", "deny", "--version"]) {
        run::must(&["cargo", "deny", "--offline", "check", "bans", "licenses", "sources"])?;
    } else {
        run::say("skipped: cargo-deny is not installed (cargo install cargo-deny)");
    }
    tidy::run()
}

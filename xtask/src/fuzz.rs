//! `cargo xtask fuzz`: libFuzzer on the stable compiler, over the ways in.

use crate::run;

const TARGETS: [&str; 6] = ["envelope", "request", "whole", "stream", "forms", "multipart"];

/// What cargo-fuzz would set, but for the sanitizers, which need a nightly compiler and which safe code can do without.
const FLAGS: &str = "-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
                     -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
                     -Ccodegen-units=1 --cfg fuzzing";

pub(crate) fn run(only: Option<&str>, seconds: u32) -> anyhow::Result<()> {
    let chosen: Vec<&str> =
        TARGETS.into_iter().filter(|target| only.is_none_or(|only| only == *target)).collect();
    anyhow::ensure!(!chosen.is_empty(), "there is no such target; use one of: {}", TARGETS.join(", "));
    let root = run::root();
    let seeds = root.join("crates/wire/tests/fixtures");
    for target in chosen {
        let corpus = run::target().join("fuzz-corpus").join(target);
        std::fs::create_dir_all(&corpus)?;
        let mut command = run::command(&["cargo", "run", "--release", "--quiet", "--bin", target]);
        // A target of its own keeps the flags away from build scripts.
        command
            .args(["--target", "x86_64-unknown-linux-gnu", "--target-dir"])
            .arg(run::target().join("fuzz"));
        command
            .arg("--")
            .arg(format!("-max_total_time={seconds}"))
            .args(["-max_len=16384", "-print_final_stats=1"]);
        command.arg(&corpus);
        let dialects = std::fs::read_dir(&seeds)?
            .flatten()
            .flat_map(|dialect| std::fs::read_dir(dialect.path()).into_iter().flatten().flatten());
        command.args(dialects.map(|case| case.path()));
        let own = root.join("fuzz/seeds").join(target);
        command.args(own.is_dir().then_some(own));
        command.current_dir(root.join("fuzz")).env("RUSTFLAGS", FLAGS);
        run::say(&format!("fuzzing {target} for {seconds} s"));
        anyhow::ensure!(command.status()?.success(), "{target} found something");
    }
    Ok(())
}

//! Running programs.

use std::{
    env,
    io::{self, BufRead, BufReader, Write},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context, bail};

pub(crate) fn say(text: &str) {
    let _ = writeln!(io::stdout().lock(), "{text}");
}

/// The root of the checkout.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().map_or_else(|| PathBuf::from("."), Path::to_owned)
}

/// Where builds go.
pub(crate) fn target() -> PathBuf {
    let target = env::var_os("CARGO_TARGET_DIR").map_or_else(|| PathBuf::from("target"), PathBuf::from);
    root().join(target)
}

/// A program in the root of the checkout.
pub(crate) fn command(words: &[&str]) -> Command {
    let mut words = words.iter();
    let mut command = Command::new(words.next().expect("a command has a program"));
    command.args(words).current_dir(root());
    command
}

/// Runs a program and fails when it does.
pub(crate) fn must(words: &[&str]) -> anyhow::Result<()> {
    say(&format!("$ {}", words.join(" ")));
    let status = command(words).status().with_context(|| words.join(" "))?;
    if !status.success() {
        bail!("{} ended with {status}", words.join(" "));
    }
    Ok(())
}

/// Whether a program answers.
pub(crate) fn answers(words: &[&str]) -> bool {
    let ran = command(words).stdout(Stdio::null()).stderr(Stdio::null()).status();
    ran.is_ok_and(|status| status.success())
}

/// Runs a program, shows what it prints, and returns that and whether it did well.
pub(crate) fn watched(command: &mut Command) -> anyhow::Result<(String, bool)> {
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    let errors = child.stderr.take().context("the program's errors are piped")?;
    // Errors are read on a thread of their own, so that neither pipe fills up.
    let reader = std::thread::spawn(move || echo(errors));
    let mut text = echo(child.stdout.take().context("the program's output is piped")?);
    text.push_str(&reader.join().unwrap_or_default());
    Ok((text, child.wait()?.success()))
}

fn echo(pipe: impl io::Read) -> String {
    let mut text = String::new();
    for line in BufReader::new(pipe).lines().map_while(Result::ok) {
        say(&line);
        text.push_str(&line);
        text.push('\n');
    }
    text
}

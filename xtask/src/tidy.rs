//! Rules that keep the house in order. Each is a function from a file to what is wrong with it.

use std::{fs, path::Path};

use anyhow::{Context, bail};

use crate::run;

/// The longest file, its tests apart.
const LINES_MAX: usize = 500;
/// The most packages in the lock file.
const PACKAGES_MAX: usize = 350;

/// Crates that do no input or output and read no clock.
const PURE: [&str; 3] = ["crates/wire/", "crates/catalog/", "crates/policy/"];
const IMPURE: [&str; 10] = [
    "tokio::",
    "hyper::",
    "rusqlite",
    "postgres::",
    "std::net::Tcp",
    "std::fs",
    "Instant::now",
    "SystemTime::now",
    "std::thread",
    "std::process",
];

struct File<'f> {
    path: &'f str,
    text: &'f str,
}

type Rule = fn(&File<'_>) -> Vec<(usize, String)>;

/// Every rule, by the name under which it is reported.
const RULES: [(&str, Rule); 8] = [
    ("pure crates do no input or output", purity),
    ("SQL stands only in the store", sql),
    ("a file has 500 lines at most", length),
    ("nothing is unfinished or skipped", unfinished),
    ("lints are expected with a reason, not allowed", allow),
    ("a mod.rs holds no logic", mod_rs),
    ("a crate says what it promises", crate_docs),
    ("type names are nouns of the domain", type_names),
];

pub(crate) fn run() -> anyhow::Result<()> {
    let listed = run::command(&["git", "ls-files", "--cached", "--others", "--exclude-standard"]).output()?;
    let listed = String::from_utf8(listed.stdout)?;
    let mut problems = Vec::new();
    for path in listed.lines() {
        let Ok(text) = fs::read_to_string(run::root().join(path)) else { continue };
        problems.extend(places(path, &text));
        if Path::new(path).extension().is_some_and(|extension| extension == "rs") {
            problems.extend(check(&File { path, text: &text }));
        }
    }
    let lock = fs::read_to_string(run::root().join("Cargo.lock")).context("Cargo.lock")?;
    let packages = lock.matches("[[package]]").count();
    if packages > PACKAGES_MAX {
        problems.push(format!("Cargo.lock: {packages} packages, {PACKAGES_MAX} at most"));
    }
    if problems.is_empty() {
        return Ok(());
    }
    bail!("the house is not in order\n{}", problems.join("\n"));
}

fn check(file: &File<'_>) -> Vec<String> {
    let found = RULES.iter().flat_map(|(name, rule)| rule(file).into_iter().map(move |found| (name, found)));
    found.map(|(name, (line, what))| format!("{}:{line}: {what} ({name})", file.path)).collect()
}

/// Words of one machine do not belong in the repository.
fn places(path: &str, text: &str) -> Vec<String> {
    let bad = [concat!("/wo", "rk/"), concat!("/ro", "ot/"), concat!("index.crates", ".io")];
    let lines = text.lines().enumerate();
    let found = lines.filter(|(_, line)| path != "Cargo.lock" && bad.iter().any(|word| line.contains(word)));
    found.map(|(at, _)| format!("{path}:{}: names a place of one machine", at + 1)).collect()
}

/// Lines of production code: everything before the tests at the bottom; nothing of what tests or measures it.
fn production<'f>(file: &File<'f>) -> impl Iterator<Item = (usize, &'f str)> + use<'f> {
    let tested = file.path.contains("/tests/") || file.path.contains("/benches/");
    file.text
        .lines()
        .take_while(move |line| !tested && !line.starts_with("#[cfg(test)]"))
        .enumerate()
        .map(|(at, line)| (at + 1, line))
}

fn purity(file: &File<'_>) -> Vec<(usize, String)> {
    let pure = PURE.iter().any(|root| file.path.starts_with(root)) && !file.path.ends_with("build.rs");
    let code = production(file).filter(|(_, line)| pure && !line.trim_start().starts_with("//"));
    let found = code.filter_map(|(at, line)| Some((at, IMPURE.iter().find(|word| line.contains(**word))?)));
    found.map(|(at, word)| (at, format!("mentions {word}"))).collect()
}

fn sql(file: &File<'_>) -> Vec<(usize, String)> {
    let outside = file.path.starts_with("crates/") && !file.path.starts_with("crates/store/");
    let words = ["\"SELECT ", "\"INSERT ", "\"UPDATE ", "\"DELETE FROM", "\"CREATE TABLE"];
    let found = production(file).filter(|(_, line)| outside && words.iter().any(|word| line.contains(word)));
    found.map(|(at, _)| (at, "holds SQL".to_owned())).collect()
}

fn length(file: &File<'_>) -> Vec<(usize, String)> {
    let lines = production(file).count();
    if lines > LINES_MAX { vec![(lines, format!("has {lines} lines"))] } else { Vec::new() }
}

fn unfinished(file: &File<'_>) -> Vec<(usize, String)> {
    let words = [
        concat!("TO", "DO"),
        concat!("FIX", "ME"),
        concat!("to", "do!("),
        concat!("unimpl", "emented!("),
        concat!("#[ig", "nore"),
    ];
    let lines =
        file.text.lines().enumerate().filter(|(_, line)| words.iter().any(|word| line.contains(word)));
    lines.map(|(at, _)| (at + 1, "is unfinished".to_owned())).collect()
}

fn allow(file: &File<'_>) -> Vec<(usize, String)> {
    let word = concat!("#[al", "low(");
    let lines = file.text.lines().enumerate().filter(|(_, line)| line.contains(word));
    lines.map(|(at, _)| (at + 1, "allows a lint".to_owned())).collect()
}

/// Constructors that choose among the members are part of the list.
fn mod_rs(file: &File<'_>) -> Vec<(usize, String)> {
    let lists = file.path.ends_with("/mod.rs") && !file.path.contains("/dialects/");
    let found =
        production(file).filter(|(_, line)| lists && line.contains("fn ") && !line.contains("fn file_name"));
    found.map(|(at, _)| (at, "holds a function".to_owned())).collect()
}

fn crate_docs(file: &File<'_>) -> Vec<(usize, String)> {
    let crate_root = file.path.starts_with("crates/") && file.path.ends_with("src/lib.rs");
    if crate_root && !file.text.starts_with("//! ") {
        vec![(1, "opens without documentation".to_owned())]
    } else {
        Vec::new()
    }
}

fn type_names(file: &File<'_>) -> Vec<(usize, String)> {
    let banned = ["Manager", "Handler", "Helper", "Util", "Utils", "Service", "Data", "Info"];
    let mut found = Vec::new();
    for (at, line) in production(file).filter(|_| file.path.starts_with("crates/")) {
        let words: Vec<&str> =
            line.split(|letter: char| !letter.is_alphanumeric() && letter != '_').collect();
        for pair in words.windows(2) {
            let [kind, name] = pair else { continue };
            if matches!(*kind, "struct" | "enum" | "trait") && banned.iter().any(|word| name.ends_with(word))
            {
                found.push((at, format!("{name} says nothing of what it is")));
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_rule_can_fail() {
        let long = "let x = 1;\n".repeat(LINES_MAX + 1);
        let samples = [
            ("crates/wire/src/a.rs", "use std::fs;"),
            ("crates/server/src/a.rs", "let query = \"SELECT 1\";"),
            ("crates/server/src/b.rs", long.as_str()),
            ("crates/server/src/c.rs", concat!("// TO", "DO: later")),
            ("crates/server/src/d.rs", concat!("#[al", "low(dead_code)]")),
            ("crates/server/src/e/mod.rs", "fn logic() {}"),
            ("crates/server/src/lib.rs", "mod a;"),
            ("crates/server/src/f.rs", "pub struct CallManager;"),
        ];
        for ((path, text), (name, _)) in samples.iter().zip(RULES) {
            let problems = check(&File { path, text });
            assert!(problems.iter().any(|problem| problem.contains(name)), "{name}: {problems:?}");
        }
    }
}

//! Everything that must hold, in one command.

use std::{
    env, fs,
    path::PathBuf,
    process::ExitCode,
    time::{Duration, Instant},
};

use anyhow::bail;
use clap::ValueEnum;

use crate::{check, run, services::Services};

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Part {
    Check,
    Rust,
    Sdk,
    Frameworks,
    Chaos,
    Access,
}

/// A virtual environment.
struct Environment {
    /// The list of its packages.
    list: &'static str,
    /// Its folder, where builds go.
    folder: &'static str,
}

/// The providers' own SDKs.
const SDKS: Environment = Environment { list: "tests/requirements.txt", folder: "python" };
/// Libraries over the SDKs, which hold them to versions of their own.
const FRAMEWORKS: Environment =
    Environment { list: "tests/requirements-frameworks.txt", folder: "python-frameworks" };

/// Programs for Node that tests run, with the lock file of their packages.
struct Programs {
    /// Where they stand.
    source: &'static str,
    /// The folder to which they are copied, where builds go.
    folder: &'static str,
    /// The variable that names that folder to tests.
    variable: &'static str,
}

/// JavaScript's clients.
const CLIENTS: Programs = Programs { source: "tests/node", folder: "node", variable: "TOLLGATE_NODE" };
/// An identity provider.
const PROVIDER: Programs = Programs { source: "tests/idp", folder: "idp", variable: "TOLLGATE_IDP" };

/// Tests that ran.
#[derive(Clone, Copy, Default)]
struct Count {
    passed: u64,
    failed: u64,
    skipped: u64,
}

pub(crate) fn run(only: Option<Part>) -> ExitCode {
    let parts = [Part::Check, Part::Rust, Part::Sdk, Part::Frameworks, Part::Chaos, Part::Access];
    let chosen = parts.into_iter().filter(|part| only.is_none_or(|only| only == *part));
    // They run as long as this function does.
    let services = match only {
        Some(Part::Check) => None,
        None | Some(Part::Rust | Part::Sdk | Part::Frameworks | Part::Chaos | Part::Access) => {
            match Services::start() {
                Ok(services) => Some(services),
                Err(error) => {
                    run::say(&format!("xtask: {error:#}"));
                    return ExitCode::FAILURE;
                }
            }
        }
    };
    let found = services.as_ref().map_or(&[][..], |services| services.variables.as_slice());
    let mut sum = Count::default();
    let mut table: Vec<(Part, Duration, String)> = Vec::new();
    for part in chosen {
        let began = Instant::now();
        let done = match part {
            Part::Check => check::run().map(|()| Count { passed: 1, ..Count::default() }),
            Part::Rust => rust(found),
            Part::Sdk => python(&SDKS, "tests/sdk", Some(&CLIENTS), found),
            Part::Frameworks => python(&FRAMEWORKS, "tests/frameworks", None, found),
            Part::Chaos => python(&SDKS, "tests/chaos", None, found),
            Part::Access => python(&SDKS, "tests/access", Some(&PROVIDER), found),
        };
        let shown = match done {
            Ok(count) => {
                sum.passed += count.passed;
                sum.failed += count.failed;
                sum.skipped += count.skipped;
                format!("{} passed, {} failed, {} skipped", count.passed, count.failed, count.skipped)
            }
            Err(error) => {
                sum.failed += 1;
                format!("failed: {error:#}")
            }
        };
        table.push((part, began.elapsed(), shown));
    }
    run::say("");
    for (part, took, shown) in table {
        run::say(&format!("{:<10} {:>5} s  {shown}", format!("{part:?}").to_lowercase(), took.as_secs()));
    }
    run::say(&format!("{} passed, {} failed, {} skipped", sum.passed, sum.failed, sum.skipped));
    if sum.failed == 0 && sum.passed > 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// What tests read that is no part of the checkout, the variable that names its folder, and where it is looked for.
const BESIDE: [(&str, &str, &str); 2] = [
    ("recorded provider traffic", "TOLLGATE_CORPUS", "../shared/corpus"),
    ("labelled sets", "TOLLGATE_EVAL", "../shared/eval"),
];

/// The Rust tests, with recorded traffic and labelled sets where there are some.
fn rust(found: &[(&str, String)]) -> anyhow::Result<Count> {
    let nextest = run::answers(&["cargo", "nextest", "--version"]);
    let words: &[&str] = if nextest {
        &[
            "cargo",
            "nextest",
            "run",
            "--workspace",
            "--no-fail-fast",
            "--hide-progress-bar",
            "--status-level",
            "fail",
        ]
    } else {
        run::say("cargo-nextest is not installed: cargo test runs the tests");
        &["cargo", "test", "--workspace", "--no-fail-fast"]
    };
    let mut command = run::command(words);
    command.envs(found.iter().map(|(name, value)| (name, value)));
    for (what, variable, folder) in BESIDE {
        match fs::canonicalize(run::root().join(folder)) {
            Ok(folder) => {
                run::say(&format!("{what}: found beside the checkout"));
                command.env(variable, folder);
            }
            Err(_) => {
                run::say(&format!("{what}: none beside the checkout, its tests say that they are skipped"));
            }
        }
    }
    let (text, good) = run::watched(&mut command)?;
    let count = if nextest { nextest_count(&text) } else { cargo_count(&text) };
    if !good && count.failed == 0 {
        bail!("the tests could not be run");
    }
    Ok(count)
}

/// `Summary [ 1.2s] 10 tests run: 9 passed (1 slow), 1 failed, 2 skipped`
fn nextest_count(text: &str) -> Count {
    let line = text.lines().rev().find(|line| line.contains("tests run:")).unwrap_or_default();
    words_count(line.split_once("tests run:").map_or("", |(_, rest)| rest))
}

/// `test result: ok. 5 passed; 0 failed; 0 ignored; …`, once for each binary.
fn cargo_count(text: &str) -> Count {
    let lines = text.lines().filter(|line| line.starts_with("test result:"));
    lines.map(words_count).fold(Count::default(), |sum, one| Count {
        passed: sum.passed + one.passed,
        failed: sum.failed + one.failed,
        skipped: sum.skipped + one.skipped,
    })
}

/// Numbers before the words that runners use.
fn words_count(line: &str) -> Count {
    let mut count = Count::default();
    let words: Vec<&str> = line.split_whitespace().collect();
    for pair in words.windows(2) {
        let [number, word] = pair else { continue };
        let Ok(number) = number.parse::<u64>() else { continue };
        match word.trim_end_matches([',', ';']) {
            "passed" => count.passed += number,
            "failed" | "errors" | "error" => count.failed += number,
            "skipped" | "ignored" => count.skipped += number,
            _ => {}
        }
    }
    count
}

/// Tests in Python that drive the built binary with real clients; those that need programs for Node skip where there is none.
fn python(
    environment: &Environment,
    folder: &str,
    programs: Option<&Programs>,
    found: &[(&str, String)],
) -> anyhow::Result<Count> {
    run::must(&["cargo", "build", "--quiet", "--package", "tollgate"])?;
    let Some(python) = environment.made()? else {
        missing(folder, "python3 with venv, and PyPI once")?;
        return Ok(Count { skipped: 1, ..Count::default() });
    };
    let mut command = run::command(&[&python.to_string_lossy(), "-m", "pytest", "-q", "--color=no", folder]);
    command.envs(found.iter().map(|(name, value)| (name, value)));
    command.env("TOLLGATE_BIN", run::target().join("debug/tollgate"));
    if let Some(programs) = programs {
        match programs.made()? {
            Some(folder) => {
                command.env(programs.variable, folder);
            }
            None => missing(programs.source, "node with npm, and npm's registry once")?,
        }
    }
    let (text, good) = run::watched(&mut command)?;
    let line = text
        .lines()
        .rev()
        .find(|line| line.contains(" passed") || line.contains(" failed") || line.contains(" error"));
    let count = words_count(line.unwrap_or_default());
    if !good && count.failed == 0 {
        bail!("pytest could not run the tests of {folder}");
    }
    Ok(count)
}

/// Says what is skipped for want of something, which CI must have.
fn missing(skipped: &str, wanted: &str) -> anyhow::Result<()> {
    if env::var_os("CI").is_some() {
        bail!("{skipped} needs {wanted}");
    }
    run::say(&format!("skipped: {skipped} needs {wanted}"));
    Ok(())
}

impl Environment {
    /// Its Python, unless it cannot be made; made anew when the list of packages has changed.
    fn made(&self) -> anyhow::Result<Option<PathBuf>> {
        let folder = run::target().join(self.folder);
        let python = folder.join("bin/python");
        let wanted = fs::read_to_string(run::root().join(self.list))?;
        let stamp = folder.join("requirements.txt");
        if python.exists() && fs::read_to_string(&stamp).is_ok_and(|installed| installed == wanted) {
            return Ok(Some(python));
        }
        let path = folder.to_string_lossy().into_owned();
        if run::must(&["python3", "-m", "venv", "--clear", &path]).is_err() {
            return Ok(None);
        }
        let pip = python.to_string_lossy().into_owned();
        let install =
            [&pip, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r", self.list];
        if run::must(&install).is_err() {
            return Ok(None);
        }
        fs::write(stamp, wanted)?;
        Ok(Some(python))
    }
}

impl Programs {
    /// A copy of them with their packages, installed anew when the lock file has changed.
    fn made(&self) -> anyhow::Result<Option<PathBuf>> {
        let source = run::root().join(self.source);
        let folder = run::target().join(self.folder);
        fs::create_dir_all(&folder)?;
        for entry in fs::read_dir(&source)? {
            let entry = entry?;
            if entry.file_type()?.is_file() {
                fs::copy(entry.path(), folder.join(entry.file_name()))?;
            }
        }
        let wanted = fs::read_to_string(source.join("package-lock.json"))?;
        let stamp = folder.join("node_modules/installed.json");
        if fs::read_to_string(&stamp).is_ok_and(|installed| installed == wanted) {
            return Ok(Some(folder));
        }
        let path = folder.to_string_lossy().into_owned();
        let install = ["npm", "ci", "--no-audit", "--no-fund", "--loglevel", "error", "--prefix", &path];
        if run::must(&install).is_err() {
            return Ok(None);
        }
        fs::write(stamp, wanted)?;
        Ok(Some(folder))
    }
}

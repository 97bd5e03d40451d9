//! The command itself: reads, writes what it made of it, and tells.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, bail};
use clap::{Args, Subcommand};
use policy::{Secret, config};

use super::{
    bifrost,
    draft::Draft,
    litellm, one_api, portkey,
    registry::{self, Outcome, Thing},
    report::Report,
    work::{Work, put},
    yaml,
};
use crate::commands::{Place, say, say_error};

#[derive(Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    source: Source,
    #[command(flatten)]
    to: To,
}

#[derive(Subcommand)]
enum Source {
    /// LiteLLM's config.yaml and, with --database, its organizations, teams, users, keys and budgets.
    #[command(
        after_help = "Example: tollgate import litellm config.yaml --database postgres://… --report report.md"
    )]
    Litellm {
        file: PathBuf,
        /// LiteLLM's PostgreSQL, which is only read: postgres://USER:PASSWORD@HOST/DATABASE
        #[arg(long, env = "LITELLM_DATABASE_URL", hide_env_values = true)]
        database: Option<String>,
    },
    /// Portkey's configs, as JSON: one, or several by their names.
    #[command(after_help = "Example: tollgate import portkey config.json")]
    Portkey { file: PathBuf },
    /// The database of one-api or new-api: channels, groups, users and tokens.
    #[command(
        after_help = "Example: tollgate import one-api one-api.db --data-dir tollgate-data --report report.md"
    )]
    OneApi {
        /// Its SQLite file, which is only read.
        file: Option<PathBuf>,
        /// Its PostgreSQL instead, which is only read: postgres://USER:PASSWORD@HOST/DATABASE
        #[arg(long, env = "ONE_API_DATABASE_URL", hide_env_values = true, conflicts_with = "file")]
        database: Option<String>,
    },
    /// Bifrost's config.json.
    #[command(after_help = "Example: tollgate import bifrost config.json")]
    Bifrost { file: PathBuf },
}

#[derive(Args)]
struct To {
    /// The configuration to write.
    #[arg(long, global = true, default_value = "tollgate.yaml")]
    out: PathBuf,
    /// Write the report on every field here, as .md or .json. Default: it is printed.
    #[arg(long, global = true)]
    report: Option<PathBuf>,
    /// Write over files that are there and differ.
    #[arg(long, global = true)]
    force: bool,
    /// Say what would be done, and write nothing but the report.
    #[arg(long, global = true)]
    dry_run: bool,
    #[command(flatten)]
    place: Place,
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let to = &arguments.to;
    let stem =
        to.out.file_stem().map_or_else(|| "tollgate".into(), |stem| stem.to_string_lossy().into_owned());
    let mut work = Work { report: Report::default(), draft: Draft::new(&format!("{stem}-secrets")) };
    let now_us = server::now_us();
    let (name, things, has_database) = read(&arguments.source, now_us, &mut work)?;
    // Without a data directory of its own, the configuration and the registry must agree on the usual one.
    if let Some(path) = to.place.data_dir() {
        let path = std::path::absolute(path)?;
        put(&mut work.draft.top, "data_dir", path.to_string_lossy());
    }
    work.report.variables = work.draft.variables.iter().cloned().collect();
    files(to, &work.draft, &mut work.report)?;
    if has_database {
        let outcome = tenants(to, things, now_us, &mut work.report)?;
        let what = if to.dry_run { "would be: " } else { "" };
        work.report.written.push(format!("the registry: {what}{}", outcome.shown()));
        if outcome.changes_nothing() {
            say("the registry has everything already; nothing was changed");
        }
    }
    tell(to, name, &work.report)?;
    check(to);
    Ok(())
}

/// Reads the source; what it holds for the registry is returned, and whether it has a database.
fn read(source: &Source, now_us: i64, work: &mut Work) -> anyhow::Result<(&'static str, Vec<Thing>, bool)> {
    Ok(match source {
        Source::Litellm { file, database } => {
            let address = database.as_deref().map(Secret::new);
            let tenants = litellm::read(file, address.as_ref(), now_us, work)?;
            ("LiteLLM", tenants.things, address.is_some())
        }
        Source::Portkey { file } => {
            portkey::read(file, work)?;
            ("Portkey", Vec::new(), false)
        }
        Source::OneApi { file, database } => {
            let address = database.as_deref().map(Secret::new);
            ("one-api", one_api::read(file.as_deref(), address.as_ref(), work)?, true)
        }
        Source::Bifrost { file } => {
            bifrost::read(file, work)?;
            ("Bifrost", Vec::new(), false)
        }
    })
}

/// Writes the configuration and the files of secrets that stood in the open.
fn files(to: &To, draft: &Draft, report: &mut Report) -> anyhow::Result<()> {
    let folder = to.out.with_file_name(draft.folder());
    let mut files = vec![(to.out.clone(), yaml::write(&draft.finish()))];
    files.extend(draft.secrets.iter().map(|(name, value)| (folder.join(name), format!("{value}\n"))));
    let differs = |path: &Path, text: &str| fs::read(path).ok().map(|there| there != text.as_bytes());
    for (path, text) in &files {
        if differs(path, text) == Some(true) && !to.force && !to.dry_run {
            bail!(
                "{} is there already and differs; choose another --out, or write over it with --force",
                path.display()
            );
        }
    }
    for (path, text) in &files {
        let is_secret = *path != to.out;
        if differs(path, text) == Some(false) {
            report.written.push(format!("{} is as it would be written", path.display()));
            continue;
        }
        if !to.dry_run {
            if is_secret {
                private_folder(&folder)?;
            }
            write(path, text, is_secret).with_context(|| path.display().to_string())?;
        }
        let what = if is_secret { ", a secret: only its owner can read it" } else { "" };
        report.written.push(format!("{}{what}", path.display()));
    }
    Ok(())
}

fn private_folder(folder: &Path) -> anyhow::Result<()> {
    fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        fs::set_permissions(folder, fs::Permissions::from_mode(0o700))?;
    }
    Ok(())
}

fn write(path: &Path, text: &str, is_secret: bool) -> std::io::Result<()> {
    use std::io::Write;
    let mut options = fs::OpenOptions::new();
    options.create(true).truncate(true).write(true);
    #[cfg(unix)]
    if is_secret {
        use std::os::unix::fs::OpenOptionsExt;
        options.mode(0o600);
    }
    options.open(path)?.write_all(text.as_bytes())
}

fn tenants(to: &To, things: Vec<Thing>, now_us: i64, report: &mut Report) -> anyhow::Result<Outcome> {
    let data = to.place.make()?;
    let outcome = registry::take_over(things, &data, now_us, to.dry_run, report)?;
    if !to.dry_run && !outcome.changes_nothing() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(server::keys_changed(&data)).context("the serving process could not be told")?;
    }
    Ok(outcome)
}

fn tell(to: &To, source: &str, report: &Report) -> anyhow::Result<()> {
    let Some(path) = &to.report else {
        say(&report.markdown(source));
        return Ok(());
    };
    let as_json = path.extension().is_some_and(|extension| extension == "json");
    let text = if as_json {
        format!("{}\n", serde_json::to_string_pretty(&report.json(source))?)
    } else {
        report.markdown(source)
    };
    fs::write(path, text).with_context(|| path.display().to_string())?;
    for line in &report.written {
        say(line);
    }
    say(&format!("{}; see {}", report.summary(), path.display()));
    Ok(())
}

/// Says what is left to do before the configuration can be served.
fn check(to: &To) {
    if to.dry_run {
        return;
    }
    if let Err(problems) = config::load(&to.out, &server::System) {
        say_error(&format!("the configuration is not ready to be served yet:\n{problems}"));
    }
}

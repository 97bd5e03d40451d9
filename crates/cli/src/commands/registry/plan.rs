//! `tollgate plan` and `tollgate apply`.

use std::{path::PathBuf, process::ExitCode};

use clap::Args;
use server::registry::Wanted;

use super::{
    Counter,
    counter::{Consent, File},
    shown,
};
use crate::commands::{Place, say};

/// The exit code of a plan with changes.
const CHANGES: u8 = 2;

#[derive(Args)]
struct Source {
    #[command(flatten)]
    place: Place,
    /// The registry file, in YAML or JSON; - for what comes in.
    file: PathBuf,
    /// End what the registry has and the file has not.
    #[arg(long)]
    prune: bool,
    /// Only what belongs to this organization, by name or id.
    #[arg(long)]
    organization: Option<String>,
    /// Print as JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
#[command(
    after_help = "Exit code: 0 where nothing is to be done, 2 where something is, 1 where something is wrong.\n\
                        Example: tollgate plan registry.yaml --prune"
)]
pub(crate) struct PlanArguments {
    #[command(flatten)]
    source: Source,
}

#[derive(Args)]
#[command(after_help = "Example: tollgate apply registry.yaml --yes")]
pub(crate) struct ApplyArguments {
    #[command(flatten)]
    source: Source,
    #[command(flatten)]
    consent: Consent,
}

impl Source {
    fn open(&self) -> anyhow::Result<(File, Counter, Wanted)> {
        let file = File::read(&self.file)?;
        let counter = Counter::open(&self.place, self.organization.as_deref())?;
        let wanted = Wanted::File { file: file.json.clone(), prune: self.prune };
        Ok((file, counter, wanted))
    }
}

pub(crate) fn plan(arguments: &PlanArguments) -> anyhow::Result<ExitCode> {
    let (file, mut counter, wanted) = arguments.source.open()?;
    let plan = counter.plan(&wanted).map_err(|refused| file.located(refused))?;
    say(&if arguments.source.json { serde_json::to_string(&plan)? } else { shown::plan(&plan) });
    Ok(if plan.changes.is_empty() { ExitCode::SUCCESS } else { CHANGES.into() })
}

pub(crate) fn apply(arguments: &ApplyArguments) -> anyhow::Result<()> {
    let (file, mut counter, wanted) = arguments.source.open()?;
    let plan = counter.plan(&wanted).map_err(|refused| file.located(refused))?;
    counter.agree(&wanted, &plan, (&arguments.consent, arguments.source.json))
}

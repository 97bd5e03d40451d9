//! Where commands plan and apply: the gateway's own database, under its configuration.

use std::{
    io::{IsTerminal, Write, stdin},
    path::{Path, PathBuf},
};

use anyhow::{Context, anyhow, bail};
use clap::Args;
use policy::config::{Document, Problems};
use serde_json::Value;
use server::registry::{Desk, Done, Plan, Refused, Wanted};
use store::{DataDir, Database};

use super::shown;
use crate::commands::{Place, keys::tell, say, say_error};

/// What a plan is carried out with.
pub(crate) struct Counter {
    pub(crate) desk: Desk,
    pub(crate) database: Database,
    data: DataDir,
}

/// How a change is agreed to.
#[derive(Args)]
pub(super) struct Consent {
    /// Do not ask.
    #[arg(long, short)]
    pub(super) yes: bool,
    /// Refuse if what is touched has changed since the registry's clock stood so, as a plan told it.
    #[arg(long, value_name = "CLOCK")]
    pub(super) if_clock: Option<u64>,
}

/// A registry file that was read.
pub(super) struct File {
    pub(super) json: Value,
    /// Where a YAML reader found things.
    document: Option<Document>,
}

impl File {
    /// Of `-`, what comes in.
    pub(super) fn read(path: &Path) -> anyhow::Result<File> {
        let (name, text) = if path == Path::new("-") {
            (PathBuf::from("standard input"), std::io::read_to_string(stdin()))
        } else {
            (path.to_owned(), std::fs::read_to_string(path))
        };
        let text = text.with_context(|| name.display().to_string())?;
        match Document::read(name, &text) {
            Ok(document) => Ok(File { json: document.json(), document: Some(document) }),
            // Some JSON is no YAML.
            Err(problems) => match serde_json::from_str(&text) {
                Ok(json) => Ok(File { json, document: None }),
                Err(_) => Err(anyhow!("the registry file is not valid\n{problems}")),
            },
        }
    }

    /// Why nothing was done, with the places in the file.
    pub(super) fn located(&self, refused: Refused) -> anyhow::Error {
        match &self.document {
            Some(document) if !refused.problems.is_empty() => {
                let problems = refused.problems.iter();
                let problems = problems.map(|(path, message)| document.problem(path, message)).collect();
                anyhow!("the registry file is not valid\n{}", Problems(problems))
            }
            Some(_) | None => refused.into(),
        }
    }
}

impl Counter {
    pub(crate) fn open(place: &Place, organization: Option<&str>) -> anyhow::Result<Counter> {
        let (data, snapshot) = place.open_configured()?;
        let mut database = data.database()?;
        let actor = std::env::var("USER").unwrap_or_else(|_| "somebody".to_owned());
        let desk = Desk::of_command(snapshot, &actor);
        let desk = match organization {
            Some(organization) => desk.within(&mut database, organization)?,
            None => desk,
        };
        Ok(Counter { desk, database, data })
    }

    pub(super) fn plan(&mut self, wanted: &Wanted) -> Result<Plan, Refused> {
        self.desk.plan(&mut self.database, wanted)
    }

    /// Changes the registry; a process that serves has taken it up when this returns.
    pub(crate) fn apply(&mut self, wanted: &Wanted, expected: Option<u64>) -> anyhow::Result<Done> {
        let done = self.desk.apply(&mut self.database, wanted, expected)?;
        self.tell()?;
        Ok(done)
    }

    pub(crate) fn tell(&self) -> anyhow::Result<()> {
        tell(&self.data)
    }

    /// Shows a plan, asks, and does it.
    pub(super) fn agree(
        &mut self,
        wanted: &Wanted,
        plan: &Plan,
        (consent, as_json): (&Consent, bool),
    ) -> anyhow::Result<()> {
        if !as_json {
            say(&shown::plan(plan));
        }
        if !plan.changes.is_empty() && !consent.yes {
            ask()?;
        }
        let done = self.apply(wanted, Some(consent.if_clock.unwrap_or(plan.clock)))?;
        if as_json {
            say(&serde_json::to_string(&done)?);
            return Ok(());
        }
        if !done.plan.changes.is_empty() {
            say(&format!("Done; the registry's clock stands at {}.", done.plan.clock));
        }
        for key in &done.keys {
            let of = key.organization.as_ref().map(|name| format!(" of organization \"{name}\""));
            say(&format!(
                "key \"{}\"{}: {}",
                key.name,
                of.unwrap_or_default(),
                key.key.as_deref().unwrap_or_default()
            ));
        }
        if !done.keys.is_empty() {
            say_error("Keys are shown once; keep them now.");
        }
        Ok(())
    }
}

fn ask() -> anyhow::Result<()> {
    if !stdin().is_terminal() {
        bail!("nothing was done: there is no terminal to ask at; add --yes");
    }
    print!("Do this? [y/N] ");
    std::io::stdout().flush()?;
    let mut answer = String::new();
    stdin().read_line(&mut answer)?;
    match answer.trim() {
        "y" | "Y" | "yes" => Ok(()),
        _ => bail!("nothing was done"),
    }
}

//! `tollgate export`.

use std::path::PathBuf;

use anyhow::Context;
use clap::Args;
use serde_json::Value;

use super::Counter;
use crate::{
    commands::{Place, say},
    import::yaml,
};

#[derive(Args)]
#[command(after_help = "Example: tollgate export --output registry.yaml")]
pub(crate) struct Arguments {
    #[command(flatten)]
    place: Place,
    /// Only what belongs to this organization, by name or id.
    #[arg(long)]
    organization: Option<String>,
    /// Write it here. Default: it is printed.
    #[arg(long, short)]
    output: Option<PathBuf>,
    /// As JSON.
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let mut counter = Counter::open(&arguments.place, arguments.organization.as_deref())?;
    let file = counter.desk.export(&mut counter.database)?;
    let text = match &file {
        Value::Object(sections) if !arguments.json => yaml::write(sections),
        _ => format!("{}\n", serde_json::to_string_pretty(&file)?),
    };
    match &arguments.output {
        Some(path) => std::fs::write(path, text).with_context(|| path.display().to_string())?,
        None => say(text.trim_end()),
    }
    Ok(())
}

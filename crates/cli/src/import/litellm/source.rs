//! Everything of an installation of LiteLLM: its file, and its database where there is one.

use std::path::Path;

use anyhow::Context;
use policy::Secret;
use store::Foreign;

use super::{config, database, tenants};
use crate::import::{registry::Thing, work::Work};

/// What goes into the registry.
#[derive(Default)]
pub(in crate::import) struct Tenants {
    pub(in crate::import) things: Vec<Thing>,
}

/// Reads all of it: models into the draft, and callers into what is returned.
pub(in crate::import) fn read(
    file: &Path,
    address: Option<&Secret>,
    now_us: i64,
    work: &mut Work,
) -> anyhow::Result<Tenants> {
    let mut root = config::load(file)?;
    let Some(address) = address else {
        config::read(&root, &[], work);
        return Ok(Tenants::default());
    };
    let mut foreign = Foreign::postgres(address).context("--database")?;
    let mut tables = database::Tables::read(&mut foreign, work).context("--database")?;
    tables.lay_settings(&mut root, work);
    let kept = tables.models(work);
    let groups = config::read(&root, &kept, work);
    Ok(Tenants { things: tenants::read(&mut tables, groups, now_us, work) })
}

//! Where the gateway keeps its things, for commands beside it.

use std::path::{Path, PathBuf};

use anyhow::bail;
use clap::Args;
use policy::{
    Snapshot,
    config::{self, Loaded},
    snapshot::Database,
};
use store::DataDir;

use super::say_error;

/// The same configuration as the gateway's leads to the same database.
#[derive(Args)]
pub(crate) struct Place {
    /// The configuration file of the gateway, which says where keys and history are kept.
    #[arg(long, short, global = true, env = "TOLLGATE_CONFIG")]
    config: Option<PathBuf>,
    /// The data directory of the gateway, in place of what its configuration says.
    #[arg(long, global = true, env = "TOLLGATE_DATA_DIR")]
    data_dir: Option<PathBuf>,
}

impl Place {
    /// The configuration file, where one is named.
    pub(crate) fn config(&self) -> Option<&Path> {
        self.config.as_deref()
    }

    /// Opens what the gateway serves from.
    pub(crate) fn open(&self) -> anyhow::Result<DataDir> {
        let snapshot = load(self.config.as_deref())?;
        let path = self.data_dir.as_ref().unwrap_or(&snapshot.data_dir);
        match snapshot.store.database {
            Database::Sqlite if !path.is_dir() => bail!(
                "there is no data directory at {}; start tollgate once, or name it with --data-dir or --config",
                path.display()
            ),
            Database::Memory => {
                bail!("store.database is memory, which only the serving process sees; ask its admin API")
            }
            Database::Sqlite | Database::Postgres(_) => {}
        }
        Ok(DataDir::open_with(path, &snapshot.store)?)
    }
}

/// Loads a configuration and tells what is odd about it; without a file, that of somebody who has written none.
pub(crate) fn load(file: Option<&Path>) -> anyhow::Result<Snapshot> {
    let Some(file) = file else { return Ok(config::zero(&server::System)) };
    match config::load(file, &server::System) {
        Ok(Loaded { snapshot, warnings }) => {
            for warning in warnings {
                say_error(&format!("warning: {warning}"));
            }
            Ok(snapshot)
        }
        Err(problems) => Err(anyhow::anyhow!("the configuration is not valid\n{problems}")),
    }
}

//! Where the gateway keeps its things, for commands beside it.

use std::path::{Path, PathBuf};

use anyhow::bail;
use clap::Args;
use policy::{
    Snapshot,
    config::{self, Loaded},
    snapshot::Database,
};
use server::SecretStores;
use store::{ActorKind, Author, DataDir};

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

    /// The data directory that was named.
    pub(crate) fn data_dir(&self) -> Option<&Path> {
        self.data_dir.as_deref()
    }

    /// Opens what the gateway serves from.
    pub(crate) fn open(&self) -> anyhow::Result<DataDir> {
        Ok(self.open_or(false)?.0)
    }

    /// The same, with the configuration that it serves by.
    pub(crate) fn open_configured(&self) -> anyhow::Result<(DataDir, Snapshot)> {
        self.open_or(false)
    }

    /// Opens what the gateway will serve from, and makes it where it is not there.
    pub(crate) fn make(&self) -> anyhow::Result<DataDir> {
        Ok(self.open_or(true)?.0)
    }

    fn open_or(&self, make: bool) -> anyhow::Result<(DataDir, Snapshot)> {
        let snapshot = load(self.config.as_deref(), &SecretStores::default())?;
        let path = self.data_dir.as_ref().unwrap_or(&snapshot.data_dir);
        match snapshot.store.database {
            Database::Sqlite if !make && !path.is_dir() => bail!(
                "there is no data directory at {}; start tollgate once, or name it with --data-dir or --config",
                path.display()
            ),
            Database::Memory => {
                bail!("store.database is memory, which only the serving process sees; ask its admin API")
            }
            Database::Sqlite | Database::Postgres(_) => {}
        }
        Ok((DataDir::open_with(path, &snapshot.store)?, snapshot))
    }
}

/// Somebody at this machine, for the audit.
pub(crate) fn author() -> Author {
    let actor = std::env::var("USER").unwrap_or_else(|_| "somebody".to_owned());
    Author { actor, kind: ActorKind::Command, address: None, request_id: None }
}

/// Loads a configuration and tells what is odd about it; without a file, that of somebody who has written none.
pub(crate) fn load(file: Option<&Path>, secrets: &SecretStores) -> anyhow::Result<Snapshot> {
    let Some(file) = file else { return Ok(config::zero(&server::System)) };
    match secrets.load_and_wait(file) {
        Ok(Loaded { snapshot, warnings }) => {
            for warning in warnings {
                say_error(&format!("warning: {warning}"));
            }
            Ok(snapshot)
        }
        Err(problems) => Err(anyhow::anyhow!("the configuration is not valid\n{problems}")),
    }
}

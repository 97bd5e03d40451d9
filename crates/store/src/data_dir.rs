//! The folder in which everything lives.

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io::{Read, Write},
    path::{Path, PathBuf},
    time::Duration,
};

use policy::{Secret, snapshot};
use uuid::Uuid;

use crate::{
    Database, Error, KeyHasher,
    database::Place,
    hash::random_bytes,
    ledger::{Driver, Ledger, LedgerSettings},
};

/// A data directory: private to its user, with the spool in it, the embedded database, and the secret of an installation
/// that has no other.
#[derive(Clone)]
pub struct DataDir {
    path: PathBuf,
    hasher: KeyHasher,
    replica: Uuid,
    place: Place,
    /// The Redis that replicas share.
    shared: Option<Secret>,
    /// How long a call waits for shared counters.
    timeout: Duration,
}

/// Held by the process that serves; the system lets go of it when the process ends, however it ends.
pub struct Lock {
    _file: File,
}

impl DataDir {
    /// Opens a data directory, and makes it when it is not there. Its database is the embedded one.
    pub fn open(path: &Path) -> Result<DataDir, Error> {
        DataDir::open_with(path, &snapshot::Store::default())
    }

    /// The same for a database of one's choice.
    pub fn open_with(path: &Path, store: &snapshot::Store) -> Result<DataDir, Error> {
        create_private(path)?;
        let hasher = match &store.secret {
            Some(secret) => KeyHasher::of_secret(secret),
            None => KeyHasher::new(read_or_make(&path.join("secret"), random_bytes()?)?),
        };
        let replica = read_or_make_id(&path.join("replica"))?;
        let place = Place::new(&store.database, path.join("tollgate.db"))?;
        Ok(DataDir {
            path: path.to_owned(),
            hasher,
            replica,
            place,
            shared: store.shared.clone(),
            timeout: store.timeout,
        })
    }

    /// Claims the directory for the process that serves.
    pub fn lock(&self) -> Result<Lock, Error> {
        let path = self.path.join("lock");
        let file = OpenOptions::new().create(true).truncate(false).write(true).open(&path);
        let file = file.map_err(|error| Error::file(&path, error))?;
        match file.try_lock() {
            Ok(()) => Ok(Lock { _file: file }),
            Err(TryLockError::WouldBlock) => Err(Error::Locked(self.path.display().to_string())),
            Err(TryLockError::Error(error)) => Err(Error::file(&path, error)),
        }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    pub fn spool(&self) -> PathBuf {
        self.path.join("spool")
    }

    /// Where a serving process listens for word of changes.
    pub fn control_socket(&self) -> PathBuf {
        self.path.join("control.sock")
    }

    pub fn hasher(&self) -> KeyHasher {
        self.hasher.clone()
    }

    /// What limits are counted by: in Redis where that is configured, otherwise where the database is, or in memory. What
    /// is returned beside it has to be run.
    pub fn ledger(&self) -> Result<(Ledger, Option<Driver>), Error> {
        let replica = self.replica.as_u128();
        let settings = LedgerSettings { replica, timeout: self.timeout, ..LedgerSettings::default() };
        if let Some(address) = &self.shared {
            let (ledger, driver) = Ledger::redis(address, &settings)?;
            return Ok((ledger, Some(driver)));
        }
        match &self.place {
            Place::Server(server) => {
                let (ledger, driver) = Ledger::at(server, &settings);
                Ok((ledger, Some(driver)))
            }
            Place::File(_) | Place::Memory(_) => Ok((Ledger::memory(&settings), None)),
        }
    }

    /// A connection of its own. Not on a thread that runs tasks.
    pub fn database(&self) -> Result<Database, Error> {
        Database::open(&self.place, self.hasher(), self.replica)
    }
}

fn create_private(path: &Path) -> Result<(), Error> {
    fs::create_dir_all(path).map_err(|error| Error::file(path, error))?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = fs::metadata(path).map_err(|error| Error::file(path, error))?.permissions().mode();
        if mode & 0o077 != 0 {
            let private = fs::Permissions::from_mode(0o700);
            fs::set_permissions(path, private).map_err(|error| Error::file(path, error))?;
        }
    }
    Ok(())
}

/// Tells this directory from those of other replicas.
fn read_or_make_id(path: &Path) -> Result<Uuid, Error> {
    let mut fresh = Uuid::encode_buffer();
    Uuid::now_v7().hyphenated().encode_lower(&mut fresh);
    let kept: [u8; uuid::fmt::Hyphenated::LENGTH] = read_or_make(path, {
        let (start, _) = fresh.split_first_chunk().expect("the buffer fits every form of an id");
        *start
    })?;
    Uuid::try_parse_ascii(&kept)
        .map_err(|error| Error::file(path, std::io::Error::new(std::io::ErrorKind::InvalidData, error)))
}

/// What a file holds; what it is to hold where it is not there.
fn read_or_make<const BYTES: usize>(path: &Path, fresh: [u8; BYTES]) -> Result<[u8; BYTES], Error> {
    let mut options = OpenOptions::new();
    options.create_new(true).write(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.mode(0o600);
    }
    match options.open(path) {
        Ok(mut file) => {
            let written = file.write_all(&fresh).and_then(|()| file.sync_all());
            written.map_err(|error| Error::file(path, error))?;
            Ok(fresh)
        }
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
            let mut kept = [0; BYTES];
            let read = File::open(path).and_then(|mut file| file.read_exact(&mut kept));
            read.map_err(|error| Error::file(path, error))?;
            Ok(kept)
        }
        Err(error) => Err(Error::file(path, error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_is_private_and_keeps_its_secret() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("data");
        let first = DataDir::open(&path).unwrap();
        let second = DataDir::open(&path).unwrap();
        assert_eq!(first.hasher.hash("a"), second.hasher.hash("a"));
        assert_eq!(first.replica, second.replica);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o700);
            assert_eq!(fs::metadata(path.join("secret")).unwrap().permissions().mode() & 0o777, 0o600);
        }
    }

    #[test]
    fn one_process_serves() {
        let folder = tempfile::tempdir().unwrap();
        let data = DataDir::open(folder.path()).unwrap();
        let lock = data.lock().unwrap();
        assert!(matches!(data.lock(), Err(Error::Locked(_))));
        drop(lock);
        assert!(data.lock().is_ok());
    }
}

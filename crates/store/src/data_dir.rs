//! The folder in which everything lives.

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io::{Read, Write},
    path::{Path, PathBuf},
};

use crate::{Database, Error, KeyHasher, hash::random_bytes};

/// A data directory: private to its user, with the secret of this installation in it.
#[derive(Clone)]
pub struct DataDir {
    path: PathBuf,
    secret: [u8; 32],
}

/// Held by the process that serves; the system lets go of it when the process ends, however it ends.
pub struct Lock {
    _file: File,
}

impl DataDir {
    /// Opens a data directory, and makes it when it is not there.
    pub fn open(path: &Path) -> Result<DataDir, Error> {
        create_private(path)?;
        let secret = read_or_make_secret(&path.join("secret"))?;
        Ok(DataDir { path: path.to_owned(), secret })
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
        KeyHasher::new(self.secret)
    }

    pub fn database(&self) -> Result<Database, Error> {
        Database::open(&self.path.join("tollgate.db"), self.hasher())
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

fn read_or_make_secret(path: &Path) -> Result<[u8; 32], Error> {
    let mut options = OpenOptions::new();
    options.create_new(true).write(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.mode(0o600);
    }
    match options.open(path) {
        Ok(mut file) => {
            let secret = random_bytes()?;
            file.write_all(&secret)
                .and_then(|()| file.sync_all())
                .map_err(|error| Error::file(path, error))?;
            Ok(secret)
        }
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
            let mut secret = [0; 32];
            let read = File::open(path).and_then(|mut file| file.read_exact(&mut secret));
            read.map_err(|error| Error::file(path, error))?;
            Ok(secret)
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
        assert_eq!(first.secret, second.secret);
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

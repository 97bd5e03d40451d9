//! One core's end of the spool.

use std::{
    fs::{File, OpenOptions},
    io::Write,
    path::{Path, PathBuf},
};

use policy::record::{Note, Record};

use super::{SEGMENT_BYTES, SPOOL_BYTES_MAX, entry, file_name};
use crate::Error;

/// Appends entries. One thread owns it, and nothing it does waits for another.
pub struct Writer {
    folder: PathBuf,
    run: u64,
    core: usize,
    number: u64,
    file: File,
    path: PathBuf,
    written: u64,
    /// Bytes in earlier files, as far as this writer knows.
    earlier: u64,
    /// Entries that have not been written yet.
    buffer: Vec<u8>,
}

impl Writer {
    /// Begins the first file of a core. `run` tells this process from earlier ones: the time of its start.
    pub fn open(folder: &Path, run: u64, core: usize) -> Result<Writer, Error> {
        std::fs::create_dir_all(folder).map_err(|error| Error::file(folder, error))?;
        let path = folder.join(file_name(run, core, 0));
        let file = append(&path)?;
        Ok(Writer {
            folder: folder.to_owned(),
            run,
            core,
            number: 0,
            file,
            path,
            written: 0,
            earlier: 0,
            buffer: Vec::with_capacity(4096),
        })
    }

    /// Writes a note, before the call leaves. When this returns, the note outlives this process.
    pub fn note(&mut self, note: &Note<'_>) -> Result<(), Error> {
        if self.written > SEGMENT_BYTES {
            self.rotate()?;
        }
        entry::push_note(&mut self.buffer, note);
        self.flush()
    }

    /// Takes a record; it goes out with the next note, or when the caller flushes.
    pub fn done(&mut self, record: &Record<'_>) -> Result<(), Error> {
        entry::push_done(&mut self.buffer, record);
        if self.buffer.len() > 64 << 10 { self.flush() } else { Ok(()) }
    }

    /// Writes what was taken. What could not be written stays for the next try.
    pub fn flush(&mut self) -> Result<(), Error> {
        while !self.buffer.is_empty() {
            match self.file.write(&self.buffer) {
                Ok(0) => return Err(Error::file(&self.path, std::io::ErrorKind::WriteZero.into())),
                Ok(count) => {
                    self.written += count as u64;
                    self.buffer.drain(..count);
                }
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => return Err(Error::file(&self.path, error)),
            }
        }
        Ok(())
    }

    fn rotate(&mut self) -> Result<(), Error> {
        self.flush()?;
        self.earlier = spool_bytes(&self.folder);
        if self.earlier > SPOOL_BYTES_MAX {
            return Err(Error::SpoolFull(SPOOL_BYTES_MAX));
        }
        self.number += 1;
        self.path = self.folder.join(file_name(self.run, self.core, self.number));
        self.file = append(&self.path)?;
        self.written = 0;
        Ok(())
    }
}

fn append(path: &Path) -> Result<File, Error> {
    OpenOptions::new().create(true).append(true).open(path).map_err(|error| Error::file(path, error))
}

fn spool_bytes(folder: &Path) -> u64 {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.metadata().ok()).map(|metadata| metadata.len()).sum()
}

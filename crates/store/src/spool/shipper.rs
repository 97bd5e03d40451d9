//! From the spool to the journal.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    fs::{self, File},
    io::{Read, Seek, SeekFrom},
    path::{Path, PathBuf},
    sync::Arc,
};

use policy::record::{Note, Record};
use uuid::Uuid;

use super::{
    SUFFIX,
    entry::{self, ENTRY_BYTES_MAX, Entries, Found},
    set_aside::{SetAside, Stretch},
};
use crate::{Database, Error};

/// How much of a file is read at once: more than any entry takes.
const READ_BYTES: usize = ENTRY_BYTES_MAX + 4096;

/// Reads the spool's files as they grow and takes their records into the journal.
pub struct Shipper {
    folder: PathBuf,
    database: Database,
    set_aside: SetAside,
    /// Files of this run, by name.
    files: BTreeMap<Arc<str>, Progress>,
    /// Calls that were noted and have no record yet, with the file of the note.
    open: HashMap<Uuid, Arc<str>>,
    /// What was read last, kept for its space.
    buffer: Vec<u8>,
}

#[derive(Default)]
struct Progress {
    position: u64,
    /// Notes of this file whose calls have no record yet.
    open: usize,
}

/// What an earlier run left behind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Recovered {
    /// Records that had not reached the journal.
    pub records: usize,
    /// Calls whose end nobody knows.
    pub unknown: usize,
    /// Stretches of the files that hold no entries: torn by a crash of the machine.
    pub torn: usize,
}

/// What one reading of a file brought.
#[derive(Default)]
struct Batch<'a> {
    entries: Entries<'a>,
    torn: usize,
    position: u64,
    /// There was more in the file than one reading takes.
    more: bool,
}

/// Whether a file may still grow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Growth {
    /// What looks like a part of an entry may be completed.
    Open,
    /// Nobody writes it any more.
    Ended,
}

impl Shipper {
    /// Takes in what earlier runs left, before this run writes its first entry.
    pub fn recover(folder: &Path, mut database: Database) -> Result<(Shipper, Recovered), Error> {
        fs::create_dir_all(folder).map_err(|error| Error::file(folder, error))?;
        let mut recovered = Recovered::default();
        let mut noted: Vec<Note<'static>> = Vec::new();
        let mut done: HashSet<Uuid> = HashSet::new();
        let mut buffer = Vec::new();
        let mut set_aside = SetAside::new(folder);
        let names = file_names(folder)?;
        for name in &names {
            let mut position = 0;
            // Notes matter from the file's beginning; records that are in the journal already are ignored
            // there.
            loop {
                let batch = read(&folder.join(&**name), position, Growth::Ended, &mut buffer)?;
                if batch.position == position {
                    break;
                }
                let at = Stretch { file: name, from: position, to: batch.position };
                position = batch.position;
                recovered.torn += batch.torn;
                done.extend(batch.entries.records.iter().map(|record| record.id));
                noted.extend(batch.entries.notes.into_iter().map(Note::into_owned));
                if position > database.spool_position(name)? {
                    recovered.records += batch.entries.records.len();
                    set_aside.take_in(&mut database, &batch.entries.records, at)?;
                }
            }
        }
        let mut unknown = Vec::new();
        for note in noted {
            if !done.contains(&note.id) && !database.has_call(note.id)? {
                unknown.push(Record::from(note));
            }
        }
        recovered.unknown = unknown.len();
        if let Some(name) = names.last() {
            let position = database.spool_position(name)?;
            let at = Stretch { file: name, from: position, to: position };
            set_aside.take_in(&mut database, &unknown, at)?;
        }
        // Only now is everything in the journal: a crash before this point repeats the work, and the journal
        // ignores what it has.
        for name in &names {
            remove(folder, name, &mut database)?;
        }
        let shipper = Shipper {
            folder: folder.to_owned(),
            database,
            set_aside,
            files: BTreeMap::new(),
            open: HashMap::new(),
            buffer,
        };
        Ok((shipper, recovered))
    }

    /// Takes in what was written since the last step; returns the number of records.
    pub fn step(&mut self) -> Result<usize, Error> {
        let mut taken = 0;
        let names = file_names(&self.folder)?;
        let mut buffer = std::mem::take(&mut self.buffer);
        for name in &names {
            loop {
                let position = self.files.entry(Arc::clone(name)).or_default().position;
                let batch = read(&self.folder.join(&**name), position, Growth::Open, &mut buffer)?;
                if batch.position == position {
                    break;
                }
                let more = batch.more;
                taken += batch.entries.records.len();
                self.take(name, batch)?;
                // What is written meanwhile waits for the next step: many small transactions cost more than one.
                if !more {
                    break;
                }
            }
        }
        self.buffer = buffer;
        self.remove_finished(&names)?;
        Ok(taken)
    }

    /// Syncs the files that are being written, so that a crash of the machine loses no more than what came
    /// since.
    pub fn sync(&self) -> Result<(), Error> {
        for name in self.files.keys() {
            let path = self.folder.join(&**name);
            File::open(&path).and_then(|file| file.sync_data()).map_err(|error| Error::file(&path, error))?;
        }
        Ok(())
    }

    /// How much of the files has not been taken in.
    pub fn lag_bytes(&self) -> u64 {
        let names = file_names(&self.folder).unwrap_or_default();
        let lag = names.iter().map(|name| {
            let length = fs::metadata(self.folder.join(&**name)).map_or(0, |metadata| metadata.len());
            length.saturating_sub(self.files.get(name).map_or(0, |progress| progress.position))
        });
        lag.sum()
    }

    /// How many records the database has refused for what is in them.
    pub fn refused(&self) -> u64 {
        self.set_aside.count()
    }

    pub fn database(&mut self) -> &mut Database {
        &mut self.database
    }

    fn take(&mut self, name: &Arc<str>, batch: Batch<'_>) -> Result<(), Error> {
        let from = self.files.get(name).map_or(0, |progress| progress.position);
        let at = Stretch { file: name, from, to: batch.position };
        self.set_aside.take_in(&mut self.database, &batch.entries.records, at)?;
        if batch.torn > 0 {
            tracing::error!(file = &**name, places = batch.torn, "parts of the spool could not be read");
        }
        if let Some(progress) = self.files.get_mut(name) {
            progress.position = batch.position;
            progress.open += batch.entries.notes.len();
        }
        for note in batch.entries.notes {
            self.open.insert(note.id, Arc::clone(name));
        }
        for record in &batch.entries.records {
            let progress = self.open.remove(&record.id).and_then(|file| self.files.get_mut(&file));
            if let Some(progress) = progress {
                progress.open = progress.open.saturating_sub(1);
            }
        }
        Ok(())
    }

    /// A file may go when a later one of its core was begun and all its calls have ended.
    fn remove_finished(&mut self, names: &[Arc<str>]) -> Result<(), Error> {
        for pair in names.windows(2) {
            let [name, next] = pair else { continue };
            let same_core =
                name.rsplit_once('-').map(|(core, _)| core) == next.rsplit_once('-').map(|(core, _)| core);
            let finished = self.files.get(name).is_some_and(|progress| progress.open == 0);
            if same_core && finished && is_read(&self.folder.join(&**name), self.files.get(name)) {
                self.files.remove(name);
                remove(&self.folder, name, &mut self.database)?;
            }
        }
        Ok(())
    }
}

fn is_read(path: &Path, progress: Option<&Progress>) -> bool {
    let length = fs::metadata(path).map(|metadata| metadata.len()).unwrap_or(u64::MAX);
    progress.is_some_and(|progress| progress.position >= length)
}

fn remove(folder: &Path, name: &str, database: &mut Database) -> Result<(), Error> {
    let path = folder.join(name);
    fs::remove_file(&path).map_err(|error| Error::file(&path, error))?;
    database.forget_spool(name)
}

fn file_names(folder: &Path) -> Result<Vec<Arc<str>>, Error> {
    let entries = fs::read_dir(folder).map_err(|error| Error::file(folder, error))?;
    let mut names: Vec<Arc<str>> = entries
        .flatten()
        .filter_map(|entry| entry.file_name().into_string().ok())
        .filter(|name| name.ends_with(SUFFIX))
        .map(Arc::from)
        .collect();
    names.sort();
    Ok(names)
}

/// Reads whole entries from a position on.
fn read<'a>(path: &Path, position: u64, growth: Growth, buffer: &'a mut Vec<u8>) -> Result<Batch<'a>, Error> {
    buffer.clear();
    let failed = |error| Error::file(path, error);
    let mut file = File::open(path).map_err(failed)?;
    file.seek(SeekFrom::Start(position)).map_err(failed)?;
    file.take(READ_BYTES as u64).read_to_end(buffer).map_err(failed)?;
    let bytes: &'a [u8] = buffer;
    let more = bytes.len() == READ_BYTES;
    let mut batch = Batch { position, more, ..Batch::default() };
    let mut at = 0;
    let mut in_damage = false;
    while let Some(rest) = bytes.get(at..).filter(|rest| !rest.is_empty()) {
        let length = match entry::read(rest, &mut batch.entries) {
            Found::Entry(length) => length,
            // What follows it may come yet, or be in the next reading.
            Found::Part if growth == Growth::Open || (at > 0 && (more || !in_damage)) => break,
            Found::Part | Found::Damage => {
                batch.torn += usize::from(!in_damage);
                in_damage = true;
                at += 1;
                continue;
            }
        };
        in_damage = false;
        at += length;
    }
    batch.position = position + at as u64;
    Ok(batch)
}

#[cfg(test)]
mod tests {
    use policy::{
        principal::Stand,
        record::Outcome,
        snapshot::{self, Store},
    };

    use super::*;
    use crate::{DataDir, Filter, Tenancy, spool::Writer};

    fn note(number: u128) -> Note<'static> {
        Note {
            id: Uuid::from_u128(number),
            started_us: i64::try_from(number).unwrap(),
            key_id: Uuid::nil(),
            key_name: "app".into(),
            operation: "chat".into(),
            dialect: "openai_chat".into(),
            model_asked: "m \"quoted\"".into(),
            provider: "p".into(),
            model: "m".into(),
            stream: true,
            stand: Stand::default(),
            end_user: None,
            experiment: Some("shadow of x".into()),
        }
    }

    fn record(number: u128) -> Record<'static> {
        Record { outcome: Outcome::Complete, status: 200, ..Record::from(note(number)) }
    }

    fn outcomes(database: &mut Database) -> Vec<Outcome> {
        let mut records = database.calls(Tenancy::All, &Filter { limit: 100, ..Filter::default() }).unwrap();
        records.reverse();
        records.iter().map(|record| record.outcome).collect()
    }

    #[test]
    fn records_are_taken_in_once() {
        let folder = tempfile::tempdir().unwrap();
        let data = DataDir::open(folder.path()).unwrap();
        let (mut shipper, recovered) = Shipper::recover(&data.spool(), data.database().unwrap()).unwrap();
        assert_eq!(recovered, Recovered::default());
        let mut writer = Writer::open(&data.spool(), 1, 0).unwrap();
        writer.note(&note(1)).unwrap();
        writer.done(&record(1)).unwrap();
        assert_eq!(shipper.step().unwrap(), 0, "a record waits for a flush");
        writer.note(&note(2)).unwrap();
        assert_eq!(shipper.step().unwrap(), 1);
        assert_eq!(shipper.step().unwrap(), 0);
        assert_eq!(
            shipper.database().calls(Tenancy::All, &Filter { limit: 1, ..Filter::default() }).unwrap(),
            [record(1)]
        );
    }

    /// Whatever prefix of the spool a crash leaves, and however much of it had been shipped, every call that
    /// was noted comes to one record.
    #[test]
    fn every_prefix_recovers() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(super::super::file_name(1, 0, 0));
        let mut writer = Writer::open(folder.path(), 1, 0).unwrap();
        let entries: [fn(&mut Writer); 5] = [
            |writer| writer.note(&note(1)).unwrap(),
            |writer| writer.note(&note(2)).unwrap(),
            |writer| writer.done(&record(1)).unwrap(),
            |writer| writer.note(&note(3)).unwrap(),
            |writer| writer.done(&record(3)).unwrap(),
        ];
        let ends = entries.map(|write| {
            write(&mut writer);
            writer.flush().unwrap();
            fs::read(&path).unwrap().len()
        });
        let whole = fs::read(&path).unwrap();
        let data = tempfile::tempdir().unwrap();
        for end in 0..=whole.len() {
            let (prefix, _) = whole.split_at(end);
            let expected = match ends.iter().filter(|&&written| written <= end).count() {
                0 => vec![],
                1 => vec![Outcome::Unknown],
                2 => vec![Outcome::Unknown, Outcome::Unknown],
                3 => vec![Outcome::Complete, Outcome::Unknown],
                4 => vec![Outcome::Complete, Outcome::Unknown, Outcome::Unknown],
                _ => vec![Outcome::Complete, Outcome::Unknown, Outcome::Complete],
            };
            let shipped_before = end % 2 == 0;
            assert_eq!(recover_prefix(data.path(), prefix, shipped_before), expected, "{end} bytes");
        }
    }

    /// A stretch that a crash of the machine left damaged costs no more than the entries in it.
    #[test]
    fn damage_is_passed_over() {
        let folder = tempfile::tempdir().unwrap();
        let data = DataDir::open(folder.path()).unwrap();
        let path = data.spool().join(super::super::file_name(1, 0, 0));
        let mut writer = Writer::open(&data.spool(), 1, 0).unwrap();
        writer.note(&note(1)).unwrap();
        let first = fs::read(&path).unwrap().len();
        writer.note(&note(2)).unwrap();
        writer.done(&record(1)).unwrap();
        writer.flush().unwrap();
        let mut bytes = fs::read(&path).unwrap();
        bytes[first + 20] ^= 0x40;
        fs::write(&path, bytes).unwrap();
        let (_, recovered) = Shipper::recover(&data.spool(), data.database().unwrap()).unwrap();
        assert_eq!(recovered, Recovered { records: 1, unknown: 0, torn: 1 });
        assert_eq!(outcomes(&mut data.database().unwrap()), [Outcome::Complete]);
    }

    fn recover_prefix(folder: &Path, prefix: &[u8], shipped_before: bool) -> Vec<Outcome> {
        let store = Store { database: snapshot::Database::Memory, ..Store::default() };
        let data = DataDir::open_with(folder, &store).unwrap();
        let (mut shipper, _) = Shipper::recover(&data.spool(), data.database().unwrap()).unwrap();
        fs::write(data.spool().join(super::super::file_name(1, 0, 0)), prefix).unwrap();
        if shipped_before {
            shipper.step().unwrap();
        }
        drop(shipper);
        for _ in 0..2 {
            Shipper::recover(&data.spool(), data.database().unwrap()).unwrap();
        }
        outcomes(&mut data.database().unwrap())
    }
}

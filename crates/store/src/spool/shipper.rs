//! From the spool to the journal.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    fs::{self, File},
    io::{Read, Seek, SeekFrom},
    path::{Path, PathBuf},
};

use policy::record::{Note, Record};
use uuid::Uuid;

use super::StoredEntry;
use crate::{Database, Error};

/// How much of a file is read at once; a longer line is no entry of ours.
const READ_BYTES: usize = 1 << 20;

/// Reads the spool's files as they grow and takes their records into the journal.
pub struct Shipper {
    folder: PathBuf,
    database: Database,
    /// Files of this run, by name.
    files: BTreeMap<String, Progress>,
    /// Calls that were noted and have no record yet, with the file of the note.
    open: HashMap<Uuid, String>,
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
    /// Lines that are no entries: torn by a crash of the machine.
    pub torn: usize,
}

/// What one reading of a file brought.
#[derive(Default)]
struct Batch {
    notes: Vec<Note<'static>>,
    records: Vec<Record>,
    torn: usize,
    position: u64,
}

impl Shipper {
    /// Takes in what earlier runs left, before this run writes its first entry.
    pub fn recover(folder: &Path, mut database: Database) -> Result<(Shipper, Recovered), Error> {
        fs::create_dir_all(folder).map_err(|error| Error::file(folder, error))?;
        let mut recovered = Recovered::default();
        let mut noted: Vec<Note<'static>> = Vec::new();
        let mut done: HashSet<Uuid> = HashSet::new();
        let names = file_names(folder)?;
        for name in &names {
            let mut position = 0;
            // Notes matter from the file's beginning; records that are in the journal already are ignored
            // there.
            loop {
                let batch = read(&folder.join(name), position)?;
                if batch.position == position {
                    break;
                }
                position = batch.position;
                recovered.torn += batch.torn;
                done.extend(batch.records.iter().map(|record| record.id));
                noted.extend(batch.notes);
                if position > database.spool_position(name)? {
                    recovered.records += batch.records.len();
                    database.take_in(&batch.records, name, position)?;
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
            database.take_in(&unknown, name, position)?;
        }
        // Only now is everything in the journal: a crash before this point repeats the work, and the journal
        // ignores what it has.
        for name in &names {
            remove(folder, name, &mut database)?;
        }
        let shipper =
            Shipper { folder: folder.to_owned(), database, files: BTreeMap::new(), open: HashMap::new() };
        Ok((shipper, recovered))
    }

    /// Takes in what was written since the last step; returns the number of records.
    pub fn step(&mut self) -> Result<usize, Error> {
        let mut taken = 0;
        let names = file_names(&self.folder)?;
        for name in &names {
            loop {
                let position = self.files.entry(name.clone()).or_default().position;
                let batch = read(&self.folder.join(name), position)?;
                if batch.position == position {
                    break;
                }
                taken += batch.records.len();
                self.take(name, batch)?;
            }
        }
        self.remove_finished(&names)?;
        Ok(taken)
    }

    /// Syncs the files that are being written, so that a crash of the machine loses no more than what came
    /// since.
    pub fn sync(&self) -> Result<(), Error> {
        for name in self.files.keys() {
            let path = self.folder.join(name);
            File::open(&path).and_then(|file| file.sync_data()).map_err(|error| Error::file(&path, error))?;
        }
        Ok(())
    }

    pub fn database(&mut self) -> &mut Database {
        &mut self.database
    }

    fn take(&mut self, name: &str, batch: Batch) -> Result<(), Error> {
        self.database.take_in(&batch.records, name, batch.position)?;
        if batch.torn > 0 {
            tracing::error!(file = name, lines = batch.torn, "spool lines could not be read");
        }
        if let Some(progress) = self.files.get_mut(name) {
            progress.position = batch.position;
            progress.open += batch.notes.len();
        }
        for note in batch.notes {
            self.open.insert(note.id, name.to_owned());
        }
        for record in &batch.records {
            let progress = self.open.remove(&record.id).and_then(|file| self.files.get_mut(&file));
            if let Some(progress) = progress {
                progress.open = progress.open.saturating_sub(1);
            }
        }
        Ok(())
    }

    /// A file may go when a later one of its core was begun and all its calls have ended.
    fn remove_finished(&mut self, names: &[String]) -> Result<(), Error> {
        for pair in names.windows(2) {
            let [name, next] = pair else { continue };
            let same_core =
                name.rsplit_once('-').map(|(core, _)| core) == next.rsplit_once('-').map(|(core, _)| core);
            let finished = self.files.get(name).is_some_and(|progress| progress.open == 0);
            if same_core && finished && is_read(&self.folder.join(name), self.files.get(name)) {
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

fn file_names(folder: &Path) -> Result<Vec<String>, Error> {
    let entries = fs::read_dir(folder).map_err(|error| Error::file(folder, error))?;
    let mut names: Vec<String> = entries
        .flatten()
        .filter_map(|entry| entry.file_name().into_string().ok())
        .filter(|name| name.ends_with(".jsonl"))
        .collect();
    names.sort();
    Ok(names)
}

/// Reads whole lines from a position on.
fn read(path: &Path, position: u64) -> Result<Batch, Error> {
    let mut bytes = vec![0; READ_BYTES];
    let mut file = File::open(path).map_err(|error| Error::file(path, error))?;
    let mut length = 0;
    file.seek(SeekFrom::Start(position)).map_err(|error| Error::file(path, error))?;
    while let Some(space) = bytes.get_mut(length..).filter(|space| !space.is_empty()) {
        match file.read(space) {
            Ok(0) => break,
            Ok(count) => length += count,
            Err(error) => return Err(Error::file(path, error)),
        }
    }
    bytes.truncate(length);
    let whole = bytes.iter().rposition(|&byte| byte == b'\n').map_or(0, |at| at + 1);
    let mut batch = Batch { position: position + whole as u64, ..Batch::default() };
    if whole == 0 && length == READ_BYTES {
        // No entry is this long: the file is damaged here, and is read on behind it.
        batch.position = position + length as u64;
        batch.torn = 1;
    }
    bytes.truncate(whole);
    for line in bytes.split(|&byte| byte == b'\n').filter(|line| !line.is_empty()) {
        match serde_json::from_slice(line) {
            Ok(StoredEntry::Note(note)) => batch.notes.push(owned(note)),
            Ok(StoredEntry::Done(record)) => batch.records.push(*record),
            Err(_) => batch.torn += 1,
        }
    }
    Ok(batch)
}

fn owned(note: Note<'_>) -> Note<'static> {
    let text = |text: std::borrow::Cow<'_, str>| std::borrow::Cow::Owned(text.into_owned());
    Note {
        id: note.id,
        started_us: note.started_us,
        key_id: note.key_id,
        key_name: text(note.key_name),
        dialect: text(note.dialect),
        model_asked: text(note.model_asked),
        provider: text(note.provider),
        model: text(note.model),
        stream: note.stream,
    }
}

#[cfg(test)]
mod tests {
    use policy::record::Outcome;

    use super::*;
    use crate::{DataDir, Filter, spool::Writer};

    fn note(number: u128) -> Note<'static> {
        Note {
            id: Uuid::from_u128(number),
            started_us: i64::try_from(number).unwrap(),
            key_id: Uuid::nil(),
            key_name: "app".into(),
            dialect: "openai_chat".into(),
            model_asked: "m \"quoted\"".into(),
            provider: "p".into(),
            model: "m".into(),
            stream: true,
        }
    }

    fn record(number: u128) -> Record {
        Record { outcome: Outcome::Complete, status: 200, ..Record::from(note(number)) }
    }

    fn outcomes(database: &Database) -> Vec<Outcome> {
        let mut records = database.calls(&Filter { limit: 100, ..Filter::default() }).unwrap();
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
        assert_eq!(shipper.database().calls(&Filter { limit: 1, ..Filter::default() }).unwrap(), [record(1)]);
    }

    /// Whatever prefix of the spool a crash leaves, and however much of it had been shipped, every call that
    /// was noted comes to one record.
    #[test]
    fn every_prefix_recovers() {
        let folder = tempfile::tempdir().unwrap();
        let whole = {
            let mut writer = Writer::open(folder.path(), 1, 0).unwrap();
            writer.note(&note(1)).unwrap();
            writer.note(&note(2)).unwrap();
            writer.done(&record(1)).unwrap();
            writer.note(&note(3)).unwrap();
            writer.done(&record(3)).unwrap();
            writer.flush().unwrap();
            fs::read(folder.path().join(super::super::file_name(1, 0, 0))).unwrap()
        };
        for end in 0..=whole.len() {
            let (prefix, _) = whole.split_at(end);
            let lines = prefix.iter().filter(|&&byte| byte == b'\n').count();
            let expected = match lines {
                0 => vec![],
                1 => vec![Outcome::Unknown],
                2 => vec![Outcome::Unknown, Outcome::Unknown],
                3 => vec![Outcome::Complete, Outcome::Unknown],
                4 => vec![Outcome::Complete, Outcome::Unknown, Outcome::Unknown],
                _ => vec![Outcome::Complete, Outcome::Unknown, Outcome::Complete],
            };
            let shipped_before = end % 2 == 0;
            assert_eq!(recover_prefix(prefix, shipped_before), expected, "{end} bytes");
        }
    }

    fn recover_prefix(prefix: &[u8], shipped_before: bool) -> Vec<Outcome> {
        let folder = tempfile::tempdir().unwrap();
        let data = DataDir::open(folder.path()).unwrap();
        let (mut shipper, _) = Shipper::recover(&data.spool(), data.database().unwrap()).unwrap();
        fs::write(data.spool().join(super::super::file_name(1, 0, 0)), prefix).unwrap();
        if shipped_before {
            shipper.step().unwrap();
        }
        drop(shipper);
        for _ in 0..2 {
            Shipper::recover(&data.spool(), data.database().unwrap()).unwrap();
        }
        outcomes(&data.database().unwrap())
    }
}

//! Records that the database refuses for what is in them: they are kept in a file beside the spool, so that one of them
//! never holds up the others.

use std::{
    collections::HashSet,
    fs::{self, OpenOptions},
    io::Write as _,
    path::{Path, PathBuf},
};

use policy::record::{Posting, Record};
use serde::Serialize;
use uuid::Uuid;

use crate::{Database, Error};

/// The file, with a JSON object in each line.
const FILE: &str = "refused.jsonl";
/// The most that the file holds: where more is refused it is no record's own fault, and the journal waits for somebody
/// to look.
const BYTES_MAX: u64 = 64 << 20;

pub(super) struct SetAside {
    path: PathBuf,
    /// The calls whose records are in the file: what is read again after a crash is not kept twice.
    calls: HashSet<Uuid>,
    /// How many this process has set aside.
    count: u64,
}

/// Where records stood: a spool file, where they begin there, and where they end.
#[derive(Clone, Copy)]
pub(super) struct Stretch<'s> {
    pub(super) file: &'s str,
    pub(super) from: u64,
    pub(super) to: u64,
}

#[derive(Serialize)]
struct Line<'l> {
    error: String,
    record: &'l Record<'l>,
    postings: &'l [Posting],
}

impl SetAside {
    pub(super) fn new(folder: &Path) -> SetAside {
        let path = folder.join(FILE);
        let kept = fs::read_to_string(&path).unwrap_or_default();
        SetAside { path, calls: kept.lines().filter_map(call_of).collect(), count: 0 }
    }

    /// How many records were set aside.
    pub(super) fn count(&self) -> u64 {
        self.count
    }

    /// Takes records into the journal, all at once; where one of them is refused for what is in it, each that is not.
    pub(super) fn take_in(
        &mut self,
        database: &mut Database,
        records: &[Record<'_>],
        at: Stretch<'_>,
    ) -> Result<(), Error> {
        match database.take_in(records, at.file, at.to) {
            Err(error) if error.is_of_content() => {}
            done => return done,
        }
        // What is taken in twice after a crash in between is ignored there.
        self.take_each(database, records, at)?;
        database.take_in(&[], at.file, at.to)
    }

    fn take_each(
        &mut self,
        database: &mut Database,
        records: &[Record<'_>],
        at: Stretch<'_>,
    ) -> Result<(), Error> {
        let error = match database.take_in(records, at.file, at.from) {
            Err(error) if error.is_of_content() => error,
            done => return done,
        };
        match records {
            [] => Err(error),
            [record] => self.keep(record, &error),
            _ => {
                let (first, second) = records.split_at(records.len() / 2);
                self.take_each(database, first, at)?;
                self.take_each(database, second, at)
            }
        }
    }

    fn keep(&mut self, record: &Record<'_>, refusal: &Error) -> Result<(), Error> {
        if self.calls.contains(&record.id) {
            return Ok(());
        }
        let line = Line { error: refusal.to_string(), record, postings: &record.postings };
        // A price that is no JSON is all that does not serialise.
        let line = serde_json::to_string(&line).unwrap_or_else(|_| json(&format!("{record:?}")));
        let failed = |error| Error::file(&self.path, error);
        let mut file = OpenOptions::new().create(true).append(true).open(&self.path).map_err(failed)?;
        if file.metadata().map_err(failed)?.len() > BYTES_MAX {
            let remedy =
                "holds the most that is set aside; see why the database refuses records, then move it away";
            return Err(failed(std::io::Error::other(remedy)));
        }
        file.write_all(format!("{line}\n").as_bytes()).and_then(|()| file.sync_data()).map_err(failed)?;
        tracing::error!(
            call = %record.id, error = %refusal, file = %self.path.display(),
            "the database refuses the record of a call; it was set aside"
        );
        self.calls.insert(record.id);
        self.count += 1;
        Ok(())
    }
}

/// Whose record a line of the file holds.
fn call_of(line: &str) -> Option<Uuid> {
    let line: serde_json::Value = serde_json::from_str(line).ok()?;
    line.pointer("/record/id")?.as_str()?.parse().ok()
}

fn json(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

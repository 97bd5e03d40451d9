//! The last known values of stores, sealed in the data directory, so that a gateway can start while a store is away.

use std::{
    fs::{self, OpenOptions},
    io::{self, Write},
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use policy::{config::Offline, snapshot::Encryption};
use serde::{Deserialize, Serialize};
use store::Sealer;
use zeroize::Zeroizing;

use super::{content::Content, keepers::sealer};

const FILE: &str = "last-secrets";
/// What has not changed is written again after this, since its age has.
const WRITTEN_AGAIN: Duration = Duration::from_secs(10);

/// The file with what was last known.
pub(super) struct Shelf {
    path: PathBuf,
    encryption: Encryption,
    sealer: Sealer,
    written: Mutex<Option<(Instant, Vec<Value>)>>,
}

/// What a store has last said of a path.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Value {
    pub(super) store: String,
    /// Which store that was: one of the same name may be another.
    pub(super) from: String,
    pub(super) path: String,
    pub(super) content: Content,
    /// When it said so, in microseconds since 1970.
    pub(super) seen_us: i64,
}

/// The same in the file.
#[derive(Serialize)]
struct Line<'l> {
    store: &'l str,
    from: &'l str,
    path: &'l str,
    text: &'l str,
    members: bool,
    seen_us: i64,
}

#[derive(Deserialize)]
struct ReadLine {
    store: String,
    from: String,
    path: String,
    text: String,
    members: bool,
    seen_us: i64,
}

impl Shelf {
    /// Nothing is read yet, and nobody asked.
    pub(super) fn new(offline: &Offline, data_dir: Option<&Path>) -> Result<Shelf, String> {
        let folder = data_dir.unwrap_or(&offline.data_dir);
        let encryption = offline.encryption.clone();
        let sealer = sealer(&encryption).map_err(|error| error.to_string())?;
        Ok(Shelf { path: folder.join(FILE), encryption, sealer, written: Mutex::default() })
    }

    pub(super) fn is_as(&self, offline: &Offline, data_dir: Option<&Path>) -> bool {
        let folder = data_dir.unwrap_or(&offline.data_dir);
        self.path == folder.join(FILE) && self.encryption == offline.encryption
    }

    /// What was kept; nothing where no file is there.
    pub(super) fn read(&self) -> Result<Vec<Value>, String> {
        let sealed = match fs::read(&self.path) {
            Ok(sealed) => sealed,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(format!("{}: {error}", self.path.display())),
        };
        let named = |error: &dyn std::fmt::Display| format!("{}: {error}", self.path.display());
        let text = self.sealer.open_apart(FILE, &sealed).map_err(|error| named(&error))?;
        let lines: Vec<ReadLine> =
            serde_json::from_slice(&text).map_err(|_| named(&"it is not as it was written"))?;
        let value = |line: ReadLine| Value {
            content: Content::kept(line.text, line.members),
            store: line.store,
            from: line.from,
            path: line.path,
            seen_us: line.seen_us,
        };
        Ok(lines.into_iter().map(value).collect())
    }

    /// Puts these in place of what was kept, unless that is the same still.
    pub(super) fn write(&self, values: Vec<Value>) -> Result<(), String> {
        let mut written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((at, before)) = &*written {
            let same = |(one, other): (&Value, &Value)| {
                (&one.store, &one.from, &one.path) == (&other.store, &other.from, &other.path)
                    && one.content == other.content
            };
            let is_same = before.len() == values.len() && before.iter().zip(&values).all(same);
            if is_same && at.elapsed() < WRITTEN_AGAIN {
                return Ok(());
            }
        }
        let lines: Vec<Line<'_>> = values.iter().map(Value::line).collect();
        let mut text = Zeroizing::new(Vec::new());
        serde_json::to_writer(&mut *text, &lines).map_err(|error| error.to_string())?;
        let sealed = self.sealer.seal_apart(FILE, &text).map_err(|error| error.to_string())?;
        replace(&self.path, &sealed).map_err(|error| format!("{}: {error}", self.path.display()))?;
        *written = Some((Instant::now(), values));
        Ok(())
    }
}

/// Takes away what an earlier configuration let be kept.
pub(super) fn clear(folder: &Path) {
    match fs::remove_file(folder.join(FILE)) {
        Ok(()) => tracing::info!("no store is offline any more: its last known values were removed"),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => tracing::warn!(%error, "last known values could not be removed"),
    }
}

impl Value {
    fn line(&self) -> Line<'_> {
        let (text, members) = self.content.parts();
        let Value { store, from, path, seen_us, .. } = self;
        Line { store, from, path, text, members, seen_us: *seen_us }
    }
}

/// All of it or nothing, for this user only.
fn replace(path: &Path, sealed: &[u8]) -> io::Result<()> {
    let fresh = path.with_extension("new");
    match fs::remove_file(&fresh) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    let mut options = OpenOptions::new();
    options.create_new(true).write(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.mode(0o600);
    }
    let mut file = options.open(&fresh)?;
    file.write_all(sealed)?;
    file.sync_all()?;
    fs::rename(&fresh, path)
}

//! Memory: keys, the journal, the spool that makes records survive, and the counters that limits are kept by.
//!
//! Invariants
//! - The only crate that knows SQL.
//! - A key is stored as a keyed hash, never in the clear.
//! - Every call that was noted has exactly one record, also after `kill -9`: entries are appended to spool
//!   files before the call leaves, and reach the database exactly once, since the position up to which a
//!   spool file was read is stored in the same transaction as the records.
//!
//! - Counters that limits are kept by grant all that a call claims, or nothing; no lock of theirs is held across an
//!   await, and a shared store that is away costs a call no wait.
//!
//! What it refuses to know: HTTP, prices, who may do what. Everything here but the ledger blocks; nothing here is
//! called on the path of a request, except the ledger and the spool's writer, which only appends to a file.

mod data_dir;
mod hash;
pub mod ledger;
pub mod spool;
mod sqlite;

pub use data_dir::{DataDir, Lock};
pub use hash::{KeyHasher, later_id, new_key};
pub use sqlite::{Database, Feedback, Filter, NewKey, Summary};

/// What can go wrong with the store.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("{path}: {source}")]
    File { path: String, source: std::io::Error },
    #[error("another tollgate serves from {0}; stop it, or use another data directory")]
    Locked(String),
    #[error("the database: {0}")]
    Database(#[from] rusqlite::Error),
    #[error("the database was written by a newer tollgate (schema {found}, this one knows {known}); upgrade")]
    Newer { found: i64, known: i64 },
    #[error("there is a key named \"{0}\" already; revoke it first, or choose another name")]
    KeyExists(String),
    #[error("there is no key named \"{0}\"")]
    NoKey(String),
    #[error("the spool holds its most of {0} bytes; the journal does not keep up, or its disk is full")]
    SpoolFull(u64),
}

impl Error {
    pub(crate) fn file(path: &std::path::Path, source: std::io::Error) -> Error {
        Error::File { path: path.display().to_string(), source }
    }
}

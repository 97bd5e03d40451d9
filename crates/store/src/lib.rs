//! Memory: the registry with its audit, the journal, the spool that makes records survive, and the counters that limits are
//! kept by.
//!
//! Invariants
//! - The only crate that knows SQL.
//! - Whoever touches objects says whose ([`Tenancy`]), and that is part of the statement.
//! - A key or a session is stored as a keyed hash, a password as a slow one, never in the clear.
//! - What others could use is sealed before it is stored ([`Sealer`]).
//! - Every call that was noted has exactly one record, also after `kill -9`: entries are appended to spool
//!   files before the call leaves, and reach the database exactly once, since the position up to which a
//!   spool file was read is stored in the same transaction as the records.
//!
//! - Counters that limits are kept by grant all that a call claims, or nothing; no lock of theirs is held across an
//!   await, and a shared store that is away costs a call no wait.
//!
//! What it refuses to know: HTTP, prices, who may do what. Everything here but the ledger blocks, and PostgreSQL's client
//! must not be used on a thread that runs tasks; nothing here is called on the path of a request, except the ledger and the
//! spool's writer, which only appends to a file.

mod accounts;
mod adjustments;
mod answers;
mod audit;
mod callers;
mod changes;
mod credentials;
mod data_dir;
mod database;
mod entities;
mod erasures;
mod foreign;
mod forget;
mod hash;
mod import;
mod journal;
mod keys;
pub mod ledger;
mod look;
mod memberships;
mod objects;
mod partition;
mod password;
mod postings;
mod retention;
mod rollouts;
mod seal;
mod sealer;
mod sessions;
pub mod spool;
mod sql;
mod transaction;
mod uses;
mod watch;

pub use accounts::{Account, NewAccount, Renewed, Try, account_of};
pub use adjustments::Adjustment;
pub use answers::{Answer, Answered, Repeatable};
pub use audit::{AuditQuery, Entry, Event};
pub use callers::{CallersSince, HashedKey};
pub use changes::{ActorKind, Author, Change};
pub use credentials::{CREDENTIAL, NewCredential, OpenedCredential, Rewrapped};
pub use data_dir::{DataDir, Lock};
pub use database::Database;
pub use entities::entity_of;
pub use erasures::{Erasure, Subject};
pub use foreign::Foreign;
pub use hash::{KeyHasher, later_id, new_key};
pub use import::{Import, ImportedKey};
pub use journal::{Filter, Summary};
pub use keys::{KeyHash, NewKey, key_of};
pub use look::{Changed, HistoryQuery, Look};
pub use memberships::{GROUP, Provisioned, Roster};
pub use objects::{Object, Query, Tenancy, Version};
pub use password::{PasswordHash, new_password};
pub use retention::Kept;
pub use rollouts::Feedback;
pub use seal::new_encryption_key;
pub use sealer::{KeyKeeper, Sealer};
pub use sessions::{NewSession, Session, Way};
pub use transaction::Transaction;
pub use watch::Watch;

use uuid::Uuid;

/// What can go wrong with the store.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("{path}: {source}")]
    File { path: String, source: std::io::Error },
    #[error("another tollgate serves from {0}; stop it, or use another data directory")]
    Locked(String),
    #[error("the database: {0}")]
    Database(String),
    #[error("the database cannot be reached: {0}")]
    Unreachable(String),
    #[error("the database has such a row already: {0}")]
    Duplicate(String),
    #[error("the database refuses what it was given: {0}")]
    Refused(String),
    #[error("the database: column {column} holds {found} where {wanted} is expected")]
    Column { column: usize, found: &'static str, wanted: &'static str },
    #[error("store.database: {0}")]
    Address(String),
    #[error("store.shared: {0}; write redis://USER:PASSWORD@HOST:PORT, or rediss:// with TLS")]
    Shared(String),
    #[error(
        "this process hashes keys under another secret than the one that the database's keys were made under: \
         none of them would open anything. Set store.secret to the same value for all replicas; a replica without it \
         uses the file `secret` in its data directory, which can be copied from the one that made the keys"
    )]
    OtherSecret,
    #[error("the database was written by a newer tollgate (schema {found}, this one knows {known}); upgrade")]
    Newer { found: i64, known: i64 },
    #[error("there is a key named \"{0}\" already; revoke it first, or choose another name")]
    KeyExists(String),
    #[error("there is no object {0}")]
    NoObject(Uuid),
    #[error("{id} is {is}; only a user that has ended can be erased")]
    NotErasable { id: Uuid, is: String },
    #[error("there is a {kind} named \"{name}\" already; choose another name")]
    NameTaken { kind: String, name: String },
    #[error("it was changed meanwhile and has version {found} now; read it again")]
    VersionMismatch { found: u64 },
    #[error("store.encryption: {0}")]
    Encryption(String),
    #[error("this key has used {0} idempotency keys in 24 hours, which is the most; send none, or try later")]
    TooManyAnswers(u64),
    #[error("the spool holds its most of {0} bytes; the journal does not keep up, or its disk is full")]
    SpoolFull(u64),
}

impl Error {
    /// Whether the database would refuse the same again, whenever it is asked.
    pub(crate) fn is_of_content(&self) -> bool {
        matches!(self, Error::Refused(_) | Error::Duplicate(_))
    }

    pub(crate) fn file(path: &std::path::Path, source: std::io::Error) -> Error {
        Error::File { path: path.display().to_string(), source }
    }
}

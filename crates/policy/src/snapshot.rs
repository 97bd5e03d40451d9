//! The compiled configuration: immutable, and the same for the whole life of a request.

use std::{collections::BTreeMap, net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use crate::{Secret, identity::Identity, key::Key};

/// Everything that the configuration says, checked.
pub struct Snapshot {
    pub server: Server,
    pub data_dir: PathBuf,
    /// For models without deadlines of their own.
    pub deadlines: Deadlines,
    pub fidelity: Fidelity,
    /// By name.
    pub providers: BTreeMap<String, Arc<Provider>>,
    /// The names that applications use, beside `provider/model`.
    pub models: BTreeMap<String, Alias>,
    /// Keys that the file owns.
    pub keys: Vec<FileKey>,
    /// Every file that was read, to be watched for changes.
    pub files: Vec<PathBuf>,
}

/// How the gateway itself serves.
#[derive(Clone, Debug, PartialEq)]
pub struct Server {
    pub listen: SocketAddr,
    /// Data-plane threads; one for each core unless the file says otherwise.
    pub threads: Option<usize>,
    pub tls: Option<Tls>,
    pub limits: Limits,
    /// Whether `/metrics` answers without an admin key.
    pub metrics_public: bool,
    /// Log filter, as `info` or `tollgate=debug`.
    pub log: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tls {
    pub certificate: PathBuf,
    pub key: PathBuf,
}

/// What the front accepts.
#[derive(Clone, Debug, PartialEq)]
pub struct Limits {
    pub body_bytes_max: usize,
    pub header_bytes_max: usize,
    pub connections_max: usize,
    /// The most calls in flight over all connections.
    pub calls_max: usize,
    /// For a client to send its request's head, counted from the last request on the connection.
    pub header_time_max: Duration,
    /// For a client to send its request's body.
    pub body_time_max: Duration,
    /// The largest body that is sent on while it comes: sound, pictures, files.
    pub upload_bytes_max: u64,
    /// The largest whole answer of a provider that is taken.
    pub answer_bytes_max: usize,
    /// For streams in flight to finish when the process is asked to stop.
    pub drain_time_max: Duration,
}

/// How long an attempt may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deadlines {
    /// To connect, TLS included.
    pub connect: Duration,
    /// From sending the request to the first byte of the answer.
    pub first_byte: Duration,
    /// Between two pieces of the answer.
    pub between_events: Duration,
    /// In all, over every attempt.
    pub total: Duration,
}

/// What to do about a field that the target cannot carry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fidelity {
    /// Go on, and report the loss.
    Lenient,
    /// Refuse the request and name the field.
    Strict,
}

/// A provider that is switched on.
pub struct Provider {
    pub facts: catalog::Provider,
    /// The forms of operations beside chat that it takes.
    pub forms: Vec<wire::Form>,
    /// What opens it; none for local servers.
    pub api_key: Option<Secret>,
    /// Whose identity opens it, where no key does.
    pub identity: Option<Identity>,
    pub deadlines: Deadlines,
    /// The most connections that one core keeps to it.
    pub connections_max: usize,
}

impl Provider {
    pub fn new(
        facts: catalog::Provider,
        api_key: Option<Secret>,
        identity: Option<Identity>,
        deadlines: Deadlines,
        connections_max: usize,
    ) -> Provider {
        let forms = facts.forms().into_iter().map(|(form, _)| form).collect();
        Provider { facts, forms, api_key, identity, deadlines, connections_max }
    }
}

/// A model name with its targets, tried in order.
#[derive(Clone)]
pub struct Alias {
    pub targets: Vec<AliasTarget>,
    pub deadlines: Option<Deadlines>,
    pub fidelity: Fidelity,
}

#[derive(Clone)]
pub struct AliasTarget {
    pub provider: Arc<Provider>,
    /// The model's name at the provider.
    pub model: Arc<str>,
}

/// A key that stands in the file: the key itself is hashed when the snapshot is put to use.
pub struct FileKey {
    pub key: Key,
    pub secret: Secret,
}

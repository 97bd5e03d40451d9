//! The compiled configuration: immutable, and the same for the whole life of a request.

use std::{collections::BTreeMap, net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use crate::{
    Secret,
    attempt::Retries,
    authentication::Authentication,
    breaker::BreakerPolicy,
    classify::intents::Intents,
    concurrency::ConcurrencyPolicy,
    health_check::HealthCheck,
    hedge::Hedging,
    key::Key,
    key_keeper::KeyKeeper,
    label::{Demands, Labels},
    pool::{Credential, Opens},
    principal::{AddressRange, Directory, Entity, Principal},
    provisioning::GroupTeam,
    queue::Priority,
    role::Roles,
    rollout::{Rollout, Shadow},
    rule::Rule,
    sign_in::SignIn,
    strategy::Strategy,
    vitals::{ProviderId, RouteId, TargetId},
};

/// Everything that the configuration says, checked.
pub struct Snapshot {
    pub server: Server,
    pub data_dir: PathBuf,
    pub store: Store,
    pub journal: Journal,
    /// For models without deadlines of their own.
    pub deadlines: Deadlines,
    pub fidelity: Fidelity,
    pub retries: Retries,
    pub hold: Hold,
    /// By name.
    pub providers: BTreeMap<String, Arc<Provider>>,
    /// The names that applications use, beside `provider/model`.
    pub models: BTreeMap<String, Alias>,
    /// Intents by examples, for rules that ask what a user wants.
    pub intents: Option<Arc<Intents>>,
    /// Organizations and their parts that the file owns.
    pub entities: Vec<Entity>,
    /// What those who administer may do.
    pub roles: Roles,
    /// Keys that the file owns.
    pub keys: Vec<FileKey>,
    /// How callers are known beside keys.
    pub authentication: Authentication,
    /// The teams of groups that identity providers put in.
    pub scim: Vec<GroupTeam>,
    /// How people sign in to the admin side.
    pub sign_in: SignIn,
    /// Every file that was read, to be watched for changes.
    pub files: Vec<PathBuf>,
}

impl Snapshot {
    /// The caller that shows one of the file's keys.
    /// Whether a provider names this credential of the registry.
    pub fn is_opened_by(&self, provider: &str, credential: &str) -> bool {
        let is_it = |opens: &Opens| matches!(opens, Opens::Registered(name) if name == credential);
        self.providers
            .get(provider)
            .is_some_and(|found| found.credentials.iter().any(|one| is_it(&one.opens)))
    }

    pub fn caller(&self, name: &str) -> Option<Principal> {
        let key = self.keys.iter().find(|known| known.key.name == name)?;
        Some(Directory::new(self.entities.clone()).0.principal(&key.key).0)
    }
}

/// How the gateway itself serves.
#[derive(Clone, Debug, PartialEq)]
pub struct Server {
    pub listen: SocketAddr,
    /// Data-plane threads; one for each core unless the file says otherwise.
    pub threads: Option<usize>,
    pub tls: Option<Tls>,
    pub limits: Limits,
    /// The proxies whose word is taken for where a call comes from.
    pub trusted_proxies: Vec<AddressRange>,
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

/// Where keys, the journal and what else must last are kept.
#[derive(Clone, PartialEq, Eq)]
pub struct Store {
    pub database: Database,
    /// What keys are hashed under; otherwise a file in the data directory holds it.
    pub secret: Option<Secret>,
    /// The address of the Redis or Valkey whose counters replicas share; it may hold a password.
    pub shared: Option<Secret>,
    /// How long a call waits for shared counters.
    pub timeout: Duration,
    /// What seals data keys in the database.
    pub encryption: Option<Encryption>,
}

/// What is kept of calls.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Journal {
    /// For how long, unless an organization says otherwise; for ever where it is nothing.
    pub keep: Option<Duration>,
}

impl Default for Store {
    fn default() -> Store {
        Store {
            database: Database::Sqlite,
            secret: None,
            shared: None,
            timeout: Duration::from_millis(500),
            encryption: None,
        }
    }
}

/// What wraps the data keys of the database.
#[derive(Clone, PartialEq, Eq)]
pub struct Encryption {
    pub key: EncryptionKey,
    /// They open what was sealed before.
    pub previous: Vec<EncryptionKey>,
}

/// A key that wraps data keys.
#[derive(Clone, PartialEq, Eq)]
pub enum EncryptionKey {
    /// 32 bytes in base64.
    Written(Secret),
    /// One that its keeper never gives out.
    Kept(Box<KeyKeeper>),
}

#[derive(Clone, Default, PartialEq, Eq)]
pub enum Database {
    /// A file in the data directory.
    #[default]
    Sqlite,
    /// Forgotten when the process ends.
    Memory,
    /// The address, which may hold a password.
    Postgres(Secret),
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
    /// From sending the request to the first token of a stream; no limit of its own where there is none.
    pub first_token: Option<Duration>,
    /// Between two pieces of the answer.
    pub between_events: Duration,
    /// In all, over every attempt.
    pub total: Duration,
}

impl Default for Deadlines {
    fn default() -> Deadlines {
        Deadlines {
            connect: Duration::from_secs(5),
            first_byte: Duration::from_secs(120),
            first_token: None,
            between_events: Duration::from_secs(60),
            total: Duration::from_secs(600),
        }
    }
}

/// How much of a stream is held back at first, so that a failure in it can still be made good by another target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hold {
    /// The longest that what has come is held back.
    pub time: Duration,
    /// Until about so many tokens have come; nothing is held back where it is 0.
    pub tokens: u64,
}

impl Default for Hold {
    fn default() -> Hold {
        Hold { time: Duration::from_millis(500), tokens: 1 }
    }
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
    pub number: ProviderId,
    pub facts: catalog::Provider,
    /// The forms of operations beside chat that it takes.
    pub forms: Vec<wire::Form>,
    /// What opens it: at least one.
    pub credentials: Vec<Credential>,
    pub deadlines: Deadlines,
    /// The most connections that one core keeps to it.
    pub connections_max: usize,
    /// When one of its models that fails is left alone.
    pub breaker: BreakerPolicy,
    /// How many calls at a time it takes; `None` where that is not limited.
    pub concurrency: Option<ConcurrencyPolicy>,
    /// How it is asked whether it is well.
    pub check: Option<HealthCheck>,
    pub labels: Labels,
}

impl Provider {
    /// One with every setting at its default.
    pub fn new(facts: catalog::Provider, credentials: Vec<Credential>, deadlines: Deadlines) -> Provider {
        let forms = facts.forms().into_iter().map(|(form, _)| form).collect();
        Provider {
            number: ProviderId::of(&facts.id),
            facts,
            forms,
            credentials,
            deadlines,
            connections_max: CONNECTIONS_MAX,
            breaker: BreakerPolicy::default(),
            concurrency: None,
            check: None,
            labels: Labels::default(),
        }
    }
}

/// The most connections that one core keeps to a provider, unless the file says otherwise.
const CONNECTIONS_MAX: usize = 1_024;

/// A model name with its targets.
#[derive(Clone)]
pub struct Alias {
    pub route: RouteId,
    pub targets: Vec<AliasTarget>,
    pub strategy: Strategy,
    pub affinity: Affinity,
    /// What targets must be.
    pub only: Demands,
    /// For requests that are too long for the others.
    pub longer_context: Vec<AliasTarget>,
    /// For requests that the others refuse for their content.
    pub permitted: Vec<AliasTarget>,
    pub deadlines: Option<Deadlines>,
    pub fidelity: Fidelity,
    pub retries: Retries,
    pub hedging: Option<Hedging>,
    pub hold: Hold,
    /// Whether another target goes on with a stream that broke off.
    pub continues: bool,
    /// The class of service of its calls, where the caller names none.
    pub priority: Priority,
    /// Other names, for requests of which a rule holds: the first that does.
    pub ways: Vec<Way>,
    /// Whether the way of a call depends on what its request says.
    pub reads_request: bool,
    /// A candidate that is to take the place of the targets.
    pub rollout: Option<Arc<Rollout>>,
    /// Where calls are mirrored to.
    pub shadow: Option<Arc<Shadow>>,
}

/// Where requests go of which a rule holds.
#[derive(Clone)]
pub struct Way {
    pub when: Arc<Rule>,
    /// The rule as it was written.
    pub text: Arc<str>,
    /// The name of another model.
    pub to: String,
}

/// What stays together where a strategy keeps things together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Affinity {
    /// What the caller names; otherwise the beginning of the conversation.
    #[default]
    Session,
    /// The end user that the request names; otherwise the key.
    User,
    /// The beginning of the conversation.
    Prefix,
}

#[derive(Clone)]
pub struct AliasTarget {
    pub id: TargetId,
    pub provider: Arc<Provider>,
    /// The model's name at the provider.
    pub model: Arc<str>,
    pub weight: u32,
    /// The provider's and its own.
    pub labels: Labels,
    /// It takes only requests of which this holds.
    pub when: Option<Arc<Rule>>,
}

impl AliasTarget {
    /// One with every setting at its default.
    pub fn new(provider: Arc<Provider>, model: &str) -> AliasTarget {
        let id = TargetId::of(&provider.facts.id, model);
        let labels = provider.labels.clone();
        AliasTarget { id, model: model.into(), weight: 1, labels, when: None, provider }
    }
}

/// A key that stands in the file: the key itself is hashed when the snapshot is put to use.
pub struct FileKey {
    pub key: Key,
    pub secret: Secret,
}

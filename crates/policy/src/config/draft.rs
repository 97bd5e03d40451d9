//! What a person types. Every comment here is shown in the reference and by editors.

use std::collections::BTreeMap;

use catalog::{OneOrMany, ProviderDraft};
use schemars::JsonSchema;
use serde::Deserialize;

use super::{
    authentication::AuthenticationDraft,
    concurrency::{ConcurrencyEntry, PriorityDraft, QueueDraft},
    identity::{AwsDraft, AzureDraft, GoogleDraft},
    journal::JournalDraft,
    roles::RoleEntry,
    rollout::{RolloutDraft, ShadowDraft},
    routing::{
        DemandsDraft, FallbacksDraft, HealthDraft, HedgeDraft, HoldDraft, LabelsDraft, OnBreakDraft,
        RetriesDraft, StrategyEntry, TargetEntry, Targets, WayDraft,
    },
    scim::ScimDraft,
    secrets::SecretStoreDraft,
    sign_in::SignInDraft,
    store::StoreDraft,
    tenancy::{AccountEntry, KeyEntry, PartEntry},
    units::{Size, Span},
};
use crate::principal::Settings;

/// The configuration of Tollgate.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Draft {
    /// Further files, relative to this one: maps are merged, lists are joined, and a value that stands in two
    /// files is an error.
    pub(super) include: Option<OneOrMany>,
    /// How the gateway itself serves.
    pub(super) server: ServerDraft,
    /// Where the spool is kept, and keys and history unless [the store](storage.md) is elsewhere, relative to this file.
    /// Made with mode 0700.
    /// Default: `./tollgate-data` in the working directory.
    pub(super) data_dir: Option<String>,
    /// Where keys and history are kept, and what replicas share.
    pub(super) store: StoreDraft,
    /// What is kept of calls, and for how long.
    pub(super) journal: JournalDraft,
    /// [Stores of secrets](secrets.md) by name, for references of the form `secret:NAME/PATH#FIELD`.
    pub(super) secrets: BTreeMap<String, SecretStoreDraft>,
    /// How long calls may take, unless a provider or a model says otherwise.
    pub(super) deadlines: DeadlinesDraft,
    /// What to do about a field that the target cannot carry. Default: lenient.
    pub(super) fidelity: Option<FidelityDraft>,
    /// How often calls that fail are tried again.
    pub(super) retries: RetriesDraft,
    /// How much of a stream is held back at first.
    pub(super) hold: HoldDraft,
    /// The providers to switch on. A known name brings its address, dialect, models and prices from the
    /// catalogue; whatever is written here is laid over that. Left out, every known provider whose usual
    /// environment variable is set is switched on.
    pub(super) providers: Option<BTreeMap<String, Option<ProviderEntry>>>,
    /// The names that applications use. `provider/model` works without an entry.
    pub(super) models: BTreeMap<String, ModelEntry>,
    /// What users may want, each with examples of how they say it, for [rules](rules.md) over `request.intent`. About twenty
    /// examples of each are enough.
    pub(super) intents: BTreeMap<String, Vec<String>>,
    /// Organizations: what is set for one holds for all its parts. Needed only where several share a gateway.
    pub(super) organizations: BTreeMap<String, Option<Settings>>,
    /// Teams. One may stand below another.
    pub(super) teams: BTreeMap<String, Option<PartEntry>>,
    /// Projects, each of a team or of an organization.
    pub(super) projects: BTreeMap<String, Option<PartEntry>>,
    /// People.
    pub(super) users: BTreeMap<String, Option<PartEntry>>,
    /// Programs that are nobody's own.
    pub(super) service_accounts: BTreeMap<String, Option<AccountEntry>>,
    /// Roles at the [admin API](admin-api.md), beside owner, admin, developer, analyst and viewer.
    pub(super) roles: BTreeMap<String, RoleEntry>,
    /// Keys that this file owns. Other keys are made with `tollgate keys create`.
    pub(super) keys: Vec<KeyEntry>,
    /// How callers are known that show no key: [tokens and certificates](authentication.md).
    pub(super) authentication: AuthenticationDraft,
    /// What groups mean that identity providers put in by [SCIM](scim.md).
    pub(super) scim: ScimDraft,
    /// How [people](people.md) sign in to the admin side, beside keys.
    pub(super) sign_in: SignInDraft,
}

/// How the gateway itself serves.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct ServerDraft {
    /// Address and port to listen on; changing it needs a restart. Default: `127.0.0.1:8080`.
    pub(super) listen: Option<String>,
    /// Threads that carry calls; changing it needs a restart. Default: one for each core.
    pub(super) threads: Option<u64>,
    /// Serves HTTPS. Certificates that change on disk are taken up by themselves.
    pub(super) tls: Option<TlsDraft>,
    /// The proxies in front of the gateway, as `10.0.0.0/8`, whose `x-forwarded-for` is believed. Default: none.
    pub(super) trusted_proxies: Vec<String>,
    /// What is accepted from callers.
    pub(super) limits: LimitsDraft,
    /// Prometheus metrics at `/metrics`.
    pub(super) metrics: MetricsDraft,
    /// What is logged, as `info`, `debug` or `tollgate_server=debug,info`; changing it needs a restart.
    /// Default: `info`.
    pub(super) log: Option<String>,
}

/// A certificate and its key, in PEM files, relative to this file.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct TlsDraft {
    /// The certificate and those that vouch for it, the server's own first.
    pub(super) certificate: String,
    /// The private key.
    pub(super) key: String,
}

/// What is accepted from callers.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct LimitsDraft {
    /// The largest request body; a larger one is answered with 413. Default: `32MiB`.
    pub(super) body: Option<Size>,
    /// The largest body of a request that is sent on while it comes, as sound, pictures and files are. Default: `1GiB`.
    pub(super) upload: Option<Size>,
    /// The largest request head. Default: `64KiB`.
    pub(super) headers: Option<Size>,
    /// The most connections at a time; further ones are closed. Default: 10000.
    pub(super) connections: Option<u64>,
    /// The most calls in flight; further ones are answered with 503. Default: 10000.
    pub(super) calls: Option<u64>,
    /// For a caller to send the head of a request, counted from the last one on a connection. Default: `75s`.
    pub(super) header_time: Option<Span>,
    /// For a caller to send the body of a request. Default: `60s`.
    pub(super) body_time: Option<Span>,
    /// The largest whole answer that is taken from a provider. Default: `64MiB`.
    pub(super) answer: Option<Size>,
    /// For calls in flight to finish after the process was asked to stop. Default: `30s`.
    pub(super) drain_time: Option<Span>,
}

/// Prometheus metrics at `/metrics`.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct MetricsDraft {
    /// Whether anyone may read them; otherwise an admin key is asked for. Default: false.
    pub(super) public: bool,
}

/// How long a call may take.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct DeadlinesDraft {
    /// To connect to the provider, TLS included. Default: `5s`.
    pub(super) connect: Option<Span>,
    /// From sending a request to the first byte of the answer. Default: `120s`.
    pub(super) first_byte: Option<Span>,
    /// From sending a request to the first token of a stream, which is held back until then, so that another target can be
    /// asked in time. Default: none but `first_byte`.
    pub(super) first_token: Option<Span>,
    /// Between two pieces of an answer. Default: `60s`.
    pub(super) between_events: Option<Span>,
    /// For the whole call, over all its attempts. Default: `10m`.
    pub(super) total: Option<Span>,
}

/// What to do about a field that the target cannot carry.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum FidelityDraft {
    /// Go on, and name the field in the `x-tollgate-loss` header and in the journal.
    Lenient,
    /// Refuse the request with a 400 that names the field.
    Strict,
}

/// A provider that is switched on.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub(super) struct ProviderEntry {
    /// What opens it, as `${VARIABLE}`, a `secret:` reference, or `credential:NAME` for one that
    /// [the registry keeps](secrets.md#credentials-of-providers). Default: the provider's usual environment variable.
    pub(super) api_key: Option<String>,
    /// Several keys that share the calls, each with a state of its own: one that is limited, used up or refused is passed
    /// over.
    pub(super) api_keys: Option<Vec<KeyOrMore>>,
    /// The identity in AWS for which requests are signed, instead of a key.
    pub(super) aws: Option<AwsDraft>,
    /// The identity in Google Cloud for which tokens are fetched, instead of a key.
    pub(super) google: Option<GoogleDraft>,
    /// The identity in Entra ID for which tokens are fetched, instead of a key.
    pub(super) azure: Option<AzureDraft>,
    /// How long its calls may take.
    pub(super) deadlines: DeadlinesDraft,
    /// The most HTTP/1.1 connections that each core keeps to it. Default: 1024.
    pub(super) connections: Option<u64>,
    /// How many calls at a time it takes, over all cores; further ones [wait](concurrency.md). Default: no limit.
    pub(super) concurrency: Option<ConcurrencyEntry>,
    /// Calls that wait for one of its places.
    pub(super) queue: Option<QueueDraft>,
    /// When one of its models that fails is left alone.
    pub(super) health: HealthDraft,
    #[serde(flatten)]
    pub(super) labels: LabelsDraft,
    #[serde(flatten)]
    pub(super) facts: ProviderDraft,
}

/// A key of a pool: the key itself, or a map.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
pub(super) enum KeyOrMore {
    /// The key, as `${VARIABLE}`, a `secret:` reference or `credential:NAME`.
    Key(String),
    /// A key with settings of its own.
    Full(PoolKey),
}

/// A key of a pool, with settings of its own.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct PoolKey {
    /// The key, as `${VARIABLE}`, a `secret:` reference or `credential:NAME`.
    pub(super) key: String,
    /// The name that the journal shows.
    #[serde(default)]
    pub(super) name: Option<String>,
    /// How often it is used next to the others; 0 only where no other is left. Default: 1.
    #[serde(default)]
    pub(super) weight: Option<u32>,
    /// The models it is for, exact or with a trailing `*`. Default: all.
    #[serde(default)]
    pub(super) models: Option<OneOrMany>,
}

/// What a model name stands for: one target, a list of targets that are tried in order, or a map.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
pub(super) enum ModelEntry {
    /// `provider/model`.
    One(String),
    /// Targets in the order in which they are tried.
    Many(Vec<TargetEntry>),
    /// Targets with settings of their own.
    Full(Box<FullModel>),
}

/// Targets with settings of their own.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct FullModel {
    /// `provider/model` of each, or a map.
    pub(super) targets: Targets,
    /// Other models, for requests of which a rule holds; the first that holds decides.
    #[serde(default)]
    pub(super) route: Vec<WayDraft>,
    /// How they are chosen. Default: `ordered`.
    #[serde(default)]
    pub(super) strategy: Option<StrategyEntry>,
    /// What they must be to come into question.
    #[serde(default)]
    pub(super) only: DemandsDraft,
    /// Further targets, each for what the others refuse.
    #[serde(default)]
    pub(super) fallbacks: FallbacksDraft,
    /// How often its calls are tried again. Default: the file's.
    #[serde(default)]
    pub(super) retries: RetriesDraft,
    /// A second request to another target where the first is late. Default: none.
    #[serde(default)]
    pub(super) hedge: Option<HedgeDraft>,
    /// How much of a stream is held back at first. Default: the file's.
    #[serde(default)]
    pub(super) hold: HoldDraft,
    /// What becomes of a stream that breaks off after the caller was told some of it. Default: `fail`.
    #[serde(default)]
    pub(super) on_break: Option<OnBreakDraft>,
    /// The class of service of its calls, where the header `x-tollgate-priority` names none. Default: default.
    #[serde(default)]
    pub(super) priority: Option<PriorityDraft>,
    /// How long its calls may take. Default: the first target's provider's.
    #[serde(default)]
    pub(super) deadlines: Option<DeadlinesDraft>,
    /// What to do about a field that a target cannot carry. Default: the file's.
    #[serde(default)]
    pub(super) fidelity: Option<FidelityDraft>,
    /// A candidate that is brought in by steps, compared with the targets, and [promoted or rolled back](rollouts.md).
    #[serde(default)]
    pub(super) rollout: Option<RolloutDraft>,
    /// Another target to which calls are mirrored: their callers do not wait for it.
    #[serde(default)]
    pub(super) shadow: Option<ShadowDraft>,
}

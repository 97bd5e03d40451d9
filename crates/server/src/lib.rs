//! Effects: listeners, the pipeline, upstreams, the relay, settlement, reload.
//!
//! Invariants
//! - Nothing on the path of a request takes a lock that another core holds, or waits for the database.
//! - A request sees one snapshot, taken when it arrives.
//! - No attempt is made after the first byte of an answer has reached the caller.
//! - A call is noted before its request leaves, and settled exactly once, whatever becomes of it.
//! - A caller that goes away cancels the call to the upstream.
//!
//! What it refuses to know: business rules (they are in `policy`) and wire formats (they are in `wire`).

mod access;
mod access_request;
mod admin;
mod attempt;
mod authenticate;
mod board;
pub mod budgets;
mod call;
mod callers;
mod carry_over;
mod control;
mod core;
mod count_tokens;
mod credentials;
mod database;
mod drive;
mod entry;
mod experiment;
mod explain;
mod feedback;
mod forecast;
mod front;
mod gate;
mod gathered;
mod headers;
mod health_check;
mod hedge;
mod inbound;
mod journal;
mod kept;
mod limit_headers;
mod limits;
mod listen;
mod meter;
mod metrics;
mod models;
mod named;
mod outbound;
mod pass;
mod path;
mod perform;
mod pipeline;
mod plan;
mod provider_metrics;
mod relay;
mod reload;
mod respond;
mod retention;
mod rollouts;
mod secrets;
mod seeds;
mod serve;
mod settle;
mod settle_later;
mod shadow;
mod sources;
mod tasks;
mod terms;
mod tls;
mod upstream;
mod world;

pub use admin::{openapi, registry};
pub use control::keys_changed;
pub use secrets::{SecretStores, Tried, sealer};
pub use serve::{Error, Options, Ready, Server, Source};
pub use sources::System;
pub use tls::{Unread, unread};
pub use world::now_us;

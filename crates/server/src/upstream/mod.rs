//! The way to the providers: connections, pools, HTTP/1.1 and HTTP/2, TLS.

mod address;
mod body;
mod connect;
mod h1;
mod h2;
mod pool;
mod rest;

pub(crate) use address::{Address, Path};
pub(crate) use body::UpstreamBody;
pub(crate) use connect::{Connector, TlsTrust};
pub(crate) use pool::{Answer, Exchange, Failure, FailureKind, Pool, header_map};
pub(crate) use rest::Rest;

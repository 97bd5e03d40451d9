//! The admin side: metrics, the registry, calls, rollouts, the audit. It runs on a runtime of its own, so that nothing it
//! does stalls a call.

mod access_request;
mod audit;
mod bodies;
mod budgets;
mod calls;
mod change;
mod credentials;
mod erasures;
mod examine;
mod find;
mod guard;
mod list;
mod lockout;
mod openapi;
mod people;
mod query;
mod refusal;
pub mod registry;
mod request;
mod resource;
mod rotate;
mod routes;
mod scim;
mod side;
mod who;

pub use openapi::openapi;
pub(crate) use people::shows_session;
pub(crate) use request::{AdminRequest, Reply, ask, forward};
pub(crate) use side::{Admin, Settings};

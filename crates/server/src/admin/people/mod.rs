//! People who administer: local accounts, identity providers, and the sessions that both begin.

mod accounts;
mod bodies;
mod cookies;
mod local;
mod login;
mod oidc;
mod own;
mod passwords;
mod relying;
mod routes;
mod session;
mod sessions;
mod sign_in;

pub(crate) use cookies::shows_session;
pub(super) use routes::{PeopleAction, routes};
pub(super) use session::{Person, micros};
pub(super) use sign_in::People;

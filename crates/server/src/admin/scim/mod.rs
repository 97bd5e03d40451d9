//! SCIM 2.0: identity providers put people and groups into the registry and take them out again
//! (<https://www.rfc-editor.org/rfc/rfc7644>).

mod action;
mod answer;
mod attribute;
mod body;
mod discovery;
mod filter;
mod group;
mod list;
mod membership;
mod parse;
mod patch;
mod projection;
mod record;
mod refused;
mod routes;
mod schema;
mod search;
mod tenant;
mod user;

pub(super) use action::ScimAction;
pub(super) use refused::reply;
pub(super) use routes::routes;

//! Requests for access: a caller asks for models and operations, an administrator decides, and what is approved holds at once.

mod ask;
mod decide;
mod list;
mod record;
mod routes;

pub(super) use list::RequestAction;
pub(super) use routes::routes;

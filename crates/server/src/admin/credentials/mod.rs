//! Credentials of providers that the registry keeps. They are written and never read: what is shown is what they are for, and
//! their last characters.

mod bodies;
mod routes;
mod work;

pub(super) use routes::{Act, routes};

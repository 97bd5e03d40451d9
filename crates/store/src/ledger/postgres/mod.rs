//! Counters in PostgreSQL: functions that do a batch of reservations or settlements in one statement.

mod link;
mod schema;
mod target;

pub(super) use link::PostgresLink;
pub(super) use target::PostgresTarget;

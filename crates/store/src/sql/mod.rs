//! One SQL text, two engines.
//!
//! Statements are written for both: placeholders are `?1`, `?2`, …, moments and counts are whole numbers, ids are
//! UUIDs. Where the engines need words of their own, [`Engine`] has a method for it, or the schema differs.

mod copy;
mod engine;
mod postgres;
mod row;
mod sqlite;
mod tls;
mod value;

pub(crate) use engine::{Bulk, Engine, transaction};
pub(crate) use postgres::{Postgres, Server};
pub(crate) use row::Row;
pub(crate) use sqlite::Sqlite;
pub(crate) use value::Value;

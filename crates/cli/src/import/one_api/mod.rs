//! one-api and new-api: their database, in SQLite or PostgreSQL
//! (<https://github.com/songquanpeng/one-api>, <https://github.com/QuantumNous/new-api>).

mod callers;
mod channels;
mod source;

pub(super) use source::read;

//! Counters in Redis or Valkey: a hash for each bucket, a script for each operation.

mod call;
mod link;
mod reply;
mod target;

pub(super) use link::RedisLink;
pub(super) use target::RedisTarget;

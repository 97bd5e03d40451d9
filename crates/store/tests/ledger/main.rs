//! Every ledger keeps the same laws: in memory, in Redis, in PostgreSQL.
//!
//! `TOLLGATE_TEST_REDIS` (redis://host:port) and `TOLLGATE_TEST_POSTGRES` (a superuser's address) say where the stores are;
//! without them only memory is tested.

mod counting;
mod crowds;
mod naive;
mod outages;
mod proxy;
mod seeding;
mod stores;
mod twins;

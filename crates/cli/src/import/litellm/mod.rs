//! LiteLLM's proxy: its configuration file and its database.

mod budget;
mod config;
mod database;
mod deployment;
mod groups;
mod provider;
mod settings;
mod source;
mod tenants;

pub(in crate::import) use source::read;

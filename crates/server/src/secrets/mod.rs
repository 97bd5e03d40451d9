//! Stores of secrets: asked when a configuration is loaded, and from time to time whether anything has changed.

mod client;
mod cloud;
mod content;
mod refresh;
mod stores;
mod vault;

pub use stores::{SecretStores, Tried};

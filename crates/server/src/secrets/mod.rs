//! Stores of secrets, asked when a configuration is loaded and from time to time whether anything has changed; and keepers of
//! keys.

mod client;
mod cloud;
mod content;
mod keepers;
mod kms;
mod offline;
mod refresh;
mod stores;
mod vault;

pub use keepers::sealer;
pub use stores::{SecretStores, Tried};

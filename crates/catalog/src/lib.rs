//! Facts: who the providers are, how they are reached, and what their models can do and cost.
//!
//! Invariants
//! - A provider is one data file in `catalog/providers`; the same format is what users write in their
//!   configuration. No provider's name appears in code.
//! - A missing price is `None`, never zero.
//! - Prices are whole numbers: micro-USD per million tokens, which is picodollars per token.
//!
//! What it refuses to know: keys, configuration files, the network.

mod build;
mod draft;
mod known;
mod price;
mod provider;
mod yaml;

pub use draft::{LongContextDraft, ModelDraft, OneOrMany, PriceDraft, ProviderDraft};
pub use known::{entry, known};
pub use price::{LongContext, Price, Rates, UnitRates};
pub use provider::{Auth, Capability, Cloud, Model, Problem, Provider};
pub use yaml::parse_yaml;

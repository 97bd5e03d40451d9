//! What opens a provider in a cloud: identities, the tokens that stand for them, and signatures. Tokens are fetched by
//! tasks of the admin side, ahead of their end; a request only takes what is there.

mod aws;
mod azure;
mod fetch;
mod google;
mod keeper;
mod occasional;
mod open;
mod sign;

pub(crate) use fetch::Fetcher;
pub(crate) use keeper::{Keeper, Opened};
pub(crate) use occasional::Occasional;
pub(crate) use open::Opening;
pub(crate) use sign::{Signable, sign_whole};

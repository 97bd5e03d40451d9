//! Who calls, where no virtual key says it: tokens that an issuer signed, tokens that an issuer is asked about, and clients'
//! certificates. Keys of issuers are fetched by tasks of the admin side; what was found of a token is kept by each core.

mod certificate;
mod discovery;
mod identify;
mod introspection;
mod keeper;
mod key_set;
mod seen;

pub(crate) use certificate::ClientCertificate;
pub(crate) use discovery::description;
pub(crate) use identify::{Access, TokenIssuer, by_certificate, by_token};
pub(crate) use introspection::basic;
pub(crate) use seen::Seen;

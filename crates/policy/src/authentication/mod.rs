//! Who calls, where no virtual key says it: tokens of an identity provider, and certificates of clients.

mod algorithm;
mod certificate;
mod claims;
mod mapping;
mod refusal;
mod settings;
mod strict;
mod token;

pub use algorithm::{Algorithm, KeyType};
pub use certificate::{CertificateField, CertificateRule, Pattern, Presented};
pub use claims::Claims;
pub use mapping::{ClaimPath, ClaimRule, ClaimSource, Claimed, Identified, Mapping};
pub use refusal::Refusal;
pub use settings::{Authentication, ClientCertificates, Introspection, Issuer, Keys, is_private};
pub use token::{Header, Shape, TOKEN_BYTES_MAX, Token, shape};

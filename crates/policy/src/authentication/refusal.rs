//! Why a credential is not taken, as its owner is told. A token is never part of what is told.

use std::time::Duration;

use wire::{Fault, Kind, Origin, Retry};

/// How soon to ask again where somebody that has to be asked does not answer.
const AWAY: Duration = Duration::from_secs(5);

/// Why a token or a certificate is not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// It cannot be read; what of it.
    Malformed(&'static str),
    /// Its issuer is nobody that the configuration trusts.
    Untrusted,
    /// It is signed by an algorithm that is not taken, by no known key, or wrongly.
    Signature(&'static str),
    Expired,
    NotYet,
    /// It is for another audience.
    Audience,
    /// It is of a type that opens nothing here.
    Type,
    /// A claim that it must have is missing or has another value.
    Claim(String),
    /// Only the owner of a certain key may show it.
    Bound,
    /// Its issuer says that it is not good, or not good any more.
    Inactive,
    /// A claim that must name an entity names none that there is: the kind of entity.
    Unmapped(&'static str),
    /// It allows no model at all.
    NoModels,
    /// The keys of its issuer could not be fetched.
    IssuerAway,
    /// Who knows about such tokens does not answer.
    IntrospectionAway,
    /// The connection's certificate has ended or was revoked.
    CertificateEnded,
    /// The connection's certificate stands for nobody.
    CertificateUnknown,
}

impl Refusal {
    /// In no dialect.
    pub fn fault(&self) -> Fault {
        let (kind, code) = self.code();
        match kind {
            Kind::Unreachable => {
                let fault = Fault::new(Origin::Gateway, Kind::Overloaded, self.message()).code(code);
                fault.retry(Retry::After(AWAY))
            }
            kind => Fault::new(Origin::Client, kind, self.message()).code(code),
        }
    }

    fn code(&self) -> (Kind, &'static str) {
        match self {
            Refusal::Malformed(_) => (Kind::Unauthenticated, "token_malformed"),
            Refusal::Untrusted => (Kind::Unauthenticated, "token_untrusted"),
            Refusal::Signature(_) => (Kind::Unauthenticated, "token_signature"),
            Refusal::Expired => (Kind::Unauthenticated, "token_expired"),
            Refusal::NotYet => (Kind::Unauthenticated, "token_not_yet_valid"),
            Refusal::Audience => (Kind::Unauthenticated, "token_not_for_here"),
            Refusal::Type => (Kind::Unauthenticated, "token_type"),
            Refusal::Claim(_) => (Kind::Unauthenticated, "token_claims"),
            Refusal::Bound => (Kind::Unauthenticated, "token_bound"),
            Refusal::Inactive => (Kind::Unauthenticated, "token_inactive"),
            Refusal::Unmapped(_) => (Kind::Forbidden, "token_not_mapped"),
            Refusal::NoModels => (Kind::Forbidden, "model_not_allowed"),
            Refusal::IssuerAway => (Kind::Unreachable, "issuer_unavailable"),
            Refusal::IntrospectionAway => (Kind::Unreachable, "introspection_unavailable"),
            Refusal::CertificateEnded => (Kind::Unauthenticated, "certificate_ended"),
            Refusal::CertificateUnknown => (Kind::Unauthenticated, "certificate_unknown"),
        }
    }

    fn message(&self) -> String {
        match self {
            Refusal::Malformed(what) => format!("this token cannot be read: {what}; get a new one"),
            Refusal::Untrusted => {
                "this token is of an issuer that is not trusted here; get one of an issuer that \
                 stands under authentication.jwt"
                    .to_owned()
            }
            Refusal::Signature(what) => format!("this token's signature is not good: {what}; get a new one"),
            Refusal::Expired => "this token has expired; get a new one".to_owned(),
            Refusal::NotYet => {
                "this token is not good yet; check the clocks of its issuer and of the gateway".to_owned()
            }
            Refusal::Audience => {
                "this token is for another audience; ask its issuer for one for this gateway".to_owned()
            }
            Refusal::Type => "a token of this type opens nothing here; send an access token".to_owned(),
            Refusal::Claim(name) => {
                format!("this token's claim \"{name}\" is missing or has a value that is not taken here")
            }
            Refusal::Bound => {
                "this token is bound to a key of its owner; send it over a connection with the \
                 certificate that it is bound to"
                    .to_owned()
            }
            Refusal::Inactive => "this token is not good, or not any more; get a new one".to_owned(),
            Refusal::Unmapped(kind) => {
                format!("this token names no {kind} that there is here; ask for its owner to be put into one")
            }
            Refusal::NoModels => "this token allows no models; ask for one that does".to_owned(),
            Refusal::IssuerAway => {
                "the keys of this token's issuer cannot be fetched now; try again".to_owned()
            }
            Refusal::IntrospectionAway => {
                "whoever knows about such tokens does not answer now; try again".to_owned()
            }
            Refusal::CertificateEnded => {
                "the certificate of this connection has ended or was revoked; connect with a new one"
                    .to_owned()
            }
            Refusal::CertificateUnknown => {
                "the certificate of this connection stands for nobody here; send a key or a token \
                 as well, or ask for an entry under authentication.certificates.map"
                    .to_owned()
            }
        }
    }
}

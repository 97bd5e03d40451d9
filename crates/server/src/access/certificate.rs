//! The client's certificate of a connection: whom it names, and whether it is good still.

use std::{
    cell::{Cell, RefCell},
    io,
    rc::Rc,
    sync::Arc,
};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use policy::{
    authentication::{CertificateRule, Presented, Refusal},
    principal::Proof,
};
use rustls_pki_types::CertificateDer;
use sha2::{Digest, Sha256};
use x509_parser::{
    extensions::GeneralName,
    prelude::{FromDer, X509Certificate},
};

use super::seen::Whom;
use crate::tls::Listening;

/// The certificate that the other side of a connection proved to be its own.
pub(crate) struct ClientCertificate {
    chain: Vec<CertificateDer<'static>>,
    presented: Presented,
    /// SHA-256 of the certificate, in base64url, as tokens name what they are bound to
    /// (<https://www.rfc-editor.org/rfc/rfc8705#section-3.1>).
    hash: String,
    /// Microseconds since 1970.
    ends_us: i64,
    listening: Arc<Listening>,
    /// Since when it is known to be good: the number of what it was checked against.
    checked: Cell<u64>,
    /// Whom it stands for, by the number of a configuration.
    whom: RefCell<Option<(u64, Option<Rc<Whom>>)>>,
}

impl ClientCertificate {
    /// Reads the certificates that the handshake found good; nothing where there were none.
    pub(crate) fn shown(
        chain: Option<&[CertificateDer<'_>]>,
        listening: &Arc<Listening>,
        checked: u64,
    ) -> io::Result<Option<ClientCertificate>> {
        let Some(leaf) = chain.and_then(|chain| chain.first()) else { return Ok(None) };
        let invalid = || io::Error::new(io::ErrorKind::InvalidData, "the certificate cannot be read");
        let (_, certificate) = X509Certificate::from_der(leaf).map_err(|_| invalid())?;
        Ok(Some(ClientCertificate {
            presented: presented(&certificate),
            hash: URL_SAFE_NO_PAD.encode(Sha256::digest(leaf)),
            ends_us: certificate.validity().not_after.timestamp().saturating_mul(1_000_000),
            chain: chain.into_iter().flatten().map(|one| one.clone().into_owned()).collect(),
            listening: Arc::clone(listening),
            checked: checked.into(),
            whom: RefCell::new(None),
        }))
    }

    /// Whether it is good still: a connection may outlive its certificate, and the authorities that vouched for it.
    pub(crate) fn check(&self, now_us: i64) -> Result<(), Refusal> {
        if now_us >= self.ends_us {
            return Err(Refusal::CertificateEnded);
        }
        let checked = self.listening.vouches(&self.chain, self.checked.get());
        self.checked.set(checked.ok_or(Refusal::CertificateEnded)?);
        Ok(())
    }

    pub(super) fn has_hash(&self, hash: &str) -> bool {
        self.hash == hash
    }

    /// Whom it stands for. `access` is the number of the configuration whose rules these are.
    pub(super) fn whom(&self, access: u64, rules: &[CertificateRule]) -> Option<Rc<Whom>> {
        let mut whom = self.whom.borrow_mut();
        if let Some((known, found)) = &*whom
            && *known == access
        {
            return found.clone();
        }
        let found = rules.iter().find_map(|rule| rule.identify(&self.presented));
        let found = found.map(|identified| Rc::new(Whom::new(identified, Proof::Certificate)));
        *whom = Some((access, found.clone()));
        found
    }
}

fn presented(certificate: &X509Certificate<'_>) -> Presented {
    let mut presented = Presented::default();
    let mut common_names = certificate.subject().iter_common_name();
    // Of two names, nobody could say which is meant.
    if let (Some(name), None) = (common_names.next(), common_names.next()) {
        presented.common_name = name.as_str().ok().map(str::to_owned);
    }
    if let Ok(Some(alternative)) = certificate.subject_alternative_name() {
        for name in &alternative.value.general_names {
            match name {
                GeneralName::DNSName(name) => presented.dns.push(name.to_ascii_lowercase()),
                GeneralName::URI(name) => presented.uris.push((*name).to_owned()),
                GeneralName::RFC822Name(name) => presented.emails.push((*name).to_owned()),
                _ => {}
            }
        }
    }
    presented
}

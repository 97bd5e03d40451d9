//! HTTPS for callers, with certificates that change while connections go on.

use std::{io, path::PathBuf, sync::Arc};

use arc_swap::ArcSwap;
use policy::snapshot::Tls;
use rustls::{
    ServerConfig,
    crypto::aws_lc_rs,
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};

/// The certificate in use.
#[derive(Debug)]
pub(crate) struct Certificates {
    certificate: PathBuf,
    key: PathBuf,
    current: ArcSwap<CertifiedKey>,
}

impl Certificates {
    pub(crate) fn load(tls: &Tls) -> io::Result<Arc<Certificates>> {
        let current = read(&tls.certificate, &tls.key)?;
        Ok(Arc::new(Certificates {
            certificate: tls.certificate.clone(),
            key: tls.key.clone(),
            current: ArcSwap::from_pointee(current),
        }))
    }

    /// Takes up what stands on disk; what cannot be read leaves the old certificate in use.
    pub(crate) fn reload(&self) {
        match read(&self.certificate, &self.key) {
            Ok(fresh) => self.current.store(Arc::new(fresh)),
            Err(error) => tracing::error!(%error, "the certificate cannot be read: the old one serves on"),
        }
    }

    pub(crate) fn server_config(self: &Arc<Certificates>) -> Arc<ServerConfig> {
        let resolver = Arc::clone(self) as Arc<dyn ResolvesServerCert>;
        let mut config = ServerConfig::builder().with_no_client_auth().with_cert_resolver(resolver);
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Arc::new(config)
    }
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.current.load_full())
    }
}

fn read(certificate: &PathBuf, key: &PathBuf) -> io::Result<CertifiedKey> {
    let invalid = |path: &PathBuf, what: &str| {
        io::Error::new(io::ErrorKind::InvalidData, format!("{}: {what}", path.display()))
    };
    let chain: Result<Vec<_>, _> = CertificateDer::pem_file_iter(certificate)
        .map_err(|error| invalid(certificate, &error.to_string()))?
        .collect();
    let chain = chain.map_err(|error| invalid(certificate, &error.to_string()))?;
    if chain.is_empty() {
        return Err(invalid(certificate, "holds no certificate in PEM"));
    }
    let private = PrivateKeyDer::from_pem_file(key).map_err(|error| invalid(key, &error.to_string()))?;
    let signer =
        aws_lc_rs::sign::any_supported_type(&private).map_err(|error| invalid(key, &error.to_string()))?;
    let certified = CertifiedKey::new(chain, signer);
    certified
        .keys_match()
        .map_err(|error| invalid(key, &format!("does not belong to the certificate: {error}")))?;
    Ok(certified)
}

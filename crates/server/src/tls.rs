//! HTTPS for callers, with certificates that change while connections go on: the gateway's own, and those of the authorities that
//! vouch for clients.

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use arc_swap::ArcSwap;
use policy::{
    Snapshot,
    authentication::ClientCertificates,
    snapshot::{Server, Tls},
};
use rustls::{
    RootCertStore, ServerConfig,
    crypto::aws_lc_rs,
    server::{NoServerSessionStorage, WebPkiClientVerifier, danger::ClientCertVerifier},
    sign::{CertifiedKey, SingleCertAndKey},
};
use rustls_pki_types::{
    CertificateDer, CertificateRevocationListDer, PrivateKeyDer, UnixTime, pem::PemObject,
};

/// How connections are taken.
pub(crate) struct Listening {
    current: ArcSwap<Loaded>,
    loads: AtomicU64,
}

/// A file that serving HTTPS needs and that is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{setting}: {message}")]
pub struct Unread {
    /// What names the file, as it is written in a configuration.
    pub setting: &'static str,
    pub message: String,
}

/// Reads the files that serving HTTPS needs, as a start does, and tells what is wrong with them.
pub fn unread(snapshot: &Snapshot) -> Vec<Unread> {
    let Some(tls) = &snapshot.server.tls else { return Vec::new() };
    let clients = snapshot.authentication.certificates.as_deref();
    let clients = clients.map(|clients| verifier(clients).err());
    [read(tls).err(), clients.flatten()].into_iter().flatten().collect()
}

/// What was read from disk.
pub(crate) struct Loaded {
    /// Another one each time.
    pub(crate) number: u64,
    pub(crate) config: Arc<ServerConfig>,
    /// Who says whether a client's certificate is good, where some are taken.
    clients: Option<Arc<dyn ClientCertVerifier>>,
}

impl Listening {
    /// Nothing where the gateway does not serve HTTPS.
    pub(crate) fn load(snapshot: &Snapshot) -> Result<Option<Arc<Listening>>, Unread> {
        let Some(first) = load(&snapshot.server, snapshot.authentication.certificates.as_deref(), 1)? else {
            return Ok(None);
        };
        Ok(Some(Arc::new(Listening { current: ArcSwap::from_pointee(first), loads: AtomicU64::new(1) })))
    }

    /// Takes up what stands on disk; where it cannot be read, what was read before serves on.
    pub(crate) fn reload(&self, snapshot: &Snapshot) {
        let number = self.loads.fetch_add(1, Relaxed) + 1;
        match load(&snapshot.server, snapshot.authentication.certificates.as_deref(), number) {
            Ok(Some(fresh)) => self.current.store(Arc::new(fresh)),
            // Whether HTTPS is served changes with a restart only.
            Ok(None) => {}
            Err(error) => tracing::error!(%error, "the certificate cannot be read: the old one serves on"),
        }
    }

    /// How the next connection is taken.
    pub(crate) fn current(&self) -> Arc<Loaded> {
        self.current.load_full()
    }

    /// What vouches for a client's certificates now, by its number; `checked` is that of what did before.
    pub(crate) fn vouches(&self, chain: &[CertificateDer<'_>], checked: u64) -> Option<u64> {
        let current = self.current.load();
        if current.number == checked {
            return Some(checked);
        }
        let (leaf, between) = chain.split_first()?;
        let clients = current.clients.as_ref()?;
        let verified = clients.verify_client_cert(leaf, between, UnixTime::now());
        verified.is_ok().then_some(current.number)
    }
}

fn load(
    server: &Server,
    clients: Option<&ClientCertificates>,
    number: u64,
) -> Result<Option<Loaded>, Unread> {
    let Some(tls) = &server.tls else { return Ok(None) };
    let certified = read(tls)?;
    let clients = clients.map(verifier).transpose()?;
    let builder = ServerConfig::builder();
    let builder = match &clients {
        Some(clients) => builder.with_client_cert_verifier(Arc::clone(clients)),
        None => builder.with_no_client_auth(),
    };
    let mut config = builder.with_cert_resolver(Arc::new(SingleCertAndKey::from(certified)));
    if clients.is_some() {
        // A session that is resumed brings a certificate that nobody looked at again.
        config.session_storage = Arc::new(NoServerSessionStorage {});
    }
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Some(Loaded { number, config: Arc::new(config), clients }))
}

/// Checks clients' certificates against the authorities, and against what they revoked.
fn verifier(clients: &ClientCertificates) -> Result<Arc<dyn ClientCertVerifier>, Unread> {
    let refused = |what: &str| Unread::new(AUTHORITIES, &clients.authorities, what);
    let mut roots = RootCertStore::empty();
    for authority in certificates(AUTHORITIES, &clients.authorities)? {
        roots.add(authority).map_err(|error| refused(&error.to_string()))?;
    }
    let mut builder = WebPkiClientVerifier::builder(Arc::new(roots));
    if let Some(path) = &clients.revoked {
        let unread = |error| Unread::new(REVOKED, path, &format!("{error}"));
        let lists: Result<Vec<_>, _> =
            CertificateRevocationListDer::pem_file_iter(path).map_err(unread)?.collect();
        let lists = lists.map_err(unread)?;
        if lists.is_empty() {
            return Err(Unread::new(REVOKED, path, "holds no list of revoked certificates in PEM"));
        }
        builder = builder.with_crls(lists);
    }
    if !clients.required {
        builder = builder.allow_unauthenticated();
    }
    builder.build().map_err(|error| refused(&error.to_string()))
}

fn read(tls: &Tls) -> Result<CertifiedKey, Unread> {
    let chain = certificates(CERTIFICATE, &tls.certificate)?;
    let refused = |what: &str| Unread::new(KEY, &tls.key, what);
    let private = PrivateKeyDer::from_pem_file(&tls.key).map_err(|error| refused(&error.to_string()))?;
    let signer =
        aws_lc_rs::sign::any_supported_type(&private).map_err(|error| refused(&error.to_string()))?;
    let certified = CertifiedKey::new(chain, signer);
    certified
        .keys_match()
        .map_err(|error| refused(&format!("does not belong to the certificate: {error}")))?;
    Ok(certified)
}

/// The certificates of a file: at least one.
fn certificates(setting: &'static str, path: &Path) -> Result<Vec<CertificateDer<'static>>, Unread> {
    let unread = |error| Unread::new(setting, path, &format!("{error}"));
    let found: Result<Vec<_>, _> = CertificateDer::pem_file_iter(path).map_err(unread)?.collect();
    let found = found.map_err(unread)?;
    if found.is_empty() {
        return Err(Unread::new(setting, path, "holds no certificate in PEM"));
    }
    Ok(found)
}

impl Unread {
    fn new(setting: &'static str, path: &Path, what: &str) -> Unread {
        Unread { setting, message: format!("{}: {what}", path.display()) }
    }
}

const CERTIFICATE: &str = "server.tls.certificate";
const KEY: &str = "server.tls.key";
const AUTHORITIES: &str = "authentication.certificates.ca";
const REVOKED: &str = "authentication.certificates.crl";

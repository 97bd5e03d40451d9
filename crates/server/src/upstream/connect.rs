//! Making connections: TCP without delay, TLS where the address asks for it.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::{CertificateDer, ServerName, pem::PemObject};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    time::timeout,
};
use tokio_rustls::{TlsConnector, client::TlsStream};

use super::Address;

/// A stream of bytes to an upstream.
pub(crate) enum Io {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

/// Whom upstreams' certificates must be signed by; shared by all cores.
#[derive(Clone)]
pub(crate) struct TlsTrust(Arc<ClientConfig>);

/// Makes connections.
#[derive(Clone)]
pub(crate) struct Connector {
    tls: TlsConnector,
}

impl TlsTrust {
    /// Mozilla's roots, and the system's own where there are any (a company's own authority).
    pub(crate) fn new() -> TlsTrust {
        let mut roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
        let system = rustls_native_certs::load_native_certs();
        let (added, ignored) = roots.add_parsable_certificates(system.certs);
        tracing::debug!(added, ignored, "system certificates");
        let mut config = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        TlsTrust(Arc::new(config))
    }

    /// The authorities of a PEM file and no others.
    pub(crate) fn only(pem: &str) -> Result<TlsTrust, String> {
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
            let certificate = certificate.map_err(|error| format!("is no PEM: {error}"))?;
            roots
                .add(certificate)
                .map_err(|error| format!("holds a certificate of no authority: {error}"))?;
        }
        if roots.is_empty() {
            return Err("holds no certificate; it begins with -----BEGIN CERTIFICATE-----".to_owned());
        }
        let config = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
        Ok(TlsTrust(Arc::new(config)))
    }
}

impl TlsTrust {
    /// The same trust, for connections that speak HTTP/1.1 only.
    pub(crate) fn http1(&self) -> TlsTrust {
        let mut config = ClientConfig::clone(&self.0);
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        TlsTrust(Arc::new(config))
    }
}

impl Connector {
    pub(crate) fn new(trust: &TlsTrust) -> Connector {
        Connector { tls: TlsConnector::from(Arc::clone(&trust.0)) }
    }

    /// Connects, handshake included, within the limit.
    pub(crate) async fn connect(&self, address: &Address, limit: Duration) -> io::Result<Io> {
        match timeout(limit, self.connect_at_leisure(address)).await {
            Ok(connected) => connected,
            Err(_) => Err(io::ErrorKind::TimedOut.into()),
        }
    }

    async fn connect_at_leisure(&self, address: &Address) -> io::Result<Io> {
        let stream = TcpStream::connect((address.host.as_str(), address.port)).await?;
        stream.set_nodelay(true)?;
        if !address.tls {
            return Ok(Io::Plain(stream));
        }
        let name = ServerName::try_from(address.host.clone())
            .map_err(|_| io::Error::new(io::ErrorKind::InvalidInput, "the host has no valid name"))?;
        Ok(Io::Tls(Box::new(self.tls.connect(name, stream).await?)))
    }
}

impl Io {
    /// Whether both sides agreed on HTTP/2.
    pub(crate) fn is_h2(&self) -> bool {
        match self {
            Io::Plain(_) => false,
            Io::Tls(stream) => stream.get_ref().1.alpn_protocol() == Some(b"h2"),
        }
    }

    /// Whether the other side is known to have closed it.
    pub(crate) fn is_closed(&self) -> bool {
        let stream = match self {
            Io::Plain(stream) => stream,
            Io::Tls(stream) => stream.get_ref().0,
        };
        let mut byte = [0; 1];
        let mut buffer = ReadBuf::new(&mut byte);
        let mut context = Context::from_waker(std::task::Waker::noop());
        match stream.poll_peek(&mut context, &mut buffer) {
            // Late TLS records, as session tickets are, do not close a connection.
            Poll::Ready(Ok(count)) => count == 0,
            Poll::Ready(Err(_)) => true,
            Poll::Pending => false,
        }
    }
}

impl AsyncRead for Io {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Io::Plain(stream) => Pin::new(stream).poll_read(cx, buffer),
            Io::Tls(stream) => Pin::new(stream).poll_read(cx, buffer),
        }
    }
}

impl AsyncWrite for Io {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Io::Plain(stream) => Pin::new(stream).poll_write(cx, bytes),
            Io::Tls(stream) => Pin::new(stream).poll_write(cx, bytes),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Io::Plain(stream) => Pin::new(stream).poll_write_vectored(cx, slices),
            Io::Tls(stream) => Pin::new(stream).poll_write_vectored(cx, slices),
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Io::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Io::Tls(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Io::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Io::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}

//! HTTP/2 to an upstream: hyper's client, one connection for many exchanges.

use std::io;

use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response, Uri};
use http_body_util::Full;
use hyper::{body::Incoming, client::conn::http2};
use hyper_util::rt::TokioIo;

use super::{Address, connect::Io};
use crate::{
    headers,
    tasks::{self, LocalExecutor},
};

/// A handle on a connection; clones share it.
#[derive(Clone)]
pub(crate) struct Sender(http2::SendRequest<Full<Bytes>>);

impl Sender {
    /// Makes the connection's first exchange of settings and drives it in a task of its own.
    pub(crate) async fn handshake(io: Io) -> io::Result<Sender> {
        let (sender, connection) = http2::Builder::new(LocalExecutor)
            .timer(hyper_util::rt::TokioTimer::new())
            .keep_alive_interval(std::time::Duration::from_secs(20))
            .handshake(TokioIo::new(io))
            .await
            .map_err(io::Error::other)?;
        tasks::spawn_local("upstream http/2 connection", async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "http/2 connection ended");
            }
        });
        Ok(Sender(sender))
    }

    pub(crate) fn is_open(&self) -> bool {
        !self.0.is_closed()
    }

    /// Sends a request; `Err(true)` means that it was certainly not sent.
    pub(crate) async fn send(
        &mut self,
        address: &Address,
        path: &str,
        headers: HeaderMap,
        body: Bytes,
    ) -> Result<Response<Incoming>, bool> {
        if self.0.ready().await.is_err() {
            return Err(true);
        }
        let uri = Uri::builder()
            .scheme(if address.tls { "https" } else { "http" })
            .authority(address.authority.as_str())
            .path_and_query(path);
        let Ok(uri) = uri.build() else { return Err(true) };
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = uri;
        *request.headers_mut() = headers;
        self.0.try_send_request(request).await.map_err(|mut error| error.take_message().is_some())
    }
}

/// The headers of an answer that are kept.
pub(crate) fn kept_headers(all: &HeaderMap) -> HeaderMap {
    let kept = |(name, _): &(&http::HeaderName, &http::HeaderValue)| headers::is_answer_header(name.as_str());
    all.iter().filter(kept).map(|(name, value)| (name.clone(), value.clone())).collect()
}

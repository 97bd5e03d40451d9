//! One request to whoever gives tokens out. It is rare, so that each has a connection of its own.

use std::{io, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{HeaderValue, Request, Response, Uri, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde::de::DeserializeOwned;
use tokio::time::timeout;

use crate::{
    tasks,
    upstream::{Address, Connector, TlsTrust},
};

/// For a whole exchange. Metadata servers answer at once, and token endpoints within a second.
const TIME_MAX: Duration = Duration::from_secs(10);
const ANSWER_BYTES_MAX: usize = 1 << 20;
/// How much of a refusal is told.
const REFUSAL_CHARS_MAX: usize = 300;

/// Asks endpoints for tokens.
#[derive(Clone)]
pub(crate) struct Fetcher {
    connector: Arc<Connector>,
}

impl std::fmt::Debug for Fetcher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Fetcher")
    }
}

impl Fetcher {
    pub(crate) fn new(trust: &TlsTrust) -> Fetcher {
        Fetcher { connector: Arc::new(Connector::new(&trust.http1())) }
    }

    /// Sends a form and reads JSON.
    pub(super) async fn form<T: DeserializeOwned>(
        &self,
        url: &str,
        fields: &[(&str, &str)],
    ) -> Result<T, String> {
        let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        let request = Request::post(url)
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(Bytes::from(body));
        self.json(request.map_err(|_| not_an_address(url))?).await
    }

    /// Reads text.
    pub(super) async fn text(&self, request: Request<Bytes>) -> Result<String, String> {
        let from = request.uri().host().unwrap_or_default().to_owned();
        let body = self.good(request).await?;
        String::from_utf8(body.to_vec()).map_err(|_| format!("{from} answered with no text"))
    }

    /// Reads JSON.
    pub(super) async fn json<T: DeserializeOwned>(&self, request: Request<Bytes>) -> Result<T, String> {
        let from = request.uri().host().unwrap_or_default().to_owned();
        let body = self.good(request).await?;
        // What could not be read may hold a token: the error says where, not what.
        serde_json::from_slice(&body).map_err(|error| {
            format!("{from} answered in another form than expected (column {})", error.column())
        })
    }

    async fn good(&self, request: Request<Bytes>) -> Result<Bytes, String> {
        let from = request.uri().host().unwrap_or_default().to_owned();
        let answer = self.send(request).await.map_err(|error| format!("{from}: {error}"))?;
        let (parts, body) = answer.into_parts();
        if parts.status.is_success() {
            return Ok(body);
        }
        let said = String::from_utf8_lossy(&body);
        let said: String = said.split_whitespace().collect::<Vec<_>>().join(" ");
        let said: String = said.chars().take(REFUSAL_CHARS_MAX).collect();
        Err(format!("{from} answered with {}: {said}", parts.status.as_u16()))
    }

    /// One whole exchange over HTTP/1.1, within its time.
    pub(super) async fn send(&self, request: Request<Bytes>) -> io::Result<Response<Bytes>> {
        self.send_within(request, TIME_MAX).await
    }

    /// The same within a time of the caller's.
    pub(crate) async fn send_within(
        &self,
        request: Request<Bytes>,
        limit: Duration,
    ) -> io::Result<Response<Bytes>> {
        match timeout(limit, self.exchange(request, limit)).await {
            Ok(answered) => answered,
            Err(_) => Err(io::Error::new(io::ErrorKind::TimedOut, "no answer in time")),
        }
    }

    async fn exchange(&self, request: Request<Bytes>, limit: Duration) -> io::Result<Response<Bytes>> {
        let (mut parts, body) = request.into_parts();
        let (address, _) = Address::parse(&parts.uri.to_string())
            .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "no address"))?;
        if !parts.headers.contains_key(header::HOST) {
            let host = HeaderValue::from_str(&address.authority).map_err(io::Error::other)?;
            parts.headers.insert(header::HOST, host);
        }
        let path = parts.uri.path_and_query().map_or("/", |path| path.as_str()).to_owned();
        parts.uri = path.parse::<Uri>().map_err(io::Error::other)?;
        let io = self.connector.connect(&address, limit).await?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(io)).await.map_err(io::Error::other)?;
        let driver = tasks::spawn("token connection", async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "a connection for tokens ended");
            }
        });
        let request = Request::from_parts(parts, Full::new(body));
        let answered = async {
            let (parts, body) = sender.send_request(request).await.map_err(io::Error::other)?.into_parts();
            let body = Limited::new(body, ANSWER_BYTES_MAX).collect().await.map_err(io::Error::other)?;
            Ok(Response::from_parts(parts, body.to_bytes()))
        };
        let answered = answered.await;
        driver.abort();
        answered
    }
}

fn not_an_address(url: &str) -> String {
    format!("\"{url}\" is no address")
}

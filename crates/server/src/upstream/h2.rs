//! HTTP/2 to an upstream: hyper's client, one connection for many exchanges.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http::{HeaderMap, Request, Response, Uri};
use http_body::{Frame, SizeHint};
use hyper::{body::Incoming, client::conn::http2};
use hyper_util::rt::TokioIo;

use super::{connect::Io, pool::Exchange, rest::Coming};
use crate::{
    headers,
    tasks::{self, LocalExecutor},
};

/// A handle on a connection; clones share it.
#[derive(Clone)]
pub(crate) struct Sender(http2::SendRequest<Body>);

/// A request's body: a beginning, and what still comes.
pub(crate) struct Body {
    first: Option<Bytes>,
    rest: Option<Next>,
    length: Option<u64>,
}

/// The piece that is waited for, with what brings the ones behind it.
type Next = Pin<Box<dyn Future<Output = (io::Result<Option<Bytes>>, Coming)>>>;

impl Body {
    pub(crate) fn new(first: Bytes, rest: Option<Coming>) -> Body {
        let length = match &rest {
            None => Some(first.len() as u64),
            Some(coming) => coming.length.map(|length| length + first.len() as u64),
        };
        Body { first: (!first.is_empty()).then_some(first), rest: rest.map(next), length }
    }
}

fn next(mut coming: Coming) -> Next {
    Box::pin(async move { (coming.next().await, coming) })
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let body = self.get_mut();
        if let Some(first) = body.first.take() {
            return Poll::Ready(Some(Ok(Frame::data(first))));
        }
        let Some(rest) = &mut body.rest else { return Poll::Ready(None) };
        let (piece, coming) = ready!(rest.as_mut().poll(cx));
        body.rest = matches!(piece, Ok(Some(_))).then(|| next(coming));
        Poll::Ready(piece.map(|piece| piece.map(Frame::data)).transpose())
    }

    fn is_end_stream(&self) -> bool {
        self.first.is_none() && self.rest.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        self.length.map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}

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
        exchange: &Exchange<'_>,
        headers: HeaderMap,
        body: Body,
    ) -> Result<Response<Incoming>, bool> {
        if self.0.ready().await.is_err() {
            return Err(true);
        }
        let uri = Uri::builder()
            .scheme(if exchange.address.tls { "https" } else { "http" })
            .authority(exchange.address.authority.as_str())
            .path_and_query(exchange.path);
        let Ok(uri) = uri.build() else { return Err(true) };
        let mut request = Request::new(body);
        *request.method_mut() = exchange.method.clone();
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

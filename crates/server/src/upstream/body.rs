//! The body of an upstream's answer, whichever protocol brings it.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http_body::Body as _;
use hyper::body::Incoming;

use super::{h1, pool::Lease};

/// A body that is being read. Dropping it before its end closes the connection (HTTP/1.1) or resets the
/// stream (HTTP/2), which is how an upstream learns that nobody listens any more.
pub(crate) enum UpstreamBody {
    H1 {
        body: Box<h1::Body>,
        lease: Lease,
    },
    H2(Incoming),
    /// One whose first piece was read ahead.
    Begun(Bytes, Box<UpstreamBody>),
    Ended,
}

impl UpstreamBody {
    /// Waits for the first piece, which is then read as if it had just come.
    pub(crate) async fn begin(&mut self) -> io::Result<()> {
        if let Some(first) = std::future::poll_fn(|cx| self.poll_data(cx)).await.transpose()? {
            let rest = std::mem::replace(self, UpstreamBody::Ended);
            *self = UpstreamBody::Begun(first, Box::new(rest));
        }
        Ok(())
    }

    /// All that is there, as one piece; `None` at the end; an error when it breaks off.
    pub(crate) fn poll_data(&mut self, cx: &mut Context<'_>) -> Poll<Option<io::Result<Bytes>>> {
        if let UpstreamBody::Begun(first, rest) = self {
            let first = std::mem::take(first);
            *self = std::mem::replace(rest, UpstreamBody::Ended);
            return Poll::Ready(Some(Ok(first)));
        }
        let data = match self {
            UpstreamBody::H1 { body, .. } => ready!(body.poll_data(cx)),
            UpstreamBody::H2(body) => ready!(poll_h2(body, cx)),
            UpstreamBody::Begun(..) | UpstreamBody::Ended => None,
        };
        match &data {
            None => self.end(),
            Some(Err(_)) => *self = UpstreamBody::Ended,
            Some(Ok(_)) => {}
        }
        Poll::Ready(data)
    }

    /// Puts the connection back on its shelf, when it can be used again.
    fn end(&mut self) {
        if let UpstreamBody::H1 { body, lease } = std::mem::replace(self, UpstreamBody::Ended)
            && let Some(connection) = body.into_idle()
        {
            lease.give_back(connection);
        }
    }
}

fn poll_h2(body: &mut Incoming, cx: &mut Context<'_>) -> Poll<Option<io::Result<Bytes>>> {
    loop {
        match ready!(Pin::new(&mut *body).poll_frame(cx)) {
            None => return Poll::Ready(None),
            Some(Ok(frame)) => {
                if let Ok(data) = frame.into_data()
                    && !data.is_empty()
                {
                    return Poll::Ready(Some(Ok(data)));
                }
            }
            Some(Err(error)) => return Poll::Ready(Some(Err(io::Error::other(error)))),
        }
    }
}

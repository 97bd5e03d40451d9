//! A response's body.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http_body::{Frame as BodyFrame, SizeHint};

use super::stream::Relay;

/// A response's body: all of it, or a stream that is being relayed.
pub(crate) enum Body {
    Full(Option<Bytes>),
    Stream(Box<Relay>),
}

impl Body {
    pub(crate) fn full(bytes: Bytes) -> Body {
        Body::Full((!bytes.is_empty()).then_some(bytes))
    }
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<io::Result<BodyFrame<Bytes>>>> {
        let bytes = match self.get_mut() {
            Body::Full(bytes) => bytes.take().map(Ok),
            Body::Stream(relay) => {
                let bytes = ready!(relay.poll(cx));
                // An answer of any kind cannot tell that it broke: its connection breaks.
                bytes.map(Ok).or_else(|| relay.untold().map(Err))
            }
        };
        Poll::Ready(bytes.map(|bytes| bytes.map(BodyFrame::data)))
    }

    fn is_end_stream(&self) -> bool {
        matches!(self, Body::Full(None))
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Body::Full(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64)),
            Body::Stream(_) => SizeHint::default(),
        }
    }
}

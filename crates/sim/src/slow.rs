//! A connection that can be slow to send the head of an answer.

use std::{
    future::Future,
    io,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    time::{Sleep, sleep},
};

/// How many bytes of a head go at once.
const PIECE: usize = 16;

/// How slowly the next head goes.
#[derive(Clone, Default)]
pub(crate) struct SlowHead(Arc<Mutex<Duration>>);

/// A stream that obeys a [`SlowHead`].
pub(crate) struct Slowed {
    inner: TcpStream,
    pace: SlowHead,
    /// The last bytes that went, to know the end of a head.
    tail: Vec<u8>,
    wait: Option<Pin<Box<Sleep>>>,
}

impl SlowHead {
    pub(crate) fn set(&self, pace: Duration) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = pace;
    }

    fn get(&self) -> Duration {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Slowed {
    pub(crate) fn new(inner: TcpStream, pace: SlowHead) -> Slowed {
        Slowed { inner, pace, tail: Vec::new(), wait: None }
    }
}

impl AsyncWrite for Slowed {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let pace = self.pace.get();
        if pace.is_zero() {
            return Pin::new(&mut self.inner).poll_write(cx, bytes);
        }
        let wait = self.wait.get_or_insert_with(|| Box::pin(sleep(pace)));
        ready!(wait.as_mut().poll(cx));
        let piece = bytes.get(..PIECE).unwrap_or(bytes);
        let count = ready!(Pin::new(&mut self.inner).poll_write(cx, piece))?;
        self.wait = None;
        self.tail.extend_from_slice(piece.get(..count).unwrap_or_default());
        if self.tail.windows(4).any(|four| four == b"\r\n\r\n") {
            self.pace.set(Duration::ZERO);
            self.tail.clear();
        }
        let surplus = self.tail.len().saturating_sub(PIECE);
        self.tail.drain(..surplus);
        Poll::Ready(Ok(count))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

impl AsyncRead for Slowed {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_read(cx, buffer)
    }
}

//! A connection that can be slow to send the head of an answer, and that can break as a script wants it to.

use std::{
    future::Future,
    io,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker, ready},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    time::{Sleep, sleep},
};

/// How many bytes of a head go at once.
const PIECE: usize = 16;

/// What a script wants of its connection.
#[derive(Clone, Default)]
pub(crate) struct Line(Arc<Mutex<Wanted>>);

#[derive(Default)]
struct Wanted {
    /// Between a few bytes of the next head and the next.
    head_pace: Duration,
    /// How the connection breaks before an answer.
    broken: Option<Break>,
    /// Nothing more is sent, while what comes is still read.
    half_closed: bool,
    reader: Option<Waker>,
}

/// How a connection breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Break {
    /// It is closed in order.
    Close,
    /// It is reset: what is on its way is lost.
    Reset,
}

/// A stream that obeys a [`Line`].
pub(crate) struct Wired {
    inner: TcpStream,
    line: Line,
    /// The last bytes that went, to know the end of a head.
    tail: Vec<u8>,
    wait: Option<Pin<Box<Sleep>>>,
}

impl Line {
    pub(crate) fn slow_head(&self, pace: Duration) {
        self.wanted().head_pace = pace;
    }

    /// Breaks the connection in place of an answer.
    pub(crate) fn break_off(&self, how: Break) {
        self.wanted().broken = Some(how);
    }

    pub(crate) fn is_broken(&self) -> bool {
        self.wanted().broken.is_some()
    }

    /// Tells the other side that nothing more comes, and keeps the connection.
    pub(crate) fn half_close(&self) {
        let mut wanted = self.wanted();
        wanted.half_closed = true;
        if let Some(reader) = wanted.reader.take() {
            reader.wake();
        }
    }

    fn wanted(&self) -> MutexGuard<'_, Wanted> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Wired {
    pub(crate) fn new(inner: TcpStream, line: Line) -> Wired {
        Wired { inner, line, tail: Vec::new(), wait: None }
    }
}

impl Drop for Wired {
    fn drop(&mut self) {
        if self.line.wanted().broken == Some(Break::Reset) {
            // A connection that is dropped without lingering is reset; where that fails it is closed all the same.
            let _ = self.inner.set_zero_linger();
        }
    }
}

impl AsyncWrite for Wired {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let pace = self.line.wanted().head_pace;
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
            self.line.slow_head(Duration::ZERO);
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

impl AsyncRead for Wired {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let half_closed = {
            let mut wanted = self.line.wanted();
            wanted.reader = Some(cx.waker().clone());
            wanted.half_closed
        };
        if half_closed {
            ready!(Pin::new(&mut self.inner).poll_shutdown(cx))?;
        }
        Pin::new(&mut self.inner).poll_read(cx, buffer)
    }
}

//! A body that plays a script: paced, cut, stalled, or well.

use std::{
    future::Future,
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use http_body::Frame;
use tokio::time::{Sleep, sleep};

use crate::{calls::Calls, script::Script};

/// How long a server takes at most to write what it was given.
const FLUSH: Duration = Duration::from_millis(20);

/// The pieces of an answer and how they are sent.
pub(crate) struct Body {
    pieces: std::vec::IntoIter<Bytes>,
    sent: usize,
    pace: Duration,
    wait: Option<Pin<Box<Sleep>>>,
    ending: Ending,
    /// Told when everything was sent.
    finished: Option<(Arc<Calls>, u64)>,
}

#[derive(Clone, Copy)]
enum Ending {
    Whole,
    /// The connection breaks after so many pieces.
    Cut(usize),
    /// Nothing more comes after so many pieces.
    Stall(usize),
}

impl Body {
    pub(crate) fn whole(bytes: impl Into<Bytes>) -> Body {
        Body::pieces(vec![bytes.into()], &Script::default())
    }

    /// Pieces as the script wants them sent.
    pub(crate) fn pieces(pieces: Vec<Bytes>, script: &Script) -> Body {
        let ending = match (script.cut, script.stall) {
            (Some(count), _) => Ending::Cut(count),
            (None, Some(count)) => Ending::Stall(count),
            (None, None) => Ending::Whole,
        };
        let mut pieces = pieces;
        if matches!(ending, Ending::Whole) && script.pace.is_zero() && !script.split {
            pieces = vec![Bytes::from(pieces.concat())];
        }
        if script.split {
            pieces = pieces.concat().chunks(7).map(Bytes::copy_from_slice).collect();
        }
        let wait = None;
        Body { pieces: pieces.into_iter(), sent: 0, pace: script.pace, wait, ending, finished: None }
    }

    #[must_use]
    pub(crate) fn telling(mut self, calls: &Arc<Calls>, number: u64) -> Body {
        self.finished = Some((Arc::clone(calls), number));
        self
    }
}

impl Drop for Body {
    fn drop(&mut self) {
        if let Some((calls, number)) = self.finished.take() {
            calls.gone(number);
        }
    }
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        match self.ending {
            Ending::Cut(count) if self.sent >= count => {
                // What was sent must have left before the connection breaks.
                let wait = self.wait.get_or_insert_with(|| Box::pin(sleep(FLUSH)));
                ready!(wait.as_mut().poll(cx));
                // It is this side that goes.
                self.finished = None;
                return Poll::Ready(Some(Err(io::ErrorKind::ConnectionReset.into())));
            }
            Ending::Stall(count) if self.sent >= count => return Poll::Pending,
            Ending::Whole | Ending::Cut(_) | Ending::Stall(_) => {}
        }
        if self.sent > 0 && !self.pace.is_zero() {
            let pace = self.pace;
            let wait = self.wait.get_or_insert_with(|| Box::pin(sleep(pace)));
            ready!(wait.as_mut().poll(cx));
            self.wait = None;
        }
        let Some(piece) = self.pieces.next() else {
            if let Some((calls, number)) = self.finished.take() {
                calls.finish(number);
            }
            return Poll::Ready(None);
        };
        self.sent += 1;
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }
}

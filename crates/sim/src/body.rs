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

use crate::{
    calls::{Calls, Flight},
    line::Line,
    script::Script,
};

/// How long a server takes at most to write what it was given.
const FLUSH: Duration = Duration::from_millis(20);

/// The pieces of an answer and how they are sent.
pub(crate) struct Body {
    pieces: std::vec::IntoIter<Bytes>,
    sent: usize,
    /// Before the first piece.
    first: Duration,
    pace: Duration,
    wait: Option<Pin<Box<Sleep>>>,
    ending: Ending,
    /// Told when everything was sent.
    finished: Option<(Arc<Calls>, u64)>,
    line: Option<Line>,
    flight: Option<Arc<Flight>>,
}

#[derive(Clone, Copy)]
enum Ending {
    Whole,
    /// The connection breaks after so many pieces.
    Cut(usize),
    /// Nothing more comes after so many pieces.
    Stall(usize),
    /// The other side learns after so many pieces that nothing more comes, and the connection is kept.
    Half(usize),
}

impl Body {
    pub(crate) fn whole(bytes: impl Into<Bytes>) -> Body {
        Body::pieces(vec![bytes.into()], &Script::default())
    }

    /// Pieces as the script wants them sent.
    pub(crate) fn pieces(pieces: Vec<Bytes>, script: &Script) -> Body {
        let ending = match (script.cut, script.stall, script.half) {
            (Some(count), _, _) => Ending::Cut(count),
            (None, Some(count), _) => Ending::Stall(count),
            (None, None, Some(count)) => Ending::Half(count),
            (None, None, None) => Ending::Whole,
        };
        let mut pieces = pieces;
        if let Some(length) = script.truncate {
            let whole = Bytes::from(pieces.concat());
            pieces = vec![whole.slice(..length.min(whole.len()))];
        }
        if matches!(ending, Ending::Whole) && script.pace.is_zero() && !script.split {
            pieces = vec![Bytes::from(pieces.concat())];
        }
        if script.split {
            pieces = pieces.concat().chunks(7).map(Bytes::copy_from_slice).collect();
        }
        Body {
            pieces: pieces.into_iter(),
            sent: 0,
            first: script.first_event,
            pace: script.pace,
            wait: None,
            ending,
            finished: None,
            line: None,
            flight: None,
        }
    }

    /// The body of a call: its end is told, and its line does what the script wants.
    #[must_use]
    pub(crate) fn telling(
        mut self,
        calls: &Arc<Calls>,
        number: u64,
        line: &Line,
        flight: &Arc<Flight>,
    ) -> Body {
        self.flight = Some(Arc::clone(flight));
        self.finished = Some((Arc::clone(calls), number));
        self.line = Some(line.clone());
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
            Ending::Half(count) if self.sent >= count => {
                let wait = self.wait.get_or_insert_with(|| Box::pin(sleep(FLUSH)));
                ready!(wait.as_mut().poll(cx));
                if let Some(line) = self.line.take() {
                    line.half_close();
                }
                return Poll::Pending;
            }
            Ending::Whole | Ending::Cut(_) | Ending::Stall(_) | Ending::Half(_) => {}
        }
        let pace = if self.sent == 0 { self.first } else { self.pace };
        if !pace.is_zero() {
            let wait = self.wait.get_or_insert_with(|| Box::pin(sleep(pace)));
            ready!(wait.as_mut().poll(cx));
            self.wait = None;
        }
        let Some(piece) = self.pieces.next() else {
            self.flight = None;
            if let Some((calls, number)) = self.finished.take() {
                calls.finish(number);
            }
            return Poll::Ready(None);
        };
        self.sent += 1;
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }
}

//! A request's body that still comes from the caller.

use std::{cell::RefCell, io, time::Duration};

use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use tokio::time::timeout;

/// What comes behind the beginning of a body. It can be sent once.
pub(crate) struct Rest {
    coming: RefCell<Option<Coming>>,
    length: Option<u64>,
}

/// The pieces as they come.
pub(crate) struct Coming {
    body: Incoming,
    pub(crate) length: Option<u64>,
    /// How many bytes may still come.
    left: u64,
    /// How long a piece may take.
    silence_max: Duration,
}

impl Rest {
    /// `length` is how many bytes come, where the caller said so; `bytes_max` the most that may.
    pub(crate) fn new(body: Incoming, length: Option<u64>, bytes_max: u64, silence_max: Duration) -> Rest {
        let coming = Coming { body, length, left: bytes_max, silence_max };
        Rest { coming: RefCell::new(Some(coming)), length }
    }

    pub(crate) fn length(&self) -> Option<u64> {
        self.length
    }

    /// Whether it was sent, or begun to be.
    pub(crate) fn is_spent(&self) -> bool {
        self.coming.borrow().is_none()
    }

    pub(crate) fn take(&self) -> Option<Coming> {
        self.coming.borrow_mut().take()
    }
}

impl Coming {
    /// The next piece; `None` at the end.
    pub(crate) async fn next(&mut self) -> io::Result<Option<Bytes>> {
        loop {
            let frame = timeout(self.silence_max, self.body.frame()).await?;
            let Some(frame) = frame else { return Ok(None) };
            let frame = frame.map_err(|error| io::Error::other(format!("the caller broke off: {error}")))?;
            let Ok(data) = frame.into_data() else { continue };
            match self.left.checked_sub(data.len() as u64) {
                Some(left) => self.left = left,
                None => return Err(io::Error::other("the body is too large (server.limits.upload)")),
            }
            if !data.is_empty() {
                return Ok(Some(data));
            }
        }
    }
}

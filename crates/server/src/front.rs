//! The front: a request's body under its cap.

use bytes::{Bytes, BytesMut};
use http_body::Body as _;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use policy::snapshot::Limits;
use tokio::time::timeout;
use wire::{Fault, Kind, Origin};

/// How long a body that is too large is read on.
const DISCARD_TIME: std::time::Duration = std::time::Duration::from_secs(5);

/// Reads a request's body, no more and no longer than is allowed.
pub(crate) async fn body(body: Incoming, limits: &Limits) -> Result<Bytes, Fault> {
    let too_large = || {
        let message = format!("the body is over {} bytes (server.limits.body)", limits.body_bytes_max);
        Fault::new(Origin::Client, Kind::TooLarge, message).code("body_too_large")
    };
    let mut body = body;
    if body.size_hint().lower() > limits.body_bytes_max as u64 {
        discard(&mut body, limits.body_bytes_max).await;
        return Err(too_large());
    }
    match timeout(limits.body_time_max, collect(&mut body, limits.body_bytes_max)).await {
        Ok(Ok(Some(bytes))) => Ok(bytes),
        Ok(Ok(None)) => {
            discard(&mut body, limits.body_bytes_max).await;
            Err(too_large())
        }
        Ok(Err(error)) => Err(Fault::invalid("", format!("the body broke off: {error}"))),
        Err(_) => {
            let message =
                format!("the body did not come within {:?} (server.limits.body_time)", limits.body_time_max);
            Err(Fault::new(Origin::Client, Kind::Timeout, message).code("body_timeout"))
        }
    }
}

/// Reads on for a while without keeping anything: a caller that is still sending would take a closed connection
/// for a broken one, and never read why it was refused.
async fn discard(body: &mut Incoming, bytes_max: usize) {
    let read = async {
        let mut left = bytes_max.saturating_mul(2);
        while let Some(Ok(frame)) = body.frame().await {
            let length = frame.data_ref().map_or(0, Bytes::len);
            let Some(less) = left.checked_sub(length) else { return };
            left = less;
        }
    };
    // Whether it ended or not, the answer is the same.
    let _ = timeout(DISCARD_TIME, read).await;
}

/// `None` when there is more than allowed. A body that comes in one piece is not copied.
async fn collect(body: &mut Incoming, bytes_max: usize) -> Result<Option<Bytes>, hyper::Error> {
    let mut first = Bytes::new();
    let mut joined: Option<BytesMut> = None;
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame?.into_data() else { continue };
        let length = joined.as_ref().map_or(first.len(), BytesMut::len);
        if length + data.len() > bytes_max {
            return Ok(None);
        }
        match &mut joined {
            Some(joined) => joined.extend_from_slice(&data),
            None if first.is_empty() => first = data,
            None => {
                let mut both = BytesMut::with_capacity(first.len() + data.len());
                both.extend_from_slice(&first);
                both.extend_from_slice(&data);
                joined = Some(both);
            }
        }
    }
    Ok(Some(joined.map_or(first, BytesMut::freeze)))
}

//! Amazon's event stream encoding (<https://smithy.io/2.0/aws/amazon-eventstream.html>): a prelude (the message's
//! length, its headers' length, a checksum), headers, the payload, and a checksum of it all.

use std::borrow::Cow;

use super::framer::{FRAME_BYTES_MAX, Frame, FrameError};

const PRELUDE_BYTES: usize = 12;
const CHECKSUM_BYTES: usize = 4;
/// The type of a header whose value is a string.
const STRING: u8 = 7;

fn number(bytes: &[u8], at: usize) -> Option<usize> {
    let four: [u8; 4] = bytes.get(at..at + 4)?.try_into().ok()?;
    usize::try_from(u32::from_be_bytes(four)).ok()
}

/// The end of the message that begins at `start`.
pub(super) fn end(bytes: &[u8], start: usize) -> Result<Option<usize>, FrameError> {
    let rest = bytes.get(start..).unwrap_or_default();
    let (Some(length), true) = (number(rest, 0), rest.len() >= PRELUDE_BYTES) else { return Ok(None) };
    if number(rest, 8) != rest.get(..8).map(|prelude| crc32fast::hash(prelude) as usize) {
        return Err(FrameError::Checksum);
    }
    if length < PRELUDE_BYTES + CHECKSUM_BYTES {
        return Err(FrameError::Malformed);
    }
    if length > FRAME_BYTES_MAX {
        return Err(FrameError::TooLarge);
    }
    Ok((rest.len() >= length).then_some(start + length))
}

/// A message: its event's or exception's name, and its payload.
pub(super) fn parse(raw: &[u8]) -> Result<Frame<'_>, FrameError> {
    let checked = raw.len().checked_sub(CHECKSUM_BYTES).ok_or(FrameError::Malformed)?;
    let (message, _) = raw.split_at(checked);
    if number(raw, checked) != Some(crc32fast::hash(message) as usize) {
        return Err(FrameError::Checksum);
    }
    let headers = number(raw, 4).ok_or(FrameError::Malformed)?;
    let payload = message.get(PRELUDE_BYTES + headers..).ok_or(FrameError::Malformed)?;
    let headers = message.get(PRELUDE_BYTES..PRELUDE_BYTES + headers).unwrap_or_default();
    Ok(Frame { event: event_name(headers), data: Cow::Borrowed(payload) })
}

/// The value of `:event-type`, or of `:exception-type` or `:error-code` where it is one.
fn event_name(mut headers: &[u8]) -> Option<&str> {
    let mut found = None;
    while let Some((&length, rest)) = headers.split_first() {
        let (name, rest) = rest.split_at_checked(usize::from(length))?;
        let (&kind, rest) = rest.split_first()?;
        let size = match kind {
            0 | 1 => 0,
            2 => 1,
            3 => 2,
            4 => 4,
            5 | 8 => 8,
            9 => 16,
            // Bytes and strings say how long they are.
            _ => 2 + usize::from(u16::from_be_bytes(rest.get(..2)?.try_into().ok()?)),
        };
        let (value, rest) = rest.split_at_checked(size)?;
        if kind == STRING && matches!(name, b":event-type" | b":exception-type" | b":error-code") {
            found = std::str::from_utf8(value.get(2..)?).ok();
        }
        headers = rest;
    }
    found
}

/// Writes a message with a JSON payload; `kind` is `event` or `exception`.
pub fn write_message(out: &mut Vec<u8>, kind: &str, name: &str, payload: &[u8]) {
    let mut headers = Vec::with_capacity(96);
    let name_header = if kind == "event" { ":event-type" } else { ":exception-type" };
    for (header, value) in
        [(name_header, name), (":content-type", "application/json"), (":message-type", kind)]
    {
        headers.push(header.len() as u8);
        headers.extend_from_slice(header.as_bytes());
        headers.push(STRING);
        headers.extend_from_slice(&(value.len() as u16).to_be_bytes());
        headers.extend_from_slice(value.as_bytes());
    }
    let start = out.len();
    let length = PRELUDE_BYTES + headers.len() + payload.len() + CHECKSUM_BYTES;
    out.extend_from_slice(&(length as u32).to_be_bytes());
    out.extend_from_slice(&(headers.len() as u32).to_be_bytes());
    let prelude = crc32fast::hash(out.get(start..).unwrap_or_default());
    out.extend_from_slice(&prelude.to_be_bytes());
    out.extend_from_slice(&headers);
    out.extend_from_slice(payload);
    let whole = crc32fast::hash(out.get(start..).unwrap_or_default());
    out.extend_from_slice(&whole.to_be_bytes());
}

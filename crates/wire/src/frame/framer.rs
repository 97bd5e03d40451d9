//! Cutting bytes into frames, wherever they were split.

use std::borrow::Cow;

use bytes::{Bytes, BytesMut};

use super::{array, aws, sse};

/// The most bytes of one frame of a stream; one that grows past it is garbage.
pub const FRAME_BYTES_MAX: usize = 16 << 20;

/// How bytes are cut into frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// The whole body is one frame, complete when the bytes end.
    Whole,
    /// There are no frames: bytes of any kind.
    Opaque,
    /// `text/event-stream`.
    Sse,
    /// A JSON value on each line (NDJSON).
    Lines,
    /// The elements of one JSON array, as they come.
    Array,
    /// Amazon's `application/vnd.amazon.eventstream`: binary messages with headers and checksums
    /// (<https://smithy.io/2.0/aws/amazon-eventstream.html>).
    AwsEvents,
}

/// One frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame<'a> {
    /// The event's name, where it has one.
    pub event: Option<&'a str>,
    /// The payload; empty for a comment.
    pub data: Cow<'a, [u8]>,
}

/// Whether the bytes of a frame go on as they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pass {
    On,
    Hold,
}

/// Takes the frames that a framer finds.
pub type Found<'f> = dyn FnMut(&Frame<'_>) -> Pass + 'f;

/// Cuts bytes into frames, wherever they were split.
#[derive(Debug)]
pub struct Framer {
    cutter: Cutter,
    /// Bytes of a frame that is not complete yet.
    rest: BytesMut,
}

/// Finds where frames end. Each kind remembers how far it has looked.
#[derive(Debug)]
enum Cutter {
    Whole,
    Opaque,
    Sse(sse::Cutter),
    Lines { searched: usize },
    Array(array::Cutter),
    AwsEvents,
}

/// Why a stream cannot be cut into frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    #[error("an event of the stream is larger than {FRAME_BYTES_MAX} bytes")]
    TooLarge,
    #[error("an event of the stream does not match its checksum")]
    Checksum,
    #[error("an event of the stream is no message of its format")]
    Malformed,
}

impl Cutter {
    fn new(framing: Framing) -> Cutter {
        match framing {
            Framing::Whole => Cutter::Whole,
            Framing::Opaque => Cutter::Opaque,
            Framing::Sse => Cutter::Sse(sse::Cutter::default()),
            Framing::Lines => Cutter::Lines { searched: 0 },
            Framing::Array => Cutter::Array(array::Cutter::default()),
            Framing::AwsEvents => Cutter::AwsEvents,
        }
    }

    /// The end of the frame that begins at `start`.
    fn end(&mut self, bytes: &[u8], start: usize) -> Result<Option<usize>, FrameError> {
        Ok(match self {
            Cutter::Whole | Cutter::Opaque => None,
            Cutter::Sse(cutter) => cutter.end(bytes),
            Cutter::Lines { searched } => {
                let ahead = bytes.get(*searched..).unwrap_or_default();
                let end = memchr::memchr(b'\n', ahead).map(|at| *searched + at + 1);
                *searched = end.unwrap_or(bytes.len());
                end
            }
            Cutter::Array(cutter) => cutter.end(bytes),
            Cutter::AwsEvents => aws::end(bytes, start)?,
        })
    }

    /// So many bytes have gone.
    fn shift(&mut self, count: usize) {
        match self {
            Cutter::Whole | Cutter::Opaque | Cutter::AwsEvents => {}
            Cutter::Sse(cutter) => cutter.shift(count),
            Cutter::Lines { searched } => *searched -= count,
            Cutter::Array(cutter) => cutter.shift(count),
        }
    }

    fn parse<'a>(&self, raw: &'a [u8]) -> Result<Frame<'a>, FrameError> {
        Ok(match self {
            Cutter::Whole | Cutter::Opaque => Frame { event: None, data: Cow::Borrowed(raw) },
            Cutter::Sse(_) => sse::parse(raw),
            Cutter::Lines { .. } => Frame { event: None, data: Cow::Borrowed(raw.trim_ascii()) },
            Cutter::Array(_) => array::parse(raw),
            Cutter::AwsEvents => aws::parse(raw)?,
        })
    }
}

impl Framer {
    pub fn new(framing: Framing) -> Framer {
        Framer { cutter: Cutter::new(framing), rest: BytesMut::new() }
    }

    /// Takes more bytes and shows each complete frame. Returns the bytes of those frames that are to be
    /// passed on; when all are, and none was split, they are the bytes that came, not copied.
    pub fn push(&mut self, bytes: Bytes, found: &mut Found<'_>) -> Result<Bytes, FrameError> {
        match self.cutter {
            Cutter::Whole => {
                self.rest.extend_from_slice(&bytes);
                return Ok(Bytes::new());
            }
            Cutter::Opaque => return Ok(bytes),
            Cutter::Sse(_) | Cutter::Lines { .. } | Cutter::Array(_) | Cutter::AwsEvents => {}
        }
        let joined = if self.rest.is_empty() {
            bytes
        } else {
            self.rest.extend_from_slice(&bytes);
            self.rest.split().freeze()
        };
        let mut passed = Passed::default();
        let mut start = 0;
        while let Some(end) = self.cutter.end(&joined, start)? {
            let raw = joined.get(start..end).unwrap_or_default();
            let pass = found(&self.cutter.parse(raw)?);
            passed.add(&joined, start, end, pass);
            start = end;
        }
        let rest = joined.get(start..).unwrap_or_default();
        if rest.len() > FRAME_BYTES_MAX {
            return Err(FrameError::TooLarge);
        }
        self.rest.extend_from_slice(rest);
        self.cutter.shift(start);
        Ok(passed.finish(&joined))
    }

    /// The bytes have ended: shows what is left of a frame.
    pub fn finish(&mut self, found: &mut Found<'_>) -> Bytes {
        let rest = self.rest.split().freeze();
        if rest.is_empty() {
            return rest;
        }
        // A message that was cut off says nothing.
        let Ok(frame) = self.cutter.parse(&rest) else { return rest };
        match found(&frame) {
            Pass::On => rest.clone(),
            Pass::Hold => Bytes::new(),
        }
    }
}

/// Gathers the bytes that go on.
#[derive(Default)]
struct Passed {
    run: Option<(usize, usize)>,
    joined: Option<BytesMut>,
}

impl Passed {
    fn add(&mut self, bytes: &Bytes, start: usize, end: usize, pass: Pass) {
        if pass == Pass::Hold {
            return;
        }
        match self.run {
            None => self.run = Some((start, end)),
            Some((first, last)) if last == start => self.run = Some((first, end)),
            Some((first, last)) => {
                let joined = self.joined.get_or_insert_with(BytesMut::new);
                joined.extend_from_slice(bytes.get(first..last).unwrap_or_default());
                self.run = Some((start, end));
            }
        }
    }

    fn finish(self, bytes: &Bytes) -> Bytes {
        let last = self.run.map_or_else(Bytes::new, |(start, end)| bytes.slice(start..end));
        match self.joined {
            None => last,
            Some(mut joined) => {
                joined.extend_from_slice(&last);
                joined.freeze()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frames(pieces: &[&[u8]]) -> Vec<(Option<String>, String)> {
        let mut list = Vec::new();
        let mut framer = Framer::new(Framing::Sse);
        let mut passed = Vec::new();
        let mut found = |frame: &Frame<'_>| {
            let data = String::from_utf8(frame.data.to_vec()).unwrap();
            list.push((frame.event.map(str::to_owned), data));
            Pass::On
        };
        for piece in pieces {
            passed.extend_from_slice(&framer.push(Bytes::copy_from_slice(piece), &mut found).unwrap());
        }
        passed.extend_from_slice(&framer.finish(&mut found));
        assert_eq!(passed, pieces.concat(), "every byte is passed on");
        list.retain(|(event, data)| event.is_some() || !data.is_empty());
        list
    }

    #[test]
    fn events_survive_any_split_and_any_line_end() {
        let text = "\u{feff}: hello\n\nevent: ping\ndata: {\"a\": 1}\n\ndata: one\ndata:two\nid: 7\n\ndata: ü\n\ndata: [DONE]";
        let expected = [(Some("ping"), "{\"a\": 1}"), (None, "one\ntwo"), (None, "ü"), (None, "[DONE]")];
        let expected = expected.map(|(event, data)| (event.map(str::to_owned), data.to_owned()));
        for ending in ["\n", "\r\n", "\r"] {
            let bytes = text.replace('\n', ending).into_bytes();
            assert_eq!(frames(&[&bytes]), expected, "{ending:?} whole");
            let single: Vec<&[u8]> = bytes.chunks(1).collect();
            assert_eq!(frames(&single), expected, "{ending:?} byte by byte");
            for split in 0..bytes.len() {
                let (first, second) = bytes.split_at(split);
                assert_eq!(frames(&[first, second]), expected, "{ending:?} split at {split}");
            }
        }
    }

    #[test]
    fn frames_may_be_held_back() {
        let mut framer = Framer::new(Framing::Sse);
        let mut found = |frame: &Frame<'_>| if frame.data.as_ref() == b"b" { Pass::Hold } else { Pass::On };
        let bytes = Bytes::from_static(b"data: a\n\ndata: b\n\ndata: c\n\ndata: d");
        let passed = framer.push(bytes, &mut found).unwrap();
        assert_eq!(passed, &b"data: a\n\ndata: c\n\n"[..]);
        assert_eq!(framer.finish(&mut found), &b"data: d"[..]);
    }

    #[test]
    fn a_frame_has_a_limit() {
        let mut framer = Framer::new(Framing::Sse);
        let piece = Bytes::from(vec![b'x'; FRAME_BYTES_MAX / 2]);
        assert!(framer.push(piece.clone(), &mut |_| Pass::On).is_ok());
        assert!(framer.push(piece, &mut |_| Pass::On).is_ok());
        assert_eq!(framer.push(Bytes::from_static(b"x"), &mut |_| Pass::On), Err(FrameError::TooLarge));
    }
}

//! Bodies to frames: server-sent events, or one whole body.
//!
//! Server-sent events follow <https://html.spec.whatwg.org/multipage/server-sent-events.html>: lines end in
//! CR, LF or CRLF, comments begin with a colon, `data` lines of one event are joined by a line feed, and
//! bytes may be split anywhere.

use std::borrow::Cow;

use bytes::{Bytes, BytesMut};
use memchr::memchr2;

/// The most bytes of one frame of a stream; one that grows past it is garbage.
pub const FRAME_BYTES_MAX: usize = 16 << 20;

/// How bytes are cut into frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// The whole body is one frame, complete when the bytes end.
    Whole,
    /// `text/event-stream`.
    Sse,
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
    framing: Framing,
    /// Bytes of a frame that is not complete yet.
    rest: BytesMut,
    /// Where in `rest` the line begins whose end is looked for, and how far it was looked for.
    line: usize,
    searched: usize,
}

/// A frame came to more than [`FRAME_BYTES_MAX`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an event of the stream is larger than {FRAME_BYTES_MAX} bytes")]
pub struct FrameTooLarge;

impl Framer {
    pub fn new(framing: Framing) -> Framer {
        Framer { framing, rest: BytesMut::new(), line: 0, searched: 0 }
    }

    /// Takes more bytes and shows each complete frame. Returns the bytes of those frames that are to be
    /// passed on; when all are, and none was split, they are the bytes that came, not copied.
    pub fn push(&mut self, bytes: Bytes, found: &mut Found<'_>) -> Result<Bytes, FrameTooLarge> {
        if self.framing == Framing::Whole {
            self.rest.extend_from_slice(&bytes);
            return Ok(Bytes::new());
        }
        let joined = if self.rest.is_empty() {
            bytes
        } else {
            self.rest.extend_from_slice(&bytes);
            self.rest.split().freeze()
        };
        let mut passed = Passed::default();
        let mut start = 0;
        while let Some(end) = self.frame_end(&joined) {
            let raw = joined.get(start..end).unwrap_or_default();
            let pass = found(&parse(raw));
            passed.add(&joined, start, end, pass);
            start = end;
        }
        let rest = joined.get(start..).unwrap_or_default();
        if rest.len() > FRAME_BYTES_MAX {
            return Err(FrameTooLarge);
        }
        self.rest.extend_from_slice(rest);
        self.line -= start;
        self.searched -= start;
        Ok(passed.finish(&joined))
    }

    /// The bytes have ended: shows what is left of a frame.
    pub fn finish(&mut self, found: &mut Found<'_>) -> Bytes {
        let rest = self.rest.split().freeze();
        if rest.is_empty() {
            return rest;
        }
        let frame = match self.framing {
            Framing::Whole => Frame { event: None, data: Cow::Borrowed(&rest) },
            Framing::Sse => parse(&rest),
        };
        match found(&frame) {
            Pass::On => rest.clone(),
            Pass::Hold => Bytes::new(),
        }
    }

    /// The end of the frame that is being read, behind its blank line.
    fn frame_end(&mut self, bytes: &[u8]) -> Option<usize> {
        loop {
            let ahead = bytes.get(self.searched..)?;
            let Some(at) = memchr2(b'\n', b'\r', ahead) else {
                self.searched = bytes.len();
                return None;
            };
            let end = self.searched + at;
            let behind = match (bytes.get(end), bytes.get(end + 1)) {
                (Some(b'\r'), Some(b'\n')) => end + 2,
                // The line feed that belongs to it may be still to come.
                (Some(b'\r'), None) => {
                    self.searched = end;
                    return None;
                }
                _ => end + 1,
            };
            let blank = end == self.line;
            self.line = behind;
            self.searched = behind;
            if blank {
                return Some(behind);
            }
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

/// Takes the lines of one event apart.
fn parse(raw: &[u8]) -> Frame<'_> {
    let mut event = None;
    let mut data: Option<Cow<'_, [u8]>> = None;
    let raw = raw.strip_prefix(b"\xef\xbb\xbf").unwrap_or(raw);
    // An empty piece between CR and LF is a line without a colon, which says nothing.
    for line in raw.split(|&byte| byte == b'\n' || byte == b'\r') {
        let (name, value) = match memchr::memchr(b':', line) {
            Some(colon) => (line.get(..colon).unwrap_or_default(), line.get(colon + 1..).unwrap_or_default()),
            None => (line, &b""[..]),
        };
        let value = value.strip_prefix(b" ").unwrap_or(value);
        match name {
            b"event" => event = std::str::from_utf8(value).ok(),
            b"data" => {
                data = Some(match data {
                    None => Cow::Borrowed(value),
                    Some(before) => {
                        let mut joined = before.into_owned();
                        joined.push(b'\n');
                        joined.extend_from_slice(value);
                        Cow::Owned(joined)
                    }
                });
            }
            _ => {}
        }
    }
    Frame { event, data: data.unwrap_or_default() }
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
        assert_eq!(framer.push(Bytes::from_static(b"x"), &mut |_| Pass::On), Err(FrameTooLarge));
    }
}

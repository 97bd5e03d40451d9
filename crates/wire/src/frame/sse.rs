//! Server-sent events (<https://html.spec.whatwg.org/multipage/server-sent-events.html>): lines end in CR, LF or
//! CRLF, comments begin with a colon, `data` lines of one event are joined by a line feed.

use std::borrow::Cow;

use memchr::memchr2;

use super::framer::Frame;

/// Where the line begins whose end is looked for, and how far it was looked for.
#[derive(Debug, Default)]
pub(super) struct Cutter {
    line: usize,
    searched: usize,
}

impl Cutter {
    /// The end of the frame that is being read, behind its blank line.
    pub(super) fn end(&mut self, bytes: &[u8]) -> Option<usize> {
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

    pub(super) fn shift(&mut self, count: usize) {
        self.line -= count;
        self.searched -= count;
    }
}

/// Takes the lines of one event apart.
pub(super) fn parse(raw: &[u8]) -> Frame<'_> {
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

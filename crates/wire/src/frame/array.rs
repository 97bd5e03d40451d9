//! The elements of one JSON array that comes bit by bit, as Gemini streams without `alt=sse`.

use std::borrow::Cow;

use super::framer::Frame;

/// How far it was looked, and what is open there.
#[derive(Debug, Default)]
pub(super) struct Cutter {
    searched: usize,
    /// Objects and arrays that are open, those of the elements only.
    depth: usize,
    in_string: bool,
    escaped: bool,
}

impl Cutter {
    /// The end of an element that is an object. What stands between elements begins the next frame.
    pub(super) fn end(&mut self, bytes: &[u8]) -> Option<usize> {
        for &byte in bytes.get(self.searched..)? {
            self.searched += 1;
            if self.in_string {
                match byte {
                    _ if self.escaped => self.escaped = false,
                    b'\\' => self.escaped = true,
                    b'"' => self.in_string = false,
                    _ => {}
                }
                continue;
            }
            match byte {
                b'"' => self.in_string = true,
                b'{' => self.depth += 1,
                // The array around them all is not counted.
                b'[' if self.depth > 0 => self.depth += 1,
                b'}' | b']' if self.depth > 0 => {
                    self.depth -= 1;
                    if self.depth == 0 {
                        return Some(self.searched);
                    }
                }
                _ => {}
            }
        }
        None
    }

    pub(super) fn shift(&mut self, count: usize) {
        self.searched -= count;
    }
}

/// The element without what stands around it; the array's end is a frame that says nothing.
pub(super) fn parse(raw: &[u8]) -> Frame<'_> {
    let between = |byte: &u8| byte.is_ascii_whitespace() || b"[,]".contains(byte);
    let start = raw.iter().position(|byte| !between(byte)).unwrap_or(raw.len());
    Frame { event: None, data: Cow::Borrowed(raw.get(start..).unwrap_or_default().trim_ascii_end()) }
}
